"""What every kind of ledger promises: the one suite that the file, the memory store and the reader of a stream keep."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import Conflict, ForkedWriter, InvalidEvent, LedgerClosed
from ezmsg.ledger.events import EdgeConnected, Gap, Mark, SessionOpened, UnknownEvent
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import ready
from ezmsg.ledger.tools.fleet.shipping.shipper import Shipper
from ezmsg.ledger.tools.fleet.shipping.source import Source
from tests.brokers import Node, running


def marks(*names: str) -> list[Mark]:
    return [Mark(name=name) for name in names]


def rotating(ledger: Ledger) -> Ledger:
    """``ledger``, which begins a new segment behind every third commit."""
    append, append_late, turn = ledger.append, ledger.append_late, itertools.cycle((True, False, False))

    def appended(events: Any, *more: Any, **options: Any) -> list[Any]:
        stored = append(events, *more, **options)
        if next(turn):
            ledger.rotate()
        return stored

    def appended_late(events: Any) -> None:
        append_late(events)
        ledger.rotate()

    ledger.append, ledger.append_late = appended, appended_late  # type: ignore[method-assign]
    return ledger


class Streamed:
    """A ledger of a file that is shipped with each append, and read from a broker's stream alone."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        self._ledger = ledger
        self._broker = NatsBroker(parse(url))
        ready(self._broker, None, lambda text: None)
        source = Source(ledger.location)
        self._shipper = Shipper(source, self._broker, "rig-3", "here:1", lambda text: None)
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._ship()
        self._reader = Ledger.open(f"{url}/LEDGERS/{ledger.id}", "r")

    def _ship(self) -> None:
        with self._lock:
            while self._shipper.step() is not None:
                pass

    def append(self, *events: Any, **options: Any) -> list[Any]:
        stored = self._ledger.append(*events, **options)
        self._ship()
        return stored

    def append_late(self, events: list[Any]) -> None:
        self._ledger.append_late(events)
        self._ship()

    def tail(self, after: int = 0, poll: float = 0.05, stop: Any = None) -> Iterator[Any]:
        return self._reader.tail(after, min(poll, 0.01), stop)  # it is not in the writer's process, and is not woken

    def reopen(self) -> "Streamed":
        self.close()
        return Streamed(self._ledger.reopen(), f"nats://{self._broker.place.servers[0].partition('://')[2]}")

    def close(self) -> None:
        self._ledger.close()
        if not self._broker.closed and os.getpid() == self._pid:
            self._ship()
            self._broker.close()
            self._reader.place  # noqa: B018 a reader knows what it has seen
            self._reader.close()

    @property
    def being_written(self) -> bool:
        return self._ledger.being_written

    def __getattr__(self, name: str) -> Any:
        reads = {*("read", "entries", "seq_at", "head", "place", "receipt", "verify", "check", "id", "holds")}
        return getattr(self._reader if name in reads else self._ledger, name)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield from running(Node(tmp_path_factory.mktemp("broker")))


