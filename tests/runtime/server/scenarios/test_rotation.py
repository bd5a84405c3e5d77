"""A server whose ledger is a folder of segments: unmodified clients notice nothing of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphcontext import GraphContext

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.rotation import Rotation
from ezmsg.ledger.runtime.server import server as server_module
from tests.runtime.server.conftest import Serve
from tests.runtime.server.examined import in_loop

ROUNDS = 40


@pytest.fixture(autouse=True)
def tend_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TEND_S", 0.002)


async def rewire(context: GraphContext) -> None:
    """Edges that come and go, with a pause now and then, in which the server looks after its ledger."""
    for number in range(ROUNDS):
        for topic in "ABCD":
            await context.connect(f"{topic}{number}", f"{topic}{number + 1}")
        if number % 2:
            await context.disconnect(f"A{number}", f"A{number + 1}")
        if number % 4 == 0:
            await asyncio.sleep(0.005)


def test_rotating_while_clients_come_and_go(serve: Serve) -> None:
    server = serve(rotation=Rotation(size=4096, compress=True), durability="commit")
    live = server.live
    assert live is not None

    async def main() -> None:
        async with GraphContext(server.address) as one, GraphContext(server.address) as two:
            events: list[Any] = []
            following = asyncio.create_task(_topology(two, events))
            await rewire(one)
            publisher, subscriber = await one.publisher("PUB"), await two.subscriber("SUB")
            await one.connect("PUB", "SUB")
            await publisher.broadcast("hello")
            assert await asyncio.wait_for(subscriber.recv(), 10) == "hello"
            while len(events) < ROUNDS * 4:
                await asyncio.sleep(0.005)
            following.cancel()
            numbers = [event.seq for event in events]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    asyncio.run(main())
    head, lived = in_loop(server, lambda: (live.state.seq, live.state.digest()))
    assert live.ledger.wait_durable(head, 10)
    with Ledger.open(live.ledger.location, "r") as reader:
        assert state_at(reader, head).digest() == lived
    status = ask(str(server.address), "status")
    assert 0 < status["bytes"] <= live.ledger.appended + 20 * 4096, "all files, some of them compressed by now"
    server.stop()
    location = Path(live.ledger.location)
    numbers = sorted({file.name.partition(".")[0] for file in location.iterdir()})
    assert len(numbers) > 3
    assert numbers == [f"{number:06}" for number in range(1, len(numbers) + 1)]
    with Ledger.open(location, "r") as reader:
        found = reader.verify()
        assert (found.sound, found.sealed, found.segments) == (True, True, len(numbers))


async def _topology(context: GraphContext, events: list[Any]) -> None:
    async for event in context.subscribe_topology_events(after_seq=0):
        events.append(event)


def test_a_dashboard_joins_where_the_history_begins(serve: Serve) -> None:
    """Earlier segments are gone: the feed goes on with the numbers that it had, from what is left."""
    first = serve(rotation=Rotation(size=4096))

    async def fill() -> None:
        async with GraphContext(first.address) as context:
            await rewire(context)

    asyncio.run(fill())
    assert first.live is not None
    location = Path(first.live.ledger.location)
    first.stop()
    with Ledger.open(location) as ledger:
        begun = ledger.first
        assert ledger.drop(2**62)  # type: ignore[attr-defined]
        assert ledger.first > begun
        reached = state_at(ledger, ledger.first - 1).topology
        total = state_at(ledger).topology
    second = serve(location, rotation=Rotation(size=4096))

    async def join() -> list[int]:
        async with GraphContext(second.address) as context:
            await context.connect("X", "Y")
            numbers: list[int] = []
            async for event in context.subscribe_topology_events(after_seq=1):
                numbers.append(event.seq)
                if event.seq > total:
                    return numbers
        return numbers

    numbers = asyncio.run(asyncio.wait_for(join(), 20))
    assert numbers == list(range(reached + 1, total + 2))


def test_a_file_becomes_a_folder(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="before")])
        before = ledger.id
    server = serve(path, rotation=Rotation(size=4096))
    assert server.live is not None
    assert server.live.ledger.id == before
    assert path.is_dir()
    server.stop()
    plain = serve(path)
    assert plain.live is not None
    assert plain.live.ledger.location == str(path)
    assert next(iter(plain.live.ledger.entries())).name == "before"
