"""The tables of a ledger in a NWB file: they are added to a copy of it, and read again to be checked.

Names are the ledger's (``ledger_settings``, ...); no column but start and stop ends in ``_time``, for checks take such
columns for times. What never changed is in scratch: spans that all begin together are taken for a mistake.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

from ezmsg.ledger import __version__
from ezmsg.ledger.extras import NAME, needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.recordings.file_copy import FileCopy
from ezmsg.ledger.tools.recordings.formats.nwb import EXTRA, opened
from ezmsg.ledger.tools.recordings.recording import NotARecording
from ezmsg.ledger.tools.recordings.tables import Row, Tables
from ezmsg.ledger.wording import count

SETTINGS, WIRING = "ledger_settings", "ledger_wiring"
MARKS, EVENTS = "ledger_marks", "ledger_events"
CONSTANT, PROVENANCE = "ledger_settings_constant", "ledger_provenance"

PLACES = {
    SETTINGS: "intervals",
    WIRING: "intervals",
    MARKS: "events",
    EVENTS: "events",
    CONSTANT: "scratch",
    PROVENANCE: "scratch",
}
"""The group of a NWB file that each table is in."""

COLUMNS = {
    "component": "address of the component",
    "field": "dotted path of the field",
    "value": "the value, as JSON text",
    "number": "the value, where it is a number",
    "how": "how the value came: initial, updated (reported on arrival), observed, fell back, earlier",
    "asked_by": "the session that asked for it, where that is on record",
    "seq": "number of the event in the ledger",
    "wall_ns": "wall time of the event, ns since 1970-01-01 UTC, as text: a float has too few digits",
    "began_before": "whether it stood before the first sample",
    "went_on_after": "whether it stood after the last sample",
    "edges": "how many edges there were",
    "stood": "in the first row, the edges that stood then, as JSON text: [[from, to, [owner, ...]], ...]",
    "came": "edges that came with the event, likewise",
    "went": "edges that went with it, likewise",
    "cause": "what the event was",
    "item": "what is told",
    "mark": "name of the mark",
    "note": "note of the person who marked it",
    "author": "who marked it",
    "source": "where the mark came from",
    "kind": "type of the event",
    "text": "what the event says",
    "registered_by": "the session that registered the component",
}
"""The descriptions of the columns, for the file."""


OF_THE_TIME = ("receipt", "version", "named_by", "not_known")
"""Items of the provenance that are of the time, or of the place of the file, at which the tables were made."""

WORDS = ("how", "block_of", "wrong_in_file")
"""Items of the provenance that another version of ours may put in other words."""


ERROR_MAX = 240
"""Characters that are shown of an error of the library, which may have half the file in it."""

ROOM_BYTES, CELL_BYTES = 4 * 2**20, 256
"""The bytes that are set aside for tables: for the schema of the format, which may come with them, and a cell."""


@contextmanager
def writing(source: Path, target: Path) -> Iterator[Callable[[Tables], None]]:
    """A block in which tables are put into a copy of ``source``, a NWB file, at ``target``.

    The copy is of its bytes, and goes on while the library of the format is loaded and the tables are made: both take
    a second. Raises MissingExtra; NotARecording where there are such tables already.
    """
    with opened(source) as file:
        if PROVENANCE in file.get("scratch", {}):
            raise NotARecording(f"{source.name} has tables of a ledger already", hint="Annotate the file as it was.")
    with FileCopy(source, target) as copy:
        for name in ("pynwb", "hdmf.common", "pynwb.event"):
            needed(name, EXTRA, "Writing NWB", MissingExtra)

        def write(tables: Tables) -> None:
            copy.wait()
            _reserve(target, room(tables))
            _add(target, tables, source.name)

        yield write


def room(tables: Tables) -> int:
    """The bytes that the tables take in a file at most: of each text its own, and what HDF5 has beside it."""
    rows = [row for each in expected(tables).values() for row in each]
    cells = [cell for row in rows for cell in row.values()]
    return ROOM_BYTES + sum(CELL_BYTES + (len(cell.encode()) if isinstance(cell, str) else 0) for cell in cells)


def _reserve(path: Path, size: int) -> None:
    """Let the disk set so many bytes aside at the end of a file. Raises OSError when it has not so many.

    HDF5 cannot give up a file that the disk did not take, and takes the process with it. It cuts off what it does not
    use when it closes the file.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError as error:
                error.filename = str(path)
                raise


