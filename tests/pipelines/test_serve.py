"""``ezmsg-ledger serve``: several programs, one graph, and ezmsg's own commands against it."""

import asyncio
import json
import os
import re
import signal
import time
from typing import Any
from urllib.request import urlopen

from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Address

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev

STOP_MAX_S = 2.0
PATIENCE_S = 40.0


def served(desk: Any, *arguments: Any) -> tuple[Any, str]:
    """A server that runs, and its address."""
    words = ("serve", *arguments, "--address", desk.free)
    server = desk.start("ezmsg-ledger", *words, EZMSG_GRAPHSERVER_ADDR="of no concern here")
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    return server, address


def test_several_pipelines_and_the_commands_of_ezmsg(desk: Any) -> None:
    """One that goes on and three that come and go, beside each other, of every start method."""
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    here = {"EZMSG_GRAPHSERVER_ADDR": address}

    endless = desk.start("python", desk.program("endless.py"), "--root", "ONE", **here)
    endless.until("heard 20")
    others = {
        "TWO": desk.start("python", desk.program("pipeline.py"), "--root", "TWO", "--split", "fork", **here),
        "THREE": desk.start("python", desk.program("pipeline.py"), "--root", "THREE", "--split", "spawn", **here),
        "FOUR": desk.start(
            "python",
            desk.program("pipeline.py"),
            "--root",
            "FOUR",
            "--split",
            "forkserver",
            EZMSG_FORCE_TCP="1",
            **here,
        ),
    }
    drawings = {
        "digraph": desk.start("python", "-m", "ezmsg.core", "graphviz", **here),
        "flowchart": desk.start("python", "-m", "ezmsg.core", "mermaid", "-n", **here),
    }
    for name, other in others.items():
        told = other.end()
        assert told.code == 0, told.err
        ways = ["TCP"] if name == "FOUR" else ["SHM"]
        assert json.loads(told.out) == {"wrong": 0, "gain": 3.0, "ways": ways}
    for kind, drawing in drawings.items():
        told = drawing.end()
        assert told.code == 0, told.err
        assert kind in told.out
        assert "TICKER" in told.out
        assert "http" not in told.out
    endless.interrupt()
    assert endless.end().took_ctrl_c

    begun = time.monotonic()
    server.interrupt()
    told = server.end()
    assert told.code == 0, told.err
    assert time.monotonic() - begun < STOP_MAX_S
    assert "recorded 4 sessions, 10 edges, 7 processes, 3 settings updates, 0 refusals, 0 sessions lost; " in told.err
    said = desk.account(ledger)
    assert said.runs == ["signal"]
    assert said.sessions[-1] == ("ONE", "closed")
    assert sorted(said.sessions) == [(name, "closed") for name in ("FOUR", "ONE", "THREE", "TWO")]
    assert said.edges == {
        ("ONE/TICKER/OUTPUT", "ONE/HEARER/INPUT"): ["ONE"],
        **{(f"{name}/SOURCE/OUTPUT", f"{name}/SCALE/INPUT"): [name] for name in others},
        **{(f"{name}/SOURCE/OUTPUT_SETTINGS", f"{name}/SCALE/INPUT_SETTINGS"): [name] for name in others},
        **{(f"{name}/SCALE/OUTPUT", f"{name}/SINK/INPUT"): [name] for name in others},
    }
    halves = [((f"{name}/SCALE", f"{name}/SOURCE"), "closed") for name in others]
    sinks = [((f"{name}/SINK",), "closed") for name in others]
    assert said.processes == sorted([(("ONE/HEARER", "ONE/TICKER"), "closed"), *halves, *sinks])
    assert sorted(said.settings) == [(f"{name}/SCALE", {"gain": 3.0}) for name in ("FOUR", "THREE", "TWO")]
    assert (said.refused, said.torn) == ([], set())


def test_two_pipelines_of_one_name_collide_as_with_ezmsg(desk: Any) -> None:
    """The second is refused, and that stands in the ledger; SIGTERM stops the server though a pipeline still runs."""
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    here = {"EZMSG_GRAPHSERVER_ADDR": address}
    endless = desk.start("python", desk.program("endless.py"), **here)
    endless.until("heard 20")
    second = desk.do("python", desk.program("endless.py"), **here)
    assert second.code == 1
    assert "address collision(s): CLOCK, CLOCK/HEARER, CLOCK/TICKER" in second.err
    begun = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    told = server.end()
    assert told.code == 0, told.err
    assert time.monotonic() - begun < STOP_MAX_S
    assert "1 refusal, " in told.err
    said = desk.account(ledger)
    assert said.refused == ["SESSION_REGISTER: collision"]
    assert said.sessions == [(None, "closed"), ("CLOCK", "server_stopped")]
    assert said.edges == {("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT"): ["CLOCK", None]}
    assert said.processes == [(("CLOCK/HEARER", "CLOCK/TICKER"), "server_stopped")]
    endless.interrupt()
    assert endless.end().took_ctrl_c


