"""A debugger that answers on loopback, and histories of every kind of event."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.debugger.server import Server
from ezmsg.ledger.tools.debugger.watched import Watched

TESTS = Path(__file__).parents[2]

PATIENCE_S = 30


class Asked:
    """What a server answered: its status, its headers and its octets."""

    def __init__(self, status: int, headers: dict[str, str], octets: bytes) -> None:
        self.status, self.headers, self.octets = status, headers, octets

    @property
    def body(self) -> Any:
        return json.loads(self.octets)


class Debugger:
    """A debugger of one ledger, and a client of its API."""

    def __init__(self, path: Path, other: Path | None = None, **options: Any) -> None:
        self.watched = Watched(path, other)
        self.server = Server(self.watched, **options)
        self.server.start()

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET", **query: Any) -> Asked:
        """Ask below ``/api/v1/``."""
        words = {name.removesuffix("_"): value for name, value in query.items()}
        return self.fetch(f"{self.server.address}api/v1/{path}?{urlencode(words)}", headers, method)

    @staticmethod
    def fetch(address: str, headers: dict[str, str] | None = None, method: str = "GET") -> Asked:
        """Ask for anything."""
        try:
            with urlopen(Request(address, headers=headers or {}, method=method), timeout=PATIENCE_S) as answer:
                return Asked(answer.status, dict(answer.headers), answer.read())
        except HTTPError as error:
            return Asked(error.code, dict(error.headers), error.read())

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def close(self) -> None:
        self.server.stop()
        self.watched.close()


@pytest.fixture
def debug() -> Iterator[Callable[..., Debugger]]:
    """``debug(path, ...)``: a debugger of that ledger."""
    made: list[Debugger] = []

    def start(path: Path, other: Path | None = None, **options: Any) -> Debugger:
        made.append(Debugger(path, other, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def long_history() -> Callable[[Path, int, int], Path]:
    """``long_history(path, seed, steps)``: writes a legal history of every kind of event, chosen at random."""
    spec = importlib.util.spec_from_file_location("histories", TESTS / "projections" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    histories = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(histories)

    def write(path: Path, seed: int, steps: int) -> Path:
        random = Random(seed)
        ops = [(random.choice(histories.KINDS), *(random.randrange(12) for _ in range(3))) for _ in range(steps)]
        with Ledger.open(path) as ledger:
            for event in histories.Writer().write(ops):
                unstamped = {name: getattr(event, name) for name in event.__struct_fields__} | {"seq": 0, "time": 0}
                ledger.append([type(event)(**unstamped)])
        return path

    return write
