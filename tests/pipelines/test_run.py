"""``ezmsg-ledger run``: unmodified pipelines do what they do without it, and the ledger says exactly what that was."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.lifetimes.index_file import standing
from ezmsg.ledger.projections.questions.timeline import Timeline

EDGES = {
    ("LAB/SOURCE/OUTPUT", "LAB/SCALE/INPUT"): ["LAB"],
    ("LAB/SOURCE/OUTPUT_SETTINGS", "LAB/SCALE/INPUT_SETTINGS"): ["LAB"],
    ("LAB/SCALE/OUTPUT", "LAB/SINK/INPUT"): ["LAB"],
}
PUBLISHED = ["LAB/SCALE/OUTPUT", "LAB/SOURCE/OUTPUT", "LAB/SOURCE/OUTPUT_SETTINGS"]
SUBSCRIBED = ["LAB/SCALE/INPUT", "LAB/SCALE/INPUT_SETTINGS", "LAB/SINK/INPUT"]
WHOLE = [(("LAB/SCALE", "LAB/SINK", "LAB/SOURCE"), "closed")]
HALVES = [(("LAB/SCALE", "LAB/SOURCE"), "closed"), (("LAB/SINK",), "closed")]


MANY_EDGES = """
import asyncio, sys
from ezmsg.core.graphserver import GraphService

async def main():
    for number in range(80):
        await GraphService().connect(f"A{number}", f"B{number}")

asyncio.run(main())
sys.exit(7)
"""


KEEPS_AT_ONCE = """
import sys
if any(each.startswith("ezmsg.ledger") or each.endswith("ezmsg-ledger") for each in sys.orig_argv):
    from ezmsg.ledger.projections.lifetimes import archive
    archive.SAVE_EVERY = 20
    if sys.orig_argv[0] and "index_keeper" not in " ".join(sys.orig_argv):
        from ezmsg.ledger.runtime.recorder import followers
        followers.INDEX_KEEPER = followers.INDEX_KEEPER._replace(after_s=0.0)
