"""NWB files as recordings: https://nwb-schema.readthedocs.io (TimeSeries, session_start_time).

They are read as HDF5: to load the library of the format takes longer than the answer.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.clocks.axis import Axis, counted, stamped
from ezmsg.ledger.tools.recordings.recording import Marker, NotARecording, Recording, chosen

EXTRA = "ezmsg-ledger[nwb]"

MARKERS_MAX = 100_000
"""Markers that are read of one series."""

UNSOUND = "It is not as NWB has it: pynwb.validate tells more."

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(path: Path, series: str | None) -> Recording:
    """See ``recording.read``. Times of NWB count from ``timestamps_reference_time``, else from the session start."""
    with opened(path) as file:
        began = _instant(file, "session_start_time", path)
        reference = _instant(file, "timestamps_reference_time", path) if "timestamps_reference_time" in file else began
        found = dict(_series(file))
        name = chosen(path, series, {each: len(group["data"]) for each, group in found.items()})
        return Recording(
            path=path,
            format="NWB",
            series=name,
            axis=_axis(found[name], path),
            origin=reference,
            began=began,
            others=[each for each in found if each != name],
            markers=list(_markers(file)),
        )


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open to be read. Raises NotARecording when it is not NWB, or not whole; MissingExtra, OSError."""
    h5py = needed("h5py", EXTRA, "Reading NWB", MissingExtra)
    with open(path, "rb"):  # what the system refuses is said as that
        pass
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise NotARecording(
            f"{path.name} is not read as HDF5, which NWB is: {str(error).splitlines()[0]}",
            hint="It may be encrypted, another program may be writing it, or it was not closed: a rig that is killed "
            "leaves such files. The ledger has what was in force: ezmsg-ledger settings LEDGER",
        ) from error
    with file:
        if "session_start_time" not in file:
            raise NotARecording(f"{path.name} is HDF5 and not NWB: it has no session_start_time", hint="")
        try:
            yield file
        except (
            OSError,
            RuntimeError,
            KeyError,
        ) as error:  # what HDF5 meets in data that are damaged, or packed by others
            raise NotARecording(
                f"{path.name} is HDF5 that is not read: {' '.join(str(error).split())}",
                hint="It may be damaged, or packed with a filter that is not installed here: where it is, "
                "h5repack -f NONE FILE COPY makes a copy without.",
            ) from error


def _instant(file: Any, name: str, path: Path) -> int:
    value = file[name][()]
    text = value.decode() if isinstance(value, bytes) else str(value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotARecording(f"{path.name}: {name} is not a time: {text!r}", hint="") from error
    moment = moment if moment.tzinfo is not None else moment.astimezone()
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _kind(group: Any) -> str:
    kind = group.attrs.get("neurodata_type", "")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _series(file: Any) -> Iterator[tuple[str, Any]]:
    """The series of samples that were acquired, by name."""
    for name, group in file.get("acquisition", {}).items():
        is_series = hasattr(group, "keys") and "data" in group and ("timestamps" in group or "starting_time" in group)
        if is_series and getattr(group["data"], "shape", None) and _kind(group) != "AnnotationSeries":
            yield name, group


def _axis(group: Any, path: Path) -> Axis:
    count = len(group["data"])
    if "timestamps" in group:
        stamps = group["timestamps"]
        if len(stamps) != count:
            raise NotARecording(f"{path.name}: {count} samples have {len(stamps)} stamps", hint="It is not whole.")
        if stamps.dtype.kind not in "fiu":
            raise NotARecording(f"{path.name}: its stamps are not numbers", hint=UNSOUND)
        chunk = stamps.chunks[0] if stamps.chunks else count
        return stamped(stamps, -(-count // chunk))
    start = group["starting_time"]
    rate = float(start.attrs.get("rate", 0.0))
    if not (math.isfinite(rate) and rate > 0):
        raise NotARecording(f"{path.name} has neither stamps nor a rate of its samples", hint=UNSOUND)
    return counted(float(start[()]), rate, count)


def _markers(file: Any) -> Iterator[Marker]:
    for group in file.get("acquisition", {}).values():
        if _kind(group) == "AnnotationSeries" and "timestamps" in group:
            for time, name in zip(group["timestamps"][:MARKERS_MAX], group["data"].asstr()[:MARKERS_MAX], strict=True):
                yield Marker(float(time), str(name))
    for table in ("epochs", "trials"):
        group = file.get("intervals", {}).get(table)
        if group is not None and "label" in group and "start_time" in group:
            labels = group["label"].asstr()[:MARKERS_MAX]
            for time, name in zip(group["start_time"][:MARKERS_MAX], labels, strict=True):
                yield Marker(float(time), str(name))
