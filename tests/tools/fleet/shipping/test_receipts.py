"""Receipts that a rig leaves in the stream, and what they prove of a ledger, here or there."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import wanted
from ezmsg.ledger.tools.fleet.shipping import receipts
from ezmsg.ledger.tools.fleet.shipping.shipping import Aim, Shipping
from ezmsg.ledger.tools.input.key_file import read_key
from tests.brokers import Node

Made = Callable[..., Path]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert main(["receipt", "--new-key", str(tmp_path / "lab.key"), "--name", "rig-3"]) == exits.OK
    return tmp_path / "lab.key"


def line_of(key: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["receipt", "--key", str(key)]) == exits.OK
    return capsys.readouterr().out.strip()


def test_one_is_left_at_each_seal_and_proves_the_ledger_here_and_there(
    node: Node, stream: str, recorded: Made, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(commits=4)
    ship = ["ship", str(path), node.url, "--stream", stream, "--name", "rig-3", "--key", str(key)]
    assert main(ship) == exits.OK
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([Mark(name="later")])
    assert main(ship) == exits.OK
    assert main(ship) == exits.OK, "and none for what has one already"
    address, line = f"{node.url}/{stream}/rig-3", line_of(key, capsys)
    for location in (str(path), address):
        assert main(["verify", location, "--receipt", address, "--key", line, "--json"]) == exits.OK
        found = json.loads(capsys.readouterr().out)
        assert [(each["holds"], each["seq"], each["signed_by"]) for each in found["receipts"]] == [
            (True, 12, "rig-3"),
            (True, 13, "rig-3"),
        ]
    assert main(["verify", address, "--receipt", address]) == exits.OK
    assert "seqs 1 to 13 are as they were" in capsys.readouterr().out


def test_a_ledger_that_was_cut_back_is_found(
    node: Node, stream: str, recorded: Made, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(commits=9)
    older = Path(shutil.copy(path, path.with_name("older.ledger")))
    data = older.read_bytes()
    older.write_bytes(data[: data.index(b'{"type":"mark","seq":10,')])
    assert main(["ship", str(path), node.url, "--stream", stream, "--name", "rig-3", "--key", str(key)]) == exits.OK
    address = f"{node.url}/{stream}/rig-3"
    assert main(["verify", str(older), "--receipt", address]) == exits.DAMAGED
    assert "ends at offset" in capsys.readouterr().out


def test_a_stream_that_takes_no_receipt_is_told_of_once_and_asked_again(
    node: Node, stream: str, recorded: Made, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, said = parse(node.url, stream), list[str]()
    aim = Aim(place, "rig-3", key=read_key(key, "rig-3"))
    shipping = Shipping(str(recorded()), aim, said.append, threading.Event())
    full = {**wanted(place, 1), "max_msgs": 1}
    try:
        shipping.broker.make(full)
        assert shipping.run(follow=False), "what is not taken does not stop what is shipped"
        assert shipping._receipts is not None
        asked = said.copy()
        shipping._receipts.look(shipping.shipper.reached)
        monkeypatch.setattr(receipts, "RETRY_S", 0.0)
        shipping._receipts._retry = 0.0
        for _ in range(3):
            shipping._receipts.look(shipping.shipper.reached)
        assert said == asked
        assert [text for text in said if "a receipt could not be left" in text] == said[-1:]
        assert not shipping.broker.receipts(shipping.source.id)
        shipping.broker._api(f"STREAM.UPDATE.{stream}", {**full, "max_msgs": -1})
        for _ in range(3):
            shipping._receipts.look(shipping.shipper.reached)
        assert said[len(asked) :] == ["the stream takes receipts again"]
        assert len(shipping.broker.receipts(shipping.source.id)) == 1
    finally:
        shipping.close()


def test_receipts_of_files_can_be_given_more_than_once(
    recorded: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded()
    words = []
    for number in range(2):
        capsys.readouterr()
        assert main(["receipt", str(path)]) == exits.OK
        (tmp_path / f"{number}.receipt").write_text(capsys.readouterr().out)
        words += ["--receipt", str(tmp_path / f"{number}.receipt")]
        with Ledger.open(path, durability="none") as ledger:
            ledger.append([Mark(name="later")])
    assert main(["verify", str(path), *words, "--json"]) == exits.OK
    found = json.loads(capsys.readouterr().out)
    assert [each["seq"] for each in found["receipts"]] == [15, 16]
    assert found["receipt"] == found["receipts"][0]


def test_a_ledger_without_any(node: Node, stream: str, recorded: Made, capsys: pytest.CaptureFixture[str]) -> None:
    path = recorded()
    assert main(["ship", str(path), node.url, "--stream", stream, "--name", "rig-3"]) == exits.OK
    assert main(["verify", str(path), "--receipt", f"{node.url}/{stream}/rig-3"]) == exits.USAGE
    assert "has no receipts" in capsys.readouterr().err
