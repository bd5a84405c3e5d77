"""The ages of a ledger's sealed segments: by a clock that nobody sets, where readings of it allow that.

The idea: a segment says by wall time when the one before it was sealed, and wall time is set. Readings of the clocks
stand in the ledger around that place. One that is of the monotonic clock which runs now says how wall time stood to it
then, and so how long that is ago, whatever was done to wall time since. Wall time may have been set between two
readings: then the last one before the place and the first one after it say between which times it has to be.
"""

from typing import NamedTuple

from ezmsg.ledger import clock
from ezmsg.ledger.events import ClockRead
from ezmsg.ledger.projections.lifetimes.clock_readings import STEADY, Reading, Readings
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.reading.open_file import Sealed


class Age(NamedTuple):
    """The time since a segment was sealed: ``ns``. ``clock``: "mono", what passed, or "wall", as far as the wall clock
    says: no reading there is of the monotonic clock that runs now, as after a start of the machine."""

    ns: int
    clock: str


class SealedAges:
    """The ages of a ledger's sealed segments, as told by the clock ``read``, that of this machine.

    Asking for one costs a look at the events after it up to the first reading, and one pass over the segment where that
    is the first of a run; what was found is kept.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.clock import SYSTEM_CLOCK
    >>> from ezmsg.ledger.storage.reading.open_file import Sealed
    >>> with Ledger.open("rig.ledger", segmented=True) as ledger:
    ...     _ = ledger.append([events.Mark(name="baseline")])
    ...     _ = ledger.rotate([b"1"])
    ...     _ = ledger.append([events.Mark(name="stimulation")])
    ...     ages = SealedAges(ledger, SYSTEM_CLOCK)
    ...     ledger.drop(lambda sealed: ages.age(sealed).clock == "wall")  # no run has read the clocks here
    ['000001.ledger']
    """

    def __init__(self, ledger: LedgerReader, read: clock.Clock) -> None:
        self._ledger = ledger
        self._clock = read
        self._name = None if isinstance(read, clock.WallOnly) else read.identity()
        self._around: dict[int, tuple[Reading | None, Reading | None]] = {}

    def age(self, sealed: Sealed, now: clock.Reading | None = None) -> Age:
        """The age of one segment, at the reading ``now`` (None: by now). Raises DamagedLedger, LogError."""
        now = now or self._clock.read()
        if self._name is None or self._name.boot_id is None:
            return Age(now.real - sealed.time, "wall")
        before, after = (self._of_this_clock(reading) for reading in self._readings_around(sealed.seq))
        if before is None and after is None:
            return Age(now.real - sealed.time, "wall")
        begin = 0 if before is None else before.mono
        end = now.mono if after is None else after.mono
        places = [sealed.time - reading.offset for reading in (after, before) if reading is not None]
        fitting = [place for place in places if begin <= place <= end]
        if not fitting and before is None:  # it was sealed before this machine was started
            return Age(now.real - sealed.time, "wall")
        place = max(fitting) if fitting else end  # what is not known for sure is not called old
        return Age(now.mono - place, "mono")

    def _of_this_clock(self, reading: Reading | None) -> Reading | None:
        name = self._name
        assert name is not None
        same = reading is not None and (reading.boot_id, reading.time_namespace) == (name.boot_id, name.time_namespace)
        return reading if same else None

    def _readings_around(self, seq: int) -> tuple[Reading | None, Reading | None]:
        """The last reading up to event ``seq`` and the first one after it; one that holds for both stands for both."""
        if seq not in self._around:
            self._around[seq] = self._look(seq)
        return self._around[seq]

    def _look(self, seq: int) -> tuple[Reading | None, Reading | None]:
        following = next((event for event in self._ledger.entries(seq) if isinstance(event, ClockRead)), None)
        if following is not None and following.boot_id is not None and following.reason in STEADY:
            readings = Readings()
            readings.add(following, 0)
            return None, readings.kept[0]
        readings = self._readings_up_to(seq)
        before = readings.kept[-1] if readings.kept else None
        if following is None:
            return before, None
        readings.add(following, 0)
        return before, readings.kept[-1]

    def _readings_up_to(self, seq: int) -> Readings:
        """The readings of the segment that ends with event ``seq``; of earlier ones too, until one names its clock."""
        first, begin = self._ledger.first - 1, seq
        while True:
            start = self._ledger.start(max(begin - 1, first))
            begin = first if start is None else start.seq
            readings = Readings()
            for event in self._ledger.entries(begin, seq):
                if isinstance(event, ClockRead):
                    readings.add(event, 0)
            if begin <= first or (readings.kept and readings.kept[-1].boot_id is not None):
                return readings
