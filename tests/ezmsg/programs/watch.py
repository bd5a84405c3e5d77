"""Tells what comes on a websocket, one line of JSON for each message: what it says, or how many bytes it has."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def watch(url: str) -> None:
    async with connect(url, max_size=None) as socket:
        async for message in socket:
            print(message if isinstance(message, str) else json.dumps({"bytes": len(message)}), flush=True)


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1]))
