"""Bringing a live graph back to a past state: the smallest set of commands, and all that no command can bring back.

The idea: owners that are there at both times are found (by UUID, else by a label that is one session's alone), and the
two graphs are compared hold by hold: who has which edge. What was not there then goes; what is missing comes back, for
the owner that had it, or, where that one is gone and nobody else has the edge, for a session of the server's own. Then
the settings of units that run are compared field by field. Processes, components and sessions are programs: these no
command brings back.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.settings.stored_value import Kept, differ, kept, leaves
from ezmsg.ledger.runtime.client.look import Look
from ezmsg.ledger.runtime.restored import LABEL
from ezmsg.ledger.values import Form, is_map, tag_of, thaw

Holder = str | None
"""A live session's UUID; None is the persistent owner; LABEL a session of the server's own."""


class Rewiring(msgspec.Struct, frozen=True):
    """A hold on an edge that is to come (``connect``) or to go. ``owner``: as Holder; ``name`` is for people."""

    connect: bool
    from_topic: str
    to_topic: str
    owner: Holder
    name: str


class Setting(msgspec.Struct, frozen=True):
    """A field (a dotted path) of a unit's settings that is to have the value ``then`` again, in place of ``now``."""

    unit: str
    field: str
    then: Form
    now: Form


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The commands that lead from a look at a live graph to a past state, in their order.

    ``cannot``: what no command brings back, each with the reason. ``notes``: what will differ all the same.
    """

    rewirings: list[Rewiring]
    settings: list[Setting]
    cannot: list[str]
    notes: list[str]

    @property
    def commands(self) -> int:
        return len(self.rewirings) + len(self.settings)


def plan(past: GraphState, live: Look, *, recorder: bool) -> Plan:
    """The smallest set of commands that leads from ``live`` to ``past``.

    ``recorder``: the server is one of ours, which changes the holds of any session when it is asked to; ezmsg's own
    changes only those of the persistent owner. Cost: O(both).

    >>> from ezmsg.ledger import Ledger
    >>> from ezmsg.ledger.runtime import LiveGraph
    >>> from ezmsg.ledger.runtime.client.look import Look
    >>> graph = LiveGraph(Ledger.memory())
    >>> _ = graph.connect("A", "B")
    >>> now = Look(edges={("A", "C"): frozenset([None])}, sessions=(), registrations={}, processes={}, settings={})
    >>> [(each.connect, each.to_topic) for each in plan(graph.state, now, recorder=True).rewirings]
    [(False, 'C'), (True, 'B')]
    """
    owners = _same_sessions(past, live)
    then = _holds(past, owners)
    missing = [_session(past, key) for key in past.sessions if key not in owners]
    cannot: list[str] = []
    rewirings = list(_rewirings(past, then, live))
    if not recorder:
        rewirings = list(_by_anybody(rewirings, live, cannot))
    unknown = set(live.sessions) - set(owners.values())
    notes = [f"{name} is not there: an edge that it alone held goes to the session {LABEL!r}" for name in missing]
    if not recorder:
        notes = [f"{name} is not there: an edge that it alone held becomes persistent" for name in missing]
    notes += [f"{_live_session(live, uuid)} was not there then, and stays" for uuid in sorted(unknown)]
    settings = list(_settings(past, live, cannot))
    return Plan(rewirings=rewirings, settings=settings, cannot=[*_units(past, live), *cannot], notes=notes)


# --- sessions --------------------------------------------------------------------------------------------------------


def _same_sessions(past: GraphState, live: Look) -> dict[int, str]:
    """The UUIDs of live sessions that stand for past ones, by these: the same ones, else the only ones of a label."""
    found = {key: record.uuid for key, record in past.sessions.items() if record.uuid in live.sessions}
    labels = {uuid: label for uuid, label in live.labels.items() if uuid not in found.values()}
    then = {key: record.label for key, record in past.sessions.items() if key not in found and record.label}
    times_now, times_then = Counter(labels.values()), Counter(then.values())
    once_now = {label: uuid for uuid, label in labels.items() if times_now[label] == 1}
    return found | {
        key: once_now[label] for key, label in then.items() if label in once_now and times_then[label] == 1
    }


def _session(past: GraphState, key: int) -> str:
    record = past.sessions[key]
    return f'session {key} "{record.label}"' if record.label else f"session {key}"


def _live_session(live: Look, uuid: str) -> str:
    label = live.labels.get(uuid)
    return f'session "{label}" ({uuid})' if label else f"session {uuid}"


def _name(live: Look, owner: Holder) -> str:
    if owner is None or owner == LABEL:
        return LABEL if owner else "persistent"
    return _live_session(live, owner)


# --- edges -----------------------------------------------------------------------------------------------------------


def _holds(past: GraphState, owners: dict[int, str]) -> dict[EdgeKey, set[Holder]]:
    """The live holders that each past edge should have; none where all of its owners are gone."""
    return {
        edge: {None if owner is None else owners[owner] for owner in held if owner is None or owner in owners}
        for edge, held in past.ownership.edges()
    }


def _rewirings(past: GraphState, then: dict[EdgeKey, set[Holder]], live: Look) -> Iterator[Rewiring]:
    """First what goes, then what comes, in the order in which the topics of the past had come."""
    for edge, held in sorted(live.edges.items()):
        wanted = then.get(edge)
        if wanted is None:
            going: Iterable[Holder] = held
        elif wanted:
            going = held - wanted
        else:  # its owners are gone: whoever holds it now may
            going = ()
        for owner in sorted(going, key=lambda each: each or ""):
            yield Rewiring(False, *edge, owner, _name(live, owner))
    born = {topic: node.born for topic, node in past.ownership.nodes.items()}
    for edge, wanted in sorted(then.items(), key=lambda item: (max(born[topic] for topic in item[0]), item[0])):
        held = live.edges.get(edge, frozenset())
        coming = wanted - held if wanted else set() if held else {LABEL}
        for owner in sorted(coming, key=lambda each: each or ""):
            yield Rewiring(True, *edge, owner, _name(live, owner))


def _by_anybody(rewirings: list[Rewiring], live: Look, cannot: list[str]) -> Iterator[Rewiring]:
    """The commands that ezmsg's own server takes from anybody, of all ``rewirings``; others are told in ``cannot``."""
    added: set[EdgeKey] = set()
    for each in rewirings:
        edge = each.from_topic, each.to_topic
        if each.owner is None:
            added |= {edge} if each.connect else set()
            yield each
        elif not each.connect:
            cannot.append(f"{edge[0]} -> {edge[1]} is held by {each.name}, which alone can give it up here")
        elif edge in live.edges or edge in added:
            cannot.append(f"{edge[0]} -> {edge[1]} is there, but {each.name} cannot be made its owner here")
        else:
            added.add(edge)
            yield Rewiring(True, *edge, None, "persistent")


