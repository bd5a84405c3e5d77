"""The lifetimes of all facts but holds on edges, written down by the fold itself.

The idea: a graph state keeps what it knows in tables. The tables here are dicts as well, and tell a journal of each
record that comes and goes. So the rules of the fold stand in one place, and the lifetimes cannot differ from them.
"""

from array import array
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from ezmsg.ledger.projections.graph.records import EndpointRecord, SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.columns import part
from ezmsg.ledger.projections.lifetimes.spans import OPEN

FactKey: TypeAlias = tuple[str, Any]
"""(kind, id or name). Kinds: run, session, registration, component, setting, process, unit, endpoint, stall, request,
paused."""

_encode = msgspec.json.Encoder().encode

_PARTS = ("key", "value", "born", "died")

VALUES_KNOWN = 2**14
"""Values that are looked for before one is written down again: most come back soon, or never."""


class SettingNote(msgspec.Struct, frozen=True, array_like=True):
    """The value that a component had: the structured form where there is one, else what is shown."""

    value: Any
    structured: bool
    process: int | None
    session: int | None


class FactJournal:
    """Columns of facts: ``key`` and ``value`` are places in ``keys`` and among values, ``born`` and ``died`` seqs.

    A fact that ended within the event that made it has born == died: no state ever had it.
    """

    def __init__(self, columns: dict[str, Column], keys: list[FactKey] | None = None) -> None:
        self.seq = 0
        self.key, self.value, self.born, self.died = (columns[f"fact.{name}"] for name in _PARTS)
        self.keys = [] if keys is None else keys
        self.last = array("I", columns["key.last"])
        """For each key, the row of its last fact."""
        self._values, self._ends = columns["values"], columns["value.end"]
        self._key_places = {key: place for place, key in enumerate(self.keys)}
        self._value_places: dict[bytes, int] = {}

    def begin(self, kind: str, name: Any, value: Any, amend: bool = False, rejoin: bool = True) -> None:
        """Note that a fact has come, in place of the one with its key. With ``amend``, that one lives on with a new
        value.

        With ``rejoin``, one that went within this event and is back with the same value never went.
        """
        key = self._key_places.get((kind, name))
        encoded = _encode(value)
        if key is None:
            key = self._key_places[kind, name] = len(self.keys)
            self.keys.append((kind, name))
            self.last.append(len(self.key))
        else:
            row = self.last[key]
            lives = self.died[row] == OPEN
            if lives and (amend or self.born[row] == self.seq):
                self.value[row] = self._place(encoded)
                return
            if lives:
                self.died[row] = self.seq
            elif rejoin and self.died[row] == self.seq and self.written(self.value[row]) == encoded:
                self.died[row] = OPEN
                return
            self.last[key] = len(self.key)
        self.key.append(key)
        self.value.append(self._place(encoded))
        self.born.append(self.seq)
        self.died.append(OPEN)

    def end(self, kind: str, name: Any) -> None:
        """Note that the fact with this key has gone."""
        self.died[self.last[self._key_places[kind, name]]] = self.seq

    def written(self, place: int) -> bytes:
        """The value that was noted at a place, as JSON."""
        return bytes(self._values[part(self._ends, place)])

    def _place(self, value: bytes) -> int:
        place = self._value_places.get(value)
        if place is None:
            if len(self._value_places) >= VALUES_KNOWN:
                self._value_places.clear()
            place = self._value_places[value] = len(self._ends)
            self._values.frombytes(value)
            self._ends.append(len(self._values))
        return place


class Table(dict[Any, Any]):
    """A table of a graph state that tells a journal what comes and goes; ``update`` fills it without telling."""

    rejoins = True

    def __init__(self, journal: FactJournal, kind: str, note: Callable[[Any], Any], amend: bool = False) -> None:
        super().__init__()
        self._journal = journal
        self._kind = kind
        self._note = note
        self._amend = amend

    def __setitem__(self, key: Any, record: Any) -> None:
        self._journal.begin(self._kind, key, self._note(record), self._amends(key, record), self.rejoins)
        super().__setitem__(key, record)

    def _amends(self, key: Any, record: Any) -> bool:
        return self._amend

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._journal.end(self._kind, key)

    def pop(self, key: Any, *default: Any) -> Any:
        if key in self:
            self._journal.end(self._kind, key)
        return super().pop(key, *default)

    def clear(self) -> None:
        for key in list(self):
            del self[key]


class _Registrations(Table):
    rejoins = False


class _Settings(Table):
    rejoins = False

    def _amends(self, key: Any, record: SettingRecord) -> bool:
        before = self.get(key)
        return before is not None and before.since == record.since


class _Endpoints(Table):
    def __setitem__(self, key: Any, record: EndpointRecord) -> None:
        stalled = key in self and self[key].stalled
        super().__setitem__(key, record)
        if record.stalled and not stalled:
            self._journal.begin("stall", key, record.topic)
        elif stalled and not record.stalled:
            self._journal.end("stall", key)

    def __delitem__(self, key: Any) -> None:
        if self[key].stalled:
            self._journal.end("stall", key)
        super().__delitem__(key)


class ObservedState(GraphState):
    """A graph state that keeps a journal of all but its edges."""

    def __init__(self, journal: FactJournal) -> None:
        super().__init__()
        self._journal = journal
        self.runs = Table(journal, "run", lambda r: [r.name, r.kind], True)
        self.sessions = Table(journal, "session", lambda r: [r.label, r.peer, r.uuid], True)
        self.registrations = _Registrations(journal, "registration", lambda _: None)
        self.components = Table(journal, "component", lambda session: session)
        self.settings = _Settings(journal, "setting", _setting_note)
        self.processes = Table(journal, "process", lambda r: [r.pid, r.host, r.peer, r.uuid], True)
        self.units = Table(journal, "unit", lambda process: process)
        self.endpoints = _Endpoints(journal, "endpoint", lambda r: [r.kind, r.topic, r.publisher, r.peer], True)
        self.requests = Table(journal, "request", lambda r: [r.session, r.unit, r.operation, r.process], True)

    def load(self, state: GraphState, tell: bool = False) -> None:
        """Go on from ``state``, which is used up; with ``tell``, the journal is told of all that is in it."""
        for name, held in vars(state).items():
            table = getattr(self, name, None)
            if isinstance(table, Table) and tell:
                for key, record in held.items():
                    table[key] = record
            elif isinstance(table, Table):
                table.update(held)
            else:
                setattr(self, name, held)
        if self.paused and tell:
            self._journal.begin("paused", None, None)

    def _apply_other(self, event: Any) -> None:
        self._journal.seq = event.seq
        paused = self.paused
        super()._apply_other(event)
        if self.paused and not paused:
            self._journal.begin("paused", None, None)
        elif paused and not self.paused:
            self._journal.end("paused", None)


def _setting_note(record: SettingRecord) -> SettingNote:
    structured = record.value.structured_value
    shown = record.value.repr_value if structured is None else structured
    return SettingNote(shown, structured is not None, record.process, record.session)
