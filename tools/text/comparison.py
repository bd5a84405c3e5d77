"""Two states side by side, in people's words and as a document."""

from collections.abc import Callable
from typing import Any

import msgspec

from ezmsg.ledger.projections.graph.diff import same_fact
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.records import EndpointRecord, ProcessRecord, SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.page import listed
from ezmsg.ledger.tools.text import documents, names
from ezmsg.ledger.tools.text.documents import Document
from ezmsg.ledger.tools.text.value_text import settings_change, settings_text, value_text

CAME, WENT, CHANGED = "+", "-", "~"

LISTED_MAX = 6
"""Units or fields that one line names."""


class Change(msgspec.Struct, frozen=True):
    """One line: ``sign`` (+ - ~), ``text`` for people ("": not worth a line), ``document`` for programs."""

    sign: str
    text: str
    document: Document


class Comparison:
    """What differs from ``a`` to ``b``, by groups. Cost: O(both states)."""

    def __init__(self, a: GraphState, b: GraphState) -> None:
        self._a = a
        self._b = b
        self._groups: dict[str, list[Change]] = {
            "graph": self._graph(),
            "edges": self._edges(),
            "sessions": self._records("session", a.sessions, b.sessions, self._session),
            "components": self._components(),
            "settings": self._settings(),
            "processes": self._records("process", a.processes, b.processes, self._process),
            "endpoints": self._records("endpoint", a.endpoints, b.endpoints, self._endpoint),
            "requests": self._records("request", a.requests, b.requests, self._request),
        }

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(self._groups.values())

    def groups(self) -> list[tuple[str, list[Change]]]:
        """The groups in which something changed that has words, each with a title."""
        worded = {name: [change for change in changes if change.text] for name, changes in self._groups.items()}
        return [(f"{name} ({_tally(changes)})", changes) for name, changes in worded.items() if changes]

    def document(self) -> Document:
        """Every group by its name, empty ones too: a list of documents with a ``change`` (+ - ~)."""
        return {
            name: [{"change": change.sign, **change.document} for change in changes]
            for name, changes in self._groups.items()
        }

    # --- groups ------------------------------------------------------------------------------------------------------

    def _graph(self) -> list[Change]:
        changes = []
        for state, sign in ((self._a, WENT), (self._b, CAME)):
            other = self._b if state is self._a else self._a
            for key, record in state.runs.items():
                if key not in other.runs:
                    text = f'run of "{record.name}" on {record.host} (pid {record.pid}), started at seq {key}'
                    changes.append(Change(sign, text, {"what": "run", "id": key, "name": record.name}))
        if self._a.paused != self._b.paused:
            text = "paused" if self._b.paused else "no longer paused"
            changes.append(Change(CHANGED, text, {"what": "paused", "before": self._a.paused, "after": self._b.paused}))
        return changes

    def _edges(self) -> list[Change]:
        before, after = dict(self._a.ownership.edges()), dict(self._b.ownership.edges())
        changes = []
        for edge in sorted({*before, *after}):
            old, new = before.get(edge, frozenset()), after.get(edge, frozenset())
            if old != new:
                changes.append(self._edge(edge, old, new))
        return changes

    def _edge(self, edge: EdgeKey, old: frozenset[Owner], new: frozenset[Owner]) -> Change:
        document = {
            **documents.edge_document(edge),
            "before": documents.owner_documents(self._a, old),
            "after": documents.owner_documents(self._b, new),
        }
        if not old:
            return Change(CAME, f"{names.edge(edge)}  ({names.owners(self._b, new)})", document)
        if not new:
            return Change(WENT, f"{names.edge(edge)}  (was held by {names.owners(self._a, old)})", document)
        parts = [f"now also {names.owners(self._b, new - old)}"] if new - old else []
        parts += [f"no longer {names.owners(self._a, old - new)}"] if old - new else []
        stay = f", still {names.owners(self._b, old & new)}" if old & new else ""
        return Change(CHANGED, f"{names.edge(edge)}  (held by: {', '.join(parts)}{stay})", document)

    def _records(
        self, what: str, before: dict[int, Any], after: dict[int, Any], tell: Callable[[int, Any, Any], Change | None]
    ) -> list[Change]:
        changes = []
        for key in sorted({*before, *after}):
            old, new = before.get(key), after.get(key)
            if not same_fact(old, new) and (change := tell(key, old, new)) is not None:
                changes.append(change)
        return changes

    def _session(self, key: int, old: Any, new: Any) -> Change:
        record = new or old
        document = documents.session_document(key, record)
        where = f" from {record.peer}" if record.peer and record.label else ""
        if old is None or new is None:
            return Change(CAME if old is None else WENT, names.session_of(key, record) + where, document)
        return Change(CHANGED, f"{names.session_of(key, new)}: the label was {old.label or 'not known'}", document)

    def _components(self) -> list[Change]:
        before, after = _components(self._a), _components(self._b)
        changes = []
        for key in dict.fromkeys((*before, *after)):
            old, new = before.get(key), after.get(key)
            if same_fact(old, new):
                continue
            document: Document = {"component": key}
            for name, state, found in (("before", self._a, old), ("after", self._b, new)):
                document[name] = found and {"session": state.sessions[found[0]].uuid, "metadata": found[1]}
            if old is None and new is not None:
                changes.append(Change(CAME, f"{key}  {_kind(new[1])}, {names.session(self._b, new[0])}", document))
            elif new is None and old is not None:
                changes.append(Change(WENT, f"{key}  {_kind(old[1])}, {names.session(self._a, old[0])}", document))
            elif old is not None and new is not None:
                changes.append(Change(CHANGED, f"{key}  {self._recast(old, new)}", document))
        return changes

    def _recast(self, old: tuple[int, Any], new: tuple[int, Any]) -> str:
        parts = []
        if old[0] != new[0]:
            parts.append(f"registered by {names.session(self._b, new[0])}, was by {names.session(self._a, old[0])}")
        fields = [
            name for name in dict.fromkeys((*old[1], *new[1])) if not same_fact(old[1].get(name), new[1].get(name))
        ]
        parts += [f"changed: {listed(fields, LISTED_MAX)}"] if fields else []
        return "; ".join(parts)

    def _settings(self) -> list[Change]:
        before, after = self._a.settings, self._b.settings
        changes = []
        for address in dict.fromkeys((*before, *after)):
            old, new = before.get(address), after.get(address)
            if same_fact(_in_force(old), _in_force(new)):
                continue
            document = {
                "component": address,
                "before": old and documents.setting_document(self._a, old),
                "after": new and documents.setting_document(self._b, new),
                "fields": _fields(old, new),
            }
            if old is None or new is None:
                record = new or old
                text = settings_text(record.value) if record is not None else ""
                changes.append(Change(CAME if old is None else WENT, text and f"{address}  {text}", document))
            else:
                changes.append(Change(CHANGED, f"{address}  {self._setting(old, new)}", document))
        return changes

    def _setting(self, old: SettingRecord, new: SettingRecord) -> str:
        fields = [f"{name} {value_text(was)} -> {value_text(now)}".strip()
                  for name, was, now in settings_change(old.value, new.value)]  # fmt: skip
        parts = fields or ["the same values"]
        if (old.process, old.session) != (new.process, new.session):
            now, was = _source(self._b, new), _source(self._a, old)
            if now != was:
                parts.append(f"now {now} (was {was})")
        if not same_fact(old.value.settings_schema, new.value.settings_schema):
            parts.append("with another schema")
        return "; ".join(parts)

    def _process(self, key: int, old: ProcessRecord | None, new: ProcessRecord | None) -> Change:
        record = new or old
        assert record is not None
        state = self._b if new is not None else self._a
        document = documents.process_document(key, record)
        name = names.process_of(state, key, record)
        if old is None or new is None:
            units = f": {listed(list(record.units), LISTED_MAX)}" if record.units else ""
            return Change(CAME if old is None else WENT, name + units, document)
        came = [unit for unit in new.units if unit not in old.units]
        went = [unit for unit in old.units if unit not in new.units]
        parts = [f"took on {listed(came, LISTED_MAX)}"] if came else []
        parts += [f"gave up {listed(went, LISTED_MAX)}"] if went else []
        return Change(CHANGED, f"{name}: {'; '.join(parts) or 'registered'}", {**document, "before": old.units})

    def _endpoint(self, key: int, old: EndpointRecord | None, new: EndpointRecord | None) -> Change:
        record = new or old
        assert record is not None
        state = self._b if new is not None else self._a
        document = documents.endpoint_document(key, record)
        name = names.endpoint_of(state, key, record)
        if old is None or new is None:
            at = record.advertised or record.peer
            return Change(CAME if old is None else WENT, f"{name}{f'  {at}' if at else ''}", document)
        return Change(CHANGED, f"{name}: {'stalled' if new.stalled else 'no longer stalled'}", document)

    def _request(self, key: int, old: Any, new: Any) -> Change:
        record = new or old
        text = f"request {key}: {record.operation} on {record.unit}"
        document = {"id": key, "uuid": record.uuid, "unit": record.unit, "operation": record.operation}
        return Change(CAME if old is None else WENT, text, document)


def _tally(changes: list[Change]) -> str:
    """``+3 -1 ~2``."""
    tally = {sign: sum(1 for change in changes if change.sign == sign) for sign in (CAME, WENT, CHANGED)}
    return " ".join(f"{sign}{number}" for sign, number in tally.items() if number)


def _components(state: GraphState) -> dict[str, tuple[int, Any]]:
    return {
        key: (session, component)
        for session, registration in state.registrations.items()
        for key, component in registration.components.items()
    }


def _kind(component: Any) -> str:
    kind = str(component.get("component_type", "")).rpartition(".")[2]
    return f"{kind} ({'unit' if component.get('$') == 'UnitMetadata' else 'collection'})"


def _in_force(setting: SettingRecord | None) -> Any:
    """What counts of a setting: neither the event that set it nor its place among the others."""
    return None if setting is None else (setting.value, setting.session, setting.process)


def _fields(old: SettingRecord | None, new: SettingRecord | None) -> list[Document]:
    if old is None or new is None:
        return []
    return [{"field": name, "before": was, "after": now} for name, was, now in settings_change(old.value, new.value)]


def _source(state: GraphState, setting: SettingRecord) -> str:
    if setting.process is not None:
        return f"reported by {names.process(state, setting.process)}"
    return "initial"
