"""The debugger's page: a step of the moment beside @xyflow/react with its own edges, and how soon the page is there."""

import gzip
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen
from uuid import UUID

from benchmarks.graphs import Parts, deep, rig
from benchmarks.harness import Aim, Contender, Section, Setting, Spread, count, seconds, take_turns
from benchmarks.workload import Laboratory
from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline

ABOUT = """\
A step is one press of the arrow key, up to the second frame after it; what it costs is the time that the page's main
thread worked (Chromium's TaskDuration), because all steps end within the same refresh of the screen. Beside it the same
page with the same boxes, timeline and inspector, in which @xyflow/react draws the edges. Chromium without a graphics
card, 1280 x 800. A mask is what a random moment costs before it is painted. First picture: from the navigation to the
second frame with a drawing; of the ledger of a million events (with its index) from the start of the command."""

COLUMNS = ("graph", "edges alive", "a step", "@xyflow's edges", "a mask", "first picture")

GRAPHS: dict[str, Callable[[], Parts]] = {
    "rig of 12": lambda: rig(12),
    "deep": deep,
    "deep, more edges": lambda: deep(4_218),
}
STEPS, QUICK_STEPS = 30, 3
MASKS = 30
EVENTS, QUICK_EVENTS = 1_000_000, 20_000
QUESTIONS = 30

FASTER = {"deep": (3.0, 0.010), "deep, more edges": (4.5, 0.025)}
"""How many times less than @xyflow's edges a step should cost, and how many seconds at most."""

FIRST = {"rig of 12": 0.5, "deep": 1.0}
BUNDLE_BYTES = 200_000
MASK_S = 0.002
QUESTION_S = 0.010

WEB = Path(__file__).parent / "web"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def run(setting: Setting) -> Section:
    """Measure every graph; where there is no browser or no Node.js, say so and measure what can be."""
    section = Section("Debugger", ABOUT, COLUMNS)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        section.rows.append(("no Chromium here: apt-get install chromium", *[""] * (len(COLUMNS) - 1)))
        return section
    from playwright.sync_api import sync_playwright

    peer = _peer(setting.folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        for name in ("rig of 12",) if setting.quick else GRAPHS:
            file = f"debugger-{name.replace(' ', '-').replace(',', '')}.ledger"
            path = _record(setting.folder / file, GRAPHS[name]())
            _measure(name, path, peer, browser, setting, section)
        _measure_long(browser, setting, section)
        browser.close()
    _measure_bundle(section)
    return section


def _record(path: Path, parts: Parts) -> Path:
    """A ledger in which a system was wired, and then a hundred steps change one edge each."""
    if path.exists():
        return path
    components, edges = parts
    random = Random(1)
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([ev.ServerStarted(uuid=str(UUID(int=0)), kind="server", name="benchmark", host="here", pid=1)])
        ledger.append([ev.SessionOpened(uuid=str(UUID(int=1)), peer="127.0.0.1:1", label="LAB")])
        initial = {"initial_settings": {"$": "t", "v": [None, {}]}}
        metadata = {
            "$": "GraphMetadata",
            "schema_version": 1,
            "root_name": None,
            "components": {each["address"]: {**each, **initial} for each in components},
        }
        ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=2) for a, b in edges])
        ledger.append([ev.MetadataRegistered(session=2, metadata=metadata, raw=None)])
        for _ in range(100):
            a, b = random.choice(edges)
            ledger.append([ev.EdgeDisconnected(from_topic=a, to_topic=b, owner=2)])
            ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=2)])
    return path


def _peer(folder: Path) -> Path | None:
    """The page with @xyflow's edges, built; None where Node.js or the page's dependencies are not there."""
    out = folder / "peer"
    node = shutil.which("node")
    if node is None or not (WEB.parents[1] / "tools" / "debugger" / "web" / "node_modules").exists():
        return None
    subprocess.run([node, WEB / "build.mjs", out.resolve()], check=True, timeout=60)
    return out / "page.js"


