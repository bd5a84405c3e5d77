"""The two servers that programs of ezmsg's packages are tried with."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from .suite.environments import COMING, PACKAGES


@pytest.fixture
def stock(desk: Any) -> str:
    """The address of ezmsg's own server, which runs."""
    address = f"127.0.0.1:{free_port()}"
    serve = ("-m", "ezmsg.core", "serve", "--address", address, "--log-file", os.devnull)
    program = desk.start(PACKAGES.python(), *serve, EZMSG_LOGLEVEL="INFO")
    program.until("Servers running")
    return address


@pytest.fixture
def ours(desk: Any) -> str:
    """The address of our server, which records to ``x.ledger`` beside the ezmsg that the packages ask for."""
    serve = ("-m", "ezmsg.ledger.tools.cli", "serve", desk.folder / "x.ledger", "--address", desk.free)
    return str(desk.start(COMING.python(), *serve).until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
