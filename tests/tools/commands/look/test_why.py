"""``why`` and ``history``: who made it so, who ended it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.look.why import subject_text
from tests.fake_clock import wall

Run = Callable[..., Any]
SHARED = ["SYSTEM/SOURCE/OUT", "SYSTEM/AMP/IN"]


def test_an_edge_that_is_there_has_its_holders(run: Run, night: Any) -> None:
    answer = run("why", night.path, *SHARED, "--at", night.seqs["visited"])
    assert answer.out.splitlines() == [
        "SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN is there at seq 39",
        '  held by session 2 "SYSTEM", so far 17 s',
        '         3  2026-11-24 13:03:20.151+00:00  session 2 "SYSTEM" connected SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN',
        '  held by session 21 "viewer", so far 0 ms',
        '        24  2026-11-24 13:03:37.156+00:00  session 21 "viewer" connected SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN',
    ]


def test_an_edge_that_is_gone_has_whoever_ended_it(run: Run, night: Any) -> None:
    out = run("why", night.path, "SYSTEM/FILTER/OUT -> VIEWER/IN").out
    assert out.splitlines()[:3] == [
        "SYSTEM/FILTER/OUT -> VIEWER/IN is not there at seq 49 (the last event)",
        "before that it was:",
        '  held by session 21 "viewer", for 1 s',
    ]
    assert '        40  2026-11-24 13:03:38.156+00:00  session 21 "viewer" was lost (reset)' in out
    document = json.loads(run("why", night.path, "SYSTEM/FILTER/OUT", "VIEWER/IN", "--json").out)
    [life] = document["lives"]
    assert (document["holds"], life["born"], life["died"], life["went"]["kind"]) == (False, 23, 40, "session lost")


def test_an_edge_before_it_ever_was_has_what_began_it(run: Run, night: Any) -> None:
    out = run("why", night.path, "SYSTEM/FILTER/OUT", "VIEWER/IN", "--at", "3").out
    assert "  nor was it before; it came later:\n" in out
    assert out.endswith('  session 21 "viewer" connected SYSTEM/FILTER/OUT -> VIEWER/IN\n')
    never = run("why", night.path, "SYSTEM/FILTER/OUT", "SCOPE").out.splitlines()
    assert never[1:] == [
        "  nor was it ever",
        "  (both topics are known; whether a way led over others: ezmsg-ledger path FROM TO)",
    ]


def test_what_a_lost_run_held_lasted_until_it_was_last_alive(run: Run, night: Any) -> None:
    """And not until the next start, which may be the next morning."""
    [hold, _, lost] = run("why", night.path, *SHARED, "--at", "43").out.splitlines()[2:5]
    assert hold == '  held by session 2 "SYSTEM", for 24 s'
    assert " server \"rig 3\" (pid " in lost
    assert lost.endswith(") was lost, last known to be alive at 2026-11-24 13:03:44.156+00:00")
    assert "held by session 2 \"SYSTEM\", for 24 s" in run("history", night.path, *SHARED).out
    [life] = json.loads(run("why", night.path, *SHARED, "--at", "43", "--json").out)["lives"]
    assert life["went"]["time"] - life["ended"] == 35 * 10**9


@pytest.mark.parametrize(
    ("subject", "at", "said"),
    [
        (["setting", "SYSTEM/AMP"], "19", '  gain=2.0, mode="fast", so far 0 ms'),
        (["unit", "SYSTEM/AMP"], "19", "  in process 16, so far 12 s"),
        (["process", "16"], "19", "  process 16 (pid 4711 on lab-3), so far 12 s"),
        (["endpoint", "10"], "19", "  publisher 10 of SYSTEM/SOURCE/OUT, so far 12 s"),
        (["endpoint", "12"], "19", "  channel 12 to publisher 10, so far 12 s"),
        (["session", "viewer"], "24", '  session 21 "viewer" from 127.0.0.1:40301, so far 0 ms'),
    ],
)
def test_a_life_says_what_it_is_of(run: Run, night: Any, subject: list[str], at: str, said: str) -> None:
    assert run("why", night.path, *subject, "--at", at).out.splitlines()[1] == said


def test_of_many_lives_the_first_and_the_last_are_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none", clock=wall) as ledger:
        live = LiveGraph(ledger)
        for _ in range(50):
            live.connect("A", "B")
            live.disconnect("A", "B")
    for command, asked in (("history", ["A", "B"]), ("path", ["A", "B"]), ("when", ["A -> B"])):
        told = run(command, path, *asked).out.splitlines()
        assert [line for line in told if "..." in line] == ["  ... 30 more between them (--full)"]
        assert [line.split()[0] for line in told if " connected A -> B" in line] == [
            str(seq) for seq in (*range(2, 21, 2), *range(82, 101, 2))
        ]


@pytest.mark.parametrize(
    ("subject", "begins"),
    [
        (["unit", "SYSTEM/AMP"], "unit SYSTEM/AMP is not there"),
        (["setting", "SYSTEM/AMP"], "setting SYSTEM/AMP is not there"),
        (["session", "viewer"], "session viewer is not there"),
        (["topic", "VIEWER/IN"], "topic VIEWER/IN is not there"),
        (["SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN"], "SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN is not there"),
    ],
)
def test_everything_that_has_a_kind_can_be_asked_about(run: Run, night: Any, subject: list[str], begins: str) -> None:
    for command in ("why", "history"):
        answer = run(command, night.path, *subject)
        assert answer.code == exits.OK, answer
        assert answer.out.startswith(begins if command == "why" else begins.replace("is not there", "was there"))


@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        (lambda live, session: live.disconnect("A", "B", owner=session), "disconnected", "disconnected A -> B"),
        (lambda live, session: live.clear(session), "session cleared", "gave up all it held"),
        (lambda live, session: live.close_session(session, "error"), "session error", "ended with an error"),
        (lambda live, session: live.close(), "session server_stopped", "ended with the server"),
    ],
)
def test_every_end_of_a_hold_is_told(
    run: Run, tmp_path: Path, end: Callable[[Any, int], Any], kind: str, said: str
) -> None:
    """In the words in which `log` tells of the same event."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, clock=wall) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="S")
        live.connect("A", "B", owner=session)
        end(live, session)
    [life] = json.loads(run("why", path, "A", "B", "--json").out)["lives"]
    assert life["went"]["kind"] == kind
    assert f'session 2 "S" {said}\n' in run("why", path, "A", "B").out
    assert f'session 2 "S" {said}' in run("log", path, "--all").out


