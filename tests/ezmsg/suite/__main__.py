"""Runs ezmsg's suite by hand: ``python -m tests.ezmsg.suite [stock|ours] [TEST ...]`` from the repository's root.

Against another ezmsg than the installed one: ``--ezmsg 3.10.0b5``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib.metadata import version

from .environments import beside
from .sdist import CACHE, SUITES, fetch, unpack_tests
from .suite_run import OURS, STOCK, TEST_SECONDS_MAX, run
from .verdict import describe, explain


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.ezmsg.suite", description=__doc__)
    parser.add_argument("which", nargs="?", choices=["ours", "stock"], default="ours", help="whose server")
    parser.add_argument("tests", nargs="*", help="only these, e.g. tests/test_shm.py::test_rw")
    parser.add_argument("--swap", default=OURS, metavar="MODULE:CLASS", help=f"instead of {OURS}")
    parser.add_argument("--ezmsg", choices=[*SUITES], default=version("ezmsg"), help="a release; the installed one")
    parser.add_argument("--test-seconds", type=float, default=TEST_SECONDS_MAX, help="limit of each test, in s")
    asked = parser.parse_args()

    place = CACHE / "by-hand" / asked.which
    shutil.rmtree(place, ignore_errors=True)
    tree = unpack_tests(fetch(asked.ezmsg), place / "tree")
    server = STOCK if asked.which == "stock" else asked.swap
    result = run(tree, place / "run", server, asked.tests, asked.test_seconds, beside(asked.ezmsg).python())

    failing = [test for test, outcome in result.outcomes.items() if outcome in ("failed", "unfinished")]
    strays = [start for start in result.starts if start.server != result.server]
    if failing:
        print(explain(failing, result, {}))
    for trouble in (*result.errors, *(f"another class was started: {start}" for start in strays)):
        print(trouble)
    print("slowest:", *(f"{result.seconds[test]:.1f} s {test}" for test in slowest(result.seconds)), sep="\n  ")
    print(describe(result))
    return 1 if failing or result.errors or strays else 0


def slowest(seconds: dict[str, float]) -> list[str]:
    return sorted(seconds, key=seconds.__getitem__, reverse=True)[:10]


sys.exit(main())
