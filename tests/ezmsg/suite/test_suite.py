"""ezmsg's own tests, unchanged, pass with our graph server in the place of theirs, in every process they start.

Those of the release that is installed here, and those of both in environments that have all that they can use.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .environments import COMING, HERE, STABLE, Environment
from .sdist import SUITES, fetch, unpack_tests
from .suite_run import OURS, STOCK, SuiteRun, run
from .verdict import Comparison, explain

RELEASES = [
    pytest.param(HERE, id=HERE.name, marks=pytest.mark.ezmsg_suite),
    *(pytest.param(side, id=side.name, marks=pytest.mark.environments) for side in (STABLE, COMING)),
]


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> Environment:
    environment: Environment = request.param
    return environment


@pytest.fixture(scope="module")
def comparison(release: Environment, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    place = tmp_path_factory.mktemp("ezmsg-suite")
    python = release.python()
    tree = unpack_tests(fetch(release.ezmsg), place / "tree")
    numbers = itertools.count()

    def one(server: str, *tests: str) -> SuiteRun:
        return run(tree, place / f"run-{next(numbers)}", server, tests, python=python)

    # One after the other where two runs could meet at one address.
    with ThreadPoolExecutor(2 if SUITES[release.ezmsg].hermetic else 1) as runs:
        stock, ours = runs.map(one, (STOCK, os.environ.get("EZMSG_LEDGER_SUITE_SWAP", OURS)))
    compared = Comparison(stock, ours)
    compared.run_again(one)
    return compared


def test_the_tests_that_pass_with_stock_pass_with_ours(
    comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{comparison.summary()}")
    for note in comparison.notes():
        warnings.warn(note, stacklevel=1)
    lost = comparison.lost()
    assert not lost, (
        f"{len(lost)} of {len(comparison.stock.passed())} tests pass with the stock server only"
        f" ({'the first results stand, too many to run again' if not comparison.again else 'run again by themselves'}):"
        f"\n{explain(lost, comparison.ours, comparison.again)}"
    )


def test_the_runs_are_whole(comparison: Comparison) -> None:
    """Nothing failed outside of a test, and both runs saw the same tests."""
    assert comparison.stock.passed(), "no test passes with the stock server: nothing was compared"
    for suite_run in comparison.runs():
        assert not suite_run.errors, f"{suite_run.server}: {suite_run.errors}"
    assert comparison.stock.outcomes.keys() == comparison.ours.outcomes.keys()


def test_every_start_is_of_the_runs_own_server(comparison: Comparison) -> None:
    """In the run with ours the stock class never starts, not in a child either."""
    assert not comparison.wrong_starts()


def test_ours_starts_as_often_as_stock_in_each_test(comparison: Comparison, release: Environment) -> None:
    """So no test passes because it met no server, or a server that is not ours."""
    assert comparison.stock.starts, "the stock server never started: nothing was compared"
    in_children = [start for start in comparison.stock.starts if start.pid != comparison.stock.pid]
    assert in_children or SUITES[release.ezmsg].hermetic, "no start in a child was seen"
    short = comparison.missing_starts()
    assert not short, "\n".join(f"{test}: stock {a} times, ours {b} times" for test, (a, b) in short.items())


def test_it_is_the_ezmsg_of_the_environment(comparison: Comparison, release: Environment) -> None:
    """In all processes that started a server, and in pytest's own."""
    where = "import ezmsg.core; print(ezmsg.core.__version__, ezmsg.core.__file__, sep='\\n')"
    said = subprocess.run([release.python(), "-c", where], check=True, capture_output=True, text=True, timeout=60)
    version, file = said.stdout.splitlines()
    assert version == release.ezmsg
    expected = Path(file).resolve()
    for suite_run in (comparison.stock, comparison.ours):
        assert {Path(core).resolve() for core in suite_run.cores} == {expected}
    # A single test that is run again need not import it.
    for suite_run in comparison.runs():
        assert {Path(core).resolve() for core in suite_run.cores} <= {expected}
