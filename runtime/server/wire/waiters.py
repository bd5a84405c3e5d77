"""Futures that several tasks wait for and one lets go, and waiting that something else can end."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Overtaken(Exception):
    """The waiting was ended before its result came."""


def release(waiter: "asyncio.Future[None]") -> None:
    """Let the task that waits go on; nothing when it has gone on, or given up, already."""
    if not waiter.done():
        waiter.set_result(None)


class Waiters:
    """Tasks that each wait until a number is reached: a seq to be durable, an update to be applied.

    The numbers that are waited for never fall. Cost of each method: O(1) for each task that it lets go.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def until(self, number: int) -> "asyncio.Future[None]":
        """A future that is done when ``number`` is reached."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((number, waiter))
        return waiter

    def reached(self, number: int) -> None:
        """Let all go that wait for ``number`` or less."""
        while self._waiting and self._waiting[0][0] <= number:
            release(self._waiting.popleft()[1])

    def release(self) -> None:
        """Let all go: what they wait for will not come."""
        while self._waiting:
            release(self._waiting.popleft()[1])

    def forget(self, waiter: "asyncio.Future[None]") -> None:
        """Wait no more for a future that was given up."""
        self._waiting = deque(pair for pair in self._waiting if pair[1] is not waiter)


async def first(*coroutines: Coroutine[Any, Any, Any], timeout: float | None = None) -> bool:
    """Run all at the same time until one of them is done, which may raise; the others are cancelled.

    False when none was done within ``timeout`` seconds.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()


async def unless(end: "asyncio.Future[None]", awaited: Awaitable[T]) -> T:
    """The result of ``awaited``, unless ``end`` is done first: then ``awaited`` is cancelled, and Overtaken raised.

    A result that is there at once is never overtaken. No task is made: as with ``asyncio.timeout``, the one that waits
    is cancelled, and takes that back.
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
