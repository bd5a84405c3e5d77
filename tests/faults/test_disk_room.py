"""A recorder warns before its disk is full: a real file system that is filled by somebody else."""

import logging
import time
from pathlib import Path

import pytest

from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.recorder.process import Recorder
from ezmsg.ledger.runtime.server.health import disk_room
from ezmsg.ledger.runtime.server.server import GraphServer

TIMEOUT_S = 30.0


def test_a_real_disk_that_fills(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk_room, "LOOK_S", 0.05)

    def warned() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    server = GraphServer(small_disk / "x.ledger", min_free=500_000)
    server.start(("127.0.0.1", 0))
    try:
        told = ask(str(server.address), "status")["disk"]
        assert (told["total"], told["low"], told["min_free"]) == (2**20, False, 500_000)
        assert warned() == []
        (small_disk / "data").write_bytes(bytes(700_000))
        deadline = time.monotonic() + TIMEOUT_S
        while not warned():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert f"{small_disk}/x.ledger: THE DISK IS NEARLY FULL: " in warned()[0]
        told = ask(str(server.address), "status")["disk"]
        assert told["low"]
        assert told["free"] < 400_000
        (small_disk / "data").unlink()
        assert not ask(str(server.address), "status")["disk"]["low"]
    finally:
        server.stop()


def test_a_recorder_in_a_process_of_its_own(small_disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It warns at its first look, on stderr."""
    (small_disk / "data").write_bytes(bytes(700_000))
    recorder = Recorder(small_disk / "x.ledger", min_free=500_000).start()
    try:
        assert ask(recorder.address, "status")["disk"]["low"]
    finally:
        recorder.stop()
    assert "THE DISK IS NEARLY FULL" in capfd.readouterr().err
