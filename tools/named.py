"""Two states compared by names rather than ids: two runs of a system, in one ledger or in two.

A session goes by its label, a process by the units it runs, an endpoint by its kind and topic. UUIDs, pids, times and
seqs say nothing about whether two runs are alike.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ezmsg.ledger.projections.diff import same_fact
from ezmsg.ledger.projections.ownership import Owner
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.tools import documents, names
from ezmsg.ledger.tools.comparison import CAME, CHANGED, LISTED_MAX, WENT, Change
from ezmsg.ledger.tools.documents import Document
from ezmsg.ledger.tools.page import count, listed
from ezmsg.ledger.tools.wording import settings_change, settings_text, value_text

NAMELESS = "a session without a label"


class NamedComparison:
    """What differs from ``a`` to ``b``, by groups, in names alone. Cost: O(both states)."""

    def __init__(self, a: GraphState, b: GraphState) -> None:
        self._a = a
        self._b = b
        self._groups: dict[str, list[Change]] = {
            "edges": self._edges(),
            "sessions": _counted("session", _sessions(a), _sessions(b)),
            "components": self._components(),
            "settings": self._settings(),
            "processes": _counted("process", _processes(a), _processes(b)),
            "endpoints": _counted("endpoint", _endpoints(a), _endpoints(b)),
        }

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(self._groups.values())

    def groups(self) -> list[tuple[str, list[Change]]]:
        """The groups in which something differs, each with a title."""
        return [(f"{name} ({_tally(changes)})", changes) for name, changes in self._groups.items() if changes]

    def document(self) -> Document:
        """Every group by its name, empty ones too: a list of documents with a ``change`` (+ - ~)."""
        return {
            name: [{"change": change.sign, **change.document} for change in changes]
            for name, changes in self._groups.items()
        }

    def _edges(self) -> list[Change]:
        before, after = dict(self._a.ownership.edges()), dict(self._b.ownership.edges())
        changes = []
        for edge in sorted({*before, *after}):
            old, new = _owners(self._a, before.get(edge, ())), _owners(self._b, after.get(edge, ()))
            if old == new:
                continue
            document = {**documents.edge_document(edge), "before": old, "after": new}
            if not old or not new:
                words = f"({', '.join(new)})" if new else f"(held by {', '.join(old)})"
                changes.append(Change(WENT if old else CAME, f"{names.edge(edge)}  {words}", document))
            else:
                text = f"{names.edge(edge)}  (held by {', '.join(old)}, then by {', '.join(new)})"
                changes.append(Change(CHANGED, text, document))
        return changes

    def _components(self) -> list[Change]:
        before, after = _components(self._a), _components(self._b)
        changes = []
        for key in dict.fromkeys((*before, *after)):
            old, new = before.get(key), after.get(key)
            if same_fact(old, new):
                continue
            document = {"component": key, "before": old, "after": new}
            if old is None or new is None:
                changes.append(Change(CAME if old is None else WENT, key, document))
            else:
                fields = [
                    name for name in dict.fromkeys((*old, *new)) if not same_fact(old.get(name), new.get(name))
                ]
                changes.append(Change(CHANGED, f"{key}  changed: {listed(fields, LISTED_MAX)}", document))
        return changes

    def _settings(self) -> list[Change]:
        before, after = self._a.settings, self._b.settings
        changes = []
        for address in dict.fromkeys((*before, *after)):
            old, new = before.get(address), after.get(address)
            if old is not None and new is not None:
                fields = settings_change(old.value, new.value)
                if not fields:
                    continue
                text = "; ".join(f"{name} {value_text(was)} -> {value_text(now)}".strip() for name, was, now in fields)
            else:
                record = new or old
                fields = []
                text = settings_text(record.value) if record is not None else ""
            document = {
                "component": address,
                "before": old and documents.value_document(old.value),
                "after": new and documents.value_document(new.value),
                "fields": [{"field": name, "before": was, "after": now} for name, was, now in fields],
            }
            sign = CHANGED if fields else CAME if old is None else WENT
            changes.append(Change(sign, f"{address}  {text}".rstrip(), document))
        return changes


def _owners(state: GraphState, owners: Iterable[Owner]) -> list[str]:
    return sorted(names.PERSISTENT if owner is None else _label(state, owner) for owner in owners)


def _label(state: GraphState, session: int) -> str:
    label = state.sessions[session].label
    return f'"{label}"' if label else NAMELESS


def _components(state: GraphState) -> dict[str, Any]:
    return {
        key: component
        for registration in state.registrations.values()
        for key, component in registration.components.items()
    }


def _sessions(state: GraphState) -> Counter[str]:
    return Counter(
        f"{_label(state, key)} holding {count(len(state.ownership.held(key)), 'edge')}" for key in state.sessions
    )


def _processes(state: GraphState) -> Counter[str]:
    return Counter(
        f"running {listed(list(record.units), LISTED_MAX)}" if record.units else "running nothing"
        for record in state.processes.values()
    )


def _endpoints(state: GraphState) -> Counter[str]:
    return Counter(
        f"{record.kind} of {names.topic_of(state, record) or 'a topic that is gone'}"
        + (", stalled" if record.stalled else "")
        for record in state.endpoints.values()
    )


def _counted(what: str, before: Counter[str], after: Counter[str]) -> list[Change]:
    """Things without a name of their own: how many of each kind there are."""
    changes = []
    for kind in dict.fromkeys((*before, *after)):
        old, new = before[kind], after[kind]
        if old != new:
            sign = CHANGED if old and new else CAME if new else WENT
            text = f"{what} {kind}" if what != "endpoint" else kind
            number = f"  ({old}, then {new})" if old + new > 1 else ""
            changes.append(Change(sign, text + number, {"what": kind, "before": old, "after": new}))
    return changes


def _tally(changes: list[Change]) -> str:
    tally = {sign: sum(1 for change in changes if change.sign == sign) for sign in (CAME, WENT, CHANGED)}
    return " ".join(f"{sign}{number}" for sign, number in tally.items() if number)
