"""What assistive tools meet: axe finds nothing serious, light and dark, with and without a pin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Show = Callable[..., Any]

VIEWS = {
    "path": "?at=36&path=RIG/AMP/SOURCE/OUTPUT ~> RIG/MONITOR/SINK/INPUT&ask=edges >= 7",
    "topic": "?at=36&select=topic RIG/MONITOR/INPUT&lens=process&axis=time",
    "moment": "?at=35",
    "compare": "?at=36&pin=20",
    "edge": "?at=35&select=RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT",
    "unit": "?at=40&select=unit RIG/AMP/GAIN&lens=settings",
    "owners": "?at=35&lens=owner",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(show: Show, demo: Path, view: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    shown = show(demo, query=VIEWS[view], color_scheme=scheme)
    shown.rest()
    found = Axe().run(shown.page).response["violations"]
    serious = [
        (each["id"], [node["html"][:160] for node in each["nodes"]][:4])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_graph_is_reached_by_keyboard(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35")
    shown.page.get_by_role("button", name="RIG/AMP/GAIN", exact=True).focus()
    shown.page.keyboard.press("Enter")
    assert "RIG/AMP/GAIN" in shown.region("Inspector").inner_text()
    shown.page.keyboard.press("Tab")
    focused = shown.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "RIG/AMP/GAIN/INPUT"


SCROLLED = """[...document.querySelectorAll('.graph, .graph *')]
    .filter(each => each.scrollTop || each.scrollLeft).map(each => each.className)"""


def test_what_the_keyboard_comes_to_is_in_sight(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35")
    for _ in range(4):
        shown.page.keyboard.press("+")
    shown.still()  # what comes to the focus while the drawing still grows may be in sight then, and not in the end
    graph = shown.region("Graph").bounding_box()
    for name in ("RIG/TUNER", "VISITOR", "RIG/MONITOR/SINK", "RIG/TUNER"):
        button = shown.page.get_by_role("button", name=name, exact=True)
        button.focus()

        def is_seen(button: Any = button) -> bool:
            box = button.bounding_box()
            return bool(
                graph["x"] <= box["x"]
                and box["x"] + box["width"] <= graph["x"] + graph["width"]
                and graph["y"] <= box["y"]
                and box["y"] + box["height"] <= graph["y"] + graph["height"]
            )

        shown.until(is_seen, f"{name} is seen")
        assert shown.page.evaluate(SCROLLED) == []


def test_all_of_the_page_is_done_by_keyboard(show: Show, demo: Path, landmarks: Any) -> None:
    """The keys that the list of keys names, and the line between graph and events."""
    shown = show(demo, query=f"?at={landmarks.visitor_connected}")
    page = shown.page
    page.keyboard.press("w")
    shown.until_address("axis", "time")
    page.keyboard.press("w")
    page.keyboard.press("]")
    page.keyboard.press("]")
    first, last = page.evaluate("window.ledger.get().window")
    assert first <= landmarks.visitor_connected <= last
    assert last - first < 30
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    first, last = page.evaluate("window.ledger.get().window")
    assert first <= shown.at <= last  # the window goes along
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert page.evaluate("window.ledger.get().window") is None
    before = page.evaluate("window.ledger.view.instance.getViewport()")
    for key in "hhk":
        page.keyboard.press(key)
    shown.until(lambda: page.evaluate("window.ledger.view.instance.getViewport().x") > before["x"] + 100, "it moves")
    page.keyboard.press("e")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Filter events"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    assert "move the graph" in keys.inner_text()
    keys.get_by_role("button", name="Close").click()
    line = page.get_by_role("separator", name="Room of the graph")
    height = shown.region("Graph").bounding_box()["height"]
    line.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert shown.region("Graph").bounding_box()["height"] < height - 20
