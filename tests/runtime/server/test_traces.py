"""Profiling samples: numbered, bounded, and on their way from processes to those who watch."""

import asyncio
from typing import Any
from uuid import UUID, uuid1

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import (
    ProcessProfilingTraceBatch,
    ProfileChannelType,
    ProfilingStreamControl,
    ProfilingTraceSample,
    ProfilingTraceStreamBatch,
)
from ezmsg.core.netprotocol import Command
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.traces import TraceBuffer, Traces

from .conftest import all_of
from .raw import COMPLETE, Raw, RawProcess, pickled

FAST = 0.01


def sample(number: int) -> ProfilingTraceSample:
    shm = ProfileChannelType.SHM
    return ProfilingTraceSample(float(number), "endpoint", "topic", "metric", number / 2, shm, number)


def samples(first: int, last: int) -> list[ProfilingTraceSample]:
    return [sample(number) for number in range(first, last + 1)]


def batch(first: int, last: int) -> ProcessProfilingTraceBatch:
    return ProcessProfilingTraceBatch(UUID(int=1), 1, "self-reported", 9.0, samples(first, last))


def send(process: RawProcess, first: int, last: int) -> None:
    """Samples from a process; returns when they are in the server."""
    process.send(Command.PROCESS_PROFILING_TRACE_UPDATE, pickled(batch(first, last)))
    assert process.own() == COMPLETE


class RawTraces(Raw):
    def __init__(self, server: GraphServer, **control: Any) -> None:
        stream_control = ProfilingStreamControl(**{"interval": FAST, **control})
        super().__init__(server.address, Command.SESSION_PROFILING_SUBSCRIBE, pickled(stream_control))
        self.uuid = UUID(self.text())
        assert self.byte() == COMPLETE

    def next(self) -> dict[UUID, ProcessProfilingTraceBatch]:
        got = self.pickle()
        assert isinstance(got, ProfilingTraceStreamBatch)
        assert all(one.timestamp == got.timestamp for one in got.batches.values())
        return got.batches


# --- the buffer ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 7), max_size=20), st.integers(1, 6), st.lists(st.integers(1, 9), max_size=20))
def test_a_reader_gets_each_kept_sample_once(sizes: list[int], limit: int, reads: list[int]) -> None:
    buffer = TraceBuffer(limit)
    sent, at, numbers = 0, 0, iter(reads)
    for size in sizes:
        buffer.extend(samples(sent + 1, sent + size))
        sent += size
        most = next(numbers, 3)
        got, at_next = buffer.after(at, most)
        oldest = max(at, sent - limit)
        assert [one.sample_seq for one in got] == list(range(oldest + 1, min(oldest + most, sent) + 1))
        assert at_next == oldest + len(got)
        at = at_next


def test_samples_come_in_pieces_as_asked() -> None:
    traces = Traces()
    uuid = str(uuid1())
    traces.open(uuid)
    traces.add(uuid, batch(1, 10))
    read: dict[str, int] = {}
    control = ProfilingStreamControl(max_samples=4)
    pieces = [traces.collect(control, read).batches.get(UUID(uuid)) for _ in range(4)]
    assert [None if piece is None else len(piece.samples) for piece in pieces] == [4, 4, 2, None]


@pytest.mark.parametrize("most", [0, -3])
def test_at_least_one_sample_is_given(most: int) -> None:
    traces = Traces()
    uuid = str(uuid1())
    traces.open(uuid)
    traces.add(uuid, batch(1, 2))
    assert len(traces.collect(ProfilingStreamControl(max_samples=most), {}).batches[UUID(uuid)].samples) == 1


# --- the stream ------------------------------------------------------------------------------------------------------


def test_a_stream_begins_with_what_is_kept_and_goes_on(server: GraphServer) -> None:
    process = RawProcess(server.address)
    process.register("U", pid=77, host="there")
    send(process, 1, 3)
    stream = RawTraces(server)
    got = stream.next()[process.uuid]
    assert got.samples == samples(1, 3)
    assert (got.process_id, got.pid, got.host) == (process.uuid, 77, "there")
    send(process, 4, 5)
    assert stream.next()[process.uuid].samples == samples(4, 5)
    assert RawTraces(server).next()[process.uuid].samples == samples(1, 5)
    assert all_of(server, ev.CommandRejected) == []


def test_a_process_that_never_registered(server: GraphServer) -> None:
    process = RawProcess(server.address)
    send(process, 1, 1)
    got = RawTraces(server).next()[process.uuid]
    assert (got.pid, got.host) == (-1, "")


def test_nothing_is_sent_without_samples_unless_asked(server: GraphServer) -> None:
    process = RawProcess(server.address)
    assert RawTraces(server).is_silent()
    assert RawTraces(server, include_empty_batches=True).next()[process.uuid].samples == []


def test_only_the_processes_asked_for_in_order_and_each_once(server: GraphServer) -> None:
    processes = [RawProcess(server.address) for _ in range(3)]
    for process in processes:
        send(process, 1, 4)
    nobody = uuid1()
    wanted = [processes[2].uuid, processes[0].uuid, nobody, processes[0].uuid]
    stream = RawTraces(server, process_ids=wanted, max_samples=2, include_empty_batches=True)
    for expected in (samples(1, 2), samples(3, 4)):
        got = stream.next()
        assert list(got) == sorted({*wanted}, key=str)
        assert got[processes[0].uuid].samples == got[processes[2].uuid].samples == expected
        assert (got[nobody].pid, got[nobody].host, got[nobody].samples) == (-1, "", [])


def test_samples_go_with_their_process(server: GraphServer) -> None:
    process = RawProcess(server.address)
    send(process, 1, 4)
    process.end()
    assert RawTraces(server).is_silent()


@pytest.mark.parametrize("interval", [0, -1.0, float("nan"), float("inf"), 1e-300])
def test_an_interval_that_is_none_is_the_shortest(server: GraphServer, interval: float) -> None:
    process = RawProcess(server.address)
    send(process, 1, 1)
    assert RawTraces(server, interval=interval).next()[process.uuid].samples == samples(1, 1)


def test_bytes_on_the_stream_postpone_nothing(server: GraphServer) -> None:
    process = RawProcess(server.address)
    stream = RawTraces(server)
    stream.send(b"\x00" * 100)
    send(process, 1, 1)
    assert stream.next()[process.uuid].samples == samples(1, 1)
    stream.end()


def test_with_ezmsgs_context(server: GraphServer) -> None:
    process = RawProcess(server.address)
    send(process, 1, 2)

    async def run() -> None:
        async with GraphContext(server.address, auto_start=False) as context:
            stream: Any = context.subscribe_profiling_trace(ProfilingStreamControl(interval=FAST))
            got = await asyncio.wait_for(anext(stream), 5.0)
            assert got.batches[process.uuid].samples == samples(1, 2)
            await stream.aclose()

    asyncio.run(run())
