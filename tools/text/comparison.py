"""Two states side by side, by ids or by names, in people's words and as a document."""

from collections.abc import Callable, Iterable
from operator import eq
from typing import Any

import msgspec

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.records import EndpointRecord, ProcessRecord, SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.diff import differing, same_fact
from ezmsg.ledger.projections.natural_order import natural, natural_edge
from ezmsg.ledger.projections.questions.answers import FieldChange
from ezmsg.ledger.projections.questions.named_diff import GROUPS, NamedChange, NamedDiff
from ezmsg.ledger.projections.questions.settings.components import changed_fields
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text import documents, names
from ezmsg.ledger.tools.text.documents import Document
from ezmsg.ledger.tools.text.phrases import EVERYTHING
from ezmsg.ledger.tools.text.value_text import ITEMS_MAX, arrow_text, settings_change, settings_text

CAME, WENT, CHANGED = "+", "-", "~"

_TONES = {CAME: "add", WENT: "drop", CHANGED: "change"}

ROWS_MAX = 40
"""Lines of one group, unless all are wanted."""

LISTED_MAX = 6
"""Units or fields that one line names."""


class Change(msgspec.Struct, frozen=True):
    """A line: ``sign`` (+ - ~), ``text`` for people ("": not worth a line), ``document`` for programs."""

    sign: str
    text: str
    document: Document


class Changes:
    """Changes in groups, told to people and to programs. Groups come in a fixed order; an empty one is kept."""

    def __init__(self, groups: dict[str, list[Change]]) -> None:
        self._groups = groups

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(self._groups.values())

    def groups(self) -> list[tuple[str, list[Change]]]:
        """The groups in which something changed that has words, each with a title such as ``edges (+2 -1)``."""
        worded = {name: [change for change in changes if change.text] for name, changes in self._groups.items()}
        return [(f"{name} ({_tally(changes)})", changes) for name, changes in worded.items() if changes]

    def document(self) -> Document:
        """Every group by its name, empty ones too: a list of documents with a ``change`` (+ - ~)."""
        return {
            name: [{"change": change.sign, **change.document} for change in changes]
            for name, changes in self._groups.items()
        }


def print_changes(page: Page, changes: Changes, most: int | None, more: str) -> None:
    """Every group below its title; at most ``most`` lines of one (None: all), then how to get the others (``more``)."""
    for title, lines in changes.groups():
        page.line()
        page.line(("head", title))
        page.some([(_TONES[change.sign], f"{change.sign} {change.text}") for change in lines], most, f"more ({more})")


class NamedComparison(Changes):
    """The differences by names: two runs of a system, in one ledger or in two; ``whole``: values and lists uncut.

    Cost: O(difference).
    """

    def __init__(self, diff: NamedDiff, whole: bool = False) -> None:
        super().__init__({group: [_named_change(each, whole) for each in diff.of(group)] for group in GROUPS})


class Comparison(Changes):
    """The differences from state ``a`` to state ``b`` by ids, within one ledger; ``whole``: values and lists uncut.

    Cost: O(both states).
    """

    def __init__(self, a: GraphState, b: GraphState, whole: bool = False) -> None:
        self._a = a
        self._b = b
        self._whole = whole
        self._most = _most(whole)
        super().__init__(
            {
                "graph": self._graph(),
                "edges": self._edges(),
                "sessions": self._records(a.sessions, b.sessions, self._session),
                "components": self._components(),
                "settings": self._settings(),
                "processes": self._records(a.processes, b.processes, self._process),
                "endpoints": self._records(a.endpoints, b.endpoints, self._endpoint),
                "requests": self._records(a.requests, b.requests, self._request),
            }
        )

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
        return [
            self._edge(edge, old or frozenset(), new or frozenset())
            for edge, old, new in sorted(differing(before, after, eq), key=lambda change: natural_edge(change[0]))
        ]

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
        self, before: dict[int, Any], after: dict[int, Any], tell: Callable[[int, Any, Any], Change]
    ) -> list[Change]:
        return [tell(*change) for change in sorted(differing(before, after))]

    def _session(self, key: int, old: Any, new: Any) -> Change:
        record = new or old
        document = documents.session_document(key, record)
        where = f" from {record.peer}" if record.peer and record.label else ""
        if old is None or new is None:
            return Change(CAME if old is None else WENT, names.session_of(key, record) + where, document)
        return Change(CHANGED, f"{names.session_of(key, new)}: the label was {old.label or 'not known'}", document)

    def _components(self) -> list[Change]:
        changes = []
        for key, old, new in differing(_components(self._a), _components(self._b)):
            document: Document = {"component": key}
            for name, state, found in (("before", self._a, old), ("after", self._b, new)):
                document[name] = found and {"session": state.sessions[found[0]].uuid, "metadata": found[1]}
            if old is None:
                changes.append(Change(CAME, f"{key}  {_kind(new[1])}, {names.session(self._b, new[0])}", document))
            elif new is None:
                changes.append(Change(WENT, f"{key}  {_kind(old[1])}, {names.session(self._a, old[0])}", document))
            else:
                changes.append(Change(CHANGED, f"{key}  {self._recast(old, new)}", document))
        return changes

    def _recast(self, old: tuple[int, Any], new: tuple[int, Any]) -> str:
        parts = []
        if old[0] != new[0]:
            parts.append(f"registered by {names.session(self._b, new[0])}, was by {names.session(self._a, old[0])}")
        fields = [name for name, _, _ in differing(old[1], new[1])]
        parts += [f"changed: {listed(fields, self._most)}"] if fields else []
        return "; ".join(parts)

    def _settings(self) -> list[Change]:
        changes = []
        for address, old, new in differing(self._a.settings, self._b.settings, _same_setting):
            document = {
                "component": address,
                "before": old and documents.setting_document(self._a, old),
                "after": new and documents.setting_document(self._b, new),
                "fields": _field_documents([] if old is None or new is None else self._fields(old, new)),
            }
            if old is None or new is None:
                text = _settings_text((new or old).value, self._whole)
                changes.append(Change(CAME if old is None else WENT, text and f"{address}  {text}", document))
            else:
                changes.append(Change(CHANGED, f"{address}  {self._setting(old, new)}", document))
        return changes

    def _setting(self, old: SettingRecord, new: SettingRecord) -> str:
        parts = _fields_text(self._fields(old, new), self._whole) or ["the same values"]
        if (old.process, old.session) != (new.process, new.session):
            now, was = names.source(self._b, new), names.source(self._a, old)
            if now != was:
                parts.append(f"now {now} (was {was})")
        if not same_fact(old.value.settings_schema, new.value.settings_schema):
            parts.append("with another schema")
        return "; ".join(parts)

    def _fields(self, old: SettingRecord, new: SettingRecord) -> list[FieldChange]:
        return settings_change(old.value, new.value, whole=self._whole)

    def _process(self, key: int, old: Any, new: Any) -> Change:
        record: ProcessRecord = new or old
        state = self._b if new is not None else self._a
        document = documents.process_document(key, record)
        name = names.process_of(state, key, record)
        if old is None or new is None:
            units = f": {listed(sorted(record.units, key=natural), self._most)}" if record.units else ""
            return Change(CAME if old is None else WENT, name + units, document)
        came = sorted({*new.units} - {*old.units}, key=natural)
        went = sorted({*old.units} - {*new.units}, key=natural)
        parts = [f"took on {listed(came, self._most)}"] if came else []
        parts += [f"gave up {listed(went, self._most)}"] if went else []
        return Change(CHANGED, f"{name}: {'; '.join(parts) or 'registered'}", {**document, "before": old.units})

    def _endpoint(self, key: int, old: Any, new: Any) -> Change:
        record: EndpointRecord = new or old
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


