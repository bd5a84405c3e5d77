"""Annotations of a raw FIF file that say what a ledger knows of its samples: https://mne.tools/stable (Annotations).

Onsets count from the date of the measurement, so they stay where they are when a file is cropped.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.file_copy import FileCopy
from ezmsg.ledger.tools.recordings.formats.fif import EXTRA, opened
from ezmsg.ledger.tools.recordings.formats.fif_tags import ENDS, ONSETS, NotFif, put_annotations
from ezmsg.ledger.tools.recordings.recording import NotARecording
from ezmsg.ledger.tools.recordings.tables import Row, Tables

WRITTEN = ("ledger_settings", "ledger_wiring", "ledger_marks")
"""The tables of which annotations are made."""

PREFIX = "ledger/"
"""How the descriptions begin: none of BAD and EDGE, which mne would take for a reason to leave samples out."""

DIGITS = 24
"""Binary digits of a 32-bit float."""

ROUNDED_S = 0.0001
"""The least by which a time is rounded that is told."""


@contextmanager
def writing(source: Path, target: Path) -> Iterator[Callable[[Tables], None]]:
    """A block in which ``source`` is written to ``target``, with tables as annotations after those that it has.

    The bytes of the samples are copied, while the tables are made. Only a file that is compressed, or in several parts,
    is written anew by mne, whose parts come next to the target; NotARecording where that would change its samples.
    Raises MissingExtra.
    """
    mne = needed("mne", EXTRA, "Writing FIF", MissingExtra)
    raw = opened(source)
    parts = len(raw.filenames)
    if parts == 1 and source.suffix != ".gz":
        with FileCopy(source, target) as copy:
            yield lambda tables: _put(mne, raw, copy, target, tables)
    elif raw.orig_format == "int":  # it is divided by its calibration, and what is left of a digit is cut off
        what = f"in {parts} parts" if parts > 1 else "compressed"
        raise NotARecording(
            f"{source.name} is {what}, of integers: mne would write some of its samples one digit off",
            hint="export --format bids-events writes the same into a table beside it.",
        )
    else:
        yield lambda tables: _rewrite(mne, raw, target, tables)


def _put(mne: Any, raw: Any, copy: FileCopy, target: Path, tables: Tables) -> None:
    """Put the annotations into the copy."""
    with TemporaryDirectory() as folder:
        notes = Path(folder) / "ledger-annot.fif"
        made = _annotations(mne, raw, tables)
        made.save(notes, verbose="error")
        copy.wait()
        _put_exact(target, notes, made)


def _rewrite(mne: Any, raw: Any, target: Path, tables: Tables) -> None:
    """Write the samples and the annotations, piece by piece."""
    made = _annotations(mne, raw, tables)
    raw.set_annotations(made)
    raw.save(target, fmt=raw.orig_format, verbose="error")
    if target.suffix != ".gz":  # of several parts, mne reads the annotations of the first
        with TemporaryDirectory() as folder:
            notes = Path(folder) / "ledger-annot.fif"
            made.save(notes, verbose="error")
            _put_exact(target, notes, made)


def _put_exact(target: Path, notes: Path, made: Any) -> None:
    """Put annotations that mne wrote into a file, with their times as 64-bit floats: it writes 32 bits, of which the
    last is worth 4 ms after ten hours, and reads both."""
    try:
        put_annotations(target, notes, {ONSETS: made.onset.tolist(), ENDS: (made.onset + made.duration).tolist()})
    except (NotFif, OverflowError) as error:
        raise NotARecording(
            f"{target.name} takes no annotations: {error}",
            hint="A file that was cut off is whole when mne saves it anew: raw.save.",
        ) from error


def notes(end: float, target: Path) -> list[str]:
    """Notes on the times of annotations in ``target``, a file whose samples end at ``end`` (s): by what they are off.

    >>> from pathlib import Path
    >>> notes(60.0, Path("a_raw.fif"))
    []
    >>> [note] = notes(36_000.0, Path("a_raw.fif"))
    >>> note[:79]
    'mne saves the times of annotations as 32-bit floats: once it saves this file, t'
    """
    off = math.ldexp(1.0, math.frexp(end)[1] - DIGITS - 1)
    if off < ROUNDED_S:
        return []
    by = f"are up to {off * 1e3:.1f} ms off; the seq and the wall_ns in their extras lead to the exact time"
    floats = "mne saves the times of annotations as 32-bit floats"
    return [f"{floats}: here they {by}" if target.suffix == ".gz" else f"{floats}: once it saves this file, they {by}"]


def _annotations(mne: Any, raw: Any, tables: Tables) -> Any:
    """The annotations that a file has, and those of the tables."""
    rows = list(_rows(tables))
    if not rows:
        return raw.annotations
    date = raw.info["meas_date"]
    shift = raw.first_samp / raw.info["sfreq"] if date is None else 0.0
    return raw.annotations + mne.Annotations(
        onset=[row["start"] - shift for row in rows],
        duration=[row["stop"] - row["start"] for row in rows],
        description=[row["text"] for row in rows],
        orig_time=date,
        extras=[row["extras"] for row in rows],
    )


def _rows(tables: Tables) -> list[Row]:
    found = []
    for row in tables.settings:
        name = f"{row['component']}.{row['field']}".rstrip(".")
        extras = {key: row[key] for key in ("seq", "component", "field", "value", "how", "asked_by", "wall_ns")}
        found.append({**_span(row), "text": f"{PREFIX}{name}={row['value']}", "extras": extras})
    for row in tables.wiring:
        extras = {key: row[key] for key in ("seq", "edges", "came", "went", "cause", "wall_ns")}
        found.append({**_span(row), "text": f"{PREFIX}wiring", "extras": extras})
    for row in tables.marks:
        extras = {key: row[key] for key in ("seq", "note", "author", "source", "wall_ns")}
        span = {"start": row["timestamp"], "stop": row["timestamp"]}
        found.append({**span, "text": f"{PREFIX}mark/{row['mark']}", "extras": extras})
    return found


def _span(row: Row) -> dict[str, Any]:
    return {"start": row["start"], "stop": row["stop"]}
