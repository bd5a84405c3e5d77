"""A recording of samples: what a data file says of its time, its names, and the markers in it."""

from pathlib import Path

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.recordings.clocks.axis import Axis, NotNumbers


class NotARecording(LedgerError):
    """A file that is not read as a recording: something else, or not whole."""


class NoSuchFile(Misuse):
    """No data file of that name."""


class NoSamples(LedgerError):
    """A recording that holds no sample."""


class Marker(msgspec.Struct, frozen=True):
    """A marker in a recording, at ``time`` on its axis (s)."""

    time: float
    name: str


class Recording(msgspec.Struct, frozen=True):
    """A data file, and one series of samples in it.

    ``origin``: wall time (ns) that its axis counts from, None where it has none (XDF: seconds of a clock of LSL);
    ``began``: wall time (ns) at which it was begun, as far as the file says. ``streams`` are names that its series came
    under; ``series`` is the one whose ``axis`` this is, ``others`` those that it has beside. ``boundary``: where the
    file was put together of several, the time (s) of the first seam. ``offsets``: of XDF, whether clock offsets came
    with the samples, and ``offsets_off``: by how much (s) these may be off, where that is known; None for other
    formats. ``host``: the machine that the samples came from, where the file says. ``told``: what its reader met in it.
    """

    path: Path
    format: str
    series: str
    axis: Axis
    origin: int | None
    began: int | None
    streams: list[str] = []
    others: list[str] = []
    markers: list[Marker] = []
    host: str | None = None
    boundary: float | None = None
    offsets: bool | None = None
    offsets_off: float | None = None
    told: list[str] = []


FORMATS = ".nwb, .xdf (or .xdfz) and .fif (or .fif.gz)"


def read(path: Path, series: str | None = None) -> Recording:
    """The recording in a file, by the end of its name: NWB, XDF or FIF. ``series``: one of several.

    Raises NoSuchFile, NotARecording, NoSamples, MissingExtra, OSError; Misuse for a series that is not there.
    """
    if not path.exists():
        raise NoSuchFile(f"there is no file {path}", hint=f"Name a data file: {FORMATS}.")
    name = path.name.lower()
    if path.is_dir():
        raise NotARecording(f"{path} is a folder", hint=f"Name a data file: {FORMATS}.")
    if not path.stat().st_size:
        hint = "Its recorder wrote nothing, or a copy of it failed."
        raise NotARecording(f"{path.name} is empty: it has 0 bytes", hint=hint)
    if name.endswith(".nwb"):
        from ezmsg.ledger.tools.recordings.formats import nwb as module
    elif name.endswith((".xdf", ".xdfz", ".xdf.gz")):
        from ezmsg.ledger.tools.recordings.formats import xdf as module  # type: ignore[no-redef]
    elif name.endswith((".fif", ".fif.gz")):
        from ezmsg.ledger.tools.recordings.formats import fif as module  # type: ignore[no-redef]
    else:
        raise NotARecording(f"{path.name} does not say which format it has", hint=f"These are read: {FORMATS}.")
    try:
        return module.read(path, series)
    except NotNumbers as error:
        raise NotARecording(
            f"{path.name} cannot be laid beside a ledger: {error}", hint="What wrote it may have ended too early."
        ) from error


def chosen(path: Path, series: str | None, sizes: dict[str, int]) -> str:
    """The name of the series that is meant: the one asked for, else the one with most samples."""
    if series is not None and series not in sizes:
        raise Misuse(f"{path.name} has no series {series!r}", hint=f"There is: {', '.join(sizes) or 'none'}.")
    name = series or max(sizes, key=lambda each: sizes[each], default="")
    if not sizes or not sizes[name]:
        raise NoSamples(
            f"{path.name} holds no sample",
            hint="A rig that is killed leaves such files. The ledger has what was in force: "
            "ezmsg-ledger settings LEDGER",
        )
    return name
