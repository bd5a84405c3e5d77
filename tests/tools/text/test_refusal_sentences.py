"""Why a command was refused, in words."""

from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.text.refusal_sentences import refusal


@pytest.fixture
def state() -> GraphState:
    """Sessions 1 "SYSTEM" and 2, process 3."""
    state = GraphState()
    state.apply(ev.SessionOpened(uuid="one", label="SYSTEM", seq=1, time=1))
    state.apply(ev.SessionOpened(uuid="two", peer="127.0.0.1:2", seq=2, time=2))
    state.apply(ev.ProcessOpened(uuid="three", peer="127.0.0.1:3", seq=3, time=3))
    return state


def rejected(actor: int | None, command: str, reason: str, arguments: Any = None, cause: Any = None) -> Any:
    return ev.CommandRejected(
        actor=actor, peer="127.0.0.1:9", command=command, reason=reason, arguments=arguments, cause=cause
    )


@pytest.mark.parametrize(
    ("event", "text", "words"),
    [
        (
            rejected(2, "SESSION_CONNECT", "cycle", ["C", "A"],
                     {"path": ["A", "B", "C"], "owners": [["one"], ["persistent", "two"]]}),
            'session 2 (127.0.0.1:2) wanted C -> A, but that would close a cycle: A -> B (held by session 1 "SYSTEM"), '
            "B -> C (held by persistent, session 2 (127.0.0.1:2))",
            ("A", "B", "C"),
        ),
        (
            rejected(2, "connect", "cycle", ["A", "A"], {"path": ["A"], "owners": []}),
            "session 2 (127.0.0.1:2) wanted A -> A, but a topic cannot feed itself",
            ("A",),
        ),
        (
            rejected(2, "connect", "cycle", ["Z", "A"], {"path": ["A", "B"], "owners": [["gone"]], "left_out": 40}),
            "session 2 (127.0.0.1:2) wanted Z -> A, but that would close a cycle: A -> B (held by gone) and 40 more",
            ("A", "B"),
        ),
        (
            rejected(2, "register", "collision", {"root_name": "S", "components": 3},
                     {"addresses": ["S", "S/U"], "sessions": ["one"]}),
            'session 2 (127.0.0.1:2) wanted to register 3 components, but session 1 "SYSTEM" has registered S, S/U',
            ("S", "S/U"),
        ),
        (
            rejected(3, "PROCESS_REGISTER", "conflict", {"units": ["U"]}, {"units": {"U": "gone"}}),
            "process 3 (127.0.0.1:3) claimed U, which gone runs",
            ("U",),
        ),
        (
            rejected(3, "PROCESS_SETTINGS_UPDATE", "not_owner", {"component": "U"}),
            "process 3 (127.0.0.1:3) reported settings of U, which it does not run",
            ("U",),
        ),
        (rejected(None, "SESSION_REGISTER", "malformed", "no pickle"),
         "127.0.0.1:9 sent a malformed SESSION_REGISTER: no pickle", ()),
        (rejected(None, "0x77", "unknown_command"), "127.0.0.1:9 sent 0x77, which is not a command here", ()),
        (rejected(None, "CHANNEL", "unknown_publisher", "uuid"),
         "127.0.0.1:9 wanted a channel to a publisher that is not there: uuid", ()),
        (rejected(3, "PROCESS_ROUTE_RESPONSE", "not_asked", "r7"),
         "process 3 (127.0.0.1:3) answered a request that nobody had made: r7", ()),
        (rejected(None, "SHUTDOWN", "not_local"),
         "127.0.0.1:9 sent SHUTDOWN, which only programs of this machine may", ()),
        (rejected(None, "accept", "host_not_allowed"),
         "127.0.0.1:9 was not let in: its host is none of those that are allowed", ()),
        (rejected(None, "accept", "too_many_connections"),
         "127.0.0.1:9 was not let in: there were too many connections", ()),
        (rejected(None, "accept", "too_many_from_host"),
         "127.0.0.1:9 was not let in: there were too many connections from its host", ()),
        (rejected(2, "dance", "mood", [1], {"why": "tired"}),
         'dance [1] by session 2 (127.0.0.1:2) (mood: {why: "tired"})', ()),
    ],
)  # fmt: skip
def test_a_refusal_says_who_wanted_what_and_why_not(
    state: GraphState, event: Any, text: str, words: tuple[str, ...]
) -> None:
    assert refusal(state, event, 5) == (text, words)


@pytest.mark.parametrize("reason", ["cycle", "collision", "conflict", "not_owner"])
@pytest.mark.parametrize("cause", [None, "text", {}, {"path": 3}, {"addresses": None, "sessions": 1}, [1]])
def test_a_refusal_of_another_shape_is_shown_as_it_is(state: GraphState, reason: str, cause: Any) -> None:
    text, words = refusal(state, rejected(2, "connect", reason, ["only one"], cause), 5)
    assert text.startswith('connect ["only one"] by session 2 (127.0.0.1:2)')
    assert reason in text
    assert words == ()
