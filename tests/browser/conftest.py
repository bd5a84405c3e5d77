"""Debian's Chromium, driven by Playwright, and the debugger as a person starts it.

Where no browser is installed these tests are left out, with a word; never in CI.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]

PATIENCE_MS = 30_000
ADDRESS = r"^(http://127\.0\.0\.1:\d+/[\w-]{24}/)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None and not os.environ.get("CI"):
        missing = pytest.mark.skip(reason="there is no Chromium: apt-get install chromium")
        for item in items:
            if Path(item.path).is_relative_to(Path(__file__).parent):
                item.add_marker(missing)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """For one file: Playwright leaves an event loop running in this thread until it is stopped."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "CI has no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


class Shown:
    """A page of the debugger, as a person sees it, and as assistive tools do."""

    def __init__(self, page: Any, address: str, program: Any) -> None:
        self.page, self.address, self.program = page, address, program
        self.requests: list[str] = []
        self.faults: list[str] = []
        self._refused = False
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)
        page.set_default_timeout(PATIENCE_MS)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def open(self, query: str = "") -> "Shown":
        self.page.goto(self.address + query)
        self.ready()
        return self

    def ready(self) -> None:
        self.page.wait_for_selector("[data-ready]")

    @property
    def moment(self) -> Any:
        return self.page.get_by_role("slider", name="Moment")

    @property
    def at(self) -> int:
        return int(self.moment.get_attribute("aria-valuenow"))

    def go(self, seq: int) -> None:
        """As a person would: to the first event by its key, or, since there may be thousands, by a link."""
        self.open(f"?at={seq}")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def region(self, name: str) -> Any:
        return self.page.get_by_role("region", name=name, exact=True)

    def edges(self, at: int | None = None, pin: int | str | None = None) -> dict[str, str]:
        """The edges of the moment, with what is said of each: the list that assistive tools read."""
        seq = self.at if at is None else at
        pinned = "" if pin is None else str(pin)
        self.page.wait_for_selector(f'ul[aria-label="Edges"][data-at="{seq}"][data-pin="{pinned}"]', state="attached")
        found = self.page.eval_on_selector_all(
            'ul[aria-label="Edges"] > li',
            "all => all.map(each => [each.getAttribute('aria-label'), each.getAttribute('aria-description') ?? ''])",
        )
        assert len(dict(found)) == len(found)
        return dict(found)

    def until(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait for what no event of the page tells of."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not wanted():
            assert time.monotonic() < deadline, f"never: {what}"
            self.page.wait_for_timeout(20)

    def until_address(self, name: str, value: str) -> None:
        """Wait until the address of the page says so."""
        self.until(lambda: parse_qs(urlsplit(self.page.url).query).get(name) == [value], f"{name}={value}")

    def refused(self) -> None:
        """Let the console say, now or later, what the server refused: that is no fault of the page."""
        self._refused = True

    @property
    def broken(self) -> list[str]:
        """The faults of the page."""
        return [fault for fault in self.faults if not (self._refused and fault.startswith("Failed to load resource"))]

    def rest(self) -> None:
        """Until two frames have been painted."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def still(self) -> None:
        """Until the drawing has neither moved nor grown for a third of a second: no movement of it takes so long."""
        place = "document.querySelector('.react-flow__viewport').style.transform"
        before = ""
        while before != (before := self.page.evaluate(place)):
            self.page.wait_for_timeout(350)

    def shot(self, name: str) -> Path:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.rest()
        self.page.screenshot(path=SHOTS / f"{name}.png")
        return SHOTS / f"{name}.png"


@pytest.fixture(scope="session")
def debugger(new_desk: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """``debugger(ledger, ...)``: the address of a debugger that is started once for all who look at this ledger."""
    desk = new_desk(tmp_path_factory.mktemp("debugger"))
    addresses: dict[tuple[str, ...], str] = {}

    def start(ledger: Path, *options: str | Path) -> str:
        key = tuple(map(str, (ledger, *options)))
        if key not in addresses:
            addresses[key] = desk.start("ezmsg-ledger", "debug", *key, "--no-open").until(ADDRESS)[1]
        return addresses[key]

    return start


@pytest.fixture
def show(browser: Any, desk: Any, debugger: Callable[..., str]) -> Iterator[Callable[..., Shown]]:
    """``show(ledger, ..., query="")``: the debugger of a ledger, opened. In the end its console has said nothing.

    With ``own`` it is a process of its own, ``program``, that the test may end.
    """
    shown: list[Shown] = []
    contexts: list[Any] = []

    def start(ledger: Path, *options: str | Path, query: str = "", own: bool = False, **context: Any) -> Shown:
        program = desk.start("ezmsg-ledger", "debug", ledger, "--no-open", *options) if own else None
        address = debugger(ledger, *options) if program is None else program.until(ADDRESS)[1]
        context.setdefault("viewport", {"width": 1280, "height": 800})
        contexts.append(browser.new_context(accept_downloads=True, timezone_id="UTC", **context))
        found = Shown(contexts[-1].new_page(), address, program)
        shown.append(found)
        return found.open(query)

    yield start
    for context in contexts:
        context.close()
    for each in shown:
        assert each.broken == []


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of real processes, with a session that is killed."""
    from ezmsg.ledger.tools.demo.recording import record_demo

    path = tmp_path_factory.mktemp("demo") / "demo.ledger"
    record_demo(path, lambda said: None)
    return path


class Landmarks(NamedTuple):
    """Where in the demo's recording something happened that tests look at: read from it, not counted."""

    rig_opened: int
    gain_raised: int
    visitor_opened: int
    visitor_connected: int
    visitor_lost: int


@pytest.fixture(scope="session")
def landmarks(demo: Path) -> Landmarks:
    from ezmsg.ledger.events import EdgeConnected, SessionClosed, SessionOpened, SettingsUpdated
    from ezmsg.ledger.log import Ledger

    with Ledger.open(demo, "r") as ledger:
        events = list(ledger.entries())
    rig, visitor = (event.seq for event in events if isinstance(event, SessionOpened))
    return Landmarks(
        rig_opened=rig,
        gain_raised=max(event.seq for event in events if isinstance(event, SettingsUpdated)),
        visitor_opened=visitor,
        visitor_connected=max(e.seq for e in events if isinstance(e, EdgeConnected) and e.owner == visitor),
        visitor_lost=next(e.seq for e in events if isinstance(e, SessionClosed) and e.session == visitor),
    )
