"""The reader: commands and arguments however they come, what is refused, how long is waited, and how much is taken."""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid1

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.runtime.server.wire import reader as reader_module
from ezmsg.ledger.runtime.server.wire.protocol import (
    ADDRESS,
    NUMBER,
    PAYLOAD,
    SECONDS,
    TEXT,
    TEXT_MAX,
    U64,
    UUID_TEXT,
    Argument,
    BadText,
    Command,
    Late,
    TooLong,
    Truncated,
    encode_blob,
    encode_str,
)
from ezmsg.ledger.runtime.server.wire.reader import AHEAD_MAX, LARGE, SKIP_MAX, TURN_S, Reader
from tests.runtime.server.raw import u64


async def one(reader: Reader, kind: Argument) -> Any:
    """The only argument of a command."""
    return (await reader.arguments(kind))[0]


def read(data: bytes, act: Callable[[Reader], Awaitable[Any]], *, eof: bool = True, timeout: float = 5.0) -> Any:
    """What ``act`` returns on a reader that has been given ``data``."""

    async def run() -> Any:
        reader = Reader(timeout=timeout)
        reader.feed(data)
        if eof:
            reader.end()
        return await act(reader)

    return asyncio.run(run())


def test_a_command_and_its_arguments() -> None:
    async def act(reader: Reader) -> list[Any]:
        opener, arguments = await reader.command(), await reader.arguments(TEXT, TEXT)
        return [opener, arguments, await reader.command(), await reader.command()]

    data = Command.SESSION_CONNECT + encode_str("A/OUT") + encode_str("Bé/IN") + Command.SESSION_CLEAR
    assert read(data, act) == [b"\x16", ["A/OUT", "Bé/IN"], b"\x18", None]


def test_every_kind_of_argument() -> None:
    uuid = uuid1()

    async def act(reader: Reader) -> list[Any]:
        await reader.command()
        return [
            await reader.arguments(U64, U64, U64),
            await one(reader, TEXT),
            await one(reader, Argument(10, bytes)),
            await one(reader, UUID_TEXT),
            await one(reader, ADDRESS),
            await reader.arguments(NUMBER, SECONDS, PAYLOAD, U64),
        ]

    data = (
        b"\x00"
        + u64(2**64 - 1)
        + u64(4)
        + u64(65536)
        + encode_str("")
        + encode_blob(b"\x80\x04N.")
        + encode_str(str(uuid))
        + encode_str("127.0.0.1:25978")
        + encode_str("-3")
        + encode_str("0.25")
        + encode_blob(b"")
        + u64(7)
    )
    address = ("127.0.0.1", 25978)
    assert read(data, act) == [
        [2**64 - 1, 4, 65536], "", b"\x80\x04N.", UUID(str(uuid)), address, [-3, 0.25, b"", 7],
    ]  # fmt: skip


@given(st.lists(st.binary(max_size=300), max_size=20), st.data())
def test_arguments_arrive_whole_however_they_are_cut(blobs: list[bytes], data: st.DataObject) -> None:
    stream_bytes = b"\x19" + b"".join(map(encode_blob, blobs))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream_bytes)), max_size=8)))

    async def run() -> list[bytes]:
        reader = Reader()

        async def feed() -> None:
            for start, end in zip([0, *cuts], [*cuts, len(stream_bytes)], strict=True):
                reader.feed(stream_bytes[start:end])
                await asyncio.sleep(0)
            reader.end()

        feeding = asyncio.create_task(feed())
        assert await reader.command() == b"\x19"
        got = [await one(reader, Argument(300, bytes)) for _ in blobs]
        assert await reader.command() is None
        await feeding
        return got

    assert asyncio.run(run()) == blobs


@pytest.mark.parametrize("cut", range(1, 8 + 5))
def test_an_end_inside_an_argument(cut: int) -> None:
    with pytest.raises(Truncated):
        read(encode_str("hello")[:cut], lambda reader: one(reader, TEXT))


def test_no_byte_is_no_error_but_the_end() -> None:
    assert read(b"", lambda reader: reader.command()) is None


@pytest.mark.parametrize("size", [SKIP_MAX + 1, 2**63, 2**64 - 1])
def test_an_enormous_length_is_never_believed(size: int) -> None:
    with pytest.raises(TooLong) as caught:
        read(struct.pack("<Q", size) + b"x" * 100, lambda reader: one(reader, Argument(1000, bytes)), eof=False)
    assert not caught.value.in_sync
    assert str(size) in str(caught.value)


