"""Real servers of NATS JetStream on loopback: one node, or three that agree with each other."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.message import Message

SERVER = Path(sys.executable).with_name("nats-server")
PATIENCE_S = 30.0


def free_port() -> int:
    """A port that is free now, outside of those that systems give to clients."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Node:
    """One server, with its store in ``folder``; it can be killed, stopped and started again at the same port."""

    def __init__(
        self, folder: Path, *, more: str = "", jetstream: str = "sync_interval: always", name: str = "n"
    ) -> None:
        self.folder = folder
        self.name = name
        self.port, self.monitor_port = free_port(), free_port()
        self.store = folder / f"{name}.store"
        self._more = more
        self._jetstream = jetstream
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        return f"http://127.0.0.1:{self.monitor_port}"

    def start(self) -> "Node":
        """Start it, and return when it takes connections."""
        self.begin()
        self.await_ready()
        return self

    def begin(self) -> None:
        config = self.folder / f"{self.name}.conf"
        store = f'jetstream {{ store_dir: "{self.store}"\n {self._jetstream} }}' if self._jetstream else ""
        config.write_text(
            f'server_name: "{self.name}"\nlisten: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.monitor_port}"\n'
            f"{store}\n{self._more}\n"
        )
        log = (self.folder / f"{self.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(SERVER), "-c", str(config)], stdout=log, stderr=log, start_new_session=True
            )

    def await_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (self.folder / f"{self.name}.log").read_text()
                time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, as a power cut would as far as the process goes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None

    def forget(self) -> None:
        """Remove all that it has stored."""
        shutil.rmtree(self.store)


class Cluster:
    """Three nodes."""

    def __init__(self, folder: Path) -> None:
        routes = [free_port() for _ in range(3)]
        urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        self.nodes = [
            Node(
                folder,
                name=f"n{number}",
                more=f'cluster {{ name: lab\n listen: "127.0.0.1:{port}"\n routes: [{urls}] }}',
            )
            for number, port in enumerate(routes)
        ]

    @property
    def url(self) -> str:
        return "nats://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> "Cluster":
        """Start all, and return when they have a leader."""
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.await_ready()
        deadline = time.monotonic() + PATIENCE_S
        while not self._leads():
            assert time.monotonic() < deadline, "the three never agreed on a leader"
            time.sleep(0.1)
        return self

    def _leads(self) -> bool:
        with NatsBroker(parse(self.url, "NOBODY")) as broker:
            try:
                return broker.info() is None
            except Exception:
                return False

    def leader(self, stream: str) -> Node:
        """The node that leads a stream now."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with NatsBroker(parse(self.url, stream)) as broker:
                try:
                    info = broker.info()
                    name = ((info or {}).get("cluster") or {}).get("leader")
                except Exception:
                    name = None
            if name:
                return next(node for node in self.nodes if node.name == name)
            assert time.monotonic() < deadline, "the stream has no leader"
            time.sleep(0.1)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


def running(node: Any) -> Iterator[Any]:
    """For a fixture: ``node`` while it runs."""
    if not SERVER.exists():
        pytest.skip("nats-server is not installed")
    node.start()
    try:
        yield node
    finally:
        node.stop()


def messages(url: str, ledger: str, stream: str = "LEDGERS") -> list[Message]:
    """All messages of a ledger."""
    with NatsBroker(parse(url, stream)) as broker:
        found: list[Message] = []
        while more := broker.after(ledger, found[-1].sequence if found else 0):
            found += more
        return found


def put(url: str, stream: str, ledger: str, messages: list[Message], made: bool = False) -> None:
    """Add messages to a stream as they are, without a fence: what a broker could do that must not be trusted."""
    import asyncio

    import nats

    async def go() -> None:
        client = await nats.connect(url)
        place = parse(url, stream)
        for message in messages:
            headers = {key: value for key, value in message.headers.items() if key.startswith("Ledger-")}
            answer = json.loads((await client.request(place.subject(ledger), message.data, headers=headers)).data)
            assert "error" not in answer, answer
        await client.close()

    asyncio.run(go())


def uid() -> str:
    """A name for a stream of a test's own."""
    return f"T{os.urandom(4).hex()}"
