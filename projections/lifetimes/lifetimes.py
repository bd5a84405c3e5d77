"""Every fact about the graph as a stretch of seqs: from the event that made it to the one that ended it.

The idea: history is kept as columns of numbers, one row for each fact. The state of the edges after seq N is the rows
whose stretch contains N: those that were open at the last note before N and have not died, and those born since. In an
index file the columns lie as they are in memory, so opening one maps it, and a question reads only what it needs.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, compress
from typing import Any

import msgspec

from ezmsg.ledger.projections.graph import checkpoint
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.builder import Builder, empty
from ezmsg.ledger.projections.lifetimes.columns import (
    DERIVED,
    FACTS,
    GROWING,
    OTHERS,
    PERSISTENT,
    Column,
    Fact,
    Hold,
    derive,
    part,
    stretches,
)
from ezmsg.ledger.projections.lifetimes.fact_journal import FactJournal, FactKey
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.lifetimes.spans import Spans

SETTING = "setting"
"""The kind of the facts that a settings value in force is."""


class Lifetimes:
    """The lifetimes of all facts of a ledger up to ``seq``. Applying an event costs about as much as folding it twice.

    ``source`` gives the columns of an index file by name, those that are not in memory yet.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import fold
    >>> edge, ledger = {"from_topic": "A", "to_topic": "B", "owner": None}, Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(**edge), events.EdgeDisconnected(**edge), events.EdgeConnected(**edge)])
    >>> fold(ledger.read(), Lifetimes()).holds_on(("A", "B"))[0]
    Hold(edge=('A', 'B'), owner=None, born=1, died=2)
    """

    def __init__(self, source: Callable[[str], memoryview] | None = None, seq: int = 0) -> None:
        self.seq = seq
        self._source = source
        self._columns: dict[str, Column] = {}
        self._topics: list[str] | None = None
        self._places: dict[str, int] | None = None
        self._landmarks: Landmarks | None = None
        self._values: Any = None
        self._edges: list[EdgeKey] = []
        self._search: tuple[Any, ...] = ()
        self._keys: list[FactKey] | None = None
        self._builder: Builder | None = None
        self._plain = array("I")  # rows of facts that are not settings, of the first so many facts
        self._plain_of = 0
        self._plain_keys = bytearray()  # for each key whether it is one of these
        if source is None:
            self._columns, self._topics, self._landmarks = empty(), [], Landmarks()
            self._builder = Builder(self._columns, self._topics, self._landmarks)

    # --- columns -----------------------------------------------------------------------------------------------------

    def column(self, name: str) -> Column:
        """The column of this name: one of GROWING, DERIVED (made when they are first asked for) or FACTS."""
        found = self._columns.get(name)
        if found is None:
            if self._builder is not None and name in FACTS:
                return getattr(self._builder.journal, name.removeprefix("fact."))
            if self._source is not None and (self._builder is None or name not in DERIVED):
                code = GROWING.get(name) or DERIVED.get(name) or FACTS.get(name)
                data = self._source(name)
                found = self._columns[name] = data.cast(code) if code else data  # type: ignore[call-overload]
            else:
                self._columns |= derive(self.column)
                found = self._columns[name]
        return found

    def checked(self) -> "Lifetimes":
        """The same lifetimes, when every section of their index is sound. Raises DamagedIndex. Cost: O(bytes), once."""
        if self._source is not None and self._builder is None:
            for name in (*GROWING, *DERIVED, *FACTS, *OTHERS):
                self.column(name)
            self.landmarks  # noqa: B018 - they are read with it
        return self

    @property
    def topics(self) -> list[str]:
        """Every topic that an edge ever had, in the order in which they came."""
        if self._topics is None:
            self._topics = msgspec.json.decode(self.column("topics"))
        return self._topics

    @property
    def landmarks(self) -> Landmarks:
        """Runs, sessions, marks and times."""
        if self._landmarks is None:
            assert self._source is not None
            self._landmarks = Landmarks.load(
                bytes(self._source("landmarks")), self._source("stack.time"), self._source("stack.seq"), self.seq
            )
        return self._landmarks

    @property
    def keys(self) -> list[FactKey]:
        """Kind and name of every fact that is not a hold."""
        if self._builder is not None:
            return self._builder.journal.keys
        if self._keys is None:
            self._keys = msgspec.json.decode(self.column("keys"), type=list[tuple[str, Any]])
        return self._keys

    def value(self, place: int) -> Any:
        """The note of a fact, by the place that its row of ``fact.value`` has."""
        if self._builder is not None:
            return msgspec.json.decode(self._builder.journal.values[place])
        if self._values is None:
            self._values = (self.column("value.end").cast("Q"), self.column("values"))
        ends, data = self._values
        return msgspec.json.decode(data[part(ends, place)])

    # --- edges -------------------------------------------------------------------------------------------------------

    def holds_at(self, seq: int) -> list[int]:
        """The rows of the holds that stand after event ``seq``. Cost: O(what stands + NOTE_EVERY), 0.5 ms for 4,000."""
        seqs, died = self.column("note.seq"), self.column("hold.died")
        note = bisect_right(seqs, seq) - 1
        rows: list[int] = []
        noted = 0
        if note >= 0:
            known = self.column("note.hold")[part(self.column("note.end"), note)]
            rows = list(compress(known, map(seq.__lt__, map(died.__getitem__, known))))
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
        for place, held_by in zip(map(edge.__getitem__, rows), map(owner.__getitem__, rows), strict=True):
            single = alone.get(held_by)
            if single is None:
                single = alone[held_by] = (held_by,)
            if place in table:
                table[place] += single
            else:
                table[place] = single
        return dict(zip(map(self.edges().__getitem__, table), table.values(), strict=True))

    def place_of(self, edge: EdgeKey) -> int | None:
        """The place of an edge that ever was; None for any other. Cost: O(log(edges))."""
        if self._builder is not None:
            return self._builder.edges.get(edge[0], {}).get(edge[1])
        places = self._topic_places()
        from_place, to_place = places.get(edge[0]), places.get(edge[1])
        if from_place is None or to_place is None:
            return None
        key = from_place << 32 | to_place
        keys = self.column("key.edge")
        found = bisect_left(keys, key)
        return self.column("key.place")[found] if found < len(keys) and keys[found] == key else None

    def is_topic(self, name: str) -> bool:
        """Whether any edge ever touched this topic. Cost: O(topics) the first time."""
        return name in self._topic_places()

    def _topic_places(self) -> dict[str, int]:
        if self._builder is not None:
            return self._builder.places
        if self._places is None:
            self._places = {topic: place for place, topic in enumerate(self.topics)}
        return self._places

    def has_edge(self, edge: EdgeKey, seq: int) -> bool:
        """Whether anyone held ``edge`` after event ``seq``. Cost: O(log n)."""
        if not self._search:  # what is named once need not be found for each of thousands of edges
            names = ("key.edge", "key.place", "span.end", "span.seq")
            self._search = (self._topic_places(), *map(self.column, names))
        topics, keys, places, ends, seqs = self._search
        from_place, to_place = topics.get(edge[0]), topics.get(edge[1])
        if from_place is None or to_place is None:
            return False
        key = from_place << 32 | to_place
        found = bisect_left(keys, key)
        if found == len(keys) or keys[found] != key:
            return False
        place = places[found]
        first = ends[place - 1] if place else 0
        return (bisect_right(seqs, seq, first, ends[place]) - first) % 2 == 1

    def edge_spans(self, edge: EdgeKey) -> Spans:
        """The stretches in which anyone held ``edge``. Cost: O(answer)."""
        place = self.place_of(edge)
        return [] if place is None else self.spans_of(place)

    def spans_of(self, place: int) -> Spans:
        """The stretches in which anyone held the edge at ``place``. Cost: O(answer)."""
        seqs = list(self.column("span.seq")[part(self.column("span.end"), place)])
        return list(zip(seqs[::2], seqs[1::2], strict=True))

    def holds_on(self, edge: EdgeKey) -> list[Hold]:
        """Every hold that ``edge`` ever had, by birth. Cost: O(answer)."""
        place = self.place_of(edge)
        return [] if place is None else self.holds(self.column("edge.holds")[part(self.column("edge.end"), place)])

    def holds_of(self, owner: Owner) -> list[Hold]:
        """Every hold that ``owner`` ever had, by birth. Cost: O(holds)."""
        wanted = owner or PERSISTENT
        return self.holds(row for row, held_by in enumerate(self.column("hold.owner")) if held_by == wanted)

    def holds_at_topic(self, topic: str) -> list[Hold]:
        """Every hold that there ever was on an edge from or to ``topic``, by birth. Cost: O(edges)."""
        place = self._topic_places().get(topic)
        sides = (self.column("edge.from"), self.column("edge.to"))
        ends, rows = self.column("edge.end"), self.column("edge.holds")
        touching = sorted({edge for side in sides for edge, each in enumerate(side) if each == place})
        found = sorted(row for edge in touching for row in rows[part(ends, edge)])
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
        keys, value, born, died = (self.column(f"fact.{name}") for name in ("key", "value", "born", "died"))
        rows: Iterable[int]
        if kind == SETTING:
            is_wanted = bytearray(len(self.keys))
            for key in wanted:
                is_wanted[key] = 1
            rows = compress(range(len(keys)), map(is_wanted.__getitem__, keys))
        else:
            rows = (row for row in self.plain_rows() if keys[row] in wanted)
        return [
            Fact(kind, wanted[keys[row]], self.value(value[row]), born[row], died[row])
            for row in rows
            if born[row] < died[row]
        ]

    def plain_rows(self) -> "array[int]":
        """The rows of all facts but settings, by birth: of a long run nearly all are settings.

        Cost: a look at each fact the first time, 40 ns; then at new ones.
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
        return checkpoint.decode(memoryview(self.column("checkpoints"))[part(self.column("check.end"), place)])

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
        builder = self._thaw()
        self._search = ()
        for name in DERIVED:
            self._columns.pop(name, None)
        builder.take(events)
        self.seq = events[-1].seq

    def _thaw(self) -> Builder:
        """Make what was read from an index fit to grow."""
        if self._builder is not None:
            return self._builder
        state = self.checkpoint_before(self.seq)
        for name, code in GROWING.items():
            self._columns[name] = array(code, self.column(name).tobytes())
        self._columns["checkpoints"] = bytearray(self.column("checkpoints"))
        journal = FactJournal()
        for name in FACTS:
            getattr(journal, name.removeprefix("fact.")).frombytes(self.column(name).tobytes())
        ends = self.column("value.end").cast("Q")
        values = [self.column("values")[a:b].tobytes() for a, b in zip([0, *ends], ends, strict=False)]
        journal.load([(kind, name) for kind, name in self.keys], values)
        builder = Builder(self._columns, self.topics, self.landmarks, journal)
        for place, (from_topic, to_topic) in enumerate(self.edges()):
            builder.edges.setdefault(from_topic, {})[to_topic] = place
        builder.held.update((session, {}) for session in state.sessions)
        for row in self.holds_at(self.seq):
            builder.held[self._columns["hold.owner"][row]][self._columns["hold.edge"][row]] = row
        builder.state.load(state)
        for name in (*DERIVED, *FACTS, *OTHERS[1:]):
            self._columns.pop(name, None)
        self._builder = builder
        self._source = None
        return builder

    # --- the index file ----------------------------------------------------------------------------------------------

    def sections(self) -> dict[str, Any]:
        """The lifetimes as named bytes, for an index file; ``Lifetimes(source)`` reads them. Cost: O(all)."""
        builder = self._thaw()
        builder.note(force=True)
        journal = builder.journal
        out: dict[str, Any] = {name: self.column(name) for name in (*GROWING, *DERIVED, *FACTS)}
        out["checkpoints"] = self._columns["checkpoints"]
        out["topics"] = msgspec.json.encode(self.topics)
        out["keys"] = msgspec.json.encode(journal.keys)
        out["values"] = b"".join(journal.values)
        out["value.end"] = array("Q", accumulate(map(len, journal.values)))
        out["landmarks"], out["stack.time"], out["stack.seq"] = self.landmarks.sections()
        return out

    def check(self) -> None:
        """Assert that the columns tell the same story. Cost: O(all)."""
        born, died = self.column("hold.born"), self.column("hold.died")
        assert list(born) == sorted(born), "births do not rise"
        assert all(a < b for a, b in zip(born, died, strict=True)), "a hold died before it was born"
        for place, edge in enumerate(self.edges()):
            assert self.place_of(edge) == place, edge
            holds = self.holds_on(edge)
            assert stretches(holds) == self.edge_spans(edge), edge
