"""Addresses are read strictly, and what keeps a server from listening is said in words, with what to do next."""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.runtime import GraphServer
from ezmsg.ledger.runtime.address import CannotListen, beyond_loopback, cannot_listen, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:25978", ("127.0.0.1", 25978)),
        ("localhost:0", ("localhost", 0)),
        (" 0.0.0.0:65535\n", ("0.0.0.0", 65535)),
    ],
)
def test_an_address(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", ":", ":1", "host:", "host:x", "host:-1", "host:65536", "host:1:2", "::1:80", "h:1_0", "h:²"],
)
def test_no_address(text: str) -> None:
    with pytest.raises(CannotListen, match="is not an address: host, colon, and a port") as refused:
        parse_address(text)
    assert repr(text) in str(refused.value)
    assert "127.0.0.1:25978" in refused.value.hint


@pytest.mark.parametrize("text", ["::1:80", "[::1]:25978", "fe80::1:2:3"])
def test_an_address_of_ipv6_is_told_apart(text: str) -> None:
    with pytest.raises(CannotListen, match="IPv6 has no place in ezmsg's addresses"):
        parse_address(text)


def test_what_to_warn_of_beyond_the_loopback_interface() -> None:
    assert beyond_loopback("127.0.0.1", 1) is beyond_loopback("127.8.9.1", 1) is None
    everywhere = beyond_loopback("0.0.0.0", 25978)
    assert everywhere is not None
    assert "EVERY ADDRESS OF THIS MACHINE: anybody" in everywhere
    assert "25978" in everywhere
    somewhere = beyond_loopback("10.0.0.1", 25978, ["10.0.0.0/24", "10.9.9.9/32"])
    assert somewhere is not None
    assert "10.0.0.1, BEYOND THIS MACHINE: hosts of 10.0.0.0/24, 10.9.9.9/32 can" in somewhere


def test_a_server_warns_when_it_listens_beyond_the_loopback_interface(caplog: pytest.LogCaptureFixture) -> None:
    for host, warnings in (("127.0.0.1", 0), ("0.0.0.0", 1)):
        server = GraphServer(Ledger.memory())
        server.start((host, 0))
        server.stop()
        assert caplog.text.count("LISTENING ON EVERY ADDRESS") == warnings


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (OSError(errno.EADDRNOTAVAIL, "x"), "this machine does not have that address", "127.0.0.1"),
        (PermissionError(errno.EACCES, "x"), "the system does not allow it", "above 1023"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "no host is known as 'rig'", "another address"),
        (OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)), os.strerror(errno.ENOBUFS), "another address"),
    ],
)
def test_what_the_system_answers_is_said_in_words(error: OSError, says: str, hint: str) -> None:
    refused = cannot_listen("rig", 80, error)
    assert str(refused) == f"cannot listen on rig:80: {says}"
    assert hint in refused.hint


@contextmanager
def listener(greet: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port of this machine, where whoever comes is greeted and then left alone until the end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        guests: list[socket.socket] = []

        def serve() -> None:
            guest, _ = server.accept()
            guests.append(guest)
            greet(guest)

        thread = threading.Thread(target=serve)
        thread.start()
        yield port
        thread.join(10)
        for guest in guests:
            guest.close()


def text(said: bytes, size: int | None = None) -> bytes:
    """A text as ezmsg sends it: its length, then itself."""
    return (len(said) if size is None else size).to_bytes(8, "little") + said


@pytest.mark.parametrize(
    ("greeting", "who"),
    [
        (text(b"3.9.0"), "a graph server of ezmsg 3.9.0, which records nothing, is there already"),
        (b"", "another program has it"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "another program has it"),
        (text(b"", size=2**63), "another program has it"),
        (text("drei → neun".encode()), "another program has it"),
        (text(b"\x1b[2J"), "another program has it"),
    ],
)
def test_who_is_there_already(greeting: bytes, who: str) -> None:
    """A graph server speaks first; nobody else gets more than a look."""
    with listener(lambda guest: (guest.sendall(greeting), guest.shutdown(socket.SHUT_WR))) as port:
        refused = cannot_listen("127.0.0.1", port, OSError(errno.EADDRINUSE, "x"))
    assert str(refused) == f"cannot listen on 127.0.0.1:{port}: {who}"
    assert ("ezmsg shutdown" in refused.hint) == ("graph server" in who)


def test_who_says_nothing_is_another_program() -> None:
    with listener(lambda guest: None) as port:
        refused = cannot_listen("127.0.0.1", port, OSError(errno.EADDRINUSE, "x"))
    assert str(refused).endswith("another program has it")


def test_a_server_is_started_where_it_was_told_to() -> None:
    ledger = Ledger.memory()
    server = GraphServer(ledger)
    server.start_at("127.0.0.1:0")
    try:
        with pytest.raises(CannotListen, match=r"a recorder, which records to memory, is there already"):
            GraphServer(ledger).start_at(str(server.address))
    finally:
        server.stop()


def test_a_host_that_is_no_name_is_said_so() -> None:
    with pytest.raises(CannotListen, match=r"no host is known as 'a\.\.b'"):
        GraphServer(Ledger.memory()).start_at("a..b:0")
