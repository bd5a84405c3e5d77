"""What becomes of messages whose publisher leaves before they are received, with each transport and either server."""

import asyncio
from typing import Any

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphserver import GraphServer as StockServer
from ezmsg.core.messagecache import CacheMiss

from ezmsg.ledger.runtime import GraphServer

PATIENCE_S = 5.0

TRANSPORTS: dict[str, dict[str, Any]] = {
    "local": {},
    "shared memory": {"allow_local": False},
    "TCP": {"allow_local": False, "force_tcp": True},
}


async def received_after_departure(address: Any, transport: str, told: bool) -> tuple[list[Any], int]:
    """What a subscriber receives of five messages of a publisher that has left, then one of another; and its channels.

    ``told``: wait until the subscriber has heard of the departure; else until its channel has seen the connection end,
    which on Python 3.12 takes a turn longer.
    """
    async with GraphContext(address, auto_start=False) as context:
        subscriber = await context.subscriber("A")
        gone = await context.publisher("A", **TRANSPORTS[transport])
        stays = await context.publisher("A", **TRANSPORTS[transport])
        for number in range(5):
            await gone.broadcast(number)
        await until(lambda: subscriber._incoming.qsize() == 5)
        channel = subscriber._channels[gone.id]
        gone.close()
        await gone.wait_closed()
        if told:
            await until(lambda: len(subscriber._channels) == 1)
        else:
            await until(lambda: has_ended(channel))
        await stays.broadcast("after")
        received: list[Any] = []
        while received[-1:] != ["after"]:
            try:
                received.append(await asyncio.wait_for(subscriber.recv(), PATIENCE_S))
            except CacheMiss:
                received.append(CacheMiss)
        return received, len(subscriber._channels)


def has_ended(channel: Any) -> bool:
    """Whether a channel has seen the end of its publisher's connection."""
    task = getattr(channel, "_pub_task", None)  # before ezmsg 3.10
    return bool(task.done() if task is not None else channel._proto._closed.done())


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_messages_of_a_publisher_that_left_are_passed_over_where_stock_raises(transport: str) -> None:
    """They are lost with either server, for they are the publisher's; with ours they are no error in the subscriber."""
    seen = {}
    for kind in (StockServer, GraphServer):
        server = kind()
        server.start(("127.0.0.1", 0))
        try:
            seen[kind] = asyncio.run(received_after_departure(server.address, transport, kind is GraphServer))
        finally:
            server.stop()
    assert seen == {StockServer: ([CacheMiss] * 5 + ["after"], 2), GraphServer: (["after"], 1)}
