"""Events of a recording as BIDS has them, from a ledger: https://bids-specification.readthedocs.io (events.tsv).

A sidecar that describes a column with levels or units makes validators enforce them, so it has descriptions alone; and
none of onset and duration, which are BIDS's own. Tools that anonymise shift the date of a recording and leave other
columns as they are: so there are no wall times, receipts or ids, unless they are asked for.
"""

import json
from typing import Any

from ezmsg.ledger.tools.recordings.annotation import must_be_laid
from ezmsg.ledger.tools.recordings.answer import EdgeChange, FieldSpan, InForce
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.stretch import answer
from ezmsg.ledger.tools.recordings.tables import value_json

NOTHING = "n/a"

COLUMNS = {
    "onset": "",
    "duration": "",
    "trial_type": "setting: a field of a component's settings had a value; wiring: edges came or went; mark: somebody "
    "marked the moment",
    "component": "Address of the component whose setting it is",
    "field": "Dotted path of the field",
    "before": "The value before, as JSON; of the wiring, the edges that went",
    "after": "The value, as JSON; of the wiring, the edges that came",
    "mark": "Name of the mark",
    "ledger_seq": "Number of the event in the ledger",
    "wall_ns": "Wall time of the event, ns since 1970-01-01 UTC",
}

Row = dict[str, str]


def events_of(laid: Laid, *, wall: bool = False) -> tuple[list[Row], bytes]:
    """The rows, in the order of their onsets, and the sidecar. Raises NotOfThisLedger where nothing can be placed.

    ``wall``: with wall times, and the ledger's id in the sidecar. Cost: that of ``in_force``.
    """
    must_be_laid(laid)
    found = answer(laid)
    rows = [*_settings(found), *map(_wiring, found.wiring[1:]), *_marks(found)]
    rows.sort(key=lambda row: float(row["onset"]))
    names = [name for name in COLUMNS if wall or name != "wall_ns"]
    beside: dict[str, Any] = {name: {"Description": COLUMNS[name]} for name in names if COLUMNS[name]}
    made = f"ezmsg-ledger; laid on the samples {found.sureness}: {found.how}"
    beside["ledger_seq"]["LongName"] = made
    if wall:
        beside["wall_ns"]["LongName"] = f"ledger {found.id}"
    sidecar = json.dumps(beside, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
    return [{name: row[name] for name in names} for row in rows], sidecar


def table(rows: list[Row]) -> bytes:
    """The rows as a table with tabs between its columns; of none, its heading."""
    names = list(rows[0]) if rows else [name for name in COLUMNS if name != "wall_ns"]
    lines = ["\t".join(names), *("\t".join(_cell(row[name]) for name in names) for row in rows)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _cell(text: str) -> str:
    """A text without what ends a cell; one of nothing is n/a."""
    return " ".join(text.replace("\t", " ").split("\n")).replace("\r", " ").strip() or NOTHING


def _settings(found: InForce) -> list[Row]:
    rows = []
    before: dict[tuple[str, str], FieldSpan] = {}
    for span in found.changed:
        earlier = before.get((span.unit, span.field))
        row = _row("setting", span.begin, span.end - span.begin, span.seq, span.wall_ns)
        row |= {"component": span.unit, "field": span.field, "after": value_json(span.value, span.note)}
        if earlier is not None and earlier.end == span.begin:
            row["before"] = value_json(earlier.value, earlier.note)
        rows.append(row)
        before[span.unit, span.field] = span
    return rows


def _wiring(change: EdgeChange) -> Row:
    row = _row("wiring", change.begin, change.end - change.begin, change.seq, change.wall_ns)
    for name, edges in (("before", change.went), ("after", change.came)):
        row[name] = json.dumps([f"{edge.from_topic} -> {edge.to_topic}" for edge in edges], ensure_ascii=False)
    return row


def _marks(found: InForce) -> list[Row]:
    return [{**_row("mark", mark.time, 0, mark.seq, mark.wall_ns), "mark": mark.name} for mark in found.marks]


def _row(kind: str, onset: float, duration: float, seq: int, wall_ns: int) -> Row:
    row = dict.fromkeys(COLUMNS, "")
    times = {"onset": f"{onset:.6f}", "duration": f"{duration:.6f}"}
    return {**row, **times, "trial_type": kind, "ledger_seq": str(seq), "wall_ns": str(wall_ns)}
