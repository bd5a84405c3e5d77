"""The wire primitives: what is written, what is read, and what is refused."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid1

import pytest
from ezmsg.core import netprotocol
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.server import wire
from ezmsg.ledger.runtime.server.wire import (
    ADDRESS,
    NUMBER,
    PAYLOAD,
    SECONDS,
    TEXT,
    TEXT_MAX,
    U64,
    Address,
    BadText,
    Command,
    Late,
    Malformed,
    Reader,
    TooLong,
    Truncated,
    WireError,
    command_name,
    encode_blob,
    encode_str,
    encode_u64,
)


def read(data: bytes, act: Callable[[Reader], Awaitable[Any]], *, eof: bool = True, timeout: float = 5.0) -> Any:
    """What ``act`` returns on a reader that has been given ``data``."""

    async def run() -> Any:
        stream = asyncio.StreamReader()
        stream.feed_data(data)
        if eof:
            stream.feed_eof()
        return await act(Reader(stream, timeout))

    return asyncio.run(run())


def test_the_command_bytes_are_ezmsgs() -> None:
    theirs = {command.name: command.value for command in netprotocol.Command}
    ours = {name: value for name, value in vars(Command).items() if isinstance(value, bytes)}
    assert ours.pop("PRIVATE") == b"\xf0"
    assert ours == {name: theirs[name] for name in ours}
    data_plane = {"TX_LOCAL", "TX_SHM", "TX_TCP", "RX_ACK", "SHM_OK", "SHM_ATTACH_FAILED"}
    assert theirs.keys() - ours.keys() == data_plane


def test_commands_have_names() -> None:
    assert command_name(Command.SESSION_CONNECT) == "SESSION_CONNECT"
    assert command_name(b"\x2a") == "0x2a"


@given(st.text().filter(lambda text: text.isprintable() or text.isascii()), st.integers(0, 2**64 - 1))
def test_what_is_written_is_what_ezmsg_writes(text: str, number: int) -> None:
    assert encode_str(text) == netprotocol.encode_str(text)
    assert encode_u64(number) == netprotocol.uint64_to_bytes(number)


def test_a_command_and_its_arguments() -> None:
    async def act(reader: Reader) -> list[Any]:
        return [await reader.command(), await reader.texts(2), await reader.command(), await reader.command()]

    data = Command.SESSION_CONNECT + encode_str("A/OUT") + encode_str("Bé/IN") + Command.SESSION_CLEAR
    assert read(data, act) == [b"\x16", ["A/OUT", "Bé/IN"], b"\x18", None]


def test_every_kind_of_argument() -> None:
    uuid = uuid1()

    async def act(reader: Reader) -> list[Any]:
        await reader.command()
        return [
            await reader.u64(),
            await reader.integers(2),
            await reader.text(),
            await reader.blob(10),
            await reader.uuid(),
            await reader.address(),
            await reader.arguments(NUMBER, SECONDS, PAYLOAD, U64),
        ]

    data = (
        b"\x00"
        + encode_u64(2**64 - 1)
        + encode_u64(4)
        + encode_u64(65536)
        + encode_str("")
        + encode_blob(b"\x80\x04N.")
        + encode_str(str(uuid))
        + encode_str("127.0.0.1:25978")
        + encode_str("-3")
        + encode_str("0.25")
        + encode_blob(b"")
        + encode_u64(7)
    )
    address = Address("127.0.0.1", 25978)
    assert read(data, act) == [
        2**64 - 1, [4, 65536], "", b"\x80\x04N.", UUID(str(uuid)), address, [-3, 0.25, b"", 7],
    ]  # fmt: skip
    assert str(address) == "127.0.0.1:25978"


@given(st.lists(st.binary(max_size=300), max_size=20), st.data())
def test_arguments_arrive_whole_however_they_are_cut(blobs: list[bytes], data: st.DataObject) -> None:
    stream_bytes = b"\x19" + b"".join(map(encode_blob, blobs))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream_bytes)), max_size=8)))

    async def run() -> list[bytes]:
        stream = asyncio.StreamReader()

        async def feed() -> None:
            for start, end in zip([0, *cuts], [*cuts, len(stream_bytes)], strict=True):
                stream.feed_data(stream_bytes[start:end])
                await asyncio.sleep(0)
            stream.feed_eof()

        feeding = asyncio.create_task(feed())
        reader = Reader(stream)
        assert await reader.command() == b"\x19"
        got = [await reader.blob(300) for _ in blobs]
        assert await reader.command() is None
        await feeding
        return got

    assert asyncio.run(run()) == blobs


# --- what is refused -------------------------------------------------------------------------------------------------


def test_the_errors_are_one_tree() -> None:
    assert issubclass(WireError, Malformed)
    assert issubclass(Malformed, LedgerError)
    for error in (Truncated, TooLong, BadText, Late):
        assert issubclass(error, WireError)
    assert (Truncated("").in_sync, Late("").in_sync, BadText("").in_sync) == (False, False, True)


@pytest.mark.parametrize("cut", range(1, 8 + 5))
def test_an_end_inside_an_argument(cut: int) -> None:
    with pytest.raises(Truncated):
        read(encode_str("hello")[:cut], lambda reader: reader.text())


def test_no_byte_is_no_error_but_the_end() -> None:
    assert read(b"", lambda reader: reader.command()) is None


@pytest.mark.parametrize("size", [wire.SKIP_MAX + 1, 2**63, 2**64 - 1])
def test_an_enormous_length_is_never_believed(size: int) -> None:
    with pytest.raises(TooLong) as caught:
        read(struct.pack("<Q", size) + b"x" * 100, lambda reader: reader.blob(1000), eof=False)
    assert not caught.value.in_sync
    assert str(size) in str(caught.value)


def test_a_length_just_beyond_the_bound_is_skipped_and_the_stream_goes_on() -> None:
    async def act(reader: Reader) -> list[Any]:
        with pytest.raises(TooLong) as caught:
            await reader.text()
        return [caught.value.in_sync, await reader.command()]

    assert read(encode_str("x" * (TEXT_MAX + 1)) + Command.SESSION_CLEAR, act) == [True, Command.SESSION_CLEAR]


def test_a_skipped_argument_larger_than_all_buffers() -> None:
    async def run() -> bytes | None:
        stream = asyncio.StreamReader()

        async def feed() -> None:
            stream.feed_data(encode_u64(3_000_000))
            for _ in range(30):
                stream.feed_data(b"x" * 100_000)
                await asyncio.sleep(0)
            stream.feed_data(Command.COMPLETE)

        feeding = asyncio.create_task(feed())
        reader = Reader(stream)
        with pytest.raises(TooLong):
            await reader.blob(1000)
        await feeding
        return await reader.command()

    assert asyncio.run(run()) == Command.COMPLETE


def test_an_end_inside_a_skipped_argument() -> None:
    with pytest.raises(Truncated):
        read(encode_u64(5000) + b"x" * 10, lambda reader: reader.blob(1000))


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
        (wire.UUID_TEXT, b"not-a-uuid"),
        (wire.UUID_TEXT, b""),
    ],
)
def test_a_bad_text_leaves_the_stream_in_step(kind: wire.Argument, text: bytes) -> None:
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
    assert read(encode_str(f"h:{port}"), lambda reader: reader.address()) == Address("h", port)


# --- time ------------------------------------------------------------------------------------------------------------


def test_arguments_that_do_not_come_are_late() -> None:
    async def act(reader: Reader) -> None:
        await reader.command()
        await reader.texts(2)

    with pytest.raises(Late):
        read(b"\x16" + encode_str("A"), act, eof=False, timeout=0.02)


def test_one_clock_runs_for_all_arguments_of_a_command() -> None:
    async def run() -> float:
        stream = asyncio.StreamReader()
        stream.feed_data(b"\x16")
        reader = Reader(stream, timeout=0.1)
        await reader.command()
        started = asyncio.get_running_loop().time()

        async def trickle() -> None:
            for byte in encode_str("x" * 1000):
                stream.feed_data(bytes([byte]))
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        with pytest.raises(Late):
            await reader.text()
        trickling.cancel()
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(run()) < 2.0


def test_a_timeout_of_its_own_takes_the_place_of_the_commands() -> None:
    async def act(reader: Reader) -> None:
        await reader.command()
        await reader.address(timeout=0.01)

    with pytest.raises(Late):
        read(b"\x01", act, eof=False, timeout=60.0)


def test_an_opener_may_be_waited_for_a_while_and_not_lost() -> None:
    async def run() -> bytes | None:
        stream = asyncio.StreamReader()
        reader = Reader(stream)
        with pytest.raises(Late):
            await reader.command(timeout=0.01)
        stream.feed_data(Command.SESSION)
        return await reader.command(timeout=1.0)

    assert asyncio.run(run()) == Command.SESSION


def test_a_cancelled_command_loses_nothing() -> None:
    async def run() -> list[Any]:
        stream = asyncio.StreamReader()
        reader = Reader(stream)
        waiting = asyncio.create_task(reader.command())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        stream.feed_data(Command.SESSION_CONNECT + encode_str("A"))
        return [await reader.command(), await reader.text()]

    assert asyncio.run(run()) == [Command.SESSION_CONNECT, "A"]


def test_a_reset_is_passed_on_as_it_is() -> None:
    async def run() -> None:
        stream = asyncio.StreamReader()
        stream.set_exception(ConnectionResetError("gone"))
        with pytest.raises(ConnectionResetError):
            await Reader(stream).command()

    asyncio.run(run())
