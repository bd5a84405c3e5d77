"""The pipeline never stops because the ledger cannot be written, and the ledger makes up for it afterwards."""

import asyncio
import errno
import os
import pickle
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from ezmsg.core.graphcontext import GraphContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent, LedgerError, WriteFailed
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.views.feed_entries import TopologyChanged
from ezmsg.ledger.runtime import GraphServer, LiveGraph, spool
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server import feed_history as history_module
from ezmsg.ledger.runtime.server.feed_history import History
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.tools.commands.record.status import lines as status_lines

from .conftest import fill

PATIENCE_S = 10.0


class FailingSyncs(Disk):
    """A real disk whose syncs fail while ``broken``."""

    broken = False

    def sync(self, handle: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(handle)


@pytest.fixture(autouse=True)
def try_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RETRY_S", 0.02)


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE_S} s it is still not so that {what}"
        await asyncio.sleep(0.01)


def drive(server: GraphServer, story: Callable[[GraphContext], Awaitable[None]]) -> None:
    """Run ``story`` with a real client, while a real publisher and subscriber exchange messages before and after."""

    async def main() -> None:
        async with GraphContext(server.address) as context:
            await context.connect("PUB", "SUB")
            publisher, subscriber = await context.publisher("PUB"), await context.subscriber("SUB")
            await publisher.broadcast("before")
            assert await asyncio.wait_for(subscriber.recv(), PATIENCE_S) == "before"
            await story(context)
            await publisher.broadcast("after")
            assert await asyncio.wait_for(subscriber.recv(), PATIENCE_S) == "after"

    asyncio.run(main())


def end(server: GraphServer) -> tuple[GraphState, list[object]]:
    """Stop; check that the replay of the file is what was lived; returns the state and the events."""
    assert server.live is not None
    server.stop()
    with Ledger.open(server.live.ledger.location, "r") as ledger:
        replayed = fold(ledger.read(), GraphState())
        events: list[object] = list(ledger.entries())
        assert ledger.verify().sound
    assert replayed.digest() == server.live.state.digest()
    server.live.check()
    return replayed, events


