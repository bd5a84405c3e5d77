"""The graph state: what happens to it, told by examples; and that it does not matter how the events come in."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent, LedgerError, OutOfOrder, UnknownEvents
from ezmsg.ledger.events import stamped
from ezmsg.ledger.metadata import GraphMetadata, SettingsSchemaMetadata, UnitMetadata
from ezmsg.ledger.projections.graph import ownership
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.facts import facts, position
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.values import Form, freeze


def numbered(*events: Any, after: int = 0) -> list[Any]:
    """The events with the seqs behind ``after``, a microsecond apart."""
    return [stamped(event, seq, 1000 * seq) for seq, event in enumerate(events, after + 1)]


def state_of(*events: Any) -> GraphState:
    state = fold([numbered(*events)], GraphState())
    state.check()
    return state


def then(state: GraphState, *events: Any) -> GraphState:
    state.apply_batch(numbered(*events, after=state.seq))
    state.check()
    return state


def started(**fields: Any) -> ev.ServerStarted:
    return ev.ServerStarted(**{"uuid": "u-run", "kind": "server", "name": "s", "host": "h", "pid": 1, **fields})


def session(uuid: str = "u-session", **fields: Any) -> ev.SessionOpened:
    return ev.SessionOpened(uuid=uuid, **fields)


def process(uuid: str = "u-process") -> ev.ProcessOpened:
    return ev.ProcessOpened(uuid=uuid, peer="127.0.0.1:5")


def connected(a: str, b: str, owner: int | None = None) -> ev.EdgeConnected:
    return ev.EdgeConnected(from_topic=a, to_topic=b, owner=owner)


def unit(address: str, gain: Any = 1.0, **fields: Any) -> UnitMetadata:
    return UnitMetadata(address=address, initial_settings=(b"pickle", {"gain": gain}), **fields)


def form(*units: UnitMetadata, root: str | None = None, keys: tuple[str, ...] = ()) -> Form:
    names = keys or tuple(item.address for item in units)
    return freeze(GraphMetadata(root_name=root, components=dict(zip(names, units, strict=True))))


def registered(owner: int, *units: UnitMetadata, **fields: Any) -> ev.MetadataRegistered:
    return ev.MetadataRegistered(session=owner, metadata=form(*units, **fields))


def reported(source: int, component: str, gain: Any, **fields: Any) -> ev.SettingsUpdated:
    value = ev.SettingsValue(serialized=b"new", repr_value={"gain": gain}, structured_value={"gain": gain}, **fields)
    return ev.SettingsUpdated(process=source, component=component, value=value)


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_new_state_is_empty() -> None:
    state = GraphState()
    state.check()
    assert (state.seq, state.time, state.run, state.unknown, state.paused) == (0, 0, None, False, False)
    assert state.snapshot().graph == {}


def test_a_run_ends_and_takes_all_but_the_persistent_edges_with_it() -> None:
    for end in (ev.ServerStopped(server=1, reason="signal"), ev.ServerLost(server=1)):
        state = state_of(
            started(),
            session(),
            connected("A", "B"),
            connected("A", "B", 2),
            connected("B", "C", 2),
            registered(2, unit("SYS/U")),
            process(),
            ev.ProcessRegistered(process=7, pid=1, host="h", units=("SYS/U",)),
            reported(7, "SYS/U", 2.0),
            ev.PublisherOpened(uuid="u-pub", topic="A"),
            ev.RequestRouted(uuid="r", session=2, unit="SYS/U", operation="PING", process=7),
            ev.GraphPaused(),
        )
        assert state.run is not None
        assert state.run[0] == 1
        assert state.paused
        then(state, end)
        assert state.run is None
        assert state.ownership.graph() == {"A": ["B"], "B": []}
        assert not state.paused
        for table in ("sessions", "registrations", "components", "settings", "processes", "units", "endpoints"):
            assert getattr(state, table) == {}, table
        assert state.requests == {}


def test_a_run_knows_at_which_numbers_of_the_feeds_it_began() -> None:
    state = state_of(started(), connected("A", "B"), ev.ServerLost(server=1), started(uuid="u-run2"))
    assert state.run is not None
    key, record = state.run
    assert (key, record.uuid, record.topology_start, record.settings_start) == (4, "u-run2", 1, 0)
    assert record.started == 4000


def test_newer_rules_are_refused_with_advice() -> None:
    with pytest.raises(LedgerError, match=f"rules {ev.RULES + 1}") as caught:
        state_of(started(rules=ev.RULES + 1))
    assert not isinstance(caught.value, InvalidEvent)
    assert "Upgrade" in caught.value.hint


# --- sessions and edges ----------------------------------------------------------------------------------------------


def test_two_sessions_share_an_edge_and_the_second_keeps_it() -> None:
    state = state_of(started(), session("s2"), session("s3"), connected("A", "B", 2), connected("A", "B", 3))
    assert state.topology == 1
    then(state, ev.SessionClosed(session=2, reason="lost"))
    assert state.ownership.owners(("A", "B")) == {3}
    assert state.topology == 1
    then(state, ev.SessionClosed(session=3, reason="lost"))
    assert state.ownership.graph() == {}
    assert state.topology == 2
    assert state.sessions == {}


def test_clear_takes_everything_but_the_session_itself() -> None:
    state = state_of(
        started(),
        session(),
        connected("A", "B", 2),
        connected("C", "B", 2),
        registered(2, unit("U")),
        connected("X", "Y"),
    )
    then(state, ev.SessionCleared(session=2))
    assert list(state.sessions) == [2]
    assert state.settings == state.components == state.registrations == {}
    assert state.ownership.graph() == {"X": ["Y"], "Y": []}
    then(state, connected("A", "B", 2))
    assert list(state.ownership.graph()) == ["X", "Y", "A", "B"]


def test_the_persistent_edges_can_be_dropped_at_once() -> None:
    state = state_of(started(), session(), connected("A", "B"), connected("C", "D"), connected("C", "D", 2))
    then(state, ev.GraphCleared())
    assert state.snapshot().edge_owners == {("C", "D"): ["u-session"]}
    assert state.topology == 3


@pytest.mark.parametrize(
    ("label", "root", "units", "expected"),
    [
        ("given", "SYS", ("U",), "given"),
        (None, "SYS", ("U",), "SYS"),
        ("", "SYS", ("U",), "SYS"),
        (None, None, ("U", "V"), "U"),
        (None, "", ("U",), "U"),
        (None, None, (), None),
    ],
)
def test_the_label_of_a_session(
    label: str | None, root: str | None, units: tuple[str, ...], expected: str | None
) -> None:
    opened = ev.SessionOpened(uuid="u", peer="127.0.0.1:1", label=label)
    state = state_of(started(), opened, registered(2, *map(unit, units), root=root))
    assert state.sessions[2].label == expected
    assert state.sessions[2].name == (expected or "127.0.0.1:1")
    then(state, registered(2, unit("W"), root="OTHER"))
    assert state.sessions[2].label == (expected or "OTHER")


# --- metadata and settings -------------------------------------------------------------------------------------------


def test_a_registration_sets_the_initial_settings() -> None:
    schema = SettingsSchemaMetadata(provider="msgspec")
    text = UnitMetadata(address="T", initial_settings=(None, "Settings()"))
    state = state_of(started(), session(), registered(2, unit("U", settings_schema=schema), text))
    assert list(state.settings) == ["U", "T"]
    assert state.settings["U"].value == ev.SettingsValue(
        serialized=b"pickle", repr_value={"gain": 1.0}, structured_value={"gain": 1.0}, settings_schema=freeze(schema)
    )
    assert state.settings["T"].value == ev.SettingsValue(
        serialized=None, repr_value="Settings()", structured_value=None, settings_schema=None
    )
    assert (state.settings["T"].session, state.settings["T"].process, state.settings["T"].since) == (2, None, 3)


def test_registering_again_replaces_all_that_was_registered_before() -> None:
    state = state_of(
        started(), session(), registered(2, unit("U"), unit("V")), registered(2, unit("W"), unit("U", 5.0))
    )
    assert list(state.settings) == ["W", "U"]
    assert state.components == {"W": 2, "U": 2}
    assert state.settings["U"].value.repr_value == {"gain": 5.0}


def test_a_reported_value_outlives_its_session_and_falls_back_to_none() -> None:
    state = state_of(
        started(),
        session(),
        registered(2, unit("U")),
        process(),
        ev.ProcessRegistered(process=4, pid=1, host="h", units=("U",)),
        reported(4, "U", 2.0),
        ev.SessionClosed(session=2, reason="lost"),
    )
    assert (state.settings["U"].session, state.settings["U"].process) == (None, 4)
    assert state.settings["U"].value.repr_value == {"gain": 2.0}
    then(state, ev.ProcessClosed(process=4, reason="closed"))
    assert state.settings == {}


def test_a_reported_value_falls_back_to_the_initial_one_when_its_process_ends() -> None:
    state = state_of(started(), session(), registered(2, unit("U")), process(), reported(4, "U", 2.0))
    assert state.settings_changes == 2
    then(state, ev.ProcessClosed(process=4, reason="closed"))
    setting = state.settings["U"]
    assert (setting.session, setting.process, setting.since) == (2, None, 6)
    assert setting.value.repr_value == {"gain": 1.0}
    assert state.settings_changes == 3


def test_a_reported_value_stays_when_a_session_registers_the_component() -> None:
    state = state_of(started(), process(), reported(2, "U", 2.0), session(), registered(4, unit("V"), unit("U")))
    assert list(state.settings) == ["U", "V"]
    setting = state.settings["U"]
    assert (setting.session, setting.process, setting.since) == (4, 2, 3)
    assert setting.value.repr_value == {"gain": 2.0}


def test_losing_a_unit_does_not_touch_its_settings() -> None:
    state = state_of(
        started(),
        process(),
        ev.ProcessRegistered(process=2, pid=1, host="h", units=("U",)),
        reported(2, "U", 2.0),
        ev.ProcessOwnershipChanged(process=2, added=(), removed=("U",)),
    )
    assert state.units == {}
    assert state.settings["U"].process == 2


def test_an_absent_schema_is_the_one_in_force() -> None:
    schema = freeze(SettingsSchemaMetadata(provider="p"))
    state = state_of(started(), process(), reported(2, "U", 1, settings_schema=schema), reported(2, "U", 2))
    assert state.settings["U"].value.settings_schema == schema
    then(state, reported(2, "V", 3))
    assert state.settings["V"].value.settings_schema is None
    then(state, reported(2, "U", 4, settings_schema=None))
    assert state.settings["U"].value.settings_schema is None


def test_components_whose_keys_are_not_their_addresses() -> None:
    """Collisions and owners go by key, initial settings by address, as in ezmsg."""
    state = state_of(started(), session(), registered(2, unit("ADDRESS"), keys=("KEY",)), process())
    assert state.components == {"KEY": 2}
    assert list(state.settings) == ["ADDRESS"]
    then(state, reported(4, "KEY", 2.0), reported(4, "ADDRESS", 3.0))
    assert (state.settings["KEY"].session, state.settings["ADDRESS"].session) == (2, 2)
    then(state, ev.SessionCleared(session=2))
    assert (state.settings["KEY"].session, state.settings["ADDRESS"].session) == (None, None)
    then(state, ev.SessionClosed(session=2, reason="closed"), reported(4, "KEY", 4.0))
    assert state.settings["KEY"].session is None
    then(state, ev.ProcessClosed(process=4, reason="closed"))
    assert state.settings == {}


def test_the_later_of_two_sessions_with_one_address_keeps_the_setting() -> None:
    state = state_of(started(), session("s2"), session("s3"), registered(2, unit("U", 1.0)))
    then(state, registered(3, unit("U", 2.0), keys=("OTHER KEY",)))
    assert (state.settings["U"].session, state.settings["U"].value.repr_value) == (3, {"gain": 2.0})
    then(state, ev.SessionClosed(session=2, reason="lost"))
    assert state.settings["U"].session == 3
    then(state, ev.SessionClosed(session=3, reason="lost"))
    assert state.settings == {}


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_process_that_never_registers_has_no_pid_and_no_units() -> None:
    record = state_of(started(), process()).processes[2]
    assert (record.pid, record.host, record.units) == (None, None, ())


def test_units_are_added_then_removed_and_replaced_by_a_registration() -> None:
    state = state_of(
        started(), process(), ev.ProcessOwnershipChanged(process=2, added=("W", "U", "V"), removed=("V", "X"))
    )
    assert state.processes[2].units == ("U", "W")
    assert state.processes[2].pid is None
    then(state, ev.ProcessRegistered(process=2, pid=7, host="h", units=("X", "U")))
    assert (state.processes[2].units, state.processes[2].pid) == (("U", "X"), 7)
    assert state.units == {"U": 2, "X": 2}
    assert state.topology == 2
    then(state, ev.ProcessRegistered(process=2, pid=8, host="h", units=("U", "X")))
    assert (state.topology, state.processes[2].pid) == (2, 8)
    then(state, ev.ProcessClosed(process=2, reason="closed"))
    assert state.topology == 3
    assert state.units == {}


def test_requests_are_open_until_they_are_answered() -> None:
    state = state_of(
        started(),
        session(),
        process(),
        ev.RequestRouted(uuid="r4", session=2, unit="U", operation="PING", process=3),
        ev.RequestRouted(uuid="r5", session=2, unit="X", operation="PING", process=None),
        ev.RequestAnswered(request=5, ok=False, error_code="UNROUTABLE_UNIT"),
    )
    assert list(state.requests) == [4]
    assert state.requests[4].routed == 4000


# --- endpoints -------------------------------------------------------------------------------------------------------


def test_endpoints_come_stall_recover_and_go() -> None:
    state = state_of(
        started(),
        ev.PublisherOpened(uuid="p", topic="A", declared="d:1", advertised="a:1", peer="x:1"),
        ev.SubscriberOpened(uuid="s", topic="B"),
        ev.ChannelOpened(uuid="c", publisher=2),
        ev.SubscriberStalled(endpoint=3, topic="B"),
    )
    assert [record.kind for record in state.endpoints.values()] == ["publisher", "subscriber", "channel"]
    assert (state.endpoints[2].declared, state.endpoints[2].advertised) == ("d:1", "a:1")
    assert state.endpoints[4].publisher == 2
    assert state.endpoints[3].stalled
    then(state, ev.SubscriberRecovered(endpoint=3, topic="B"), ev.EndpointClosed(endpoint=2, reason="closed"))
    assert not state.endpoints[3].stalled
    assert list(state.endpoints) == [3, 4]


# --- what must not be folded -----------------------------------------------------------------------------------------


def test_a_missing_event_is_noticed_and_the_state_stands_before_it() -> None:
    events = numbered(started(), connected("A", "B"), connected("B", "C"), ev.Mark(name="m"), connected("C", "D"))
    for missing in range(len(events)):
        state = GraphState()
        rest = events[:missing] + events[missing + 1 :]
        if missing == len(events) - 1:
            state.apply_batch(rest)
        else:
            with pytest.raises(OutOfOrder) as caught:
                state.apply_batch(rest)
            assert caught.value.hint
        expected = fold([events[:missing]], GraphState())
        assert position(state) == position(expected)
        assert state.digest() == expected.digest()
        state.apply_batch(events[missing:])
        assert state.digest() == fold([events], GraphState()).digest()


def test_the_same_event_twice_is_noticed() -> None:
    (event,) = numbered(started())
    state = GraphState()
    state.apply(event)
    with pytest.raises(OutOfOrder, match="event 1 does not follow 1"):
        state.apply(event)


CONTRADICTIONS = [
    connected("A", "B", 99),
    ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=3),
    ev.EdgeDisconnected(from_topic="B", to_topic="A", owner=None),
    ev.SessionCleared(session=99),
    ev.SessionClosed(session=99, reason="closed"),
    ev.SessionClosed(session=3, reason="closed"),
    ev.ServerStopped(server=2, reason="stopped"),
    ev.ServerLost(server=99),
    registered(99),
    registered(2, unit("TAKEN")),
    ev.MetadataRegistered(session=2, metadata=None),
    ev.MetadataRegistered(session=2, metadata={"components": {"U": {}}}),
    ev.MetadataRegistered(session=2, metadata={"components": {"U": {"address": 1, "initial_settings": [None, ""]}}}),
    ev.MetadataRegistered(session=2, metadata={"components": {"U": {"address": "U", "initial_settings": "x"}}}),
    ev.MetadataRegistered(session=2, metadata={"components": {"U": {"address": "U", "initial_settings": ["x", ""]}}}),
    ev.MetadataRegistered(session=2, metadata={"components": ["U"]}),
    ev.MetadataRegistered(session=2, metadata={"components": {"$": "m", "v": [[1, {}]]}}),
    ev.ProcessRegistered(process=2, pid=1, host="h", units=()),
    ev.ProcessRegistered(process=3, pid=1, host="h", units=("TAKEN",)),
    ev.ProcessOwnershipChanged(process=3, added=("TAKEN",), removed=()),
    ev.ProcessClosed(process=99, reason="closed"),
    reported(99, "U", 1),
    ev.RequestRouted(uuid="r", session=99, unit="U", operation="PING", process=None),
    ev.RequestRouted(uuid="r", session=2, unit="U", operation="PING", process=99),
    ev.RequestAnswered(request=99, ok=True),
    ev.EndpointClosed(endpoint=2, reason="closed"),
    ev.SubscriberStalled(endpoint=99, topic="A"),
    ev.SubscriberRecovered(endpoint=99, topic="A"),
]


@pytest.mark.parametrize("event", CONTRADICTIONS, ids=lambda event: f"{ev.type_of(event)}")
@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_what_contradicts_the_state_is_named(event: Any, watched: bool) -> None:
    before = numbered(
        started(),
        session("s2"),
        process("p3"),
        session("s4"),
        process("p5"),
        registered(4, unit("TAKEN")),
        ev.ProcessRegistered(process=5, pid=1, host="h", units=("TAKEN",)),
        connected("A", "B"),
        connected("A", "B", 2),
    )
    state = GraphState([] if watched else None)
    # an event before it and one behind it, so that the error must tell which of three it is
    batch = numbered(connected("X", "Y"), event, connected("Y", "Z"), after=9)
    state.apply_batch(before)
    with pytest.raises(InvalidEvent, match="event 11 contradicts") as caught:
        state.apply_batch(batch)
    assert caught.value.hint


def test_a_gap_with_losses_is_the_one_legal_jump() -> None:
    state = state_of(started(), connected("A", "B"))
    state.apply(stamped(ev.Gap(first=3, last=9, lost=7, late=0, reason="overflow"), 10, 10))
    assert state.seq == 10
    then(state, connected("B", "C"))
    assert list(state.ownership.graph()) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("gap", "seq"),
    [
        (ev.Gap(first=4, last=9, lost=6, late=0, reason="r"), 10),
        (ev.Gap(first=2, last=9, lost=8, late=0, reason="r"), 10),
        (ev.Gap(first=3, last=8, lost=6, late=0, reason="r"), 10),
        (ev.Gap(first=3, last=2, lost=1, late=0, reason="r"), 3),
        (ev.Gap(first=1, last=2, lost=2, late=0, reason="r"), 3),
        (ev.Gap(first=3, last=9, lost=0, late=7, reason="r"), 10),
    ],
)
def test_no_other_gap_may_jump(gap: ev.Gap, seq: int) -> None:
    state = state_of(started(), connected("A", "B"))
    with pytest.raises(OutOfOrder):
        state.apply(stamped(gap, seq, seq))
    assert state.seq == 2


def test_a_gap_without_losses_takes_the_next_seq() -> None:
    state = state_of(started(), connected("A", "B"), ev.Gap(first=2, last=2, lost=0, late=1, reason="no_space"))
    assert state.seq == 3


def test_an_unknown_event_is_passed_over_and_said_to_be() -> None:
    state = state_of(started())
    state.apply(ev.UnknownEvent(seq=2, time=9, tag="graph.tuned", raw=b"{}"))
    then(state, connected("A", "B"))
    assert state.unknown
    assert (state.seq, state.time) == (3, 3000)
    with pytest.raises(UnknownEvents, match="seq 3"):
        state.digest()
    assert state.digest(allow_unknown=True) == state_of(started(), ev.Mark(name="m"), connected("A", "B")).digest()


def test_check_says_what_is_broken() -> None:
    def fresh() -> GraphState:
        return state_of(
            started(),
            session(),
            connected("A", "B", 2),
            registered(2, unit("U")),
            process(),
            ev.ProcessRegistered(process=5, pid=1, host="h", units=("U",)),
            ev.SubscriberOpened(uuid="u-sub", topic="A"),
        )

    def broken(change: Any, message: str) -> None:
        state = fresh()
        change(state)
        with pytest.raises(AssertionError, match=message):
            state.check()

    broken(lambda state: state.sessions.clear(), "are not open")
    broken(lambda state: state.components.clear(), "components differ")
    broken(lambda state: state.units.clear(), "units differ")
    broken(lambda state: state.registrations.clear(), "components differ")
    broken(lambda state: state.runs.update({99: state.runs[1]}), "not a seq up to")
    broken(lambda state: state.processes.update({2: state.processes[5]}), "is in")
    broken(lambda state: state.processes.update({3: state.processes[5]}), "share a UUID")
    broken(lambda state: state.settings.update(V=state.settings["U"]), "ranks")
    broken(lambda state: state.ownership.open(99), "edges can be held by")

    def orphan(state: GraphState) -> None:
        state.registrations.clear()
        state.components.clear()

    broken(orphan, "no open session 2 registers it")


# --- how the events come in does not matter --------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_split_into_batches_gives_the_same(data: st.DataObject, histories: st.SearchStrategy[list[Any]]) -> None:
    events = data.draw(histories)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))))
    parts = [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    whole, singly, split = GraphState(), GraphState([]), GraphState([])
    whole.apply_batch(events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "COMPACT_MIN", 0)
        patch.setattr(ownership, "COMPACT_RATIO", 0)
        for event in events:
            singly.apply(event)
            assert (singly.seq, singly.time) == (event.seq, event.time)
            singly.check()
    fold(parts, split)
    split.check()
    assert position(whole) == position(singly) == position(split)
    assert facts(whole) == facts(singly) == facts(split)
    assert whole.digest() == singly.digest() == split.digest()
    assert whole.shape_digest() == singly.shape_digest() == split.shape_digest()
    assert singly.watch == split.watch


def test_a_fold_goes_on_from_where_the_projection_stands() -> None:
    events = numbered(started(), connected("A", "B"), connected("B", "C"))
    state = fold([events[:1], [], events[1:2]], GraphState())
    assert fold([events[2:]], state) is state
    assert state.seq == 3
