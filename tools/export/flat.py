"""Flat rows of events, for tools that guess columns from the first lines: every key in every line, no value nested."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, get_type_hints

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.questions.moments.times import iso_text

FIRST = ("seq", "time", "iso", "type")
"""The columns that every event has. ``time``: ns since 1970-01-01, UTC; ``iso``: the same as text, in ISO 8601."""

UNKNOWN = "unknown"
"""The column with the whole line (JSON text) of an event of a newer version; null for all others."""


def columns() -> list[str]:
    """The names of all columns, the same for every ledger: FIRST, every field of any type of event, and UNKNOWN."""
    fields = {name for cls in ev.EVENT_TYPES.values() for name in get_type_hints(cls)}
    return [*FIRST, *sorted(fields - set(FIRST)), UNKNOWN]


def flat_row(event: ev.AnyEvent, names: Iterable[str]) -> dict[str, Any]:
    """An event as a row with the columns ``names``: numbers, texts and truth values as they are, all else as JSON text;
    None for what this event has not."""
    line = codec.encode([event])
    form: dict[str, Any] = msgspec.json.decode(line)
    row = dict.fromkeys(names)
    if isinstance(event, ev.UnknownEvent):
        row[UNKNOWN] = line.decode("utf-8").rstrip("\n")
        form = {"type": event.tag}
    else:  # a ledger leaves out what is as by default
        form = {**{name: getattr(event, name) for name in event.__struct_fields__ if name not in form}, **form}
    for name, value in form.items():
        row[name] = _json(value) if isinstance(value, dict | list | tuple) else value
    row["seq"], row["time"], row["iso"] = event.seq, event.time, iso_text(event.time)
    return row


def write_lines(batches: Iterable[list[ev.AnyEvent]], out: BinaryIO) -> None:
    """Flat rows as JSON Lines. Cost: O(events), a batch in memory."""
    names = columns()
    for batch in batches:
        out.write(b"".join(msgspec.json.encode(flat_row(event, names)) + b"\n" for event in batch))


def write_csv(batches: Iterable[list[ev.AnyEvent]], out: BinaryIO) -> None:
    """Flat rows as CSV in UTF-8 (RFC 4180), below a line of names. What an event has not
    is empty, and so is an empty text. Cost: O(events), a batch in memory."""
    names = columns()
    out.write(_csv([names]))
    for batch in batches:
        out.write(_csv(list(_cells(flat_row(event, names))) for event in batch))


def _cells(row: dict[str, Any]) -> Iterator[Any]:
    for value in row.values():
        yield ("true" if value else "false") if isinstance(value, bool) else value


def _csv(rows: Iterable[list[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)  # with "\n" a lone carriage return would not be quoted
    return text.getvalue().encode("utf-8")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")
