"""Annotations of a raw FIF file that say what a ledger knows of its samples: https://mne.tools/stable (Annotations).

Onsets count from the date of the measurement, so they stay where they are when a file is cropped.
"""

from pathlib import Path
from typing import Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.formats.fif import EXTRA, opened
from ezmsg.ledger.tools.recordings.tables import Row, Tables

WRITTEN = ("ledger_settings", "ledger_wiring", "ledger_marks")
"""The tables of which annotations are made."""

PREFIX = "ledger/"
"""How the descriptions begin: none of BAD and EDGE, which mne would take for a reason to leave samples out."""


def write(path: Path, tables: Tables) -> None:
    """Write the file at ``path`` anew, with the tables as annotations after those that it has. Raises MissingExtra.

    The samples are read, and written in the precision that they have.
    """
    mne = needed("mne", EXTRA, "Writing FIF", MissingExtra)
    raw = opened(path)
    raw.load_data(verbose="error")
    rows = list(_rows(tables))
    if rows:
        date = raw.info["meas_date"]
        shift = raw.first_samp / raw.info["sfreq"] if date is None else 0.0
        notes = mne.Annotations(
            onset=[row["start"] - shift for row in rows],
            duration=[row["stop"] - row["start"] for row in rows],
            description=[row["text"] for row in rows],
            orig_time=date,
            extras=[row["extras"] for row in rows],
        )
        raw.set_annotations(raw.annotations + notes)
    raw.save(path, overwrite=True, fmt=raw.orig_format, verbose="error")


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
