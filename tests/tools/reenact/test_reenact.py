"""``reenact``: a recorded graph against real servers in processes of their own, ezmsg's and ours."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.client.line import Broken, Line, NoServer
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.recorder.process import Recorder
from ezmsg.ledger.runtime.server.wire.protocol import Command
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.reenact.command import _paced
from ezmsg.ledger.tools.reenact.likeness import differences, recorded_shape, server_shape
from ezmsg.ledger.tools.reenact.stage import Stage

Run = Callable[..., Any]

STOCK = """
import sys
from ezmsg.core.graphserver import GraphServer
server = GraphServer()
server.start(("127.0.0.1", 0))
print(server.address, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def stock() -> Iterator[str]:
    """ezmsg's own server."""
    command = [sys.executable, "-c", STOCK]
    quiet = {**os.environ, "EZMSG_LOGLEVEL": "WARNING"}  # ezmsg 3.10 logs on standard output
    options: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": quiet}
    with subprocess.Popen(command, text=True, **options) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield server.stdout.readline().strip()
        server.stdin.close()
        server.wait(60)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    with Recorder(tmp_path_factory.mktemp("reenact") / "again.ledger") as recorder:
        yield recorder


@pytest.fixture(params=["stock", "ours"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    server = request.getfixturevalue(request.param)
    address = server if isinstance(server, str) else server.address
    yield address
    with Line(address, Command.SESSION) as broom:
        for edge in broom.ask(Command.SESSION_SNAPSHOT).edge_owners:
            with Line(address, Command.DISCONNECT) as line:
                line.say(Command.DISCONNECT, *edge)


def test_a_real_pipeline_is_made_again(run: Run, recorded: Any, address: str) -> None:
    answer = run("reenact", recorded.path, "--to", address)
    assert answer.code == exits.OK, answer
    assert answer.out.count("the same at seq") == 2
    relays = version("ezmsg").startswith("3.9.")  # as units, with settings
    assert f"8 edges, 2 sessions, 3 processes, {7 + relays} settings" in answer.out
    assert "channel.opened" in answer.out


def test_a_night_of_two_runs_is_made_again(run: Run, night: Any, address: str) -> None:
    answer = run("reenact", night.path, "--to", address, "--json")
    document = json.loads(answer.out)
    assert answer.code == exits.OK, answer
    assert document["same"] is True
    assert document["refused"] == []
    assert [each["seq"] for each in document["comparisons"]] == [25, 46, 49]
    assert document["comparisons"][0]["compared"] == {
        "topics": 12,
        "edges": 9,
        "sessions": 2,
        "processes": 1,
        "settings": 7,
    }
    assert document["left_out"]["channel.opened"] == 4


def test_it_ends_where_it_is_told_to(run: Run, recorded: Any, address: str) -> None:
    visited = recorded.moments.visited
    document = json.loads(run("reenact", recorded.path, "--to", address, "--until", visited, "--json").out)
    assert (document["until"]["seq"], document["same"]) == (visited, True)
    [comparison] = document["comparisons"]
    assert (comparison["seq"], comparison["compared"]["edges"]) == (visited, 8)
    assert comparison["compared"]["sessions"] == 2
    assert comparison["compared"]["processes"] == 3


def test_what_ours_records_of_it_has_the_same_shape(run: Run, recorded: Any, tmp_path: Path) -> None:
    until = recorded.moments.lost
    with Recorder(tmp_path / "again.ledger") as recorder, Line(recorder.address, Command.SESSION) as observer:
        stage = Stage(recorder.address, observer)
        with Ledger.open(recorded.path, "r") as ledger:
            for event in ledger.entries(until=until):
                stage.play(event)
        with Ledger.open(recorder.location, "r") as again:
            state = Timeline(again).at("end")
            assert dict(state.ownership.edges()).keys() == dict(stage.state.ownership.edges()).keys()
            assert {key: value.value for key, value in state.settings.items()} == {
                key: value.value for key, value in stage.state.settings.items()
            }
            ends = [event.reason for event in again.entries() if isinstance(event, ev.SessionClosed)]
            assert ends == ["lost"], "the killed session is lost once more"
        stage.leave()


# --- what is not the same --------------------------------------------------------------------------------------------


def test_every_difference_is_named(recorded: Any, ours: Recorder) -> None:
    with Line(ours.address, Command.SESSION) as observer:
        stage = Stage(ours.address, observer)
        with Ledger.open(recorded.path, "r") as ledger:
            for event in ledger.entries(until=recorded.moments.visited):
                stage.play(event)
        [system, visitor] = stage.sessions
        stage.sessions[visitor].say(Command.SESSION_CONNECT, "STRAY/OUT", "STRAY/IN")
        stage.sessions[visitor].say(Command.SESSION_DISCONNECT, "RIG/AMP/OUTPUT", "RIG/MONITOR/INPUT")
        there = server_shape(
            observer.ask(Command.SESSION_SNAPSHOT),
            observer.ask(Command.SESSION_SETTINGS_SNAPSHOT),
            {line.id: key for key, line in stage.sessions.items()},
            {line.id: key for key, line in stage.processes.items()},
        )
        found = differences(recorded_shape(stage.state), there)
        stage.leave()
    names = {(each.group, each.name) for each in found}
    assert names == {
        ("topics", "STRAY/OUT"),
        ("topics", "STRAY/IN"),
        ("edges", "STRAY/OUT -> STRAY/IN"),
        ("edges", "RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT"),
        ("sessions", f"session {visitor}"),
    }
    [shared] = [each for each in found if each.name == "RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT"]
    assert shared.recorded == sorted([f"session {system}", f"session {visitor}"])
    assert shared.server == [f"session {system}"]


@pytest.mark.parametrize("group", ["processes", "settings", "sessions"])
def test_a_shape_that_lacks_something_differs(night: Any, group: str) -> None:
    with Ledger.open(night.path, "r") as ledger:
        here = recorded_shape(Timeline(ledger).at(night.seqs["visited"]))
    name = next(iter(here[group]))
    there = {**here, group: {key: value for key, value in here[group].items() if key != name}}
    [found] = differences(here, there)
    assert (found.group, found.name, found.server) == (group, name, None)
    assert differences(here, here) == []


def test_a_server_that_refuses_is_told(run: Run, tmp_path: Path, address: str) -> None:
    """A ledger that no server would have made: the edge closes a cycle."""
    with Ledger.open(tmp_path / "cycle.ledger") as ledger:
        ledger.append([ev.SessionOpened(uuid="x", label="S")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([ev.EdgeConnected(from_topic="B", to_topic="A", owner=1)])
    answer = run("reenact", tmp_path / "cycle.ledger", "--to", address)
    assert answer.code == exits.NO
    assert "seq 3 was refused by the server" in answer.out
    assert "edges: B -> A" in answer.out
    assert "server   None" in answer.out


def test_a_server_with_a_graph_is_left_alone(run: Run, night: Any, address: str) -> None:
    with Line(address, Command.SESSION) as other:
        assert other.say(Command.SESSION_CONNECT, "A", "B")
        answer = run("reenact", night.path, "--to", address)
        assert answer.code == exits.USAGE
        assert "has a graph already: 1 edge" in answer.err
        assert [*other.ask(Command.SESSION_SNAPSHOT).edge_owners] == [("A", "B")]
        other.say(Command.SESSION_CLEAR)


def test_a_history_without_its_beginning_is_not_issued(run: Run, tmp_path: Path, address: str) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none", segmented=True) as ledger:
        LiveGraph(ledger).connect("A", "B")
        rotate(ledger)
        ledger.append([ev.Mark(name="x")])
    (path / "000001.ledger").unlink()
    answer = run("reenact", path, "--to", address)
    assert (answer.code, answer.out) == (exits.DISK, "")
    assert f"{path} begins with seq 4, and a graph is issued from its first event" in answer.err


def test_nobody_there(run: Run, night: Any) -> None:
    answer = run("reenact", night.path, "--to", "127.0.0.1:1")
    assert answer.code == exits.USAGE
    assert "no graph server answers at 127.0.0.1:1" in answer.err
    assert run("reenact", night.path, "--to", "nonsense").code == exits.USAGE
    with pytest.raises(NoServer):
        Line("127.0.0.1:1", Command.SESSION)


def test_a_server_that_goes_away_is_said(tmp_path: Path) -> None:
    with Recorder(tmp_path / "x.ledger") as recorder:
        line = Line(recorder.address, Command.SESSION)
        with Line(recorder.address, Command.SHUTDOWN) as last, pytest.raises(Broken):
            last.say(Command.SHUTDOWN)
    with pytest.raises(Broken):
        line.ask(Command.SESSION_SNAPSHOT)
    line.close()


def test_time_passes_as_it_did_or_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", sleep)
    wall = [0]
    with Ledger.memory(clock=lambda: wall[0]) as ledger:
        events = []
        for name, wall[0] in ("a", 10**9), ("b", 3 * 10**9), ("c", 2 * 10**9):  # set back before the last
            events += ledger.append([ev.Mark(name=name)])
        timeline = Timeline(ledger)
        assert list(_paced(timeline, 3, None)) == events
        assert slept == []
        assert list(_paced(timeline, 3, 4.0)) == events
    assert sum(slept) == pytest.approx(0.5)


def test_every_key_of_its_document_is_documented(run: Run, night: Any, ours: Recorder) -> None:
    docs = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = docs[docs.index("## reenact") :]
    document = json.loads(run("reenact", night.path, "--to", ours.address, "--until", 20, "--json").out)
    keys = {*document, *document["comparisons"][0], *document["comparisons"][0]["compared"]}
    assert [key for key in keys if f'"{key}"' not in section] == []
