"""Tables for pandas, polars, DuckDB and R: what Parquet and Arrow have in common."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.extras import needed
from ezmsg.ledger.tools.export.rows import STATE_COLUMNS, Row, event_columns, event_row, state_rows

ROWS_AT_ONCE = 65_536
"""Rows that are held in memory, and written as one group: some tens of MB, and large enough to compress well."""

EXTRA = "ezmsg-ledger[frames]"


def arrow(what: str) -> Any:
    """The library. Raises MissingExtra."""
    return needed("pyarrow", EXTRA, what)


def state_batches(state: GraphState, what: str) -> tuple[Any, Iterator[Any]]:
    """The schema of a state's table, and its rows as record batches."""
    return _batches(STATE_COLUMNS, state_rows(state), what)


def event_batches(events: Iterable[list[AnyEvent]], what: str) -> tuple[Any, Iterator[Any]]:
    """The schema of a table of events, and its rows as record batches. ``time``: timestamps in ns, UTC."""
    return _batches(event_columns(), (event_row(event) for batch in events for event in batch), what)


def _batches(columns: dict[str, type], rows: Iterator[Row], what: str) -> tuple[Any, Iterator[Any]]:
    pyarrow = arrow(what)
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), bool: pyarrow.bool_(), list: pyarrow.list_(pyarrow.string())}
    schema = pyarrow.schema(
        [(name, pyarrow.timestamp("ns", "UTC") if name == "time" else kinds[kind]) for name, kind in columns.items()]
    )

    def made() -> Iterator[Any]:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            yield pyarrow.RecordBatch.from_pydict({name: [row.get(name) for row in some] for name in columns}, schema)

    return schema, made()
