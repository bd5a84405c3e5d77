"""How a server is: what is told is what is there, counted by real clients."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.netprotocol import Command

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server import publisher_notices as notices_module
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.durability import Durability
from tests.runtime.server.conftest import Serve
from tests.runtime.server.examined import ANSWER_S, in_loop
from tests.runtime.server.raw import (
    COMPLETE,
    Raw,
    RawProcess,
    RawPublisher,
    RawSession,
    RawSubscriber,
    metadata,
    text,
    u64,
)


def status(server: GraphServer) -> dict[str, Any]:
    return ask(str(server.address), "status")


def until(server: GraphServer, **wanted: Any) -> dict[str, Any]:
    """The status as soon as it says so."""
    deadline = time.monotonic() + ANSWER_S
    while True:
        answer = status(server)
        if all(answer[name] == value for name, value in wanted.items()):
            return answer
        assert time.monotonic() < deadline, answer


def test_a_server_to_which_nobody_came(server: GraphServer) -> None:
    answer = status(server)
    assert server.ledger is not None
    assert answer["bytes"] == Path(server.ledger.location).stat().st_size
    assert answer["now"] > answer["started"]
    assert (answer["seq"], answer["connections"]) == (2, 1), "the one that asks"
    assert (answer["backlogs"], answer["slowest_acks"], answer["turned_away"], answer["refused"]) == ([], [], {}, 0)
    assert until(server, durable_seq=2, lag=0)["last_error"] is None


def test_clients_by_kind(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    session.register(metadata("SYS/U", "SYS/V"))
    RawProcess(server.address).register("SYS/U")
    publisher, subscriber = RawPublisher(server.address, "A"), RawSubscriber(server.address, "B")
    subscribers = [subscriber, RawSubscriber(server.address, "X")]
    channels = [Raw(server.address, Command.CHANNEL, text(publisher.uuid)) for _ in range(3)]
    leases = [Raw(server.address, Command.SHM_CREATE, u64(4), u64(1000)) for _ in range(2)]
    streams = [Raw(server.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0")) for _ in range(4)]
    for raw in (*channels, *leases, *streams):
        assert raw.blob() if raw in streams else raw.byte() == COMPLETE
    answer = until(server, streams={"topology": 4, "settings": 0, "profiling": 0}, backlogs=[])
    wanted = {"sessions": 1, "processes": 1, "publishers": 1, "subscribers": 2, "channels": 3, "segments": 2}
    wanted |= {"segment_bytes": 2 * 4 * 1064, "edges": 1, "components": 2, "connections": 15}
    assert {name: answer[name] for name in wanted} == wanted
    for raw in (*subscribers, *leases, *streams):
        raw.end()
    answer = until(server, subscribers=0, segments=0, segment_bytes=0, connections=7)
    assert answer["streams"]["topology"] == 0


def test_a_stream_that_is_not_read_shows_its_backlog(server: GraphServer) -> None:
    stream = Raw(server.address, Command.SESSION_SETTINGS_SUBSCRIBE, text("0"))
    stream.text()
    assert stream.byte() == COMPLETE
    session = RawSession(server.address)
    session.register(metadata("SYS/U"))
    assert until(server, backlogs=[])["streams"]["settings"] == 1
    process = RawProcess(server.address)
    process.register("SYS/U")
    value = {"text": "x" * 1_000_000}
    for _ in range(40):
        process.report("SYS/U", value)
    [behind] = status(server)["backlogs"]
    assert (behind["stream"], behind["peer"]) == ("settings", stream.peer)
    assert 10 < behind["entries"] <= 41
    for _ in range(41):
        stream.blob()
    until(server, backlogs=[], pending_bytes=0)


def test_the_slowest_acknowledgements_and_who_is_stalled(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices_module, "UPDATE_TIMEOUT_S", 0.05)
    slow, quick = RawSubscriber(server.address, "B", acknowledge=False), RawSubscriber(server.address, "C")
    until(server, stalled=["B"])
    slow.update()
    slow.byte()
    answer = until(server, stalled=[])
    assert [ack["topic"] for ack in answer["slowest_acks"]] == ["B", "C"]
    assert answer["slowest_acks"][0]["peer"] == slow.peer
    assert answer["slowest_acks"][0]["took"] > 50_000_000
    assert answer["slowest_acks"][1]["took"] < answer["slowest_acks"][0]["took"]
    slow.end()
    quick.end()
    assert until(server, subscribers=0)["slowest_acks"] == []


def test_refusals_are_counted_however_few_are_recorded(server: GraphServer) -> None:
    session = RawSession(server.address)
    for _ in range(30):
        session.send(Command.SESSION_REGISTER, u64(3), b"abc")
        assert session.byte() != COMPLETE
    assert status(server)["refused"] == 30


class StuckDisk(Disk):
    """A real disk that syncs only when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()

    def sync(self, handle: int) -> None:
        assert self.may.wait(ANSWER_S)
        super().sync(handle)


@pytest.mark.parametrize("durability", ["commit", "interval"])
def test_a_disk_that_hangs_shows_in_the_lag(serve: Serve, tmp_path: Path, durability: Durability) -> None:
    """Who asks is answered, though at level commit nobody else is."""
    disk = StuckDisk()
    with Ledger.open(tmp_path / "run.ledger", durability=durability, disk=disk) as ledger:
        server = serve(ledger)
        durable = until(server, durable_seq=2, lag=0)["seq"]
        disk.may.clear()
        Raw(server.address, Command.SESSION)
        answer = until(server, sessions=1)
        assert (answer["seq"], answer["durable_seq"]) == (durable + 1, durable)
        assert status(server)["lag"] > answer["lag"] > 0
        disk.may.set()
        until(server, durable_seq=durable + 1, lag=0)
        server.stop()


def test_nobody_looks_for_a_lag_at_level_none(serve: Serve) -> None:
    assert status(serve(durability="none"))["lag"] is None


def test_a_fault_of_the_server_is_the_last_error(server: GraphServer) -> None:
    assert server._hub is not None
    hub = server._hub
    in_loop(server, lambda: hub.pulse.fail("ValueError: nonsense"))
    answer = status(server)
    assert answer["last_error"]["error"] == "ValueError: nonsense"
    assert answer["started"] < answer["last_error"]["time"] <= answer["now"]
    assert json.dumps(answer)
