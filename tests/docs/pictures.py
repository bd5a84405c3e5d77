"""Takes the pictures of the README anew: records the demonstration, opens the debugger on it, and takes screenshots.

.venv/bin/python tests/docs/pictures.py
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.tools.demo.recording import record_demo

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SIZE = {"width": 1280, "height": 800}
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def main() -> None:
    """Write all pictures."""
    chromium = shutil.which("chromium") or sys.exit("There is no Chromium: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "demo.ledger"
        record_demo(path, lambda said: None)
        with Ledger.open(path, "r") as ledger:
            lost = next(e.seq for e in ledger.entries() if isinstance(e, ev.SessionClosed) and e.reason == "lost")
        views = {
            "moment": (f"?at={lost - 1}&lens=owner&select=RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT", "light"),
            "compare": (f"?at={lost - 1}&pin={lost - 5}", "light"),
            "settings": (f"?at={lost - 4}&lens=settings&select=unit RIG/AMP/GAIN", "dark"),
        }
        command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "debug", str(path), "--no-open", "--until-closed"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            address = program.stdout.readline().strip()
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for name, (query, scheme) in views.items():
                page = browser.new_page(viewport=SIZE, color_scheme=scheme)
                page.goto(address + query)
                page.wait_for_selector("[data-ready]")
                page.get_by_role("region", name="Events").get_by_role("listitem").first.wait_for()
                page.wait_for_timeout(500)  # the answer about the selection
                page.evaluate(TWO_FRAMES)
                page.screenshot(path=PICTURES / f"{name}.png")
                page.close()
            browser.close()
            assert program.stdin is not None
            program.stdin.close()


if __name__ == "__main__":
    main()
