"""One real broker for the tests of a file, and ledgers to ship."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from tests.brokers import Node, running, uid


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from running(Node(tmp_path_factory.mktemp("broker")))


@pytest.fixture
def stream() -> str:
    return uid()


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    """Makes a ledger of ``commits`` commits, each of so many events; a folder of segments when it is ``segmented``."""

    def make(name: str = "rig.ledger", commits: int = 5, events: int = 3, size: int = 20, **options: Any) -> Path:
        path = tmp_path / name
        with Ledger.open(path, durability="none", **options) as ledger:
            for number in range(commits):
                ledger.append([Mark(name=f"{number}-{each} " + "x" * size) for each in range(events)])
                if options.get("segmented") and number % 2:
                    ledger.rotate([b"{}"])
        return path

    return make
