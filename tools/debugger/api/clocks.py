"""The clocks of a ledger as a page reads them: how much time really passed between two events."""

import msgspec

from ezmsg.ledger.projections.lifetimes.clock_readings import STEP_NS, Readings


class Clock(msgspec.Struct, frozen=True):
    """From event ``seq`` on, wall time less ``offset`` (ns) is the time of monotonic clock ``clock``.

    Between two events of one ``clock`` the difference of these times has passed. ``clock`` null: no reading holds
    from here on, only wall time is known.
    """

    seq: int
    offset: int
    clock: int | None


def clocks(readings: Readings) -> list[Clock]:
    """The clocks in the order of the events that they hold for. Cost: O(readings).

    A reading that says what the one before said, to a millisecond, is left out.

    >>> from ezmsg.ledger import events
    >>> from ezmsg.ledger.projections.lifetimes.clock_readings import Readings
    >>> readings = Readings()
    >>> readings.add(events.ClockRead(seq=1, time=900, real=900, mono=10, reason="start", boot_id="a"), 0)
    >>> readings.add(events.ClockRead(seq=7, time=950, real=950, mono=60, reason="idle"), 940)
    >>> readings.end(9)
    >>> clocks(readings)
    [Clock(seq=1, offset=890, clock=0), Clock(seq=9, offset=0, clock=None)]
    """
    numbers: dict[object, int] = {}
    kept = readings.kept
    found = [Clock(each.holds_from, each.offset, numbers.setdefault(each.clock, len(numbers))) for each in kept]
    if found and readings.at(0) is not None:  # earlier segments are gone
        found[0] = msgspec.structs.replace(found[0], seq=0)
    found += [Clock(seq, 0, None) for seq in readings.ends]
    found.sort(key=lambda each: (each.seq, each.clock is not None))
    out: list[Clock] = []
    for each in found:
        same = bool(out) and out[-1].clock == each.clock and abs(out[-1].offset - each.offset) < STEP_NS
        if not same:
            out.append(each)
    return out
