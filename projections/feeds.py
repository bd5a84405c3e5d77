"""ezmsg's two event streams as a function of the events: every entry, with numbers that go on across restarts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ezmsg.ledger.projections.entries import FeedEntry
from ezmsg.ledger.projections.state import GraphState


def feed(batches: Iterable[Sequence[Any]], state: GraphState | None = None) -> Iterator[FeedEntry]:
    """Both feeds of a whole ledger, interleaved in the order of the events. Cost: one replay.

    ``state``: the one before the first of the events, when that is not the first of all; it is used up.
    """
    watch: list[FeedEntry] = []
    state = state or GraphState()
    state.watch = watch
    for batch in batches:
        state.apply_batch(batch)
        yield from watch
        watch.clear()
