"""``when``: predicates, read and told, and the spans in which they are true."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.predicate import Predicate, Unparsable
from ezmsg.ledger.tools.when import when_true

Run = Callable[..., Any]


def test_a_setting_that_changed(run: Run, night: Any) -> None:
    answer = run("when", night.path, "SYSTEM/AMP.gain > 1")
    assert answer.out.splitlines() == [
        "SYSTEM/AMP.gain > 1 is false at seq 49 (the last event)",
        "first true at seq 19, 2026-11-24 13:03:32.156+00:00; last changed at seq 42",
        "true 1 time, for 12 s in all",
        "  true, for 12 s",
        "        19  2026-11-24 13:03:32.156+00:00  process 16 (pid 4711 on lab-3) reported settings",
        "        42  2026-11-24 13:03:44.156+00:00  the server was lost: it died without a word",
    ]
    then = json.loads(run("when", night.path, "SYSTEM/AMP.gain > 1", "--at", 30, "--json").out)
    assert (then["is_true"], then["last_change"], then["true_ns"]) == (True, 19, 5 * 10**9)
    assert run("when", night.path, "SYSTEM/AMP.gain > 7").out.endswith("it never was true before\n")


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
        ("sessions = 2", [(21, 40)]),
        ("edges >= 8", [(23, 42)]),
        ("processes < 1", [(1, 16), (42, None)]),
        ("SYSTEM/AMP.gain = 2", [(19, 42)]),
        ("SYSTEM/AMP.gain == 2.0", [(19, 42)]),
        ("SYSTEM/AMP.gain != 2", [(9, 19), (46, 47)]),
        ("SYSTEM/AMP.mode = fast and not SYSTEM/AMP.gain <= 1.5", [(19, 42)]),
        ("SYSTEM/AMP.mode > 3", []),
        ("SYSTEM/AMP.nothing = 1", []),
        ('SYSTEM/AMP.mode = "fast" and (paused or stalled SYSTEM/AMP/IN)', [(35, 36), (37, 39)]),
        ("session viewer and not SYSTEM/FILTER/OUT -> VIEWER/IN", [(21, 23)]),
        ("session SYSTEM and session viewer or topic VIEWER/IN", [(21, 40)]),
        ("'SYSTEM/FILTER/OUT'->'VIEWER/IN'", [(23, 40)]),
        ("edge SYSTEM/FILTER/OUT -> VIEWER/IN", [(23, 40)]),
        ("setting SYSTEM/AMP.gain == 2.0", [(19, 42)]),
    ],
)
def test_the_spans_of_every_kind(night: Any, text: str, seqs: list[tuple[int, int | None]]) -> None:
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        predicate = Predicate(text)
        found = when_true(timeline, predicate, timeline.moment("end"))
        assert [(life.born, life.died) for life in found.lives] == seqs
        for seq in range(1, ledger.head + 1):
            assert Predicate(text)(timeline.at(seq)) == any(life.at(seq) for life in found.lives), seq


@pytest.mark.parametrize(
    ("text", "place", "wanted"),
    [
        ("", 0, "a name is needed at the end"),
        ("A ->", 4, "a topic is needed at the end"),
        ("A -> -> B", 5, "a topic is needed here"),
        ("path A B", 7, "an arrow is needed here"),
        ("session", 7, "the name of a session is needed at the end"),
        ("paused and", 10, "a name is needed at the end"),
        ("paused paused", 7, "and, or, or the end is needed here"),
        ("(paused", 7, "a closing bracket is needed at the end"),
        ("paused)", 6, "and, or, or the end is needed here"),
        ("edges > many", 8, "a number is needed here"),
        ("gain > 3", 0, "a component and a field, such as SYSTEM/AMP.gain, is needed here"),
        ("A.gain >", 8, "a value is needed at the end"),
        ("A.gain > > 3", 9, "a value is needed here"),
        ("something", 9, "an arrow, or a sign such as >, is needed at the end"),
        ("paused & paused", 7, "and, or, or the end is needed here"),
        ("A -> \"open", 5, "a name, a sign or a bracket is needed here"),
    ],
)
def test_a_predicate_that_cannot_be_read_has_a_caret_at_the_place(run: Run, text: str, place: int, wanted: str) -> None:
    with pytest.raises(Unparsable) as raised:
        Predicate(text)
    assert (str(raised.value), raised.value.lines) == (wanted, (text, " " * place + "^"))
    answer = run("when", "x.ledger", text)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert answer.err.splitlines()[:3] == [f"ezmsg-ledger: {wanted}", f"  {text}", f"  {' ' * place}^"]
    assert "hint: Forms are: A -> B" in answer.err


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("SYSTEM/FILTER/OUT -> VIEWR/IN", "there is no topic 'VIEWR/IN'", "Did you mean VIEWER/IN?"),
        ("unit SYSTEM/AMPP", "there is no component 'SYSTEM/AMPP'", "Did you mean SYSTEM/AMP"),
        ("SYSTEM/AMPP.gain > 1", "there is no component 'SYSTEM/AMPP'", "Did you mean SYSTEM/AMP"),
        ("session viewr", "there is no session 'viewr'", "Did you mean viewer?"),
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


@pytest.mark.parametrize(
    "text",
    [
        "edge SYSTEM/FILTER/OUT -> VIEWER/IN",
        "path SYSTEM/AMP/OUT -> SCOPE/COPY",
        "session viewer and not edge SYSTEM/FILTER/OUT -> VIEWER/IN",
        "setting SYSTEM/AMP.gain == 2.0 or (session viewer)",
    ],
)
def test_what_the_library_reads_too_means_the_same_there(night: Any, text: str) -> None:
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        ours = when_true(timeline, Predicate(text), timeline.moment("end"))
        assert [(life.born, life.died) for life in ours.lives] == [
            (span.born, span.died) for span in timeline.when(text).spans
        ]