"""


def check_account(said: Any, processes: list[Any]) -> None:
    """The pipeline of pipeline.py, once, from its beginning to its good end."""
    channels = [("channel", topic) for topic in PUBLISHED]
    if len(processes) > 1:  # the sink hears the scale through a channel of its own process
        channels.append(("channel", "LAB/SCALE/OUTPUT"))
    assert said.runs == ["stopped"]
    assert said.sessions == [("LAB", "closed")]
    assert said.edges == EDGES
    assert said.processes == processes
    assert len(said.pids) == len(processes)
    assert said.settings == [("LAB/SCALE", {"gain": 3.0})]
    assert said.endpoints == sorted(
        [*channels, *(("publisher", topic) for topic in PUBLISHED), *(("subscriber", topic) for topic in SUBSCRIBED)]
    )
    assert said.refused == []
    assert said.torn == set()


def test_one_process(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    told = desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, desk.program("pipeline.py"))
    assert told.code == 0, told.err
    assert json.loads(told.out) == {"wrong": 0, "gain": 3.0, "ways": ["LOCAL"]}
    check_account(desk.account(ledger), WHOLE)

    beginning, *_ = told.err.splitlines()
    assert beginning.startswith(f"ezmsg-ledger: recording to {ledger} (graph server at 127.0.0.1:")
    summary = told.err[told.err.index("ezmsg-ledger: recorded ") :].splitlines()
    assert summary[0] == (
        "ezmsg-ledger: recorded 1 session, 3 edges, 1 process, 1 settings update, 0 refusals, 0 sessions lost; "
        f"{_head(ledger)} events in x.ledger"
    )
    # the three commands that it names work, and the moment is that of the whole graph
    for line in summary[1:]:
        assert desk.do(*line.split()).code == 0, line
    moment = summary[2].split()[-1]
    with Ledger.open(ledger, "r") as opened:
        state = Timeline(opened).at(moment)
    assert {edge for edge, _ in state.ownership.edges()} == set(EDGES)
    assert set(state.units) == {"LAB/SCALE", "LAB/SINK", "LAB/SOURCE"}
    assert state.settings["LAB/SCALE"].value.structured_value == {"gain": 3.0}


@pytest.mark.parametrize(
    ("start", "variables", "way"),
    [("fork", {}, "SHM"), ("forkserver", {}, "SHM"), ("fork", {"EZMSG_FORCE_TCP": "1"}, "TCP")],
)
def test_two_processes_with_large_messages(desk: Any, start: str, variables: dict[str, str], way: str) -> None:
    """1.6 MB each: more than a segment holds at first, so that a larger one is made on the way."""
    ledger = desk.folder / "x.ledger"
    command = ("run", "-a", desk.free, "-l", ledger, desk.program("pipeline.py"))
    told = desk.do("ezmsg-ledger", *command, "--split", start, "--samples", "200000", **variables)
    assert told.code == 0, told.err
    assert json.loads(told.out) == {"wrong": 0, "gain": 3.0, "ways": [way]}
    check_account(desk.account(ledger), HALVES)


def test_a_module_whose_processes_are_spawned(desk: Any) -> None:
    """Also the name that a ledger gets by itself, and what the address of the environment says."""
    package = desk.folder / "mylab"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(desk.program("pipeline.py"), package / "pipeline.py")
    words = ("-m", "mylab.pipeline", "--split", "spawn", "--samples", "200000")
    told = desk.do("ezmsg-ledger", "run", *words, EZMSG_GRAPHSERVER_ADDR=desk.free)
    assert told.code == 0, told.err
    assert json.loads(told.out) == {"wrong": 0, "gain": 3.0, "ways": ["SHM"]}
    (ledger,) = desk.folder.glob("*.ledger")
    assert _is_dated(ledger, "pipeline")
    check_account(desk.account(ledger), HALVES)


def test_the_script_is_started_as_without_us(desk: Any) -> None:
    """Arguments, input, folder, a path with spaces; modules of the folder are nobody's but the script's."""
    scripts = desk.folder / "my scripts"
    scripts.mkdir()
    script = shutil.copy(desk.program("echo.py"), scripts / "echo it.py")
    (desk.folder / "json.py").write_text("raise SystemExit('the recorder imports what lies about')\n")
    arguments = ("--ledger", "foo", "-a", "b", "-m", "--help", "-", "--", "a b", "")
    command = ("run", "-a", desk.free, "my scripts/echo it.py")
    told = desk.do(
        "ezmsg-ledger", *command, *arguments, stdin="first\nsecond\n", EZMSG_GRAPHSERVER_ADDR="of no concern here"
    )
    assert told.code == 3, told.err
    by_itself = desk.do("python", "my scripts/echo it.py", *arguments, stdin="first\nsecond\n")
    said = json.loads(told.out)
    assert said == json.loads(by_itself.out)
    assert said["arguments"] == list(arguments)
    assert said["input"] == "first\nsecond\n"
    assert Path(script).parent == Path(said["path"])
    said_of = re.search(r"NOTHING WAS RECORDED in (.+\.ledger): the script ended with exit code 3", told.err)
    assert said_of is not None
    assert _is_dated(Path(said_of[1]), "echo it")
    assert f"{said_of[1]} is empty, and was removed" in told.err
    assert list(desk.folder.glob("*.ledger*")) == []
    assert "it never came to ez.run(...)" in told.err
    assert "ezmsg-ledger log" not in told.err


def test_a_pipeline_with_a_server_of_its_own_is_not_recorded_and_that_is_said(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    told = desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, desk.program("own_server.py"))
    assert told.code == 4, told.err
    assert "NOTHING WAS RECORDED in x.ledger" in told.err
    assert "it names a graph_address of its own" in told.err
    assert not ledger.exists()


def test_a_script_that_fails_early_leaves_alone_what_was_there_before(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    Ledger.open(ledger).close()
    script = desk.folder / "fails.py"
    script.write_text("raise SystemExit(3)\n")
    assert desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, script).code == 3
    assert ledger.exists()


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("x.ipynb", "x.ipynb is a notebook", "nbconvert --to script x.ipynb"),
        ("x.ledger", "x.ledger is a ledger, not a script", "ezmsg-ledger log x.ledger"),
    ],
)
def test_what_is_no_script_is_told_what_to_do_with(desk: Any, name: str, message: str, hint: str) -> None:
    (desk.folder / name).write_text("{}")
    told = desk.do("ezmsg-ledger", "run", name)
    assert told.code == 2
    assert message in told.err
    assert hint in told.err


@pytest.mark.parametrize(("then", "code"), [("raise", 1), ("7", 7)])
def test_the_exit_code_is_that_of_the_script(desk: Any, then: str, code: int) -> None:
    ledger = desk.folder / "x.ledger"
    told = desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, desk.program("pipeline.py"), "--then", then)
    assert told.code == code
    assert ("ValueError: the analysis after the run failed" in told.err) == (then == "raise")
    assert "ezmsg-ledger: recorded 1 session" in told.err
    check_account(desk.account(ledger), WHOLE)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit to the size of a file")
def test_what_could_not_be_written_to_the_end_is_said_beside_the_summary(desk: Any) -> None:
    """The exit code stays that of the script: it never learns of it."""
    script = desk.folder / "many.py"
    script.write_text(MANY_EDGES)
    words = desk.command("ezmsg-ledger", "run", "-a", desk.free, "-l", "x.ledger", script)
    # 8 or 16 KiB, as the shell sees it. Python would cut off what it keeps of a module, and break on it ever after.
    told = desk.do("sh", "-c", 'export PYTHONDONTWRITEBYTECODE=1; ulimit -f 16; exec "$@"', "sh", *words)
    assert told.code == 7, told.err
    last = re.search(r"The last \d+ events are LOST", told.err)
    loud = told.err.index("ezmsg-ledger: THE LEDGER COULD NOT BE WRITTEN TO THE END")
    assert last is not None
    assert last.start() < loud < told.err.index("ezmsg-ledger: recorded ")
    with Ledger.open(desk.folder / "x.ledger", "r") as opened:
        assert opened.verify().sound


def test_a_second_run_goes_on_in_the_same_ledger(desk: Any) -> None:
    """Persistent edges stand, the run before is another one, ids go on."""
    ledger = desk.folder / "x.ledger"
    command = ("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger)
    first = desk.do(*command, desk.program("persistent.py"), "connect", "A/OUT", "B/IN")
    assert first.code == 0, first.err
    assert "recorded 0 sessions, 1 edge," in first.err
    assert desk.account(ledger).edges == {("A/OUT", "B/IN"): ["persistent"]}

    second = desk.do(*command, desk.program("persistent.py"), "list")
    assert second.code == 0, second.err
    assert second.out == "A/OUT -> B/IN\n"
    said = desk.account(ledger)
    assert said.runs == ["stopped", "stopped"]
    assert said.edges == {("A/OUT", "B/IN"): ["persistent"]}
    with Ledger.open(ledger, "r") as opened:
        started = [event.seq for event in opened.entries() if isinstance(event, ev.ServerStarted)]
        assert len(started) == 2
        state = Timeline(opened).at(started[1])
        assert [edge for edge, _ in state.ownership.edges()] == [("A/OUT", "B/IN")]
    assert "NOTHING WAS RECORDED in x.ledger" in second.err  # it only looked


def test_a_script_that_removes_the_ledger_has_its_exit_code_and_loses_nothing(desk: Any) -> None:
    script = desk.folder / "tidy.py"
    script.write_text("import os, sys\nos.remove('x.ledger')\nsys.exit(5)\n")
    told = desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", "x.ledger", script)
    assert told.code == 5
    assert "CANNOT RECORD" in told.err
    assert "recording again; 2 events written late, 0 lost" in told.err
    assert _head(desk.folder / "x.ledger") == 5
    assert "Traceback" not in told.err


def _head(ledger: Path) -> int:
    with Ledger.open(ledger, "r") as opened:
        return opened.head


def _is_dated(ledger: Path, name: str) -> bool:
    stem, date, time = ledger.stem.rsplit("-", 2)
    return stem == name and len(date) == 8 and len(time) == 6 and (date + time).isdecimal()


@pytest.mark.parametrize("options", [[], ["--no-index"]])
def test_the_index_is_kept_while_a_pipeline_is_recorded(desk: Any, options: list[str]) -> None:
    """By a process that is told to be there at once, and to take a short recording for a long one."""
    (desk.folder / "sitecustomize.py").write_text(KEEPS_AT_ONCE)
    script = desk.folder / "many.py"
    script.write_text(MANY_EDGES.replace("sys.exit(7)", "import time; time.sleep(1)"))
    told = desk.do(
        "ezmsg-ledger", "run", "-a", desk.free, "-l", "x.ledger", *options, script, PYTHONPATH=str(desk.folder)
    )
    assert told.code == 0, told.err
    with Ledger.open(desk.folder / "x.ledger", "r") as ledger:
        kept = standing(ledger.location, ledger.id)
        assert kept == (None if options else (ledger.head, False))
        assert len(Timeline(ledger).lifetimes.edges()) == 80
    assert "index keeper" not in told.err


LOOKS_AT_ONCE = """
import os, socket, sys
with open(sys.argv[1], "rb") as ledger:
    assert b'"type":"ledger.header"' in ledger.readline()
