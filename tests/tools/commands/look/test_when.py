"""``when``: predicates, read and told, and the spans in which they are true."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions import predicates as pr
from ezmsg.ledger.projections.questions.predicate_spans import ORDERS, compare
from ezmsg.ledger.projections.questions.predicates import parse
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.export import to_networkx
from ezmsg.ledger.tools.text.value_text import settings_fields

Run = Callable[..., Any]


def test_a_setting_that_changed(run: Run, night: Any) -> None:
    answer = run("when", night.path, "SYSTEM/AMP.gain > 1")
    *lines, lost = answer.out.splitlines()
    assert lines == [
        "setting SYSTEM/AMP.gain > 1 is false at seq 49 (the last event)",
        "first true at seq 19, 2026-11-24 13:03:32.156+00:00; last changed at seq 42",
        "true 1 time, for 12 s in all",
        "  true, for 12 s",
        "        19  2026-11-24 13:03:32.156+00:00  process 16 (pid 4711 on lab-3) reported gain=2.0 "
        "arriving at SYSTEM/AMP",
    ]
    assert lost.startswith('        42  2026-11-24 13:04:19.156+00:00  server "rig 3" (pid ')
    assert lost.endswith(" was lost, last known to be alive at 2026-11-24 13:03:44.156+00:00")
    then = json.loads(run("when", night.path, "SYSTEM/AMP.gain > 1", "--at", 30, "--json").out)
    assert (then["now"], then["last"], then["ns"]) == (True, 19, 5 * 10**9)


@pytest.mark.parametrize(
    ("predicate", "at", "said"),
    [
        ("SYSTEM/AMP.gain > 7", "end", "it never was; its values were 1.0, 2.0"),
        ("SYSTEM/AMP.gain == true", "end", "it never was; its values were 1.0, 2.0"),
        ("edges >= 8", "18", "it never was true before; it became so at seq 23, 2026-11-24 13:03:37.156+00:00"),
        ("stalled SCOPE", "end", "it never was true"),
    ],
)
def test_what_never_was_true_says_what_was(run: Run, night: Any, predicate: str, at: str, said: str) -> None:
    assert run("when", night.path, predicate, "--at", at).out.splitlines()[1:] == [said]


@pytest.mark.parametrize(
    ("text", "seqs"),
    [
        ("SYSTEM/FILTER/OUT -> VIEWER/IN", [(23, 40)]),
        ("path SYSTEM/AMP/OUT -> SCOPE/COPY", [(25, None)]),
        ("topic VIEWER/IN", [(23, 40)]),
        ("component SYSTEM/SINK", [(9, 42)]),
        ("component SYSTEM/AMP", [(9, 42), (46, 47)]),
        ("unit SYSTEM/AMP", [(17, 42)]),
        ("session viewer", [(21, 40)]),
        ("session 44", [(44, 48)]),
        ("publisher SYSTEM/SOURCE/OUT", [(10, 41)]),
        ("subscriber SYSTEM/AMP/IN", [(11, 42)]),
        ("stalled SYSTEM/AMP/IN", [(35, 36)]),
        ("paused", [(37, 39)]),
        ("not paused", [(1, 37), (39, None)]),
        ("sessions == 2", [(21, 40)]),
        ("edges >= 8", [(23, 42)]),
        ("processes < 1", [(1, 16), (42, None)]),
        ("SYSTEM/AMP.gain == 2", [(19, 42)]),
        ("SYSTEM/AMP.gain == 2.0", [(19, 42)]),
        ("SYSTEM/AMP.gain != 2", [(9, 19), (46, 47)]),
        ("SYSTEM/AMP.gain != 2.0", [(9, 19), (46, 47)]),
        ('SYSTEM/AMP.mode == "fast" and not SYSTEM/AMP.gain <= 1.5', [(19, 42)]),
        ("SYSTEM/AMP.mode > 3", []),
        ('SYSTEM/AMP.mode >= "fast"', [(9, 42), (46, 47)]),
        ("topics >= 0", [(1, None)]),
        ('SYSTEM/AMP.mode == "fast" and (paused or stalled SYSTEM/AMP/IN)', [(35, 36), (37, 39)]),
        ("session viewer and not SYSTEM/FILTER/OUT -> VIEWER/IN", [(21, 23)]),
        ("session SYSTEM and session viewer or topic VIEWER/IN", [(21, 40)]),
        ('"SYSTEM/FILTER/OUT"->"VIEWER/IN"', [(23, 40)]),
        ("edge SYSTEM/FILTER/OUT -> VIEWER/IN", [(23, 40)]),
        ("setting SYSTEM/AMP.gain == 2.0", [(19, 42)]),
    ],
)
def test_the_spans_of_every_kind(night: Any, text: str, seqs: list[tuple[int, int | None]]) -> None:
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        found = timeline.when(text)
        assert [(span.born, span.died) for span in found.spans] == seqs
        for seq in range(1, ledger.head + 1):
            there = any(span.born <= seq and (span.died is None or seq < span.died) for span in found.spans)
            assert is_true(parse(text), timeline.at(seq)) == there, seq
            then = timeline.when(text, seq)
            assert (then.now, then.spans[-1].died if then.spans else None) == (there, None if there or not then.spans
                    else max(span.died for span in found.spans if span.died and span.died <= seq))  # fmt: skip


def is_true(predicate: pr.Predicate, state: GraphState) -> bool:
    """The same asked of a state, and of nothing else."""
    match predicate:
        case pr.Edge(a, b):
            return (a, b) in state.ownership
        case pr.Reaches(a, b):
            return networkx.has_path(to_networkx(state), a, b) if {a, b} <= set(state.ownership.nodes) else False
        case pr.Session(name):
            return any(name in (str(key), each.label, each.uuid) for key, each in state.sessions.items())
        case pr.Setting(unit, (field,), value, sign):
            setting = state.settings.get(unit)
            fields = settings_fields(setting.value) if setting is not None else None
            return fields is not None and field in fields and compare(sign, fields[field], value)
        case pr.There(kind, name):
            tables: dict[str, Any] = {
                "topic": state.ownership.nodes, "component": state.components, "unit": state.units,
                "stalled": [each.topic for each in state.endpoints.values() if each.stalled],
                **{kind: [each.topic for each in state.endpoints.values() if each.kind == kind]
                   for kind in ("publisher", "subscriber")},
            }  # fmt: skip
            return name in tables[kind]
        case pr.Paused():
            return state.paused
        case pr.Count(noun, sign, number):
            kinds = [f"{each.kind}s" for each in state.endpoints.values()]
            counts = {
                "edges": len(list(state.ownership.edges())), "topics": len(state.ownership.nodes),
                "sessions": len(state.sessions), "processes": len(state.processes),
                "components": len(state.components),
                "publishers": kinds.count("publishers"), "subscribers": kinds.count("subscribers"),
            }  # fmt: skip
            return bool(ORDERS[sign](counts[noun], number))
        case pr.Not(part):
            return not is_true(part, state)
        case pr.And(parts):
            return all(is_true(part, state) for part in parts)
        case pr.Or(parts):
            return any(is_true(part, state) for part in parts)
    raise AssertionError(predicate)


def test_the_command_gives_the_answer_of_the_library(run: Run, night: Any) -> None:
    text = "session viewer and not SYSTEM/FILTER/OUT -> VIEWER/IN"
    document = json.loads(run("when", night.path, text, "--at", 22, "--json").out)
    with Ledger.open(night.path, "r") as ledger:
        answer = Timeline(ledger).when(text, "22", causes=True).to_dict()
    assert {name: document[name] for name in answer} == answer
    assert answer["spans"][0]["came"]["text"] == 'session 21 "viewer" opened'


@pytest.mark.parametrize(
    ("text", "place", "wanted"),
    [
        ("A ->", 4, "the name of a topic was expected"),
        ("A -> -> B", 5, "the name of a topic was expected"),
        ("path A B", 7, "'->' was expected"),
        ("paused and", 10, "the predicate ends"),
        ("paused paused", 7, "and, or, or the end was expected"),
        ("(paused", 7, "')' was expected"),
        ("edges > many", 8, "a whole number was expected"),
        ("gain > 3", 0, "UNIT.field, or edges, topics"),
        ("A.gain >", 8, "a JSON value was expected"),
        ("A.gain = 3", 7, "'==' was expected, or !="),
        ("A.mode == fast", 10, "a JSON value was expected (a text in double quotes"),
        ("something", 0, "'something' stands where edge, path"),
        ("paused & paused", 7, "and, or, or the end was expected"),
        ('A -> "open', 5, "this quote is not closed"),
        ("topic", 5, "the name of a topic was expected"),
    ],
)
def test_a_predicate_that_cannot_be_read_has_a_caret_at_the_place(run: Run, text: str, place: int, wanted: str) -> None:
    answer = run("when", "x.ledger", text)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    message, shown, caret = answer.err.split("\n")[:3]
    assert wanted in message
    assert message.endswith(f"at column {place + 1}")
    assert (shown, caret) == (f"  {text}", f"  {' ' * place}^")
    assert "hint: Predicates are: edge A -> B" in answer.err


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("SYSTEM/FILTER/OUT -> VIEWR/IN", "there never was a topic 'VIEWR/IN'", "Did you mean VIEWER/IN?"),
        ("unit SYSTEM/AMPP", "no unit 'SYSTEM/AMPP' ever ran", "SYSTEM/AMP"),
        ("component SYSTEM/AMPP", "no component 'SYSTEM/AMPP' was ever registered", "Did you mean SYSTEM/AMP"),
        ("SYSTEM/AMP.gian > 1", "never had a field 'gian'", "Did you mean gain?"),
        ("SYSTEM/AMPP.gain > 1", "no unit 'SYSTEM/AMPP' ever had settings", "Did you mean SYSTEM/AMP"),
        ("session viewr", "there never was a session 'viewr'", "Did you mean viewer?"),
    ],
)
def test_a_name_that_never_was_is_no_answer(run: Run, night: Any, text: str, message: str, hint: str) -> None:
    answer = run("when", night.path, text)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert message in answer.err
    assert hint in answer.err


def test_names_of_a_predicate_cannot_play_tricks(run: Run, tmp_path: Path) -> None:
    answer = run("when", tmp_path / "x.ledger", "A\x1b[2J ->")
    assert "\x1b" not in answer.err
    assert "\\x1b[2J ->" in answer.err
