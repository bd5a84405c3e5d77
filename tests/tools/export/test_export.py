"""``export``: every format, read back by somebody else's reader where there is one."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx
import pyarrow.feather
import pyarrow.parquet
import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.extras import install_command
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export import to_networkx
from ezmsg.ledger.tools.export.dot import to_dot
from ezmsg.ledger.tools.export.graphml import to_graphml
from ezmsg.ledger.tools.export.mermaid import to_mermaid

Run = Callable[..., Any]
ASKING = 31
"""The seq at which a request is on its way."""

EVIL = 'A"\\<b>;\n\x1b[2J"]'


@pytest.fixture(scope="module")
def visited(night: Any) -> GraphState:
    with Ledger.open(night.path, "r") as ledger:
        return Timeline(ledger).at(night.seqs["visited"])


@pytest.fixture(scope="module")
def evil() -> GraphState:
    with Ledger.memory() as ledger:
        ledger.append([ev.SessionOpened(uuid="x", label=EVIL)])
        ledger.append([ev.EdgeConnected(from_topic=EVIL, to_topic="B", owner=1)])
        return Timeline(ledger).at("end")


def edges(state: GraphState) -> set[tuple[str, str]]:
    return {edge for edge, _ in state.ownership.edges()}


# --- graphs ----------------------------------------------------------------------------------------------------------


def test_graphml_is_read_back_by_networkx(visited: GraphState, tmp_path: Path) -> None:
    path = tmp_path / "x.graphml"
    path.write_text(to_graphml(visited, "a title"), encoding="utf-8")
    graph = networkx.read_graphml(path)
    assert set(graph.edges) == edges(visited)
    assert graph.nodes["SYSTEM/AMP/IN"] == {
        "topic": "SYSTEM/AMP/IN",
        "component": "SYSTEM/AMP",
        "kind": "Amp",
        "process": "process 16 (pid 4711 on lab-3)",
    }
    assert graph.edges["SYSTEM/AMP/OUT", "SCOPE"] == {"owners": 'persistent, session 21 "viewer"', "persistent": True}


def test_a_networkx_graph_has_what_is_known(visited: GraphState) -> None:
    graph = to_networkx(visited)
    assert set(graph.edges) == edges(visited)
    assert set(graph.nodes) == set(visited.ownership.nodes)
    assert graph.edges["SYSTEM/SOURCE/OUT", "SYSTEM/AMP/IN"] == {
        "owners": 'session 2 "SYSTEM", session 21 "viewer"',
        "persistent": False,
    }
    assert networkx.shortest_path(graph, "SYSTEM/SOURCE/OUT", "SYSTEM/AMP/IN") == ["SYSTEM/SOURCE/OUT", "SYSTEM/AMP/IN"]


def test_dot_and_mermaid_draw_every_edge_once(visited: GraphState) -> None:
    dot = to_dot(visited, "a title")
    assert set(re.findall(r'^  "(.*?)" -> "(.*?)" \[', dot, re.MULTILINE)) == edges(visited)
    assert '"SCOPE" -> "SCOPE/COPY" [tooltip="persistent", style=dashed];' in dot
    mermaid = to_mermaid(visited, "a title")
    drawn = re.findall(r"^  (t\d+) -\.?->? (t\d+)|^  (t\d+) -\.-> (t\d+)", mermaid, re.MULTILINE)
    assert len(drawn) == len(edges(visited))
    assert mermaid.count("  end") == mermaid.count("subgraph")


def test_a_picture_has_all_that_ever_lived_and_is_faint_where_it_is_not_there(
    run: Run, night: Any, visited: GraphState, tmp_path: Path
) -> None:
    path = tmp_path / "x.svg"
    answer = run("export", night.path, "--at", night.seqs["visited"], "-o", path)
    assert answer.code == exits.OK
    assert "as svg to" in answer.err
    root = ElementTree.fromstring(path.read_bytes())
    told = "\n".join(element.text or "" for element in root.iter() if element.tag.endswith("}title"))
    with Ledger.open(night.path, "r") as ledger:
        ever = Timeline(ledger).lifetimes.edges()
    assert {edge for edge in ever if f"{edge[0]} -> {edge[1]}" in told} == edges(visited)
    faint = [element for element in root.iter() if "ghost" in (element.get("class") or "")]
    assert bool(faint) == (set(ever) != edges(visited))
    assert 'held by persistent, session 21 "viewer"' in told


def test_names_mean_nothing_to_a_format(evil: GraphState, tmp_path: Path) -> None:
    dot, mermaid, graphml = to_dot(evil, EVIL), to_mermaid(evil, EVIL), to_graphml(evil, EVIL)
    assert '"A\\"\\\\<b>;\\\\n\\\\x1b[2J\\"]" -> "B"' in dot
    assert "#quot;" in mermaid
    assert "<b>" not in mermaid.replace("%% ", "", 1).split("\n", 2)[2]
    assert all("\x1b" not in text and 'A"' not in text.splitlines()[0] for text in (dot, mermaid, graphml))
    root = ElementTree.fromstring(graphml)
    [edge] = [element for element in root.iter() if element.tag.endswith("}edge")]
    assert edge.get("source") == 'A"\\<b>;\\n\\x1b[2J"]'


# --- tables and lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_all_events_come_back_from_a_table(run: Run, night: Any, tmp_path: Path, name: str) -> None:
    answer = run("export", night.path, "--events", "-o", tmp_path / name)
    assert (answer.code, answer.out) == (exits.OK, "")
    assert f"wrote {night.seqs['end']} events as {name[2:]}" in answer.err
    read = pyarrow.parquet.read_table if name == "x.parquet" else pyarrow.feather.read_table
    table = read(tmp_path / name)
    rows = table.to_pylist()
    lines = run("log", night.path, "--json").out.splitlines()
    assert [row["event"] for row in rows] == lines
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert table["time"].cast("int64").to_pylist() == [json.loads(line)["time"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        event = json.loads(line)
        assert row["type"] == event["type"]
        assert all(event.get(name) in (row[name], None) for name in ("from_topic", "session", "reason", "owner", "pid"))


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_a_state_comes_back_from_a_table(run: Run, night: Any, visited: GraphState, tmp_path: Path, name: str) -> None:
    assert run("export", night.path, "--at", ASKING, "-o", tmp_path / name).code == exits.OK
    read = pyarrow.parquet.read_table if name == "x.parquet" else pyarrow.feather.read_table
    rows = read(tmp_path / name).to_pylist()
    assert {(row["from_topic"], row["to_topic"]) for row in rows if row["what"] == "edge"} == edges(visited)
    lines = run("export", night.path, "--at", ASKING, "-f", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == [
        {key: value for key, value in row.items() if value is not None} for row in rows
    ]
    counted = {row["what"] for row in rows}
    assert counted >= {"edge", "session", "component", "setting", "process", "publisher", "request"}


def test_json_is_what_show_says_and_events_are_one_array(run: Run, night: Any) -> None:
    shown = json.loads(run("show", night.path, "--at", 30, "--json").out)
    assert json.loads(run("export", night.path, "--at", 30).out) == shown
    lines = [json.loads(line) for line in run("log", night.path, "--json").out.splitlines()]
    assert json.loads(run("export", night.path, "--events").out) == lines
    some = json.loads(run("export", night.path, "--events", "--since", 18, "--until", 19).out)
    assert [event["seq"] for event in some] == [18, 19]
    some_lines = run("export", night.path, "--events", "-f", "jsonl", "--since", "mark:baseline", "--until", 19).out
    assert [json.loads(line) for line in some_lines.splitlines()] == some


def test_events_are_counted_as_they_are_written(run: Run, tmp_path: Path) -> None:
    """Seqs that were lost, or whose segments are gone, are none."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none", segmented=True) as ledger:
        ledger.append([ev.Mark(name=str(number)) for number in range(7)])
        rotate(ledger)
        ledger.append([ev.Mark(name=str(number)) for number in range(3)])
    (path / "000001.ledger").unlink()
    assert "wrote 3 events as jsonl" in run("export", path, "--events", "-o", tmp_path / "x.jsonl").err
    assert len((tmp_path / "x.jsonl").read_bytes().splitlines()) == 3


