"""docs/elsewhere.md: every line, in the version that it names; and graphs with every legal name in their readers."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.export.dot import node_id, to_dot
from ezmsg.ledger.tools.export.graph import drawing
from ezmsg.ledger.tools.export.graphml import to_graphml
from ezmsg.ledger.tools.export.mermaid import to_mermaid
from tests.ezmsg.suite.environments import CACHE, ROOT, Environment
from tests.tools.export.graphs import EDGES, NAMES, state_of

pytestmark = pytest.mark.environments

PYTHON = {
    "pandas": "3.1.1",
    "polars": "2.1.0",
    "duckdb": "2.0.1",
    "pyarrow": "26.0.1",
    "jq": "1.13.0",
    "zstandard": "0.25.0",
    "networkx": "3.6.1",
    "igraph": "1.0.0",
    "sigstore": "4.5.1",
}
NODE = {"mermaid": "11.17.2", "@hpcc-js/wasm-graphviz": "1.29.2", "jsdom": "29.1.1"}
"""The parsers of Mermaid and Graphviz (16.1.0), as their projects publish them; the first needs a page to run on."""

READERS = Environment("readers", tuple(f"{name}=={version}" for name, version in PYTHON.items()))
HERE = Path(__file__).parent
DEMO = HERE.parent / "documents" / "demo.ledger"


class Row(dict[str, str]):
    def __repr__(self) -> str:
        return f"{self['tool']} {self['version']}: {self['line']}"


def rows() -> list[Row]:
    """The table of docs/elsewhere.md: a tool, its version, and a line in its language."""
    text = (ROOT / "docs" / "elsewhere.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\S+) \| (\S+) \| `(.*)` \|", text, re.MULTILINE)
    return [Row(tool=tool, version=version, line=line) for tool, version, line in found]


PRELUDE = """
import base64, hashlib, importlib.metadata, json, sys
from ezmsg.ledger import Ledger
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.tools.export import to_arrow, to_networkx
tool, line = sys.argv[1:]
module = __import__(tool)
for inner in ("hashes",):
    try:
        __import__(f"{tool}.{inner}")
    except ImportError:
        pass
ledger = Ledger.open("run.ledger", "r")
timeline = Timeline(ledger)
tables = to_arrow(timeline)
events, sessions, edges, settings = tables
state = timeline.at(30)
digest = ledger.verify().sha256
globals()[tool] = module
found = eval(line)
NAMES = ["born", "from_topic"] if "edges" in line else ["seq", "type"]
if tool == "pandas":
    assert "time" not in found or str(found["time"].dtype).startswith(("int64", "datetime64[ns", "timestamp[ns"))
    found = found[NAMES].values.tolist()
elif tool == "polars":
    found = [list(row) for row in found.select(NAMES).rows()]
elif tool == "duckdb":
    found = [list(row) for row in found.project(", ".join(NAMES)).fetchall()]
elif tool == "pyarrow":
    found = [[row[name] for name in NAMES] for row in found.to_pylist()]
elif tool == "zstandard":
    found = hashlib.sha256(found).hexdigest()
elif tool == "networkx":
    found = sorted(map(list, (found or networkx.read_gml("run.gml")).edges))
elif tool == "igraph":
    found = sorted([found.vs[edge.source]["id"], found.vs[edge.target]["id"]] for edge in found.es)
elif tool == "sigstore":
    found = found.digest.hex()
