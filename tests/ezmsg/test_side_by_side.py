"""Our graph server beside ezmsg's own: one long random life at the socket, and each fault where ours differs on purpose."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ezmsg.core.graphserver import GraphServer as StockServer

from ezmsg.ledger.runtime.server.server import GraphServer

from ..runtime.server.examined import Examined, examining
from .side_by_side.script import Script
from .side_by_side.world import World

SEEDS = (1, 2, 3, 4)
STEPS = 400


@pytest.fixture
def examined() -> Iterator[Examined]:
    with examining() as examined:
        examined.faults.expected += ["ezmsg/core/graphserver.py", "ezmsg/core/shm.py"]
        yield examined


@pytest.fixture
def stock(examined: Examined) -> Iterator[StockServer]:
    server = StockServer()
    server.start(("127.0.0.1", 0))
    yield server
    server.stop()


@pytest.fixture
def ours(examined: Examined, tmp_path: Path) -> GraphServer:
    server = GraphServer(tmp_path / "run.ledger")
    server.start(("127.0.0.1", 0))
    return server


seen: Counter[str] = Counter()


@pytest.mark.parametrize("seed", SEEDS)
def test_one_life_with_both(stock: StockServer, ours: GraphServer, seed: int) -> None:
    async def run() -> None:
        worlds = [World(stock.address), World(ours.address)]
        for number, (verb, *args) in enumerate(Script(seed).steps(STEPS)):
            expected, got = await asyncio.gather(*(world.step(verb, *args) for world in worlds))
            assert got == expected, f"step {number}: {verb} {args}"
        for world in worlds:
            await world.close()
        assert worlds[0].seen == worlds[1].seen
        seen.update(worlds[1].seen)

    asyncio.run(run())