def gaps(events: list[object]) -> list[ev.Gap]:
    return [event for event in events if isinstance(event, ev.Gap)]


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_a_full_disk_makes_events_late_and_loses_none(
    small_disk: Path, durability: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = GraphServer(small_disk / "run.ledger", durability=durability)
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None

    async def story(context: GraphContext) -> None:
        fill(small_disk / "ballast")
        for number in range(50):
            await context.connect(f"A{number}", f"B{number}")
        await until(lambda: live.degraded is not None, "the server has noticed")
        assert live.degraded is not None
        assert live.degraded.waiting > 0
        assert len((await context.snapshot()).edge_owners) == 51
        (small_disk / "ballast").unlink()
        await until(lambda: live.degraded is None, "it records again")

    drive(server, story)
    _, events = end(server)
    [gap] = gaps(events)
    assert gap.lost == 0
    assert gap.late == gap.last - gap.first + 1 > 0
    assert "No space left" in gap.reason
    assert [event.seq for event in events] == list(range(1, len(events) + 1))  # type: ignore[attr-defined]
    connected = [event for event in events if isinstance(event, ev.EdgeConnected)]
    assert len(connected) == 51
    said = [record.message for record in caplog.records if record.message.startswith("CANNOT RECORD")]
    assert len(said) == 1, "said loudly, and once"


def test_when_too_much_waits_the_gap_says_what_is_lost_and_the_state_is_whole_again(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "QUEUE_MAX", 4096)
    server = GraphServer(small_disk / "run.ledger")
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None

    async def story(context: GraphContext) -> None:
        fill(small_disk / "ballast")
        while live.degraded is None:  # the last page of the file may still have room
            await context.connect("FILLER", f"F{live.state.seq}")
        other = GraphContext(server.address)
        await other.__aenter__()
        for number in range(100):
            await other.connect(f"A{number}", f"B{number}")
        await until(lambda: live.degraded is not None and live.degraded.lost, "events were dropped")
        (small_disk / "ballast").unlink()
        await until(lambda: live.degraded is None, "it records again")
        # a session that was opened by a lost event has another id now, and goes on as if nothing had been
        await other.disconnect("A0", "B0")
        await other.connect("A1", "B2")
        assert {("A1", "B1"), ("A1", "B2"), ("A99", "B99")} <= set((await context.snapshot()).edge_owners)
        assert ("A0", "B0") not in (await context.snapshot()).edge_owners
        await other.__aexit__(None, None, None)

    drive(server, story)
    _, events = end(server)
    [gap] = gaps(events)
    assert gap.lost > 0
    assert gap.seq == gap.last + 1  # type: ignore[attr-defined]
    observed = [event for event in events if getattr(event, "observed", False)]
    assert [event for event in observed if isinstance(event, ev.SessionOpened)]
    assert len([event for event in observed if isinstance(event, ev.EdgeConnected)]) >= 90


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_a_disk_that_does_not_sync_any_more(tmp_path: Path, durability: str) -> None:
    disk = FailingSyncs()
    ledger = Ledger.open(tmp_path / "run.ledger", durability=durability, disk=disk)  # type: ignore[arg-type]
    server = GraphServer(ledger)
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None

    async def story(context: GraphContext) -> None:
        disk.broken = True
        for number in range(20):
            await context.connect(f"A{number}", f"B{number}")
        await until(lambda: live.degraded is not None, "the server has noticed")
        await context.connect("C", "D")
        disk.broken = False
        await until(lambda: live.degraded is None, "it records again")
        await context.connect("E", "F")

    drive(server, story)
    _, events = end(server)
    connected = {event.from_topic for event in events if isinstance(event, ev.EdgeConnected)}
    assert connected == {"PUB", "C", "E", *(f"A{number}" for number in range(20))}
    assert all(gap.lost == 0 for gap in gaps(events))
    assert gaps(events)
    live.ledger.close()


def test_a_sync_that_failed_and_was_made_good_ends_it_without_another_event(tmp_path: Path) -> None:
    """All that waited is in the file already, so that nothing is written late: an idle server is well again, too."""
    disk = FailingSyncs()
    live = LiveGraph(Ledger.open(tmp_path / "run.ledger", disk=disk), served=True)
    live.ledger.sync()
    disk.broken = True
    live.connect("A", "B")
    with pytest.raises(WriteFailed):
        live.ledger.wait_durable(live.ledger.head, PATIENCE_S)
    live.tend()
    assert live.degraded is not None
    live.tend(at_once=True)
    assert live.degraded is not None, "the disk does not sync yet"
    disk.broken = False
    live.tend(at_once=True)
    assert live.degraded is None
    live.close()
    live.ledger.close()
    with Ledger.open(tmp_path / "run.ledger", "r") as ledger:
        assert not gaps(list(ledger.entries()))
        assert fold(ledger.read(), GraphState()).digest() == live.state.digest()


class FullDisk(Disk):
    """A real disk that takes no write of more than ``room`` bytes while ``full``; it counts what is read."""

    full = False
    room = 0
    reads = 0

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        if self.full and len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(handle, data, offset)

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        self.reads += 1
        return super().read_into(handle, view, offset)


def lost_while_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LiveGraph, FullDisk, int]:
    """A graph whose newest session was opened by an event that is lost, on a disk that is still full."""
    monkeypatch.setattr(spool, "QUEUE_MAX", 1)
    disk = FullDisk()
    live = LiveGraph(Ledger.open(tmp_path / "run.ledger", disk=disk), served=True)
    disk.full = True
    session = live.open_session()
    live.connect("A", "B", session)
    return live, disk, session


def test_attempts_that_fail_change_nothing_for_those_who_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, disk, session = lost_while_full(tmp_path, monkeypatch)
    for number in range(3):
        live.tend(at_once=True)  # in vain
        assert live.degraded is not None
        assert live.is_open(session)
        assert live.connect("B", f"C{number}", session) == (f"C{number}",)
        live.check()
    disk.full = False
    live.tend(at_once=True)
    assert live.degraded is None
    assert live.disconnect("A", "B", session) == ("B",)
    live.close_session(session)
    live.check()
    assert fold(live.ledger.read(), GraphState()).digest() == live.state.digest()
    live.close()
    live.ledger.close()


def test_an_attempt_in_vain_does_not_replay_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, disk, session = lost_while_full(tmp_path, monkeypatch)
    size = os.path.getsize(live.ledger.location)
    before = disk.reads
    live.tend(at_once=True)
    assert disk.reads == before, "a full disk is noticed before anything is read"

    disk.room = 100  # less than what makes up for the loss: that shows once, and is remembered
    live.tend(at_once=True)
    assert disk.reads > before
    before = disk.reads
    for _ in range(3):
        live.tend(at_once=True)
    assert disk.reads == before
    assert os.path.getsize(live.ledger.location) == size, "nothing stays of an attempt"

    disk.room = 100_000
    live.tend(at_once=True)
    assert live.degraded is None
    live.close_session(session)
    live.close()
    live.ledger.close()