host, _, port = os.environ["EZMSG_GRAPHSERVER_ADDR"].partition(":")
with socket.create_connection((host, int(port)), 60) as early:
    assert int.from_bytes(early.recv(8), "little") < 64
print("greeted")
"""


def test_no_line_of_the_script_runs_before_the_ledger_is_open(desk: Any) -> None:
    """The server may come a moment later: who connects is let in then."""
    script = desk.folder / "looks.py"
    script.write_text(LOOKS_AT_ONCE)
    told = desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", "x.ledger", script, "x.ledger")
    assert (told.code, told.out) == (0, "greeted\n"), told.err


HAS_NO_SERVER = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "ezmsg.ledger.runtime.server.server":
            raise ImportError("broken on purpose")
if "ezmsg.ledger.runtime.server" in sys.orig_argv:
    sys.meta_path.insert(0, Missing())
"""


def test_a_recorder_that_fails_after_the_script_has_begun_is_said(desk: Any) -> None:
    (desk.folder / "sitecustomize.py").write_text(HAS_NO_SERVER)
    script = desk.folder / "waits.py"
    script.write_text("import sys, time\ntime.sleep(float(sys.argv[1]))\nsys.exit(5)\n")
    command = ("ezmsg-ledger", "run", "-a", desk.free, "-l", "x.ledger", script, "4")
    told = desk.do(*command, PYTHONPATH=str(desk.folder))
    assert told.code == 5
    assert "ezmsg-ledger: the recorder ended before it was ready" in told.err
    assert "THE RECORDER HAS ENDED (exit code 1): NOTHING IS RECORDED" in told.err
    # where there is a history already, the script waits for all of it to be read: so it does not even begin
    with Ledger.open(desk.folder / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="before")])
    told = desk.do(*command, PYTHONPATH=str(desk.folder))
    assert told.code != 5
    assert "NOTHING IS RECORDED" not in told.err
