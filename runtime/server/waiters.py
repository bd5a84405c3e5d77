"""Futures that several tasks wait for and one lets go."""

import asyncio


def release(waiter: "asyncio.Future[None]") -> None:
    """Let whoever waits go on; nothing when it has gone on, or given up, already."""
    if not waiter.done():
        waiter.set_result(None)
