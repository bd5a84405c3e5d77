"""``attach``: a real pipeline on ezmsg's own graph server, and a recorder that comes later and goes before."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from typing import Any

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Address

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import GraphState, fold
from tests.conftest import PATIENCE_S


@pytest.fixture
def stock(desk: Any) -> tuple[Any, str]:
    """A graph server of ezmsg's own, as people start it."""
    address = f"127.0.0.1:{free_port()}"
    server = desk.start(sys.executable, "-m", "ezmsg.core", "serve", "--address", address)
    for _ in range(400):
        if desk.do("ezmsg-ledger", "status", address).err.find("is not a recorder") >= 0:
            break
    return server, address


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(ledger: Any, wanted: Any) -> Any:
    with Ledger.open(ledger, "r") as reader:
        for batch in reader.tail(0):
            for event in batch:
                if wanted(event):
                    return event
    raise AssertionError("the ledger ended")


def leads_to_c(event: Any) -> bool:
    return isinstance(event, ev.EdgeConnected) and event.to_topic == "C"


async def act(address: str, ledger: Any) -> None:
    """Wire something, and hold it until the observer has it: it cannot see what comes and goes between two looks."""
    here = Address.from_string(address)
    await GraphService(here).connect("A", "B")
    async with GraphContext(here, auto_start=False) as context:
        await context.connect("A", "B")
        await context.connect("B", "C")
        await asyncio.to_thread(until, ledger, leads_to_c)


async def connect_often(address: str, times: int) -> None:
    service = GraphService(Address.from_string(address))
    for number in range(times):
        await service.connect("A", f"B{number}")


def test_its_ledger_can_be_a_folder_that_is_rotated(desk: Any, stock: tuple[Any, str]) -> None:
    _, address = stock
    ledger = desk.folder / "x.ledger"
    attach = desk.start("ezmsg-ledger", "attach", address, "--ledger", ledger, "--rotate", "4kB")
    attach.until("Ctrl-C stops")
    for begin in range(0, 60, 20):
        asyncio.run(connect_often(address, begin + 20))
        until(ledger, lambda event: isinstance(event, ev.EdgeConnected) and event.to_topic == f"B{begin + 19}")  # noqa: B023
    deadline = time.monotonic() + PATIENCE_S
    while len(segments := list(ledger.glob("*.ledger"))) < 2:
        assert time.monotonic() < deadline, segments
        time.sleep(0.05)
    os.kill(attach.pid, signal.SIGINT)
    assert attach.end().code == 0
    with Ledger.open(ledger, "r") as reader:
        found = reader.verify()
        assert (found.sound, found.sealed) == (True, True)
        state = fold(reader.read(), GraphState())
    assert len(list(state.ownership.edges())) == 60
    assert desk.do("ezmsg-ledger", "attach", address, "--keep", "30d").code == 2, "it is about --rotate"