def test_no_events_are_an_empty_array(run: Run, tmp_path: Path) -> None:
    Ledger.open(tmp_path / "x.ledger").close()
    assert json.loads(run("export", tmp_path / "x.ledger", "--events").out) == []


# --- a part of it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["--below", "SYSTEM/FILTER"], ["--topic", "filter"]])
def test_a_graph_is_narrowed_to_what_concerns_a_component(run: Run, night: Any, options: list[str]) -> None:
    whole = networkx.parse_graphml(run("export", night.path, "--at", ASKING, "-f", "graphml").out)
    part = networkx.parse_graphml(run("export", night.path, "--at", ASKING, "-f", "graphml", *options).out)
    assert set(part.edges) == {edge for edge in whole.edges if any("SYSTEM/FILTER" in topic for topic in edge)}
    assert 0 < len(part.edges) < len(whole.edges)
    lines = run("export", night.path, "--at", ASKING, "-f", "jsonl", *options).out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert {(row["from_topic"], row["to_topic"]) for row in rows if row["what"] == "edge"} == set(part.edges)


def test_events_are_narrowed_with_their_consequences(run: Run, night: Any) -> None:
    lines = run("export", night.path, "--events", "-f", "jsonl", "--topic", "VIEWER").out.splitlines()
    kept = [json.loads(line) for line in lines]
    assert lines == run("log", night.path, "--json", "--topic", "VIEWER").out.splitlines()
    assert {"edge.connected", "session.closed"} <= {event["type"] for event in kept}