print(json.dumps({"version": importlib.metadata.version(tool), "found": found}))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording, and what the page exports of it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(DEMO, folder / "run.ledger")
    page = (ROOT / "docs" / "elsewhere.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ezmsg-ledger (export .*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) >= 4
    program = "import sys; from ezmsg.ledger.tools.cli import main; sys.exit(main(sys.argv[1:]))"
    for command in commands:
        subprocess.run([sys.executable, "-c", program, *command.split()], cwd=folder, timeout=60, check=True)
    import zstandard

    packed = zstandard.ZstdCompressor()
    whole = (folder / "run.ledger").read_bytes()
    (folder / "000001.ledger.zst").write_bytes(packed.compress(whole[:5000]) + packed.compress(whole[5000:]))
    return folder


@pytest.fixture(scope="module")
def expected(desk: Path) -> dict[str, Any]:
    """What each tool has to find, read by the standard library from the ledger itself."""
    events = [json.loads(line) for line in (desk / "run.ledger").read_bytes().splitlines()]
    events = [event for event in events if "seq" in event]
    with Ledger.open(desk / "run.ledger", "r") as ledger:
        from ezmsg.ledger.projections.questions.timeline import Timeline

        held = [edge for edge, _ in Timeline(ledger).at(30).ownership.edges()]
        digest = ledger.verify().sha256
    return {
        "events": [[event["seq"], event["type"]] for event in events],
        "edges": [[e["seq"], e["from_topic"]] for e in events if e["type"] == "edge.connected"],
        "graph": sorted(map(list, held)),
        "digest": digest,
    }


@pytest.mark.parametrize("row", [row for row in rows() if row["tool"] in PYTHON], ids=repr)
def test_a_line_of_python(row: Row, desk: Path, expected: dict[str, Any]) -> None:
    command = [str(READERS.python()), "-c", PRELUDE, row["tool"], row["line"]]
    done = subprocess.run(command, cwd=desk, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["version"] == row["version"] == PYTHON[row["tool"]]
    found = said["found"]
    match row["tool"]:
        case "networkx" | "igraph":
            assert found == expected["graph"]
        case "zstandard":
            assert found == hashlib.sha256((desk / "run.ledger").read_bytes()).hexdigest()
        case "sigstore":
            assert found == expected["digest"]
        case "jq":
            assert [each[0] for each in found] == [each[0] for each in expected["events"]]
            with open(desk / "run.csv", encoding="utf-8", newline="") as lines:
                assert [each[1] for each in found] == [line["iso"] for line in csv.DictReader(lines)]
        case _ if "edges" in row["line"]:
            assert sorted(found) == sorted(expected["edges"])
        case _:
            assert found == expected["events"]


@pytest.mark.parametrize("row", [row for row in rows() if row["tool"] == "jq(1)"], ids=repr)
def test_a_line_of_jq(row: Row, desk: Path, expected: dict[str, Any]) -> None:
    """Debian's jq rounds integers beyond 2^53, so that ``time`` is not the one that was recorded, and ``iso`` is."""
    if shutil.which("jq") is None:
        pytest.skip("no jq here: apt-get install jq")
    here = subprocess.run(["jq", "--version"], capture_output=True, text=True, timeout=10).stdout.strip()
    if here != f"jq-{row['version']}":
        pytest.skip(f"another jq: {here}")
    done = subprocess.run(row["line"], shell=True, cwd=desk, capture_output=True, text=True, timeout=30, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each[0] for each in found] == [each[0] for each in expected["events"]]
    with open(desk / "run.csv", encoding="utf-8", newline="") as lines:
        assert [each[1] for each in found] == [line["iso"] for line in csv.DictReader(lines)]


def test_every_tool_of_the_page_is_tried() -> None:
    assert {row["tool"] for row in rows()} == {*PYTHON, "jq(1)", "mermaid", "graphviz"}
    for row in rows():
        if row["tool"] == "mermaid":
            assert row["version"] == NODE["mermaid"]


# --- graphs, with every legal name -----------------------------------------------------------------------------------


class Reader:
    """A program that reads a graph in each line, and says what it found."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self._process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def read(self, text: str, format: str = "") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"format": format, "text": text}) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def node() -> Iterator[Reader]:
    """The parsers of Mermaid and Graphviz."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here: apt-get install npm")
    wanted = [f"{name}@{version}" for name, version in NODE.items()]
    home = CACHE / f"readers-node-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text("{}")
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", *wanted]
        subprocess.run(command, cwd=home, timeout=300, check=True)
        (home / "complete").touch()
    shutil.copy(HERE / "readers" / "parse.mjs", home)
    reader = Reader(["node", "parse.mjs"], home)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def igraph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    script = str(HERE / "readers" / "igraph_lines.py")
    reader = Reader([str(READERS.python()), script], tmp_path_factory.mktemp("igraph"))
    yield reader
    reader.close()


ANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(EDGES, NAMES)
def test_igraph_reads_every_graph(igraph: Reader, edges: list[tuple[str, str]], label: str) -> None:
    """By the attribute ``topic``: it reads ``&amp;`` in an id as ``&#38;``."""
    state = state_of(edges, label)
    ids = drawing(state).ids()
    found = igraph.read(to_graphml(state, label))
    assert set(found["nodes"]) == set(ids.values())
    assert {tuple(edge) for edge in found["edges"]} == {(ids[a], ids[b]) for (a, b), _ in state.ownership.edges()}


@ANY
@given(EDGES, NAMES)
def test_graphviz_reads_every_graph(node: Reader, edges: list[tuple[str, str]], label: str) -> None:
    state = state_of(edges, label)
    ids = {topic: name.replace("\\", "\\\\") for topic, name in drawing(state).ids(node_id).items()}
    found = node.read(to_dot(state, label), "dot")
    assert "error" not in found, found
    assert set(found["nodes"]) == set(ids.values())
    assert {tuple(edge) for edge in found["edges"]} == {(ids[a], ids[b]) for (a, b), _ in state.ownership.edges()}


@ANY
@given(EDGES, NAMES)
def test_mermaid_reads_every_graph(node: Reader, edges: list[tuple[str, str]], label: str) -> None:
    state = state_of(edges, label)
    ids = {topic.name: f"t{number}" for number, topic in enumerate(drawing(state).topics)}
    found = node.read(to_mermaid(state, label), "mermaid")
    assert "error" not in found, found
    assert set(found["nodes"]) == set(ids.values())
    assert {tuple(edge) for edge in found["edges"]} == {(ids[a], ids[b]) for (a, b), _ in state.ownership.edges()}


def test_mermaid_stops_where_the_export_warns(node: Reader) -> None:
    """One edge more than 500 is one too many for it."""
    assert len(node.read(to_mermaid(state_of([("A", f"B{n}") for n in range(500)], "x")), "mermaid")["edges"]) == 500
    assert "error" in node.read(to_mermaid(state_of([("A", f"B{n}") for n in range(501)], "x")), "mermaid")
