"""What a step of the moment, a mask, the first picture and a question cost."""

import gzip
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from benchmarks.debugger import ledgers
from benchmarks.debugger.browser import Debugger, Page, Took, chromium, launched
from benchmarks.graphs import Parts, deep, rig
from benchmarks.harness import Section, Setting, Spread, count, say, seconds, take_turns
from ezmsg.ledger import Ledger

ABOUT = """\
The page of `ezmsg-ledger debug` in Chromium without a graphics card, 1280 x 800, and its server in a process of its
own. A step is one press of the arrow key, up to the second frame after it; beside it the same page with the same boxes,
timeline and inspector, in which @xyflow/react draws the edges. Processor time is that of the page's main thread (of
questions: that of the server, all threads; of the long ledger: the page's and the server's), which goes on being right
while others use the machine; wall time does not, so that aims in wall time (first pictures, the long ledger, questions)
are judged fairly only where the load below is near nothing. Medians of 30, with the lowest and the highest after them.
A mask is what a random moment costs before it is painted. First picture: from the navigation to the second frame with a
drawing; of the ledger of a million events (with its index) from the start of the command.

Where the time goes, as profiles of November 2026 show: of the first picture of 55 units a quarter is parsing that only
developer tools ask for, by which it is measured (they note the stack of each Error, and React makes some while it
loads), a quarter parsing and running the bundle, the rest React; of 608 units half is React, layout and style of 663
boxes. Of a million events a third is the page, a third Python's imports and another the drawing of 62,498 edges; the
index takes a tenth of a second. Half of a step is painting: two canvases, and what the browser then puts together."""

COLUMNS = ("what", "of", "processor time", "wall time", "@xyflow's edges, processor time")

GRAPHS: dict[str, Callable[[], Parts]] = {
    "rig of 12": lambda: rig(12),
    "deep": deep,
    "deep, more edges": lambda: deep(4_218),
}
REPEATED, QUICK_REPEATED = 30, 3
ROUNDS = 3
"""Turns of the two pages, each of REPEATED steps."""

EVENTS, QUICK_EVENTS = 1_000_000, 20_000

FASTER = {"deep": (3.0, 0.010), "deep, more edges": (4.5, 0.025)}
"""How many times less than @xyflow's edges a step should cost, and how many seconds at most."""

FIRST = {"rig of 12": 0.5, "deep": 1.0}
FRAMES_S = 2 / 60
"""Two frames: in so much a difference to a pin should be there."""

TIMELINE_S, DRAWING_S = 1.5, 3.0
BUNDLE_BYTES = 200_000
MASK_S = 0.002
QUESTION_S = 0.010

BEFORE_END = 150
"""Events before the last one at which steps begin: edges change there, one at a time."""

WEB = Path(__file__).parent / "web"
ROOT = Path(__file__).parents[2]


def run(setting: Setting) -> Section:
    """Measure every graph; where there is no browser or no Node.js, say so and measure what can be."""
    section = Section("Debugger", ABOUT, COLUMNS)
    if chromium() is None:
        section.rows.append(("no Chromium here: apt-get install chromium", *[""] * (len(COLUMNS) - 1)))
        return section
    peer = _peer(setting.folder)
    with launched() as browser:
        for name in ("rig of 12",) if setting.quick else GRAPHS:
            file = f"debugger-{name.replace(' ', '-').replace(',', '')}.ledger"
            path = ledgers.record(setting.folder / file, GRAPHS[name]())
            _measure(name, path, peer, browser, setting, section)
        _measure_long(browser, setting, section)
    _measure_bundle(section)
    return section


def add(section: Section, what: str, of: str, took: Sequence[Took], peer: str = "") -> None:
    """A row of the section."""
    work, wall = (Spread.of([getattr(each, name) for each in took]) for name in ("processor", "wall"))
    section.rows.append((what, of, work.written(seconds) if work.high else "", wall.written(seconds), peer))


def aim(section: Section, what: str, figures: Sequence[float], most: float) -> None:
    """An aim in seconds, held against the median of the figures."""
    beside = Spread.of([each / most for each in figures])
    section.aim(f"{what}, beside {seconds(most)}", beside, 1.0, at_most=True)


def _peer(folder: Path) -> Path | None:
    """The page with @xyflow's edges, built; None where Node.js or the page's dependencies are not there."""
    out = folder / "peer"
    node = shutil.which("node")
    if node is None or not (ROOT / "tools" / "debugger" / "web" / "node_modules").exists():
        return None
    subprocess.run([node, WEB / "build.mjs", out.resolve()], check=True, timeout=60)
    return out / "page.js"


# --- graphs ----------------------------------------------------------------------------------------------------------


