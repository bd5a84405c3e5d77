"""Turns: the subscribers of one machine hear of a new publisher one after the other, as ezmsg's own server tells them.

All subscribers of a process share one channel to a publisher. The first that hears of it opens that; one that hears of
it while it is being opened opens another, which takes the place of the first in ezmsg's table (3.9 and 3.10). The
subscriber of the channel that was replaced then cannot leave: its program ends with a KeyError. Which process a
subscriber is in is not said, so those of one host count as one.
"""

from collections import deque
from collections.abc import Callable, Collection
from typing import TypeAlias

Joining: TypeAlias = tuple[str, str]
"""A host, and the UUID of a publisher that is new to a subscriber there."""


class Turns:
    """The turns: who is joining which publishers, and who comes next. Each call costs O(its publishers)."""

    def __init__(self) -> None:
        self._taken: set[Joining] = set()
        self._next: dict[Joining, deque[Callable[[], None]]] = {}

    def take(self, wanted: Collection[Joining], again: Callable[[], None]) -> bool:
        """Take the turn for all of these; else False, and ``again`` is called when it may be tried once more."""
        for each in wanted:
            if each in self._taken:
                self._next.setdefault(each, deque()).append(again)
                return False
        self._taken.update(wanted)
        return True

    def give_back(self, taken: Collection[Joining]) -> None:
        """End the turn for these: those that come next try again, in order, until one takes it."""
        self._taken.difference_update(taken)
        for each in taken:
            queue = self._next.get(each, ())
            while queue and each not in self._taken:
                queue.popleft()()
            if not queue:
                self._next.pop(each, None)
