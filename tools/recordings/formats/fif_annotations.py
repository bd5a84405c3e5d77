"""Annotations of a raw FIF file that say what a ledger knows of its samples: https://mne.tools/stable (Annotations).

Onsets count from the date of the measurement, so they stay where they are when a file is cropped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.file_copy import FileCopy
from ezmsg.ledger.tools.recordings.formats.fif import EXTRA, opened
from ezmsg.ledger.tools.recordings.formats.fif_tags import NotFif, put_annotations
from ezmsg.ledger.tools.recordings.recording import NotARecording
from ezmsg.ledger.tools.recordings.tables import Row, Tables

WRITTEN = ("ledger_settings", "ledger_wiring", "ledger_marks")
"""The tables of which annotations are made."""

PREFIX = "ledger/"
"""How the descriptions begin: none of BAD and EDGE, which mne would take for a reason to leave samples out."""


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
        _annotations(mne, raw, tables).save(notes, verbose="error")
        copy.wait()
        try:
            put_annotations(target, notes)
        except (NotFif, OverflowError) as error:
            raise NotARecording(f"{target.name} takes no annotations: {error}", hint="") from error


def _rewrite(mne: Any, raw: Any, target: Path, tables: Tables) -> None:
    """Write the samples and the annotations, piece by piece."""
    raw.set_annotations(_annotations(mne, raw, tables))
    raw.save(target, fmt=raw.orig_format, verbose="error")


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
