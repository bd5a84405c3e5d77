"""The listening socket when the system runs out of descriptors: nobody is lost, nothing spins, nothing ends."""

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire import listener as door_module
from tests.runtime.server.examined import Examined, in_loop
from tests.runtime.server.raw import COMPLETE, Raw, RawSession

FILES = 100


def test_a_process_without_descriptors_goes_on_and_serves_those_who_waited(tmp_path: Path) -> None:
    """A real one: its own connections stay below the limit, but what else it has open takes the last descriptors."""
    program = (
        "import os, resource, sys, threading\n"
        "from ezmsg.ledger.runtime import GraphServer\n"
        f"server = GraphServer({str(tmp_path / 'x.ledger')!r})\n"
        "server.start(('127.0.0.1', 0))\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))\n"
        "taken = []\n"
        "try:\n"
        "    while True: taken.append(os.open(os.devnull, os.O_RDONLY))\n"
        "except OSError: pass\n"
        "for number in range(4): os.close(taken.pop())\n"
        "print(server.address, flush=True)\n"
        "sys.stdin.readline()\n"
        "for number in taken: os.close(number)\n"
        "sys.stdin.readline()\n"
        "server.stop()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EZMSG_LOGLEVEL": "WARNING"},  # ezmsg 3.10 logs on standard output
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().partition(":")
        address = (host, int(port))
        session = RawSession(address)
        waiting = [socket.create_connection(address, timeout=5.0) for _ in range(12)]
        usage = psutil.Process(process.pid).cpu_times()
        began = time.monotonic()
        for number in range(20):
            assert session.connect("A", f"{number}") == COMPLETE
            time.sleep(0.02)
        used = psutil.Process(process.pid).cpu_times()
        assert used.user + used.system - usage.user - usage.system < (time.monotonic() - began) / 2
        process.stdin.write("\n")
        process.stdin.flush()
        for each in waiting:
            assert each.recv(8, socket.MSG_WAITALL), "it waited, and is greeted now"
        _, said = process.communicate("\n", timeout=10.0)
    finally:
        process.kill()
        process.wait()
    for each in waiting:
        each.close()
    assert process.returncode == 0
    assert said.count("no connection can be accepted for now") == 1
    assert "Too many open files" in said
    assert "Traceback" not in said


def test_a_server_of_its_own_turns_away_what_its_descriptors_do_not_suffice_for(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ezmsg.ledger.runtime.server", "--address", "127.0.0.1:0", str(tmp_path / "x.ledger")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["new"]  # the ledger is there; then it listens
        host, _, port = json.loads(process.stdout.readline())["address"].partition(":")
        address = (host, int(port))
        session = RawSession(address)
        greeted = []
        for _ in range(2 * FILES):
            try:
                greeted.append(Raw(address))
            except EOFError:
                continue
        assert FILES // 3 < len(greeted) < FILES - 30
        assert session.connect("A", "B") == COMPLETE
        for raw in greeted:
            raw.close()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10.0)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert b"Too many open files" not in said
    assert said.count(b"too_many_connections") == 1


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPROTO])
def test_whatever_the_system_answers_is_tried_again(
    server: GraphServer, examined: Examined, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    examined.faults.expected.append("no connection can be accepted for now")
    monkeypatch.setattr(door_module, "RETRY_S", 0.001)
    assert server._loop is not None
    loop, accept, failures = server._loop, server._loop.sock_accept, [number] * 3

    async def failing(listening: socket.socket) -> Any:
        connection = await accept(listening)
        if failures:
            connection[0].close()
            raise OSError(failures.pop(), "not now")
        return connection

    in_loop(server, lambda: setattr(loop, "sock_accept", failing))
    for _ in range(20):  # an accept that was under way lets some in before the failures begin
        if not failures:
            break
        try:
            assert RawSession(server.address).connect("A", "B") == COMPLETE
        except (EOFError, ConnectionError):
            continue
    assert not failures
    assert RawSession(server.address).connect("A", "B") == COMPLETE


def test_one_that_is_gone_before_anybody_looks_does_not_end_the_accepting(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(host: str, own: str) -> None:
        monkeypatch.undo()
        raise OSError(errno.EINVAL, "Invalid argument")  # as getsockname on macOS

    admission = in_loop(server, lambda: server._admission)
    monkeypatch.setattr(admission, "admit", forgotten)
    with pytest.raises(EOFError):
        Raw(server.address)
    assert RawSession(server.address).connect("A", "B") == COMPLETE


def test_a_crowd_at_once_is_let_in(server: GraphServer) -> None:
    sockets = [socket.create_connection(server.address, timeout=5.0) for _ in range(500)]
    for each in sockets:
        assert each.recv(8, socket.MSG_WAITALL)
    for each in sockets:
        each.close()
    assert RawSession(server.address).connect("A", "B") == COMPLETE