def test_a_length_just_beyond_the_bound_is_skipped_and_the_stream_goes_on() -> None:
    async def act(reader: Reader) -> list[Any]:
        with pytest.raises(TooLong) as caught:
            await one(reader, TEXT)
        return [caught.value.in_sync, await reader.command()]

    assert read(encode_str("x" * (TEXT_MAX + 1)) + Command.SESSION_CLEAR, act) == [True, Command.SESSION_CLEAR]


def test_a_skipped_argument_larger_than_all_buffers() -> None:
    async def run() -> bytes | None:
        reader = Reader()

        async def feed() -> None:
            reader.feed(u64(3_000_000))
            for _ in range(30):
                reader.feed(b"x" * 100_000)
                await asyncio.sleep(0)
                assert len(reader._buffer) + sum(map(len, reader._pieces)) <= 100_000
            reader.feed(Command.COMPLETE)

        feeding = asyncio.create_task(feed())
        with pytest.raises(TooLong):
            await one(reader, Argument(1000, bytes))
        await feeding
        return await reader.command()

    assert asyncio.run(run()) == Command.COMPLETE


def test_of_two_wrong_arguments_the_first_is_reported_and_the_second_skipped() -> None:
    async def act(reader: Reader) -> bytes | None:
        with pytest.raises(BadText, match="not valid UTF-8"):
            await reader.arguments(TEXT, TEXT)
        return await reader.command()

    data = encode_blob(b"\xff") + encode_blob(b"x" * (TEXT_MAX + 1)) + Command.SESSION_CLEAR
    assert read(data, act) == Command.SESSION_CLEAR


def test_an_end_inside_a_skipped_argument() -> None:
    with pytest.raises(Truncated):
        read(u64(5000) + b"x" * 10, lambda reader: one(reader, Argument(1000, bytes)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TEXT, b"\xff\xfe"),
        (TEXT, "\ud800".encode("utf-8", "surrogatepass")),
        (ADDRESS, b"localhost"),
        (ADDRESS, b"::1:80"),
        (ADDRESS, b"host:65536"),
        (ADDRESS, b"host:-1"),
        (ADDRESS, b"host: 1"),
        (ADDRESS, "host:٣".encode()),
        (ADDRESS, b"host:99999999"),
        (ADDRESS, b":80"),
        (NUMBER, b"seven"),
        (NUMBER, b"1.5"),
        (SECONDS, b"soon"),
        (SECONDS, b"nan"),
        (UUID_TEXT, b"not-a-uuid"),
        (UUID_TEXT, b""),
    ],
)
def test_a_bad_text_leaves_the_stream_in_step(kind: Argument, text: bytes) -> None:
    """Also when it is the first of several arguments: all are read before one is refused."""

    async def act(reader: Reader) -> bytes | None:
        with pytest.raises(BadText) as caught:
            await reader.arguments(kind, TEXT)
        assert caught.value.in_sync
        assert len(str(caught.value)) < 300
        return await reader.command()

    assert read(encode_blob(text) + encode_str("B/IN") + Command.SESSION_CLEAR, act) == Command.SESSION_CLEAR


@pytest.mark.parametrize("port", [0, 65535])
def test_the_first_and_the_last_port(port: int) -> None:
    assert read(encode_str(f"h:{port}"), lambda reader: one(reader, ADDRESS)) == ("h", port)


# --- time ------------------------------------------------------------------------------------------------------------


def test_arguments_that_do_not_come_are_late() -> None:
    async def act(reader: Reader) -> None:
        await reader.command()
        await reader.arguments(TEXT, TEXT)

    with pytest.raises(Late):
        read(b"\x16" + encode_str("A"), act, eof=False, timeout=0.02)


def test_one_clock_runs_for_all_arguments_of_a_command() -> None:
    async def run() -> float:
        reader = Reader(timeout=0.1)
        reader.feed(b"\x16")
        await reader.command()
        started = asyncio.get_running_loop().time()

        async def trickle() -> None:
            for byte in encode_str("x" * 1000):
                reader.feed(bytes([byte]))
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        with pytest.raises(Late):
            await one(reader, TEXT)
        trickling.cancel()
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(run()) < 2.0


def test_a_timeout_of_its_own_takes_the_place_of_the_commands() -> None:
    async def act(reader: Reader) -> None:
        await reader.command()
        await reader.arguments(ADDRESS, timeout=0.01)

    with pytest.raises(Late):
        read(b"\x01", act, eof=False, timeout=60.0)