def test_what_is_narrowed_to_nothing_is_answered_with_names(run: Run, night: Any) -> None:
    below = run("export", night.path, "-f", "dot", "--below", "SYSTEM/AMPP")
    assert (below.code, "Did you mean SYSTEM/AMP" in below.err) == (exits.USAGE, True)
    assert "no topic or component has 'zzz'" in run("export", night.path, "-f", "dot", "--topic", "zzz").err
    assert "json is of all there is" in run("export", night.path, "--below", "SYSTEM").err


def test_what_mermaid_does_not_draw_is_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic=f"B/{n}", owner=None) for n in range(501)])
    told = run("export", path, "-f", "mermaid").err
    assert "Mermaid does not draw this: it takes 500 edges and 50,000 characters, and here are 501 and" in told
    assert "Mermaid" not in run("export", path, "-f", "mermaid", "--topic", "B/1").err


# --- what makes no sense ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--events", "-f", "dot"], "dot is for graphs", "Leave one of them out"),
        (["--events", "--at", "3"], "--at is for a state", "--since and --until"),
        (["--since", "3"], "are for --events", "--at"),
        (["-f", "csv"], "csv is for events", "--events"),
        (["-f", "parquet"], "it needs a file", "-o run.parquet"),
        (["-o", "x.foo"], "does not say which format", ".graphml"),
        (["-f", "yaml"], "'yaml'", "--help"),
    ],
)
def test_options_that_contradict_each_other(run: Run, night: Any, options: list[str], message: str, hint: str) -> None:
    answer = run("export", night.path, *options)
    assert answer.code == exits.USAGE
    assert message in answer.err
    assert hint in answer.err


def test_the_ledger_itself_is_never_written_over(run: Run, night: Any) -> None:
    before = night.path.read_bytes()
    answer = run("export", night.path, "-f", "dot", "-o", night.path)
    assert (answer.code, night.path.read_bytes()) == (exits.USAGE, before)
    assert "is the ledger itself" in answer.err


def test_what_fails_leaves_no_half_a_file(run: Run, night: Any, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    assert run("export", night.path, "--at", "mark:none", "-o", tmp_path / "old.json").code == exits.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "old"


def test_an_empty_graph_is_said_to_be_one(run: Run, night: Any, tmp_path: Path) -> None:
    answer = run("export", night.path, "--at", "0", "-o", tmp_path / "x.dot")
    assert "nothing is connected at this moment" in answer.err


@pytest.mark.parametrize(("name", "events"), [("x.parquet", ["--events"]), ("x.arrow", [])])
def test_a_missing_library_is_named_with_what_installs_it(
    run: Run, night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, events: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = run("export", night.path, *events, "-o", tmp_path / name)
    assert answer.code == exits.USAGE
    assert "needs pyarrow, which is not installed" in answer.err
    assert f"hint: Install it: {install_command('ezmsg-ledger[frames]')}" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_without_networkx_the_library_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingExtra, match="needs networkx") as raised:
        to_networkx(GraphState())
    assert raised.value.hint == "Install it: pip install networkx"
