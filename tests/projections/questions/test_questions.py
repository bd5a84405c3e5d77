"""What a timeline is asked, on a small history that a person can follow."""

import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from ezmsg.core.graphmeta import SettingsFieldUpdateRequest
from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent, LedgerError, UnknownMoment, UnknownSubject
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.values import freeze

UNIT = "SYS/FILTER"
STEP = 10**9


def told(value: dict[str, Any]) -> ev.SettingsValue:
    return ev.SettingsValue(serialized=None, repr_value=freeze(value), structured_value=freeze(value))


def updated(process: int, gain: float) -> ev.SettingsUpdated:
    return ev.SettingsUpdated(process=process, component=UNIT, value=told({"gain": gain, "deep": {"x": 1}}))


def wish(gain: float) -> bytes:
    return pickle.dumps(SettingsFieldUpdateRequest(field_path="gain", value=gain))


def edge(a: str, b: str, owner: int | None, cls: Any = ev.EdgeConnected, **more: Any) -> Any:
    return cls(from_topic=a, to_topic=b, owner=owner, **more)


STORY = [
    ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1),  # 1
    ev.SessionOpened(uuid="aaa", peer="h:1", label="SYS"),
    ev.SessionOpened(uuid="bbb", peer="h:2", label="viewer"),
    edge("A", "B", 2),
    edge("B", "C", 2),  # 5
    edge("B", "C", 3),
    ev.SubscriberOpened(uuid="s", topic="C"),
    ev.PublisherOpened(uuid="p", topic="A", peer="h:4"),
    ev.ProcessOpened(uuid="q"),
    ev.ProcessRegistered(process=9, pid=33, host="rig", units=(UNIT,)),  # 10
    updated(9, 1.0),
    ev.RequestRouted(uuid="x", session=3, unit=UNIT, operation="UPDATE_SETTING_FIELD", process=9, payload=wish(2.0)),
    updated(9, 2.0),
    ev.RequestAnswered(request=12, ok=True),
    edge("A", f"{UNIT}/INPUT_SETTINGS", None, by="h:9"),  # 15
    updated(9, 3.0),
    ev.RequestRouted(uuid="y", session=3, unit=UNIT, operation="UPDATE_SETTING_FIELD", process=9, payload=wish(4.0)),
    ev.RequestAnswered(request=17, ok=False, error_code="HANDLER_ERROR"),
    updated(9, 4.0),
    ev.SubscriberStalled(endpoint=7, topic="C"),  # 20
    ev.GraphPaused(by="h:2"),
    ev.CommandRejected(
        actor=3, command="connect", arguments=["C", "A"], reason="cycle",
        cause=freeze({"path": ["A", "B", "C"], "owners": [["aaa"], ["aaa", "bbb"]]}),
    ),
    ev.SessionClosed(session=2, reason="lost", detail="eof"),
    ev.ProcessClosed(process=9, reason="lost"),
    ev.ProcessOpened(uuid="q2"),  # 25
    ev.ProcessRegistered(process=25, pid=34, host="other", units=(UNIT,)),
    ev.GraphResumed(by="h:2"),
    ev.SubscriberRecovered(endpoint=7, topic="C"),
    edge("A", "B", 3),
    ev.ServerLost(server=1),  # 30
]  # fmt: skip


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    now = [0]

    def clock() -> int:
        now[0] += STEP
        return now[0]

    ledger = Ledger.memory(clock)
    for event in STORY:
        ledger.append([event])
    return Timeline(ledger)


def test_why_an_edge_is_there_was_there_and_is_no_more(timeline: Timeline) -> None:
    assert timeline.why("A -> B", 3).lives == []
    assert timeline.why("A -> B", 3).next.seq == 4  # type: ignore[union-attr]
    there = timeline.why("A -> B", 22)
    assert (there.holds, [life.label for life in there.lives]) == (True, ['2 "SYS"'])
    gone = timeline.why("edge A -> B", 25)
    assert (gone.holds, gone.next.seq) == (False, 29)  # type: ignore[union-attr]
    [life] = gone.lives
    assert life.went is not None
    assert (life.went.seq, life.went.kind, life.went.session) == (23, "session lost", 2)
    assert "eof" in life.went.text
    assert [life.went.kind for life in timeline.why("B -> C").lives if life.went] == ["run lost"]


def test_why_other_things_are_there(timeline: Timeline) -> None:
    kinds = {
        "session SYS": ("session", "opened"),
        f"setting {UNIT}": ("setting", "updated"),
        f"unit {UNIT}": ("unit", "claimed"),
        "endpoint 7": ("endpoint", "opened"),
        "process 9": ("process", "opened"),
    }
    for subject, (kind, came) in kinds.items():
        [life] = timeline.why(subject, 21).lives
        assert (life.kind, life.came.kind) == (kind, came)
    assert {life.kind for life in timeline.why("C", 21).lives} == {"edge", "endpoint"}


