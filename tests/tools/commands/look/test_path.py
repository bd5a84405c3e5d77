"""``path``, ``explain`` and ``what-if``: what reaches what, what does not, and what would be without somebody."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.look.what_if import fullest
from ezmsg.ledger.tools.export import to_networkx
from tests.fake_clock import wall

Run = Callable[..., Any]


# --- path ------------------------------------------------------------------------------------------------------------


def test_a_way_that_broke_says_when_and_by_whom(run: Run, night: Any) -> None:
    answer = run("path", night.path, "SYSTEM/FILTER/OUT", "VIEWER/IN")
    assert answer.out.splitlines() == [
        "at seq 49 there is no way from SYSTEM/FILTER/OUT to VIEWER/IN",
        "it was there 1 time, broke 1 time, for 1 s in all",
        "  SYSTEM/FILTER/OUT -> VIEWER/IN, for 1 s",
        '        23  2026-11-24 13:03:37.156+00:00  session 21 "viewer" connected SYSTEM/FILTER/OUT -> VIEWER/IN',
        '        40  2026-11-24 13:03:38.156+00:00  session 21 "viewer" was lost (reset)',
        "what went last: SYSTEM/FILTER/OUT -> VIEWER/IN",
    ]
    then = run("path", night.path, "SYSTEM/AMP/OUT", "SCOPE/COPY", "--at", "30").out
    assert then.startswith("at seq 30 there is a way from SYSTEM/AMP/OUT to SCOPE/COPY\nit was there 1 time, broke 0")
    assert "SYSTEM/AMP/OUT -> SCOPE -> SCOPE/COPY, so far" in then


def test_a_way_through_units_is_another(run: Run, recorded: Any) -> None:
    ends = ["RIG/AMP/SOURCE/OUTPUT", "RIG/MONITOR/SINK/INPUT"]
    over_edges = run("path", recorded.path, *ends)
    assert "there was through units (--through-units)" in over_edges.out
    through = json.loads(run("path", recorded.path, *ends, "--through-units", "--json").out)
    assert (through["broken"], through["steps"], len(through["spans"])) == (1, [], 1)
    assert "RIG/AMP/GAIN/INPUT, RIG/AMP/GAIN/OUTPUT" in ", ".join(through["spans"][0]["topics"])
    with Ledger.open(recorded.path, "r") as ledger:
        answer = Timeline(ledger).path(*ends, through_units=True).to_dict()
    assert {name: through[name] for name in answer} == answer
    way_back = run("path", recorded.path, *ends[::-1], "--through-units").out
    assert "there is no way" in way_back
    assert "nor was there ever one" in run("path", recorded.path, *ends[::-1]).out


def test_where_there_was_no_way_it_says_where_there_was(run: Run, night: Any) -> None:
    def last_line(*asked: str) -> str:
        return str(run("path", night.path, *asked).out.splitlines()[-1])

    early = last_line("SYSTEM/FILTER/OUT", "VIEWER/IN", "--at", "5")
    assert early == "nor was there one before; it came at seq 23, 2026-11-24 13:03:37.156+00:00"
    back = last_line("VIEWER/IN", "SYSTEM/FILTER/OUT")
    assert back == "nor was there ever one; there was the other way round, from SYSTEM/FILTER/OUT to VIEWER/IN"
    assert last_line("SCOPE", "VIEWER/IN").endswith("what cut it: ezmsg-ledger explain VIEWER/IN")


def test_a_component_in_place_of_a_topic_is_answered_with_its_topics(run: Run, night: Any) -> None:
    answer = run("path", night.path, "SYSTEM/AMP", "VIEWER/IN")
    assert answer.code == exits.USAGE
    assert "SYSTEM/AMP is not a topic, but has some inside it" in answer.err
    assert "hint: The topics inside it are: SYSTEM/AMP/" in answer.err


def test_breaks_are_counted() -> None:
    ledger = Ledger.memory(iter(range(10**9, 10**12, 10**9)).__next__)
    live = LiveGraph(ledger)
    live.connect("B", "C")
    for _ in range(3):
        live.connect("A", "B")
        live.disconnect("A", "B")
    live.connect("A", "X")
    live.connect("A", "B")
    timeline = Timeline(ledger)
    found = timeline.path("A", "C")
    assert (len(found.steps), found.broken, len(found.spans), found.ns) == (2, 3, 4, 3 * 10**9)
    early, broken = timeline.path("A", "C", 3), timeline.path("A", "C", 4)
    assert (len(early.steps), early.broken, len(early.spans)) == (2, 0, 1)
    assert (broken.steps, broken.broken, broken.cut_edges) == ([], 1, ["A -> B"])


@pytest.mark.parametrize("through", [False, True])
def test_at_every_seq_there_is_a_way_where_one_is_found(recorded: Any, through: bool) -> None:
    """However seldom it is looked for again."""
    ends = [
        ("RIG/AMP/SOURCE/OUTPUT", "RIG/MONITOR/SINK/INPUT"),
        ("RIG/AMP/GAIN/OUTPUT", "VISITOR/SCOPE"),
        ("RIG/TUNER/OUTPUT_SETTINGS", "RIG/AMP/GAIN/INPUT_SETTINGS"),
    ]
    with Ledger.open(recorded.path, "r") as ledger:
        timeline = Timeline(ledger)
        for seq in range(1, ledger.head + 1):
            graph = joined(timeline.at(seq), through)
            for a, b in ends:
                answer = timeline.path(a, b, seq, through_units=through)
                there = a in graph and b in graph and networkx.has_path(graph, a, b)
                assert (bool(answer.steps), bool(answer.spans) and answer.spans[-1].died is None) == (there, there)
                assert all(graph.has_edge(step.from_topic, step.to_topic) for step in answer.steps), (seq, a, b)
                if there:
                    assert len(answer.steps) == networkx.shortest_path_length(graph, a, b)


def joined(state: GraphState, through: bool) -> Any:
    """The topics that messages get from one to the other, by what a state alone says."""
    graph = to_networkx(state)
    for registration in state.registrations.values() if through else ():
        for component in registration.components.values():
            for task in component.get("tasks") or ():
                graph.add_edges_from((task["subscribes"], out) for out in task["publishes"] or () if task["subscribes"])
            for relay in (component.get("relays") or {}).values():  # since ezmsg 3.10 they have no unit
                if relay.get("relay_group"):
                    graph.add_edge(relay["relay_input_topic"], relay["relay_output_topic"])
    return graph


def test_persistent_edges_that_are_dropped_at_once_break_a_way_through_units() -> None:
    ledger = Ledger.memory()
    live = LiveGraph(ledger)
    live.connect("A", "B")
    live.clear_persistent()
    timeline = Timeline(ledger)
    for through in (False, True):
        assert timeline.path("A", "B", through_units=through).broken == 1


# --- explain ---------------------------------------------------------------------------------------------------------


def reasons(run: Run, path: Path, topic: str) -> list[str]:
    found: list[str] = json.loads(run("explain", path, topic, "--json").out)["reasons"]
    return found


def test_every_cause_is_found_by_itself(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, clock=wall) as ledger:
        live = LiveGraph(ledger)
        live.connect("A", "B")
        publisher = live.open_endpoint(ev.PublisherOpened(uuid="p", topic="A"))
        assert reasons(run, path, "B") == ["nobody subscribes to B at this moment"]
        subscriber = live.open_endpoint(ev.SubscriberOpened(uuid="s", topic="B"))
        assert reasons(run, path, "B") == []
        assert "nothing in the graph is in the way: see whether the publishers publish" in run("explain", path, "B").out
        live.set_stalled(subscriber, True)
        assert "has not applied a routing update" in reasons(run, path, "B")[0]
        live.set_stalled(subscriber, False)
        live.note(ev.GraphPaused(by="10.0.0.7:5"))
        assert "the graph has been paused" in reasons(run, path, "B")[0]
        live.note(ev.GraphResumed())
        live.close_endpoint(publisher, "lost")
        assert reasons(run, path, "B") == ["no publisher is open on what leads here: A"]
        assert "A leads here: its publisher is gone" in run("explain", path, "B").out
        live.disconnect("A", "B", by="10.0.0.7:5")
        assert "the path from A was cut by seq" in reasons(run, path, "B")[0]
        cut = run("explain", path, "B").out
        assert "A no longer leads here" in cut
        assert cut.rstrip().endswith("10.0.0.7:5 disconnected A -> B (persistent)"), "when, and by whom"
        before = run("explain", path, "B", "--at", "3").out
        assert "A leads here: publisher 3 of A" in before
        assert before.endswith(f"now, at seq {ledger.head}, messages can come from: nowhere\n")
        live.close_endpoint(subscriber, "closed")
        assert reasons(run, path, "B")[0] == f"nobody subscribes to B since seq {ledger.head}, when the last one left"
        live.close()


def test_where_no_program_ever_came_only_the_wiring_can_be_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        LiveGraph(ledger).connect("A", "B")
    told = run("explain", path, "B").out
    assert "no publisher and no subscriber was ever recorded: only what is wired can be told" in told
    assert "A leads here: it never had a publisher" in told


def test_topics_upstream_without_any_publisher_are_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, clock=wall) as ledger:
        live = LiveGraph(ledger)
        live.connect("A", "B")
        live.open_endpoint(ev.SubscriberOpened(uuid="s", topic="B"))
        live.open_endpoint(ev.PublisherOpened(uuid="p", topic="ELSEWHERE"))
    assert reasons(run, path, "B") == ["no publisher is open on what leads here: A"]


def test_a_subscriber_that_should_receive_something_is_said_to(run: Run, recorded: Any) -> None:
    at = recorded.moments.visited
    answer = run("explain", recorded.path, "RIG/MONITOR/SINK/INPUT", "--at", at)
    assert "nothing in the graph is in the way" in answer.out
    assert re.search(r"subscribers: subscriber \d+ of RIG/MONITOR/SINK/INPUT", answer.out)
    alone = run("explain", recorded.path, "VISITOR/SCOPE", "--at", at).out
    assert "nobody subscribes to VISITOR/SCOPE at this moment" in alone
    assert "RIG/AMP/GAIN/OUTPUT leads here: publisher" in alone


# --- what if ---------------------------------------------------------------------------------------------------------


def test_what_a_session_alone_held_would_not_be(run: Run, night: Any) -> None:
    answer = run("what-if", night.path, "viewer")
    assert answer.out.startswith('without session 21 "viewer", at seq 39, 2026-11-24 13:03:37.156+00:00 (')
    assert '- SYSTEM/FILTER/OUT -> VIEWER/IN  (was held by session 21 "viewer")' in answer.out
    assert '(held by: no longer session 21 "viewer", still persistent)' in answer.out


def test_what_it_did_is_subtracted_and_nothing_else(night: Any) -> None:
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        for seq in range(21, 40):
            without, recorded = timeline.without("viewer", seq).state, timeline.at(seq)
            without.check()
            held = dict(recorded.ownership.edges())
            kept = {edge: owners - {21} for edge, owners in held.items() if owners - {21}}
            assert dict(without.ownership.edges()) == kept


def test_decisions_that_it_may_have_turned_are_listed(run: Run, night: Any) -> None:
    out = run("what-if", night.path, "SYSTEM", "--at", night.seqs["visited"]).out
    assert "the graph would be the same" in out, "the last session of that label is of the second run"
    out = run("what-if", night.path, "2", "--at", night.seqs["visited"]).out
    listed = out[out.index("might have gone otherwise") :]
    assert "     27  SESSION_REGISTER" in listed
    assert "     26  " not in listed, "it had no part in that cycle"
    document = json.loads(run("what-if", night.path, "2", "--at", night.seqs["visited"], "--json").out)
    assert [doubt["seq"] for doubt in document["doubts"]] == [27]
    assert len(document["differences"]["components"]) == len(document["gone_components"]) == 7


def test_the_moment_before_it_let_go_is_taken(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        assert [fullest(timeline, session) for session in (2, 21, 44)] == [41, 39, 46]
        monkeypatch.setattr(timeline.ledger, "entries", None)  # the events need not be read again
        monkeypatch.setattr(timeline.ledger, "read", None)
        assert fullest(timeline, 21) == 39


def test_a_session_that_lets_go_bit_by_bit_is_taken_when_it_held_most() -> None:
    ledger = Ledger.memory()
    live = LiveGraph(ledger)
    idle, busy = live.open_session(), live.open_session()
    live.connect("A", "B", owner=busy)
    live.connect("B", "C", owner=busy)
    most = ledger.head
    live.disconnect("A", "B", owner=busy)
    live.disconnect("B", "C", owner=busy)
    assert fullest(Timeline(ledger), busy) == most
    assert fullest(Timeline(ledger), idle) == ledger.head
    live.close_session(idle, "closed")
    assert fullest(Timeline(ledger), idle) == ledger.head - 1


def test_of_a_session_that_held_much_as_much_is_shown_as_by_diff(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger", durability="none", clock=wall) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session()
        for number in range(50):
            live.connect(f"A{number}", "B", owner=session)
    said = run("what-if", tmp_path / "x.ledger", session).out.splitlines()
    assert "  ... 10 more (--full)" in said
    assert len([line for line in said if line.startswith("  - A")]) == 40


@pytest.mark.parametrize(
    ("session", "at", "why"),
    [("viewer", "5", "connected only later, at seq 21"), ("viewer", "end", "had let go of all by then")],
)
def test_when_nothing_would_be_otherwise_it_says_why(run: Run, night: Any, session: str, at: str, why: str) -> None:
    said = run("what-if", night.path, session, "--at", at).out.splitlines()
    assert said[1] == f"the graph would be the same: this session {why}; leave --at out for when it held most"


# --- what is not there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["path", "LEDGER", "SCOPE"], "two topics are needed: SCOPE is one", "path [LEDGER] FROM TO"),
        (["path", "LEDGER", "SCOPE", "SCOPES"], "there never was a topic 'SCOPES'", "Did you mean SCOPE"),
        (["path", "LEDGER", "SCOPE", "SCOPE/COPY", "--at", "77"], "there is no seq 77", "The ledger holds"),
        (["explain", "LEDGER", "VIEWR/IN"], "there never was a topic 'VIEWR/IN'", "VIEWER/IN"),
        (["explain", "LEDGER"], "a topic is needed", "explain [LEDGER] TOPIC"),
        (["what-if", "LEDGER", "viewr"], "there is no session 'viewr'", "Did you mean viewer?"),
        (["what-if", "LEDGER"], "a session is needed", "what-if [LEDGER] SESSION"),
    ],
)
def test_what_is_not_there(run: Run, night: Any, arguments: list[str], message: str, hint: str) -> None:
    answer = run(*(night.path if each == "LEDGER" else each for each in arguments))
    assert (answer.code, answer.out) == (exits.USAGE, ""), answer
    assert message in answer.err
    assert hint in answer.err
