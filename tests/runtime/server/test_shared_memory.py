"""Shared-memory segments: made here for the clients of this host, counted, and unlinked with the last lease."""

import asyncio
import os
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server import shared_memory as leases_module
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.shared_memory import BUFFERS_MAX, HEADER, SEGMENT_MAX, LeaseRefused, Leases
from ezmsg.ledger.runtime.server.wire.admission import Admission, Limits

from .conftest import all_of, recorded
from .examined import Examined
from .raw import COMPLETE, Raw, RawSession, text, u64

FOLDER = Path("/dev/shm")
HERE = "127.0.0.1"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="segments are looked for in /dev/shm")


def create(server: GraphServer, num_buffers: int = 4, buf_size: int = 1000) -> tuple[Raw, str]:
    raw = Raw(server.address, Command.SHM_CREATE, u64(num_buffers), u64(buf_size))
    assert raw.byte() == COMPLETE
    return raw, raw.text()


def attach(server: GraphServer, name: str) -> Raw:
    raw = Raw(server.address, Command.SHM_ATTACH, text(name))
    assert raw.byte() == COMPLETE
    assert raw.text() == name
    return raw


# --- by themselves ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_buffers", "buf_size"), [(4, 1000), (1, 0), (1, 1), (32, 65536), (1024, 0)])
def test_the_geometry(num_buffers: int, buf_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "SharedMemory", _small)
    leases = Leases(Admission(Limits()))
    name = leases.create(num_buffers, buf_size, HERE)
    head = (FOLDER / name).read_bytes()[:16]
    assert int.from_bytes(head[:8], "little") == num_buffers
    effective = int.from_bytes(head[8:], "little")
    assert effective == buf_size + HEADER * num_buffers
    assert leases.bytes == leases._segments[name].memory.asked == num_buffers * effective  # type: ignore[attr-defined]
    assert leases._segments[name].leases == 1
    leases.close()
    assert len(leases) == leases.bytes == 0


class _small(SharedMemory):
    """A segment that notes the size it was asked for and takes little."""

    def __init__(self, create: bool, size: int) -> None:
        self.asked = size
        super().__init__(create=create, size=min(size, 4096))


