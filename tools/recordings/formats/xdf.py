"""XDF files as recordings: https://github.com/sccn/xdf/wiki/Specifications.

Stamps are seconds of a clock of LSL, which on Linux is CLOCK_MONOTONIC, mapped to that of the recording machine by the
clock offsets that were measured while it recorded.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.clocks.axis import stamped
from ezmsg.ledger.tools.recordings.recording import Marker, NotARecording, Recording, chosen

EXTRA = "ezmsg-ledger[xdf]"


def read(path: Path, series: str | None) -> Recording:
    """See ``recording.read``. All of the file is read."""
    pyxdf = needed("pyxdf", EXTRA, "Reading XDF", MissingExtra)
    with open(path, "rb"):
        pass
    try:
        streams, header = pyxdf.load_xdf(str(path), verbose=False)
    except Exception as error:  # whatever a reader meets in bytes that are something else
        raise NotARecording(
            f"{path.name} is not read as XDF: {error}", hint="It may be encrypted, cut off, or something else."
        ) from error
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
    )


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
