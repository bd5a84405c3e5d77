"""The lifetimes of all facts but holds on edges, written down by the fold itself.

The idea: a graph state keeps what it knows in tables. The tables here are dicts as well, and tell a journal of each
record that comes and goes. So the rules of the fold stand in one place, and the lifetimes cannot differ from them.
"""

from array import array
from collections.abc import Callable
from itertools import repeat
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from ezmsg.ledger.projections.graph.records import EndpointRecord, SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.columns import part
from ezmsg.ledger.projections.lifetimes.held_edges import HeldEdges
from ezmsg.ledger.projections.lifetimes.spans import OPEN

FactKey: TypeAlias = tuple[str, Any]
"""(kind, id or name). Kinds: run, session, registration, component, setting, process, unit, endpoint, stall, request,
paused."""

_encoder = msgspec.json.Encoder()
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines
_since_of = attrgetter("since")

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

    A fact that ended within the event that made it has born == died: no state ever had it. Rows are put at the very
    ends of the columns; ``settle`` is called after each batch of events. Settings that follow others wait until then,
    or until another fact comes or goes: of a driven rig they are nearly all, and written together they cost half.
    """

    def __init__(self, columns: dict[str, Column], keys: list[FactKey] | None = None) -> None:
        self.seq = 0
        self.key, self.value, self.born, self.died = (columns[f"fact.{name}"] for name in _PARTS)
        self.keys = [] if keys is None else keys
        self.last = array("I", columns["key.last"])
        """For each key, the row of its last fact."""
        self._values, self._ends = columns["values"], columns["value.end"]
        self._growing = (self.key, self.value, self.born, self.died, self._values, self._ends)
        tails = [column.grow() for column in self._growing]
        self._put_key, self._put_value, self._put_born, self._put_died = (tail.append for tail in tails[:4])
        self._put_bytes, self._put_end = tails[4].frombytes, tails[5].append
        self._size, self._count, self._rows = len(self._values), len(self._ends), len(self.key)
        self._key_places = {key: place for place, key in enumerate(self.keys)}
        self._value_places: dict[bytes, int] = {}
        self.waiting: list[Any] = []
        """Settings that came in place of others, and are in no column yet: of each its name and its record."""

    def begin(self, kind: str, name: Any, value: Any, amend: bool = False, rejoin: bool = True) -> None:
        """Note that a fact has come, in place of the one with its key. With ``amend``, that one lives on with a new
        value.

        With ``rejoin``, one that went within this event and is back with the same value never went.
        """
        if self.waiting:
            self._write_waiting()
        key = self._key_places.get((kind, name))
        encoded = _encode(value)
        seq = self.seq
        if key is None:
            key = self._key_places[kind, name] = len(self.keys)
            self.keys.append((kind, name))
            self.last.append(self._rows)
        else:
            row, died = self.last[key], self.died
            at = row - died.fixed
            end = died.tail[at] if at >= 0 else died[row]
            if end == OPEN:
                if amend or self.born[row] == seq:
                    self.value[row] = self._place(encoded)
                    return
                if at >= 0:
                    died.tail[at] = seq
                else:
                    died[row] = seq
            elif rejoin and end == seq and self.written(self.value[row]) == encoded:
                died[row] = OPEN
                return
            self.last[key] = self._rows
        self._rows += 1
        self._put_key(key)
        self._put_value(self._place(encoded))
        self._put_born(seq)
        self._put_died(OPEN)

    def end(self, kind: str, name: Any) -> None:
        """Note that the fact with this key has gone."""
        if self.waiting:
            self._write_waiting()
        self.died[self.last[self._key_places[kind, name]]] = self.seq

    def _write_waiting(self) -> None:
        names, records = self.waiting[::2], self.waiting[1::2]
        self.waiting.clear()
        values = _encode_lines(map(_setting_note, records)).split(b"\n")
        keys = list(map(self._key_places.__getitem__, zip(repeat("setting"), names)))
        seqs = list(map(_since_of, records))
        died, last, first = self.died, self.last, self._rows
        self._rows += len(names)
        self.key.tail.fromlist(keys)
        self.born.tail.fromlist(seqs)
        self.value.tail.fromlist(list(map(self._place, values[:-1])))
        died.tail.extend(array("q", (OPEN,)) * len(names))
        for row, key, seq in zip(range(first, self._rows), keys, seqs, strict=True):
            at = last[key] - died.fixed
            if at >= 0:
                died.tail[at] = seq
            else:
                died[last[key]] = seq
            last[key] = row

    def written(self, place: int) -> bytes:
        """The value that was noted at a place, as JSON."""
        return bytes(self._values[part(self._ends, place)])

    def _place(self, value: bytes) -> int:
        place = self._value_places.get(value)
        if place is None:
            if len(self._value_places) >= VALUES_KNOWN:
                self._value_places.clear()
            place = self._value_places[value] = self._count
            self._count += 1
            self._size += len(value)
            self._put_bytes(value)
            self._put_end(self._size)
        return place

    def settle(self) -> None:
        """Cut whole blocks off the ends of the columns."""
        if self.waiting:
            self._write_waiting()
        for column in self._growing:
            column.settle()


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
        self._journal.begin(self._kind, key, self._note(record), self._amend, self.rejoins)
        super().__setitem__(key, record)

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
    def __setitem__(self, key: Any, record: SettingRecord) -> None:
        before = self.get(key)
        if before is None or before.since == record.since:
            self._journal.begin("setting", key, _setting_note(record), before is not None, False)
        else:
            self._journal.waiting += (key, record)
        dict.__setitem__(self, key, record)


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
    """A graph state whose facts are told to a journal, and whose edges write themselves down.

    ``passed`` are the events that it was given which are not about edges, since somebody cleared it.
    """

    def __init__(self, journal: FactJournal, edges: HeldEdges) -> None:
        super().__init__()
        self._journal = journal
        self.ownership: HeldEdges = edges
        self.passed: list[Any] = []
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
        """Go on from ``state``, which is used up, but for its edges; with ``tell``, the journal is told of all that is
        in it."""
        for name, held in vars(state).items():
            table = getattr(self, name, None)
            if isinstance(table, Table) and tell:
                for key, record in held.items():
                    table[key] = record
            elif isinstance(table, Table):
                table.update(held)
            elif name != "ownership":
                setattr(self, name, held)
        if self.paused and tell:
            self._journal.begin("paused", None, None)

    def _apply_other(self, event: Any) -> None:
        self._journal.seq = self.ownership.seq = event.seq
        paused = self.paused
        super()._apply_other(event)
        self.passed.append(event)
        if self.paused and not paused:
            self._journal.begin("paused", None, None)
        elif paused and not self.paused:
            self._journal.end("paused", None)


def _setting_note(record: SettingRecord) -> SettingNote:
    value = record.value
    structured = value.structured_value
    if structured is None:
        return SettingNote(value.repr_value, False, record.process, record.session)
    return SettingNote(structured, True, record.process, record.session)
