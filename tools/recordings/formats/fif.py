"""Raw FIF files as recordings, by mne: https://mne.tools/stable/documentation/implementation.html (meas_date)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.clocks.axis import counted
from ezmsg.ledger.tools.recordings.formats.fif_tags import RAW_DATA, NotFif, block, chain
from ezmsg.ledger.tools.recordings.recording import Marker, NotARecording, Recording, chosen

EXTRA = "ezmsg-ledger[mne]"

SEAMS = ("BAD boundary", "EDGE boundary")
"""The description that mne notes where recordings were put one after the other."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(path: Path, series: str | None) -> Recording:
    """See ``recording.read``. No sample is read."""
    raw = opened(path)
    name = chosen(path, series, {"raw": len(raw.times)})
    first = raw.first_samp / raw.info["sfreq"]
    notes = raw.annotations
    # an annotation counts from orig_time, which is the measurement's date, or without one from the first sample
    shift = first if notes.orig_time is None else 0.0
    markers = [
        Marker(float(onset) + shift, str(text)) for onset, text in zip(notes.onset, notes.description, strict=True)
    ]
    seams = [marker.time for marker in markers if marker.name in SEAMS]
    return Recording(
        path=path,
        format="FIF",
        series=name,
        axis=counted(first, float(raw.info["sfreq"]), len(raw.times)),
        origin=measured(raw),
        began=measured(raw),
        markers=[marker for marker in markers if marker.name not in SEAMS],
        boundary=min(seams, default=None),
        told=_damage(path),
    )


def _damage(path: Path) -> list[str]:
    """The place at which the chain of tags ends too early, in words: mne reads what is before it, and says nothing."""
    if path.suffix == ".gz":
        return []
    with open(path, "rb") as file:
        try:
            block(file, chain(file), RAW_DATA)  # which ends, unless it was cut off between two tags
        except NotFif as error:
            return [f"it is cut off or damaged, and what is left of it was read: {error}"]
    return []


def opened(path: Path) -> Any:
    """The file, open to be read. Raises NotARecording, MissingExtra, OSError."""
    mne = needed("mne", EXTRA, "Reading FIF", MissingExtra)
    with open(path, "rb"):
        pass
    try:
        return mne.io.read_raw_fif(path, verbose="error")
    except Exception as error:  # whatever a reader meets in bytes that are something else
        raise NotARecording(
            f"{path.name} is not read as raw FIF: {' '.join(str(error).split())}",
            hint="It may be encrypted, cut off, or something else.",
        ) from error


def measured(raw: Any) -> int | None:
    """The date of the measurement, ns since the epoch, UTC; None for a file without one."""
    date = raw.info["meas_date"]
    return None if date is None else (date - _EPOCH) // timedelta(microseconds=1) * 1000
