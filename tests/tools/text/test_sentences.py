"""Every event in a sentence, with what followed from it."""

from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.tools.text.phrases import EVERYTHING
from ezmsg.ledger.tools.text.sentences import _TELLERS, Sentence, Story
from ezmsg.ledger.values import freeze

SECOND = 10**9

STARTED = ev.ServerStarted(uuid="r", kind="server", name="rig", host="lab-3", pid=7, address="127.0.0.1:25978")
SYSTEM = ev.SessionOpened(uuid="uuid-2", peer="127.0.0.1:40122")
VIEWER = ev.SessionOpened(uuid="uuid-3", label="viewer")


def edge(from_topic: str, to_topic: str, owner: int | None, **more: Any) -> ev.EdgeConnected:
    return ev.EdgeConnected(from_topic=from_topic, to_topic=to_topic, owner=owner, **more)


def metadata(*units: str, gain: float = 1.0) -> ev.MetadataRegistered:
    components = {unit: UnitMetadata(address=unit, initial_settings=(None, {"gain": gain})) for unit in units}
    return ev.MetadataRegistered(session=2, metadata=freeze(GraphMetadata(root_name="SYSTEM", components=components)))


def value(**fields: Any) -> ev.SettingsValue:
    return ev.SettingsValue(serialized=None, repr_value=fields, structured_value=fields)


def tell(*events: ev.Event, most: int = 5) -> list[Sentence]:
    """The sentences of events, a second apart, behind a server's start."""
    now = 0
    ledger = Ledger.memory(clock=lambda: now)
    for event in (STARTED, *events):
        now += SECOND
        ledger.append([event])
    story = Story(most=most)
    return [story.tell(event) for event in ledger.entries()]


def last(*events: ev.Event, most: int = 5) -> str:
    return tell(*events, most=most)[-1].told.text


def test_every_type_of_event_can_be_told() -> None:
    assert set(_TELLERS) == {*ev.EVENT_TYPES.values(), ev.UnknownEvent}


def test_a_story_folds_what_it_tells() -> None:
    story = Story()
    for event in [edge("A", "B", None, seq=1, time=1), edge("B", "C", None, seq=2, time=2)]:
        story.tell(event)
    assert (story.state.seq, len(story.state.ownership.nodes)) == (2, 3)


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_start_says_who_where_and_with_what() -> None:
    assert tell()[0].told.text == 'graph server "rig" started on lab-3 (pid 7), listening on 127.0.0.1:25978'


def test_a_stop_says_who_asked() -> None:
    assert last(ev.ServerStopped(server=1, reason="stopped")) == "server stopped"
    stopped = ev.ServerStopped(server=1, reason="shutdown", by="127.0.0.1:9")
    assert last(stopped) == "server stopped (shutdown), asked by 127.0.0.1:9"


def test_a_lost_server_takes_along_what_its_clients_owned() -> None:
    text = last(SYSTEM, edge("A", "B", 2), edge("C", "D", None), ev.ServerLost(server=1, last_seen=4 * SECOND))
    assert text == (
        'server "rig" (pid 7 on lab-3) was lost: no clean shutdown was recorded, last seen 1 s before this start; '
        "with it ended 1 session; gone with it: 1 edge: A -> B"
    )


def test_a_lost_server_of_a_clock_that_was_set_back_was_seen_nobody_knows_when() -> None:
    text = last(ev.ServerLost(server=1, last_seen=99 * SECOND))
    assert text == 'server "rig" (pid 7 on lab-3) was lost: no clean shutdown was recorded'


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_is_called_by_its_label_as_soon_as_it_has_one() -> None:
    opened, connected, registered, again = tell(SYSTEM, edge("A", "B", 2), metadata("U"), edge("C", "D", 2))[1:]
    assert opened.told.text == "session 2 opened from 127.0.0.1:40122"
    assert connected.told.text == "session 2 (127.0.0.1:40122) connected A -> B"
    assert registered.told.text == "session 2 (127.0.0.1:40122) registered 1 component: U"
    assert again.told.text == 'session 2 "SYSTEM" connected C -> D'


def test_a_lost_session_says_of_each_edge_what_became_of_it() -> None:
    text = last(
        SYSTEM,
        VIEWER,
        edge("A", "B", 2),
        edge("C", "D", 2),
        edge("E", "F", 2),
        edge("C", "D", None),
        edge("E", "F", 3),
        ev.SessionClosed(session=2, reason="lost", detail="reset"),
    )
    assert text == (
        "session 2 (127.0.0.1:40122) was lost (reset) while it held 3 edges, 1 now gone: "
        'C -> D (still held by persistent), E -> F (still held by session 3 "viewer"), A -> B (gone)'
    )


