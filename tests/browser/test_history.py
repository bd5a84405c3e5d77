"""What the page shows at any moment is what ``show --json`` prints: every edge, owner and setting."""

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.debugger.api import columns
from ezmsg.ledger.tools.debugger.server import Server
from ezmsg.ledger.tools.debugger.watched import Watched
from ezmsg.ledger.tools.text.documents import state_document

Show = Callable[..., Any]

MOMENTS = 200 if os.environ.get("CI") else 40
"""The page tells assistive tools of a moment once it rests there: most of the time goes into that."""

STEPS = 1500


@pytest.fixture(scope="module")
def random_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long legal history of every kind of event, chosen at random."""
    place = Path(__file__).parents[1] / "projections" / "conftest.py"
    spec = importlib.util.spec_from_file_location("histories", place)
    assert spec is not None
    assert spec.loader is not None
    histories = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(histories)
    random = Random(11)
    path = tmp_path_factory.mktemp("random") / "random.ledger"
    ops = [(random.choice(histories.KINDS), *(random.randrange(12) for _ in range(3))) for _ in range(STEPS)]
    with Ledger.open(path) as ledger:
        for event in histories.Writer().write(ops):
            unstamped = {name: getattr(event, name) for name in event.__struct_fields__} | {"seq": 0, "time": 0}
            ledger.append([type(event)(**unstamped)])
    return path


def shown_edges(shown: Any) -> dict[str, list[int]]:
    at = shown.at
    shown.edges(at)
    found = shown.page.eval_on_selector_all(
        'ul[aria-label="Edges"] > li', "all => all.map(each => [each.textContent, each.dataset.owners])"
    )
    return {name: [int(owner) for owner in owners.split()] for name, owners in found}


def test_any_moment_is_what_the_command_shows(show: Show, random_history: Path) -> None:
    shown = show(random_history, query="?at=0")
    random = Random(12)
    with Ledger.open(random_history, "r") as ledger:
        timeline = Timeline(ledger)
        moments = [0, ledger.head, *(random.randrange(ledger.head) for _ in range(MOMENTS - 2))]
        jumped: dict[int, Any] = {}
        for seq in moments:
            box = shown.page.get_by_role("textbox", name="Go to")
            box.fill(str(seq))
            box.press("Enter")
            assert shown.at == seq
            document = state_document(timeline, timeline.moment(seq), timeline.at(seq))
            ids = {session["uuid"]: session["id"] for session in document["sessions"].values()} | {"persistent": 0}
            wanted = {
                f"{each['from_topic']} -> {each['to_topic']}": sorted(ids[owner] for owner in each["owners"])
                for each in document["edge_owners"]
            }
            jumped[seq] = shown_edges(shown)
            assert jumped[seq] == wanted, seq
        # stepping equals jumping: walk over some of them
        start = moments[2]
        box.fill(str(start))
        box.press("Enter")
        for seq in range(start + 1, min(start + 40, ledger.head) + 1):
            shown.page.keyboard.press("ArrowRight")
            assert shown.at == seq
            edges = timeline.lifetimes.edges_at(seq)
            assert shown_edges(shown) == {
                f"{a} -> {b}": sorted(owner or 0 for owner in owners) for (a, b), owners in edges.items()
            }
            if seq in jumped:
                assert shown_edges(shown) == jumped[seq]


def test_settings_in_force_are_what_the_command_shows(show: Show, random_history: Path) -> None:
    random = Random(13)
    with Ledger.open(random_history, "r") as ledger:
        timeline = Timeline(ledger)
        for unit in timeline.lifetimes.names("setting")[:4]:
            shown = show(random_history, query=f"?at=0&select=unit {unit}")
            inspector = shown.region("Inspector")
            inspector.get_by_text("Settings", exact=True).wait_for()
            for seq in sorted(random.randrange(ledger.head) for _ in range(25)):
                box = shown.page.get_by_role("textbox", name="Go to")
                box.fill(str(seq))
                box.press("Enter")
                setting = timeline.at(seq).settings.get(unit)
                if setting is None:
                    assert inspector.get_by_label("Value").count() == 0, (unit, seq)
                    continue
                said = inspector.get_by_label("Value").inner_text()
                value = setting.value.structured_value
                assert said == setting.value.repr_value if value is None else json.loads(said) == value, (unit, seq)


@pytest.fixture
def narrow(random_history: Path, browser: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page that gets no more of the history at once than 100 holds, and settings of one component at a time."""
    monkeypatch.setattr(columns, "HOLDS_MAX", 100)
    monkeypatch.setattr(columns, "SETTINGS_MAX", 5)
    watched = Watched(random_history)
    server = Server(watched)
    server.start()
    context = browser.new_context(timezone_id="UTC", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(server.address)
    page.wait_for_selector("[data-ready]")
    yield page
    context.close()
    server.stop()
    watched.close()
    assert faults == []


KNOWN = "seq => { const { model, get } = window.ledger; return get().at === seq && model.history.covers(seq); }"


def test_a_history_that_is_too_long_is_shown_in_windows(narrow: Any, random_history: Path) -> None:
    notice = narrow.get_by_role("status").filter(has_text="too long to be shown at once")
    notice.wait_for()
    random = Random(14)
    with Ledger.open(random_history, "r") as ledger:
        timeline = Timeline(ledger)
        for seq in [ledger.head, *(random.randrange(ledger.head) for _ in range(12))]:
            box = narrow.get_by_role("textbox", name="Go to")
            box.fill(str(seq))
            box.press("Enter")
            narrow.wait_for_function(KNOWN, arg=seq)
            wanted = {f"{a} -> {b}" for a, b in timeline.lifetimes.edges_at(seq)}
            narrow.wait_for_function(
                """({ seq, wanted }) => {
                    const list = document.querySelector('ul[aria-label="Edges"]');
                    const names = [...list.children].map(each => each.textContent).sort();
                    return list.dataset.at === String(seq) && JSON.stringify(names) === JSON.stringify(wanted);
                }""",
                arg={"seq": seq, "wanted": sorted(wanted)},
            )
        assert "can be" not in notice.inner_text()
        # settings are asked for with the unit that is selected
        unit = next(name for name in timeline.lifetimes.names("setting") if "/" in str(name))
        changes = [fact.born for fact in timeline.lifetimes.facts("setting") if fact.name == unit]
        narrow.keyboard.press("Home")
        narrow.evaluate("unit => window.ledger.set({ select: `unit ${unit}` })", unit)
        narrow.wait_for_function(
            "({ unit, changes }) => window.ledger.model.history.settingChanges(unit).length === changes",
            arg={"unit": unit, "changes": len(changes)},
        )
    narrow.get_by_role("button", name="Settings", exact=True).click()
    narrow.get_by_text("too many to count at once: select a unit").wait_for()