def _same_setting(old: SettingRecord | None, new: SettingRecord | None) -> bool:
    """Whether what counts is the same: neither the event that set them nor their place among the others."""
    if old is None or new is None:
        return old is new
    return same_fact((old.value, old.session, old.process), (new.value, new.session, new.process))


def _most(whole: bool) -> int:
    return EVERYTHING if whole else LISTED_MAX


def _settings_text(value: SettingsValue, whole: bool) -> str:
    return settings_text(value, None if whole else ITEMS_MAX, whole=whole)


def _fields_text(fields: Iterable[FieldChange], whole: bool) -> list[str]:
    return [arrow_text(each, whole=whole) for each in fields]


def _field_documents(fields: Iterable[FieldChange]) -> list[Document]:
    return [
        {"field": each.path, "before": each.before, "after": each.after, **({"note": each.note} if each.note else {})}
        for each in fields
    ]


# --- by names ---------------------------------------------------------------------------------------------------------

_SINGULAR = {"sessions": "session ", "processes": "process ", "endpoints": ""}


def _named_change(change: NamedChange, whole: bool) -> Change:
    sign = CAME if change.before is None else WENT if change.after is None else CHANGED
    match change.group:
        case "edges":
            return _named_edge(change, sign)
        case "components":
            return _named_component(change, sign, whole)
        case "settings":
            return _named_setting(change, sign, whole)
        case _:
            return _counted(change, sign)


def _named_edge(change: NamedChange, sign: str) -> Change:
    old, new = change.before or [], change.after or []
    document = {**documents.edge_document(change.name), "before": old, "after": new}
    if sign == CHANGED:
        words = f"(held by {', '.join(old)}, then by {', '.join(new)})"
    else:
        words = f"({', '.join(new)})" if new else f"(held by {', '.join(old)})"
    return Change(sign, f"{names.edge(change.name)}  {words}", document)


def _named_component(change: NamedChange, sign: str, whole: bool) -> Change:
    old, new = change.before, change.after
    text = str(change.name)
    if sign == CHANGED:
        text += f"  changed: {listed(changed_fields(old, new), _most(whole))}"
    return Change(sign, text, {"component": change.name, "before": old, "after": new})


def _named_setting(change: NamedChange, sign: str, whole: bool) -> Change:
    old, new = change.before, change.after
    fields: list[FieldChange] = []
    if sign == CHANGED:
        fields = settings_change(old, new, noise=True, whole=whole)
        text = "; ".join(_fields_text(fields, whole)) or "the same fields, but not the same class"
    else:
        text = _settings_text(new or old, whole)
    document = {
        "component": change.name,
        "before": old and documents.value_document(old),
        "after": new and documents.value_document(new),
        "fields": _field_documents(fields),
    }
    return Change(sign, f"{change.name}  {text}".rstrip(), document)


def _counted(change: NamedChange, sign: str) -> Change:
    """Things without a name of their own: how many of each kind there are."""
    old, new = change.before or 0, change.after or 0
    number = f"  ({old}, then {new})" if old + new > 1 else ""
    document = {"what": change.name, "before": old, "after": new}
    kind = "" if str(change.name).startswith("a ") else _SINGULAR[change.group]  # "a session without a label" has one
    return Change(sign, f"{kind}{change.name}{number}", document)
