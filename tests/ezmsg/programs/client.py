"""A client of whichever ezmsg it is started beside: publishes, subscribes, or looks at the graph; tells as JSON lines.

The server is where ``EZMSG_GRAPHSERVER_ADDR`` says.
"""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

from ezmsg.core.channelmanager import CHANNELS
from ezmsg.core.graphcontext import GraphContext

SIZES = (10, 100_000)
"""Bytes of a message: in one packet, and beyond the first size of a publisher's shared buffers."""


def say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


async def publish(topic: str, count: str) -> None:
    """Send ``count`` messages of all sizes on ``topic``."""
    async with GraphContext() as context:
        publisher = await context.publisher(topic)
        for number in range(int(count)):
            await publisher.broadcast({"number": number, "data": bytes([number % 256]) * SIZES[number % len(SIZES)]})
        await publisher.sync()
        say(published=count)


async def subscribe(source: str, topic: str, count: str) -> None:
    """Connect ``source`` to ``topic`` and hear ``count`` messages, whole and in order."""
    async with GraphContext() as context:
        await context.connect(source, topic)
        subscriber = await context.subscriber(topic)
        say(listening=topic)
        for number in range(int(count)):
            message = await subscriber.recv()
            assert message == {"number": number, "data": bytes([number % 256]) * SIZES[number % len(SIZES)]}
        channels = [channel for by_id in list(CHANNELS._registry.values()) for channel in list(by_id.values())]
        say(heard=count, ways=sorted({channel.channel_kind.value for channel in channels if channel.clients}))


async def look() -> None:
    """Tell what the graph and its settings look like from here: every object as its class and all that it holds."""
    async with GraphContext() as context:
        snapshot = await context.snapshot()
        settings = await context.settings_snapshot()
        events = await context.settings_events()
        registered = [held.metadata for held in snapshot.sessions.values() if held.metadata is not None]
        say(metadata=told(registered), settings=told(settings), events=told([event.value for event in events]))


def told(value: Any) -> Any:
    """A value as JSON can have it."""
    if dataclasses.is_dataclass(value):
        return {"class": type(value).__name__, **{name: told(item) for name, item in vars(value).items()}}
    if isinstance(value, dict):
        return {str(key): told(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [told(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


ACTS: dict[str, Callable[..., Any]] = {"publish": publish, "subscribe": subscribe, "look": look}

if __name__ == "__main__":
    asyncio.run(ACTS[sys.argv[1]](*sys.argv[2:]))
