"""``sessions``, as a person and as a program sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent, OutOfOrder
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.sessions import Sessions

Run = Callable[..., Any]


def test_a_night_of_sessions(run: Run, night: Any) -> None:
    answer = run("sessions", night.path)
    assert answer.code == exits.OK
    assert answer.out.splitlines() == [
        "run 1, 2026-11-24 13:03:20.000+00:00",
        "id  label   from             opened  ended   how                   edges  components  refused",
        "2   SYSTEM  127.0.0.1:40122  0.150   24.156  lost with the server  6      7",
        "21  viewer  127.0.0.1:40301  17.156  18.156  lost (reset)          3      0           2",
        "",
        "run 2, 2026-11-24 13:04:19.156+00:00",
        "id  label   from             opened  ended  how     edges            components       refused",
        "44  SYSTEM  127.0.0.1:40500  0.100   3.100  closed  1, 0 at its end  3, 0 at its end",
    ]


def test_the_document(run: Run, night: Any) -> None:
    document = json.loads(run("sessions", night.path, "--json").out)
    assert document["ledger"] == str(night.path)
    first, second, third = document["sessions"]
    assert (first["reason"], first["ended_seq"], first["edges"], first["components_max"]) == ("server_lost", 42, 6, 7)
    assert (second["reason"], second["detail"], second["refusals"], second["run"]) == ("lost", "reset", 2, 1)
    assert (third["edges"], third["edges_max"], third["ended_seq"], third["run"]) == (0, 1, 48, 2)


def test_sessions_that_are_open_and_ledgers_without_any(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        assert run("sessions", path).out == "no session ever connected\n"
        ledger.append([ev.SessionOpened(uuid="s", label="A")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=1)])
        out = run("sessions", path).out
    assert "still open" in out
    assert "1, 0 now" in out


def test_damage_shows_what_was_before_it(run: Run, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "damaged.ledger"
    path.write_bytes(night.path.read_bytes().replace(b'"session":21', b'"session":2x', 1))
    answer = run("sessions", path)
    assert answer.code == exits.DAMAGED
    assert "SYSTEM" in answer.out


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["edge", "clear", "close", "open"]), st.integers(0, 5)), max_size=40))
def test_what_a_session_holds_is_what_the_graph_state_says(steps: list[tuple[str, int]]) -> None:
    ledger = Ledger.memory()
    state, found = GraphState(), Sessions()
    most: dict[int, int] = {}
    for kind, number in [("open", 0), *steps]:
        open_ids = list(state.sessions)
        if kind == "open" or not open_ids:
            event: ev.Event = ev.SessionOpened(uuid=f"u{state.seq}")
        else:
            owner = open_ids[number % len(open_ids)]
            edge = (f"A{number}", "B")
            holds = state.ownership.holds(edge, owner)
            event = {
                "edge": (ev.EdgeDisconnected if holds else ev.EdgeConnected)(
                    from_topic=edge[0], to_topic=edge[1], owner=owner
                ),
                "clear": ev.SessionCleared(session=owner),
                "close": ev.SessionClosed(session=owner, reason="lost"),
            }[kind]
        batch = ledger.append([event])
        state.apply_batch(batch)
        found.apply_batch(batch)
        for key in state.sessions:
            held = len(state.ownership.held(key))
            most[key] = max(most.get(key, 0), held)
            assert (found.lives[key].edges, found.lives[key].edges_max) == (held, most[key])
    assert fold(ledger.read(), Sessions()).lives == found.lives
    assert [key for key, life in found.lives.items() if life.ended is None] == list(state.sessions)


def test_holes_and_contradictions_are_noticed() -> None:
    with pytest.raises(OutOfOrder):
        Sessions().apply(ev.SessionOpened(uuid="s", seq=2, time=1))
    with pytest.raises(InvalidEvent):
        Sessions().apply(ev.SessionClosed(session=9, reason="lost", seq=1, time=1))
