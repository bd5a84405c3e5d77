"""The whole matrix of attacks on the log, and the table of what it found, for docs/PROMISES.md.

    python -m tests.faults                            # run all of it, print the table
    python -m tests.faults --write docs/PROMISES.md   # and put it into the page
    python -m tests.faults --attack "real programs"   # the attacks with these words in their names; with --write,
                                                      # the lines of the others stay as they are
    python -m tests.faults --seed 4711                # play the scenario of one seed, which is made short if it fails

It ends with an error at the first promise that does not hold: then there is no table. On two cores it takes some
twenty minutes.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from ezmsg.ledger.tools.selftest import kills
from ezmsg.ledger.tools.selftest.effort import Effort
from tests.faults.simulation import calls, damage, deaths, histories, scenarios, seeds
from tests.faults.traced import explorer, strace
from tests.faults.traced.recordings import Plan, plans

BEGIN, END = "<!-- figures: python -m tests.faults --write docs/PROMISES.md -->", "<!-- /figures -->"

HEAD = (
    "| attack | what was tried | acknowledged commits lost | changes unnoticed | on |\n"
    "|---|---|---|---|---|"
)

OPERATIONS = 4
SEEDS = 10_000
KILLS = 200
PARTS = 4
"""Into so many the seeds and the kills are divided, so that several cores can share them."""


class Row(NamedTuple):
    """A line of the table: the attack, the runs that it consists of, and the sentence that their figures make."""

    attack: str
    runs: tuple[Callable[[Effort, Path], None], ...]
    text: str


def _histories(which: Callable[[histories.History], bool]) -> Callable[[Effort, Path], None]:
    return lambda effort, folder: histories.explore(effort, OPERATIONS, again_every=16, which=which)


def _much_large(history: histories.History) -> bool:
    """Whether a history has several large events: half of the work, and nearly no image is one of the others."""
    return history.count(histories.LARGE_APPEND) > 1


def _seeds(part: int) -> Callable[[Effort, Path], None]:
    return lambda effort, folder: seeds.explore(effort, range(part, SEEDS, PARTS))


def _kills(part: int) -> Callable[[Effort, Path], None]:
    return lambda effort, folder: kills.explore(effort, folder, KILLS // PARTS, seed=part)


def _traced(plan: Plan) -> Callable[[Effort, Path], None]:
    return lambda effort, folder: explorer.explore(effort, folder, plan)


def _damage(size: int) -> Callable[[Effort, Path], None]:
    return lambda effort, folder: damage.explore(effort, sizes=(size,))


ROWS = (
    Row(
        "power cut at every point of every history of up to four operations, rotations and an event of 1 MB among them",
        (_histories(_much_large), _histories(lambda history: not _much_large(history))),
        "{histories:,} histories, {crash points:,} crash points, {crash states:,} crash states ({distinct images:,} "
        "distinct), {crash states during recovery:,} more during recovery",
    ),
    Row(
        "writers that die in a rotation, or fail when a file becomes a folder; others that go on; then power cuts",
        (lambda effort, folder: deaths.explore(effort),),
        "{deaths:,} deaths, {failed moves:,} failures, {crash states:,} crash states",
    ),
    Row(
        "each call to the system failing, in each way",
        (lambda effort, folder: calls.explore(effort),),
        "{calls failed:,} calls, {faults injected:,} faults",
    ),
    Row(
        "long histories on disks that fail and lose power, from seeds",
        tuple(map(_seeds, range(PARTS))),
        "{seeds:,} seeds, {faults injected:,} faults, {power cuts:,} power cuts",
    ),
    Row(
        "changes of ledgers with events of up to 1 MB: bytes flipped, cuts, lines removed, doubled, swapped, put in",
        tuple(map(_damage, (0, 1000, 2**17, 2**20))),
        "{bytes flipped:,} bytes flipped, {cuts:,} cuts, {lines changed:,} changes of lines; of "
        f"{{{damage.SEAL}}} cuts right after a commit the missing seal tells, of {{{damage.RECEIPT}}} right after an "
        "earlier seal a receipt alone",
    ),
    Row(
        "writers killed, while one reader follows, and another asks about the past from an index that is being made",
        tuple(map(_kills, range(PARTS))),
        "{kills:,} kills, {appends acknowledged before a kill:,} acknowledged appends, {answers from an index:,} "
        "answers",
    ),
    Row(
        "kills and power cuts at every call of real programs: the library at each level, rotations, a server with its "
        "clients, recoveries, a repair",
        tuple(map(_traced, plans())),
        "{recordings:,} programs, {calls traced:,} calls, {acknowledgements:,} acknowledgements, {crash points:,} "
        "crash points, {crash states:,} crash states ({distinct images:,} distinct)",
    ),
)


def run(row: int, part: int) -> Counter[str]:
    """One run, in a folder of its own; its figures. Raises Broken."""
    effort = Effort()
    with tempfile.TemporaryDirectory() as folder:
        ROWS[row].runs[part](effort, Path(folder))
    print(f"{ROWS[row].attack} ({part}): {effort.spent:.0f} s, {dict(effort.figures)}", file=sys.stderr, flush=True)
    return effort.figures


def measured(jobs: int, attack: str = "") -> dict[str, str]:
    """Run everything, or what has ``attack`` in its name; the line of the table for each attack. Raises Broken."""
    chosen = [(row, each) for row, each in enumerate(ROWS) if attack in each.attack]
    lines: dict[str, str] = {}
    with ProcessPoolExecutor(jobs, get_context("fork")) as pool:
        running = [[pool.submit(run, row, part) for part in range(len(each.runs))] for row, each in chosen]
        for (_, row), parts in zip(chosen, running, strict=True):
            figures: Counter[str] = Counter()
            for part in parts:
                figures += part.result()
            lines[row.attack] = f"| {row.attack} | {row.text.format_map(figures)} | 0 | 0 | {date.today()} |"
    return lines


def noted(page: str) -> dict[str, str]:
    """The lines of the table in a page, by their attacks."""
    lines = page.partition(BEGIN)[2].partition(END)[0].splitlines()
    return {line.split(" | ")[0][2:]: line for line in lines if line.startswith("| ")}


def table(lines: dict[str, str]) -> str:
    """The table as Markdown, in the order of ROWS; an attack that was never run has no line."""
    found = [lines[row.attack] for row in ROWS if row.attack in lines]
    return "\n".join([HEAD, *found])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the table into this page")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count(), help="processes that share the work")
    parser.add_argument("--attack", metavar="WORDS", default="", help="only attacks with these words in their names")
    parser.add_argument("--seed", metavar="N", type=int, help="play the scenario of this seed, and nothing else")
    options = parser.parse_args()
    if options.seed is not None:
        print(scenarios.scenario_of(options.seed))
        seeds.explore(Effort(), range(options.seed, options.seed + 1))
        return
    if not any(options.attack in row.attack for row in ROWS):
        names = "".join(f"\n  {row.attack}" for row in ROWS)
        parser.error(f"no attack has these words in its name: {options.attack}{names}")
    if options.attack in ROWS[-1].attack and (reason := strace.missing()):
        parser.error(f"{reason}, and the calls of real programs are to be traced: on Debian, apt-get install strace")
    page: Path | None = options.write
    lines = measured(options.jobs, options.attack)
    print(table(lines))
    if page is not None:
        text = page.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        figures = table(noted(text) | lines)
        page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