def _measure(name: str, path: Path, peer: Path | None, browser: Any, setting: Setting, section: Section) -> None:
    repeated = QUICK_REPEATED if setting.quick else REPEATED
    with Ledger.open(path, "r") as ledger:
        begin = ledger.head - BEFORE_END
    with Debugger(path) as debugger:
        pages = {"debugger": Page(browser, debugger.address, f"?at={begin}")}
        if peer is not None:
            pages["@xyflow"] = Page(browser, debugger.address, f"?at={begin}", peer)
        for page in pages.values():
            page.rest()
        of = f"{name}, {count(pages['debugger'].evaluate('() => window.ledger.model.now.edges'))} edges alive"
        steps: dict[str, list[Took]] = {who: [] for who in pages}
        contenders = {who: lambda who=who: _steps(pages[who], repeated, steps[who]) for who in pages}
        figures = take_turns(f"debugger, {name}", contenders, 1 if setting.quick else ROUNDS)  # type: ignore[arg-type]
        for page in pages.values():
            page.close()
        pinned = Page(browser, debugger.address, f"?at={begin}&pin={begin - 50}")
        pinned.rest()
        compared: list[Took] = []
        _steps(pinned, repeated, compared)
        pinned.close()
        first = [_first(browser, debugger.address) for _ in range(repeated)]
    theirs = Spread.of([each.processor for each in steps["@xyflow"]]).written(seconds) if peer else "not built"
    add(section, "a step", of, steps["debugger"], theirs)
    add(section, "a step beside a pin", of, compared)
    add(section, "first picture", name, first)
    if setting.quick:
        return
    if name in FASTER:
        times, most = FASTER[name]
        if peer is not None:
            pairs = [b / a for a, b in zip(figures["debugger"], figures["@xyflow"], strict=True)]
            section.aim(f"@xyflow's edges / a step, {name}", Spread.of(pairs), times)
        aim(section, f"a step, {name}", [each.processor for each in steps["debugger"]], most)
        aim(section, f"a step beside a pin, {name}", [each.processor for each in compared], FRAMES_S)
    if name in FIRST:
        aim(section, f"first picture, {name}", [each.wall for each in first], FIRST[name])


def _steps(page: Page, number: int, into: list[Took]) -> float:
    """Steps on and back; returns the processor time of one, in the median."""
    page.page.bring_to_front()
    took = [page.press("ArrowRight" if place < number // 2 else "ArrowLeft") for place in range(number)]
    into += took
    return median(each.processor for each in took)


def _first(browser: Any, address: str) -> Took:
    page = Page(browser, address)
    wall = page.reached("drawn")
    took = Took(page.worked(), wall)
    page.close()
    return took


# --- a long history --------------------------------------------------------------------------------------------------


def _measure_long(browser: Any, setting: Setting, section: Section) -> None:
    """A long history: how soon its timeline can be used and its drawing is there, masks, and questions."""
    repeated = QUICK_REPEATED if setting.quick else REPEATED
    events = QUICK_EVENTS if setting.quick else EVENTS
    of = f"{count(events)} events"
    path = ledgers.long(setting.folder / f"debugger-{events}.ledger", events)
    opened = []
    for number in range(repeated):
        say(f"debugger, {of}: opening {number + 1} of {repeated}")
        opened.append(open_ledger(browser, path))
    add(section, "timeline usable, from the command's start", of, [each[0] for each in opened])
    add(section, "drawing, from the command's start", of, [each[1] for each in opened])
    with Debugger(path) as debugger:
        page = Page(browser, debugger.address)
        page.rest()
        masks = _masks(page, repeated)
        page.close()
        asked = _questions(debugger, events, repeated)
    section.rows.append(("a mask of a random moment", of, Spread.of(masks).written(seconds), "", ""))
    for name, (worked, took) in asked.items():
        section.rows.append((f"`{name}`", of, seconds(worked), Spread.of(took).written(seconds), ""))
    if not setting.quick:
        aim(section, f"timeline usable, {of}", [each[0].wall for each in opened], TIMELINE_S)
        aim(section, f"drawing, {of}", [each[1].wall for each in opened], DRAWING_S)
        aim(section, f"a mask, {of}", masks, MASK_S)
        for name, (_, took) in asked.items():
            aim(section, f"`{name}`, {of}", took, QUESTION_S)


def open_ledger(browser: Any, path: Path) -> tuple[Took, Took]:
    """From the start of the command until the timeline can be used, and until the drawing is there."""
    with Debugger(path) as debugger:
        reached = time.monotonic() - debugger.began
        page = Page(browser, debugger.address)
        usable, drawn = (reached + page.reached(mark) for mark in ("usable", "drawn"))
        worked = page.worked() + debugger.worked()
        page.close()
    return Took(0, usable), Took(worked, drawn)


def _masks(page: Page, number: int) -> list[float]:
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
        number,
    )
    return found


def _questions(debugger: Debugger, events: int, number: int) -> dict[str, tuple[float, list[float]]]:
    """Of each question the processor time of the server, on average, and the seconds until each answer was there."""
    random = Random(2)
    with urlopen(f"{debugger.address}api/v1/events?limit=1000&lines=false", timeout=60) as answer:
        found = json.load(answer)["events"]
    edges = [(each["from_topic"], each["to_topic"]) for each in found if each["type"] == "edge.connected"]

    def ask(path: str) -> float:
        begin = time.perf_counter()
        with urlopen(f"{debugger.address}api/v1/{path}", timeout=60) as answer:
            answer.read()
        return time.perf_counter() - begin

    questions: dict[str, Callable[[], str]] = {
        "why": lambda: f"why?subject={quote(' -> '.join(random.choice(edges)))}&at={random.randrange(events)}",
        "events": lambda: f"events?after={random.randrange(events)}&lines=false",
        "events, told": lambda: f"events?after={random.randrange(events)}",
        "density": lambda: "density?buckets=400",
    }
    out = {}
    for name, question in questions.items():
        before = debugger.worked()
        took = [ask(question()) for _ in range(number)]
        out[name] = ((debugger.worked() - before) / number, took)
    return out


def _measure_bundle(section: Section) -> None:
    folder = ROOT / "tools" / "debugger" / "page"
    files = [path for path in folder.iterdir() if path.suffix in (".js", ".css")]
    packed = sum(len(gzip.compress(path.read_bytes(), 9)) for path in files)
    section.rows.append(("the bundle, compressed", "", f"{packed / 1000:.0f} kB", "", ""))
    beside = Spread.of([packed / BUNDLE_BYTES])
    section.aim(f"the bundle, beside {BUNDLE_BYTES / 1000:.0f} kB", beside, 1.0, at_most=True)
