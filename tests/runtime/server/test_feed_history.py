"""The feeds as chunks: from memory, from the log and across what was lost, always the same entries."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.projections import feeds
from ezmsg.ledger.projections.feeds import Kind
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.feed_entries import SettingsChanged, TopologyChanged
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime import LiveGraph
from ezmsg.ledger.runtime.server import feed_history
from ezmsg.ledger.runtime.server.feed_history import History, listed
from ezmsg.ledger.runtime.server.pickles import parts
from ezmsg.ledger.runtime.server.translate import graph_metadata
from ezmsg.ledger.runtime.server.wire.protocol import encode_blob

from .raw import metadata


@pytest.fixture
def live() -> LiveGraph:
    return LiveGraph(Ledger.memory())


@pytest.fixture(params=["from memory", "from the log"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are kept for readers, or only the very last."""
    monkeypatch.setattr(feeds, "STEP_EVENTS", 7)
    monkeypatch.setattr(feed_history, "CHUNK_BYTES", 700)
    if request.param == "from the log":
        monkeypatch.setattr(feed_history, "RECENT_ENTRIES", 1)


def change(live: LiveGraph, count: int) -> None:
    for number in range(count):
        live.connect("A", f"{number}") if number % 3 else live.disconnect("A", f"{number - 2}")


async def numbers(told: History, kind: Kind, number: int) -> list[int]:
    """Those of all entries after ``number``."""
    found = []
    while (chunk := await told.after(kind, number)) is not None:
        pickles = chunk.pickles(number)
        assert chunk.after(number) == b"".join(encode_blob(each) for each in pickles)
        found += [pickle.loads(each).seq for each in pickles]
        number = chunk.last
    return found


def test_every_reader_gets_every_entry_once(live: LiveGraph, kept: None) -> None:
    async def run() -> None:
        change(live, 100)
        told = History(live)
        with told.reading():
            change(live, 100)
            last = told.number(TopologyChanged)
            asked = [told.place(TopologyChanged, after) for after in (-1, 0, 1, 5, 50, last - 1, last, last + 9)]
            got = await asyncio.gather(*(numbers(told, TopologyChanged, number) for number in asked))
            assert asked == [0, 0, 1, 5, 50, last - 1, last, last]
            assert got == [list(range(number + 1, last + 1)) for number in asked]

    asyncio.run(run())


def test_a_reader_that_keeps_up_costs_no_replay(live: LiveGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        told = History(live)
        with told.reading():
            monkeypatch.setattr(live.spool, "read", None)
            for place in range(100):
                live.connect("A", f"{place}")
                chunk = await told.after(TopologyChanged, place)
                assert chunk is not None
                assert (chunk.begin, chunk.last) == (place, place + 1)
            assert await told.after(TopologyChanged, 100) is None

    asyncio.run(run())


def test_readers_in_step_share_their_chunks(live: LiveGraph) -> None:
    async def run() -> None:
        change(live, 50)
        told = History(live)
        with told.reading():
            chunks = await asyncio.gather(*(told.after(TopologyChanged, 0) for _ in range(10)))
            assert len({id(chunk) for chunk in chunks}) == 1
            assert await told.after(TopologyChanged, 7) is chunks[0], "one that is further on as well"

    asyncio.run(run())


def test_nothing_is_kept_when_nobody_reads(live: LiveGraph) -> None:
    async def run() -> None:
        told = History(live)
        with told.reading():
            change(live, 50)
            await numbers(told, TopologyChanged, 0)
        change(live, 50)
        assert not any(feed.recent or feed.chunks for feed in told._feeds.values())
        assert (told._replays, told._made_bytes) == ([], 0)

    asyncio.run(run())


def test_what_is_kept_is_bounded_in_bytes(live: LiveGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_history, "RECENT_BYTES", 20_000)
    monkeypatch.setattr(feed_history, "CHUNKS_BYTES", 20_000)
    monkeypatch.setattr(feed_history, "CHUNK_BYTES", 2000)

    async def run() -> None:
        told, session = History(live), live.open_session()
        with told.reading():
            for number in range(50):
                form, _, _ = graph_metadata(metadata("SYS/U", U={"taps": "x" * 1000, "number": number}))
                live.register(session, form)
            feed = told._feeds[SettingsChanged]
            assert 0 < sum(size for _, size in feed.recent) == feed.bytes <= 20_000
            assert await numbers(told, SettingsChanged, 0) == list(range(1, 51))
            assert sum(len(chunk.data) for chunk in feed.chunks.values()) == told._made_bytes <= 20_000

    asyncio.run(run())


def test_a_replay_gives_others_their_turn(live: LiveGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "STEP_EVENTS", 10)
    change(live, 400)

    async def run() -> None:
        told, turns = History(live), 0
        with told.reading():
            last = asyncio.ensure_future(told.after(TopologyChanged, told.number(TopologyChanged) - 1))
            while not last.done():
                turns += 1
                await asyncio.sleep(0)
        assert turns >= live.state.seq / 10

    asyncio.run(run())


def test_numbers_go_on_across_runs_and_a_restart(tmp_path: Path, kept: None) -> None:
    async def run() -> None:
        last = 0
        for _ in range(3):
            with Ledger.open(tmp_path / "run.ledger", durability="none") as ledger:
                live = LiveGraph(ledger)
                told = History(live)
                assert told.place(TopologyChanged, 0) == last
                with told.reading():
                    change(live, 30)
                    start, last = last, told.number(TopologyChanged)
                    assert await numbers(told, TopologyChanged, told.place(TopologyChanged, 0)) == [
                        *range(start + 1, last + 1)
                    ]
                    assert await numbers(told, TopologyChanged, 3) == list(range(4, last + 1))
                live.clear_persistent()
                last = told.number(TopologyChanged)
                live.close()

    asyncio.run(run())


def test_a_list_made_of_pickles_is_the_pickle_of_the_list() -> None:
    values: list[Any] = [{"a": 1, "again": "a"}, "a", ["a", "a"], None, metadata("SYS/U", "SYS/V"), b"x" * 300]
    for count in range(len(values) + 1):
        pickles = [pickle.dumps(value, parts.PROTOCOL) for value in values[:count]]
        assert pickle.loads(listed(pickles)) == values[:count]


def test_a_replay_that_folded_what_is_lost_is_not_gone_on_with(live: LiveGraph) -> None:
    async def run() -> None:
        told = History(live)
        change(live, 20)
        with told.reading():
            await numbers(told, TopologyChanged, 0)
            assert told._replays
            head = live.state.seq
            told._cut(head - 1)
            assert told._replays == []
            told._cut(-1)
            assert await numbers(told, TopologyChanged, 0) == list(range(1, told.number(TopologyChanged) + 1))
            assert fold(live.ledger.read(), GraphState()).topology == told.number(TopologyChanged)

    asyncio.run(run())
