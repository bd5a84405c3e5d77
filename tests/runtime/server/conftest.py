"""Graph servers on ledger files, each stopped and examined after its test."""

import enum
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from ezmsg.ledger.events import Event
from ezmsg.ledger.runtime.server.server import GraphServer

from .examined import ANSWER_S, Examined, examining

E = TypeVar("E", bound=Event)

BY_NAME = enum.IntEnum("Probe", ["ONE"])["ONE"].__reduce_ex__(4)[0] is getattr
"""Whether this Python pickles members of enums by their names, as early releases of 3.11 do (Debian 12 has one). Their
values are not in the bytes then, so nobody without the class can tell them."""


class Serve(Protocol):
    """Starts a server: on a new ledger, at a free port of the loopback address, unless told otherwise."""

    def __call__(self, ledger: Any = ..., **options: Any) -> GraphServer: ...


@pytest.fixture(autouse=True)
def examined() -> Iterator[Examined]:
    """Examines every server that the test starts, also one that it makes by itself."""
    with examining() as examined:
        yield examined


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    numbers = iter(range(1000))

    def start(ledger: Any = None, **options: Any) -> GraphServer:
        server = GraphServer(tmp_path / f"run-{next(numbers)}.ledger" if ledger is None else ledger, **options)
        server.start(("127.0.0.1", 0))
        return server

    return start


@pytest.fixture
def server(serve: Serve) -> GraphServer:
    return serve()


def recorded(server: GraphServer, kind: type[E], **fields: Any) -> E:
    """The first event of a kind with these fields, as soon as it is in the ledger."""
    assert server.ledger is not None
    late = threading.Event()
    timer = threading.Timer(ANSWER_S, late.set)
    timer.start()
    try:
        for batch in server.ledger.tail(stop=late):
            for event in batch:
                if type(event) is kind and all(getattr(event, name) == value for name, value in fields.items()):
                    return event
    finally:
        timer.cancel()
        timer.join()
    raise AssertionError(f"no {kind.__name__} with {fields} was recorded within {ANSWER_S} s")


def all_of(server: GraphServer, *kinds: type[E]) -> list[E]:
    """The events of some kinds that are in the ledger so far."""
    assert server.ledger is not None
    return [event for event in server.ledger.entries() if isinstance(event, kinds)]
