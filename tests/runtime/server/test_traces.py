"""Profiling samples: numbered, bounded, and on their way from processes to those who watch."""

import asyncio
import pickle
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
from ezmsg.ledger.runtime.server import traces as traces_module
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.traces import TraceBuffer, Traces, TraceStream
from ezmsg.ledger.runtime.server.wire.protocol import Malformed

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


class Fed:
    """Traces of one process."""

    def __init__(self, *numbers: tuple[int, int]) -> None:
        self.uuid = str(uuid1())
        self.refused: list[str] = []
        self.traces = Traces()
        self.traces.open(self.uuid)
        self.add(*numbers)

    def add(self, *numbers: tuple[int, int]) -> None:
        for first, last in numbers:
            self.traces.add(self.uuid, pickle.dumps(batch(first, last)), self.refused.append)

    def collect(self, stream: TraceStream, times: int = 1) -> list[list[int]]:
        """The numbers of the samples in each of the next batches."""
        collected = [asyncio.run(stream.collect()).batches.get(UUID(self.uuid)) for _ in range(times)]
        return [[] if one is None else [sample.sample_seq for sample in one.samples] for one in collected]


def test_samples_come_in_pieces_as_asked() -> None:
    fed = Fed((1, 10))
    stream = fed.traces.stream(ProfilingStreamControl(max_samples=4))
    assert fed.collect(stream, 4) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10], []]


def test_nothing_is_opened_before_somebody_reads_and_one_batch_at_a_time_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[int] = []
    load = traces_module.load
    monkeypatch.setattr(traces_module, "load", lambda data, kind: opened.append(len(data)) or load(data, kind))
    fed = Fed((1, 2), (3, 3), (4, 1004))
    assert opened == []
    stream = fed.traces.stream(ProfilingStreamControl(max_samples=2000))
    assert fed.collect(stream, 2) == [[1, 2], [3]]
    assert len(opened) == 2
    assert fed.collect(fed.traces.stream(ProfilingStreamControl())) == [[1, 2, 3]]
    assert len(opened) == 2, "what one stream had opened serves the others"
    assert fed.collect(stream) == [list(range(4, 1005))], "a large one is opened beside the event loop"


def test_what_nobody_reads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(pickle.dumps(batch(1, 5))) + traces_module.UNOPENED_EXTRA
    monkeypatch.setattr(traces_module, "UNOPENED_BYTES", 3 * size + size // 2)
    fed = Fed(*((1, 5) for _ in range(20)), (6, 10))
    trace = fed.traces.connected[fed.uuid]
    assert (len(trace._unopened), trace.bytes) == (3, 3 * size)
    assert fed.collect(fed.traces.stream(ProfilingStreamControl()), 4) == [
        *([[1, 2, 3, 4, 5]] * 2), [6, 7, 8, 9, 10], []
    ]  # fmt: skip


def test_what_nobody_reads_of_many_processes_is_bounded_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(pickle.dumps(batch(1, 5))) + traces_module.UNOPENED_EXTRA
    monkeypatch.setattr(traces_module, "UNOPENED_ALL", 8 * size)
    fed = Fed(*((1, 5) for _ in range(4)))
    more = [str(uuid1()) for _ in range(3)]
    for uuid in more:
        fed.traces.open(uuid)
    stream = fed.traces.stream(ProfilingStreamControl())
    for _ in range(4):
        fed.traces.add(more[0], pickle.dumps(batch(1, 5)), fed.refused.append)
    fed.traces.add(more[1], pickle.dumps(batch(1, 5)), fed.refused.append)
    fed.traces.close(more[0])
    fed.traces.tend()
    kept = [*fed.traces.connected.values(), *stream.left]
    assert [trace.bytes for trace in kept] == [2 * size, size, 0, 2 * size]


def test_a_stream_that_is_not_read_keeps_little_of_processes_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces_module, "LEFT_MAX", 3)
    traces = Traces()
    stream = traces.stream(ProfilingStreamControl())
    asyncio.run(stream.collect())
    for number in range(10):
        uuid = str(UUID(int=number))
        traces.open(uuid)
        traces.add(uuid, pickle.dumps(batch(number, number)), print)
        traces.close(uuid)
    assert [one.samples for one in asyncio.run(stream.collect()).batches.values()] == [
        samples(number, number) for number in (7, 8, 9)
    ]
    assert (stream._left, stream._read) == ({}, {})


