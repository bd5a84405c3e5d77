"""Six hundred units three deep: what is far away has fewer words, and a cable gives up its single edges."""

import importlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline

Show = Callable[..., Any]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        graphs = importlib.import_module("benchmarks.graphs")
        ledgers = importlib.import_module("benchmarks.debugger.ledgers")
    recorded: Path = ledgers.record(tmp_path_factory.mktemp("large") / "large.ledger", graphs.deep())
    return recorded


def level(shown: Any) -> str:
    shown.rest()
    found: str = shown.page.locator(".flow").get_attribute("data-level")
    return found


def test_names_come_with_the_zoom(show: Show, large: Path) -> None:
    shown = show(large)
    assert level(shown) == "far"
    shown.shot("large-far")
    seen = [level(shown)]
    for _ in range(14):
        shown.page.keyboard.press("+")
        shown.page.wait_for_timeout(160)
        if seen[-1] != (now := level(shown)):
            seen.append(now)
    assert seen == ["far", "middle", "near"]
    shown.shot("large-near")
    shown.page.keyboard.press("0")
    shown.until(lambda: level(shown) == "far", "it fits again")


CABLE = """() => {
    const { model } = window.ledger;
    const rect = document.querySelector('.flow').getBoundingClientRect();
    const view = new DOMMatrix(getComputedStyle(document.querySelector('.react-flow__viewport')).transform);
    for (const segment of model.drawing.segments) {
        const there = segment.edges.filter(edge => model.now.owners[edge] > 0);
        const [x0, y0, x1, y1] = segment.points;
        if (there.length < 5 || Math.hypot(x1 - x0, y1 - y0) * view.a < 12) continue;
        const place = new DOMPoint((x0 + x1) / 2, (y0 + y1) / 2).matrixTransform(view);
        const [x, y] = [rect.x + place.x, rect.y + place.y];
        const under = document.elementFromPoint(x, y);
        if (under && under.classList.contains('react-flow__pane')) {
            return { x, y, names: there.map(edge => model.history.edgeName(edge)) };
        }
    }
}"""


def test_a_single_edge_is_picked_out_of_a_cable(show: Show, large: Path) -> None:
    shown = show(large)
    shown.rest()
    cable = shown.page.evaluate(CABLE)
    assert cable is not None
    shown.page.mouse.move(cable["x"], cable["y"])
    shown.page.locator(".tip").wait_for()
    shown.page.mouse.click(cable["x"], cable["y"])
    menu = shown.page.get_by_role("menu", name="Edges of this cable")
    names = menu.get_by_role("menuitem").all_inner_texts()
    assert len(names) >= 2
    menu.get_by_role("menuitem", name=names[1], exact=True).click()
    shown.until_address("select", names[1])
    assert "held by" in shown.region("Inspector").inner_text()


def test_two_moments_of_a_large_graph(show: Show, large: Path) -> None:
    shown = show(large, query="?at=1300")
    shown.page.keyboard.press("p")
    shown.page.keyboard.press("Home")
    with Ledger.open(large, "r") as ledger:
        there = {f"{a} -> {b}" for a, b in Timeline(ledger).lifetimes.edges_at(1300)}
    assert {name for name, word in shown.edges(0, 1300).items() if word == "removed"} == there
    shown.shot("large-compare")


STANDING = """seqs => {
    const { history } = window.ledger.model;
    const { born, died, length } = { born: history.born.data, died: history.died.data, length: history.born.length };
    return seqs.filter(seq => {
        const wanted = [];
        for (let row = 0; row < length; row++) if (born[row] <= seq && seq < died[row]) wanted.push(row);
        return wanted.join() !== history.standing(seq).join();
    });
}"""


def test_a_moment_of_a_long_history_is_the_same_by_its_notes_and_by_a_scan(show: Show, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        workload = importlib.import_module("benchmarks.workload")
    events, path, random = workload.Laboratory().events(), tmp_path / "long.ledger", Random(3)
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(list(islice(events, 60_000)))
        shown = show(path, own=True)
        for more in (0, 30_000):
            for _ in range(0, more, 1000):
                ledger.append(list(islice(events, 1000)))
            head = ledger.head
            shown.until(lambda: shown.page.evaluate("() => window.ledger.model.history.head") == head, "all came")  # noqa: B023
            seqs = [0, head, *(random.randint(1, head) for _ in range(60))]
            assert shown.page.evaluate(STANDING, seqs) == []
