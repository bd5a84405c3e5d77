"""Ten million events, nine tenths of them settings: whether the page still opens, and what memory it takes."""

from benchmarks.debugger import ledgers
from benchmarks.debugger.browser import Debugger, Page, chromium, launched, memory
from benchmarks.debugger.page import add, aim, open_ledger
from benchmarks.harness import Section, Setting, Spread, count, say

ABOUT = """\
A ledger of ten million events, nine tenths of them changes of settings, with its index, from the start of the command.
The memory is that of all processes of the browser, with one page; what they share is counted once. To write the ledger
takes some minutes and 2.5 GB; it is kept in the benchmarks' folder."""

COLUMNS = ("what", "of", "processor time", "wall time", "memory of the browser")

EVENTS, QUICK_EVENTS = 10_000_000, 20_000
REPEATED, QUICK_REPEATED = 5, 1
READY_S = 4.0
BYTES = 400_000_000


def run(setting: Setting) -> Section:
    """Open it a few times."""
    section = Section("Debugger, ten million events", ABOUT, COLUMNS)
    if chromium() is None:
        section.rows.append(("no Chromium here: apt-get install chromium", *[""] * (len(COLUMNS) - 1)))
        return section
    events, repeated = (QUICK_EVENTS, QUICK_REPEATED) if setting.quick else (EVENTS, REPEATED)
    of = f"{count(events)} events"
    say(f"writing {of}")
    path = ledgers.settings(setting.folder / f"debugger-settings-{events}.ledger", events)
    with launched() as browser:
        blank = browser.new_page()
        empty = memory(browser)
        blank.close()
        opened = []
        for number in range(repeated):
            say(f"debugger, {of}: opening {number + 1} of {repeated}")
            opened.append(open_ledger(browser, path))
        with Debugger(path) as debugger:
            page = Page(browser, debugger.address)
            page.rest()
            taken = memory(browser)
            page.close()
    add(section, "timeline usable, from the command's start", of, [each[0] for each in opened])
    told = f"{taken / 1e6:.0f} MB, {empty / 1e6:.0f} MB with a blank page"
    add(section, "drawing, from the command's start", of, [each[1] for each in opened], told)
    if not setting.quick:
        aim(section, f"drawing, {of}", [each[1].wall for each in opened], READY_S)
        beside = Spread.of([taken / BYTES])
        section.aim("the browser's memory, beside 400 MB", beside, 1.0, at_most=True)
    return section
