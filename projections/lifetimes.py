"""Every fact about the graph as a stretch of seqs: from the event that made it to the one that ended it.

A hold (an owner's on an edge) is a row of four columns. The state of the edges after seq N is the rows whose stretch
contains N: those that were open at the last note before N and have not died, and those born since.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, compress, repeat
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import checkpoint
from ezmsg.ledger.projections.journal import FactKey, Journal, ObservedState
from ezmsg.ledger.projections.landmarks import Landmarks, turns
from ezmsg.ledger.projections.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.projection import contradiction
from ezmsg.ledger.projections.spans import OPEN, Spans, union
from ezmsg.ledger.projections.state import GraphState

Column: TypeAlias = Any
"""An ``array`` while it grows, a ``memoryview`` of the index file when it was read from there: ints by place."""

NOTE_EVERY = 2**12
"""Events between two notes of what is open. A query looks at one note and at the rows born since: both of one size
for the four thousand edges of a large graph."""

CHECK_EVERY = 2**15
"""Events between two checkpoints: to fold half of as many takes a few times what reading one of a large graph does."""

CHECK_BYTES = 64
"""Bytes of checkpoints per event, at most in the long run: a third of what an event takes in the ledger."""

GROWING = {
    "hold.born": "q",
    "hold.died": "q",
    "hold.edge": "I",
    "hold.owner": "q",
    "edge.from": "I",
    "edge.to": "I",
    "note.seq": "q",
    "note.end": "Q",
    "note.hold": "I",
    "time.seq": "q",
    "time.ns": "q",
    "check.seq": "q",
    "check.end": "Q",
}
DERIVED = {"edge.holds": "I", "edge.end": "I", "span.end": "I", "span.seq": "q", "key.edge": "Q", "key.place": "I"}
FACTS = {"fact.key": "I", "fact.value": "I", "fact.born": "q", "fact.died": "q"}
OTHERS = ("checkpoints", "topics", "keys", "values", "value.end")
PERSISTENT = 0
"""The owner column of holds that no session has: no id is 0."""


class Hold(NamedTuple):
    """An owner's hold on an edge, from event ``born`` until event ``died`` (OPEN: it lasts)."""

    edge: EdgeKey
    owner: Owner
    born: int
    died: int


class Fact(NamedTuple):
    """Any other fact. ``value`` is what the journal notes of it."""

    kind: str
    name: Any
    value: Any
    born: int
    died: int


