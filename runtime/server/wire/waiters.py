"""Futures that several tasks wait for and one lets go, and waiting that something else can end."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Overtaken(Exception):
    """What was waited for has not come before that which ends the waiting."""


def release(waiter: "asyncio.Future[None]") -> None:
    """Let whoever waits go on; nothing when it has gone on, or given up, already."""
    if not waiter.done():
        waiter.set_result(None)


async def unless(end: "asyncio.Future[None]", awaited: Awaitable[T]) -> T:
    """What ``awaited`` gives, unless ``end`` is done first: then that is cancelled, and Overtaken raised.

    What needs not wait at all is never overtaken. It costs no task: as with ``asyncio.timeout``, the one that waits is
    cancelled, and takes that back.
    """
    task = asyncio.current_task()
    assert task is not None
    waiting, overtaken = True, False

    def overtake(end: "asyncio.Future[None]") -> None:
        nonlocal overtaken
        if waiting:  # else it was called for already when the last step was made
            overtaken = True
            task.cancel()

    end.add_done_callback(overtake)
    try:
        return await awaited
    except asyncio.CancelledError:
        if overtaken and task.uncancel() == 0:
            raise Overtaken from None
        raise
    finally:
        waiting = False
        end.remove_done_callback(overtake)
