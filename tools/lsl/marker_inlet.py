"""The markers of another program's stream of LabStreamingLayer, as they come, with the wall times of what they mark."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ezmsg.ledger.tools.exits import MissingExtra, Misuse
from ezmsg.ledger.tools.lsl.library import pylsl

FIND_S = 10.0
"""Time in which a stream must be found."""

CORRECT_S = 10.0
"""Time in which its clock must be laid beside ours; the first answer takes 0.6 s."""

PULL_S = 0.2


class NoSuchStream(Misuse):
    """No stream of that name, or not one of markers."""


class Heard(NamedTuple):
    """A marker: its text, and when that was which it marks (ns since the epoch, UTC, by this machine's wall clock)."""

    text: str
    happened: int


class MarkerInlet:
    """The markers of the stream that is called ``name``, from now on.

    Raises NoSuchStream, MissingExtra. Making one takes a second: the clocks are laid together before the first marker
    is heard, for that blocks.
    """

    def __init__(self, name: str, find_s: float = FIND_S) -> None:
        self._library = pylsl(MissingExtra)
        found = self._library.resolve_byprop("name", name, timeout=find_s)
        if not found:
            raise NoSuchStream(
                f"there is no LSL stream {name!r}", hint="Is its program running, and on this network? Case counts."
            )
        if found[0].channel_format() != self._library.cf_string:
            raise NoSuchStream(f"the LSL stream {name!r} has numbers, not markers", hint="Name a stream of texts.")
        self.host: str = found[0].hostname()
        self._inlet = self._library.StreamInlet(found[0], processing_flags=0)
        self._inlet.open_stream(timeout=CORRECT_S)
        self._inlet.time_correction(timeout=CORRECT_S)

    def markers(self, go_on: Callable[[], bool] = lambda: True) -> Iterator[Heard]:
        """Markers as they come, while ``go_on``. Empty texts are none."""
        while go_on():
            sample, stamp = self._inlet.pull_sample(timeout=PULL_S)
            if sample is not None and str(sample[0]).strip():
                yield Heard(str(sample[0]).strip(), self._wall(stamp))

    def _wall(self, stamp: float) -> int:
        """The wall time (ns) of a stamp of the stream's clock."""
        here = stamp + self._inlet.time_correction(timeout=CORRECT_S)
        clocks: Any = (self._library.local_clock(), time.time_ns())
        return int(clocks[1] - round((clocks[0] - here) * 1e9))
