"""Arrow's own file (Feather, version 2): ``pyarrow.feather.read_table``, ``polars.read_ipc``."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.tables import arrow, event_batches, state_batches

WHAT = "Arrow"


def write_state(state: GraphState, out: BinaryIO) -> None:
    """A state as an Arrow file. Raises MissingExtra."""
    _write(*state_batches(state, WHAT), out)


def write_events(events: Iterable[list[AnyEvent]], out: BinaryIO) -> None:
    """Events as an Arrow file. Raises MissingExtra."""
    _write(*event_batches(events, WHAT), out)


def _write(schema: Any, batches: Iterator[Any], out: BinaryIO) -> None:
    with arrow(WHAT).ipc.new_file(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