async def told(history: History, number: int) -> list[tuple[int, list[str]]]:
    """Number and topics of each entry of the topology feed after ``number``."""
    found: list[tuple[int, list[str]]] = []
    while (chunk := await history.after(TopologyChanged, number)) is not None:
        entries = [pickle.loads(each) for each in chunk.pickles(number)]
        found += [(entry.seq, entry.changed_topics) for entry in entries]
        number = chunk.last
    return found


@pytest.mark.parametrize("kept", [1, 4096], ids=["from the log", "from memory"])
def test_the_feeds_go_on_with_what_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(spool, "RETRY_S", 0.0)
    monkeypatch.setattr(history_module, "RECENT_ENTRIES", kept)
    disk = FullDisk()
    live = LiveGraph(Ledger.open(tmp_path / "run.ledger", disk=disk), served=True)

    async def story() -> None:
        history = History(live)
        with history.reading():
            live.connect("A", "1")
            assert await told(history, 0) == [(1, ["1"])]
            disk.full = True
            for number in range(2, 50):
                live.connect("A", f"{number}")
            everything = [(number, [f"{number}"]) for number in range(1, 50)]
            assert live.degraded is not None
            assert await told(history, 0) == everything
            assert await told(history, 30) == everything[30:]
            disk.full = False
            live.tend(at_once=True)
            live.connect("A", "50")
            assert await told(history, 0) == [*everything, (50, ["50"])]

    asyncio.run(story())
    live.close()
    live.ledger.close()


def test_after_an_attempt_that_took_long_the_next_one_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, disk, _ = lost_while_full(tmp_path, monkeypatch)
    now = float(int(time.monotonic()) + 100)  # whole seconds: sums of others are a little more or less than they say
    monkeypatch.setattr(time, "monotonic", lambda: now)
    probe = live.ledger.probe

    def slow_probe(size: int) -> None:
        nonlocal now
        now += 7.0
        probe(size)

    monkeypatch.setattr(live.ledger, "probe", slow_probe)
    live.tend()
    disk.full = False
    now += 7.0 * spool.RETRY_SHARE - 1.0
    live.tend()
    assert live.degraded is not None
    now += 1.0
    live.tend()
    assert live.degraded is None
    live.close()
    live.ledger.close()


def test_the_feeds_go_on_truthfully_over_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RETRY_S", 0.0)
    monkeypatch.setattr(history_module, "RECENT_ENTRIES", 1)
    disk = FullDisk()
    live = LiveGraph(Ledger.open(tmp_path / "run.ledger", disk=disk), served=True)

    async def story() -> None:
        history = History(live)
        with history.reading():
            live.connect("A", "1")
            disk.full = True
            live.connect("A", "2")
            assert await told(history, 0) == [(1, ["1"]), (2, ["2"])], "a replay has folded what will be lost"
            monkeypatch.setattr(spool, "QUEUE_MAX", 1)
            live.connect("A", "3")
            live.disconnect("A", "1")
            assert await told(history, 3) == [(4, ["1"])], "who keeps up hears of it all the same"
            assert await told(history, 2) == [], "who does not has to wait"
            disk.full = False
            live.tend(at_once=True)
            live.connect("A", "5")
            # 2 to 4 are lost: then A -> 1 went, A -> 2 and A -> 3 came, as far as the ledger can tell
            expected = [(1, ["1"]), (5, ["1"]), (6, ["2"]), (7, ["3"]), (8, ["5"])]
            assert await told(history, 0) == expected
            assert await told(history, 2) == await told(history, 4) == expected[1:]

    asyncio.run(story())
    live.close()
    live.ledger.close()


@pytest.mark.parametrize("dropped", [False, True])
def test_a_server_that_stops_tries_a_last_time(
    tmp_path: Path, dropped: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spool, "RETRY_S", 3600.0)
    monkeypatch.setattr(spool, "QUEUE_MAX", 1 if dropped else 2**20)
    disk = FullDisk()
    ledger = Ledger.open(tmp_path / "run.ledger", disk=disk)
    server = GraphServer(ledger)
    server.start(("127.0.0.1", 0))

    async def story(context: GraphContext) -> None:
        disk.full = True
        await context.connect("A", "B")
        disk.full = False

    drive(server, story)
    _, events = end(server)
    [gap] = gaps(events)
    assert (gap.lost > 0) == dropped
    assert isinstance(events[-1], ev.ServerStopped)
    assert "COULD NOT BE WRITTEN" not in caplog.text
    ledger.close()


