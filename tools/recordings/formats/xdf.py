"""XDF files as recordings: https://github.com/sccn/xdf/wiki/Specifications.

Stamps are seconds of a clock of LSL, which on Linux is CLOCK_MONOTONIC, mapped to that of the recording machine by the
clock offsets that were measured while it recorded.
"""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.clocks.axis import stamped
from ezmsg.ledger.tools.recordings.recording import Marker, NotARecording, Recording, chosen

EXTRA = "ezmsg-ledger[xdf]"

MEMORY, MEMORY_TIMES = Path("/proc/meminfo"), 2
"""The file in which Linux tells how much memory is free; the memory that a file takes at least, times its size."""

NO_END = "its recorder did not end it: samples may be missing at its end"

ONE_MACHINE_S = 0.001
"""Clock offsets that are all smaller than this are of one machine, whose clock is the same for all."""

OFFSETS_MIN = 3
"""Clock offsets of another machine that tell by how much they vary."""


def read(path: Path, series: str | None) -> Recording:
    """See ``recording.read``. All of the file is read: some 1 us and 100 bytes of memory for each sample, and twice the
    bytes of the values. NotARecording also for a file that does not fit into the memory."""
    pyxdf = needed("pyxdf", EXTRA, "Reading XDF", MissingExtra)
    with open(path, "rb"):
        pass
    _must_fit(path)
    told = _Told()
    logger = logging.getLogger("pyxdf")
    logger.addHandler(told)
    logger.propagate = False
    try:
        streams, header = pyxdf.load_xdf(str(path), verbose=False)
    except MemoryError as error:
        raise _too_large(path, "this machine has") from error
    except Exception as error:  # whatever a reader meets in bytes that are something else
        raise NotARecording(
            f"{path.name} is not read as XDF: {error}", hint="It may be encrypted, cut off, or something else."
        ) from error
    finally:
        logger.propagate = True
        logger.removeHandler(told)
    samples = {_text(each, "name"): each for each in streams if _text(each, "channel_format") != "string"}
    name = chosen(path, series, {each: len(stream["time_stamps"]) for each, stream in samples.items()})
    stream = samples[name]
    return Recording(
        path=path,
        format="XDF",
        series=name,
        axis=stamped(stream["time_stamps"]),
        origin=None,
        began=_began(header),
        streams=[name],
        others=[each for each in samples if each != name],
        markers=[marker for each in streams if _text(each, "channel_format") == "string" for marker in _markers(each)],
        host=_text(stream, "hostname") or None,
        offsets=len(stream.get("clock_times", ())) > 0,
        offsets_off=_off(stream),
        told=[f"pyxdf tells: {text}" for text in told.texts] + ([] if stream.get("footer") else [NO_END]),
    )


class _Told(logging.Handler):
    """Keeps what the reader tells of a file that is not as it should be: what it cannot read it leaves out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().rstrip(".")
        if text not in self.texts:
            self.texts.append(text)


def _must_fit(path: Path) -> None:
    """Raise NotARecording for a file that needs more memory than is free: a system ends programs that take too much."""
    try:
        told = dict(line.split(":") for line in MEMORY.read_text().splitlines() if line.count(":") == 1)
        free = int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # another system than Linux: it says so with a MemoryError, if at all
        return
    if free < MEMORY_TIMES * path.stat().st_size:
        raise _too_large(path, f"the {free / 1e9:.1f} GB that are free")


def _too_large(path: Path, than: str) -> NotARecording:
    size = path.stat().st_size / 1e9
    return NotARecording(
        f"{path.name} takes at least {MEMORY_TIMES * size:.1f} GB of memory, which is more than {than}",
        hint="All of an XDF file is read. Ask where there is more memory, or about a part of it in a file of its own.",
    )


def _off(stream: Any) -> float | None:
    """By how much (s) the clock offsets of a stream may be off at most; None where too few of them tell.

    LSL measures them by messages that go forth and back, and on one machine they ought to be 0. A line through them
    moves the stamps, and may at its ends lie as far beyond them as they are from each other.
    """
    import numpy

    times, values = (numpy.asarray(stream.get(name, ()), dtype=float) for name in ("clock_times", "clock_values"))
    if len(values) and numpy.abs(values).max() < ONE_MACHINE_S:
        return float(numpy.abs(values).max() + numpy.ptp(values))
    if len(values) < OFFSETS_MIN:
        return None
    line = numpy.polyfit(times - times[0], values, 1)
    return 2 * float(numpy.ptp(values - numpy.polyval(line, times - times[0])))


def _text(stream: Any, name: str) -> str:
    found = stream["info"].get(name) or [""]
    return str(found[0] or "")


def _markers(stream: Any) -> list[Marker]:
    rows = zip(stream["time_stamps"], stream["time_series"], strict=False)
    return [Marker(float(time), str(values[0])) for time, values in rows if len(values)]


def _began(header: Any) -> int | None:
    """The time at which the recorder began the file, to the second, where it says so with its zone."""
    found = header.get("info", {}).get("datetime") or [None]
    try:
        moment = datetime.strptime(str(found[0]), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    return int(moment.timestamp()) * 10**9