def test_a_pipeline_beside_which_it_comes_and_goes(desk: Any, stock: tuple[Any, str]) -> None:
    _, address = stock
    here = {"EZMSG_GRAPHSERVER_ADDR": address}
    endless = desk.start("python", desk.program("endless.py"), **here)
    endless.until("heard 20")
    ledger = desk.folder / "x.ledger"
    attach = desk.start("ezmsg-ledger", "attach", address, "--ledger", ledger)
    attach.until(rf"beside the graph server at {address} \(ezmsg 3\.")
    attach.until("an observer does not see where connections come from; publishers, subscribers and channels; ")
    units = until(ledger, lambda event: isinstance(event, ev.ProcessRegistered))
    assert units.units == ("CLOCK/HEARER", "CLOCK/TICKER")
    asyncio.run(act(address, ledger))
    until(ledger, lambda event: leads_to_c(event) and not event.observed)
    status = desk.do("ezmsg-ledger", "status", ledger)
    assert status.code == 0, status.err
    assert f'observer "attach" beside the graph server at {address}, since ' in status.out
    assert "somebody writes it; seq " in status.out
    desk.do(sys.executable, "-m", "ezmsg.core", "graphviz", **here)
    endless.until("heard")  # nobody was disturbed
    os.kill(attach.pid, signal.SIGINT)
    told = attach.end()
    assert told.code == 0, told.err
    assert "recorded " in told.err
    status = desk.do("ezmsg-ledger", "status", ledger, "--json")
    assert (status.code, json.loads(status.out)["written"]) == (1, False)
    endless.until("heard")
    endless.interrupt()
    assert endless.end().code == 0

    with Ledger.open(ledger, "r") as reader:
        events: list[Any] = list(reader.entries())
        found = reader.verify()
        assert (found.sound, found.sealed) == (True, True)
    started = next(event for event in events if isinstance(event, ev.ServerStarted))
    assert (started.kind, started.address) == ("observer", address)
    assert "endpoints" in started.unseen
    clock = [event for event in events if isinstance(event, ev.EdgeConnected) and "CLOCK" in event.from_topic]
    assert clock
    assert all(event.observed for event in clock)
    second = [event for event in events if isinstance(event, ev.EdgeConnected) and (event.to_topic == "B")]
    assert {event.owner is None: event.observed for event in second} == {True: False, False: True}
    closed = {event.reason for event in events if isinstance(event, ev.SessionClosed)}
    assert closed <= {"unseen", "closed"}
    assert isinstance(events[-1], ev.ServerStopped)
    fold([events], GraphState()).check()

    log = desk.do("ezmsg-ledger", "log", ledger).out
    assert 'observer "attach" started on' in log
    assert f"beside the graph server at {address}" in log
    assert "it does not see where connections come from, publishers, subscribers and channels" in log
    assert "(found so; it happened before)" in log
    assert "observer stopped (signal)" in log
    moment = str(next(event.seq for event in events if leads_to_c(event)))
    show = desk.do("ezmsg-ledger", "show", ledger, "--at", moment).out
    assert "recorded by an observer" in show
    assert '"CLOCK"' in show
    why = desk.do("ezmsg-ledger", "why", ledger, "CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT", "--at", moment)
    assert why.code == 0, why.err
    assert "found so; it happened before" in why.out
    when = desk.do("ezmsg-ledger", "when", ledger, "edge B -> C")
    assert when.code == 0, when.err
    assert desk.do("ezmsg-ledger", "sessions", ledger).code == 0


def test_the_server_ends_and_the_next_one_is_waited_for(desk: Any, stock: tuple[Any, str]) -> None:
    _, address = stock
    ledger = desk.folder / "x.ledger"
    asyncio.run(GraphService(Address.from_string(address)).connect("A", "B"))
    attach = desk.start("ezmsg-ledger", "attach", address, "--ledger", ledger, "--wait")
    attach.until("an observer does not see")
    until(ledger, lambda event: isinstance(event, ev.EdgeConnected))
    desk.do(sys.executable, "-m", "ezmsg.core", "shutdown", "--address", address)
    attach.until(f"the graph server at {address} has ended")
    again = desk.start(sys.executable, "-m", "ezmsg.core", "serve", "--address", address)
    attach.until("beside the graph server at")
    gone = until(ledger, lambda event: isinstance(event, ev.EdgeDisconnected))
    assert (gone.owner, gone.reason) == (None, "unseen")
    os.kill(attach.pid, signal.SIGTERM)
    assert attach.end().code == 0
    again.interrupt()
    again.end()
    with Ledger.open(ledger, "r") as reader:
        ends = [event.reason for event in reader.entries() if isinstance(event, ev.ServerStopped)]
    assert ends == ["server_gone", "signal"]
    assert "the graph server beside it was gone" in desk.do("ezmsg-ledger", "log", ledger).out


def test_no_server(desk: Any) -> None:
    told = desk.do("ezmsg-ledger", "attach", "127.0.0.1:1")
    assert told.code == 2
    assert "no graph server answers at 127.0.0.1:1" in told.err
    assert not list(desk.folder.glob("*.ledger"))
    told = desk.do("ezmsg-ledger", "attach", "somewhere")
    assert (told.code, "is not an address" in told.err) == (2, True)


def test_a_recorder_can_be_observed_too(desk: Any) -> None:
    server = desk.start("ezmsg-ledger", "serve", desk.folder / "own.ledger", "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    ledger = desk.folder / "x.ledger"
    attach = desk.start("ezmsg-ledger", "attach", address, "-l", ledger)
    attach.until("an observer does not see")
    asyncio.run(act(address, ledger))
    until(ledger, leads_to_c)
    server.interrupt()
    assert server.end().code == 0
    told = attach.end()
    assert told.code == 0, told.err
    assert re.search(r"the graph server at \S+ has ended", told.err)
