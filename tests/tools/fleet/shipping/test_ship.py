"""Shipping real ledgers to a real broker: what arrives, how it goes on, and when it must stop."""

import hashlib
import json
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.runtime.recorder import shipped
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.fleet.errors import FenceLost, Forked
from ezmsg.ledger.tools.fleet.jetstream import nats_broker
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import faults, wanted
from ezmsg.ledger.tools.fleet.message import Message, stored
from ezmsg.ledger.tools.fleet.shipping.shipping import Aim, Shipping
from tests.brokers import PATIENCE_S, Node, messages, running

from .desks import Desk, Trouble, id_of, there, until

Made = Callable[..., Path]


def ship(path: Path, node: Node, stream: str, *more: str) -> int:
    return main(["ship", str(path), node.url, "--stream", stream, "--name", "rig-3", *more])


# --- what arrives ---


def test_the_stream_has_the_bytes_of_the_file(
    node: Node, stream: str, recorded: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(commits=40)
    assert ship(path, node, stream) == exits.OK
    assert there(path, node, stream) == path.read_bytes()
    told = capsys.readouterr()
    assert told.out.strip().endswith("up to seq 120")
    assert f"{node.url}/{stream}/{id_of(path)}" in told.out
    before = messages(node.url, id_of(path), stream)
    assert ship(path, node, stream) == exits.OK
    assert messages(node.url, id_of(path), stream) == before, "what is there is not shipped again"


def test_a_message_states_what_it_is(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=9)
    with Desk(path, node, stream, piece_max=1200).prepare() as desk:
        desk.all()
    data, ledger = path.read_bytes(), id_of(path)
    found = messages(node.url, ledger, stream)
    assert len(found) > 3
    previous = 0
    for message in found:
        piece = stored(message).piece
        assert message.headers["Nats-Msg-Id"] == f"{ledger}:{piece.offset}"
        assert message.headers["Nats-Expected-Last-Subject-Sequence"] == str(previous)
        lines = data[: piece.end].splitlines()
        commit = json.loads(lines[-1])
        assert commit["type"] == "ledger.commit", "whole commits"
        assert (commit["upto"], commit["sha256"]) == (piece.upto, piece.sha256)
        assert hashlib.sha256(data[: commit["at"]]).hexdigest() == piece.sha256
        previous = message.sequence


def test_a_commit_that_is_larger_than_a_message_comes_in_parts(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=2, events=40, size=8000)
    with Desk(path, node, stream, piece_max=100_000).prepare() as desk:
        desk.all()
    found = [stored(message).piece for message in messages(node.url, id_of(path), stream)]
    assert max(len(piece.data) for piece in found) == 100_000
    assert len(found) > 6
    assert b"".join(piece.data for piece in found) == path.read_bytes()
    with Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
        assert reader.head == 80
        assert reader.verify().sound


def test_a_server_with_small_messages_gets_small_ones(tmp_path: Path, stream: str, recorded: Made) -> None:
    path = recorded(commits=300)
    for small in running(Node(tmp_path, more="max_payload: 8192")):
        assert ship(path, small, stream) == exits.OK
        assert there(path, small, stream) == path.read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_folder_is_shipped_segment_by_segment(node: Node, stream: str, recorded: Made, compressed: bool) -> None:
    path = recorded(commits=7, segmented=True)
    if compressed:
        with Ledger.open(path) as ledger:
            assert ledger.pack()
    assert ship(path, node, stream) == exits.OK
    with Ledger.open(path, "r") as here, Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
        assert list(reader.entries()) == list(here.entries())
        assert (reader.place, reader.first) == (here.place, here.first)
        found = reader.verify()
        assert (found.sound, found.segments, found.problems) == (True, here.verify().segments, [])


def test_first_segments_that_were_dropped_are_no_hole(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=7, segmented=True)
    with Ledger.open(path) as ledger:
        assert ledger.drop(lambda sealed: sealed.number < 3)
    assert ship(path, node, stream) == exits.OK
    with Ledger.open(path, "r") as here, Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
        assert reader.first == here.first > 1
        assert list(reader.entries()) == list(here.entries())


def test_segments_that_were_dropped_before_they_were_shipped_are_told(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=4, segmented=True)
    with Desk(path, node, stream).prepare() as desk:
        desk.all()
    with Ledger.open(path, durability="none") as ledger:
        for _ in range(4):
            ledger.append([Mark(name="later")])
            ledger.rotate([b"{}"])
        assert ledger.drop(lambda sealed: sealed.number < 5)
    with Desk(path, node, stream) as desk:
        desk.all()
        assert any("removed before all of it was shipped" in said for said in desk.said)
    with Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader, Ledger.open(path, "r") as here:
        assert "missing" in reader.hole
        assert list(reader.entries(here.first - 1)) == list(here.entries())


def test_a_file_that_becomes_a_folder_while_it_is_shipped(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=3)
    with Desk(path, node, stream).prepare() as desk:
        desk.all()
        with Ledger.open(path, segmented=True, durability="none") as ledger:
            ledger.append([Mark(name="in the folder")])
            ledger.rotate()
            ledger.append([Mark(name="in the next one")])
        desk.all()
    with Ledger.open(path, "r") as here, Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
        assert list(reader.entries()) == list(here.entries())


def test_a_ledger_is_followed_while_it_is_written(node: Node, stream: str, tmp_path: Path) -> None:
    path, stop = tmp_path / "live.ledger", threading.Event()
    with Ledger.open(path, durability="none") as ledger:
        shipping = Shipping(str(path), Aim(parse(node.url, stream), "rig-3"), lambda text: None, stop)
        thread = threading.Thread(target=shipping.run, kwargs={"follow": True})
        thread.start()
        for number in range(50):
            ledger.append([Mark(name=str(number))])
        ledger.sync()
        stop.set()
        thread.join(20)
        shipping.close()
        assert not thread.is_alive()
        with Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
            assert reader.head == 50
    note = shipped.read(str(path))
    assert note is not None
    assert (note.seq, note.missing, note.trouble, note.name) == (50, 0, "", "rig-3")


def test_damage_is_not_shipped(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=30)
    data = bytearray(path.read_bytes())
    data[data.index(b"12-1")] = ord("7")
    path.write_bytes(data)
    with Desk(path, node, stream).prepare() as desk, pytest.raises(Exception, match="damaged between"):
        desk.all()
    assert b"72-1" not in there(path, node, stream)


# --- where it goes on ---


@pytest.mark.parametrize("steps", range(1, 8))
def test_it_goes_on_where_the_stream_ends(node: Node, stream: str, recorded: Made, steps: int) -> None:
    path = recorded(commits=20)
    with Desk(path, node, stream).prepare() as desk:
        for _ in range(steps):
            desk.shipper.step()
    with Desk(path, node, stream, piece_max=700) as desk:
        desk.all()
    assert there(path, node, stream) == path.read_bytes()


def test_it_goes_on_in_the_middle_of_a_commit_line(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=12)
    data, steps = path.read_bytes(), 0
    within = data.index(b'{"type":"ledger.commit","upto":6') + 20
    with Desk(path, node, stream, piece_max=within).prepare() as desk:
        desk.source.piece_max = 1
        desk.shipper._next()
        desk.source.piece_max = within
        while steps < 3 and desk.shipper.step() is not None:
            steps += 1
    for piece_max in (91, 700):
        with Desk(path, node, stream, piece_max) as desk:
            for _ in range(9):
                desk.shipper.step()
    with Desk(path, node, stream, 333) as desk:
        desk.all()
    assert there(path, node, stream) == data
    with Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
        assert reader.verify().problems == []


def test_an_idle_shipper_sees_that_the_stream_has_lost_something(trouble: Trouble) -> None:
    trouble.node.stop()
    trouble.node.forget()
    trouble.node.start()
    assert trouble.desk.shipper.step() is None, "there is nothing to append, and nothing is asked"
    trouble.desk.prepare().shipper.doubt()
    trouble.settle()
    assert any("HAS LOST" in said for said in trouble.desk.said)
    assert there(trouble.path, trouble.node, "LEDGERS") == trouble.path.read_bytes()


def test_an_idle_shipper_says_that_the_broker_has_gone(trouble: Trouble) -> None:
    said: queue.Queue[str] = queue.Queue()
    stop = threading.Event()
    shipping = Shipping(str(trouble.path), Aim(parse(trouble.node.url), "rig-3"), said.put, stop)
    runs = threading.Thread(target=shipping.run, kwargs={"follow": True})
    runs.start()
    try:
        until(lambda: shipping.shipper.reached is not None and shipping.missing == 0)
        trouble.node.kill()
        assert "cannot be reached" in said.get(timeout=PATIENCE_S)
        until(lambda: "cannot be reached" in getattr(shipped.read(str(trouble.path)), "trouble", ""))
        trouble.node.start()
        assert said.get(timeout=PATIENCE_S) == "the broker takes what it is given again"
    finally:
        stop.set()
        runs.join()
        shipping.close()


def test_two_shippers_of_one_file_ship_it_once(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=40)
    with Desk(path, node, stream).prepare() as one, Desk(path, node, stream, 900, "there:2") as two:
        ended = set()
        while len(ended) < 2:
            for desk in (one, two, two):
                if desk.shipper.step() is None:
                    ended.add(desk)
    assert there(path, node, stream) == path.read_bytes()


def test_a_rig_that_was_restored_from_a_copy_has_forked(
    node: Node, stream: str, recorded: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded()
    copy = path.with_name("copy.ledger")
    shutil.copy(path, copy)
    for each, name in ((path, "here"), (copy, "there")):
        with Ledger.open(each, durability="none") as ledger:
            ledger.append([Mark(name=name)])
    assert ship(path, node, stream) == exits.OK
    before = there(path, node, stream)
    assert ship(copy, node, stream) == exits.DAMAGED
    assert "two histories" in capsys.readouterr().err
    assert there(path, node, stream) == before
    path.unlink()
    shutil.copy(copy, path)
    path.write_bytes(path.read_bytes()[:-300])
    assert ship(path, node, stream) == exits.DAMAGED, "an older copy, which the stream is ahead of"
    assert shipped.read(str(path)).stopped  # type: ignore[union-attr]


def test_a_shipper_that_another_one_overtook_names_it(node: Node, stream: str, recorded: Made) -> None:
    path = recorded()
    copy = path.with_name("copy.ledger")
    shutil.copy(path, copy)
    with (
        Desk(path, node, stream, shipper="rig:7").prepare() as ours,
        Desk(copy, node, stream, 400, "bench:9") as theirs,
    ):
        ours.all()
        theirs.all()
        for each, name in ((path, "here"), (copy, "there")):
            with Ledger.open(each, durability="none") as ledger:
                ledger.append([Mark(name=name)])
        theirs.all()
        with pytest.raises(FenceLost, match="bench:9"):
            ours.all()
    with pytest.raises(Forked), Desk(path, node, stream) as ours:
        ours.all()


# --- a broker that is not as it should be ---


def test_a_number_that_a_restored_broker_gave_out_again_is_another_message(trouble: Trouble) -> None:
    def record(name: str) -> None:
        with Ledger.open(trouble.path, durability="none") as ledger:
            ledger.append([Mark(name=name)])

    node = trouble.node
    older = node.store.with_name("older")
    node.stop()
    shutil.copytree(node.store, older)
    node.start()
    record("one")
    trouble.settle()
    node.stop()
    node.forget()
    shutil.copytree(older, node.store)
    node.start()
    record("two")
    with Desk(trouble.path, node, "LEDGERS", 100_000, "there:2") as other:
        other.all()
        reached = other.shipper.reached
    assert reached is not None
    assert trouble.desk.shipper.reached is not None
    assert trouble.desk.shipper.reached.sequence == reached.sequence, "the same number, and fewer bytes"
    record("three")
    trouble.settle()
    assert there(trouble.path, node, "LEDGERS") == trouble.path.read_bytes()


def test_a_broker_that_is_gone_is_waited_for(trouble: Trouble) -> None:
    trouble.node.kill()
    trouble.append("while it was gone")
    at_once, *waits = (trouble.desk.shipper.step() for _ in range(5))
    assert at_once == 0.0, "a connection that is lost is made anew, and nobody is told"
    assert all(waits)
    assert waits == sorted(waits), "it asks less and less often"  # type: ignore[type-var]
    assert len([said for said in trouble.desk.said if "cannot be reached" in said]) == 1, trouble.desk.said
    trouble.node.start()
    trouble.settle()
    assert trouble.desk.said[-1] == "the broker takes what it is given again"
    assert there(trouble.path, trouble.node, "LEDGERS") == trouble.path.read_bytes()


@pytest.mark.parametrize("copied", [False, True], ids=["empty", "older copy"])
def test_a_stream_that_has_lost_what_it_had_gets_it_again(trouble: Trouble, tmp_path: Path, copied: bool) -> None:
    trouble.node.stop()
    shutil.copytree(trouble.node.store, tmp_path / "older")
    trouble.node.start()
    trouble.append("acknowledged")
    trouble.settle()
    trouble.node.stop()
    trouble.node.forget()
    if copied:
        shutil.copytree(tmp_path / "older", trouble.node.store)
    trouble.node.start()
    if not copied:
        trouble.desk.prepare()
    trouble.append("afterwards")
    trouble.settle()
    [told] = [said for said in trouble.desk.said if "HAS LOST" in said]
    assert ("nothing of this ledger" in told) != copied
    assert there(trouble.path, trouble.node, "LEDGERS") == trouble.path.read_bytes()


def test_the_loss_is_told_by_the_next_shipper_too(trouble: Trouble, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    trouble.node.stop()
    trouble.node.forget()
    trouble.node.start()
    assert main(["ship", str(trouble.path), trouble.node.url]) == exits.OK
    assert "THE STREAM HAS LOST" in capsys.readouterr().err


def test_a_broker_without_room_is_told_as_one(tmp_path: Path, recorded: Made) -> None:
    path = recorded(commits=40, size=1000)
    for small in running(Node(tmp_path, jetstream="sync_interval: always\n max_file_store: 50KB")):
        with Desk(path, small, "LEDGERS", 10_000).prepare() as desk:
            while not desk.shipper.waits:
                assert desk.shipper.step() is not None, "all of it has found room"
            assert "no room left on its disk, or within `max_file_store`" in desk.said[-1]
            assert "Recording goes on" in desk.said[-1]


def test_a_stream_that_is_full_is_waited_for(node: Node, stream: str, recorded: Made) -> None:
    path = recorded(commits=30)
    place = parse(node.url, stream)
    with NatsBroker(place) as broker:
        broker.make({**wanted(place, 1), "max_bytes": 3000})
        with Desk(path, node, stream).prepare() as desk:
            while not (wait := desk.shipper.step()):
                assert wait is not None, "it cannot all be there"
            assert "maximum bytes" in desk.shipper.waits
            broker._api(f"STREAM.UPDATE.{stream}", {**wanted(place, 1), "max_bytes": -1})
            desk.all()
    assert there(path, node, stream) == path.read_bytes()


# --- the stream's configuration ---


PLACE = parse("nats://127.0.0.1/LEDGERS")


def test_what_we_make_is_as_it_must_be(node: Node, stream: str, recorded: Made) -> None:
    assert ship(recorded(), node, stream) == exits.OK
    place = parse(node.url, stream)
    with NatsBroker(place) as broker:
        info = broker.info()
    assert info is not None
    assert faults(info["config"], place) == []
    assert {key: info["config"][key] for key in ("storage", "deny_delete", "deny_purge", "max_age")} == {
        "storage": "file", "deny_delete": True, "deny_purge": True, "max_age": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_age", 3600 * 10**9),
        ("max_msgs_per_subject", 10),
        ("storage", "memory"),
        ("retention", "workqueue"),
        ("deny_purge", False),
        ("subjects", ["ledger.>"]),
        ("allow_msg_ttl", True),
        ("persist_mode", "async"),
        ("sealed", True),
        ("mirror", {"name": "OTHER"}),
    ],
)
def test_each_setting_that_loses_messages_is_found(key: str, value: Any) -> None:
    config = wanted(PLACE, 1)
    assert faults(config, PLACE) == []
    [fault] = faults({**config, key: value}, PLACE)
    assert key in fault


def test_a_limit_counts_only_where_it_removes() -> None:
    limited = {**wanted(PLACE, 1), "max_bytes": 10**9}
    assert faults(limited, PLACE) == []
    assert faults({**limited, "discard": "old"}, PLACE)


def test_a_stream_that_loses_messages_is_refused(
    node: Node, stream: str, recorded: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    place = parse(node.url, stream)
    with NatsBroker(place) as broker:
        broker.make({**wanted(place, 1), "max_age": 3600 * 10**9})
    assert ship(recorded(), node, stream) == exits.USAGE
    assert "max_age" in capsys.readouterr().err


def test_how_the_server_syncs_is_told(
    node: Node, stream: str, tmp_path: Path, recorded: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded()
    assert ship(path, node, stream) == exits.OK
    assert "cannot be seen from here" in capsys.readouterr().err
    assert ship(path, node, stream, "--monitor", node.monitor) == exits.OK
    assert "sync" not in capsys.readouterr().err
    for lazy in running(Node(tmp_path, jetstream="", more='jetstream { store_dir: "' + str(tmp_path / "lazy") + '" }')):
        assert ship(path, lazy, stream, "--monitor", lazy.monitor) == exits.OK
        assert "BEFORE IT HAS SYNCED" in capsys.readouterr().err


# --- bad input ---


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:4222", "not the address of a broker"),
        ("http://127.0.0.1:4222", "not the address of a broker"),
        ("nats://127.0.0.1:many", "not the address of a broker"),
        ("nats://127.0.0.1/a.b", "cannot be the name of a stream"),
        ("nats://127.0.0.1/A/*", "names a ledger"),
        ("nats://127.0.0.1/A/b/c", "too many parts"),
    ],
)
def test_an_address_that_is_none(recorded: Made, address: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ship", str(recorded()), address]) == exits.USAGE
    assert told in capsys.readouterr().err


def test_a_name_that_is_none(recorded: Made, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ship", str(recorded()), node.url, "--name", "a/b"]) == exits.USAGE
    assert "cannot be the name of a rig" in capsys.readouterr().err


def test_a_broker_that_is_not_there(recorded: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = Node(tmp_path)
    assert main(["ship", str(recorded()), absent.url]) == exits.DISK
    err = capsys.readouterr().err
    assert "cannot be reached: Connection refused" in err
    assert "docs/FLEET.md" in err
    assert "Nothing is lost" in err
    there = f"{absent.url}/LEDGERS/rig-3"
    for command in (["fetch", there], ["fleet", "list", absent.url], ["log", there]):
        assert main(command) == exits.DISK
        err = capsys.readouterr().err
        assert "cannot be reached: Connection refused" in err
        assert "Nothing is lost" not in err, "who only reads has lost nothing that could be shipped"


def test_a_server_without_jetstream(tmp_path: Path, recorded: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for bare in running(Node(tmp_path, jetstream="")):
        assert main(["ship", str(recorded()), bare.url]) in (exits.DISK, exits.USAGE)
        assert "JetStream" in capsys.readouterr().err


AUTHORIZATION = """
accounts { A { jetstream: enabled
  users: [ { user: lab, password: secret }
           { user: deaf, password: none, permissions: { subscribe: ["nothing"] } }
           { user: guest, password: none, permissions: { publish: ["_INBOX.>"], subscribe: ["_INBOX.>"] } } ] } }
"""


def test_users_rights_and_passwords(
    tmp_path: Path, recorded: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_broker, "ANSWER_S", 1000.0)  # who is denied is told at once, not when time is over
    path = recorded()
    for guarded in running(Node(tmp_path, more=AUTHORIZATION)):
        host = guarded.url.removeprefix("nats://")
        assert main(["ship", str(path), guarded.url]) == exits.USAGE
        assert "does not let us in" in capsys.readouterr().err
        for user, what in (("guest", "violation for publish"), ("deaf", "violation for subscription")):
            assert main(["ship", str(path), f"nats://{user}:none@{host}"]) == exits.USAGE
            told = capsys.readouterr().err
            assert what in told.lower()
            assert "none@" not in told
        assert main(["ship", str(path), f"nats://lab:secret@{host}", "--name", "rig-3"]) == exits.OK
        told = "".join(capsys.readouterr())
        assert "secret" not in told
        assert main(["verify", f"nats://lab:secret@{host}/LEDGERS/rig-3"]) == exits.OK
        assert "secret" not in "".join(capsys.readouterr())


def test_a_context_gives_user_and_password(
    tmp_path: Path, recorded: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = tmp_path / "lab.json"
    context.write_text(json.dumps({"user": "lab", "password": "secret"}))
    for guarded in running(Node(tmp_path, more=AUTHORIZATION)):
        monkeypatch.setenv("NATS_CONTEXT", str(context))
        assert main(["ship", str(recorded()), guarded.url]) == exits.OK
        monkeypatch.setenv("NATS_CONTEXT", str(tmp_path / "gone.json"))
        assert main(["ship", str(recorded("x.ledger")), guarded.url]) == exits.USAGE
        assert "NATS_CONTEXT" in capsys.readouterr().err


def test_messages_are_of_a_ledger(node: Node, stream: str) -> None:
    with pytest.raises(ValueError, match="Ledger-Segment"):
        stored(Message(1, {}, b"x"))
