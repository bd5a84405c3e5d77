"""Server-sent events: gapless, resumed where they broke off, and they end when the client does."""

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger

Debug = Callable[..., Any]

PATIENCE_S = 20


class Stream:
    """A client of ``live``."""

    def __init__(self, debugger: Any, after: int = 0, last: str | None = None) -> None:
        self.connection = HTTPConnection("127.0.0.1", debugger.server.port, timeout=PATIENCE_S)
        headers = {} if last is None else {"Last-Event-ID": last}
        self.connection.request("GET", f"/{debugger.server.token}/api/v1/live?after={after}", headers=headers)
        self.response: HTTPResponse = self.connection.getresponse()
        assert self.response.headers["content-type"].startswith("text/event-stream")

    def messages(self) -> Iterator[tuple[str, str | None, Any]]:
        kind, number = "", None
        while True:
            line = self.response.readline().decode().rstrip("\n")
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                number = value
            elif name == "data":
                yield kind, number, json.loads(value)
                kind, number = "", None

    def events(self, upto: int) -> Iterator[Any]:
        for kind, number, body in self.messages():
            if kind == "events":
                yield from body["events"]
                assert number == str(body["upto"])
                if body["upto"] >= upto:
                    return

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def mark(name: str) -> ev.Mark:
    return ev.Mark(name=name)


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "live.ledger") as ledger:
        ledger.append([mark("first")])
        yield ledger


def test_history_and_then_what_comes_without_a_gap(debug: Debug, writing: Ledger) -> None:
    stream = Stream(debug(Path(writing.location)))
    seen = []
    for event in stream.events(upto=2000):
        if event["seq"] == 1:
            writing.append([mark(str(number)) for number in range(1999)])
        seen.append(event["seq"])
    assert seen == list(range(1, 2001))
    stream.close()


def test_who_comes_again_misses_nothing(debug: Debug, writing: Ledger) -> None:
    debugger = debug(Path(writing.location))
    writing.append([mark("a"), mark("b")])
    stream = Stream(debugger)
    assert [event["seq"] for event in stream.events(upto=3)] == [1, 2, 3]
    stream.close()
    writing.append([mark("c"), mark("d")])
    again = Stream(debugger, after=0, last="3")
    assert [event["seq"] for event in again.events(upto=5)] == [4, 5]
    again.close()


def test_the_status_is_told_first_and_when_it_changes(debug: Debug, tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "live.ledger")
    ledger.append([mark("first")])
    stream = Stream(debug(tmp_path / "live.ledger"), after=1)
    found = (body for kind, _, body in stream.messages() if kind == "status")
    assert next(found)["written"] is True
    ledger.close()
    assert next(found)["written"] is False
    (tmp_path / "live.ledger").unlink()
    assert next(found)["trouble"]["kind"] == "NotALedger"
    with Ledger.open(tmp_path / "live.ledger") as other:
        other.append([mark("other")])
        while (status := next(found))["epoch"] == 1:
            pass
        assert status["epoch"] == 2
    stream.close()


def test_a_stream_whose_client_left_ends(debug: Debug, writing: Ledger) -> None:
    debugger = debug(Path(writing.location))
    stream = Stream(debugger)
    next(stream.messages())
    connections = debugger.server._server.server_state.connections
    assert len(connections) == 1
    stream.close()
    deadline = time.monotonic() + PATIENCE_S
    while connections:
        assert time.monotonic() < deadline, "the stream goes on without anybody"
        time.sleep(0.02)


def test_an_open_stream_does_not_hold_up_the_end(debug: Debug, writing: Ledger) -> None:
    debugger = debug(Path(writing.location))
    stream = Stream(debugger)
    next(stream.messages())
    begun = time.monotonic()
    debugger.server.stop()
    assert time.monotonic() - begun < PATIENCE_S / 2
    stream.close()