@contextmanager
def _served(path: Path) -> Iterator[str]:
    """The address of a debugger in a process of its own."""
    command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "debug", str(path), "--no-open", "--until-closed"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _opened(browser: Any, address: str, script: Path | None, query: str) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    if script is not None:
        page.route("**/page.js", lambda route: route.fulfill(path=script, content_type="text/javascript"))
    page.goto(address + query, timeout=120_000)
    page.wait_for_selector("[data-ready]", timeout=120_000)
    page.evaluate(TWO_FRAMES)
    page.wait_for_timeout(500)
    return page


def _measure(name: str, path: Path, peer: Path | None, browser: Any, setting: Setting, section: Section) -> None:
    steps = QUICK_STEPS if setting.quick else STEPS
    with Ledger.open(path, "r") as ledger:
        head = ledger.head
    with _served(path) as address:
        pages = {"debugger": _opened(browser, address, None, f"?at={head - 150}")}
        if peer is not None:
            pages["@xyflow"] = _opened(browser, address, peer, f"?at={head - 150}")
        contenders = {who: _stepping(page, steps) for who, page in pages.items()}
        figures = take_turns(f"debugger, {name}", contenders, setting.rounds)
        mask = Spread.of(_masks(pages["debugger"]))
        alive = pages["debugger"].evaluate("() => window.ledger.model.now.edges")
        for page in pages.values():
            page.close()
        first = Spread.of([_first(browser, address) for _ in range(2 if setting.quick else 5)])
    ours = Spread.of(figures["debugger"])
    theirs = Spread.of(figures["@xyflow"]) if "@xyflow" in figures else None
    section.rows.append(
        (
            name, count(alive), ours.written(seconds), theirs.written(seconds) if theirs else "not built",
            mask.written(seconds), first.written(seconds),
        )
    )  # fmt: skip
    if setting.quick:
        return
    if name in FASTER and theirs is not None:
        times, most = FASTER[name]
        pairs = [b / a for a, b in zip(figures["debugger"], figures["@xyflow"], strict=True)]
        section.aims.append(Aim(f"@xyflow's edges / a step, {name}", Spread.of(pairs), times))
        beside = Spread.of([each / most for each in figures["debugger"]])
        section.aims.append(Aim(f"a step, {name}: beside {seconds(most)}", beside, 1.0, at_most=True))
    if name in FIRST:
        beside = Spread(*(each / FIRST[name] for each in first))
        section.aims.append(Aim(f"first picture, {name}: beside {seconds(FIRST[name])}", beside, 1.0, at_most=True))


