"""Tables for pandas, polars, DuckDB and R: Parquet, and Arrow's own file (Feather, version 2).

``pandas.read_parquet``, ``SELECT * FROM 'run.parquet'``; ``pyarrow.feather.read_table``, ``polars.read_ipc``.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export.rows import STATE_COLUMNS, Row, event_columns, event_row

ROWS_AT_ONCE = 65_536
"""Rows that are held in memory, and written as one group: some tens of MB, and large enough to compress well."""

EXTRA = "ezmsg-ledger[frames]"


PARQUET, ARROW = "Parquet", "Arrow"
"""The formats, by the names that people know."""


def write_state(rows: Iterator[Row], out: BinaryIO, what: str) -> None:
    """The table of a state, from its rows, as a file in format ``what``. Raises MissingExtra. Cost: O(state)."""
    _write(STATE_COLUMNS, rows, out, what)


def write_events(events: Iterable[list[AnyEvent]], out: BinaryIO, what: str) -> None:
    """A table of events as a file in format ``what``; ``time``: timestamps in ns, UTC. Raises MissingExtra.

    Cost: O(events), with ROWS_AT_ONCE of them in memory.
    """
    _write(event_columns(), (event_row(event) for batch in events for event in batch), out, what)


def _write(columns: dict[str, type], rows: Iterator[Row], out: BinaryIO, what: str) -> None:
    pyarrow = needed("pyarrow", EXTRA, what, MissingExtra)
    schema = schema_of(pyarrow, columns)
    if what == PARQUET:
        file = needed("pyarrow.parquet", EXTRA, what, MissingExtra).ParquetWriter(out, schema)
    else:
        file = pyarrow.ipc.new_file(out, schema)
    with file as writer:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_batch(_batch(pyarrow, schema, some))


TIMES = ("time", "began", "ended")
"""Columns of timestamps in ns, UTC."""


def schema_of(pyarrow: Any, columns: dict[str, type]) -> Any:
    """The Arrow schema of columns, given by the types of their values."""
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), bool: pyarrow.bool_(), list: pyarrow.list_(pyarrow.string())}
    time = pyarrow.timestamp("ns", "UTC")
    return pyarrow.schema([(name, time if name in TIMES else kinds[kind]) for name, kind in columns.items()])


def table_of(pyarrow: Any, schema: Any, rows: Iterable[Row]) -> Any:
    """An Arrow table of rows. Cost: O(rows), with all of them in memory in Arrow's form."""
    rows = iter(rows)
    batches = []
    while some := list(islice(rows, ROWS_AT_ONCE)):
        batches.append(_batch(pyarrow, schema, some))
    return pyarrow.Table.from_batches(batches, schema)


def _batch(pyarrow: Any, schema: Any, rows: list[Row]) -> Any:
    return pyarrow.RecordBatch.from_pydict({name: [row.get(name) for row in rows] for name in schema.names}, schema)