def test_an_opener_may_be_waited_for_a_while_and_not_lost() -> None:
    async def run() -> bytes | None:
        reader = Reader()
        with pytest.raises(Late):
            await reader.command(timeout=0.01)
        reader.feed(Command.SESSION)
        return await reader.command(timeout=1.0)

    assert asyncio.run(run()) == Command.SESSION


def test_a_cancelled_command_loses_nothing() -> None:
    async def run() -> list[Any]:
        reader = Reader()
        waiting = asyncio.create_task(reader.command())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        reader.feed(Command.SESSION_CONNECT + encode_str("A"))
        return [await reader.command(), await one(reader, TEXT)]

    assert asyncio.run(run()) == [Command.SESSION_CONNECT, "A"]


def test_an_error_lets_whoever_waits_go_and_is_passed_on() -> None:
    async def run() -> None:
        reader = Reader()
        waiting = asyncio.create_task(reader.command())
        await asyncio.sleep(0)
        reader.end(ConnectionResetError("gone"))
        for _ in range(2):
            with pytest.raises(ConnectionResetError, match="gone"):
                await waiting
            waiting = asyncio.create_task(reader.command())
        waiting.cancel()

    asyncio.run(run())


def test_whatever_the_network_does_is_a_connection_error() -> None:
    async def run() -> None:
        reader = Reader()
        reader.end(OSError(113, "No route to host"))
        with pytest.raises(ConnectionError, match="No route to host"):
            await reader.command()

    asyncio.run(run())


def test_the_clock_of_a_command_is_not_that_of_the_one_before() -> None:
    """One timer stays on from command to command, and must not go off for the wrong one."""

    async def run() -> list[Any]:
        reader = Reader(timeout=0.2)
        got: list[Any] = []

        def step() -> bool | None:
            texts = reader.ready((TEXT,))
            got.append(texts)
            return None if texts is None or len(got) < 4 else True

        waiting = asyncio.create_task(reader.until(step))
        for _ in range(2):  # 0.3 s for two arguments, though neither takes 0.2
            await asyncio.sleep(0)
            reader.feed(encode_str("A")[:8])
            await asyncio.sleep(0.15)
            reader.feed(b"A")
        await waiting
        return got

    assert [texts for texts in asyncio.run(run()) if texts] == [["A"], ["A"]]


def test_no_clock_runs_between_commands() -> None:
    async def run() -> bytes | None:
        reader = Reader(timeout=0.01)
        waiting = asyncio.create_task(reader.command())
        await asyncio.sleep(0)
        reader.feed(b"\x16")
        assert await waiting == b"\x16"
        text = asyncio.create_task(one(reader, TEXT))
        await asyncio.sleep(0)
        reader.feed(encode_str("A"))
        assert await text == "A"
        waiting = asyncio.create_task(reader.command())
        await asyncio.sleep(0.03)
        assert not waiting.done()
        reader.end()
        return await waiting

    assert asyncio.run(run()) is None


def test_a_large_argument_has_longer_and_a_small_one_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "RATE_MIN", LARGE / 60.0)

    async def late(size: int) -> bool:
        reader = Reader(timeout=0.01)
        reader.feed(u64(size))
        waiting = asyncio.create_task(one(reader, PAYLOAD))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        waiting.cancel()
        return bool(done) and isinstance(waiting.exception(), Late)

    assert asyncio.run(late(LARGE))
    assert not asyncio.run(late(LARGE + 1))


def test_nothing_is_left_on_the_clock_of_one_that_has_ended() -> None:
    async def run() -> None:
        reader = Reader()
        waiting = asyncio.create_task(reader.command(timeout=60.0))
        async with asyncio.timeout(10):
            while reader._timer is None:  # on a slow machine it gives others a turn before it waits
                await asyncio.sleep(0)
        reader.end()
        assert await waiting is None
        assert reader._timer is None

    asyncio.run(run())


# --- steps -----------------------------------------------------------------------------------------------------------


def test_a_step_is_taken_in_the_moment_in_which_its_last_byte_comes() -> None:
    async def run() -> None:
        reader = Reader()
        taken: list[Any] = []

        def step() -> bool | None:
            texts = reader.ready((TEXT, TEXT))
            if texts is not None:
                taken.append(texts)
            return None

        waiting = asyncio.create_task(reader.until(step))
        await asyncio.sleep(0)
        data = encode_str("A") + encode_str("B")
        for byte in data[:-1]:
            reader.feed(bytes([byte]))
        assert taken == []
        reader.feed(data[-1:] + data + data[:-1])  # the second one waits: this step takes one at a time
        assert taken == [["A", "B"]]
        reader.feed(data[-1:])
        assert taken == [["A", "B"]] * 2
        waiting.cancel()

    asyncio.run(run())


