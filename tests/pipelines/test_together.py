"""Recordings that begin at once, addresses that are taken, and pipelines that come too early."""

import json
import os
import signal
from typing import Any

from ezmsg.core.graphserver import GraphServer as Stock

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev


def test_several_runs_of_one_script_at_once_all_get_a_file(desk: Any) -> None:
    script = desk.folder / "quick.py"
    script.write_text(
        "import asyncio\nfrom ezmsg.core.graphserver import GraphService\n"
        "asyncio.run(GraphService().connect('A', 'B'))\n"
    )
    programs = [desk.start("ezmsg-ledger", "run", "-a", desk.free, script) for _ in range(5)]
    assert [program.end().code for program in programs] == [0] * 5
    found = sorted(desk.folder.glob("quick-*.ledger"))
    assert len(found) == 5
    for path in found:
        with Ledger.open(path, "r") as ledger:
            assert sum(isinstance(event, ev.ServerStarted) for event in ledger.entries()) == 1


def test_who_has_the_address_is_told_and_nothing_is_left(desk: Any) -> None:
    server = desk.start("ezmsg-ledger", "serve", desk.folder / "mine.ledger", "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    script = desk.folder / "x.py"
    script.write_text("")
    for command in (["serve", "--address", address], ["run", "--address", address, script]):
        told = desk.do("ezmsg-ledger", *command)
        assert told.code == 2
        assert f"a recorder, which records to {desk.folder / 'mine.ledger'}, is there already" in told.err
    told = desk.do("ezmsg-ledger", "serve", "--rotate", "1MB", "--address", address)
    assert told.code == 2
    os.kill(server.pid, signal.SIGTERM)
    server.end()
    stock = Stock()
    stock.start(("127.0.0.1", 0))
    try:
        told = desk.do("ezmsg-ledger", "serve", "--address", str(stock.address))
        assert told.code == 2
        assert "which records nothing" in told.err
    finally:
        stock.stop()
    assert [path.name for path in desk.folder.glob("*.ledger")] == ["mine.ledger"]


def test_status_waits_for_a_recorder(desk: Any) -> None:
    from ezmsg.core.netprotocol import create_socket

    with create_socket("127.0.0.1", 0) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    waiting = desk.start("ezmsg-ledger", "status", address, "--wait", "30", "--json")
    server = desk.start("ezmsg-ledger", "serve", desk.folder / "x.ledger", "--address", address)
    told = waiting.end()
    assert told.code == 0, told.err
    assert json.loads(told.out)["ledger"] == str(desk.folder / "x.ledger")
    os.kill(server.pid, signal.SIGTERM)
    assert server.end().code == 0
    told = desk.do("ezmsg-ledger", "status", address, "--wait", "0.3")
    assert told.code == 1
