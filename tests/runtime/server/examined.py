"""What must hold of every graph server that a test has started, whatever the test did to it."""

import asyncio
import concurrent.futures
import gc
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any, TypeVar
from unittest.mock import patch

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import beginning
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.shared_memory import Leases

from .raw import Raw

R = TypeVar("R")

STOP_MAX_S = 2.0
"""How long ``stop`` may take, whoever is connected and whatever they fail to do."""

ANSWER_S = 10.0
"""How long a test waits for the server's thread, or for an event that ought to be recorded at once."""

HANDLES = "/proc/self/fd"


def in_loop(server: GraphServer, act: Callable[[], R]) -> R:
    """What ``act`` returns when it is called in the server's own thread, between two of its steps."""
    assert server._loop is not None
    future: concurrent.futures.Future[R] = concurrent.futures.Future()

    def call() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    server._loop.call_soon_threadsafe(call)
    return future.result(ANSWER_S)


class Faults(logging.Handler):
    """Collects what may never be logged: faults of the server, and exceptions that asyncio found lying about."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []
        self.expected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        if not any(part in message for part in self.expected):
            self.messages.append(message)


class Examined:
    """The servers that were started, and the segments that they made."""

    def __init__(self) -> None:
        self.servers: list[GraphServer] = []
        self.segments: list[str] = []
        self.faults = Faults()

    def check(self) -> None:
        """Stop every server and examine what is left of it."""
        with ExitStack() as whatever_is_wrong:
            for server in self.servers:
                whatever_is_wrong.callback(server.stop)
            for server in self.servers:
                if server.is_alive():
                    in_loop(server, lambda server=server: _check_running(server))  # type: ignore[misc]
                began = time.monotonic()
                server.stop()
                took = time.monotonic() - began
                assert took < STOP_MAX_S, f"stop() took {took:.2f} s"
        for server in self.servers:
            _check_stopped(server)
        for name in self.segments:
            assert not os.path.exists(f"/dev/shm/{name}"), f"the segment {name} was left behind"


def _check_running(server: GraphServer) -> None:
    assert server.live is not None
    assert server.ledger is not None
    server.live.check()
    digest = server.live.state.digest()
    replayed = fold(server.ledger.read(), beginning(server.ledger)).digest()
    assert digest == replayed, "the state is not the fold of the ledger"
    assert digest == _replayed(server), "the state is not the fold of the file"


def _check_stopped(server: GraphServer) -> None:
    live, ledger = server.live, server.ledger
    assert not server.is_alive()
    assert live is not None
    assert ledger is not None
    assert server._loop is not None
    assert server._loop.is_closed()
    assert not asyncio.all_tasks(server._loop), "tasks were left behind"
    state = live.state
    for table in (state.sessions, state.processes, state.endpoints, state.requests, state.runs):
        assert table == {}
    if state.seq == ledger.head:
        live.check()
    else:  # a ledger that was given to others since
        state.check()
    assert state.digest() == _replayed(server), "the last state is not the fold of the file"
    if ledger.location != "memory":
        with Ledger.open(ledger.location, "r") as reader:
            verification = reader.verify()
            assert verification.sound, verification.problems
            if ledger is not server._given:
                assert verification.sealed
                assert not reader.being_written, "the lock was left behind"


def _replayed(server: GraphServer) -> str:
    assert server.live is not None
    assert server.ledger is not None
    if server.ledger.location == "memory":
        return server.live.state.digest()
    with Ledger.open(server.ledger.location, "r") as reader:
        return fold(reader.read(until=server.live.state.seq), beginning(reader)).digest()


@contextmanager
def examining() -> Iterator[Examined]:
    """Every server started within is stopped and examined at the end, and nothing of it may be left in the process."""
    resource_tracker.ensure_running()  # it keeps a handle for ever, which is not a leak
    examined = Examined()
    start, create = GraphServer.start, Leases.create

    def noted_start(self: GraphServer, *args: Any, **options: Any) -> None:
        start(self, *args, **options)
        if self not in examined.servers:
            examined.servers.append(self)

    def noted_create(self: Leases, *args: int) -> str:
        name = create(self, *args)
        examined.segments.append(name)
        return name

    loggers = [logging.getLogger(name) for name in ("asyncio", "ezmsg.ledger")]
    threads, before = set(threading.enumerate()), handles()
    for logger in loggers:
        logger.addHandler(examined.faults)
    try:
        with patch.object(GraphServer, "start", noted_start), patch.object(Leases, "create", noted_create):
            try:
                yield examined
            finally:
                try:
                    examined.check()
                finally:
                    for raw in Raw.opened:
                        raw.close()
                    Raw.opened.clear()
        gc.collect(1)  # what asyncio has to say about forgotten exceptions, it says when they are collected
        assert not examined.faults.messages, "\n".join(examined.faults.messages)
        left = {thread for thread in threading.enumerate() if thread not in threads}
        assert not left, f"threads were left behind: {left}"
        more = handles() - before  # there may be fewer: what an earlier test left to the collector
        if more:
            gc.collect()  # a reader that nobody went on with, in what has outlived two collections
            more = handles() - before
        assert not more, f"file handles were left behind: {sorted(more.elements())}"
    finally:
        for logger in loggers:
            logger.removeHandler(examined.faults)


def handles() -> Counter[str]:
    """What the process has open, as the system names it without the numbers of sockets and pipes. Linux alone tells."""
    found: Counter[str] = Counter()
    for name in os.listdir(HANDLES) if os.path.isdir(HANDLES) else ():
        try:
            target = os.readlink(f"{HANDLES}/{name}")
        except FileNotFoundError:  # the handle of the listing itself
            continue
        found[target.partition("[")[0]] += 1
    return found
