"""Three nodes whose leader is killed while a real pipeline is recorded and shipped."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.runtime.recorder import shipped
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import ready
from ezmsg.ledger.tools.fleet.message import stored
from tests.brokers import SERVER, Cluster

PATIENCE_S = 120.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if not SERVER.exists():
        pytest.skip("nats-server is not installed")
    found = Cluster(tmp_path)
    try:
        yield found.start()
    finally:
        found.stop()


def kill_leaders(desk: Any, cluster: Cluster, times: int) -> None:
    """Record and ship; kill the leader again and again; in the end the stream is the file, and nothing was lost."""
    with NatsBroker(parse(cluster.url)) as broker:
        ready(broker, 3, lambda text: None)
    path = desk.folder / "rig.ledger"
    recorder = desk.start("ezmsg-ledger", "serve", path, "--address", desk.free, "--ship", cluster.url)
    address = recorder.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    pipeline = desk.start("python", desk.program("endless.py"), EZMSG_GRAPHSERVER_ADDR=address)
    for kill in range(times):
        before = desk.do("ezmsg-ledger", "mark", f"before {kill}", "--address", address)
        assert before.code == 0, before.err
        acknowledged = _until_shipped(path, f"before {kill}")
        leader = cluster.leader("LEDGERS")
        leader.kill()
        began = time.monotonic()
        assert desk.do("ezmsg-ledger", "mark", f"while there is no leader {kill}", "--address", address).code == 0
        assert time.monotonic() - began < 10, "the recorder waits for nobody"
        _until_shipped(path, f"while there is no leader {kill}")
        leader.start()
        now = shipped.read(str(path))
        assert now is not None
        assert now.offset >= acknowledged
    pipeline.process.send_signal(signal.SIGINT)
    pipeline.end()
    recorder.interrupt()
    assert recorder.end().code == 0
    rest = desk.do("ezmsg-ledger", "ship", path, cluster.url)
    assert rest.code == 0, rest.err
    assert "HAS LOST" not in rest.err
    with Ledger.open(path, "r") as here, Ledger.open(f"{cluster.url}/LEDGERS/{here.id}", "r") as there:
        assert list(there.entries()) == list(here.entries())
        assert there.verify().sound
        ledger = here.id
    with NatsBroker(parse(cluster.url)) as broker:
        data = b""
        sequence = 0
        while more := broker.after(ledger, sequence):
            data += b"".join(stored(message).piece.data for message in more)
            sequence = more[-1].sequence
    assert data == path.read_bytes(), "nothing missing, nothing doubled, in their order"


def _until_shipped(path: Path, name: str) -> int:
    """Wait until the mark of this name is in the stream, by the shipper's note; the offset that it has reached."""
    deadline = time.monotonic() + PATIENCE_S
    with Ledger.open(path, "r") as ledger:
        seq = next(e.seq for e in ledger.entries() if isinstance(e, Mark) and e.name == name)
    while True:
        note = shipped.read(str(path))
        if note is not None and note.seq >= seq:
            return note.offset
        assert time.monotonic() < deadline, note
        time.sleep(0.05)


@pytest.mark.environments
@pytest.mark.timeout(600)
def test_a_leader_that_is_killed_twice(desk: Any, cluster: Cluster) -> None:
    kill_leaders(desk, cluster, 2)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_leader_that_is_killed_twenty_times(desk: Any, cluster: Cluster) -> None:
    kill_leaders(desk, cluster, 20)


@pytest.mark.environments
@pytest.mark.timeout(600)
def test_without_a_quorum_it_waits_and_nothing_is_doubled(desk: Any, cluster: Cluster) -> None:
    """Two of three are down for a while: what times out then may be stored when they are back."""
    path = desk.folder / "rig.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([Mark(name="first")])
    assert desk.do("ezmsg-ledger", "ship", path, cluster.url, "--replicas", "3").code == 0
    shipper = desk.start("ezmsg-ledger", "ship", path, cluster.url, "--follow")
    leader = cluster.leader("LEDGERS")
    others = [node for node in cluster.nodes if node is not leader]
    for node in others:
        node.kill()
    with Ledger.open(path, durability="none") as ledger:
        for number in range(30):
            ledger.append([Mark(name=str(number))])
    shipper.until("Recording goes on")
    for node in others:
        node.start()
    _until_shipped(path, "29")
    shipper.until("takes what it is given again")
    shipper.interrupt()
    shipper.end()
    with Ledger.open(path, "r") as here, Ledger.open(f"{cluster.url}/LEDGERS/{here.id}", "r") as there:
        assert list(there.entries()) == list(here.entries())
