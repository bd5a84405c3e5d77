"""A recording laid beside a ledger: the mapping between their times, and the settings that name the recording."""

from collections.abc import Callable

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.recordings.clocks.clock_mapping import (
    LINK,
    SECOND,
    UNCOVERED,
    ClockMapping,
    Piece,
    by_markers,
    recognise,
)
from ezmsg.ledger.tools.recordings.clocks.ledger_clock import LedgerClock, clocks_of
from ezmsg.ledger.tools.recordings.links import FOLDER, NAME, Link, links, searched
from ezmsg.ledger.tools.recordings.recording import Recording
from ezmsg.ledger.wording import count

YEAR_S = 365 * 86400.0


class Laid:
    """A recording beside a ledger. ``mapping`` is None where only its link tells which part of the ledger it is of.

    ``links``: the settings that name it while it was recorded; ``clock``: that of the ledger which it lies on.
    ``covered``: by run, the seconds of the recording that the ledger covers. ``clock_wrong`` and ``doubts``: in words.
    """

    def __init__(self, recording: Recording, timeline: Timeline) -> None:
        self.recording, self.timeline = recording, timeline
        landmarks, lifetimes = timeline.landmarks, timeline.lifetimes
        self.time_of: Callable[[int], int] = lifetimes.time_of
        self.clocks = clocks_of(landmarks, self.time_of)
        self.doubts: list[str] = []
        found = links(recording, lifetimes.facts_with("setting", searched(recording)))
        clock_names = {link.clock for link in found}
        stamps_of = clock_names.pop() if len(clock_names) == 1 else None
        mapping = recognise(recording, self.clocks, stamps_of)
        if mapping is None:
            mapping = self._by_markers(found)
        self.mapping: ClockMapping | None = mapping
        self.clock: LedgerClock = mapping.clock if mapping is not None else self._clock_of(found)
        self.links = self._overlapping(found)
        self.covered = self._covered()
        self.clock_wrong = self._clock_wrong()
        self.doubts += [*(mapping.doubts if mapping is not None else []), *self._general_doubts(found)]

    # --- times -------------------------------------------------------------------------------------------------------

    @property
    def length(self) -> float:
        """The seconds from the first sample to the end of the last one, on the recording's own axis."""
        return self.recording.axis.end - self.recording.axis.begin

    def place(self, second: float) -> int:
        """The place of a second of the recording on the ledger's clock, ns. There must be a mapping."""
        assert self.mapping is not None
        return self.mapping.place(second + self.recording.axis.begin)

    def second(self, place: int) -> float:
        """The second of the recording at a place. There must be a mapping."""
        assert self.mapping is not None
        return self.mapping.stamp(place) - self.recording.axis.begin

    def second_of(self, seq: int) -> float | None:
        """The second of the recording at event ``seq``; None when it is on another clock."""
        place = self.clock.place(seq)
        return None if place is None or self.mapping is None else self.second(place)

    def mark_place(self, mark: ev.Mark) -> int | None:
        """The place of what a mark marks: when it happened, where it says so, by the wall clock of then."""
        if mark.happened is None:
            return self.clock.place(mark.seq)
        places = self.clock.of_wall(mark.happened)
        here = self.clock.place(mark.seq)
        before = [place for place in places if here is None or place <= here]
        return max(before or places, default=None)

    @property
    def sureness(self) -> str:
        """The sureness of where the recording lies."""
        if self.mapping is None:
            return LINK if self.links else UNCOVERED
        return self.mapping.sureness if self.covered else UNCOVERED

    # --- how it was laid ---------------------------------------------------------------------------------------------

    def _by_markers(self, found: list[Link]) -> ClockMapping | None:
        if not self.recording.markers:
            return None
        clock = self._clock_of(found)
        self.clock = clock
        marks = [
            (place, mark.name) for mark in self.timeline.landmarks.marks if (place := self.mark_place(mark)) is not None
        ]
        return by_markers(self.recording, clock, marks)

    def _clock_of(self, found: list[Link]) -> LedgerClock:
        seq = found[0].born if found else self.timeline.landmarks.seq
        return next((clock for clock in self.clocks if clock.place(seq) is not None), self.clocks[-1])

    def _span(self, link: Link) -> tuple[int, int] | None:
        """The places between which a link stood; None when it is on another clock."""
        head = self.timeline.landmarks.seq
        begin, end = self.clock.place(link.born), self.clock.place(min(head, head if link.last is None else link.last))
        if begin is None:
            return None
        return begin, self.clock.end if end is None or link.last is None else end

    def _overlapping(self, found: list[Link]) -> list[Link]:
        """The links that stood while the recording was made; all of them where it is not known when that was."""
        if self.mapping is None:
            return found
        begin, end = self.place(0), self.place(self.length)
        spans = [(link, self._span(link)) for link in found]
        return [link for link, span in spans if span is not None and span[0] <= end and span[1] >= begin - SECOND]

    def _covered(self) -> list[tuple[int, float, float]]:
        if self.mapping is None:
            return []
        found = []
        for run, begin, end in self.clock.runs():
            first, last = max(0.0, self.second(begin)), min(self.length, self.second(end))
            if run.end is None and self.timeline.ledger.being_written:
                last = self.length
            if first < last:
                found.append((run.number, first, last))
        return found

    def _clock_wrong(self) -> list[str]:
        recording, axis = self.recording, self.recording.axis
        wrong = []
        if recording.format == "NWB" and axis.begin < -1.0:
            wrong.append(
                f"its stamps lie {_far(-axis.begin)} before the session start: they are of another clock than that, "
                "and programs that place samples in the session are misled"
            )
        mapped: list[Piece] = [] if self.mapping is None else self.mapping.pieces
        shifts = {piece.shift for piece in mapped}
        for at, by in axis.jumps():
            if len(shifts) < 2:
                kind = "back" if by < 0 else "ahead"
                wrong.append(f"its own axis jumps {kind} by {abs(by):.3f} s after second {at - axis.begin:.3f}")
        if recording.boundary is not None:
            second = recording.boundary - axis.begin
            wrong.append(f"it was put together of several: what comes after second {second:.3f} is of another time")
        return wrong

    def _general_doubts(self, found: list[Link]) -> list[str]:
        doubts = list(self.recording.told)
        if not found:
            doubts.append("nothing in the ledger names this file: it may be of another rig")
        elif not self.links:
            doubts.append(
                f"what names this file ({found[0].unit}.{found[0].field}) did not stand while it was recorded"
            )
        if len({(link.unit, link.field) for link in self.links}) > 1 or self._runs(self.links) > 1:
            doubts.append(f"{count(len(self.links), 'setting')} of the ledger name this file: it may be either's")
        if self.links and self.links[0].what in (NAME, FOLDER):
            doubts.append(f"only {self.links[0].what} fits: another file may have had it")
        if (step := self.recording.axis.step) > 1:
            doubts.append(
                f"one in {step:,} of its {self.recording.axis.count:,} stamps was looked at: an axis that jumps and "
                "jumps back between two of them is not seen"
            )
        if self.mapping is None:
            return [*doubts, *self._unmapped()]
        if self.covered:
            missing = self.length - sum(last - first for _, first, last in self.covered)
            if missing > max(0.001, self.recording.axis.period):
                spans = ", ".join(f"{first:.3f} to {last:.3f}" for _, first, last in self.covered)
                doubts.append(f"the ledger covers only seconds {spans} of {self.length:.3f}")
        else:
            when = time_text(self.clock.wall(self.place(0)), self.timeline.zone)
            doubts.append(f"the ledger recorded nothing while these samples were made, from {when} on")
        return doubts

    def _unmapped(self) -> list[str]:
        if not len(self.timeline.landmarks.readings):
            return ["the ledger has no readings of its clocks, and the stamps of the file are not wall times"]
        if self.links and self.links[0].clock == "unknown":
            return ["its writer was told to leave the clock of its stamps unknown, and that is not in the file"]
        return ["the stamps of the file are of no clock that this ledger knows: of another machine, or another start"]

    def _runs(self, found: list[Link]) -> int:
        runs = {run.number for link in found if (run := self.timeline.landmarks.run_at(link.born)) is not None}
        return len(runs)


def _far(seconds: float) -> str:
    return f"{seconds / YEAR_S:.1f} years" if seconds > YEAR_S else f"{seconds:,.3f} s"
