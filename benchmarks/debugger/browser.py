"""A browser without a graphics card, a debugger in a process of its own, and what both of them work and wait."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
SIZE = {"width": 1280, "height": 800}
PATIENCE_MS = 300_000

TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

PRESS = """async key => {
    const begin = performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return (performance.now() - begin) / 1000;
}"""
"""Presses a key, and waits until the second frame after it."""


class Took(NamedTuple):
    """Seconds that a processor worked, and that passed."""

    processor: float
    wall: float


def chromium() -> str | None:
    """The path of the browser; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def launched() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        browser.new_page().close()  # what it does when it starts is no part of what is measured
        yield browser
        browser.close()


class Debugger:
    """The command ``debug`` on a ledger, from its start until ``close``. ``began``: when it was started (monotonic)."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "debug", str(path), "--no-open", "--until-closed"]
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()

    def worked(self) -> float:
        """Seconds that its processor worked so far."""
        return worked(self._process.pid)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def __enter__(self) -> "Debugger":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Page:
    """A page of a debugger. ``script`` takes the place of the page's own.

    Its main thread's work is Chromium's TaskDuration by the clock of the thread, which stands still while others have
    the processor.
    """

    def __init__(self, browser: Any, address: str, query: str = "", script: Path | None = None) -> None:
        self.page = browser.new_page(viewport=SIZE)
        self._client = self.page.context.new_cdp_session(self.page)
        self._client.send("Performance.enable", {"timeDomain": "threadTicks"})
        if script is not None:
            self.page.route("**/page.js", lambda route: route.fulfill(path=script, content_type="text/javascript"))
        self.page.goto(address + query, timeout=PATIENCE_MS)

    def worked(self) -> float:
        """Seconds that its main thread worked so far."""
        found = self._client.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))

    def reached(self, mark: str) -> float:
        """Seconds from the navigation to a mark that the page sets: ``usable``, the timeline; ``drawn``, two frames."""
        self.page.wait_for_function(
            f"() => performance.getEntriesByName('{mark}').length > 0", timeout=PATIENCE_MS, polling=50
        )
        return float(self.page.evaluate(f"() => performance.getEntriesByName('{mark}')[0].startTime")) / 1000

    def rest(self) -> None:
        """Until it has nothing more to do."""
        self.reached("drawn")
        self.page.wait_for_timeout(700)

    def press(self, key: str) -> Took:
        """What a key costs until the second frame after it."""
        self.page.evaluate(TWO_FRAMES)
        before = self.worked()
        wall = float(self.page.evaluate(PRESS, key))
        return Took(self.worked() - before, wall)

    def evaluate(self, script: str, value: Any = None) -> Any:
        """The value of a script in the page."""
        return self.page.evaluate(script, value)

    def close(self) -> None:
        self.page.close()


def memory(browser: Any) -> int:
    """The bytes that all processes of the browser take: what they share is counted once."""
    client = browser.new_browser_cdp_session()
    ids = [each["id"] for each in client.send("SystemInfo.getProcessInfo")["processInfo"]]
    client.detach()
    return sum(map(_proportional, ids))


def worked(pid: int) -> float:
    """Seconds that a process worked so far, all its threads; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