class Lifetimes:
    """The lifetimes of a ledger up to ``seq``. Applying an event costs about as much as folding it once more.

    ``column`` gives one by its name; ``source`` is where those are that are not in memory yet.
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
        self._building: _Building | None = None
        if source is None:
            self._columns = {name: array(code) for name, code in GROWING.items()}
            self._columns["checkpoints"] = bytearray()
            self._topics = []
            self._landmarks = Landmarks()
            self._building = _Building(Journal(), {}, {PERSISTENT: {}})

    # --- columns -----------------------------------------------------------------------------------------------------

    def column(self, name: str) -> Column:
        """A column of GROWING, DERIVED or FACTS. Those that follow from others are made when they are asked for."""
        found = self._columns.get(name)
        if found is None:
            if self._building is not None and name in FACTS:
                return getattr(self._building.journal, name.removeprefix("fact."))
            if self._source is not None and (self._building is None or name not in DERIVED):
                code = GROWING.get(name) or DERIVED.get(name) or FACTS.get(name)
                data = self._source(name)
                found = self._columns[name] = data.cast(code) if code else data  # type: ignore[call-overload]
            else:
                self._derive()
                found = self._columns[name]
        return found

    def checked(self) -> "Lifetimes":
        """Itself, when every section it was read from is sound. Raises DamagedIndex. Cost: O(bytes), once."""
        if self._source is not None and self._building is None:
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
        if self._building is not None:
            return self._building.journal.keys
        if self._keys is None:
            self._keys = msgspec.json.decode(self.column("keys"), type=list[tuple[str, Any]])
        return self._keys

    def _value(self, place: int) -> Any:
        if self._building is not None:
            return msgspec.json.decode(self._building.journal.values[place])
        if self._values is None:
            self._values = (self.column("value.end").cast("Q"), self.column("values"))
        ends, data = self._values
        return msgspec.json.decode(data[ends[place - 1] if place else 0 : ends[place]])

    # --- edges -------------------------------------------------------------------------------------------------------

    def holds_at(self, seq: int) -> list[int]:
        """The rows of the holds that stand after event ``seq``. Cost: O(what stands + NOTE_EVERY), 0.5 ms for 4,000."""
        seqs, died = self.column("note.seq"), self.column("hold.died")
        note = bisect_right(seqs, seq) - 1
        rows: list[int] = []
        noted = 0
        if note >= 0:
            ends = self.column("note.end")
            known = self.column("note.hold")[ends[note - 1] if note else 0 : ends[note]]
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
        if self._building is not None:
            return self._building.edges.get(edge[0], {}).get(edge[1])
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
        if self._building is not None:
            return self._building.topics
        if self._places is None:
            self._places = {topic: place for place, topic in enumerate(self.topics)}
        return self._places

    def has_edge(self, edge: EdgeKey, seq: int) -> bool:
        """Whether anybody held ``edge`` after event ``seq``. Cost: O(log n)."""
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
        """When anybody held ``edge``. Cost: O(answer)."""
        place = self.place_of(edge)
        if place is None:
            return []
        ends = self.column("span.end")
        seqs = list(self.column("span.seq")[ends[place - 1] if place else 0 : ends[place]])
        return list(zip(seqs[::2], seqs[1::2], strict=True))

    def holds_on(self, edge: EdgeKey) -> list[Hold]:
        """Every hold that ``edge`` ever had, by birth. Cost: O(answer)."""
        place = self.place_of(edge)
        if place is None:
            return []
        ends = self.column("edge.end")
        return self.holds(self.column("edge.holds")[ends[place - 1] if place else 0 : ends[place]])

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
        found = sorted(row for edge in touching for row in rows[ends[edge - 1] if edge else 0 : ends[edge]])
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
            place: key[1]
            for place, key in enumerate(self.keys)
            if key[0] == kind and (not names or key[1] in names)
        }
        if not wanted:
            return []
        value, born, died = (self.column(f"fact.{name}") for name in ("value", "born", "died"))
        return [
            Fact(kind, wanted[key], self._value(value[row]), born[row], died[row])
            for row, key in enumerate(self.column("fact.key"))
            if key in wanted and born[row] < died[row]
        ]

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
        ends = self.column("check.end")
        return checkpoint.decode(memoryview(self.column("checkpoints"))[ends[place - 1] if place else 0 : ends[place]])

    # --- building ----------------------------------------------------------------------------------------------------

    def start(self, state: GraphState) -> None:
        """Begin with a state instead of nothing, which is given up: all that it holds is said to be born with its seq.

        For a ledger whose first events were dropped. Cost: O(state).
        """
        building = self._thaw()
        assert self.seq == 0, "lifetimes that have begun"
        building.journal.seq = self.seq = state.seq
        building.state.load(state, tell=True)
        building.held.update((session, {}) for session in state.sessions)
        columns = self._columns
        columns["time.seq"].append(state.seq)
        columns["time.ns"].append(state.time)
        for edge, owners in state.ownership.edges():
            for owner in sorted(owner or PERSISTENT for owner in owners):
                place = building.edges.get(edge[0], {}).get(edge[1])
                if place is None:
                    place = self._new_edge(*edge, building.edges, building.topics)
                building.held[owner][place] = len(columns["hold.born"])
                columns["hold.born"].append(state.seq)
                columns["hold.died"].append(OPEN)
                columns["hold.edge"].append(place)
                columns["hold.owner"].append(owner)
        self.landmarks.begin(state)
        self._note(building, force=True)

    def apply(self, event: Any) -> None:
        """Take one event in. Raises OutOfOrder when it does not follow, InvalidEvent when it contradicts the others."""
        self.apply_batch((event,))

    def apply_batch(self, events: Sequence[Any]) -> None:
        """Take events in, in order. After InvalidEvent the lifetimes are of no further use."""
        if not events:
            return
        building = self._thaw()
        self._search = ()
        for name in DERIVED:
            self._columns.pop(name, None)
        for begin in range(0, len(events), NOTE_EVERY):
            piece = events[begin : begin + NOTE_EVERY] if len(events) > NOTE_EVERY else events
            building.state.apply_batch(piece)
            self._take(piece, building)
            self.seq = piece[-1].seq
            self._note(building)

    def _take(self, events: Sequence[Any], building: "_Building") -> None:
        columns, edges, held, topic_places = self._columns, building.edges, building.held, building.topics
        born, died, edge_column, owner_column = (columns[f"hold.{name}"] for name in ("born", "died", "edge", "owner"))
        row = len(born)
        others = []
        born_now, places, owners = born.append, edge_column.append, owner_column.append
        died.extend(repeat(OPEN, list(map(type, events)).count(ev.EdgeConnected)))  # at once: that is faster
        try:
            for event in events:
                cls = type(event)
                if cls is ev.EdgeConnected:
                    try:  # most have been before
                        place = edges[event.from_topic][event.to_topic]
                    except KeyError:
                        place = self._new_edge(event.from_topic, event.to_topic, edges, topic_places)
                    owner = event.owner or PERSISTENT
                    held[owner][place] = row
                    row += 1
                    born_now(event.seq)
                    places(place)
                    owners(owner)
                elif cls is ev.EdgeDisconnected:
                    died[held[event.owner or PERSISTENT].pop(edges[event.from_topic][event.to_topic])] = event.seq
                else:
                    others.append(event)
                    if cls is ev.SessionOpened:
                        held[event.seq] = {}
                    elif cls in _RELEASES:
                        self._release(event, cls, held, died)
        except KeyError as error:
            raise contradiction(event.seq, error) from error
        firsts, lasts = turns(events)
        self.landmarks.take(events, others, lasts)
        seqs, times = self._columns["time.seq"], self._columns["time.ns"]
        for event in firsts:
            if not times or event.time != times[-1]:
                seqs.append(event.seq)
                times.append(event.time)

    def _new_edge(self, from_topic: str, to_topic: str, edges: Any, topic_places: dict[str, int]) -> int:
        for topic, name in ((from_topic, "edge.from"), (to_topic, "edge.to")):
            place = topic_places.get(topic)
            if place is None:
                place = topic_places[topic] = len(self.topics)
                self.topics.append(topic)
            self._columns[name].append(place)
        place = len(self._columns["edge.to"]) - 1
        edges.setdefault(from_topic, {})[to_topic] = place
        return place

    @staticmethod
    def _release(event: Any, cls: type, held: dict[int, dict[int, int]], died: Column) -> None:
        if cls is ev.SessionCleared or cls is ev.SessionClosed:
            owners = [event.session]
        elif cls is ev.GraphCleared:
            owners = [PERSISTENT]
        else:
            owners = [owner for owner in held if owner != PERSISTENT]
        for owner in owners:
            for row in held[owner].values():
                died[row] = event.seq
            held[owner] = {}
            if cls not in (ev.SessionCleared, ev.GraphCleared):
                del held[owner]

    def _note(self, building: "_Building", force: bool = False) -> None:
        columns = self._columns
        seqs, holds = columns["note.seq"], columns["note.hold"]
        since = self.seq - (seqs[-1] if seqs else 0)
        if since >= building.note_after or (force and since):
            before = len(holds)
            holds.extend(sorted(chain.from_iterable(rows.values() for rows in building.held.values())))
            seqs.append(self.seq)
            columns["note.end"].append(len(holds))
            building.note_after = max(NOTE_EVERY, len(holds) - before)
        checked = columns["check.seq"]
        since = self.seq - (checked[-1] if checked else 0)
        if since >= building.check_after or (force and since):
            kept = checkpoint.encode(building.state)
            columns["checkpoints"] += kept
            checked.append(self.seq)
            columns["check.end"].append(len(columns["checkpoints"]))
            building.check_after = max(CHECK_EVERY, len(kept) // CHECK_BYTES)

    def _derive(self) -> None:
        """The columns that follow from the others: the holds of each edge, the stretches of each, edges in order."""
        columns = self._columns
        edges = self.column("hold.edge")
        starts = [0] * (len(self.column("edge.to")) + 1)
        for place in edges:
            starts[place + 1] += 1
        starts = list(accumulate(starts))
        columns["edge.end"] = array("I", starts[1:])
        rows = array("I", bytes(4 * len(edges)))
        free = starts[:]
        for row, place in enumerate(edges):
            rows[free[place]] = row
            free[place] += 1
        columns["edge.holds"] = rows
        self._derive_spans(rows, columns["edge.end"])
        keys = [a << 32 | b for a, b in zip(self.column("edge.from"), self.column("edge.to"), strict=True)]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        columns["key.edge"] = array("Q", [keys[place] for place in order])
        columns["key.place"] = array("I", order)

    def _derive_spans(self, rows: Column, ends: Column) -> None:
        born, died = self.column("hold.born"), self.column("hold.died")
        births, deaths = list(map(born.__getitem__, rows)), list(map(died.__getitem__, rows))
        seqs, stops = array("q"), array("I")
        begin = 0
        for end in ends:
            alive_until = -1
            for place in range(begin, end):  # by birth: a hold that begins before the others ended goes on with them
                if births[place] > alive_until:
                    if alive_until >= 0:
                        seqs.append(alive_until)
                    seqs.append(births[place])
                    alive_until = deaths[place]
                elif deaths[place] > alive_until:
                    alive_until = deaths[place]
            seqs.append(alive_until)
            stops.append(len(seqs))
            begin = end
        self._columns["span.seq"], self._columns["span.end"] = seqs, stops

    def _thaw(self) -> "_Building":
        """Make what was read from an index fit to grow."""
        if self._building is not None:
            return self._building
        state = self.checkpoint_before(self.seq)
        for name, code in GROWING.items():
            self._columns[name] = array(code, self.column(name).tobytes())
        self._columns["checkpoints"] = bytearray(self.column("checkpoints"))
        journal = Journal()
        for name in FACTS:
            getattr(journal, name.removeprefix("fact.")).frombytes(self.column(name).tobytes())
        ends = self.column("value.end").cast("Q")
        values = [self.column("values")[a:b].tobytes() for a, b in zip([0, *ends], ends, strict=False)]
        journal.load([(kind, name) for kind, name in self.keys], values)
        edges: dict[str, dict[str, int]] = {}
        for place, (from_topic, to_topic) in enumerate(self.edges()):
            edges.setdefault(from_topic, {})[to_topic] = place
        held: dict[int, dict[int, int]] = {owner: {} for owner in (PERSISTENT, *state.sessions)}
        for row in self.holds_at(self.seq):
            held[self._columns["hold.owner"][row]][self._columns["hold.edge"][row]] = row
        building = _Building(journal, edges, held)
        building.state.load(state)
        building.topics = {topic: place for place, topic in enumerate(self.topics)}
        self.landmarks  # noqa: B018 - read while the index is at hand
        for name in (*DERIVED, *FACTS, *OTHERS[1:]):
            self._columns.pop(name, None)
        self._building = building
        self._source = None
        return building

    # --- the index file ----------------------------------------------------------------------------------------------

    @property
    def grown(self) -> bool:
        """Whether it holds more than what it was read from."""
        return self._building is not None

    def sections(self) -> dict[str, Any]:
        """All of it as named bytes, for an index file; ``Lifetimes(source)`` reads them. Cost: O(all)."""
        building = self._thaw()
        self._note(building, force=True)
        journal = building.journal
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
            assert union((hold.born, hold.died) for hold in holds) == self.edge_spans(edge), edge


class _Building:
    """What is needed to go on."""

    def __init__(
        self, journal: Journal, edges: dict[str, dict[str, int]], held: dict[int, dict[int, int]]
    ) -> None:
        self.journal = journal
        self.state = ObservedState(journal)
        self.edges = edges
        self.held = held
        self.topics: dict[str, int] = {}
        self.note_after = NOTE_EVERY
        self.check_after = CHECK_EVERY


_RELEASES = frozenset({ev.SessionCleared, ev.SessionClosed, ev.GraphCleared, ev.ServerStopped, ev.ServerLost})
