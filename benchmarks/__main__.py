"""The command: measures what is asked for and prints the report, in Markdown."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.debugger import longest, page
from benchmarks.harness import Section, Setting, say
from benchmarks.machine import busy, load
from benchmarks.sections import (
    append,
    connect,
    dag,
    drawing,
    fleet,
    pipeline,
    recordings,
    replay,
    server,
    sizes,
    timetravel,
    watch,
)

BENCHMARKS: dict[str, Callable[[Setting], Section]] = {
    "append": append.run,
    "replay": replay.run,
    "timetravel": timetravel.run,
    "watch": watch.run,
    "dag": dag.run,
    "drawing": drawing.run,
    "debugger": page.run,
    "debugger-longest": longest.run,
    "connect": connect.run,
    "server": server.run,
    "pipeline": pipeline.run,
    "recordings": recordings.run,
    "fleet": fleet.run,
    "sizes": sizes.run,
    "sizes-large": sizes.run_large,
}

ONLY_WHEN_ASKED = {"debugger-longest", "recordings", "sizes", "sizes-large"}
"""They need minutes and gigabytes before they measure anything."""

ROUNDS, QUICK_ROUNDS = 7, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 0 when they ran, whether or not the aims were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, beside the peers.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one (may be repeated)")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the report of all benchmarks there")
    parser.add_argument("--into", type=Path, metavar="PATH", help="put the sections of --only into a report there")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".cache/benchmarks"),
        help="where ledgers and tables are written: choose the disk to measure (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, help=f"turns that each contender gets (default: {ROUNDS})")
    parser.add_argument(
        "--against", metavar="REV", help="measure this build beside that of a commit, in environments made for both"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, measures nothing")
    options = parser.parse_args(arguments)
    if options.write is not None and options.only:
        parser.error("--write is for the whole report: leave --only out")
    if options.into is not None and not options.only:
        parser.error("--into is for sections by themselves: name them with --only")
    if options.against and (options.only or options.write or options.into):
        parser.error("--against has a report of its own: leave --only, --write and --into out")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if (much := busy()) is not None and not options.quick:
        say(f"The load average is {much:.1f}: others are using this machine, so take these figures as provisional.")
    options.folder.mkdir(parents=True, exist_ok=True)
    setting = Setting(options.folder, options.quick, options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS))
    if options.against:
        from benchmarks import against

        try:
            section = _dated(lambda setting: against.run(options.against, setting), setting)
        except ValueError as error:
            parser.error(str(error))
        print(report.compared(section, setting), end="")
        return 0
    wanted = options.only or BENCHMARKS.keys() - ONLY_WHEN_ASKED
    sections = [_dated(run, setting) for name, run in BENCHMARKS.items() if name in wanted]
    text = report.write(sections, setting)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")
        say(f"written to {options.write}")
    if options.into is not None:
        page = report.put_in(options.into.read_text(encoding="utf-8"), sections)
        options.into.write_text(page, encoding="utf-8")
        say(f"put into {options.into}")
    print(text, end="")
    return 0


def _dated(run: Callable[[Setting], Section], setting: Setting) -> Section:
    """A section, with when and beside how much else it was measured."""
    began, before = datetime.now(UTC), load()
    section = run(setting)
    after = load()
    loads = f", load average {before:.1f} before and {after:.1f} after" if before is not None else ""
    section.about += f"\n\nMeasured on {began:%Y-%m-%d at %H:%M} UTC, {os.cpu_count()} cores{loads}."
    return section


if __name__ == "__main__":
    sys.exit(main())
