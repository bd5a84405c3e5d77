"""What assistive tools meet: axe finds nothing serious, light and dark, with and without a pin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Show = Callable[..., Any]

VIEWS = {
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
