"""What is kept between questions is what would be made anew."""

import json
import threading
from pathlib import Path

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.debugger.server import Server
from ezmsg.ledger.tools.debugger.watched import Watched

PATIENCE_S = 30


def edge(number: int) -> ev.EdgeConnected:
    return ev.EdgeConnected(from_topic=f"UNIT{number}/OUT", to_topic=f"UNIT{number + 1}/IN", owner=None)


def test_the_drawing_is_made_once_for_as_long_as_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "drawn.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([edge(1)])
        watched = Watched(path)
        first = watched.drawn()
        watched.look()
        assert watched.drawn() is first
        for change in ([edge(2)], [ev.Mark(name="seen")]):
            ledger.append(change)
            watched.look()
            grown = json.loads(watched.drawn())
            assert grown["seq"] == ledger.head
            assert [tuple(each) for each in grown["edges"]] == Timeline(ledger).lifetimes.edges()
        watched.close()


def test_what_is_asked_first_is_there_before_anybody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prepared.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([edge(1)])
    watched = Watched(path)
    drawn, came = watched.drawn, threading.Event()

    def noted() -> bytes:
        made = drawn()
        came.set()
        return made

    monkeypatch.setattr(watched, "drawn", noted)
    server = Server(watched)
    server.start()
    assert came.wait(PATIENCE_S)
    server.stop()
    watched.close()
    assert server.fault is None


def test_a_server_that_is_stopped_at_once_ends(tmp_path: Path) -> None:
    path = tmp_path / "short.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([edge(1)])
    watched = Watched(path)
    server = Server(watched)
    server.start()
    server.stop()
    watched.close()
    assert not server.is_alive()
    assert server.fault is None
