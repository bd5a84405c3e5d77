"""Two states compared by names rather than ids: two runs of a system, in one ledger or in two.

A session goes by its label, a process by the units it runs, an endpoint by its kind and topic. UUIDs, pids, times and
seqs say nothing about whether two runs are alike. Neither do addresses of objects, the order of sets, or how a value is
shown: settings are compared as the values that they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ezmsg.ledger.projections.graph.ownership import Owner
from ezmsg.ledger.projections.graph.records import ProcessRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.diff import differing, same_fact
from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.projections.natural_order import natural, natural_edge
from ezmsg.ledger.projections.questions.answers import Answer
from ezmsg.ledger.projections.questions.settings.components import same_component
from ezmsg.ledger.projections.questions.settings.stored_value import same_settings

NAMELESS = "a session without a label"


class NamedChange(Answer, frozen=True):
    """A difference of the second state; ``before`` or ``after`` is None where the thing is not there at all.

    ``name``: an edge as ``[from, to]``, with the names of its owners; the address of a component, with its metadata, or
    of a setting, with its value; or a kind of session, process or endpoint, with how many there are.
    """

    group: str
    name: Any
    before: Any
    after: Any

    def __repr__(self) -> str:
        return f"<{self.group} {self.name}: {self.before!r} -> {self.after!r}>"


class NamedDiff(Answer, frozen=True):
    """The differences by names, in the order of GROUPS. False without any."""

    changes: list[NamedChange]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, group: str) -> list[NamedChange]:
        """The changes of one of GROUPS."""
        return [change for change in self.changes if change.group == group]

    def __repr__(self) -> str:
        tally = Counter(change.group for change in self.changes)
        return f"<{', '.join(f'{number} {group}' for group, number in tally.items()) or 'no difference'}>"


GROUPS = ("edges", "sessions", "components", "settings", "processes", "endpoints")


def compare(a: GraphState, b: GraphState) -> NamedDiff:
    """The differences from ``a`` to ``b``, in names alone. Cost: O(both states)."""
    before, after = _named(a), _named(b)
    return NamedDiff([change for group in GROUPS for change in _changes(group, before[group], after[group])])


def _changes(group: str, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterable[NamedChange]:
    found = differing(before, after, partial(_alike, group))
    for change in sorted(found, key=lambda change: natural_edge(change[0])) if group == "edges" else found:
        yield NamedChange(group, *change)


def _alike(group: str, old: Any, new: Any) -> bool:
    if old is None or new is None:
        return old is new
    if group == "settings":
        return same_settings(old, new, noise=True)
    if group == "components":
        return same_component(old, new)
    return same_fact(old, new)


def _named(state: GraphState) -> dict[str, Mapping[Any, Any]]:
    return {
        "edges": {edge: _owners(state, owners) for edge, owners in state.ownership.edges()},
        "sessions": Counter(f"{_label(state, key)} holding {_edges(state, key)}" for key in state.sessions),
        "components": {
            address: component
            for registration in state.registrations.values()
            for address, component in registration.components.items()
        },
        "settings": {address: setting.value for address, setting in state.settings.items()},
        "processes": Counter(f"running {_units(each)}" for each in state.processes.values()),
        "endpoints": Counter(_endpoint(state, key) for key in state.endpoints),
    }


def _owners(state: GraphState, owners: Iterable[Owner]) -> list[str]:
    return sorted((PERSISTENT if owner is None else _label(state, owner) for owner in owners), key=natural)


def _label(state: GraphState, session: int) -> str:
    label = state.sessions[session].label
    return f'"{label}"' if label else NAMELESS


def _units(process: ProcessRecord) -> str:
    return ", ".join(sorted(process.units, key=natural)) or "nothing"


def _edges(state: GraphState, session: int) -> str:
    number = len(state.ownership.held(session))
    return f"{number:,} edge{'' if number == 1 else 's'}"


def _endpoint(state: GraphState, key: int) -> str:
    record = state.endpoints[key]
    return f"{record.kind} of {state.topic_of(key) or 'a topic that is gone'}{', stalled' if record.stalled else ''}"
