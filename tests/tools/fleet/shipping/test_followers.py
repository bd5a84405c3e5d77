"""A recording that is shipped while it is made: real pipelines, real recorders, a real broker."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.runtime.recorder import shipped
from ezmsg.ledger.tools.fleet.message import stored
from tests.brokers import Node, free_port, messages


def there(node: Node, path: Path) -> bytes:
    with Ledger.open(path, "r") as ledger:
        return b"".join(stored(message).piece.data for message in messages(node.url, ledger.id))


def test_run_ships_what_it_records(desk: Any, node: Node) -> None:
    path = desk.folder / "x.ledger"
    told = desk.do(
        "ezmsg-ledger", "run", "--address", desk.free, "-l", path, "--ship", node.url, desk.program("pipeline.py")
    )
    assert told.code == 0, told.err
    assert f"made stream LEDGERS at {node.url}" in told.err
    assert there(node, path) == path.read_bytes()
    desk.account(path)
    note = shipped.read(str(path))
    assert note is not None
    assert (note.missing, note.trouble) == (0, "")


def test_run_leaves_a_receipt_of_what_it_shipped(desk: Any, node: Node) -> None:
    path, key = desk.folder / "x.ledger", desk.folder / "lab.key"
    assert desk.do("ezmsg-ledger", "receipt", "--new-key", key, "--name", "rig-3").code == 0
    words = ["--address", desk.free, "-l", path, "--ship", node.url, "--ship-key", key]
    told = desk.do("ezmsg-ledger", "run", *words, desk.program("pipeline.py"))
    assert told.code == 0, told.err
    with Ledger.open(path, "r") as ledger:
        address, head = f"{node.url}/LEDGERS/{ledger.id}", ledger.head
    line = desk.do("ezmsg-ledger", "receipt", "--key", key).out.strip()
    for location in (path, address):
        told = desk.do("ezmsg-ledger", "verify", location, "--receipt", address, "--key", line, "--json")
        assert told.code == 0, told.err
        found = json.loads(told.out)["receipts"]
        assert (found[-1]["holds"], found[-1]["seq"], found[-1]["signed_by"]) == (True, head, "rig-3")
    desk.account(path)


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_key_that_is_none_is_refused_before_anything_is_recorded(desk: Any, node: Node, command: str) -> None:
    path, wrong = desk.folder / "x.ledger", desk.folder / "wrong.key"
    wrong.write_text("not a key\n")
    words = ["--ledger", path, desk.program("pipeline.py")] if command == "run" else [path]
    ship = ["--address", desk.free, "--ship", node.url]
    for more, why in (
        ([*ship, "--ship-key", wrong], str(wrong)),
        ([*ship, "--ship-key", desk.folder / "absent.key"], "there is no file"),
        (["--address", desk.free, "--ship-key", wrong], "Add --ship"),
    ):
        told = desk.do("ezmsg-ledger", command, *more, *words)
        assert told.code == 2, told.err
        assert why in told.err
        assert not path.exists()


def test_a_pipeline_does_not_notice_that_there_is_no_broker(desk: Any, tmp_path: Path) -> None:
    path, absent = desk.folder / "x.ledger", f"nats://127.0.0.1:{free_port()}"
    told = desk.do(
        "ezmsg-ledger", "run", "--address", desk.free, "-l", path, "--ship", absent, desk.program("pipeline.py")
    )
    assert told.code == 0, told.err
    assert told.err.count("cannot be reached") == 1
    assert f"ezmsg-ledger ship {path} {absent}" in told.err
    desk.account(path)


def test_status_tells_how_far_behind_the_stream_is(desk: Any, node: Node) -> None:
    path = desk.folder / "rig.ledger"
    server = desk.start("ezmsg-ledger", "serve", path, "--address", desk.free, "--ship", node.url)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    deadline = time.monotonic() + 30
    while True:
        status = json.loads(desk.do("ezmsg-ledger", "status", address, "--json").out)
        if status["shipped"] is not None and status["shipped"]["seq"] == status["seq"]:
            break
        assert time.monotonic() < deadline, status
    assert f"to {node.url}/LEDGERS/{status['id']}, up to seq" in desk.do("ezmsg-ledger", "status", address).out
    server.interrupt()
    assert server.end().code == 0
    assert there(node, path) == path.read_bytes()


def test_status_tells_what_the_stream_has_lost(desk: Any) -> None:
    path = desk.folder / "rig.ledger"
    server = desk.start("ezmsg-ledger", "serve", path, "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    ledger = json.loads(desk.do("ezmsg-ledger", "status", address, "--json").out)["id"]
    gap = "of segment 1 the bytes from 0 to 400 are missing"
    shipped.write(str(path), shipped.Shipped(to="nats://broker/LEDGERS", ledger=ledger, name="rig", harm=gap))
    assert f"the stream is not whole any more: {gap}" in desk.do("ezmsg-ledger", "status", address).out
    server.interrupt()
    assert server.end().code == 0


@pytest.mark.parametrize("command", ["run", "serve"])
def test_an_address_that_is_none_is_told_at_once(desk: Any, command: str) -> None:
    more = [desk.program("pipeline.py")] if command == "run" else []
    told = desk.do("ezmsg-ledger", command, "--ship", "broker:4222", *more)
    assert told.code == 2
    assert "not the address of a broker" in told.err
    assert list(desk.folder.glob("*.ledger")) == []
