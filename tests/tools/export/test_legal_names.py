"""Whatever topics, components and labels are called: each export is read by its format's reader, and is the graph."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.export import flat, to_arrow, to_networkx
from ezmsg.ledger.tools.export.graph import drawing
from ezmsg.ledger.tools.export.graphml import to_graphml
from tests.tools.export.graphs import EDGES, NAMES, TOPICS, state_of


@settings(max_examples=100, deadline=None)
@given(EDGES, NAMES)
def test_graphml_is_read_by_networkx(edges: list[tuple[str, str]], label: str) -> None:
    state = state_of(edges, label)
    ids = drawing(state).ids()
    assert len(set(ids.values())) == len(ids), "two topics are never one node"
    graph = networkx.parse_graphml(to_graphml(state, label))
    assert set(graph.nodes) == set(ids.values())
    assert set(graph.edges) == {(ids[a], ids[b]) for (a, b), _ in state.ownership.edges()}


WRITERS = {
    "gml": (networkx.write_gml, networkx.read_gml),
    "graphml": (networkx.write_graphml, networkx.read_graphml),
    "gexf": (networkx.write_gexf, networkx.read_gexf),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_networkx_graph_is_written_by_networkx(night: Any, tmp_path: Path, name: str) -> None:
    with Ledger.open(night.path, "r") as ledger:
        graph = to_networkx(Timeline(ledger).at(night.seqs["visited"]))
    write, read = WRITERS[name]
    write(graph, tmp_path / "x")
    again = read(tmp_path / "x")
    assert set(again.edges) == set(graph.edges)
    for edge in again.edges:
        assert again.edges[edge]["owners"] == graph.edges[edge]["owners"]


def test_a_networkx_graph_is_json(night: Any) -> None:
    with Ledger.open(night.path, "r") as ledger:
        graph = to_networkx(Timeline(ledger).at(night.seqs["visited"]))
    data = json.loads(json.dumps(networkx.node_link_data(graph)))
    assert networkx.utils.graphs_equal(networkx.node_link_graph(data), graph)


@settings(max_examples=60, deadline=None)
@given(TOPICS, TOPICS, NAMES, st.integers(0, 2**63 - 1))
def test_flat_rows_have_every_key_and_come_back(a: str, b: str, label: str, took: int) -> None:
    with Ledger.memory() as ledger:
        ledger.append([
            ev.SessionOpened(uuid="x", label=label),
            ev.EdgeConnected(from_topic=a, to_topic=b, owner=1),
            ev.GraphSynced(by=label, outcome="complete", took=took, silent=(7, 8)),
        ])  # fmt: skip
        batches = list(ledger.read())
    lines, table = io.BytesIO(), io.BytesIO()
    flat.write_lines(batches, lines)
    flat.write_csv(batches, table)
    rows = [json.loads(line) for line in lines.getvalue().split(b"\n")[:-1]]
    assert {tuple(row) for row in rows} == {tuple(flat.columns())}
    assert [row["label"] for row in rows] == [label, None, None]
    assert (rows[1]["from_topic"], rows[1]["to_topic"], rows[2]["took"]) == (a, b, took)
    assert json.loads(rows[2]["silent"]) == [7, 8]
    assert not any(isinstance(value, dict | list) for row in rows for value in row.values())
    cells = list(csv.DictReader(io.StringIO(table.getvalue().decode(), newline="")))
    assert [{name: _cell(value) for name, value in row.items()} for row in rows] == cells


def _cell(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


def test_an_event_of_a_newer_version_is_in_a_column_of_its_own(tmp_path: Path) -> None:
    event = ev.UnknownEvent(1, 5, "graph.danced", b'{"type":"graph.danced","seq":1,"time":5,"how":{"x":1}}')
    row = flat.flat_row(event, flat.columns())
    assert (row["seq"], row["time"], row["type"]) == (1, 5, "graph.danced")
    assert json.loads(row["unknown"])["how"] == {"x": 1}
    assert row["iso"] == "1970-01-01T00:00:00.000000005Z"


def test_a_history_as_arrow_tables(night: Any) -> None:
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        tables = to_arrow(timeline)
        assert tables.events.num_rows == night.seqs["end"]
        for edge in timeline.lifetimes.edges():
            found = [
                (row["owner"], row["born"], row["died"], row["ended"] is None)
                for row in tables.edges.to_pylist()
                if (row["from_topic"], row["to_topic"]) == edge
            ]
            lives = timeline.history(" -> ".join(edge)).lives
            assert found == [(life.owner, life.born, life.died, life.ended is None) for life in lives]
        sessions = {row["session"]: row for row in tables.sessions.to_pylist()}
        assert sessions.keys() == timeline.landmarks.sessions.keys()
        assert sessions[2]["label"] == "SYSTEM"
        lives = timeline.history("setting SYSTEM/AMP").lives
        shown = [row for row in tables.settings.to_pylist() if row["component"] == "SYSTEM/AMP"]
        assert [(row["born"], row["died"]) for row in shown] == [(life.born, life.died) for life in lives]
        assert json.loads(shown[0]["value"])["gain"] == 1.0
        ended = tables.settings["ended"].cast("int64").to_pylist()
        assert [life.ended for life in lives] == [
            ended[place] for place, row in enumerate(tables.settings.to_pylist()) if row["component"] == "SYSTEM/AMP"
        ]