@pytest.mark.parametrize(
    ("reason", "detail", "text"),
    [
        ("closed", "eof", "session 2 (127.0.0.1:40122) closed"),
        ("server_stopped", None, "session 2 (127.0.0.1:40122) ended with the server"),
        ("error", "ValueError('x')", "session 2 (127.0.0.1:40122) ended with an error (ValueError('x'))"),
        ("unseen", None, "session 2 (127.0.0.1:40122) ended while nobody recorded"),
        ("evicted", "quota", "session 2 (127.0.0.1:40122) ended (evicted) (quota)"),
    ],
)
def test_how_a_session_can_end(reason: str, detail: str | None, text: str) -> None:
    assert last(SYSTEM, ev.SessionClosed(session=2, reason=reason, detail=detail)) == text


def test_a_cleared_session_says_what_it_gave_up() -> None:
    text = last(SYSTEM, edge("A", "B", 2), metadata("U", "V"), ev.SessionCleared(session=2))
    assert text == 'session 2 "SYSTEM" gave up all it held: 2 components and 1 edge, now gone: A -> B'


def test_long_lists_are_cut_unless_all_is_wanted() -> None:
    events = [SYSTEM, *(edge(f"A{n}", f"B{n}", 2) for n in range(9)), ev.SessionCleared(session=2)]
    assert last(*events).endswith("9 edges, now gone: A0 -> B0, A1 -> B1, A2 -> B2, A3 -> B3, A4 -> B4 and 4 more")
    assert last(*events, most=EVERYTHING).endswith("A7 -> B7, A8 -> B8")
    six = [SYSTEM, *(edge(f"A{n}", f"B{n}", 2) for n in range(6)), ev.SessionCleared(session=2)]
    assert last(*six).endswith("A4 -> B4, A5 -> B5"), "one more is no reason to cut"


def test_a_registration_in_place_of_another_says_what_changed() -> None:
    text = last(SYSTEM, metadata("U", "V"), metadata("V", "W"))
    assert text == 'session 2 "SYSTEM" registered 2 components in place of 2; new: W; no longer: U'


# --- edges -----------------------------------------------------------------------------------------------------------


def test_edges_say_who_else_holds_them() -> None:
    assert last(SYSTEM, edge("A", "B", None), edge("A", "B", 2)) == (
        "session 2 (127.0.0.1:40122) connected A -> B, already held by persistent"
    )
    assert last(SYSTEM, edge("A", "B", 2), edge("A", "B", None, by="127.0.0.1:9")) == (
        "127.0.0.1:9 connected A -> B (persistent), already held by session 2 (127.0.0.1:40122)"
    )
    gone = ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=2)
    assert last(SYSTEM, edge("A", "B", 2), gone) == "session 2 (127.0.0.1:40122) disconnected A -> B, now gone"
    assert last(SYSTEM, edge("A", "B", 2), edge("A", "B", None), gone) == (
        "session 2 (127.0.0.1:40122) disconnected A -> B, still held by persistent"
    )


def test_what_was_only_found_says_so() -> None:
    assert "(found so; it happened before)" in last(SYSTEM, edge("A", "B", 2, observed=True))
    unseen = ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None, reason="unseen")
    assert last(edge("A", "B", None), unseen) == "somebody no longer holds (unseen) A -> B (persistent), now gone"


def test_all_persistent_edges_can_go_at_once() -> None:
    cleared = ev.GraphCleared(by="127.0.0.1:9")
    text = last(SYSTEM, edge("A", "B", None), edge("C", "D", None), edge("C", "D", 2), cleared)
    assert text == (
        "all persistent edges were dropped by 127.0.0.1:9: 2 edges, 1 now gone: "
        "C -> D (still held by session 2 (127.0.0.1:40122)), A -> B (gone)"
    )


# --- processes and settings ------------------------------------------------------------------------------------------

PROCESS = ev.ProcessOpened(uuid="uuid-p", peer="127.0.0.1:5")


def registered(process: int, host: str = "lab-3") -> ev.ProcessRegistered:
    return ev.ProcessRegistered(process=process, pid=4711, host=host, units=("U",))


def test_a_process_names_its_host_where_it_is_another() -> None:
    assert last(PROCESS, registered(2)) == "process 2 (pid 4711) runs 1 unit: U"
    assert last(PROCESS, registered(2, "lab-4")) == "process 2 (pid 4711 on lab-4) runs 1 unit: U"


def test_a_setting_says_what_it_was_before() -> None:
    story = [SYSTEM, metadata("U"), PROCESS, registered(4)]
    changed = ev.SettingsUpdated(process=4, component="U", value=value(gain=2.0, mode="fast"))
    said = 'process 4 (pid 4711) reported gain=2.0 (was 1.0), mode="fast" (new) arriving at U'
    assert last(*story, changed) == said
    assert last(*story, changed, changed) == "process 4 (pid 4711) reported the settings of U: as they were"
    assert last(PROCESS, ev.SettingsUpdated(process=2, component="X", value=value(a=1))) == (
        "process 2 (127.0.0.1:5) reported a=1 arriving at X"
    )


def test_a_process_that_ends_says_what_its_settings_fall_back_to() -> None:
    text = last(
        SYSTEM,
        metadata("U"),
        PROCESS,
        registered(4),
        ev.SettingsUpdated(process=4, component="U", value=value(gain=2.0)),
        ev.ProcessClosed(process=4, reason="lost", detail="reset"),
    )
    assert text == "process 4 (pid 4711) was lost (reset); it ran U; settings fall back: U gain=1.0 (was 2.0)"


