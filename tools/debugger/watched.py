"""The ledger that the debugger looks at, while others write it, rotate it, replace it or take it away."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ezmsg.ledger.errors import EventError, LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.tools.debugger.api.columns import Columns

if TYPE_CHECKING:
    from ezmsg.ledger.projections.drawing.drawing import Drawing
    from ezmsg.ledger.projections.graph.state import GraphState

T = TypeVar("T")

STATES_KEPT = 8
"""States that are kept for a reader that goes on where it stopped: a page of events begins where the last one ended."""


class Trouble(msgspec.Struct, frozen=True):
    """The fault of a ledger. ``seq``: up to which event it can be read; ``kind``: the error's class."""

    kind: str
    message: str
    hint: str
    seq: int

    @classmethod
    def of(cls, error: LedgerError | OSError, seq: int) -> "Trouble":
        """Make a fault of an error, as it is told."""
        return cls(type(error).__name__, str(error), getattr(error, "hint", ""), seq)


class Watched:
    """A ledger that is read for as long as the page is open, and another one that it can be compared with.

    All questions are asked on one thread, one after the other. ``epoch`` counts histories: it goes up when what was
    read before is no longer so, because the ledger was replaced or cut back. Raises as ``Ledger.open`` does.
    """

    def __init__(self, path: Path, other: Path | None = None) -> None:
        self.path = path
        self.epoch = 1
        self.columns = Columns(self.epoch)
        self.ledger = Ledger.open(path, "r")
        self.timeline = Timeline(self.ledger)
        self.other = None if other is None else Timeline(Ledger.open(other, "r"))
        self.other_columns = Columns(self.epoch)
        self.gone: Trouble | None = None
        self.ending = False
        """Whether the server is about to end: streams, which have no end of their own, end then."""
        self._place = self.ledger.place
        self._states: dict[int, GraphState] = {}
        self._drawing: Drawing | None = None
        self._drawn: tuple[int, bytes] | None = None
        self._thread = ThreadPoolExecutor(1, "ledger")

    async def ask(self, question: Callable[["Watched"], T]) -> T:
        """The answer to a question about the ledger as it is now."""

        def answer() -> T:
            self.look()
            return question(self)

        return await asyncio.get_running_loop().run_in_executor(self._thread, answer)

    def prepare(self) -> None:
        """Begin to read the ledger and to draw it, before anybody asks: a browser takes its time to open a page."""

        def begin() -> None:
            # what is wrong with the ledger is told to those who ask
            with suppress(LedgerError, OSError):
                self.look()
                _ = self.timeline.landmarks, self.timeline.lifetimes.plain_rows()
                self.drawn()

        self._thread.submit(begin)

    def close(self) -> None:
        """Wait for the question that is being answered, drop those that wait, and let the files go."""
        self._thread.shutdown(cancel_futures=True)
        self.ledger.close()
        if self.other is not None:
            self.other.ledger.close()

    def look(self) -> None:
        """See whether the history is still the one that was read. Cost: a look at the file."""
        try:
            if not self.ledger.in_place:
                self._reopen()
            elif not self.ledger.holds(self._place):
                self._begin_anew(self.ledger)
            else:
                self.gone = None
        except (LedgerError, OSError) as error:
            self.gone = Trouble.of(error, self._place.seq)
            return
        self._place = self.ledger.place

    @property
    def trouble(self) -> Trouble | None:
        """The reason why the ledger cannot be read to its end, or no more at all; None while it can."""
        damage = self.timeline.damage
        return self.gone if damage is None else Trouble.of(damage, damage.seq)

    @property
    def head(self) -> int:
        """The last event that can be read."""
        if self.timeline.damage is not None:
            return self.timeline.damage.seq
        return self._place.seq

    def drawing(self) -> "Drawing":
        """The drawing of all, in the other ledger too, made when it is first asked for; it grows with the ledger."""
        self._drawing = self.timeline.drawing(self._drawing, self.other)
        return self._drawing

    def drawn(self) -> bytes:
        """The document of the drawing, in JSON. Cost: that of ``drawing``; nothing while the ledger does not grow."""
        drawing = self.drawing()
        if self._drawn is None or self._drawn[0] != drawing.seq:
            self._drawn = drawing.seq, msgspec.json.encode(drawing.document())
        return self._drawn[1]

    def has_state(self, seq: int) -> bool:
        """Whether ``state_after`` costs nothing."""
        return seq in self._states

    def state_after(self, seq: int) -> "GraphState":
        """The state after an event, the caller's own to go on from. Cost: nothing where somebody stopped there."""
        found = self._states.pop(seq, None)
        return self.timeline.at(seq) if found is None else found

    def keep_state(self, state: "GraphState") -> None:
        """Keep a state for a reader that goes on from there."""
        self._states[state.seq] = state
        while len(self._states) > STATES_KEPT:
            del self._states[next(iter(self._states))]

    def _reopen(self) -> None:
        there = Ledger.open(self.path, "r")
        before, self.ledger = self.ledger, there
        goes_on = there.id == before.id and there.head >= self._place.seq
        before.close()
        if goes_on:  # it became a folder of segments, or was copied into its place
            self._read_anew(there)
        else:
            self._begin_anew(there)

    def _begin_anew(self, ledger: LedgerReader) -> None:
        self.epoch += 1
        self.columns = Columns(self.epoch)
        self._read_anew(ledger)

    def _read_anew(self, ledger: LedgerReader) -> None:
        self.timeline = Timeline(ledger)
        self._states.clear()
        self._drawing = self._drawn = None
        self.gone = None


def contradicted(watched: Watched) -> Trouble | None:
    """The reason why no lifetimes can be made of the ledger; None when they can."""
    try:
        _ = watched.timeline.lifetimes
    except EventError as error:
        return Trouble.of(error, watched.head)
    return None
