"""The servers that ours is measured beside, each as a process of its own: ``python -m benchmarks.programs.peers KIND``.

As our recorder does, it says on standard output where it listens, and ends when standard input does.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self
from uuid import uuid1

from ezmsg.core import __version__ as ezmsg_version
from ezmsg.core.graphserver import GraphServer
from ezmsg.core.netprotocol import Address, Command, encode_str, read_str

ROOT = Path(__file__).resolve().parents[2]

STOCK, ACKNOWLEDGING = "stock", "acknowledging"


class Peer:
    """A peer's process, for the time of a ``with`` block. ``kind``: STOCK or ACKNOWLEDGING."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.address = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.programs.peers", self._kind]
        quiet = {**os.environ, "EZMSG_LOGLEVEL": "WARNING"}  # ezmsg 3.10 logs on standard output
        self._process = subprocess.Popen(command, cwd=ROOT, env=quiet, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self._kind} server ended before it was ready")
        self.address = json.loads(line)["address"]
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection and agree with everything: what no graph server can be faster than."""
    try:
        writer.write(encode_str(ezmsg_version))
        if await reader.read(1) == Command.SESSION.value:
            writer.write(encode_str(str(uuid1())) + Command.COMPLETE.value)
            while command := await reader.read(1):
                if command in (Command.SESSION_CONNECT.value, Command.SESSION_DISCONNECT.value):
                    await read_str(reader)
                    await read_str(reader)
                writer.write(Command.COMPLETE.value)
                await writer.drain()
    finally:
        writer.close()


def serve(kind: str) -> None:
    """Run one of the servers until standard input ends."""
    if kind == STOCK:
        server = GraphServer()
        server.start(Address("127.0.0.1", 0))
        _announce(*server.address)
        sys.stdin.buffer.read()
        server.stop()
    else:
        asyncio.run(_serve_acknowledging())


async def _serve_acknowledging() -> None:
    server = await asyncio.start_server(acknowledge, "127.0.0.1", 0)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    _announce(*server.sockets[0].getsockname())
    await ended.wait()
    server.close()


def _announce(host: str, port: int) -> None:
    print(json.dumps({"address": f"{host}:{port}"}), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
