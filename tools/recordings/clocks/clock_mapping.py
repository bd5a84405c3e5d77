"""The mapping from the time axis of a recording to a clock of the ledger: how it was recognised, and how exact it is.

Stamps of ezmsg's clock and of LSL are CLOCK_MONOTONIC, which readings in the ledger pair with wall time. Which clock
the stamps of a file are of is told by where they lie: uptimes and wall times are decades apart, and an uptime counts
only where the wall time that it stands for fits the date in the file.
"""

from statistics import median

import msgspec

from ezmsg.ledger.tools.recordings.clocks.ledger_clock import NEAR_NS, LedgerClock
from ezmsg.ledger.tools.recordings.recording import Recording
from ezmsg.ledger.wording import count

SECOND = 10**9

WALL_MIN_NS = 10**18
"""Times later than this, September 2001, are wall times: no machine has been up for that long."""

BEFORE_NS, AFTER_NS = 60 * SECOND, 2 * 86400 * SECOND
"""How much earlier, and later, the first sample may be than the time at which its file says that it was begun."""

EXACT, WALL, LINK, UNCOVERED = "exact", "as the wall clock said", "by the link only", "not covered"
"""How sure a mapping is. The fifth is "by N markers"."""

ERRORS_NS = {"NWB": 300, "NWB moved": 4_000, "XDF": 1_000, "FIF": 1_400}
"""The errors of mappings, as measured beside signals that ezmsg-nwb 1.13.0, ezmsg-lsl 1.17.1 and mne 1.13.2 wrote; of
XDF, without that of the clock offsets in the file."""


class Piece(msgspec.Struct, frozen=True):
    """Stamps ``begin`` to ``end`` (s) and the number (ns) that makes a place on the clock of a stamp's ns."""

    begin: float
    end: float
    shift: int


class ClockMapping(msgspec.Struct, frozen=True):
    """A mapping between a recording's own time and places on ``clock`` (ns).

    ``kind``: mono, moved (from mono to wall time when the file was begun), wall, counted (samples from a wall time on),
    markers. ``sureness``: EXACT and so on; ``error``: ns, None where it is not known; ``how``: the way it was
    recognised, in words; ``doubts`` likewise.
    """

    clock: LedgerClock
    kind: str
    sureness: str
    error: int | None
    how: str
    pieces: list[Piece]
    period: float
    doubts: list[str] = []

    def place(self, stamp: float) -> int:
        """The place of a time on the recording's own axis (s)."""
        piece = next((each for each in self.pieces if stamp <= each.end + self.period), self.pieces[-1])
        return round(stamp * SECOND) + piece.shift

    def stamp(self, place: int) -> float:
        """The time on the recording's own axis (s) at a place; between two pieces, the one after the earlier."""
        found = self.pieces[0]
        for piece in self.pieces[1:]:
            if place >= round(piece.begin * SECOND) + piece.shift:
                found = piece
        return (place - found.shift) / SECOND


def recognise(recording: Recording, clocks: list[LedgerClock], stamps_of: str | None = None) -> ClockMapping | None:
    """The mapping of a recording to one of the ledger's ``clocks``; None when the axis is of none that is known.

    ``stamps_of``: the clock that the settings of its writer name: system, monotonic or unknown; None where they do not.
    Cost: O(pieces of the axis x readings).
    """
    axis = recording.axis
    found = None
    if stamps_of != "unknown":
        if not axis.counted:
            found = _monotonic(recording, clocks)
        if found is None and recording.origin is not None:
            found = _wall(recording, clocks, stamps_of)
    return found


def _monotonic(recording: Recording, clocks: list[LedgerClock]) -> ClockMapping | None:
    """The mapping of stamps that are CLOCK_MONOTONIC, perhaps less the session start, as ezmsg-nwb writes them."""
    origin = recording.origin or 0
    first = round(recording.axis.begin * SECOND) + origin
    for clock in clocks:
        near = BEFORE_NS if recording.began is None else NEAR_NS  # without a date to compare with, it must be covered
        if clock.name is None or not clock.begin - near <= first <= clock.end + near:
            continue
        if recording.began is not None and not _fits(clock, first, recording.began):
            continue
        what = "CLOCK_MONOTONIC" + (" less the session start" if recording.origin else "")
        doubts = []
        if recording.format == "XDF":
            what += ", which is the clock of LSL"
            if not recording.offsets and not (recording.host and recording.host == clock.host):
                doubts.append(
                    "the file has no clock offsets: that its stamps are of the clock of this machine is a guess"
                )
            if recording.host and clock.host and recording.host != clock.host:
                doubts.append(
                    f"its samples came from the host {recording.host}, the ledger from {clock.host}: they are laid "
                    "together as the offsets in the file have it"
                )
        pieces = [Piece(each.begin, each.end, origin) for each in recording.axis.pieces]
        how = f"its stamps are {what}, of the machine that the ledger was recorded on"
        error: int | None = ERRORS_NS[recording.format]
        if recording.offsets:
            off = recording.offsets_off
            error = None if off is None else ERRORS_NS["XDF"] + round(off * SECOND)
        return ClockMapping(clock, "mono", EXACT, error, how, pieces, recording.axis.period, doubts)
    return None


