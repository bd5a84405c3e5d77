"""JSON and JSON Lines, of a state or of events."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.tools.export.rows import Row


def write_json(document: dict[str, Any], out: BinaryIO) -> None:
    """Write a document, indented."""
    out.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def write_state_lines(rows: Iterator[Row], out: BinaryIO) -> None:
    """A state as JSON Lines, from its rows, without what they have not."""
    for row in rows:
        kept = {name: value for name, value in row.items() if value is not None}
        out.write(msgspec.json.encode(kept) + b"\n")


def write_events_json(batches: Iterable[list[AnyEvent]], out: BinaryIO) -> None:
    """Events as one JSON array, a line each."""
    between = b"[\n"
    for line in _lines(batches):
        out.write(between + line)
        between = b",\n"
    out.write(b"[]\n" if between == b"[\n" else b"\n]\n")


def write_events_lines(batches: Iterable[list[AnyEvent]], out: BinaryIO) -> None:
    """Events as JSON Lines, in the form of the ledger, without fields that this version does not know."""
    for batch in batches:
        out.write(codec.encode(batch))


def _lines(batches: Iterable[list[AnyEvent]]) -> Iterator[bytes]:
    for batch in batches:
        yield from codec.encode(batch).splitlines()
