"""A watch agrees with ``when`` after each event, whatever the history, and tells each turn with its cause."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger, HistoryChanged, InvalidEvent, PredicateError, UnknownSubject
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.projections.questions.watching.watch import Turn, Watch
from tests.projections.questions import test_oracle as oracle

PREDICATES = [
    *oracle.PREDICATES,
    "topic T3",
    "component SYS/U1",
    "unit SYS/U0",
    "publisher T2",
    "subscriber T2",
    "stalled T2",
    "paused",
    "not paused",
    "edges >= 5",
    "topics < 4",
    "edges == 4 or topics != 5",
    "topic T3 and not edge T3 -> T5 and edges >= 3",
    "sessions == 2",
    "processes > 0",
    "components >= 2",
    "publishers == 1",
    "subscribers != 0",
    "session viewer or setting SYS/U0.gain > 0",
    "path T0 -> T6 and not (paused or topics < 3)",
]
HISTORIES = 200


class ShortAuthor(oracle.Author):
    events = 120
    weights = (50, 25, 7, 4, 4, 1, 7, 5, 12, 3, 6, 4, 3, 2)


def turns(watch: Watch, events: list[Any], chance: random.Random) -> list[Turn]:
    """The turns that a watch gives of batches of some sizes."""
    found, place = [], 0
    while place < len(events):
        size = chance.choice([1, 2, 7, 40])
        found += watch.take(events[place : place + size])
        place += size
    return found


def truth(begin: bool, turns: list[Turn], events: list[Any]) -> dict[int, bool]:
    """The truth after each event."""
    changes, now = {turn.seq: turn.now for turn in turns}, begin
    assert len(changes) == len(turns)
    return {event.seq: (now := changes.get(event.seq, now)) for event in events}


@pytest.mark.parametrize("part", range(8))
def test_a_watch_agrees_with_when_event_by_event(part: int) -> None:
    for seed in range(part, HISTORIES, 8):
        ledger = Ledger.memory()
        author = ShortAuthor(ledger, seed)
        author.write()
        timeline = Timeline(ledger)
        events = list(ledger.entries())
        for text in PREDICATES:
            try:
                spans = [(span.born, span.died or OPEN) for span in timeline.when(text).spans]
            except UnknownSubject:
                continue
            for since in (0, author.random.randrange(len(events))):
                watch = timeline.watch(text, since)
                begin = watch.now
                found = turns(watch, events[since:], author.random)
                said = truth(begin, found, events[since:])
                expected = {seq: any(born <= seq < died for born, died in spans) for seq in said}
                assert said == expected, (seed, text, since)
                if since:  # once a history: the size of a batch changes nothing, not even the words
                    assert found == timeline.watch(text, since).take(events[since:]), (seed, text, since)


class RotatingAuthor(ShortAuthor):
    """Writes to a folder that is rotated now and then, and closed and opened again by the next recorder."""

    def add(self, event: ev.Event, change: Any) -> int:
        chance = self.random.random()
        if chance < 0.04:
            self.ledger.rotate()
        elif chance < 0.06:
            self.ledger.close()
            self.ledger = Ledger.open(self.ledger.location, durability="none")
        return super().add(event, change)


def damage(folder: Path, chance: random.Random) -> None:
    """Take a line out of one of the segments."""
    path = chance.choice(sorted(folder.glob("*.ledger")))
    lines = path.read_bytes().splitlines(keepends=True)
    events = [place for place, line in enumerate(lines) if b'"seq":' in line and b'"type":"ledger.' not in line]
    del lines[chance.choice(events)]
    path.write_bytes(b"".join(lines))


def check_on_disk(folder: Path, seed: int) -> None:
    """Follow a recording that goes on, over rotations and restarts; then, with damage in it, up to that."""
    author = RotatingAuthor(Ledger.open(folder, segmented=True, durability="none"), seed)
    author.events = 60
    author.write()
    with Ledger.open(folder, "r") as reader:
        timeline = Timeline(reader, index=False)
        asked = author.random.sample(list(oracle.PREDICATES), 3)
        watches = [timeline.watch(text) for text in asked]
        begins = [(watch.seq, watch.now) for watch in watches]
        author.events = 120
        while author.ledger.head < author.events:
            author.write()
        head = author.ledger.head
        for text, watch, (since, begin) in zip(asked, watches, begins, strict=True):
            found: list[Turn] = []
            for batch in reader.tail(since, stop=lambda watch=watch: watch.seq >= head):  # type: ignore[misc]
                found += watch.take(batch)
            said = truth(begin, found, list(reader.entries(since)))
            assert said == {seq: author.after[seq][text] for seq in range(since + 1, head + 1)}, (seed, text)
    author.ledger.close()
    damage(folder, author.random)
    with Ledger.open(folder, "r") as reader:
        for text in asked:
            watch = Timeline(Ledger.memory()).watch(text)
            found = []
            with pytest.raises(DamagedLedger):
                found.extend(turn for batch in reader.tail(0) for turn in watch.take(batch))
            assert watch.seq == reader.head < head, seed
            said = truth(False, found, list(reader.entries(until=watch.seq)))
            assert said == {seq: author.after[seq][text] for seq in said}, (seed, text)


def test_a_watch_on_disk_is_right_over_rotation_restart_and_damage(tmp_path: Path) -> None:
    for seed in range(20):
        check_on_disk(tmp_path / str(seed), seed)


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_two_hundred_watches_on_disk_are_right(tmp_path: Path, part: int) -> None:
    for seed in range(part, HISTORIES, 8):
        check_on_disk(tmp_path / str(seed), seed)


def test_a_turn_tells_who_did_it() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="u", label="viewer")])
    watch = Timeline(ledger).watch("A -> C or path A -> C", timeout=5)
    ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
    ledger.append([ev.EdgeConnected(from_topic="B", to_topic="C", owner=None)])
    ledger.append([ev.SessionClosed(session=1, reason="lost", detail="reset")])
    found = []
    for turn in watch:
        found.append(turn)
        if not turn.now:
            watch.stop()
    assert [(turn.seq, turn.now) for turn in found] == [(3, True), (4, False)]
    assert found[0].cause.text == "B -> C connected by persistent"
    assert found[1].cause.text == 'session 1 "viewer" ended: lost (reset)'
    assert (watch.seq, watch.now, watch.predicate) == (4, False, "edge A -> C or path A -> C")


def test_a_label_that_comes_later_counts_from_then() -> None:
    ledger = Ledger.memory()
    watch = Timeline(ledger).watch("session rig")
    ledger.append([ev.SessionOpened(uuid="u")])
    ledger.append(
        [ev.MetadataRegistered(session=1, metadata={"$": "GraphMetadata", "root_name": "rig", "components": {}})]
    )
    ledger.append([ev.SessionClosed(session=1, reason="closed")])
    assert [(turn.seq, turn.now) for turn in watch.take(list(ledger.entries()))] == [(2, True), (3, False)]


def test_names_that_nobody_used_yet_are_waited_for() -> None:
    watch = Timeline(Ledger.memory()).watch("path NO -> WHERE or unit NOBODY or session NONE", timeout=0.05)
    assert list(watch) == []
    assert not watch.now


@pytest.mark.parametrize("text", ["A -> B", "topic A", "path A -> B", "edges > 0", "topics > 0"])
def test_an_event_that_contradicts_those_before_it_is_named(text: str) -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="u")])
    for owner in (None, 1):
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=owner)])
    ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=1) for _ in range(2)])
    watch = Timeline(Ledger.memory()).watch(text)
    with pytest.raises(InvalidEvent, match="event 5 contradicts"):
        watch.take(list(ledger.entries()))


def test_topics_are_never_taken_for_others() -> None:
    """Whatever stands in them: a text of both topics of an edge has to be that of one edge alone."""
    ledger = Ledger.memory()
    for from_topic, to_topic in (("A", "B\0C"), ("A\0B", "C"), ("A\nB", "C"), ("A", "B\nC"), ("A -> B", "C")):
        ledger.append([ev.EdgeConnected(from_topic=from_topic, to_topic=to_topic, owner=None)])
    ledger.append([ev.GraphCleared()])
    found = Timeline(Ledger.memory()).watch("edges >= 5").take(list(ledger.entries()))
    assert [(turn.seq, turn.now) for turn in found] == [(5, True), (6, False)]


def test_a_mistake_is_pointed_at() -> None:
    with pytest.raises(PredicateError):
        Timeline(Ledger.memory()).watch("path A -> ")


def test_rotation_and_a_restart_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "rig"
    with Ledger.open(folder, segmented=True) as ledger:
        ledger.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1)])
    with Ledger.open(folder, "r") as reader:
        watch = Timeline(reader).watch("edge A -> B", timeout=60)
        with Ledger.open(folder) as ledger:
            ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
            ledger.rotate()
            ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        with Ledger.open(folder) as ledger:
            ledger.append(
                [ev.ServerLost(server=1), ev.ServerStarted(uuid="s", kind="server", name="n", host="h", pid=1)]
            )
            ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        seen = []
        for turn in watch:
            seen.append(turn.now)
            if len(seen) == 3:
                watch.stop()
        assert seen == [True, False, True]


def test_damage_is_raised_after_what_came_before_it(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"edge.connected"' in line)
    path.write_bytes(b"".join(lines[:last] + lines[last + 1 :]))
    with Ledger.open(path, "r") as reader:
        watch = Timeline(reader, index=False).watch("A -> B", 0, timeout=60)
        seen = []
        with pytest.raises(DamagedLedger):
            seen.extend(watch)  # a list is given nothing of what an iterator raised after
        assert watch.seq == 2


def test_a_ledger_that_goes_away_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="a")])
    with Ledger.open(path, "r") as reader:
        watch = Timeline(reader).watch("A -> B", timeout=60)
        path.unlink()
        with pytest.raises(HistoryChanged):
            list(watch)


def test_a_program_waits_for_turns_without_blocking_others() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.Mark(name="begin")])

    async def follow() -> list[tuple[int, bool]]:
        seen: list[tuple[int, bool]] = []
        async for turn in Timeline(ledger).watch("A -> B"):
            seen.append((turn.seq, turn.now))
            if not turn.now:
                break
            ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        return seen

    async def both() -> list[tuple[int, bool]]:
        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        return await asyncio.wait_for(following, 60)

    assert asyncio.run(both()) == [(2, True), (3, False)]
    assert not [thread for thread in threading.enumerate() if thread.name == "watch"]


def test_an_error_reaches_a_program_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="a")])

    async def follow(reader: Any) -> None:
        watch = Timeline(reader).watch("A -> B")
        path.unlink()
        async for turn in watch:
            raise AssertionError(turn)

    with Ledger.open(path, "r") as reader, pytest.raises(HistoryChanged):
        asyncio.run(asyncio.wait_for(follow(reader), 60))