def test_nothing_is_kept_of_processes_that_were_read_to_the_end() -> None:
    traces = Traces()
    stream = traces.stream(ProfilingStreamControl())
    for _ in range(10):
        uuid = str(uuid1())
        traces.open(uuid)
        traces.add(uuid, pickle.dumps(batch(1, 1)), print)
        assert len(asyncio.run(stream.collect()).batches) == 1
        traces.close(uuid)
    assert (stream._left, stream._read) == ({}, {})


def test_what_turns_out_to_be_no_batch_is_refused_then_and_the_rest_is_read() -> None:
    fed = Fed((1, 1))
    odd = batch(2, 2)
    odd.samples = "none"  # type: ignore[assignment]
    fed.traces.add(fed.uuid, pickle.dumps(odd), fed.refused.append)
    fed.add((3, 3))
    with pytest.raises(Malformed):
        fed.traces.add(fed.uuid, pickle.dumps(["something else"]), fed.refused.append)
    assert fed.collect(fed.traces.stream(ProfilingStreamControl()), 3) == [[1], [], [3]]
    assert len(fed.refused) == 1


def test_a_stream_reads_what_a_process_left_and_then_nothing_is_kept() -> None:
    fed = Fed((1, 4), (5, 5))
    running = [fed.traces.stream(ProfilingStreamControl(max_samples=3, include_empty_batches=True)) for _ in range(2)]
    assert fed.collect(running[0]) == [[1, 2, 3]]
    elsewhere = fed.traces.stream(ProfilingStreamControl(process_ids=[uuid1()]))
    fed.traces.close(fed.uuid)
    late = fed.traces.stream(ProfilingStreamControl())
    assert fed.collect(running[0], 3) == [[4], [5], []]
    assert fed.collect(running[1], 3) == [[1, 2, 3], [4, 5], []]
    assert fed.collect(late) == fed.collect(elsewhere) == [[]]
    assert not any(stream._left for stream in fed.traces.streams)
    assert asyncio.run(running[0].collect()).batches == {}, "one that has ended and is read is no empty batch"


@pytest.mark.parametrize("most", [0, -3])
def test_at_least_one_sample_is_given(most: int) -> None:
    fed = Fed((1, 2))
    assert fed.collect(fed.traces.stream(ProfilingStreamControl(max_samples=most))) == [[1]]


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


def test_samples_go_with_their_process_but_for_those_who_read_already(server: GraphServer) -> None:
    """Stock loses what a stream has not had by then."""
    process = RawProcess(server.address)
    stream = RawTraces(server, interval=0.1)
    send(process, 1, 4)
    process.end()
    assert RawTraces(server).is_silent(0.03)
    assert stream.next()[process.uuid].samples == samples(1, 4)
    assert stream.is_silent(0.15)


@pytest.mark.parametrize("interval", [0, -1.0, float("nan"), float("inf"), 1e-300])
def test_an_interval_that_is_none_is_the_shortest(server: GraphServer, interval: float) -> None:
    process = RawProcess(server.address)
    send(process, 1, 1)
    assert RawTraces(server, interval=interval).next()[process.uuid].samples == samples(1, 1)


def test_a_stream_of_very_many_processes_is_refused(server: GraphServer) -> None:
    """It would go through all of them a hundred times a second."""
    control = ProfilingStreamControl(interval=FAST, process_ids=[uuid1() for _ in range(10_000)])
    Raw(server.address, Command.SESSION_PROFILING_SUBSCRIBE, pickled(control)).expect_eof()
    assert [event.reason for event in all_of(server, ev.CommandRejected)] == ["malformed"]
    RawTraces(server, process_ids=[uuid1() for _ in range(1000)])


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