def _fits(clock: LedgerClock, first: int, began: int) -> bool:
    """Whether a first sample at place ``first`` fits a file that was begun at wall time ``began``, by the wall clock
    as it was at any time: it may have been set between the two."""
    return any(-BEFORE_NS <= first + span.offset - began <= AFTER_NS for span in clock.spans)


def _wall(recording: Recording, clocks: list[LedgerClock], stamps_of: str | None) -> ClockMapping | None:
    """The mapping of an axis that counts from a wall time."""
    assert recording.origin is not None
    axis, moved = recording.axis, stamps_of == "monotonic"
    first = round(axis.begin * SECOND) + recording.origin
    if first < WALL_MIN_NS:
        return None
    candidates = [(clock, place) for clock in clocks for place in clock.of_wall(first)]
    inside = [each for each in candidates if each[0].begin - SECOND <= each[1] <= each[0].end + SECOND]
    candidates = inside or sorted(candidates, key=lambda each: _distance(*each))
    if not candidates:
        return None
    clock, place = candidates[0]
    doubts = []
    if len(inside) > 1:
        doubts.append("the wall clock was set back, and said the time of the first sample twice: the earlier is taken")
    pieces = _pieces(recording, clock, place - first, doubts)
    known = clock.name is not None
    if axis.counted:
        how = "its samples are counted, at the rate in the file, from a wall time that the file states"
        doubts.append("whether the device kept that rate, nobody knows: 50 ppm are 3 ms a minute")
    elif moved and known:
        how = "its stamps were CLOCK_MONOTONIC, moved to wall time by ezmsg-nwb when the series began"
    else:
        how = "its stamps are wall time, counted from a time that the file states"
    sure = EXACT if moved and known else WALL
    error = ERRORS_NS["FIF"] if axis.counted else ERRORS_NS["NWB moved"]
    kind = "counted" if axis.counted else "moved" if moved else "wall"
    if not known:
        doubts.append("the ledger has no readings of its clocks: where its wall clock was set is not known")
        error = None  # type: ignore[assignment]
    return ClockMapping(clock, kind, sure, error, how, pieces, axis.period, doubts)


def _distance(clock: LedgerClock, place: int) -> int:
    return max(clock.begin - place, place - clock.end, 0)


def _pieces(recording: Recording, clock: LedgerClock, turn: int, doubts: list[str]) -> list[Piece]:
    """The pieces of an axis in wall time. Where it jumps as the wall clock was set, its samples ran on all the same.

    ``turn``: place less wall time at the first sample.
    """
    axis = recording.axis
    origin = recording.origin or 0
    pieces = [Piece(axis.pieces[0].begin, axis.pieces[0].end, origin + turn)]
    for before, after in zip(axis.pieces, axis.pieces[1:], strict=False):
        jump = round((after.begin - before.end - axis.period) * SECOND)
        here = round(before.end * SECOND) + pieces[-1].shift
        steps = [by for place, by in clock.jumps(pieces[0].shift + round(pieces[0].begin * SECOND), here + 60 * SECOND)]
        shift = pieces[-1].shift
        if step := next((by for by in steps if abs(by - jump) < SECOND // 4), 0):
            shift -= step
            doubts.append(
                f"its own axis jumps by {jump / SECOND:+.3f} s after second {before.end - axis.begin:.3f}, as the wall "
                "clock was set: that is taken out"
            )
        pieces.append(Piece(after.begin, after.end, shift))
    return pieces


def by_markers(recording: Recording, clock: LedgerClock, marks: list[tuple[int, str]]) -> ClockMapping | None:
    """The mapping that lays markers of a recording on the ledger's marks (place, name) of the same names.

    Names that occur as often in both are laid together in their order; None when there is no such name. The error is
    by how much they do not fit, which of one marker is not known.
    """
    pairs: list[tuple[float, int]] = []
    for name in dict.fromkeys(marker.name for marker in recording.markers):
        times = [marker.time for marker in recording.markers if marker.name == name]
        places = [place for place, mark in marks if mark == name]
        if len(times) == len(places):
            pairs += zip(sorted(times), sorted(places), strict=True)
    if not pairs:
        return None
    shifts = [place - round(time * SECOND) for time, place in pairs]
    shift = round(median(shifts))
    error = max(abs(each - shift) for each in shifts) if len(pairs) > 1 else None
    axis = recording.axis
    pieces = [Piece(each.begin, each.end, shift) for each in axis.pieces]
    sure = f"by {count(len(pairs), 'marker')}"
    how = f"{count(len(pairs), 'marker')} of it and marks of the ledger have the same names"
    doubts = [] if error is not None else ["one marker cannot tell by how much it is off"]
    return ClockMapping(clock, "markers", sure, error, how, pieces, axis.period, doubts)
