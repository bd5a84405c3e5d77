"""ezmsg's two event streams, written down by hand for a scripted history."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.events import stamped
from ezmsg.ledger.metadata import GraphMetadata, SettingsSchemaMetadata, UnitMetadata
from ezmsg.ledger.projections import feeds
from ezmsg.ledger.projections.feeds import Checkpoint, Checkpoints, Replay, feed
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.feed_entries import SettingsChanged, TopologyChanged
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.values import freeze

SCHEMA = freeze(SettingsSchemaMetadata(provider="msgspec", settings_type="Gain"))


def form(**gains: Any) -> Any:
    units = {
        name: UnitMetadata(address=name, initial_settings=(b"%s" % name.encode(), {"gain": gain}), settings_schema=None)
        for name, gain in gains.items()
    }
    return freeze(GraphMetadata(components=units))


def initial(name: str, gain: Any) -> ev.SettingsValue:
    settings = {"gain": gain}
    return ev.SettingsValue(
        serialized=name.encode(), repr_value=settings, structured_value=settings, settings_schema=None
    )


def reported(gain: Any, **fields: Any) -> ev.SettingsValue:
    return ev.SettingsValue(serialized=b"new", repr_value=f"Gain({gain})", **fields)


def connect(a: str, b: str, owner: int | None) -> ev.EdgeConnected:
    return ev.EdgeConnected(from_topic=a, to_topic=b, owner=owner)


def disconnect(a: str, b: str, owner: int | None) -> ev.EdgeDisconnected:
    return ev.EdgeDisconnected(from_topic=a, to_topic=b, owner=owner)


def numbered(events: list[Any]) -> list[Any]:
    return [stamped(event, seq, 10 * seq) for seq, event in enumerate(events, 1)]


def graph(number: int, seq: int, topics: list[str], session: str | None = None) -> TopologyChanged:
    return TopologyChanged(number, 10 * seq, "GRAPH_CHANGED", topics, session, None)


def process(number: int, seq: int, uuid: str) -> TopologyChanged:
    return TopologyChanged(number, 10 * seq, "PROCESS_CHANGED", [], None, uuid)


def setting(
    number: int, seq: int, kind: str, name: str, value: ev.SettingsValue, session: str | None, source: str | None = None
) -> SettingsChanged:
    return SettingsChanged(number, 10 * seq, kind, name, value, session, source)


STARTED = ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1)

# Each event with the entries that it brings.
SCRIPT: list[tuple[Any, list[Any]]] = [
    (STARTED, []),
    (ev.SessionOpened(uuid="s2"), []),
    (ev.SessionOpened(uuid="s3"), []),
    # edges: only an edge's first owner and its last one are told of
    (connect("A", "Z", 2), [graph(1, 4, ["Z"], "s2")]),
    (connect("A", "Z", 3), []),
    (connect("A", "Z", None), []),
    (disconnect("A", "Z", 2), []),
    (connect("B", "Y", None), [graph(2, 8, ["Y"])]),
    (disconnect("B", "Y", None), [graph(3, 9, ["Y"])]),
    # settings: once per component, in the registration's order, whatever value is in force
    (
        ev.MetadataRegistered(session=2, metadata=form(V=1, U=2)),
        [
            setting(1, 10, "INITIAL_SETTINGS", "V", initial("V", 1), "s2"),
            setting(2, 10, "INITIAL_SETTINGS", "U", initial("U", 2), "s2"),
        ],
    ),
    (ev.ProcessOpened(uuid="p11"), []),
    (ev.ProcessRegistered(process=11, pid=1, host="h", units=()), []),
    (ev.ProcessRegistered(process=11, pid=1, host="h", units=("U", "X")), [process(4, 13, "p11")]),
    (ev.ProcessRegistered(process=11, pid=2, host="other", units=("X", "U")), []),
    (ev.ProcessOwnershipChanged(process=11, added=("X",), removed=("W",)), []),
    (
        ev.SettingsUpdated(process=11, component="U", value=reported(5, settings_schema=SCHEMA), reported_at=77),
        [SettingsChanged(3, 77, "SETTINGS_UPDATED", "U", reported(5, settings_schema=SCHEMA), "s2", "p11")],
    ),
    # a reported value stays in force, but the feed tells the initial one; V goes without a word
    (
        ev.MetadataRegistered(session=2, metadata=form(W=3, U=4)),
        [
            setting(4, 17, "INITIAL_SETTINGS", "W", initial("W", 3), "s2"),
            setting(5, 17, "INITIAL_SETTINGS", "U", initial("U", 4), "s2"),
        ],
    ),
    (
        ev.SettingsUpdated(process=11, component="U", value=reported(6)),
        [setting(6, 18, "SETTINGS_UPDATED", "U", reported(6, settings_schema=SCHEMA), "s2", "p11")],
    ),
    (
        ev.SettingsUpdated(process=11, component="X", value=reported(7)),
        [setting(7, 19, "SETTINGS_UPDATED", "X", reported(7, settings_schema=None), None, "p11")],
    ),
    (ev.ProcessOwnershipChanged(process=11, added=(), removed=("U",)), [process(5, 20, "p11")]),
    # its end: U falls back to the initial value, X goes without a word, and the process is always told of
    (
        ev.ProcessClosed(process=11, reason="closed"),
        [setting(8, 21, "SETTINGS_UPDATED", "U", initial("U", 4), "s2"), process(6, 21, "p11")],
    ),
    (ev.ProcessOpened(uuid="p22"), []),
    (ev.ProcessClosed(process=22, reason="closed"), [process(7, 23, "p22")]),
    # the end of a session: one entry with the sorted, distinct targets of the edges that really went
    (connect("A", "Q", 2), [graph(8, 24, ["Q"], "s2")]),
    (connect("C", "Q", 2), [graph(9, 25, ["Q"], "s2")]),
    (connect("C", "B", 2), [graph(10, 26, ["B"], "s2")]),
    (connect("A", "Z", 2), []),
    (ev.SessionCleared(session=2), [graph(11, 28, ["B", "Q"], "s2")]),
    (ev.SessionClosed(session=2, reason="closed"), []),
    (ev.SessionOpened(uuid="s30"), []),
    (ev.SessionClosed(session=30, reason="closed"), []),
    (connect("D", "E", 3), [graph(12, 32, ["E"], "s3")]),
    (ev.SessionClosed(session=3, reason="lost"), [graph(13, 33, ["E"], "s3")]),
    # what is in neither feed
    (ev.PublisherOpened(uuid="e34", topic="A"), []),
    (ev.SubscriberOpened(uuid="e35", topic="Z"), []),
    (ev.ChannelOpened(uuid="e36", publisher=34), []),
    (ev.SubscriberStalled(endpoint=35, topic="Z"), []),
    (ev.EndpointClosed(endpoint=34, reason="closed"), []),
    (ev.GraphPaused(), []),
    (ev.GraphSynced(outcome="complete"), []),
    (ev.GraphResumed(), []),
    (ev.Mark(name="m"), []),
    (ev.CommandRejected(actor=None, command="connect", reason="cycle"), []),
    # a run that was lost: each session and each process by itself; settings of both go without a word
    (ev.SessionOpened(uuid="s44"), []),
    (connect("D", "E", 44), [graph(14, 45, ["E"], "s44")]),
    (ev.SessionOpened(uuid="s46"), []),
    (connect("F", "E", 46), [graph(15, 47, ["E"], "s46")]),
    (
        ev.MetadataRegistered(session=46, metadata=form(U=8)),
        [setting(9, 48, "INITIAL_SETTINGS", "U", initial("U", 8), "s46")],
    ),
    (ev.ProcessOpened(uuid="p49"), []),
    (ev.ProcessRegistered(process=49, pid=1, host="h", units=("U",)), [process(16, 50, "p49")]),
    (
        ev.SettingsUpdated(process=49, component="U", value=reported(9)),
        [setting(10, 51, "SETTINGS_UPDATED", "U", reported(9, settings_schema=None), "s46", "p49")],
    ),
    (
        ev.ServerLost(server=1),
        [graph(17, 52, ["E"], "s44"), graph(18, 52, ["E"], "s46"), process(19, 52, "p49")],
    ),
    # the numbers go on in the next run; the persistent edge A -> Z is still there
    (STARTED, []),
    (ev.Mark(name="before anything of the new run"), []),
    (connect("A", "Y", None), [graph(20, 55, ["Y"])]),
    (ev.GraphCleared(), [graph(21, 56, ["Y", "Z"])]),
    (ev.GraphCleared(), []),
    (ev.ServerStopped(server=53, reason="stopped"), []),
]

EVENTS = numbered([event for event, _ in SCRIPT])
ENTRIES = [entry for _, entries in SCRIPT for entry in entries]


def test_each_event_brings_its_entries() -> None:
    watch: list[Any] = []
    state = GraphState(watch)
    for event, (_, entries) in zip(EVENTS, SCRIPT, strict=True):
        state.apply(event)
        state.check()
        assert watch == entries, event
        watch.clear()
    assert (state.topology, state.settings_changes) == (21, 10)


def test_the_feed_of_a_ledger_is_all_of_them() -> None:
    assert list(feed([EVENTS])) == ENTRIES


@given(st.sets(st.integers(0, len(EVENTS))))
def test_how_a_ledger_is_cut_into_batches_does_not_matter(cuts: set[int]) -> None:
    places = sorted(cuts)
    batches = [EVENTS[a:b] for a, b in zip([0, *places], [*places, len(EVENTS)], strict=True)]
    assert list(feed(batches)) == ENTRIES


def test_a_run_knows_where_its_entries_begin() -> None:
    state = fold([EVENTS[:55]], GraphState())
    assert state.run is not None
    assert (state.run[1].topology_start, state.run[1].settings_start) == (19, 10)
    first = [entry for entry in ENTRIES if type(entry) is TopologyChanged and entry.number > 19]
    assert [entry.time for entry in first] == [550, 560]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_each_feed_counts_by_one_but_for_what_a_gap_took(
    data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    watch: list[Any] = []
    state = GraphState(watch)
    last = {TopologyChanged: 0, SettingsChanged: 0}
    for event in events:
        state.apply(event)
        if isinstance(event, ev.Gap):
            last[TopologyChanged] = max(last[TopologyChanged], event.topology)
            last[SettingsChanged] = max(last[SettingsChanged], event.settings)
        for entry in watch:
            last[type(entry)] += 1
            assert entry.number == last[type(entry)]
        watch.clear()
    assert (state.topology, state.settings_changes) == tuple(last.values())


def test_numbers_that_were_lost_are_not_given_out_again() -> None:
    lost = ev.Gap(first=3, last=9, lost=7, late=0, reason="overflow", topology=8, settings=1)
    events = [*numbered([STARTED, connect("A", "B", None)]), stamped(lost, 10, 100)]
    events += [stamped(connect("B", "C", None), 11, 110)]
    assert list(feed([events])) == [graph(1, 2, ["B"]), graph(9, 11, ["C"])]
    state = fold([events], GraphState())
    assert (state.topology, state.settings_changes) == (9, 1)


# --- rules -----------------------------------------------------------------------------------------------------------


def lives(rules: int) -> list[Any]:
    """A session that holds an edge and registers twice, and is cleared; one that only registers, and goes."""
    return numbered(
        [
            msgspec.structs.replace(STARTED, rules=rules),
            ev.SessionOpened(uuid="s2"),
            connect("A", "B", 2),
            ev.MetadataRegistered(session=2, metadata=form(U=1)),
            ev.MetadataRegistered(session=2, metadata=form(U=2)),
            ev.SessionCleared(session=2),
            ev.SessionClosed(session=2, reason="closed"),
            ev.SessionOpened(uuid="s8"),
            ev.MetadataRegistered(session=8, metadata=form(V=1)),
            ev.SessionClosed(session=8, reason="lost"),
        ]
    )


def test_by_rules_2_metadata_that_comes_or_goes_is_told_as_a_change_of_no_topic() -> None:
    told = {rules: [entry for entry in feed([lives(rules)]) if type(entry) is TopologyChanged] for rules in (1, 2)}
    assert told[1] == [graph(1, 3, ["B"], "s2"), graph(2, 6, ["B"], "s2")]
    assert told[2] == [
        graph(1, 3, ["B"], "s2"),
        graph(2, 4, [], "s2"),
        graph(3, 5, [], "s2"),
        graph(4, 6, ["B"], "s2"),
        graph(5, 9, [], "s8"),
        graph(6, 10, [], "s8"),
    ]


# --- replays from a place on the way ---------------------------------------------------------------------------------


def test_a_replay_from_any_checkpoint_gives_what_follows(histories: st.SearchStrategy[list[Any]]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        events = data.draw(histories)
        start = data.draw(st.integers(0, len(events)))
        checkpoint = Checkpoint(fold([events[:start]], GraphState()))
        for kind in (TopologyChanged, SettingsChanged):
            whole = [entry for entry in feed([events]) if type(entry) is kind]
            replay = Replay(kind, checkpoint, reading(events, 3))
            while replay.step():
                replay.state.check()
            before = checkpoint.number(kind)
            assert list(replay.pending) == [entry for entry in whole if entry.number > before]

    check()


def reading(events: list[Any], batch: int) -> Callable[[int], Iterator[list[Any]]]:
    """What a ledger of these events reads, a few at a time."""

    def read(after: int) -> Iterator[list[Any]]:
        rest = [event for event in events if event.seq > after]
        return (rest[place : place + batch] for place in range(0, len(rest), batch))

    return read


def test_a_replay_goes_on_with_what_comes_later() -> None:
    events = EVENTS[:30]
    replay = Replay(TopologyChanged, Checkpoint(GraphState()), lambda after: reading(events, 4)(after))
    while replay.step():
        pass
    replay.skip()
    number = replay.number
    assert not replay.step()
    events = EVENTS
    while replay.step():
        pass
    taken = [replay.take() for _ in range(len(replay.pending))]
    assert taken == [entry for entry in ENTRIES if type(entry) is TopologyChanged and entry.number > number]
    assert replay.number == 21


def edges(count: int) -> list[Any]:
    """A history in which every event but the first is an entry of the topology feed."""
    flips = [connect("A", "B", None), ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)]
    return numbered([STARTED, *(flips[number % 2] for number in range(count - 1))])


def test_checkpoints_lead_near_to_any_number_and_their_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "CHECKPOINT_EVENTS", 10)
    monkeypatch.setattr(feeds, "FACTS_MAX", 50)
    checkpoints = Checkpoints(*[Checkpoint(GraphState())] * 2)
    state = GraphState()
    for event in edges(2000):
        state.apply(event)
        checkpoints.note(state)
    assert 5 < len(checkpoints) <= 50
    for number in range(0, 2000, 7):
        assert 0 <= number - checkpoints.before(TopologyChanged, number).number(TopologyChanged) <= 400
    assert not checkpoints.note(state), "there is one near"
    checkpoints.cut(1000)
    assert checkpoints.before(TopologyChanged, 2000).seq <= 1000
    checkpoints.cut(-1)
    assert checkpoints.before(TopologyChanged, 2000).seq == 0, "the beginning is always there"


def test_a_state_that_is_too_large_gets_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "CHECKPOINT_EVENTS", 1)
    monkeypatch.setattr(feeds, "CHECKPOINT_FACTS_MAX", 4)
    checkpoints = Checkpoints(*[Checkpoint(GraphState())] * 2)
    state = GraphState()
    for event in numbered([STARTED, *(connect("A", f"{number}", None) for number in range(10))]):
        state.apply(event)
        checkpoints.note(state)
    assert len(checkpoints) == 3