def _add(path: Path, tables: Tables, name: str) -> None:
    """Add the tables to the NWB file at ``path``, a copy of ``name``. What it has stays where it is."""
    pynwb = needed("pynwb", EXTRA, "Writing NWB", MissingExtra)
    common = needed("hdmf.common", EXTRA, "Writing NWB", MissingExtra)
    with pynwb.NWBHDF5IO(str(path), "a") as io:
        try:
            file = io.read()
        except Exception as error:  # whatever the library meets in a file that its makers did not foresee
            raise NotARecording(
                f"{name} is HDF5 that pynwb does not read: {shorten(str(error), ERROR_MAX, placeholder=' ...')}",
                hint="export --format bids-events writes what is known of it into a table beside.",
            ) from error
        spans = "Settings that changed, one row for each field and value"
        _add_intervals(common, pynwb, file, SETTINGS, spans, tables.settings)
        _add_intervals(common, pynwb, file, WIRING, "Spans of unchanged wiring", tables.wiring)
        _add_events(common, file, MARKS, "Marks of people and programs", tables.marks)
        _add_events(common, file, EVENTS, "What became of sessions, processes and the recorder", tables.events)
        if tables.constant:
            _add_scratch(
                common, file, CONSTANT, "Settings that never changed while these samples were made", tables.constant
            )
        rows = [{"item": name, "text": text} for name, text in tables.provenance.items()]
        _add_scratch(
            common, file, PROVENANCE, "The ledger that the tables are of, and how it was laid on the samples", rows
        )
        if not file.was_generated_by:
            file.was_generated_by = [[NAME, __version__]]
        io.write(file)


def _kept(rows: list[Row]) -> list[str]:
    """The columns to write: a column of numbers without any is left out."""
    names = list(rows[0])
    return [name for name in names if name != "number" or not all(math.isnan(row["number"]) for row in rows)]


def _columns(common: Any, rows: list[Row], leave: tuple[str, ...] = ()) -> list[Any]:
    return [
        common.VectorData(name=name, description=COLUMNS[name], data=[row[name] for row in rows])
        for name in _kept(rows)
        if name not in leave
    ]


def _add_intervals(common: Any, pynwb: Any, file: Any, name: str, description: str, rows: list[Row]) -> None:
    if not rows:
        return
    times = [
        common.VectorData(name=f"{side}_time", description=f"{side} of the span (s)", data=[row[side] for row in rows])
        for side in ("start", "stop")
    ]
    columns = [*times, *_columns(common, rows, ("start", "stop"))]
    file.add_time_intervals(pynwb.epoch.TimeIntervals(name=name, description=f"{description}, {OF}", columns=columns))


OF = "of a ledger of ezmsg-ledger; times as those of the samples. See scratch/ledger_provenance"


def _add_events(common: Any, file: Any, name: str, description: str, rows: list[Row]) -> None:
    if not rows:
        return
    module = needed("pynwb.event", EXTRA, "Writing NWB", MissingExtra)
    times = module.TimestampVectorData(
        name="timestamp", description="time of the event (s)", data=[row["timestamp"] for row in rows]
    )
    columns = [times, *_columns(common, rows, ("timestamp",))]
    file.add_events_table(module.EventsTable(name=name, description=f"{description}, {OF}", columns=columns))


def _add_scratch(common: Any, file: Any, name: str, description: str, rows: list[Row]) -> None:
    table = common.DynamicTable(name=name, description=f"{description}, {OF}", columns=_columns(common, rows))
    file.add_scratch(table)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, list[Row]]:
    """The ledger's tables in a NWB file, by name, as rows; an empty dict when it has none. Raises as ``nwb.opened``.

    A row has no cell of a column that is shorter than the others.
    """
    found: dict[str, list[Row]] = {}
    with opened(path) as file:
        for name, place in PLACES.items():
            group = file.get(f"{place}/{name}")
            if hasattr(group, "items"):
                found[name] = _rows(group)
    return found


