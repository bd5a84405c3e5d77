"""ezmsg's own tests, unchanged, pass with our graph server in the place of theirs, in every process they start."""

from __future__ import annotations

import importlib.util
import itertools
import os
import warnings
from pathlib import Path

import pytest

from .suite.sdist import fetch, installed, unpack_tests
from .suite.suite_run import OURS, STOCK, SuiteRun, run
from .suite.verdict import Comparison, explain

pytestmark = pytest.mark.ezmsg_suite

# Without one of these parts of the suite skip themselves, and the comparison would be of what is left.
NEEDS = ("numpy", "psutil", "pytest_asyncio", "pytest_benchmark", "pytest_timeout", "xarray")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    assert not missing, f"ezmsg's suite needs {', '.join(missing)}: pip install -e '.[dev]'"
    place = tmp_path_factory.mktemp("ezmsg-suite")
    tree = unpack_tests(fetch(*installed()), place / "tree")
    numbers = itertools.count()

    def one(server: str, *tests: str) -> SuiteRun:
        return run(tree, place / f"run-{next(numbers)}", server, tests)

    # One after the other: the tests wait 50 ms and less for things that two runs on two cores would keep busy.
    compared = Comparison(one(STOCK), one(os.environ.get("EZMSG_LEDGER_SUITE_SWAP", OURS)))
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


def test_ours_starts_as_often_as_stock_in_each_test(comparison: Comparison) -> None:
    """So no test passes because it met no server, or a server that is not ours."""
    assert comparison.stock.starts, "the stock server never started: nothing was compared"
    assert any(start.pid != comparison.stock.pid for start in comparison.stock.starts), "no start in a child was seen"
    short = comparison.missing_starts()
    assert not short, "\n".join(f"{test}: stock {a} times, ours {b} times" for test, (a, b) in short.items())


def test_it_is_the_installed_ezmsg(comparison: Comparison) -> None:
    """In all processes that started a server, and in pytest's own."""
    spec = importlib.util.find_spec("ezmsg.core")
    assert spec is not None
    assert spec.origin is not None
    expected = Path(spec.origin).resolve()
    for suite_run in (comparison.stock, comparison.ours):
        assert {Path(core).resolve() for core in suite_run.cores} == {expected}
    # A single test that is run again need not import it.
    for suite_run in comparison.runs():
        assert {Path(core).resolve() for core in suite_run.cores} <= {expected}