@pytest.mark.parametrize("subject", ["viewer", "C", "A -> B", "session SYS"])
def test_of_many_lives_the_first_and_the_last_can_be_had(timeline: Timeline, subject: str) -> None:
    every = timeline.history(subject)
    for most in range(len(every.lives) + 2):
        some = timeline.history(subject, most)
        left_out = max(0, len(every.lives) - most)
        half = most // 2 if left_out else len(every.lives)
        assert some.lives == every.lives[:half] + every.lives[half + left_out :]
        assert (some.left_out, some.spans, some.ns) == (left_out, every.spans, every.ns)
        assert ("left_out" in some.to_dict()) is (left_out > 0)
    answer, lives = timeline.history_in_turn(subject)
    assert list(lives) == every.lives
    assert replace(answer, lives=every.lives) == every


def test_a_session_s_history_has_what_was_its(timeline: Timeline) -> None:
    found = timeline.history("viewer")
    assert [(life.kind, life.name, life.died) for life in found.lives] == [
        ("session", "3", 30),
        ("edge", "B -> C", 30),
        ("edge", "A -> B", 30),
    ]
    assert found.ns == 26 * STEP, "up to the last event of the run that was lost: nobody knows more"


def test_when_counts_time(timeline: Timeline) -> None:
    found = timeline.when("edge A -> B and not session SYS")
    assert [(span.born, span.died, span.ns) for span in found.spans] == [(29, 30, 0)]
    assert (found.changes, found.first, found.last, found.now) == (2, 29, 30, False)
    assert timeline.when("not session SYS").now
    texts = ("gain == 2.0", "gain == 2", 'gain == "2"', "gain == true", "deep.x == 1")
    found_of = [timeline.when(f"setting {UNIT}.{text}").spans for text in texts]
    told = [[(span.born, span.died) for span in spans] for spans in found_of]
    assert told == [[(13, 16)], [(13, 16)], [], [], [(11, 24)]]


def test_a_path_and_what_cut_it(timeline: Timeline) -> None:
    there = timeline.path("A", "C", 10)
    assert [(step.from_topic, step.to_topic, step.owners) for step in there.steps] == [
        ("A", "B", ['2 "SYS"']),
        ("B", "C", ['2 "SYS"', '3 "viewer"']),
    ]
    gone = timeline.path("A", "C", 25)
    assert (gone.steps, gone.broken, gone.ns) == ([], 1, 18 * STEP)
    [was] = gone.spans
    assert (was.topics, was.came and was.came.seq, was.went and was.went.kind) == (["A", "B", "C"], 5, "session lost")
    assert (timeline.path("A", "C").broken, timeline.path("A", "C").ns) == (2, 18 * STEP)
    assert gone.cut is not None
    assert (gone.cut.seq, gone.cut_edges) == (23, ["A -> B"])
    assert timeline.path("C", "A").spans == []


def test_settings_who_asked_and_who_is_only_likely(timeline: Timeline) -> None:
    found = timeline.setting(UNIT, "gain", 17)
    assert [(change.seq, change.asked_by, change.request) for change in found.changes] == [
        (11, None, None),
        (13, 3, 12),
        (16, None, None),
    ]
    asked, sent = found.changes[1], found.changes[2]
    assert [(field.path, field.before, field.after) for field in asked.fields] == [("gain", 1.0, 2.0)]
    assert (asked.label, asked.likely) == ('3 "viewer"', [])
    assert [(likely.topic, likely.endpoint, likely.peer) for likely in sent.likely] == [("A", 8, "h:4")]
    assert found.current is sent
    assert len(timeline.setting(UNIT, "deep.x").changes) == 1
    assert timeline.setting(UNIT).current is None
    failed = timeline.setting(UNIT).changes[-1]
    assert (failed.seq, failed.asked_by, failed.until) == (19, None, 24)
    assert failed.went is not None
    assert failed.went.kind == "process lost"


def test_where_a_unit_ran(timeline: Timeline) -> None:
    found = timeline.placement(UNIT, 20)
    assert [(stay.pid, stay.host, stay.born, stay.died) for stay in found.stays] == [
        (33, "rig", 10, 24),
        (34, "other", 26, 30),
    ]
    assert (found.moves, found.current) == (1, found.stays[0])


def test_why_a_subscriber_gets_nothing(timeline: Timeline) -> None:
    assert timeline.explain("C", 10).reasons == []
    assert [reason.partition(" since")[0] for reason in timeline.explain("C", 22).reasons] == [
        "the graph has been paused",
        "subscriber 7 has not applied a routing update",
    ]
    cut = timeline.explain("C", 28)
    assert (len(cut.reasons), cut.stalled, cut.paused) == (1, [], None)
    assert "cut by seq 23" in cut.reasons[0]
    assert "A -> B went" in cut.reasons[0]
    assert [(each.topic, each.reaches, each.publishers) for each in cut.upstream] == [("A", False, [8])]
    assert timeline.explain("A", 28).reasons == ["nobody subscribes to A at this moment"]
    assert "nobody subscribes" in timeline.explain("C", 30).reasons[0]


