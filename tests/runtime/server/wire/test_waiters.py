"""Waiting that something else can end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ezmsg.ledger.runtime.server.wire.waiters import Overtaken, unless

Futures = Callable[["asyncio.Future[None]", "asyncio.Future[int]"], Awaitable[Any]]


def run(act: Futures) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        result = await act(loop.create_future(), loop.create_future())
        await asyncio.sleep(0)  # nothing that was asked for comes later
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return result

    return asyncio.run(main())


def test_what_comes_first_is_given() -> None:
    async def act(end: "asyncio.Future[None]", value: "asyncio.Future[int]") -> int:
        asyncio.get_running_loop().call_soon(value.set_result, 7)
        got = await unless(end, value)
        end.set_result(None)
        return got

    assert run(act) == 7


def test_the_end_comes_first() -> None:
    async def act(end: "asyncio.Future[None]", value: "asyncio.Future[int]") -> bool:
        asyncio.get_running_loop().call_soon(end.set_result, None)
        with pytest.raises(Overtaken):
            await unless(end, value)
        return value.cancelled()

    assert run(act)


def test_what_need_not_be_waited_for_is_given_behind_the_end_too() -> None:
    async def at_once() -> int:
        return 7

    async def act(end: "asyncio.Future[None]", value: "asyncio.Future[int]") -> int:
        end.set_result(None)
        return await unless(end, at_once())

    assert run(act) == 7


def test_a_time_limit_inside_keeps_its_meaning() -> None:
    async def limited(value: "asyncio.Future[int]", seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await value

    async def act(end: "asyncio.Future[None]", value: "asyncio.Future[int]") -> None:
        with pytest.raises(TimeoutError):
            await unless(end, limited(value, 0.001))
        end.set_result(None)
        with pytest.raises(Overtaken):
            await unless(end, limited(asyncio.get_running_loop().create_future(), 60.0))

    run(act)


def test_whoever_cancels_from_outside_is_not_overtaken() -> None:
    async def act(end: "asyncio.Future[None]", value: "asyncio.Future[int]") -> bool:
        task = asyncio.ensure_future(unless(end, value))
        await asyncio.sleep(0)
        end.set_result(None)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run(act)
