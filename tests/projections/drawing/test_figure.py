"""Pictures for notebooks: all that is there is drawn, nothing of it is taken for markup, and nothing is loaded."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.drawing.figure import EDGES_MAX, LINES_MAX, compared_html, state_html
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline

EVIL = "A\"'<script>alert(1)</script>&\n\x1b[2J\u202e/OUT"


def edge(from_topic: str, to_topic: str, owner: int | None = None) -> ev.Event:
    return ev.EdgeConnected(from_topic=from_topic, to_topic=to_topic, owner=owner)


@pytest.fixture
def timeline() -> Timeline:
    """Seqs 1 to 7: a session, a chain with a way back, an edge shared, the session lost."""
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s", label="viewer")])
    for each in (edge("A/OUT", "B/IN", 1), edge("B/OUT", "C/IN", 1), edge("A/OUT", "C/IN"), edge("C/OUT", "A/SET")):
        ledger.append([each])
    ledger.append([edge("B/OUT", "C/IN")])
    ledger.append([ev.SessionClosed(session=1, reason="lost")])
    return Timeline(ledger)


def svg(page: str) -> ElementTree.Element:
    """The drawing of a page, which is one piece of well-formed XML."""
    match = re.search(r"<svg.*</svg>", page, re.DOTALL)
    assert match is not None, page
    return ElementTree.fromstring(match[0])


def titles(page: str) -> list[str]:
    return [element.text or "" for element in svg(page).iter("{http://www.w3.org/2000/svg}title")]


def text(page: str) -> str:
    return page[page.index("<pre>") + 5 : page.index("</pre>")]


def test_a_state_shows_every_edge_with_its_owners(timeline: Timeline) -> None:
    page = timeline.at(6)._repr_html_()
    assert "seq 6: 4 edges, 1 session, 0 processes" in page
    assert {title for title in titles(page) if "->" in title} == {
        'A/OUT -&gt; B/IN (held by session 1 "viewer")'.replace("&gt;", ">"),
        'B/OUT -> C/IN (held by persistent, session 1 "viewer")',
        "A/OUT -> C/IN (held by persistent)",
        "C/OUT -> A/SET (held by persistent)",
    }
    assert text(page).count("\n") == 3


def test_two_states_show_what_came_went_and_changed_hands(timeline: Timeline) -> None:
    page = compared_html(timeline.at(2), timeline.at(7))
    assert "from seq 2 to seq 7: 3 came, 1 went" in page
    assert "- A/OUT -&gt; B/IN  (was held by session 1 &quot;viewer&quot;)" in text(page)
    held = compared_html(timeline.at(6), timeline.at(7))
    assert "1 went, 1 held by others than before" in held
    assert "~ B/OUT -&gt; C/IN  (now held by persistent; was held by persistent, session 1" in text(held)
    assert "A/OUT -&gt; C/IN" not in text(held), "what stayed is drawn, and not listed"
    assert "A/OUT -> C/IN (held by persistent)" in titles(held)
    back = compared_html(timeline.at(7), timeline.at(2))
    assert "1 came, 3 went" in back


def test_changes_have_a_look_of_their_own_beside_their_colour(timeline: Timeline) -> None:
    page = compared_html(timeline.at(6), timeline.at(7))
    looks = [element.get("class") for element in svg(page).iter("{http://www.w3.org/2000/svg}path")]
    assert {"e same", "e went", "e held", "h same", "h went", "h held"} == set(looks)
    style = page[page.index("<style>") : page.index("</style>")]
    dashes = dict(re.findall(r"\.ezl \.(went|held)\.e \{[^}]*stroke-dasharray: ([0-9 ]+)", style))
    assert len(set(dashes.values())) == 2


def test_a_difference_says_who_holds_what_now(timeline: Timeline) -> None:
    page = timeline.diff(6, 7)._repr_html_()
    assert "- A/OUT -> B/IN (no longer held by session 1)" in titles(page)
    assert "- edge A/OUT B/IN 1" in text(page)
    assert "- session 1" in text(page)


def test_no_difference_is_a_page_without_a_drawing(timeline: Timeline) -> None:
    page = timeline.diff(3, 3)._repr_html_()
    assert "<svg" not in page
    assert "0 changes" in page
    assert "no edge changed" in compared_html(timeline.at(3), timeline.at(3))
    assert "0 edges" in GraphState()._repr_html_()


@pytest.mark.parametrize("make", [state_html, lambda state: compared_html(GraphState(), state)])
def test_names_are_no_markup(make: Callable[[GraphState], str]) -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s", label=EVIL)])
    ledger.append([edge(EVIL, "B", 1)])
    page = make(Timeline(ledger).at("end"))
    assert "<script" not in page
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page)
    assert "&lt;script&gt;" in page
    assert "\\x1b[2J" in page
    svg(page)


def test_it_stands_alone(timeline: Timeline) -> None:
    page = timeline.at(6)._repr_html_()
    assert not re.search(r"<script|<link|<img|href=|src=|url\(|@import|on\w+=", page)
    assert set(re.findall(r"https?://[^\"]*", page)) == {"http://www.w3.org/2000/svg"}
    assert len(page) < 12_000


def test_a_graph_too_large_to_draw_is_told(timeline: Timeline) -> None:
    ledger = Ledger.memory()
    ledger.append([edge(f"U{number}/OUT", f"U{number + 1}/IN") for number in range(EDGES_MAX + 1)])
    page = Timeline(ledger).at("end")._repr_html_()
    assert "<svg" not in page
    assert "<details open>" in page
    assert f"... {EDGES_MAX + 1 - LINES_MAX} more" in text(page)
    assert "<svg" not in Timeline(ledger)._repr_html_()


def test_a_history_shows_what_is_gone_faintly(timeline: Timeline) -> None:
    page = timeline._repr_html_()
    assert "memory, seq 7: 4 edges ever, 3 now; 1 session, 0 runs, 0 marks" in page
    faint = [each.get("class") for each in svg(page).iter() if "ghost" in (each.get("class") or "").split()]
    assert "e same ghost" in faint
    assert "A/OUT -&gt; B/IN  (not there)" in text(page)


def test_a_history_that_has_ended_shows_what_was_there_before_it_ended() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s"), edge("A/OUT", "B/IN", 1)])
    ledger.append([ev.SessionCleared(session=1), ev.SessionClosed(session=1, reason="closed")])
    page = Timeline(ledger)._repr_html_()
    assert "seq 4: 1 edge ever, 1 after seq 2, when it was last whole" in page
    assert "ghost" not in page[page.index("</style>") :]


def test_a_state_says_in_a_line_what_it_is(timeline: Timeline) -> None:
    assert repr(timeline.at(6)) == "<GraphState at seq 6: 4 edges, 1 session, 0 processes, 0 components>"
