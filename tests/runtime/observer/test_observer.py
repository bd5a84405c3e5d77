"""How much of a server's time an observer takes, what it does when the server goes, or tells much at once."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from ezmsg.core.graphserver import GraphServer as StockServer

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.client import line as lines
from ezmsg.ledger.runtime.client.line import Line, TooLarge
from ezmsg.ledger.runtime.observer.observer import LOOK_SHARE, Observer
from ezmsg.ledger.runtime.server.wire.protocol import Command
from tests.runtime.server.raw import RawProcess

SHARE_MAX = 3.0 / LOOK_SHARE
"""Three times of what is meant: a machine that is busy with something else makes single looks long."""


class Timed(Observer):
    """Notes how long the server was asked."""

    asked = 0.0

    def _seen(self) -> Any:
        began = time.monotonic()
        try:
            return super()._seen()
        finally:
            self.asked += time.monotonic() - began


def test_a_server_that_is_busy_is_asked_for_a_small_share_of_its_time() -> None:
    server = StockServer()
    server.start(("127.0.0.1", 0))
    observer = Timed(Ledger.memory(), str(server.address))
    stopped = threading.Event()
    attending = threading.Thread(target=observer.attend, args=(stopped.is_set,))
    try:
        with Line(str(server.address), Command.SESSION) as line:
            for number in range(200):
                line.say(Command.SESSION_CONNECT, f"S{number}", f"T{number}")
            attending.start()
            began, number = time.monotonic(), 0
            while time.monotonic() - began < 2.0:
                number += 1
                line.say(Command.SESSION_CONNECT, f"A{number}", "B")
                line.say(Command.SESSION_DISCONNECT, f"A{number}", "B")
        stopped.set()
        attending.join(10.0)
        assert observer.looks > 1
        assert observer.asked / (time.monotonic() - began) < SHARE_MAX
    finally:
        stopped.set()
        observer.leave("stopped")
        server.stop()
    gaps = [event.unseen for event in observer.ledger.entries() if isinstance(event, ev.Gap)]
    told = [event for event in observer.ledger.entries() if isinstance(event, ev.EdgeConnected) and not event.observed]
    assert sum(gaps) + len(told) > number, "what came and went between two looks is counted"


def test_the_server_goes_and_all_that_was_there_ends_unseen() -> None:
    server = StockServer()
    server.start(("127.0.0.1", 0))
    observer = Observer(Ledger.memory(), str(server.address))
    line = Line(str(server.address), Command.SESSION)
    line.say(Command.SESSION_CONNECT, "A", "B")
    ended: list[bool] = []
    attending = threading.Thread(target=lambda: ended.append(observer.attend(lambda: False)))
    attending.start()
    for batch in observer.ledger.tail(0):
        if any(isinstance(event, ev.EdgeConnected) for event in batch):
            break
    server.stop()
    attending.join(10.0)
    assert ended == [False]
    observer.leave("server_gone")
    observer.leave("server_gone")
    line.close()
    events: list[Any] = list(observer.ledger.entries())
    [closed] = [event for event in events if isinstance(event, ev.SessionClosed)]
    assert (closed.reason, closed.detail) == ("unseen", "the server was gone")
    assert [event.reason for event in events if isinstance(event, ev.ServerStopped)] == ["server_gone"]
    assert not observer.state.sessions


class Reporting(Observer):
    """Looks again when the stream has told of so many reports."""

    def until(self, told: int) -> None:
        ends = time.monotonic() + 10.0
        while len(self._reported) < told and time.monotonic() < ends:
            self._listen(0.1)
        self.look()


def test_more_reports_than_the_server_keeps_are_all_recorded() -> None:
    server = StockServer()
    server._retention_policy = replace(server._retention_policy, settings_event_history_limit=10)
    server.start(("127.0.0.1", 0))
    observer = Reporting(Ledger.memory(), str(server.address))
    process = RawProcess(tuple(server.address))
    try:
        process.register("SYS/U")
        process.own(["SYS/U"])
        observer.look()
        for gain in range(100):
            process.report("SYS/U", {"gain": gain})
        observer.until(100)
    finally:
        observer.leave("stopped")
        process.close()
        server.stop()
    events: list[Any] = list(observer.ledger.entries())
    gains = [event.value.structured_value["gain"] for event in events if isinstance(event, ev.SettingsUpdated)]
    assert gains == list(range(100))
    assert not [event for event in events if isinstance(event, ev.Gap)]


def test_reports_that_neither_the_history_nor_the_stream_has_are_counted() -> None:
    server = StockServer()
    server._retention_policy = replace(server._retention_policy, settings_event_history_limit=10)
    server.start(("127.0.0.1", 0))
    observer = Reporting(Ledger.memory(), str(server.address))
    process = RawProcess(tuple(server.address))
    try:
        process.register("SYS/U")
        process.own(["SYS/U"])
        observer.look()
        for gain in range(100):
            process.report("SYS/U", {"gain": gain})
        ends = time.monotonic() + 10.0
        while len(observer._reported) < 100 and time.monotonic() < ends:
            observer._listen(0.1)
        for number in sorted(observer._reported)[20:50]:  # a stream drops what waits too long for its reader
            del observer._reported[number]
        observer.look()
    finally:
        observer.leave("stopped")
        process.close()
        server.stop()
    events: list[Any] = list(observer.ledger.entries())
    gains = [event.value.structured_value["gain"] for event in events if isinstance(event, ev.SettingsUpdated)]
    assert gains == [*range(20), *range(50, 100)]
    assert [event.unseen for event in events if isinstance(event, ev.Gap)] == [30]


def test_a_reply_that_is_too_large_is_not_a_server_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = StockServer()
    server.start(("127.0.0.1", 0))
    observer = Observer(Ledger.memory(), str(server.address))
    monkeypatch.setattr(lines, "REPLY_MAX", 100_000)
    process = RawProcess(tuple(server.address))
    try:
        process.register("SYS/U")
        process.own(["SYS/U"])
        process.report("SYS/U", {"text": "x" * 200_000})
        with pytest.raises(TooLarge, match="100,000 are read at most"):
            observer.attend(lambda: observer.looks > 2)
    finally:
        observer.leave("reply_too_large")
        process.close()
        server.stop()
    events: list[Any] = list(observer.ledger.entries())
    assert [event.reason for event in events if isinstance(event, ev.ServerStopped)] == ["reply_too_large"]