def test_without_a_session(timeline: Timeline) -> None:
    found = timeline.without("viewer", 29)
    assert (found.session, found.gone_edges, found.gone_topics) == (3, [("A", "B"), ("B", "C")], ["B", "C"])
    assert [(doubt.seq, doubt.kind) for doubt in found.doubts] == [(13, "setting"), (16, "setting"), (19, "setting")]
    found.state.check()
    assert found.state.settings == timeline.at(29).settings
    other = timeline.without("SYS", 22)
    assert [(doubt.seq, doubt.kind) for doubt in other.doubts] == [(22, "refusal")]
    assert other.gone_edges == [("A", "B")]
    assert not timeline.without("viewer", 22).state.paused


def test_without_what_a_session_asked_of_the_persistent_owner() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="a", peer="h:1"), edge("A", "B", None, by="h:9")])
    ledger.append([edge("A", "B", None, ev.EdgeDisconnected, by="h:1"), edge("B", "C", None, by="h:1")])
    ledger.append([edge("A", "B", None, by="h:9"), edge("B", "C", None, ev.EdgeDisconnected, by="h:9")])
    found = Timeline(ledger)
    assert {each for each, _ in found.without("1", 4).state.ownership.edges()} == {("A", "B")}
    assert {each for each, _ in found.without("1").state.ownership.edges()} == {("A", "B")}
    found.without("1").state.check()


@pytest.mark.parametrize(
    ("ask", "error", "hint"),
    [
        (lambda t: t.why("A -> X"), UnknownSubject, "The topics are: A, B"),
        (lambda t: t.why("sys/filter"), UnknownSubject, UNIT),
        (lambda t: t.why("process 4"), UnknownSubject, "9"),
        (lambda t: t.why("A -> B", 31), UnknownMoment, "The ledger holds"),
        (lambda t: t.at("9" * 5000), UnknownMoment, "Moments are"),
        (lambda t: t.at("session:" + "9" * 5000), UnknownMoment, "The sessions are"),
        (lambda t: t.at("run:" + "9" * 5000), UnknownMoment, "one run"),
        (lambda t: t.why("process " + "9" * 5000), UnknownSubject, "The processes are: 9, 25."),
        (lambda t: t.when("edges > " + "9" * 5000), LedgerError, "Predicates are"),
        (lambda t: t.path("A", "c"), UnknownSubject, "Did you mean C?"),
        (lambda t: t.when("session veiwer"), UnknownSubject, "viewer"),
        (lambda t: t.when(f"setting {UNIT}.gian == 1"), UnknownSubject, "Did you mean gain?"),
        (lambda t: t.when("edge A"), LedgerError, "Predicates are"),
        (lambda t: t.setting("SYS/FLITER"), UnknownSubject, UNIT),
        (lambda t: t.placement("nothing"), UnknownSubject, UNIT),
        (lambda t: t.explain("D"), UnknownSubject, "A, B, C"),
        (lambda t: t.without("nobody"), UnknownSubject, "SYS"),
    ],
)
def test_what_never_was_is_said_with_what_is_near(
    timeline: Timeline, ask: Callable[[Timeline], object], error: type[LedgerError], hint: str
) -> None:
    with pytest.raises(error) as caught:
        ask(timeline)
    assert hint in caught.value.hint


def test_an_empty_ledger_has_no_subjects() -> None:
    with pytest.raises(UnknownSubject) as caught:
        Timeline(Ledger.memory()).why("A -> B")
    assert "The ledger holds no topics" in caught.value.hint


def test_what_comes_before_a_contradiction_can_be_looked_at() -> None:
    ledger = Ledger.memory()
    ledger.append([edge("A", "B", None)])
    ledger.append([edge("B", "C", None, ev.EdgeDisconnected)])
    found = Timeline(ledger)
    assert dict(found.at(1).ownership.edges()) == {("A", "B"): {None}}
    for _ in range(2):
        with pytest.raises(InvalidEvent):
            found.why("A -> B", 1)


def test_answers_are_plain_and_short(timeline: Timeline) -> None:
    answers = [
        timeline.why("A -> B", 25),
        timeline.history("C"),
        timeline.when("path A -> C"),
        timeline.path("A", "C", 25),
        timeline.setting(UNIT),
        timeline.placement(UNIT),
        timeline.explain("C"),
        timeline.without("SYS"),
    ]
    for answer in answers:
        assert msgspec.json.decode(msgspec.json.encode(answer.to_dict())) == answer.to_dict()
        assert len(repr(answer)) < 700
        assert "object at" not in repr(answer)


def test_a_timeline_follows_a_ledger_that_grows() -> None:
    ledger = Ledger.memory()
    found = Timeline(ledger)
    for seq in range(1, 20):
        ledger.append([edge(f"A{seq}", "B", None)])
        assert found.why(f"A{seq} -> B").holds
        assert len(found.lifetimes.edges_at(seq)) == seq
    state = GraphState()
    state.apply_batch([event for batch in ledger.read() for event in batch])
    assert found.at("end").digest() == state.digest()