def test_a_history_has_every_hold_and_how_long_there_was_any(run: Run, night: Any) -> None:
    document = json.loads(run("history", night.path, *SHARED, "--json").out)
    assert [(life["born"], life["died"]) for life in document["lives"]] == [(3, 42), (24, 40), (45, 47)]
    assert [(span["born"], span["died"]) for span in document["spans"]] == [(3, 42), (45, 47)]
    out = run("history", night.path, *SHARED).out
    assert out.startswith("SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN was there 2 times, for")
    assert '  held by session 44 "SYSTEM", for 3 s' in out


def test_a_history_of_settings_says_what_changed(run: Run, night: Any) -> None:
    out = run("history", night.path, "setting", "SYSTEM/AMP").out
    assert '  gain = 1.0, mode = "fast", for ' in out
    assert "  gain 1.0 -> 2.0, for " in out
    assert "        19  2026-11-24 13:03:32.156+00:00  reported by process 16 (pid 4711 on lab-3)\n" in out
    assert out.count("13:03:32.156") == 1, "a value that takes the place of another ends it, and is told once"


def test_a_history_of_a_unit_says_what_changed_in_each_stay(run: Run, night: Any) -> None:
    out = run("history", night.path, "unit", "SYSTEM/AMP").out.splitlines()
    assert out[1] == "it never moved"
    begins = out.index("  in process 16 (pid 4711) on lab-3")
    assert out[begins + 2 : begins + 4] == [
        '            with gain=1.0, mode="fast"',
        "        19  2026-11-24 13:03:32.156+00:00  gain 1.0 -> 2.0",
    ]
    first, *_ = json.loads(run("history", night.path, "unit SYSTEM/AMP", "--json").out)["placement"]["stays"]
    [change] = first["settings_changes"]
    assert (change["seq"], change["how"]) == (19, "updated")
    assert [(each["path"], each["before"], each["after"]) for each in change["fields"]] == [("gain", 1.0, 2.0)]


def test_a_unit_that_moves_is_followed(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        live = LiveGraph(ledger)
        first, second = live.open_process(), live.open_process()
        live.register_process(first, 7, "left", ["U"])
        live.change_units(first, [], ["U"])
        live.register_process(second, 8, "right", ["U"])
        live.close()
    out = run("history", tmp_path / "x.ledger", "unit", "U").out
    assert "it moved 1 time" in out
    assert f"  in process {first} (pid 7) on left\n" in out
    assert f"  in process {second} (pid 8) on right\n" in out
    placement = json.loads(run("history", tmp_path / "x.ledger", "unit U", "--json").out)["placement"]
    assert [(stay["host"], stay["pid"]) for stay in placement["stays"]] == [("left", 7), ("right", 8)]


@pytest.mark.parametrize("command", ["why", "history"])
@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        (["SYSTEM/AMPS"], "nothing here was ever called 'SYSTEM/AMPS'", "Did you mean SYSTEM/AMP"),
        (["SCOPE", "VIEWR/IN"], "there never was a topic 'VIEWR/IN'", "VIEWER/IN"),
        (["SCOPE -> NOWHERE_AT_ALL"], "there never was a topic 'NOWHERE_AT_ALL'", "The topics are: SCOPE"),
        (["unit", "SYSTEM/AMPP"], "no unit 'SYSTEM/AMPP' ever ran", "SYSTEM/AMP"),
        (["session", "viewr"], "there never was a session 'viewr'", "Did you mean viewer?"),
        (["A", "B", "C", "D", "E"], "an edge, or a kind and a name, is needed", "[LEDGER] FROM TO"),
    ],
)
def test_what_is_asked_for_and_is_not_there(
    run: Run, night: Any, command: str, asked: list[str], message: str, hint: str
) -> None:
    answer = run(command, night.path, *asked)
    assert (answer.code, answer.out) == (exits.USAGE, ""), answer
    assert message in answer.err
    assert hint in answer.err


def test_two_topics_are_an_edge_and_a_kind_is_none() -> None:
    assert subject_text(["A", "B"]) == "A -> B"
    assert subject_text(["A -> B"]) == "A -> B"
    assert subject_text(["unit", "A"]) == "unit A"
    assert subject_text(["with space", "B"]) == '"with space" -> B'