def test_units_change_hands() -> None:
    change = ev.ProcessOwnershipChanged(process=2, added=("V",), removed=("U",))
    assert last(PROCESS, registered(2), change) == "process 2 (pid 4711) took on V and gave up U"


def test_requests_say_who_asked_whom_and_how_it_went() -> None:
    routed = ev.RequestRouted(uuid="q", session=2, unit="U", operation="UPDATE_SETTING_FIELD", process=3)
    story = [SYSTEM, PROCESS, registered(3), routed]
    assert last(*story) == "session 2 (127.0.0.1:40122) sent UPDATE_SETTING_FIELD to U, run by process 3 (pid 4711)"
    done = ev.RequestAnswered(request=5, ok=True, took=12 * 10**6)
    assert last(*story, done) == "UPDATE_SETTING_FIELD on U for session 2 (127.0.0.1:40122): done after 12 ms"
    failed = ev.RequestAnswered(request=5, ok=False, error_code="TIMEOUT", took=2 * SECOND)
    assert last(*story, failed).endswith("failed: TIMEOUT after 2 s")


# --- endpoints and the rest ------------------------------------------------------------------------------------------


def test_endpoints_are_called_by_topic() -> None:
    publisher = ev.PublisherOpened(uuid="p", topic="A/OUT", advertised="127.0.0.1:1")
    channel = ev.ChannelOpened(uuid="c", publisher=2, peer="127.0.0.1:2")
    assert last(publisher) == "publisher 2 of A/OUT is ready at 127.0.0.1:1"
    assert last(publisher, channel) == "channel 3 to publisher 2 of A/OUT opened from 127.0.0.1:2"
    assert last(publisher, ev.EndpointClosed(endpoint=2, reason="lost")) == "publisher 2 of A/OUT was lost"
    gone = ev.EndpointClosed(endpoint=2, reason="closed")
    assert last(publisher, channel, gone, ev.EndpointClosed(endpoint=3, reason="closed")) == (
        "channel 3 to publisher 2 closed"
    )
    subscriber = ev.SubscriberOpened(uuid="s", topic="B/IN")
    assert last(subscriber, ev.SubscriberStalled(endpoint=2, topic="B/IN")) == (
        "subscriber 2 of B/IN did not take a change of its publishers in time"
    )
    recovered = ev.SubscriberRecovered(endpoint=2, topic="B/IN")
    assert last(subscriber, ev.SubscriberStalled(endpoint=2, topic="B/IN"), recovered).endswith("has caught up")


def test_a_sync_names_those_that_kept_silent() -> None:
    publisher = ev.PublisherOpened(uuid="p", topic="A/OUT")
    synced = ev.GraphSynced(by="127.0.0.1:9", outcome="timeout", took=5 * SECOND, silent=(2,))
    told = tell(publisher, synced)[-1].told
    assert told.text == "the graph was synced for 127.0.0.1:9: timed out after 5 s; silent: publisher 2 of A/OUT"
    assert told.words == ("A/OUT",)


def test_marks_gaps_and_what_is_not_known() -> None:
    assert last(ev.Mark(name="task", note="run 3", author="cb")) == 'mark "task": run 3 (cb)'
    gap = ev.Gap(first=2, last=8, lost=7, late=0, reason="disk full")
    assert last(gap) == "gap in the recording, seqs 2 to 8: 7 lost, 0 written late (disk full)"
    story = Story()
    raw = b'{"type":"coffee.spilled","seq":1,"time":5,"cups":2}'
    told = story.tell(ev.UnknownEvent(seq=1, time=5, tag="coffee.spilled", raw=raw))
    assert told.type == "coffee.spilled"
    assert told.told.text.startswith("unknown event coffee.spilled, of a newer version: ")
    assert told.told.tone == "warn"


def test_filters_find_what_followed_too() -> None:
    told = tell(SYSTEM, edge("A", "B", 2), metadata("U"), ev.SessionClosed(session=2, reason="lost"))[-1].told
    assert set(told.words) == {"A", "B", "U"}
    assert told.sessions == (2,)
    lost = tell(SYSTEM, VIEWER, edge("A", "B", 2), ev.ServerLost(server=1))[-1].told
    assert lost.sessions == (2, 3)
    assert lost.words == ("A", "B")


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ms"),
        (1_500_000, "1.5 ms"),
        (999_400_000, "999 ms"),
        (12_345_000_000, "12.3 s"),
        (200 * SECOND, "3 min 20 s"),
        (3 * 3600 * SECOND, "3 h 0 min"),
        (50 * 3600 * SECOND, "2 d 2 h"),
    ],
)
def test_a_length_of_time_in_the_unit_that_fits(ns: int, text: str) -> None:
    assert span_text(ns) == text


def test_a_contradiction_is_no_sentence() -> None:
    with pytest.raises(InvalidEvent, match="contradicts"):
        Story(GraphState()).tell(ev.SessionClosed(session=5, reason="lost", seq=1, time=1))