# --- units and settings ----------------------------------------------------------------------------------------------


def _units(past: GraphState, live: Look) -> Iterator[str]:
    for unit in sorted(past.units.keys() - live.units.keys()):
        yield f"unit {unit} ran then and does not run now"
    for unit in sorted(live.units.keys() - past.units.keys()):
        yield f"unit {unit} runs now and did not run then"


def _settings(past: GraphState, live: Look, cannot: list[str]) -> Iterator[Setting]:
    for address, setting in sorted(past.settings.items()):
        now = live.settings.get(address)
        if now is None:
            if address in live.units:
                cannot.append(f"{address} has no settings now: nobody has registered it")
            continue
        found = list(_fields(address, setting.value, now, cannot))
        if found and address not in live.units:
            cannot.append(f"the settings of {address} differ, and no process runs it")
        else:
            yield from found


def _fields(address: str, then: SettingsValue, now: SettingsValue, cannot: list[str]) -> Iterator[Setting]:
    before, after = leaves(kept(then)), leaves(kept(now))
    for path in dict.fromkeys([*before, *after]):
        if path not in before or path not in after:
            cannot.append(f"{address} has other settings than then: {path or 'its fields'} is in one of them alone")
        elif differ(after[path], before[path]) is not None:
            if path == "" or not _can_be_sent(before[path]):
                cannot.append(f"{address}: the value that {path or 'it'} had then cannot be sent: {_why(before[path])}")
            else:
                yield Setting(address, path, before[path].form, after[path].form)


def _can_be_sent(value: Kept) -> bool:
    """Whether a value is what its form says, so that a unit that gets it has what it had then."""
    if value.array is not None:
        return False
    try:
        thaw(value.form)
    except InvalidValue:
        return False
    return tag_of(value.form) != "o" and not is_map(value.form)


def _why(value: Kept) -> str:
    return f"it is an array, {value.array.kind}" if value.array is not None else "it is not a plain value"
