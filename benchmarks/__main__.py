"""The command: measures what is asked for and prints the report, in Markdown."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import append, connect, dag, debugger, drawing, replay, report, server, timetravel
from benchmarks.harness import Section, Setting, say
from benchmarks.machine import busy

BENCHMARKS: dict[str, Callable[[Setting], Section]] = {
    "append": append.run,
    "replay": replay.run,
    "timetravel": timetravel.run,
    "dag": dag.run,
    "drawing": drawing.run,
    "debugger": debugger.run,
    "connect": connect.run,
    "server": server.run,
}

ROUNDS, QUICK_ROUNDS = 7, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 0 when they ran, whether or not the aims were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, beside the peers.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one (may be repeated)")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the report of all benchmarks there")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".cache/benchmarks"),
        help="where ledgers and tables are written: choose the disk to measure (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, help=f"turns that each contender gets (default: {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, measures nothing")
    options = parser.parse_args(arguments)
    if options.write is not None and options.only:
        parser.error("--write is for the whole report: leave --only out")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if (load := busy()) is not None and not options.quick:
        say(f"The load average is {load:.1f}: others are using this machine, so take these figures as provisional.")
    options.folder.mkdir(parents=True, exist_ok=True)
    setting = Setting(options.folder, options.quick, options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS))
    sections = [run(setting) for name, run in BENCHMARKS.items() if not options.only or name in options.only]
    text = report.write(sections, setting)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")
        say(f"written to {options.write}")
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
