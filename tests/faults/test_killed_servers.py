"""A graph server that is killed while a pipeline of several processes uses it: the next start needs no hand."""

import asyncio
import random
import time
from typing import Any

import msgspec
import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.netprotocol import Address

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev


@pytest.mark.parametrize("rounds", [1, pytest.param(15, marks=pytest.mark.long)])
def test_a_killed_server(desk: Any, rounds: int) -> None:
    ledger = desk.folder / "x.ledger"
    dice = random.Random(rounds)
    for number in range(rounds):
        server, address = _served(desk, ledger)
        pipeline = desk.start(
            "python", desk.program("endless.py"), "--root", f"R{number}", "--split", "fork",
            EZMSG_GRAPHSERVER_ADDR=address,
        )  # fmt: skip
        if number % 2 == 0:
            pipeline.until("heard 20")
        else:
            time.sleep(dice.random())  # anywhere in its start: what is random here is the moment of the blow
        with Ledger.open(ledger, "r") as reader:
            shown = list(reader.entries())
        server.process.kill()
        server.process.wait()
        pipeline.clear()
        with Ledger.open(ledger, "r") as reader:
            assert list(reader.entries())[: len(shown)] == shown, "a killed process takes nothing along"
    server, _ = _served(desk, ledger)
    server.interrupt()
    assert server.end().code == 0
    said = desk.account(ledger)
    assert said.runs == ["lost"] * rounds + ["signal"]
    with Ledger.open(ledger, "r") as reader:
        times = [event for event in reader.entries() if isinstance(event, ev.ServerLost)]
    assert len(times) == rounds
    assert all(event.last_seen <= event.time for event in times)


def _served(desk: Any, ledger: Any, *options: str) -> tuple[Any, str]:
    server = desk.start("ezmsg-ledger", "serve", ledger, "--address", desk.free, *options)
    return server, server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]


@pytest.mark.parametrize(
    ("durability", "rounds"),
    [("interval", 2), ("commit", 1), pytest.param("interval", 40, marks=pytest.mark.long)],
)
def test_killed_while_many_connect_at_once(desk: Any, durability: str, rounds: int) -> None:
    """Clients whose commands share commits: what any of them was told is there, and no commit is there in part."""
    ledger = desk.folder / "crowd.ledger"
    dice = random.Random(rounds)
    shared = 0
    for number in range(rounds):
        server, address = _served(desk, ledger, "--durability", durability)
        acknowledged = asyncio.run(_wire_until_killed(server, Address.from_string(address), number, dice.random() / 2))
        assert acknowledged
        counts = [count for count in _counts(ledger) if count > 1]
        shared += len(counts)
        with Ledger.open(ledger, "r") as reader:
            assert reader.verify().sound
            edges = {
                (event.from_topic, event.to_topic)
                for event in reader.entries()
                if isinstance(event, ev.EdgeConnected)
            }
        assert acknowledged <= edges, f"{len(acknowledged - edges)} edges were acknowledged and are not there"
    assert shared, "no commit was shared"


async def _wire_until_killed(server: Any, address: Address, number: int, seconds: float) -> set[tuple[str, str]]:
    """Have thirty clients connect edges without a pause, and kill the server; the edges that it acknowledged."""
    acknowledged: set[tuple[str, str]] = set()
    begun = asyncio.Event()

    async def wire(client: int) -> None:
        context = GraphContext(address, auto_start=False)
        await context.__aenter__()
        for place in range(1_000_000):
            edge = f"R{number}/S{client}/{place}", f"R{number}/S{client}/{place + 1}"
            await context.connect(*edge)
            acknowledged.add(edge)
            if place > 3:
                begun.set()

    clients = [asyncio.create_task(wire(client)) for client in range(30)]
    await asyncio.wait_for(begun.wait(), 20)
    await asyncio.sleep(seconds)  # what is random here is the moment of the blow
    server.process.kill()
    await asyncio.to_thread(server.process.wait)
    for client in clients:  # ezmsg's clients wait for ever for a server that died
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return acknowledged


def _counts(ledger: Any) -> list[int]:
    """How many events each commit of a ledger file has."""
    return [
        msgspec.json.decode(line)["count"] for line in ledger.read_bytes().splitlines() if b'"ledger.commit"' in line
    ]
