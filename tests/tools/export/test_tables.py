"""Events as Arrow tables: each row has what the event has, whatever stands beside it in a batch."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from ezmsg.ledger import Ledger, codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.tools.export.rows import event_columns
from ezmsg.ledger.tools.export.tables import ROWS_AT_ONCE, TIMES, event_batches

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.ledger"))


def in_ns(batch: Any) -> Any:
    """The batch with its times as they stand in a ledger."""
    schema = [(each.name, pyarrow.int64() if each.name in TIMES else each.type) for each in batch.schema]
    return batch.cast(pyarrow.schema(schema))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: str(path.stem))
def test_a_row_has_the_fields_of_its_event(path: Path) -> None:
    with Ledger.open(path, "r") as ledger:
        events = list(ledger.entries())
        rows = [row for batch in event_batches(ledger.read()) for row in in_ns(batch).to_pylist()]
    assert len(rows) == len(events)
    for event, row in zip(events, rows, strict=True):
        assert row.pop("type") == ev.type_of(event)
        assert json.loads(row.pop("event")) == json.loads(codec.encode([event]))
        assert row == {name: getattr(event, name, None) for name in event_columns() if name in row}


def test_an_event_of_a_newer_version_has_its_line() -> None:
    line = b'{"type":"edge.painted","seq":2,"time":7,"colour":"red"}'
    newer = ev.UnknownEvent(seq=2, time=7, tag="edge.painted", raw=line)
    [batch] = event_batches([[ev.Mark(name="a", seq=1, time=5), newer]])
    found = batch.select(["seq", "type", "name", "event"]).to_pylist()
    assert found[1] == {"seq": 2, "type": "edge.painted", "name": None, "event": line.decode()}
    assert found[0]["name"] == "a"


def test_a_long_history_comes_in_several_batches() -> None:
    commits = [[ev.Mark(name=str(number), seq=number, time=number)] for number in range(1, ROWS_AT_ONCE + 3)]
    sizes = [len(batch) for batch in event_batches(commits)]
    assert sizes == [ROWS_AT_ONCE, 2]
    assert list(event_batches([])) == []