@pytest.mark.parametrize(
    ("num_buffers", "buf_size"),
    [
        *[(0, 1000), (0, 0), (BUFFERS_MAX + 1, 1), (2**64 - 1, 1), (1, 2**64 - 1), (2**63, 2**63)],
        *[(1, SEGMENT_MAX), (32, SEGMENT_MAX // 32), (BUFFERS_MAX, 2**40)],
    ],
)
def test_a_size_beyond_the_limits_is_refused(num_buffers: int, buf_size: int) -> None:
    with pytest.raises(LeaseRefused):
        Leases(Admission(Limits())).create(num_buffers, buf_size, HERE)


def test_more_than_is_free_is_refused_although_the_system_would_promise_it() -> None:
    free = os.statvfs(FOLDER)
    with pytest.raises(LeaseRefused, match="free"):
        Leases(Admission(Limits())).create(1, free.f_bavail * free.f_frsize + 1, HERE)


def test_what_the_system_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(create: bool, size: int) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(leases_module, "SharedMemory", full)
    with pytest.raises(LeaseRefused, match="No space"):
        Leases(Admission(Limits())).create(4, 1000, HERE)


def test_releasing_what_is_gone_does_nothing() -> None:
    leases = Leases(Admission(Limits()))
    leases.release("psm_nothing")
    assert leases.attach("psm_nothing") is False


def test_the_segments_of_all_are_bounded_in_number_and_in_bytes() -> None:
    leases = Leases(Admission(Limits(segments=3, segment_bytes=10_000)))
    names = [leases.create(1, 1000 - HEADER, HERE) for _ in range(3)]
    with pytest.raises(LeaseRefused, match=r"there are 3 segments of 3000 bytes, and may be 3 of 10000; 17 bytes more"):
        leases.create(1, 1, HERE)
    leases.release(names[0])
    with pytest.raises(LeaseRefused, match="8001 bytes more do not fit"):
        leases.create(1, 8001 - HEADER, HERE)
    leases.create(1, 8000 - HEADER, HERE)
    assert leases.bytes == 10_000
    leases.close()


def test_the_segments_of_another_machine_are_bounded_by_themselves() -> None:
    leases = Leases(Admission(Limits(segments_per_host=2, segment_bytes_per_host=5000)))
    names = [leases.create(1, 1000, "10.0.0.7") for _ in range(2)]
    with pytest.raises(LeaseRefused, match=r"10\.0\.0\.7 has 2 segments of 2032 bytes"):
        leases.create(1, 1000, "10.0.0.7")
    leases.create(1, 1000, "10.0.0.8")
    for _ in range(3):
        leases.create(1, 1000, HERE)
    leases.release(names.pop())
    with pytest.raises(LeaseRefused):
        leases.create(1, 4000, "10.0.0.7")
    leases.create(1, 1000, "10.0.0.7")
    leases.close()
    assert (len(leases), leases.bytes) == (0, 0)
    assert not leases._of_host
    assert not leases._bytes_of_host


# --- at the socket ---------------------------------------------------------------------------------------------------


def test_a_segment_lives_as_long_as_its_leases(server: GraphServer) -> None:
    creator, name = create(server)
    assert (FOLDER / name).stat().st_size == 4 * (1000 + 4 * HEADER)
    assert (FOLDER / name).read_bytes()[:16] == u64(4) + u64(1064)
    assert not any((FOLDER / name).read_bytes()[16:]), "no buffer looks as if it had been written"
    attached = [attach(server, name) for _ in range(3)]
    creator.end()
    assert (FOLDER / name).exists()
    attached[0].reset()
    attached[1].end()
    late = attach(server, name)
    attached[2].end()
    assert (FOLDER / name).exists()
    late.end()
    assert not (FOLDER / name).exists()


def test_attaching_to_what_is_gone_is_an_end(server: GraphServer) -> None:
    creator, name = create(server)
    creator.end()
    for unknown in (name, "", "../../etc/passwd", "psm_unknown"):
        Raw(server.address, Command.SHM_ATTACH, text(unknown)).expect_eof()
    assert [event.arguments for event in all_of(server, ev.CommandRejected)] == [
        *(name, "", "../../etc/passwd", "psm_unknown"),
    ]
    again, other = create(server)
    assert other != name
    again.end()


@pytest.mark.parametrize(("num_buffers", "buf_size"), [(2**64 - 1, 2**64 - 1), (32, 2**40), (0, 0), (2**20, 2**20)])
def test_a_huge_segment_is_refused_and_the_server_goes_on(
    server: GraphServer, num_buffers: int, buf_size: int
) -> None:
    began = time.monotonic()
    raw = Raw(server.address, Command.SHM_CREATE, u64(num_buffers), u64(buf_size))
    raw.expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.command, event.reason, event.peer) == ("SHM_CREATE", "refused", raw.peer)
    assert RawSession(server.address).connect("A", "B") == COMPLETE
    assert time.monotonic() - began < 5.0


def test_what_a_lease_sends_means_nothing(server: GraphServer) -> None:
    creator, name = create(server)
    creator.send(b"\x00\x11" * 100)
    assert creator.is_silent()
    attach(server, name)


def test_stop_unlinks_whatever_is_held(server: GraphServer, examined: Examined) -> None:
    raws = [create(server) for _ in range(5)]
    extra = attach(server, raws[0][1])
    server.stop()
    assert len(examined.segments) == 5
    assert not any((FOLDER / name).exists() for _, name in raws)
    for raw in (*(raw for raw, _ in raws), extra):
        raw.expect_eof()


def test_a_segment_that_somebody_removed_harms_no_other(server: GraphServer) -> None:
    (first, gone), (_, second), (_, third) = create(server), create(server), create(server)
    (FOLDER / gone).unlink()
    first.end()
    (FOLDER / second).unlink()
    server.stop()
    assert not (FOLDER / third).exists()


def test_leases_are_not_recorded(server: GraphServer) -> None:
    creator, name = create(server)
    attach(server, name).end()
    creator.end()
    assert [type(event) for event in all_of(server, ev.Event)] == [ev.ClockRead, ev.ServerStarted]


def test_with_ezmsgs_client(server: GraphServer) -> None:
    async def run() -> None:
        service = GraphService(server.address)
        written = await service.create_shm(4, 1000)
        read = await service.attach_shm(written.name)
        assert written.size >= 1000
        assert (read.num_buffers, read.buf_size) == (4, 1064)
        with written.buffer(2) as buffer:
            buffer[:5] = b"hello"
        with read.buffer(2, readonly=True) as buffer:
            assert bytes(buffer[:5]) == b"hello"
        with pytest.raises(ValueError, match="Invalid SHM"):
            await service.attach_shm("psm_unknown")
        with pytest.raises(ValueError, match="Error creating"):
            await service.create_shm(2**40, 2**40)
        await asyncio.to_thread(server.stop)
        await asyncio.wait_for(read._graph_task, 0.1)
        await asyncio.wait_for(written._graph_task, 0.1)
        for context in (written, read):
            with pytest.raises(BufferError, match="disconnected"), context.buffer(0):
                pass

    asyncio.run(run())
