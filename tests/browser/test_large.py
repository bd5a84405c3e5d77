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
def record(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``record("deep")``: a recording of one of the benchmarks' graphs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        graphs = importlib.import_module("benchmarks.graphs")
        ledgers = importlib.import_module("benchmarks.debugger.ledgers")

    def recorded(name: str, *parameters: int) -> Path:
        path = tmp_path_factory.mktemp(name) / f"{name}.ledger"
        made: Path = ledgers.record(path, getattr(graphs, name)(*parameters))
        return made

    return recorded


@pytest.fixture(scope="module")
def large(record: Callable[..., Path]) -> Path:
    return record("deep")


@pytest.fixture(scope="module")
def rig(record: Callable[..., Path]) -> Path:
    return record("rig", 12)


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


NOT_WITHIN = """() => {
    const out = [];
    const of = label => {
        const range = document.createRange();
        range.selectNodeContents(label);
        return range.getBoundingClientRect();
    };
    const labels = '.box .port span, .box.unit .name, .box.relay .name, .box.topic .name';
    for (const label of document.querySelectorAll(labels)) {
        const box = label.closest('.box');
        if (getComputedStyle(label).visibility === 'hidden' || box.classList.contains('collection')) continue;
        const [inner, outer] = [of(label), box.getBoundingClientRect()];
        if (!inner.width) continue;
        const [left, right] = [inner.left - outer.left, outer.right - inner.right];
        if (left < -0.5 || right < -0.5) out.push([label.textContent, left, right]);
        const isCut = label.scrollWidth > label.clientWidth + 1 && getComputedStyle(label).overflow !== 'visible';
        if (isCut) out.push([label.textContent, 'clipped']);
    }
    return out;
}"""

CAMERA = "zoom => window.ledger.view.instance.setViewport({ x: 20 - 150 * zoom, y: 20, zoom })"
ZOOMS = (0.05, 0.1, 0.2, 0.27, 0.29, 0.35, 0.45, 0.59, 0.61, 0.8, 1.0, 1.3, 2.0, 2.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_label_is_clipped_at_any_zoom(show: Show, rig: Path, scheme: str) -> None:
    """Each name ends within its box, measured as the browser has written it."""
    shown = show(rig, color_scheme=scheme)
    levels = set()
    for zoom in ZOOMS:
        shown.page.evaluate(CAMERA, zoom)
        shown.rest()
        levels.add(level(shown))
        assert shown.page.evaluate(NOT_WITHIN) == [], zoom
        if levels >= {"near"} and zoom == 1.0:
            assert shown.page.locator(".box .port span").count() > 20
            shown.shot(f"labels-{scheme}")
    assert levels == {"far", "middle", "near"}


def test_a_selection_of_a_large_graph_is_told_from_what_it_leads_to(show: Show, large: Path) -> None:
    shown = show(large, query="?select=unit LAB/SITE3/GROUP5/UNIT4")
    shown.page.locator("[data-selected]").wait_for(state="attached")
    found = shown.page.evaluate(
        """() => {
            const { model, view } = window.ledger;
            const names = edges => [...edges].map(edge => model.edgeName(edge));
            return [names(view.painter.scene.related), names(view.painter.scene.beyond)];
        }"""
    )
    direct, beyond = map(set, found)
    with Ledger.open(large, "r") as ledger:
        edges = {f"{a} -> {b}" for a, b in Timeline(ledger).lifetimes.edges_at(ledger.head)}
    assert direct == {edge for edge in edges if "LAB/SITE3/GROUP5/UNIT4/" in edge}
    assert beyond
    assert beyond <= edges - direct
    shown.shot("large-selected")
