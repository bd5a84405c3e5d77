"""Times and lengths of time, as people write them and as they are shown. Instants are ns since the epoch, UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import msgspec

SECOND = 10**9
"""Nanoseconds."""

UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}
_NAMES = {"ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day"}

_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_SPAN = re.compile(r"(?:\d{1,12}(?:\.\d{1,9})?(?:ms|s|m|h|d))+", re.ASCII)
_TIME = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?=\d)|(?!\d)))?"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?:\s*(?P<zone>Z|[+-]\d\d(?::?\d\d(?::\d\d)?)?|(?<=\s)[A-Za-z][\w+/-]*|\[[A-Za-z][\w+/-]*\]))?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_text(time: int, zone: tzinfo | None = None, digits: int = 3) -> str:
    """``2026-11-24 14:03:20.123+01:00``: ``time`` (ns) in ``zone`` (None: the viewer's), cut to ``digits`` (0 to 9)."""
    try:
        shown = local(time, zone)
    except (OverflowError, OSError, ValueError):  # beyond the years that datetime or the system knows
        return f"{time / SECOND} s after 1970"
    fraction = f".{time % SECOND:09d}"[: digits + 1] if digits else ""
    offset = shown.strftime("%z")
    seconds = f":{offset[5:7]}" if offset[5:7] else ""  # Monrovia was 44 min 30 s behind until 1972: where clocks begin
    return f"{shown:%Y-%m-%d %H:%M:%S}{fraction}{offset[:3]}:{offset[3:5]}{seconds}"


def iso_text(time: int) -> str:
    """``2026-11-24T13:03:20.123456789Z``: ``time`` (ns) as ISO 8601, in UTC, whole. Cost: 1 us."""
    return f"{_EPOCH + timedelta(seconds=time // SECOND):%Y-%m-%dT%H:%M:%S}.{time % SECOND:09d}Z"


def local(time: int, zone: tzinfo | None = None) -> datetime:
    """``time`` (ns) as a datetime in ``zone`` (None: the viewer's), cut to the second."""
    return (_EPOCH + timedelta(seconds=time // SECOND)).astimezone(zone)


def span(text: str) -> tuple[int, str] | None:
    """The length of ``5m``, ``1h30m`` or ``1.5s`` in ns, and in words; None when ``text`` is not a length of time."""
    if _SPAN.fullmatch(text) is None:
        return None
    parts = _PART.findall(text)
    words = " ".join(f"{number} {_NAMES[unit]}{'' if number == '1' else 's'}" for number, unit in parts)
    return sum(_nanoseconds(number, UNITS[unit]) for number, unit in parts), words


def _nanoseconds(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole) * unit + int(fraction.ljust(9, "0")) * unit // SECOND


class ClockTime(msgspec.Struct, frozen=True):
    """A time as it was written. ``day`` is midnight of its date, None for a bare clock time; ``second``: of the day.

    ``fraction``: the digits of the second after the point; ``zone`` is None when none was given. ``width``: how long
    (ns) what was written last is: a day, a minute, a second, or the place of the last digit.
    """

    day: datetime | None
    second: int
    fraction: str
    zone: tzinfo | None
    width: int

    def instants(self, zone: tzinfo | None, day: datetime | None = None) -> list[int]:
        """The instants that may be meant (ns since the epoch, UTC), the earlier first: two where clocks were put back
        for the winter, and a time of day was there twice; else one.

        ``day`` and ``zone`` (None: the viewer's) serve where none was written. A time that clocks went past is the one
        that it would have been. Raises ValueError or OverflowError when the calendar has no such time.
        """
        midnight = self.day or day
        assert midnight is not None, "a bare clock time needs a day"
        naive = midnight + timedelta(seconds=self.second)
        first, again = (self._instant(naive.replace(fold=fold), zone) for fold in (0, 1))
        return [first, again] if first < again else [first]

    def end(self, begin: int, zone: tzinfo | None) -> int:
        """The last instant of a time that begins at ``begin``: a day of a change of clocks has 23 or 25 hours."""
        if self.day is None or self.width != UNITS["d"]:
            return begin + self.width - 1
        return self._instant(self.day + timedelta(days=1), zone) - 1

    def _instant(self, naive: datetime, zone: tzinfo | None) -> int:
        zone = self.zone or zone
        try:
            aware = naive.astimezone() if zone is None else naive.replace(tzinfo=zone)
        except OSError as error:  # what a system says of years that it does not know
            raise ValueError(f"{naive} is beyond what this system can tell") from error
        return ((aware - _EPOCH) // timedelta(seconds=1)) * SECOND + int(self.fraction.ljust(9, "0"))


def parse(text: str) -> ClockTime | None:
    """Read a time; None when ``text`` does not look like one. Raises ValueError when there is no such time or zone."""
    match = _TIME.fullmatch(text)
    if match is None or not (match["day"] or match["hour"]):
        return None
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("there is no such time of day")
    fraction = match["fraction"] or ""
    if match["second"]:
        width = 10 ** (9 - len(fraction))
    else:
        width = UNITS["m" if match["hour"] else "d"]
    return ClockTime(
        datetime.fromisoformat(match["day"]) if match["day"] else None,
        (hour * 60 + minute) * 60 + second,
        fraction,
        _zone(match["zone"]) if match["zone"] else None,
        width,
    )


def _zone(text: str) -> tzinfo:
    name = text.strip("[]")
    if name == "Z":
        return UTC
    if name[0] in "+-":
        digits = name[1:].replace(":", "").ljust(6, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
        if int(digits[2:4]) > 59 or int(digits[4:]) > 59 or offset >= timedelta(days=1):
            raise ValueError(f"there is no offset {name}")
        return timezone(-offset if name[0] == "-" else offset)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError(f"there is no time zone {name} on this system") from error


def elapsed_text(ns: int) -> str:
    """``12.345``, ``3:25.120``, ``1:03:25.120``, ``2d 1:03:25.120``: a length of time, cut to the millisecond."""
    sign, ms = "-" if ns < 0 else "", abs(ns) // (SECOND // 1000)
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}:{minutes:02d}:{seconds:02d}.{ms:03d}"
    if hours:
        return f"{sign}{hours}:{minutes:02d}:{seconds:02d}.{ms:03d}"
    return f"{sign}{minutes}:{seconds:02d}.{ms:03d}" if minutes else f"{sign}{seconds}.{ms:03d}"


def length_text(ns: int, clock: str) -> str:
    """A length as ``span_text`` has it; one told by wall time, as its ends are of two boots of a machine, says so."""
    return span_text(ns) + (" by the wall clock" if clock == "boots" else "")


def span_text(ns: int) -> str:
    """``250 ms``, ``12.3 s``, ``5 min 20 s``, ``3 h 2 min``, ``2 d 5 h``: a length of time in the unit that fits it."""
    seconds = abs(ns) / SECOND
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 1440 else f"{minutes // 1440} d {minutes // 60 % 24} h"
