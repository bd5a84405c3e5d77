"""Any history with any single damage: what is saved of it is a prefix, and nothing in it is open for ever."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.audit.repair import SoundCopy, survey
from ezmsg.ledger.errors import LogError
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.projections.graph.closings import closings, ending
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import states_of
from ezmsg.ledger.storage.disk import Disk

OPEN = ("runs", "sessions", "registrations", "processes", "endpoints", "requests")


class HastyDisk(Disk):
    """Does not wait for the disk."""

    def sync(self, handle: int) -> None: ...

    def sync_folder(self, path: str) -> None: ...


DISK = HastyDisk()


def write(path: Path, events: list[Any], size: int, ends: set[int]) -> None:
    """The history in commits of ``size`` events; a folder with a rotation behind each of the seqs ``ends``, if any."""
    state = GraphState()
    with Ledger.open(path, durability="none", disk=DISK, segmented=bool(ends)) as ledger:
        for begin in range(0, len(events), size):
            batch = events[begin : begin + size]
            ledger.append_late(batch)
            if begin % 3 == 0:
                ledger.sync()
            state.apply_batch(batch)
            if ends.intersection(event.seq for event in batch):
                ledger.rotate(states_of(state), state.seq)


def damaged(data: bytes, kind: str, at: int, count: int) -> bytes:
    """``data`` with one thing done to it at ``at``."""
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (1 << count % 8)]) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "take":
        return data[:at] + data[at + count :]
    if kind == "put":
        return data[:at] + data[:count] + data[at:]
    return data[:at] + bytes(count) + data[at + count :]  # zeros


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_history_with_any_damage(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    seqs = [event.seq for event in events]
    ends = data.draw(st.sets(st.sampled_from(seqs), max_size=2)) if seqs else set()
    folder = tmp_path_factory.mktemp("x")
    path, target = folder / "x.ledger", folder / "new.ledger"
    write(path, events, data.draw(st.integers(1, 5)), ends)
    files = sorted(path.glob("*.ledger")) if path.is_dir() else [path]
    file = data.draw(st.sampled_from(files))
    content = file.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "take", "put", "zeros"]))
    at = data.draw(st.integers(0, len(content) - 1))
    changed = damaged(content, kind, at, data.draw(st.integers(1, 300)))
    file.write_bytes(changed)
    try:
        found = survey(DISK, str(path))
    except LogError:
        assert file == files[0], "else what is before it can be saved"
        assert content[:at].count(b"\n") < 2, "in the header, or in the line that proves it"
    else:
        if found.damage is None:  # at a commit: nothing in it tells
            assert kind in ("cut", "take") or changed == content
        else:
            check_saved(path, target, events)
    assert file.read_bytes() == changed, "the original is not touched"
    shutil.rmtree(folder)


def check_saved(path: Path, target: Path, events: list[Any]) -> None:
    found = survey(DISK, str(path))
    with SoundCopy(DISK, found, str(target)) as copy:
        with Ledger.open(copy.path, "r", disk=DISK) as prefix:
            state = state_at(prefix)
        at_cut = fold([[event for event in events if event.seq <= found.seq]], GraphState())
        assert state.digest() == at_cut.digest()
        copy.append(ending(state, found, 10**18))
        copy.keep()
    with Ledger.open(target, "r", disk=DISK) as ledger:
        assert ledger.verify().sealed
        kept = list(ledger.entries())
        added = [event for event in kept if event.time == 10**18 and event.seq > found.seq]
        assert kept[: len(kept) - len(added)] == [event for event in events if event.seq <= found.seq]
        assert type(added[0]) is ev.Gap
        end = fold([kept], GraphState())
        assert end.digest() == state_at(ledger).digest() == state.digest()
    end.check()
    assert [name for name in OPEN if getattr(end, name)] == []
    persistent = {edge for edge, owners in at_cut.ownership.edges() if None in owners}
    assert dict(end.ownership.edges()) == dict.fromkeys(persistent, frozenset({None}))
    assert end.topology >= at_cut.topology
    with Ledger.open(target, disk=DISK) as ledger:
        assert ledger.append([ev.Mark(name="it goes on")])[0].seq == added[-1].seq + 1
        assert ledger.verify().sound


def test_what_is_open_is_ended_and_nothing_else() -> None:
    state = GraphState()
    for event in (
        ev.SessionOpened(uuid="a"),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=1),
        ev.ProcessOpened(uuid="b"),
        ev.SubscriberOpened(uuid="c", topic="B"),
        ev.RequestRouted(uuid="r", session=1, unit="U", operation="X", process=3),
    ):
        state.apply(ev.stamped(event, state.seq + 1, 5))
    assert closings(state, state) == []
    assert closings(state, GraphState()) == [
        ev.RequestAnswered(request=5, ok=False, error_code="UNSEEN"),
        ev.EndpointClosed(endpoint=4, reason="unseen"),
        ev.SessionClosed(session=1, reason="unseen"),
        ev.ProcessClosed(process=3, reason="unseen"),
    ]
