"""A real pipeline, recorded into a folder of small segments, beside somebody who follows it."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.runtime import GraphServer
from ezmsg.ledger.runtime.rotation import Rotation
from ezmsg.ledger.runtime.server import server as server_module

PATIENCE_S = 30.0


def test_live_and_replayed_are_the_same_across_segments(
    desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "TEND_S", 0.01)
    server = GraphServer(tmp_path / "x.ledger", rotation=Rotation(size=4096, compress=True))
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        with Ledger.open(tmp_path / "x.ledger", "r") as reader:
            for batch in reader.tail(poll=0.005, stop=lambda: done.is_set() and len(seen) >= reader.head):
                seen.extend(event.seq for event in batch)

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        here = {"EZMSG_GRAPHSERVER_ADDR": str(server.address)}
        pipelines = [
            desk.start("python", desk.program("pipeline.py"), "--root", root, "--split", "fork", **here)
            for root in ("ONE", "TWO")
        ]
        for pipeline in pipelines:
            told = pipeline.end()
            assert told.code == 0, told.err
            assert json.loads(told.out)["wrong"] == 0
    finally:
        server.stop()
        done.set()
        follower.join(20)
    assert not follower.is_alive()
    assert seen == list(range(1, live.state.seq + 1))
    with Ledger.open(tmp_path / "x.ledger", "r") as reader:
        found = reader.verify()
        assert (found.sound, found.sealed) == (True, True)
        assert found.segments > 3
        assert fold(reader.read(), GraphState()).digest() == state_at(reader).digest() == live.state.digest()
    said = desk.account(tmp_path / "x.ledger")
    assert sorted(said.sessions) == [("ONE", "closed"), ("TWO", "closed")]


def test_the_command(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    server = desk.start("ezmsg-ledger", "serve", ledger, "--rotate", "4kB", "--keep", "30d", "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    told = desk.do("python", desk.program("pipeline.py"), "--root", "ONE", EZMSG_GRAPHSERVER_ADDR=address)
    assert told.code == 0, told.err
    assert desk.do("ezmsg-ledger", "rotate", ledger).code == 5, "the server holds it"
    deadline = time.monotonic() + PATIENCE_S
    while len(list(ledger.glob("*.ledger"))) == 1:  # the server looks after its segments four times a second
        assert time.monotonic() < deadline, "no second segment was begun"
        time.sleep(0.01)
    server.interrupt()
    told = server.end()
    assert told.code == 0, told.err
    assert "recorded 1 session" in told.err
    assert desk.account(ledger).sessions == [("ONE", "closed")]
