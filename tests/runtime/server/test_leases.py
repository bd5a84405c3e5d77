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
from ezmsg.ledger.runtime.server import leases as leases_module
from ezmsg.ledger.runtime.server.leases import BUFFERS_MAX, HEADER, SEGMENT_MAX, LeaseRefused, Leases
from ezmsg.ledger.runtime.server.server import GraphServer

from .conftest import all_of, recorded
from .examined import Examined
from .raw import COMPLETE, Raw, RawSession, text, u64

FOLDER = Path("/dev/shm")

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
    leases = Leases()
    name = leases.create(num_buffers, buf_size)
    segment, count = leases._segments[name]
    assert segment.buf is not None
    assert int.from_bytes(segment.buf[0:8], "little") == num_buffers
    effective = int.from_bytes(segment.buf[8:16], "little")
    assert effective == buf_size + HEADER * num_buffers
    assert segment.asked == num_buffers * effective  # type: ignore[attr-defined]
    assert count == 1
    leases.close()
    assert len(leases) == 0


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
        Leases().create(num_buffers, buf_size)


def test_more_than_is_free_is_refused_although_the_system_would_promise_it() -> None:
    free = os.statvfs(FOLDER)
    with pytest.raises(LeaseRefused, match="free"):
        Leases().create(1, free.f_bavail * free.f_frsize + 1)


def test_what_the_system_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(create: bool, size: int) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(leases_module, "SharedMemory", full)
    with pytest.raises(LeaseRefused, match="No space"):
        Leases().create(4, 1000)


def test_releasing_what_is_gone_does_nothing() -> None:
    leases = Leases()
    leases.release("psm_nothing")
    assert leases.attach("psm_nothing") is False


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
    assert time.monotonic() - began < 0.5


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
    assert [type(event) for event in all_of(server, ev.Event)] == [ev.ServerStarted]


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
