"""Ledgers to look at: a system that was wired once, a long history of edges, and a longer one of settings."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from uuid import UUID

from benchmarks.graphs import Parts
from benchmarks.workload import SESSIONS, Laboratory
from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline

STEPS = 100
"""Edges that are let go and taken again, one after the other, in the history of a system."""

SETTINGS_SHARE = 9
"""Changes of settings for each other event of the longer history."""

UNITS = tuple(f"SYSTEM/UNIT{number}" for number in range(250))
COMMIT, LARGE_COMMIT = 200, 1000
"""Events of one append."""


def record(path: Path, parts: Parts) -> Path:
    """A ledger in which a system was wired, and then STEPS edges go and come back."""
    if path.exists():
        return path
    components, edges = parts
    random = Random(1)
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([ev.ServerStarted(uuid=str(UUID(int=0)), kind="server", name="benchmark", host="here", pid=1)])
        ledger.append([ev.SessionOpened(uuid=str(UUID(int=1)), peer="127.0.0.1:1", label="LAB")])
        initial = {"initial_settings": {"$": "t", "v": [None, {}]}}
        metadata = {
            "$": "GraphMetadata",
            "schema_version": 1,
            "root_name": None,
            "components": {each["address"]: {**each, **initial} for each in components},
        }
        ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=2) for a, b in edges])
        ledger.append([ev.MetadataRegistered(session=2, metadata=metadata, raw=None)])
        for _ in range(STEPS):
            a, b = random.choice(edges)
            ledger.append([ev.EdgeDisconnected(from_topic=a, to_topic=b, owner=2)])
            ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=2)])
    return path


def long(path: Path, number: int) -> Path:
    """A ledger of so many events of the laboratory, with its index."""
    return _written(path, Laboratory().events(), number, COMMIT)


def settings(path: Path, number: int) -> Path:
    """A ledger of so many events, nine tenths of them changes of settings, with its index."""
    return _written(path, _with_settings(), number, LARGE_COMMIT)


def _with_settings() -> Iterator[ev.Event]:
    laboratory, random = Laboratory(), Random(5)
    events = laboratory.events()
    yield from islice(events, 1 + SESSIONS)
    process = laboratory.seq = laboratory.seq + 1
    yield ev.ProcessOpened(uuid=str(UUID(int=process)))
    laboratory.seq += 1
    yield ev.ProcessRegistered(process=process, pid=7, host="here", units=UNITS)
    while True:
        laboratory.seq += SETTINGS_SHARE  # a session's id is the seq at which it opens
        for _ in range(SETTINGS_SHARE):
            value = {"gain": random.randrange(1000) / 10, "rate": 500.0}
            yield ev.SettingsUpdated(
                process=process, component=random.choice(UNITS), value=ev.SettingsValue(None, value, value)
            )
        yield next(events)


def _written(path: Path, events: Iterator[ev.Event], number: int, commit: int) -> Path:
    if not path.exists():
        with Ledger.open(path, durability="none") as ledger:
            for _ in range(number // commit):
                ledger.append(list(islice(events, commit)))
    with Ledger.open(path, "r") as ledger:
        _ = Timeline(ledger).lifetimes  # the index is made
    return path
