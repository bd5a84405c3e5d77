"""What a shipper sees of its stream: one that is removed or emptied, or loses messages, while it is connected."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.runtime.recorder import shipped
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import wanted
from ezmsg.ledger.tools.fleet.message import stored
from ezmsg.ledger.tools.fleet.shipping import shipping as shipping_module
from ezmsg.ledger.tools.fleet.shipping.shipping import Aim, Shipping
from tests.brokers import PATIENCE_S, Node, messages, running

from .desks import Desk, Trouble, id_of, there, until


@contextlib.contextmanager
def followed(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shipping, "queue.Queue[str]"]]:
    """The ledger of ``trouble`` is followed by a shipper that looks at the stream ten times a second; what it says."""
    monkeypatch.setattr(shipping_module, "CHECK_S", 0.1)
    monkeypatch.setattr(shipping_module, "BACKOFF_MAX_S", 0.1)
    said: queue.Queue[str] = queue.Queue()
    stop = threading.Event()
    shipping = Shipping(str(trouble.path), Aim(parse(trouble.node.url), "rig-3"), said.put, stop)
    runs = threading.Thread(target=shipping.run, kwargs={"follow": True})
    runs.start()
    try:
        until(lambda: shipping.shipper.reached is not None and shipping.missing == 0)
        yield shipping, said
    finally:
        stop.set()
        runs.join()
        shipping.close()


def told(said: "queue.Queue[str]", text: str) -> str:
    """The first that is said with ``text`` in it, or a failure."""
    while text not in (found := said.get(timeout=PATIENCE_S)):
        pass
    return found


def test_a_stream_that_was_removed_is_made_anew_and_filled(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    with followed(trouble, monkeypatch) as (_, said):
        trouble.desk.broker._api("STREAM.DELETE.LEDGERS", {})
        assert "made stream" in told(said, "made stream")
        assert "nothing of this ledger" in told(said, "THE STREAM HAS LOST")
        until(lambda: there(trouble.path, trouble.node, "LEDGERS") == trouble.path.read_bytes())


def test_a_broker_that_comes_back_empty_is_filled_again(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    with followed(trouble, monkeypatch) as (_, said):
        trouble.node.kill()
        told(said, "Recording goes on")
        trouble.node.forget()
        trouble.node.start()
        told(said, "made stream")
        told(said, "THE STREAM HAS LOST")
        trouble.append("afterwards")
        until(lambda: there(trouble.path, trouble.node, "LEDGERS") == trouble.path.read_bytes())


def test_a_stream_that_begins_to_lose_messages_gets_none(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    place = trouble.desk.broker.place
    with followed(trouble, monkeypatch) as (shipping, said):
        trouble.desk.broker._api("STREAM.UPDATE.LEDGERS", {**wanted(place, 1), "max_age": 3600 * 10**9})
        assert "max_age" in told(said, "Recording goes on")
        before = shipping.shipper.acknowledged
        trouble.append("meanwhile")
        time.sleep(0.5)  # five looks
        assert shipping.shipper.acknowledged == before
        assert said.empty(), said.get()
        trouble.desk.broker._api("STREAM.UPDATE.LEDGERS", wanted(place, 1))
        told(said, "takes what it is given again")
        until(lambda: there(trouble.path, trouble.node, "LEDGERS") == trouble.path.read_bytes())


def test_messages_that_are_lost_before_the_last_one_are_missed(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = trouble.desk.broker.place
    with followed(trouble, monkeypatch) as (_, said):
        [*lost, kept] = messages(trouble.node.url, id_of(trouble.path))
        missing = f"of segment 1 the bytes from 0 to {stored(kept).piece.offset} are missing"
        assert lost
        trouble.desk.broker._api("STREAM.UPDATE.LEDGERS", {**wanted(place, 1), "max_msgs": 1, "discard": "old"})
        trouble.desk.broker._api("STREAM.UPDATE.LEDGERS", wanted(place, 1))
        assert missing in told(said, "NOT WHOLE ANY MORE")
        until(lambda: getattr(shipped.read(str(trouble.path)), "harm", "") == missing)
        trouble.append("afterwards")
        until(lambda: messages(trouble.node.url, id_of(trouble.path))[-1].sequence > kept.sequence)
        assert said.empty(), "that is said once"
    with pytest.raises(DamagedLedger, match="the ones before it are missing"):
        Ledger.open(f"{trouble.node.url}/LEDGERS/{id_of(trouble.path)}", "r")


def test_what_was_lost_while_nobody_shipped_is_missed_by_the_next_shipper(
    trouble: Trouble, capsys: pytest.CaptureFixture[str]
) -> None:
    place = trouble.desk.broker.place
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    trouble.desk.broker._api("STREAM.UPDATE.LEDGERS", {**wanted(place, 1), "max_msgs": 1, "discard": "old"})
    trouble.desk.broker._api("STREAM.UPDATE.LEDGERS", wanted(place, 1))
    capsys.readouterr()
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    assert "NOT WHOLE ANY MORE" in capsys.readouterr().err
    note = shipped.read(str(trouble.path))
    assert note is not None
    assert "are missing" in note.harm
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    assert shipped.read(str(trouble.path)).harm == note.harm, "it is still so"  # type: ignore[union-attr]


def test_fewer_messages_with_the_same_bytes_are_no_loss(trouble: Trouble, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    many = len(messages(trouble.node.url, id_of(trouble.path)))
    trouble.node.stop()
    trouble.node.forget()
    trouble.node.start()
    with Desk(trouble.path, trouble.node, "LEDGERS", 100_000, "there:2").prepare() as other:
        other.all()
    assert len(messages(trouble.node.url, id_of(trouble.path))) < many
    capsys.readouterr()
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    assert "NOT WHOLE" not in capsys.readouterr().err


RIGHTS = """
accounts { LAB { jetstream: enabled
  users: [ { user: lab, password: none }
           { user: rig, password: none, permissions: { subscribe: "_INBOX.>", publish: [
             "ledger.*", "$JS.API.STREAM.INFO.LEDGERS", "$JS.API.STREAM.MSG.GET.LEDGERS" ] } } ] } }
"""


def test_who_may_not_read_is_told_how_many_are_missing(
    tmp_path: Path, recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(commits=40, size=2000)
    for node in running(Node(tmp_path, more=f"max_payload: 32768\n{RIGHTS}")):
        lab, rig = (node.url.replace("nats://", f"nats://{user}:none@") for user in ("lab", "rig"))
        place = parse(lab)
        with NatsBroker(place) as broker:
            broker.make(wanted(place, 1))
            assert main(["ship", str(path), rig]) == exits.OK
            had = broker.count(id_of(path))
            broker._api("STREAM.UPDATE.LEDGERS", {**wanted(place, 1), "max_msgs": 1, "discard": "old"})
            broker._api("STREAM.UPDATE.LEDGERS", wanted(place, 1))
            capsys.readouterr()
            assert main(["ship", str(path), rig]) == exits.OK
            assert f"it has 1 of the messages of this ledger, and had {had}" in capsys.readouterr().err
            with Ledger.open(path, durability="none") as ledger:
                ledger.append([Mark(name="afterwards")])
            assert main(["ship", str(path), rig]) == exits.OK, "it goes on"
            assert broker.count(id_of(path)) == 2
