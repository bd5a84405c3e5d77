"""Every fact about the graph as a stretch of seqs: from the event that made it to the one that ended it.

The idea: history is kept as columns of numbers, one row for each fact. The state of the edges after seq N is the rows
whose stretch contains N: those that were open at the last note before N and have not died, and those born since. The
holds of one edge are a chain: each names the one before it. In an index file the blocks of the columns lie as they are
in memory, so opening one maps it, and a question reads only what it needs.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

import msgspec

from ezmsg.ledger.projections.graph import checkpoint
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.builder import Builder
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.columns import (
    CODES,
    FACTS,
    PERSISTENT,
    WHOLE,
    Fact,
    Hold,
    empty,
    part,
    stretches,
)
from ezmsg.ledger.projections.lifetimes.fact_journal import FactJournal, FactKey
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives
from ezmsg.ledger.projections.lifetimes.spans import Spans

SETTING = "setting"
"""The kind of the facts that a settings value in force is."""

PASS_SHARE = 8
"""When more edges than one of so many are asked about, one pass over all holds is faster than their chains."""

_encoder = msgspec.json.Encoder()
_topic_lines = msgspec.json.Decoder(str)
_key_lines = msgspec.json.Decoder(tuple[str, Any])


class Lifetimes:
    """The lifetimes of all facts of a ledger up to ``seq``. Applying an event costs about as much as folding it twice.

    ``source`` gives the columns of an index file by name, when they are first asked for.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import fold
    >>> edge, ledger = {"from_topic": "A", "to_topic": "B", "owner": None}, Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(**edge), events.EdgeDisconnected(**edge), events.EdgeConnected(**edge)])
    >>> fold(ledger.read(), Lifetimes()).holds_on(("A", "B"))[0]
    Hold(edge=('A', 'B'), owner=None, born=1, died=2)
    """

    def __init__(self, source: Callable[[str], Column] | None = None, seq: int = 0) -> None:
        self.seq = seq
        self._source = source
        self._columns: dict[str, Column] = {}
        self._topics: list[str] | None = None
        self._places: dict[str, int] | None = None
        self._landmarks: Landmarks | None = None
        self._edges: list[EdgeKey] = []
        self._edge_places: dict[EdgeKey, int] | None = None
        self._keys: list[FactKey] | None = None
        self._written = (0, 0)  # topics and keys that are in their columns
        self._builder: Builder | None = None
        self._chains: tuple[Column, Column, Column] | None = None
        self._plain = array("I")  # rows of facts that are not settings, of the first so many facts
        self._plain_of = 0
        self._plain_keys: list[bool] = []  # for each key whether it is one of these; a list is read fastest
        if source is None:
            self._columns, self._topics, self._keys = empty(), [], []
            self._landmarks = Landmarks(self._columns["stack.time"], self._columns["stack.seq"])
            journal = FactJournal(self._columns, self._keys)
            self._builder = Builder(self._columns, self._topics, self._landmarks, SessionLives(), journal)

    # --- columns -----------------------------------------------------------------------------------------------------

    def column(self, name: str) -> Column:
        """The column of this name, one of CODES."""
        found = self._columns.get(name)
        if found is None:
            assert self._source is not None
            found = self._columns[name] = self._source(name)
        return found

    def checked(self) -> "Lifetimes":
        """Return the lifetimes, when every block of their index is sound. Raises DamagedIndex. Cost: O(bytes), once."""
        if self._source is not None:
            for name in CODES:
                self.column(name).check()
        return self

    @property
    def topics(self) -> list[str]:
        """Every topic that an edge ever had, in the order in which they came."""
        if self._topics is None:
            self._topics = _topic_lines.decode_lines(self.column("topics")[:])
        return self._topics

    @property
    def landmarks(self) -> Landmarks:
        """Runs, sessions, marks and times."""
        if self._landmarks is None:
            data = bytes(self.column("landmarks")[:])
            self._landmarks = Landmarks.load(data, self.column("stack.time"), self.column("stack.seq"), self.seq)
        return self._landmarks

    @property
    def keys(self) -> list[FactKey]:
        """Kind and name of every fact that is not a hold."""
        if self._keys is None:
            self._keys = _key_lines.decode_lines(self.column("keys")[:])
        return self._keys

    def value(self, place: int) -> Any:
        """The note of a fact, by the place that its row of ``fact.value`` has."""
        return msgspec.json.decode(self.column("values")[part(self.column("value.end"), place)])

    # --- edges -------------------------------------------------------------------------------------------------------

    def holds_at(self, seq: int) -> list[int]:
        """The rows of the holds that stand after event ``seq``. Cost: O(what stands + NOTE_EVERY), 0.5 ms for 4,000."""
        seqs, died = self.column("note.seq"), self.column("hold.died")
        note = bisect_right(seqs, seq) - 1
        rows: list[int] = []
        noted = 0
        if note >= 0:
            known = self.column("note.hold")[part(self.column("note.end"), note)]
            rows = list(compress(known, map(seq.__lt__, died.take(known))))
            noted = seqs[note]
        born = self.column("hold.born")
        first = bisect_right(born, noted)
        last = bisect_right(born, seq, first)
        rows += compress(range(first, last), map(seq.__lt__, died[first:last]))
        return rows

    def edges_at(self, seq: int) -> dict[EdgeKey, tuple[Owner, ...]]:
        """Every edge after event ``seq``, with its owners. In no particular order. Cost: that of ``holds_at``."""
        rows = self.holds_at(seq)
        edge, owner = self.column("hold.edge"), self.column("hold.owner")
        table: dict[int, Any] = {}
        alone: dict[int, tuple[Owner, ...]] = {PERSISTENT: (None,)}  # one object per owner: most edges have but one
        for place, held_by in zip(edge.take(rows), owner.take(rows), strict=True):
            single = alone.get(held_by)
            if single is None:
                single = alone[held_by] = (held_by,)
            if place in table:
                table[place] += single
            else:
                table[place] = single
        return dict(zip(map(self.edges().__getitem__, table), table.values(), strict=True))

    def place_of(self, edge: EdgeKey) -> int | None:
        """The place of an edge that ever was; None for any other. Cost: O(edges) the first time."""
        if self._builder is not None:
            return self._builder.edges.edge_places.get(edge[0], {}).get(edge[1])
        if self._edge_places is None:
            self._edge_places = {each: place for place, each in enumerate(self.edges())}
        return self._edge_places.get(edge)

    def is_topic(self, name: str) -> bool:
        """Whether any edge ever touched this topic. Cost: O(topics) the first time."""
        return name in self._topic_places()

    def _topic_places(self) -> dict[str, int]:
        if self._builder is not None:
            return self._builder.edges.places
        if self._places is None:
            self._places = {topic: place for place, topic in enumerate(self.topics)}
        return self._places

    def has_edge(self, edge: EdgeKey, seq: int) -> bool:
        """Whether anyone held ``edge`` after event ``seq``. Cost: O(holds on it since)."""
        place = self.place_of(edge)
        if place is None:
            return False
        born, died, before = self._chains or self._chain_columns()
        births, fixed, shift = born.at_hand()
        befores, fixed_befores, _ = before.at_hand()
        fixed = min(fixed, fixed_befores)
        mask = (1 << shift) - 1
        row = self._last(place) - 1
        while row >= 0:
            if row >= fixed:
                began, number_before = born[row], before[row]
            else:  # the loop goes where it finds the blocks: a call for each value costs more than all that it does
                number, at = row >> shift, row & mask
                began = (births[number] or born.block(number))[at]
                number_before = (befores[number] or before.block(number))[at]
            if began <= seq:
                if seq < died[row]:
                    return True
                if number_before <= 0:  # nobody held it when this hold came
                    return False
            row = (number_before if number_before > 0 else -number_before) - 1
        return False

    def _chain_columns(self) -> tuple[Column, Column, Column]:
        self._chains = self.column("hold.born"), self.column("hold.died"), self.column("hold.before")
        return self._chains

    def owners_at(self, edge: EdgeKey, seq: int) -> frozenset[Owner]:
        """The owners of ``edge`` after event ``seq``. Cost: O(holds on it)."""
        place = self.place_of(edge)
        if place is None:
            return frozenset()
        born, died, owner = (self.column(f"hold.{name}") for name in ("born", "died", "owner"))
        return frozenset(owner[row] or None for row in self._rows_back(place) if born[row] <= seq < died[row])

    def _last(self, place: int) -> int:
        """The number of the last hold on an edge."""
        return int(self.column("edge.last")[place]) if self._builder is None else self._builder.edges.last[place]

    def _rows_back(self, place: int) -> Iterator[int]:
        """The rows of the holds on an edge, from the last one to the first."""
        before = self.column("hold.before")
        number = self._last(place)
        while number:
            yield number - 1
            number = abs(before[number - 1])

    def edge_spans(self, edge: EdgeKey) -> Spans:
        """The stretches in which anyone held ``edge``. Cost: O(holds on it)."""
        place = self.place_of(edge)
        return [] if place is None else self.spans_of([place])[0]

    def spans_of(self, places: Sequence[int]) -> list[Spans]:
        """For each of these edges the stretches in which anyone held it. Cost: O(holds on them), O(holds) for many."""
        born, died = self.column("hold.born"), self.column("hold.died")
        found: dict[int, Spans] = {place: [] for place in places}
        rows: Iterable[tuple[int, int, int]]
        if len(places) * PASS_SHARE < len(self.column("edge.to")):
            rows = ((place, born[row], died[row]) for place in found for row in reversed(list(self._rows_back(place))))
        else:
            rows = zip(self.column("hold.edge"), born, died, strict=True)
        for place, begin, end in rows:
            spans = found.get(place)
            if spans is None:
                continue
            if spans and begin <= spans[-1][1]:  # by birth: one that begins before the others ended goes on with them
                if end > spans[-1][1]:
                    spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
        return [found[place] for place in places]

    def holds_on(self, edge: EdgeKey) -> list[Hold]:
        """Every hold that ``edge`` ever had, by birth. Cost: O(answer)."""
        place = self.place_of(edge)
        return [] if place is None else self.holds(list(self._rows_back(place))[::-1])

    def holds_of(self, owner: Owner) -> list[Hold]:
        """Every hold that ``owner`` ever had, by birth. Cost: O(holds)."""
        wanted = owner or PERSISTENT
        return self.holds(row for row, held_by in enumerate(self.column("hold.owner")) if held_by == wanted)

    def holds_at_topic(self, topic: str) -> list[Hold]:
        """Every hold that there ever was on an edge from or to ``topic``, by birth. Cost: O(edges)."""
        place = self._topic_places().get(topic)
        sides = (self.column("edge.from"), self.column("edge.to"))
        touching = {edge for side in sides for edge, each in enumerate(side) if each == place}
        found = sorted(row for edge in touching for row in self._rows_back(edge))
        return self.holds(found)

    def holds(self, rows: Iterable[int]) -> list[Hold]:
        """The holds of these rows."""
        born, died, edge, owner = (self.column(f"hold.{name}") for name in ("born", "died", "edge", "owner"))
        return [Hold(self.edge(edge[row]), owner[row] or None, born[row], died[row]) for row in rows]

    def edge(self, place: int) -> EdgeKey:
        """The topics of an edge by its place."""
        return self.topics[self.column("edge.from")[place]], self.topics[self.column("edge.to")[place]]

    def edges(self) -> list[EdgeKey]:
        """Every edge that ever was, by place. Cost: O(edges) the first time, and after new ones came."""
        if len(self._edges) != len(self.column("edge.to")):
            name = self.topics.__getitem__
            self._edges = list(zip(map(name, self.column("edge.from")), map(name, self.column("edge.to")), strict=True))
        return self._edges

    # --- other facts -------------------------------------------------------------------------------------------------

    def facts(self, kind: str, *names: Any) -> list[Fact]:
        """Every fact of a kind that any state had, by birth; only of ``names`` if given. Cost: O(facts)."""
        wanted = {
            place: key[1] for place, key in enumerate(self.keys) if key[0] == kind and (not names or key[1] in names)
        }
        if not wanted:
            return []
        keys, value, born, died = (self.column(name) for name in FACTS)
        if kind == SETTING:
            is_wanted = [key in wanted for key in range(len(self.keys))]
            rows = list(compress(range(len(keys)), map(is_wanted.__getitem__, keys)))
        else:
            plain = self.plain_rows()
            rows = [row for row, key in zip(plain, keys.take(plain), strict=True) if key in wanted]
        return [
            Fact(kind, wanted[key], self.value(place), begin, end)
            for key, place, begin, end in zip(*(column.take(rows) for column in (keys, value, born, died)), strict=True)
            if begin < end
        ]

    def facts_over(self, kind: str, first: int, last: int) -> list[Fact]:
        """The facts of a kind that stood after any of the events ``first`` to ``last``, by birth.

        Cost: a look at each fact that was born until then, 0.1 us; then O(answer).
        """
        keys, value, born, died = (self.column(name) for name in FACTS)
        until = bisect_right(born, last)
        wanted = [key[0] == kind for key in self.keys]
        rows = list(compress(range(until), map(first.__lt__, died[:until])))
        rows = [row for row, key in zip(rows, keys.take(rows), strict=True) if wanted[key]]
        return [
            Fact(kind, self.keys[key][1], self.value(place), begin, end)
            for key, place, begin, end in zip(*(column.take(rows) for column in (keys, value, born, died)), strict=True)
            if begin < end
        ]

    def facts_with(self, kind: str, texts: Iterable[str]) -> list[Fact]:
        """The facts of a kind whose value has any of ``texts`` in it, by birth.

        Cost: a search through all values, 1 ns a byte, and a look at each fact where any is found.
        """
        notes, ends = bytes(self.column("values")[:]), self.column("value.end")[:]
        places: set[int] = set()
        for text in texts:
            wanted = _encoder.encode(text)[1:-1]
            at = notes.find(wanted)
            while at >= 0:
                places.add(bisect_right(ends, at))
                at = notes.find(wanted, ends[bisect_right(ends, at)])
        if not places:
            return []
        keys, value, born, died = (self.column(name) for name in FACTS)
        rows = [row for row, place in enumerate(value) if place in places]
        return [
            Fact(kind, self.keys[key][1], self.value(place), begin, end)
            for key, place, begin, end in zip(*(column.take(rows) for column in (keys, value, born, died)), strict=True)
            if begin < end and self.keys[key][0] == kind
        ]

    def holds_over(self, first: int, last: int) -> list[Hold]:
        """The holds that came or went with the events after ``first``, up to ``last``, by birth. Cost: O(holds)."""
        born, died = self.column("hold.born"), self.column("hold.died")
        until = bisect_right(born, last)
        new = bisect_right(born, first, 0, until)
        gone = (row for row, end in enumerate(died[:new]) if first < end <= last)
        return self.holds([*gone, *range(new, until)])

    def plain_rows(self) -> "array[int]":
        """The rows of all facts but settings, by birth: of a long run nearly all are settings.

        Cost: a look at each fact the first time, 30 ns; then at new ones.
        """
        for place in range(len(self._plain_keys), len(self.keys)):
            self._plain_keys.append(self.keys[place][0] != SETTING)
        column, known = self.column("fact.key"), self._plain_of
        if known < len(column):
            marks = bytes(map(self._plain_keys.__getitem__, column[known:]))
            self._plain.extend(known + found.start() for found in re.finditer(b"\1", marks))
            self._plain_of = len(column)
        return self._plain

    def names(self, kind: str) -> list[Any]:
        """The names of all facts of a kind, in the order in which they first came."""
        return [name for each, name in self.keys if each == kind]

    def session_lives(self) -> SessionLives:
        """All sessions and runs, on their own: who has them can go on by themselves. Cost: O(sessions), 1 us each."""
        return SessionLives.load(bytes(self.column("session.lives")[:]), self._open_sessions(), self.seq)

    def _open_sessions(self) -> bytes:
        builder = self._builder
        if builder is None:
            return bytes(self.column("session.open")[:])
        return builder.lives.still_open(builder.edges.holding)

    # --- times and states --------------------------------------------------------------------------------------------

    def time_of(self, seq: int) -> int:
        """The time (ns) of event ``seq``; 0 before the first. Cost: O(log n)."""
        place = bisect_right(self.column("time.seq"), seq) - 1
        return self.column("time.ns")[place] if place >= 0 else 0

    def checkpoint_before(self, seq: int) -> GraphState:
        """The state at the last checkpoint at or before ``seq``; an empty one when there is none."""
        place = bisect_right(self.column("check.seq"), seq) - 1
        if place < 0:
            return GraphState()
        return checkpoint.decode(memoryview(self.column("checkpoints")[part(self.column("check.end"), place)]))

    # --- growing -----------------------------------------------------------------------------------------------------

    def start(self, state: GraphState) -> None:
        """Begin with ``state`` instead of nothing; it is used up. All that it holds counts as born with its seq.

        For a ledger whose first events were dropped. Cost: O(state).
        """
        assert self.seq == 0, "lifetimes that have begun"
        self.seq = state.seq
        self._thaw().begin(state)

    def apply(self, event: Any) -> None:
        """Add one event. Raises OutOfOrder when it does not follow, InvalidEvent when it contradicts the others."""
        self.apply_batch((event,))

    def apply_batch(self, events: Sequence[Any]) -> None:
        """Add events, in order. After InvalidEvent the lifetimes are of no further use."""
        if not events:
            return
        self._thaw().take(events)
        self.seq = events[-1].seq

    def _thaw(self) -> Builder:
        """Make what was read from an index fit to grow. Cost: O(edges + keys + what is open)."""
        if self._builder is not None:
            return self._builder
        state = self.checkpoint_before(self.seq)
        columns = {name: self.column(name) for name in CODES}
        self._written = (len(self.topics), len(self.keys))
        journal, rows = FactJournal(columns, self.keys), self.holds_at(self.seq)
        lives = SessionLives.load(b"", bytes(self.column("session.open")[:]), self.seq)
        builder = Builder(columns, self.topics, self.landmarks, lives, journal, state, rows)
        self._builder = builder
        return builder

    # --- the index file ----------------------------------------------------------------------------------------------

    def sections(self) -> dict[str, Column]:
        """The lifetimes as columns, for an index file; ``Lifetimes(source)`` reads them. Cost: O(what is new).

        Those of WHOLE are made anew each time.
        """
        builder = self._thaw()
        builder.note(force=True)
        columns = self._columns
        topics, keys = self._written
        columns["topics"].frombytes(_encoder.encode_lines(self.topics[topics:]))
        columns["keys"].frombytes(_encoder.encode_lines(self.keys[keys:]))
        self._written = (len(self.topics), len(self.keys))
        for name, code in WHOLE.items():
            columns[name] = Column(code)
        columns["landmarks"].frombytes(self.landmarks.sections()[0])
        columns["edge.last"].extend(builder.edges.last)
        columns["session.open"].frombytes(self._open_sessions())
        columns["key.last"].extend(builder.journal.last)
        return columns

    def check(self) -> None:
        """Assert that the columns tell the same story. Cost: O(all)."""
        born, died = self.column("hold.born"), self.column("hold.died")
        assert list(born) == sorted(born), "births do not rise"
        assert all(a < b for a, b in zip(born, died, strict=True)), "a hold died before it was born"
        for place, edge in enumerate(self.edges()):
            assert self.place_of(edge) == place, edge
            holds = self.holds_on(edge)
            assert [hold.born for hold in holds] == sorted(hold.born for hold in holds), edge
            assert all(hold.edge == edge for hold in holds), edge
            assert stretches(holds) == self.edge_spans(edge) == self.spans_of([place])[0], edge
        everywhere = self.spans_of(range(len(self.edges())))
        assert everywhere == [self.edge_spans(edge) for edge in self.edges()]
        for place in range(len(self.edges())):
            rows = list(self._rows_back(place))[::-1]
            for number, row in enumerate(rows):
                joined = any(died[other] > born[row] for other in rows[:number])
                assert joined == (self.column("hold.before")[row] > 0), f"hold {row}: whether its edge was held"
        assert sum(len(self.holds_on(edge)) for edge in self.edges()) == len(born), "a hold is in no chain"
