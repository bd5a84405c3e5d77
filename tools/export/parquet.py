"""Parquet: ``pandas.read_parquet``, ``SELECT * FROM 'run.parquet'``."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.extras import needed
from ezmsg.ledger.tools.export.tables import EXTRA, event_batches, state_batches

WHAT = "Parquet"


def write_state(state: GraphState, out: BinaryIO) -> None:
    """A state as a Parquet file. Raises MissingExtra."""
    _write(*state_batches(state, WHAT), out)


def write_events(events: Iterable[list[AnyEvent]], out: BinaryIO) -> None:
    """Events as a Parquet file. Raises MissingExtra."""
    _write(*event_batches(events, WHAT), out)


def _write(schema: Any, batches: Iterator[Any], out: BinaryIO) -> None:
    parquet = needed("pyarrow.parquet", EXTRA, WHAT)
    with parquet.ParquetWriter(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
