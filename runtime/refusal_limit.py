"""Refused commands as facts, without letting a client that repeats itself fill the ledger."""

from collections.abc import Callable
from time import monotonic

import msgspec
from msgspec.structs import replace

from ezmsg.ledger.events import CommandRejected

BURST = 10
"""Equal refusals recorded one by one within a WINDOW; the rest of them become a count."""

WINDOW_S = 1.0

RECORDED_MAX, RECORDED_S = 256, 30.0
"""Refusals of all kinds together that are recorded one by one, and within which time: a client that thinks of ever
new ones gets no more. Enough for every byte that could be a command; in the long run below 200 MB a day."""

AT_THE_DOOR = "accept"
"""The command of a connection that is not let in: its client did not come to send one."""

RATES = {AT_THE_DOOR: (1, 10.0)}
"""BURST and WINDOW_S of commands that have their own. Connections that are turned away can come for weeks, say from a
scanner, and each is like the other."""

KINDS_MAX = 1024
"""Different refusals remembered at once; beyond this the oldest are written out and forgotten."""


class Refusals:
    """Decides for each refusal whether it is recorded now or counted.

    Two refusals are equal when actor, command and reason are. The count goes out as ``repeated`` with the next one that
    is recorded, or with ``flush``. No count is ever lost.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[int | None, str, str], _Window] = {}
        self._all = _Window(clock())

    def admit(self, refusal: CommandRejected) -> list[CommandRejected]:
        """The events to record now: the refusal, with those held back before it counted in; none when it is counted.

        One that had to make room for it may come first.
        """
        out = []
        key = (refusal.actor, refusal.command, refusal.reason)
        now = self._clock()
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= KINDS_MAX:
                out += self._windows.pop(next(iter(self._windows))).rest()
            window = self._windows[key] = _Window(now)
        burst, length = RATES.get(refusal.command, (BURST, WINDOW_S))
        window.last = refusal
        if window.is_full(now, burst, length) or self._all.is_full(now, RECORDED_MAX, RECORDED_S):
            window.held_back += 1
            return out
        window.recorded += 1
        self._all.recorded += 1
        out.append(replace(refusal, repeated=1 + window.held_back))
        window.held_back = 0
        return out

    def flush(self, actor: int | None = None, everything: bool = False) -> list[CommandRejected]:
        """The events for what was only counted so far: of one actor that ends, or of all."""
        out = []
        for key in [key for key in self._windows if everything or key[0] == actor]:
            out += self._windows.pop(key).rest()
        return out


class _Window(msgspec.Struct):
    """The refusals of one kind within the current window, counted."""

    start: float
    recorded: int = 0
    held_back: int = 0
    last: CommandRejected | None = None

    def is_full(self, now: float, most: int, length: float) -> bool:
        """Whether ``most`` were recorded within ``length`` seconds. A window that is over begins anew."""
        if now - self.start >= length:
            self.start, self.recorded = now, 0
        return self.recorded >= most

    def rest(self) -> list[CommandRejected]:
        """An event for the refusals that were only counted so far."""
        if self.last is None or not self.held_back:
            return []
        return [replace(self.last, repeated=self.held_back)]