def test_fresh_drops_what_was_connected_for_good(desk: Any) -> None:
    """Also: ``ezmsg shutdown`` stops the server, and the ledger says who asked."""
    ledger = desk.folder / "x.ledger"
    for options, command in (((), ("connect", "A/OUT", "B/IN")), (("--fresh",), ("list",))):
        server, address = served(desk, ledger, *options)
        client = desk.do("python", desk.program("persistent.py"), *command, EZMSG_GRAPHSERVER_ADDR=address)
        assert (client.code, client.out) == (0, ""), client.err
        assert desk.do("python", "-m", "ezmsg.core", "shutdown", "--address", address).code == 0
        told = server.end()
        assert told.code == 0, told.err
        assert "ezmsg-ledger: the graph server was shut down from 127.0.0.1:" in told.err
    said = desk.account(ledger)
    assert said.runs == ["shutdown", "shutdown"]
    assert said.edges == {("A/OUT", "B/IN"): ["persistent"]}
    with Ledger.open(ledger, "r") as opened:
        events: list[Any] = list(opened.entries())
    kinds = [tag for event in events if (tag := str(type(event).__struct_config__.tag)) != "clock.read"]
    run_one, run_two = ["server.started", "edge.connected"], ["server.started", "graph.cleared"]
    assert kinds == [*run_one, "server.stopped", *run_two, "server.stopped"]
    assert all(event.by.startswith("127.0.0.1:") for event in events if isinstance(event, ev.ServerStopped))


def looked_at(address: str, after: int = 0) -> tuple[dict[Any, int], list[str], int]:
    """What ezmsg's own client sees: how many own each edge, the units that run, the first topology event ``after``."""

    async def look() -> tuple[dict[Any, int], list[str], int]:
        async with GraphContext(Address.from_string(address), auto_start=False) as context:
            snapshot = await context.snapshot()
            first = 0
            if after:
                stream = context.subscribe_topology_events(after_seq=after)
                first = (await asyncio.wait_for(anext(stream), PATIENCE_S)).seq
                await stream.aclose()
            owners = {tuple(edge): len(names) for edge, names in snapshot.edge_owners.items()}
            return owners, sorted(unit for each in snapshot.processes.values() for unit in each.units), first

    return asyncio.run(look())


def test_a_killed_server_and_pipeline_leave_nothing_in_the_way_of_those_that_come_after(desk: Any) -> None:
    """kill -9 of both, and both again on the same ledger: no stale owner, no collision, a history without a hole."""
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    here = {"EZMSG_GRAPHSERVER_ADDR": address}
    asyncio.run(GraphService(Address.from_string(address)).connect("A/OUT", "B/IN"))
    endless = desk.start("python", desk.program("endless.py"), "--split", "spawn", **here)
    endless.until("heard 20")
    os.kill(server.pid, signal.SIGKILL)
    killed = time.time_ns()
    os.killpg(endless.pid, signal.SIGKILL)
    assert (server.end().code, endless.end().code) == (-signal.SIGKILL, -signal.SIGKILL)
    before = ledger.read_bytes()

    again = desk.start("ezmsg-ledger", "serve", ledger, "--address", address)  # the very port, at once
    again.until("Ctrl-C stops")
    assert ledger.read_bytes().startswith(before), "nothing that was acknowledged is cut away"
    assert looked_at(address)[:2] == ({("A/OUT", "B/IN"): 1}, [])
    successor = desk.start("python", desk.program("endless.py"), "--split", "spawn", **here)
    successor.until("heard 20")
    owners, units, first = looked_at(address, after=1)
    assert owners == {("A/OUT", "B/IN"): 1, ("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT"): 1}
    assert units == ["CLOCK/HEARER", "CLOCK/TICKER"]
    assert first == 2, "the feed goes on where it was"
    successor.interrupt()
    assert successor.end().code == 0
    again.interrupt()
    assert again.end().code == 0

    said = desk.account(ledger)
    assert said.runs == ["lost", "signal"]
    assert said.refused == []
    assert said.edges == {
        ("A/OUT", "B/IN"): ["persistent"],
        ("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT"): ["CLOCK", "CLOCK"],
    }
    with Ledger.open(ledger, "r") as opened:
        events: list[Any] = list(opened.entries())
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    [lost] = [event for event in events if isinstance(event, ev.ServerLost)]
    assert killed - 5e9 < lost.last_seen <= killed