def _stepping(page: Any, steps: int) -> Contender:
    """Steps on and back; gives the seconds that the main thread worked for one, in the median."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")

    def worked() -> float:
        found = client.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))

    def step() -> float:
        figures = []
        for number in range(steps):
            page.evaluate(TWO_FRAMES)
            before = worked()
            page.keyboard.press("ArrowRight" if number < steps // 2 else "ArrowLeft")
            page.evaluate(TWO_FRAMES)
            figures.append(worked() - before)
        return median(figures)

    return step


def _masks(page: Any) -> list[float]:
    """Seconds that it takes to mask random moments: each ten times, as the clock of a browser is coarse."""
    found: list[float] = page.evaluate(
        """number => {
            const { history, now } = window.ledger.model;
            const mask = Object.create(Object.getPrototypeOf(now));
            const { owners, owner, sign } = now;
            Object.assign(mask, { seq: -1, owners: owners.slice(), owner: owner.slice(), sign: sign.slice() });
            return Array.from({ length: number }, () => {
                const seq = Math.floor(Math.random() * history.head);
                const begin = performance.now();
                for (let i = 0; i < 10; i++) history.at(seq, mask);
                return (performance.now() - begin) / 10000;
            });
        }""",
        MASKS,
    )
    return found


def _first(browser: Any, address: str) -> float:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address, timeout=120_000)
    page.wait_for_function("() => performance.getEntriesByName('drawn').length > 0", timeout=120_000)
    took = page.evaluate("() => performance.getEntriesByName('drawn')[0].startTime")
    page.close()
    return float(took) / 1000


def _measure_long(browser: Any, setting: Setting, section: Section) -> None:
    """A long history: how soon its timeline can be used and its drawing is there, masks, and questions."""
    events = QUICK_EVENTS if setting.quick else EVENTS
    path = setting.folder / f"debugger-{events}.ledger"
    if not path.exists():
        _write(path, events)
    with Ledger.open(path, "r") as ledger:
        _ = Timeline(ledger).lifetimes  # the index is made
    begin = time.monotonic()
    with _served(path) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        reached = time.monotonic() - begin
        page.goto(address, timeout=120_000)
        page.wait_for_function("() => performance.getEntriesByName('drawn').length > 0", timeout=300_000)
        usable, drawn = (
            reached + page.evaluate(f"() => performance.getEntriesByName('{name}')[0].startTime") / 1000
            for name in ("usable", "drawn")
        )
        mask = Spread.of(_masks(page))
        alive = page.evaluate("() => window.ledger.model.now.edges")
        page.close()
        asked = _questions(address, events)
    said = f"timeline {seconds(usable)}, drawing {seconds(drawn)}"
    section.rows.append((f"{count(events)} events", count(alive), "", "", mask.written(seconds), said))
    for name, figures in asked.items():
        section.rows.append((f"`{name}`, {count(events)} events", "", Spread.of(figures).written(seconds), "", "", ""))
    if not setting.quick:
        of = f"of {count(events)} events"
        for what, took, most in (("timeline usable", usable, 1.5), ("drawing", drawn, 3.0)):
            beside = Spread.of([took / most])
            section.aims.append(Aim(f"{what} {of}: beside {seconds(most)}", beside, 1.0, at_most=True))
        beside = Spread(*(each / MASK_S for each in mask))
        section.aims.append(Aim(f"a mask {of}: beside {seconds(MASK_S)}", beside, 1.0, at_most=True))
        for name, figures in asked.items():
            beside = Spread.of([each / QUESTION_S for each in figures])
            section.aims.append(Aim(f"`{name}`: beside {seconds(QUESTION_S)}", beside, 1.0, at_most=True))


def _questions(address: str, events: int) -> dict[str, list[float]]:
    random = Random(2)
    with urlopen(f"{address}api/v1/events?limit=1000&lines=false", timeout=60) as answer:
        found = json.load(answer)["events"]
    edges = [(each["from_topic"], each["to_topic"]) for each in found if each["type"] == "edge.connected"]

    def ask(path: str) -> float:
        begin = time.perf_counter()
        with urlopen(f"{address}api/v1/{path}", timeout=60) as answer:
            answer.read()
        return time.perf_counter() - begin

    def subject() -> str:
        return quote(" -> ".join(random.choice(edges)))

    return {
        "why": [ask(f"why?subject={subject()}&at={random.randrange(events)}") for _ in range(QUESTIONS)],
        "events": [ask(f"events?after={random.randrange(events)}&lines=false") for _ in range(QUESTIONS)],
        "events, told": [ask(f"events?after={random.randrange(events)}") for _ in range(QUESTIONS)],
        "density": [ask("density?buckets=400") for _ in range(QUESTIONS)],
    }


def _write(path: Path, number: int) -> None:
    laboratory = Laboratory().events()
    with Ledger.open(path, durability="none") as ledger:
        for _ in range(number // 200):
            ledger.append([next(laboratory) for _ in range(200)])


def _measure_bundle(section: Section) -> None:
    folder = WEB.parents[1] / "tools" / "debugger" / "page"
    files = [path for path in folder.iterdir() if path.suffix in (".js", ".css")]
    packed = sum(len(gzip.compress(path.read_bytes(), 9)) for path in files)
    section.rows.append(("the bundle, compressed", "", f"{packed / 1000:.0f} kB", "", "", ""))
    beside = Spread.of([packed / BUNDLE_BYTES])
    section.aims.append(Aim(f"the bundle: beside {BUNDLE_BYTES / 1000:.0f} kB", beside, 1.0, at_most=True))