def _rows(group: Any) -> list[Row]:
    columns = {
        name.removesuffix("_time"): _cells(data) for name, data in group.items() if name != "id" and _is_column(data)
    }
    rows = max(map(len, columns.values()), default=0)
    return [{name: cells[place] for name, cells in columns.items() if place < len(cells)} for place in range(rows)]


def _is_column(data: Any) -> bool:
    return len(getattr(data, "shape", ())) == 1


def _cells(data: Any) -> list[Any]:
    """The cells of a column. Those that are not texts, numbers or truths, which are not ours, as texts."""
    if data.dtype.kind in "OS":
        try:
            return list(data.asstr(errors="replace")[:])
        except TypeError:  # references, or lists
            pass
    values = data[:]
    return values.tolist() if data.dtype.kind in "biuf" else [str(value) for value in values]


def provenance(rows: list[Row]) -> dict[str, str]:
    """The texts of the table of the provenance, by item."""
    return {str(row.get("item")): str(row.get("text")) for row in rows}


def expected(tables: Tables) -> dict[str, list[Row]]:
    """The rows that a file has in which these tables were written, by table."""
    provenance = [{"item": name, "text": text} for name, text in tables.provenance.items()]
    all_ = {
        SETTINGS: tables.settings,
        WIRING: tables.wiring,
        MARKS: tables.marks,
        EVENTS: tables.events,
        CONSTANT: tables.constant,
        PROVENANCE: provenance,
    }
    return {name: rows for name, rows in all_.items() if rows}


def differences(found: dict[str, list[Row]], wanted: dict[str, list[Row]]) -> list[str]:
    """The places that are not as they ought to be, in words; of the provenance, what is of any time and place."""
    out = []
    for name in (SETTINGS, WIRING, MARKS, EVENTS, CONSTANT):
        one, other = found.get(name, []), wanted.get(name, [])
        if len(one) != len(other):
            out.append(f"{name} has {count(len(one), 'row')}, and the ledger gives {len(other)}")
        if not one or not other:
            continue
        theirs, ours = {column: None for row in one for column in row}, _kept(other)
        out += [f"{name} has no column {column}" for column in ours if column not in theirs]
        more = [column for column in theirs if column not in other[0]]
        out += [f"{name} has a column {column}, which is not the ledger's" for column in more]
        columns = [column for column in other[0] if column in theirs]
        for place, (a, b) in enumerate(zip(one, other, strict=False), 1):
            odd = [column for column in columns if not _same(a.get(column), b[column])]
            if odd:
                shown = "; ".join(_differs(column, a.get(column), b[column]) for column in odd[:3])
                out.append(f"{name}, row {place}: {shown}")
    return [*out, *_origins(found[PROVENANCE], wanted[PROVENANCE])]


def _origins(found: list[Row], wanted: list[Row]) -> list[str]:
    """The items of the provenance that differ."""
    one, other = provenance(found), provenance(wanted)
    apart = {*OF_THE_TIME, *(WORDS if one.get("version") != other["version"] else ())}
    out = [f"{PROVENANCE} tells an item twice"] if len(found) > len(one) else []
    out += [
        f"{PROVENANCE}: {_differs(item, one.get(item), other.get(item))}"
        for item in sorted(one.keys() | other.keys())
        if one.get(item) != other.get(item) and not (item in apart and item in one and item in other)
    ]
    if not one.get("receipt") and other["receipt"]:
        out.append(f"{PROVENANCE}: there is no receipt, by which the ledger could be told to be what it was")
    return out


def _differs(name: str, a: Any, b: Any) -> str:
    return f"{name} is {json.dumps(a, ensure_ascii=False)}, not {json.dumps(b, ensure_ascii=False)}"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or abs(a - b) < 1e-5
    return bool(a == b)