def test_a_killed_pipeline_can_start_again_at_once_on_a_server_that_stayed(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    here = {"EZMSG_GRAPHSERVER_ADDR": address}
    for _ in range(2):
        endless = desk.start("python", desk.program("endless.py"), **here)
        endless.until("heard 20")
        os.killpg(endless.pid, signal.SIGKILL)
        endless.end()
    last = desk.do("python", desk.program("pipeline.py"), "--root", "CLOCK", **here)
    assert last.code == 0, last.err
    server.interrupt()
    server.end()
    said = desk.account(ledger)
    assert said.refused == []
    assert said.sessions == [("CLOCK", "lost"), ("CLOCK", "lost"), ("CLOCK", "closed")]


def test_fresh_after_a_kill_and_metrics_of_a_real_server(desk: Any) -> None:
    """Also: whom it lets in, and that it warns of whom it need not have let in."""
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    asyncio.run(GraphService(Address.from_string(address)).connect("A", "B"))
    assert looked_at(address)[0] == {("A", "B"): 1}
    os.kill(server.pid, signal.SIGKILL)
    server.end()
    again = desk.start(
        "ezmsg-ledger", "serve", ledger, "--fresh", "-a", "0.0.0.0:0", "--allow", "203.0.113.7", "--metrics", "0"
    )
    warned = again.until("LISTENING ON EVERY ADDRESS OF THIS MACHINE")
    assert "203.0.113.7/32" in warned.string
    port = again.until(r"EZMSG_GRAPHSERVER_ADDR=127\.0\.0\.1:(\d+)")[1]
    url = again.until(r"metrics at (http://127\.0\.0\.1:\d+/metrics)")[1]
    assert looked_at(f"127.0.0.1:{port}")[0] == {}
    with urlopen(url, timeout=10) as answer:
        assert "ezmsg_ledger_edges 0.0\n" in answer.read().decode()
    os.kill(again.pid, signal.SIGTERM)
    assert again.end().code == 0
    assert desk.account(ledger).runs == ["lost", "signal"]


def test_what_the_server_says_is_in_a_log_file_too(desk: Any) -> None:
    """With its times, in lines as those of `ezmsg serve --log-file`; what an earlier start wrote stays."""
    ledger, log = desk.folder / "x.ledger", desk.folder / "logs" / "rig.log"
    for _ in range(2):
        server, address = served(desk, ledger, "--log-file", log)
        told = desk.do("python", "-m", "ezmsg.core", "shutdown", EZMSG_GRAPHSERVER_ADDR=address)
        assert told.code == 0, told.err
        said = server.end()
        assert said.code == 0, said.err
    lines = log.read_text(encoding="utf-8").splitlines()
    noted = [
        re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} - pid: (\d+) - \w+ - INFO - say: (.*)", line)
        for line in lines
    ]
    assert None not in noted, lines
    assert len({match[1] for match in noted if match}) == 2
    texts = [match[2] for match in noted if match]
    assert len(texts) == 8
    assert f"recording to {ledger}" in texts[0]
    assert texts[5].startswith(f"EZMSG_GRAPHSERVER_ADDR={address} ")
    assert texts[6].startswith("the graph server was shut down from 127.0.0.1:")
    assert texts[7].startswith("NOTHING WAS RECORDED")
    assert all(f"ezmsg-ledger: {text}\n" in said.err for text in texts[4:])


def test_a_warning_and_the_error_that_ends_a_server_are_in_the_log_file(desk: Any) -> None:
    ledger, log = desk.folder / "x.ledger", desk.folder / "rig.log"
    desk.do("ezmsg-ledger", "serve", "--address", "no address", EZMSG_LOG_FILE=str(log))
    assert not log.exists()  # nothing had begun
    holder, address = served(desk, ledger)
    refused = desk.do("ezmsg-ledger", "serve", ledger, "--address", desk.free, EZMSG_LOG_FILE=str(log))
    assert refused.code == 5
    taken = desk.do("ezmsg-ledger", "serve", "--address", address, "--log-file", log)
    assert taken.code == 2
    holder.interrupt()
    assert holder.end().code == 0
    open_to_all = desk.start("ezmsg-ledger", "serve", ledger, "--address", "0.0.0.0:0", "--log-file", log)
    open_to_all.until("points ezmsg programs here")
    open_to_all.interrupt()
    assert open_to_all.end().code == 0
    levels = [line.split(" - ")[3] for line in log.read_text(encoding="utf-8").splitlines()]
    assert levels[:4] == ["ERROR", "ERROR", "WARNING", "INFO"], log.read_text(encoding="utf-8")


def test_a_log_file_that_cannot_be_written_is_said(desk: Any) -> None:
    told = desk.do("ezmsg-ledger", "serve", "--address", desk.free, "--log-file", desk.folder)
    assert told.code == 6
    assert f"the system refused: {desk.folder}: Is a directory" in told.err
    assert list(desk.folder.iterdir()) == []
