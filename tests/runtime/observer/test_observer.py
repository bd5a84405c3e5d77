"""How much of a server's time an observer takes, and what it does when the server goes."""

import threading
import time
from typing import Any

from ezmsg.core.graphserver import GraphServer as StockServer

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.observer.observer import LOOK_SHARE, Observer
from ezmsg.ledger.runtime.server.wire.protocol import Command

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
