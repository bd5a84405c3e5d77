"""Tables for pandas, polars, DuckDB and R: Parquet, and Arrow's own file (Feather, version 2).

``pandas.read_parquet``, ``SELECT * FROM 'run.parquet'``; ``pyarrow.feather.read_table``, ``polars.read_ipc``.

The idea: of a batch of events those of one type have the same fields, so each field is read in one go, and only where
it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO

from ezmsg.ledger import codec
from ezmsg.ledger.events import AnyEvent, UnknownEvent, type_of
from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export.rows import STATE_COLUMNS, Row, event_columns

if TYPE_CHECKING:
    from pyarrow import RecordBatch

ROWS_AT_ONCE = 65_536
"""Rows that are held in memory, and written as one group: some tens of MB, and large enough to compress well."""

EXTRA = "ezmsg-ledger[frames]"

PARQUET, ARROW = "Parquet", "Arrow"
"""The formats, by the names that people know."""


def write_state(rows: Iterator[Row], out: BinaryIO, what: str) -> None:
    """The table of a state, from its rows, as a file in format ``what``. Raises MissingExtra. Cost: O(state)."""
    pyarrow = needed("pyarrow", EXTRA, what, MissingExtra)
    schema = schema_of(pyarrow, STATE_COLUMNS)
    _write(schema, _row_batches(pyarrow, schema, rows), out, what)


def write_events(events: Iterable[list[AnyEvent]], out: BinaryIO, what: str) -> None:
    """A table of events as a file in format ``what``; ``time``: timestamps in ns, UTC. Raises MissingExtra.

    Cost: O(events), with ROWS_AT_ONCE of them in memory.
    """
    pyarrow = needed("pyarrow", EXTRA, what, MissingExtra)
    _write(schema_of(pyarrow, event_columns()), event_batches(events), out, what)


def _write(schema: Any, batches: "Iterable[RecordBatch]", out: BinaryIO, what: str) -> None:
    if what == PARQUET:
        file = needed("pyarrow.parquet", EXTRA, what, MissingExtra).ParquetWriter(out, schema)
    else:
        file = needed("pyarrow", EXTRA, what, MissingExtra).ipc.new_file(out, schema)
    with file as writer:
        for batch in batches:
            writer.write_batch(batch)


TIMES = ("time", "began", "ended")
"""Columns of timestamps in ns, UTC."""


def schema_of(pyarrow: Any, columns: dict[str, type]) -> Any:
    """The Arrow schema of columns, given by the types of their values."""
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), bool: pyarrow.bool_(), list: pyarrow.list_(pyarrow.string())}
    time = pyarrow.timestamp("ns", "UTC")
    return pyarrow.schema([(name, time if name in TIMES else kinds[kind]) for name, kind in columns.items()])


def _row_batches(pyarrow: Any, schema: Any, rows: Iterator[Row]) -> "Iterator[RecordBatch]":
    while some := list(islice(rows, ROWS_AT_ONCE)):
        columns = {name: [row.get(name) for row in some] for name in schema.names}
        yield pyarrow.RecordBatch.from_pydict(columns, schema)


def event_batches(batches: Iterable[Sequence[AnyEvent]]) -> "Iterator[RecordBatch]":
    """Events as Arrow record batches with the columns of ``Tables.events``, some tens of thousands in each.

    Raises MissingExtra. Cost: O(events), 4 us for each, and one batch in memory.
    """
    pyarrow = needed("pyarrow", EXTRA, "An Arrow table", MissingExtra)
    schema = schema_of(pyarrow, event_columns())
    held: list[AnyEvent] = []
    for batch in batches:
        held += batch
        if len(held) >= ROWS_AT_ONCE:
            yield _event_batch(pyarrow, schema, held)
            held = []
    if held:
        yield _event_batch(pyarrow, schema, held)


def _event_batch(pyarrow: Any, schema: Any, events: list[AnyEvent]) -> "RecordBatch":
    rows_of: dict[type, list[int]] = {}
    for row, event in enumerate(events):
        rows_of.setdefault(type(event), []).append(row)
    columns: dict[str, list[Any]] = {
        "seq": [event.seq for event in events],
        "time": [event.time for event in events],
        "type": [""] * len(events),
        "event": codec.encode(events).decode("utf-8").split("\n")[:-1],
    }
    for kind, rows in rows_of.items():
        some = [events[row] for row in rows]
        for row, tag in zip(rows, _types(kind, some), strict=True):
            columns["type"][row] = tag
        fields = () if kind is UnknownEvent else kind.__struct_fields__  # type: ignore[attr-defined]
        for field in set(fields).intersection(schema.names).difference(COMMON):
            column = columns.setdefault(field, [None] * len(events))
            for row, value in zip(rows, map(attrgetter(field), some), strict=True):
                column[row] = value
    arrays = [
        pyarrow.array(columns[each.name], each.type) if each.name in columns else pyarrow.nulls(len(events), each.type)
        for each in schema
    ]
    found: RecordBatch = pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
    return found


COMMON = ("seq", "time")
"""The fields that every event has."""


def _types(kind: type, events: list[AnyEvent]) -> Iterable[str]:
    return map(type_of, events) if kind is UnknownEvent else repeat(type_of(events[0]), len(events))