def test_a_server_that_stops_and_still_cannot_write_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk()
    ledger = Ledger.open(tmp_path / "run.ledger", disk=disk)
    server = GraphServer(ledger)
    server.start(("127.0.0.1", 0))

    async def story(context: GraphContext) -> None:
        await context.connect("A", "B")
        disk.full = True
        await context.connect("C", "D")

    drive(server, story)
    server.stop()
    assert server.live is not None
    [said] = [record.message for record in caplog.records if "STOPPED WHILE IT COULD NOT BE WRITTEN" in record.message]
    assert f"The last {server.live.state.seq - ledger.head} events are LOST." in said
    ledger.close()
    disk.full = False
    with Ledger.open(tmp_path / "run.ledger") as ledger:  # the next run knows that this one did not end
        live = LiveGraph(ledger, served=True)
        assert [type(event) for event in ledger.entries()][-3:] == [ev.ServerLost, ev.ClockRead, ev.ServerStarted]
        live.check()
        live.close()


    live.close()
    live.ledger.close()


def test_what_was_written_between_two_failures_no_longer_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes a little at each attempt keeps up for ever: nothing is ever dropped."""
    monkeypatch.setattr(spool, "QUEUE_MAX", 4096)

    class Narrow(FullDisk):
        left = 10**9

        def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
            self.left -= len(data)
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(handle, data, offset)

    disk = Narrow()
    live = LiveGraph(Ledger.open(tmp_path / "run.ledger", disk=disk), served=True)
    disk.left = 0
    for number in range(60):
        live.connect("A", f"B{number}")
        disk.left = 400 if number >= 5 else 0  # the probe, and one event
        live.tend(at_once=True)
        assert live.degraded is not None
        assert (live.degraded.waiting, live.degraded.lost) == (min(number + 1, 5), False)
    disk.left = 10**9
    live.tend(at_once=True)
    live.close()
    live.ledger.close()
    with Ledger.open(tmp_path / "run.ledger", "r") as reader:
        assert all(event.lost == 0 for event in reader.entries() if isinstance(event, ev.Gap))
        assert sum(isinstance(event, ev.EdgeConnected) for event in reader.entries()) == 60


def test_what_could_never_be_stored_is_refused_at_once_and_does_not_hold_up_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk()
    live = LiveGraph(Ledger.open(tmp_path / "run.ledger", disk=disk), served=True)
    disk.full = True
    process = live.open_process()
    with pytest.raises(InvalidEvent):
        live.register_process(process, "4242", "host", ["U"])  # type: ignore[arg-type]
    live.register_process(process, 4242, "host", ["U"])
    disk.full = False
    live.tend(at_once=True)
    assert live.degraded is None
    assert fold(live.ledger.read(), GraphState()).digest() == live.state.digest()
    live.close()
    live.ledger.close()


def test_a_folder_that_is_removed_gets_a_new_ledger_with_all_that_still_holds(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    server = GraphServer(folder / "run.ledger")
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None
    first = live.ledger.id

    async def story(context: GraphContext) -> None:
        await context.connect("A", "B")
        await until(lambda: live.ledger.durable_seq == live.state.seq, "all of this is on the disk")
        await context.connect("C", "D")
        await until(lambda: live.ledger.durable_seq == live.state.seq, "this is, too")
        shutil.rmtree(folder)
        await until(lambda: live.degraded is not None, "the server has noticed")
        await context.connect("E", "F")
        folder.mkdir()
        await until(lambda: live.degraded is None, "it records again")
        await context.connect("G", "H")
        assert len((await context.snapshot()).edge_owners) == 5

    drive(server, story)
    _, events = end(server)
    assert live.ledger.id != first
    assert isinstance(events[0], ev.Gap)
    assert events[0].first == 1
    assert events[0].lost == events[0].last
    connected = {event.from_topic for event in events if isinstance(event, ev.EdgeConnected)}
    assert connected == {"PUB", "A", "C", "E", "G"}


class FailingFolderSyncs(FailingSyncs):
    """And whose folders cannot be synced either, while ``folders_broken``."""

    folders_broken = False

    def sync_folder(self, path: str) -> None:
        if self.folders_broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync_folder(path)


def fail_a_sync(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    disk.broken = True
    live.connect("X", "Y")
    with pytest.raises(WriteFailed):
        live.ledger.wait_durable(live.ledger.head, PATIENCE_S)
    live.tend(at_once=True)
    assert live.degraded is not None
    disk.broken = False


def fail_a_rotation(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    disk.folders_broken = True
    with pytest.raises(WriteFailed):
        rotate(live.ledger)
    live.tend(at_once=True)
    assert live.degraded is not None
    disk.folders_broken = False


def remove_the_last(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    os.unlink(live.ledger.tip)


def replace_the_last(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    shutil.copy(live.ledger.tip, f"{live.ledger.tip}.copy")
    os.replace(f"{live.ledger.tip}.copy", live.ledger.tip)


def remove_all(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    location = live.ledger.location
    shutil.rmtree(location) if os.path.isdir(location) else os.unlink(location)


def cut_short(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    os.truncate(live.ledger.tip, os.path.getsize(live.ledger.tip) - 300)


def cut_to_nothing(live: LiveGraph, disk: FailingFolderSyncs) -> None:
    os.truncate(live.ledger.tip, 0)


@pytest.mark.parametrize("segmented", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("packed", [False, True], ids=["", "packed"])
@pytest.mark.parametrize(
    "fault",
    [fail_a_sync, fail_a_rotation, remove_the_last, replace_the_last, remove_all, cut_short, cut_to_nothing],
    ids=lambda fault: fault.__name__,
)
@pytest.mark.parametrize("idle", [False, True], ids=["busy", "idle"])
def test_every_kind_of_ledger_records_again_by_itself(
    tmp_path: Path,
    fault: Callable[[LiveGraph, FailingFolderSyncs], None],
    segmented: bool,
    packed: bool,
    idle: bool,
) -> None:
    """The probe opened a folder for writing, so a ledger of segments lost all that came after its first trouble."""
    if not segmented and (packed or fault is fail_a_rotation):
        pytest.skip("a file has no segments")
    disk = FailingFolderSyncs()
    location = tmp_path / "run.ledger"
    live = LiveGraph(Ledger.open(location, disk=disk, segmented=segmented), served=True)
    live.connect("A", "B")
    if segmented:
        assert rotate(live.ledger)
        if packed:
            live.ledger.pack()
    live.connect("C", "D")
    live.ledger.sync()
    fault(live, disk)
    if not idle:
        live.connect("E", "F")
    live.tend(at_once=True)
    live.tend(at_once=True)
    assert live.degraded is None
    live.connect("G", "H")
    assert ("C", "D") in live.state.ownership
    live.close()
    live.ledger.close()
    with Ledger.open(location, "r") as ledger:
        assert ledger.verify().sound, ledger.verify().problems
        replayed = state_at(ledger)
    assert replayed.digest() == live.state.digest()


@pytest.mark.parametrize("segmented", [False, True], ids=["file", "folder"])
def test_clients_go_on_while_the_ledger_cannot_be_opened(tmp_path: Path, segmented: bool) -> None:
    """Something else lies in its place. What a client asks of the past has to wait, and no session ends for it."""
    location = tmp_path / "run.ledger"
    server = GraphServer(Ledger.open(location, segmented=segmented))
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None
    written = live.ledger
    aside = tmp_path / "aside"

    async def joined(context: GraphContext, heard: list[str]) -> None:
        async for event in context.subscribe_topology_events(after_seq=0):
            heard.extend(event.changed_topics)

    async def story(context: GraphContext) -> None:
        for number in range(20):
            await context.connect("A", f"B{number}")
        live.ledger.sync()
        location.rename(aside)
        location.write_text("something else\n")
        await until(lambda: live.degraded is not None, "the server has noticed")
        await until(lambda: is_out_of_reach(written), "it has tried to open the ledger anew")
        await context.connect("C", "D")
        assert await context.settings_events() == []
        heard: list[str] = []
        stream = asyncio.create_task(joined(context, heard))
        async with GraphContext(server.address) as other:
            await other.connect("E", "F")
            assert len((await other.snapshot()).edge_owners) == 23
        location.unlink()
        aside.rename(location)
        await until(lambda: live.degraded is None, "it records again")
        await context.connect("G", "H")
        await until(lambda: "H" in heard, "the stream tells what is new")
        assert {"B0", "B19", "D", "F"} <= set(heard), "and what was before"
        stream.cancel()

    drive(server, story)
    _, events = end(server)
    assert all(gap.lost == 0 for gap in gaps(events))
    assert not [event for event in events if isinstance(event, ev.SessionClosed) and event.reason != "closed"]


def is_out_of_reach(ledger: Ledger) -> bool:
    try:
        list(ledger.read())
    except LedgerError:
        return True
    return False


@pytest.mark.parametrize("segmented", [False, True], ids=["file", "folder"])
def test_status_answers_while_nothing_can_be_opened(tmp_path: Path, segmented: bool) -> None:
    """It ended in a traceback, when somebody needs it most."""
    folder = tmp_path / "records"
    folder.mkdir()
    server = GraphServer(Ledger.open(folder / "run.ledger", segmented=segmented))
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None
    try:
        where = f"127.0.0.1:{server.address[1]}"
        assert ask(where, "status")["degraded"] is None
        shutil.rmtree(folder)
        deadline = time.monotonic() + PATIENCE_S
        while ask(where, "status")["degraded"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.1)  # several attempts to open it anew
        answer = ask(where, "status")
        assert "is no longer there: it was removed" in answer["degraded"]["error"]
        assert any("DEGRADED" in str(line) for line in status_lines(where, answer))
        assert ask(where, "receipt")["durable_seq"] >= 1
        folder.mkdir()
        while ask(where, "status")["degraded"] is not None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        server.stop()
        assert server.ledger is not None
        server.ledger.close()


@given(
    story=st.lists(st.sampled_from(["hold", "hold", "connect", "settle", "read", "fill", "free", "tend"]), max_size=40),
    durability=st.sampled_from(["interval", "commit", "none"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_commits_that_are_shared_on_a_disk_that_fills_up(
    tmp_path_factory: pytest.TempPathFactory, story: list[str], durability: Durability
) -> None:
    """What is held is written in its order, at once or late; nothing is lost, and all that was lived can be read."""
    disk = FullDisk()
    path = tmp_path_factory.mktemp("shared") / "x.ledger"
    ledger = Ledger.open(path, durability=durability, disk=disk)
    live = LiveGraph(ledger, served=True)
    for number, step in enumerate(story):
        match step:
            case "hold" | "connect":
                live.holding = step == "hold"
                live.connect("A", f"B{number}")
                live.holding = False
                assert (live.spool.held > 0) == (step == "hold" and live.degraded is None)
            case "settle":
                live.settle()
                assert live.spool.held == 0
            case "read":
                seqs = [event.seq for batch in live.spool.read() for event in batch]
                assert seqs == list(range(1, live.state.seq + 1))
            case "fill" | "free":
                disk.full = step == "fill"
            case "tend":
                live.tend(at_once=True)
        live.check()
    disk.full = False
    live.tend(at_once=True)
    assert live.degraded is None
    live.close()
    live.ledger.close()
    with Ledger.open(path, "r") as reader:
        assert reader.verify().sound
        assert fold(reader.read(), GraphState()).digest() == live.state.digest()
        assert all(gap.lost == 0 for gap in gaps(list(reader.entries())))


def test_clients_that_share_commits_go_on_while_the_disk_is_full(small_disk: Path) -> None:
    server = GraphServer(small_disk / "run.ledger")
    server.start(("127.0.0.1", 0))
    live = server.live
    assert live is not None

    async def wire(number: int) -> None:
        async with GraphContext(server.address, auto_start=False) as context:
            for place in range(20):
                await context.connect(f"S{number}/{place}", f"S{number}/{place + 1}")
                if (number, place) == (0, 10):
                    fill(small_disk / "ballast")

    async def story() -> None:
        await asyncio.wait_for(asyncio.gather(*map(wire, range(20))), PATIENCE_S)
        assert live.degraded is not None
        (small_disk / "ballast").unlink()
        await until(lambda: live.degraded is None, "it records again")

    asyncio.run(story())
    _, events = end(server)
    [gap] = gaps(events)
    assert gap.lost == 0
    assert gap.late > 0
    edges = [(event.from_topic, event.to_topic) for event in events if isinstance(event, ev.EdgeConnected)]
    assert sorted(edges) == sorted((f"S{one}/{at}", f"S{one}/{at + 1}") for one in range(20) for at in range(20))
