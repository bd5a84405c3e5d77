"""Ezmsg's two feeds (changes of topology and of settings) as a function of the events of a ledger.

Every entry is there, and its numbers go on across restarts. A feed can be read from the middle: checkpoints along the
ledger are kept, and a replay goes on from the nearest one, in steps.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from ezmsg.ledger.projections.graph.checkpoint import checkpoint, restore
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.feed_entries import FeedEntry, SettingsChanged, TopologyChanged

Kind: TypeAlias = type[TopologyChanged] | type[SettingsChanged]
"""The class of a feed's entries, which names the feed."""

Read: TypeAlias = Callable[[int], Iterator[Sequence[Any]]]
"""A function that gives the events after a seq, as of now, in batches: ``Ledger.read``."""

STEP_EVENTS = 256
"""Events folded in one step of a replay: about a quarter of a millisecond, after which others may have their turn."""

CHECKPOINT_EVENTS = 8192
"""Events between two checkpoints, at least: a few milliseconds of replay."""

CHECKPOINT_FACTS_MAX = 5_000
"""Facts of a state up to which it is worth a checkpoint: to take one of more would hold up others for longer than
replaying does, which goes in steps."""

FACTS_MAX = 50_000
"""Facts that all checkpoints have together, at 200 bytes each: memory does not grow with the ledger."""


def feed(batches: Iterable[Sequence[Any]], state: GraphState | None = None) -> Iterator[FeedEntry]:
    """The two feeds of a whole ledger, interleaved in the order of the events. Cost: one replay.

    ``state``: the one before the first of the events, when that is not the first of all; it is used up.

    >>> from ezmsg.ledger import Ledger, events
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    >>> [(entry.number, entry.kind, entry.topics) for entry in feed(ledger.read())]
    [(1, 'GRAPH_CHANGED', ['B'])]
    """
    watch: list[FeedEntry] = []
    state = state or GraphState()
    state.watch = watch
    for batch in batches:
        state.apply_batch(batch)
        yield from watch
        watch.clear()


class Checkpoint:
    """A state to go on from. Cost: O(state), to take one and to make a state of it."""

    def __init__(self, state: GraphState) -> None:
        self._kept = checkpoint(state)

    @property
    def seq(self) -> int:
        """The seq of the last event that is in the state."""
        return self._kept.seq

    def number(self, kind: Kind) -> int:
        """The last number that a feed had given out by then."""
        return self._kept.topology if kind is TopologyChanged else self._kept.settings_changes

    def state(self) -> GraphState:
        """The state itself, to be folded on."""
        return restore(self._kept)

    def __len__(self) -> int:
        """The number of facts in the state, as ``facts`` counts them."""
        kept = self._kept
        tables = (kept.nodes, kept.runs, kept.sessions, kept.processes, kept.endpoints, kept.requests, kept.settings)
        held = sum(len(owners) for _, _, owners in kept.edges)
        registered = sum(1 + len(registration.components) for registration in kept.registrations.values())
        return sum(map(len, tables)) + held + registered + kept.paused


class Checkpoints:
    """Checkpoints along a ledger, few enough that their memory is bounded. Those given stay, whatever their size.

    ``beginning``: from where on there are events; ``first``: another place to start from. When there are too many facts
    in them, every second one goes: they stay spread over the whole ledger.
    """

    def __init__(self, beginning: Checkpoint, first: Checkpoint) -> None:
        self._beginning = beginning
        self._all = [beginning, first] if first.seq > beginning.seq else [beginning]
        self._fixed = len(self._all)
        self._apart = CHECKPOINT_EVENTS

    def note(self, state: GraphState) -> bool:
        """Take a checkpoint, if none is near and the state is not too large; True when one was taken."""
        place = bisect_right(self._all, state.seq, key=_seq)
        after = self._all[place].seq if place < len(self._all) else None
        if state.seq - self._all[place - 1].seq < self._apart or (after and after - state.seq < self._apart):
            return False
        if _size(state) > CHECKPOINT_FACTS_MAX:
            return False
        self._all.insert(place, Checkpoint(state))
        while sum(map(len, self._all[self._fixed :])) > FACTS_MAX:
            self._apart *= 2
            del self._all[self._fixed :: 2]
        return True

    def before(self, kind: Kind, number: int) -> Checkpoint:
        """The last checkpoint from which a replay meets every entry of a feed after ``number`` that there still is."""
        return self._all[max(0, bisect_right(self._all, number, key=lambda each: each.number(kind)) - 1)]

    def cut(self, seq: int) -> None:
        """Forget the checkpoints after event ``seq``: the events that led to them are lost."""
        self._all = [each for each in self._all if each.seq <= seq] or [self._beginning]
        self._fixed = min(self._fixed, len(self._all))

    def begin(self, beginning: Checkpoint) -> None:
        """Forget the checkpoints before ``beginning``: the events that follow them were dropped."""
        later = [each for each in self._all if each.seq > beginning.seq]
        self._fixed = 1 + max(0, self._fixed - (len(self._all) - len(later)))
        self._beginning = beginning
        self._all = [beginning, *later]

    def __len__(self) -> int:
        return len(self._all)


def _seq(checkpoint: Checkpoint) -> int:
    return checkpoint.seq


def _size(state: GraphState) -> int:
    """About how many facts a state has, without counting each."""
    things = len(state.sessions) + len(state.processes) + len(state.endpoints) + len(state.requests)
    edges = sum(1 + len(node.out) for node in state.ownership.nodes.values())
    return things + len(state.components) + len(state.settings) + edges


class Replay:
    """A feed, read from a checkpoint on, in steps. Its memory is that of the state.

    ``number``: that of the last entry taken out; ``pending``: the entries that are to be taken out next.
    """

    def __init__(self, kind: Kind, start: Checkpoint, read: Read) -> None:
        self.kind = kind
        self.number = start.number(kind)
        self.pending: deque[FeedEntry] = deque()
        self.state = start.state()
        self._watch: list[FeedEntry] = []
        self.state.watch = self._watch
        self._read = read
        self._batches: Iterator[Sequence[Any]] = iter(())
        self._batch: Sequence[Any] = ()
        self._at = 0

    def step(self) -> bool:
        """Fold the next STEP_EVENTS events at most; False when there are no more as of now. Raises as a read does."""
        if self._at == len(self._batch):
            batch = next(self._batches, None)
            if batch is None:
                self._batches = self._read(self.state.seq)
                batch = next(self._batches, None)
                if batch is None:
                    return False
            self._batch, self._at = batch, 0
        part = self._batch[self._at : self._at + STEP_EVENTS]
        self._at += len(part)
        self.state.apply_batch(part)
        self.pending.extend(entry for entry in self._watch if type(entry) is self.kind)
        self._watch.clear()
        return True

    def take(self) -> FeedEntry:
        """The next entry of ``pending``."""
        entry = self.pending.popleft()
        self.number = entry.number
        return entry

    def skip(self) -> None:
        """Pass all of ``pending`` over."""
        if self.pending:
            self.number = self.pending[-1].number
            self.pending.clear()