@pytest.fixture(params=["memory", "none", "interval", "commit", "segmented", "rotating", "stream"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """Makes ledgers of one kind; closes them at the end."""
    made: list[Ledger] = []

    def factory(**options: Any) -> Ledger:
        if request.param == "memory":
            ledger = Ledger.memory(**options)
        elif request.param == "stream":
            file = Ledger.open(tmp_path / f"{len(made)}.ledger", durability="none", **options)
            ledger = cast(Ledger, Streamed(file, request.getfixturevalue("node").url))
        elif request.param in ("segmented", "rotating"):
            ledger = Ledger.open(tmp_path / f"{len(made)}.ledger", durability="none", segmented=True, **options)
            if request.param == "rotating" and "clock" not in options:  # a rotation looks at the clock, too
                rotating(ledger)
        else:
            ledger = Ledger.open(tmp_path / f"{len(made)}.ledger", durability=request.param, **options)
        made.append(ledger)
        return ledger

    yield factory
    for ledger in made:
        ledger.close()


@pytest.fixture
def ledger(make: Callable[..., Ledger]) -> Ledger:
    return make()


def names(ledger: Ledger, after: int = 0, until: int | None = None) -> list[str]:
    return [event.name for event in ledger.entries(after, until)]


def test_an_empty_ledger(ledger: Ledger) -> None:
    assert (ledger.head, ledger.next_seq, ledger.durable_seq) == (0, 1, 0)
    assert list(ledger.read()) == []
    assert ledger.seq_at(2**62) == 0
    assert ledger.verify().sound
    assert len(ledger.id) == 36
    assert ledger.created > 1e18


def test_append_stamps_copies(make: Callable[..., Ledger]) -> None:
    times = iter([1, 111, 99])
    ledger = make(clock=times.__next__)
    given = marks("a", "b")
    stored = ledger.append(given)
    assert [(event.seq, event.time, event.name) for event in stored] == [(1, 111, "a"), (2, 111, "b")]
    assert [event.seq for event in given] == [0, 0]
    assert ledger.append(marks("c"))[0].time == 99, "the clock's word, even when it goes back"
    assert list(ledger.entries()) == [*stored, Mark(seq=3, time=99, name="c")]


def test_ids_within_a_batch(ledger: Ledger) -> None:
    ledger.append(marks("x"))
    session = ledger.next_seq
    ledger.append([SessionOpened(uuid="u"), EdgeConnected(from_topic="A", to_topic="B", owner=session)])
    opened, edge = ledger.entries(after=1)
    assert edge.owner == opened.seq


def test_any_iterable_can_be_appended(ledger: Ledger) -> None:
    assert [event.seq for event in ledger.append(event for event in marks("a", "b"))] == [1, 2]


def test_nothing_appended_writes_nothing(ledger: Ledger) -> None:
    before = ledger.receipt
    assert ledger.append([]) == []
    assert ledger.receipt == before


@pytest.mark.parametrize(
    "wrong",
    [
        Mark(seq=3, name="stamped"),
        UnknownEvent(seq=0, time=0, tag="of.tomorrow", raw=b"{}"),
        "text",
        None,
        Mark,
        Mark(name="\ud800"),
        Mark(name=5),  # type: ignore[arg-type]
        SessionOpened(uuid=None),  # type: ignore[arg-type]
        EdgeConnected(from_topic="A", to_topic="B", owner="7"),  # type: ignore[arg-type]
        Gap(first=5, last=6, lost=2, late=0, reason="not next"),
        Gap(first=2, last=1, lost=1, late=0, reason="backwards"),
    ],
    ids=repr,
)
def test_what_is_refused_leaves_no_trace(ledger: Ledger, wrong: Any) -> None:
    ledger.append(marks("before"))
    receipt = ledger.receipt
    with pytest.raises(InvalidEvent):
        ledger.append([*marks("with it"), wrong, *marks("behind it")])
    with pytest.raises(InvalidEvent):
        ledger.append([wrong])
    assert (ledger.next_seq, ledger.receipt) == (2, receipt)
    ledger.append(marks("after"))
    assert names(ledger) == ["before", "after"]
    ledger.check()
    assert ledger.verify().sound


@pytest.mark.parametrize("time", [1.5, None, 2**63, -(2**63) - 1, "now"])
def test_a_clock_that_is_none(make: Callable[..., Ledger], time: Any) -> None:
    times = iter([0, time])
    with pytest.raises(InvalidEvent, match="clock"):
        make(clock=times.__next__).append(marks("a"))


def test_a_line_that_is_too_long(ledger: Ledger) -> None:
    with pytest.raises(InvalidEvent, match="16777216"):
        ledger.append([Mark(name="x" * 2**24)])
    assert ledger.head == 0


def test_expected_seq(ledger: Ledger) -> None:
    ledger.append(marks("a"), expected_seq=0)
    ledger.append(marks("b"), expected_seq=1)
    with pytest.raises(Conflict, match="at seq 2, not at 1"):
        ledger.append(marks("c"), expected_seq=1)
    assert names(ledger) == ["a", "b"]


def test_a_gap_with_losses_jumps(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    stored = ledger.append([Gap(first=2, last=9, lost=8, late=0, reason="disk full"), Mark(name="b")])
    assert [event.seq for event in stored] == [10, 11]
    ledger.append([Gap(first=5, last=9, lost=0, late=4, reason="late"), Mark(name="c")])
    ledger.append([Mark(name="d"), Gap(first=15, last=15, lost=1, late=0, reason="again")])
    assert [event.seq for event in ledger.entries()] == [1, 10, 11, 12, 13, 14, 16]
    assert [event.seq for event in ledger.entries(after=5, until=12)] == [10, 11, 12]
    assert ledger.head == 16
    assert ledger.verify().sound
    ledger.check()


def test_a_probe_leaves_nothing(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    ledger.probe(100_000)
    ledger.append(marks("b"))
    assert [event.seq for event in ledger.entries()] == [1, 2]
    ledger.check()
    assert ledger.verify().sound


def test_late_events_keep_their_seqs_and_times(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    late = [Mark(seq=2, time=70, name="b"), Gap(seq=6, time=80, first=3, last=5, lost=3, late=0, reason="full")]
    ledger.append_late(late)
    ledger.append_late([Mark(seq=7, time=60, name="c")])
    ledger.append_late([])
    ledger.append(marks("d"))
    assert list(ledger.entries(after=1, until=7)) == [*late, Mark(seq=7, time=60, name="c")]
    assert ledger.head == 8
    ledger.check()
    assert ledger.verify().sound


@pytest.mark.parametrize(
    "late",
    [
        [Mark(seq=3, name="not next")],
        [Mark(name="no seq")],
        [Mark(seq=2, name="x"), Mark(seq=2, name="twice")],
        [Gap(seq=2, first=2, last=5, lost=4, late=0, reason="not at last + 1")],
        [Mark(seq=2, name=7)],  # type: ignore[arg-type]
        [UnknownEvent(seq=2, time=0, tag="of.tomorrow", raw=b"{}")],
    ],
    ids=repr,
)
def test_late_events_that_do_not_follow(ledger: Ledger, late: list[Any]) -> None:
    ledger.append(marks("a"))
    receipt = ledger.receipt
    with pytest.raises(InvalidEvent):
        ledger.append_late(late)
    assert ledger.receipt == receipt
    ledger.check()


def test_reopen(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    assert ledger.in_place
    again = ledger.reopen()
    assert (again.id, again.head, again.durability) == (ledger.id, 1, ledger.durability)
    again.append(marks("b"))
    assert names(again) == ["a", "b"]
    again.close()


def test_read_from_and_to(ledger: Ledger) -> None:
    for start in range(1, 100, 3):
        ledger.append(marks(*map(str, range(start, start + 3))))
    for after, until in [
        (0, None),
        (0, 1),
        (1, 2),
        (4, 50),
        (98, 99),
        (99, None),
        (500, None),
        (5, 3),
        (0, 0),
        (7, 999),
    ]:
        expected = [str(n) for n in range(1, 100) if n > after and (until is None or n <= until)]
        assert names(ledger, after, until) == expected, (after, until)


def test_batches_hold_whole_commits(ledger: Ledger) -> None:
    sizes = [1, 700, 1, 1, 5000, 2, 3]
    ends = []
    for size in sizes:
        ends.append(ledger.append([Mark(name="x" * 40)] * size)[-1].seq)
    batches = list(ledger.read())
    assert {batch[-1].seq for batch in batches} <= set(ends)
    assert len(batches) > 1
    assert [event.seq for batch in batches for event in batch] == list(range(1, sum(sizes) + 1))


def test_reading_does_not_see_what_comes_later(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    batches = ledger.read()
    assert [event.name for event in next(batches)] == ["a"]
    ledger.append(marks("b"))
    assert list(batches) in ([], [[Mark(seq=2, time=t.time, name="b")] for t in ledger.entries(1)])


def test_seq_at_with_a_clock_that_jumps(make: Callable[..., Ledger]) -> None:
    clock = [0, 10, 20, 15, 30, 5, 5, 40]
    ledger = make(clock=iter(clock).__next__)
    for _ in clock[1:]:
        ledger.append(marks("x", "y"))
        seqs = {event.seq: event.time for event in ledger.entries()}
        for time in range(-1, 45):
            assert ledger.seq_at(time) == max((seq for seq, t in seqs.items() if t <= time), default=0), time


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 12), max_size=25), after=st.integers(0, 100), data=st.data())
def test_is_a_list(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], after: int, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("list")
    for ledger in (Ledger.memory(), Ledger.open(folder / "x.ledger", durability="none")):
        model: list[Any] = []
        for size in sizes:
            model += ledger.append(marks(*("m" for _ in range(size))))
            assert ledger.head == len(model)
        until = data.draw(st.none() | st.integers(0, 100))
        assert list(ledger.entries()) == model
        assert list(ledger.entries(after, until)) == model[after : until if until is not None else len(model)]
        ledger.check()
        found = ledger.verify()
        assert (found.sound, found.events, found.seq, found.problems) == (True, len(model), len(model), [])
        ledger.close()


def test_the_receipt_proves_what_is_before_it(ledger: Ledger) -> None:
    ledger.append(marks("a", "b"))
    found = ledger.verify()
    assert found.bytes == found.offset
    if found.segments == 1:
        assert ledger.receipt.startswith('{"type":"ledger.commit","upto":2,"count":2,"at":')
        assert found.offset == ledger.place.offset
        assert found.commits == 2
    else:  # the beginning of the next segment proves all of the one before
        assert ledger.receipt.startswith('{"type":"ledger.commit","upto":2,"count":0,"at":')


# --- following ---


def test_tail_is_history_then_live(ledger: Ledger) -> None:
    ledger.append(marks("a", "b"))
    seen: list[int] = []
    done, caught_up = threading.Event(), threading.Event()

    def follow() -> None:
        for batch in ledger.tail(after=1, poll=5, stop=done):
            seen.extend(event.seq for event in batch)
            if seen[-1] == 2:
                caught_up.set()
            if seen[-1] == 52:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    assert caught_up.wait(5)
    for n in range(50):  # far quicker than one poll: it is woken
        ledger.append(marks(str(n)))
    thread.join(4)
    assert not thread.is_alive()
    assert seen == list(range(2, 53))


def test_tail_ends_when_told(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    stop = threading.Event()
    tail = ledger.tail(poll=0.01, stop=stop)
    assert len(next(tail)) == 1
    stop.set()
    assert list(tail) == []
    rounds = iter([False, False, True])
    assert list(ledger.tail(after=1, poll=0.001, stop=lambda: next(rounds))) == []


def test_tail_ends_with_the_ledger(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(ledger.tail(poll=5)))
    thread.start()
    ledger.append(marks("b"))
    ledger.close()
    thread.join(4)
    assert not thread.is_alive()
    assert [event.name for batch in seen for event in batch] == ["a", "b"]


def test_several_threads_append_and_read(ledger: Ledger) -> None:
    def write(name: str) -> None:
        for _ in range(30):
            stored = ledger.append(marks(name, name))
            assert stored[1].seq == stored[0].seq + 1

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seqs = [event.seq for event in ledger.entries()]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) % 2 == 0, "half a commit was shown"
    for thread in threads:
        thread.join()
    assert names(ledger)[::2] == names(ledger)[1::2]
    assert sorted(names(ledger)) == sorted("abcd" * 60)
    ledger.check()


# --- durability ---


def test_what_is_durable(ledger: Ledger) -> None:
    reached: list[int] = []
    event = threading.Event()
    ledger.on_durable(lambda seq: (reached.append(seq), event.set()))
    ledger.append(marks("a", "b"), wait=False)
    assert ledger.head == 2, "it can be read at once"
    assert ledger.wait_durable(2, timeout=5)
    assert ledger.durable_seq == 2
    assert event.wait(5)
    assert reached[-1] == 2
    assert not ledger.wait_durable(3, timeout=0.01)
    ledger.append(marks("c"))
    ledger.sync()
    assert ledger.durable_seq == 3
    assert ledger.failure is None
    ledger.touch()


# --- the end ---


def test_closed_is_closed(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    assert ledger.being_written
    ledger.close()
    ledger.close()
    assert not ledger.being_written
    with pytest.raises(LedgerClosed):
        ledger.append(marks("b"))
    with pytest.raises(LedgerClosed):
        list(ledger.read())
    assert ledger.head == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_no_writer(ledger: Ledger) -> None:
    ledger.append(marks("a"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ledger.append(marks("of the child"))
        except ForkedWriter:
            ledger.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    ledger.append(marks("b"))
    assert names(ledger) == ["a", "b"]
    assert ledger.verify().sound
