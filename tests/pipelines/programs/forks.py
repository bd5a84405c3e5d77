"""Forks while it is recorded: one child leaves the recorded block by itself, another one outlives it."""

import asyncio
import os
import signal
import sys
import time

from ezmsg.core.graphcontext import GraphContext

from ezmsg.ledger.runtime import record


async def connect() -> None:
    async with GraphContext() as context:
        await context.connect("A/OUT", "B/IN")


with record("forks.ledger"):
    if os.fork() == 0:
        sys.exit("the child left")
    os.wait()
    lasting = os.fork()
    if lasting == 0:
        signal.pause()
    asyncio.run(connect())
    begun = time.monotonic()
print(time.monotonic() - begun, flush=True)
os.kill(lasting, signal.SIGKILL)
os.wait()