def test_what_a_step_raises_is_raised_where_it_is_waited_for() -> None:
    async def run() -> None:
        reader = Reader()

        def step() -> bool | None:
            if reader.next() is None:
                return None
            raise ZeroDivisionError

        waiting = asyncio.create_task(reader.until(step))
        await asyncio.sleep(0)
        reader.feed(b"\x16")
        reader.feed(b"\x17")
        with pytest.raises(ZeroDivisionError):
            await waiting
        assert await reader.command() == b"\x17"

    asyncio.run(run())


def test_no_step_is_taken_for_one_that_has_been_cancelled() -> None:
    async def run() -> bytes | None:
        reader = Reader()
        waiting = asyncio.create_task(reader.until(reader.next))
        await asyncio.sleep(0)
        waiting.cancel()
        reader.feed(b"\x16")
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await reader.command()

    assert asyncio.run(run()) == b"\x16"


def test_a_large_argument_is_put_together_once() -> None:
    """Not with every piece of it, which would cost the square of its length."""

    async def run() -> None:
        reader = Reader()
        waiting = asyncio.create_task(one(reader, Argument(1_000_000, bytes)))
        await asyncio.sleep(0)
        reader.feed(u64(1_000_000))
        for _ in range(99):
            reader.feed(b"x" * 10_000)
        assert len(reader._buffer) == 8
        reader.feed(b"x" * 10_000 + Command.COMPLETE)
        assert await waiting == b"x" * 1_000_000
        assert await reader.command() == Command.COMPLETE
        waiting_for_the_next = asyncio.create_task(reader.command())
        await asyncio.sleep(0)
        assert reader._buffer == b"", "a large argument is kept longer than it is needed"
        waiting_for_the_next.cancel()

    asyncio.run(run())


# --- how much is taken -----------------------------------------------------------------------------------------------


class Flow(asyncio.ReadTransport):
    """Notes whether it is held back."""

    held_back = False

    def pause_reading(self) -> None:
        assert not self.held_back
        self.held_back = True

    def resume_reading(self) -> None:
        assert self.held_back
        self.held_back = False


def test_a_client_that_runs_ahead_is_held_back_until_it_is_answered() -> None:
    async def run() -> None:
        flow = Flow()
        reader = Reader(flow)
        reader.feed(b"\x18" * AHEAD_MAX)
        assert not flow.held_back
        reader.feed(b"\x18")
        assert flow.held_back
        taken = 0

        def step() -> bool | None:
            nonlocal taken
            while reader.next():
                taken += 1
            return None

        waiting = asyncio.create_task(reader.until(step))
        await asyncio.sleep(0)
        assert (taken, flow.held_back) == (AHEAD_MAX + 1, False)
        waiting.cancel()

    asyncio.run(run())


def test_whoever_waits_for_a_large_argument_is_given_all_of_it() -> None:
    async def run() -> None:
        flow = Flow()
        reader = Reader(flow)
        waiting = asyncio.create_task(one(reader, Argument(10 * AHEAD_MAX, bytes)))
        await asyncio.sleep(0)
        data = encode_blob(b"x" * 10 * AHEAD_MAX)
        for start in range(0, len(data), LARGE):
            assert not flow.held_back
            reader.feed(data[start : start + LARGE])
        assert len(await waiting) == 10 * AHEAD_MAX

    asyncio.run(run())


def test_one_that_sends_what_means_nothing_is_read_and_forgotten() -> None:
    async def run() -> None:
        flow = Flow()
        reader = Reader(flow)
        waiting = asyncio.create_task(reader.until_gone())
        await asyncio.sleep(0)
        for _ in range(10):
            reader.feed(b"x" * AHEAD_MAX)
        assert (len(reader._buffer) - reader._at, reader._pieces, flow.held_back) == (0, [], False)
        assert not waiting.done()
        reader.end()
        await waiting

    asyncio.run(run())


def test_others_have_their_turn_between_commands_that_are_all_there() -> None:
    """A subscriber's acknowledgements, say: a megabyte of them that nobody asked for."""

    async def run() -> int:
        reader, turns, over = Reader(), 0, False

        async def others() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0)

        reader.feed(bytes(50_000))
        reader.end()
        waiting = asyncio.ensure_future(others())
        while await reader.command() is not None:
            pass
        over = True
        await waiting
        return turns

    began = time.monotonic()
    assert asyncio.run(run()) > (time.monotonic() - began) / (20 * TURN_S)
