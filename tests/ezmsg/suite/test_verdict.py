"""The comparison of two runs misses nothing that tells our server from the stock one."""

from __future__ import annotations

from pathlib import Path

from .suite_run import OURS, STOCK, Start, SuiteRun, outcome
from .verdict import RERUNS_MAX, Comparison, explain


def a_run(server: str, starts: str = "", **outcomes: str) -> SuiteRun:
    """A run of `server` with one start of it for each letter of `starts`, which is the name of its test."""
    return SuiteRun(
        server,
        Path("output.txt"),
        pid=1,
        outcomes=outcomes,
        starts=[Start(server, 1, test, "core") for test in starts],
    )


def test_outcome_of_the_phases() -> None:
    assert outcome({"setup": "passed", "call": "passed", "teardown": "passed"}) == "passed"
    assert outcome({"setup": "passed", "call": "passed", "teardown": "failed"}) == "failed"
    assert outcome({"setup": "failed", "teardown": "passed"}) == "failed"
    assert outcome({"setup": "skipped", "teardown": "passed"}) == "skipped"
    assert outcome({"setup": "passed", "call": "passed"}) == "unfinished"


def test_a_test_is_lost_by_failing_by_being_skipped_and_by_not_running() -> None:
    stock = a_run(STOCK, a="passed", b="passed", c="passed", d="passed", e="failed", f="skipped")
    ours = a_run(OURS, a="passed", b="failed", c="skipped", e="failed", f="failed")
    compared = Comparison(stock, ours)
    assert compared.lost() == ["b", "c", "d"]
    assert compared.failing_with_stock() == ["e"]


def test_the_second_pair_of_runs_decides() -> None:
    stock = a_run(STOCK, a="passed", b="passed", c="passed")
    ours = a_run(OURS, a="failed", b="failed", c="failed")
    alone = {
        (STOCK, "a"): a_run(STOCK, a="passed"),
        (OURS, "a"): a_run(OURS, a="failed"),
        (STOCK, "b"): a_run(STOCK, b="passed"),
        (OURS, "b"): a_run(OURS, b="passed"),
        (STOCK, "c"): a_run(STOCK, c="failed"),
        (OURS, "c"): a_run(OURS, c="failed"),
    }
    compared = Comparison(stock, ours)
    compared.run_again(lambda server, test: alone[server, test])
    assert compared.lost() == ["a"]
    assert compared.unsteady() == ["b", "c"]
    assert len(compared.notes()) == 2


def test_many_lost_tests_are_not_run_again() -> None:
    names = [f"t{number}" for number in range(RERUNS_MAX + 1)]
    compared = Comparison(a_run(STOCK, **dict.fromkeys(names, "passed")), a_run(OURS, **dict.fromkeys(names, "failed")))
    compared.run_again(lambda server, test: a_run(server, **{test: "passed"}))
    assert len(compared.lost()) == len(names)


def test_a_start_of_the_stock_server_in_our_run_is_seen() -> None:
    compared = Comparison(a_run(STOCK, "a", a="passed"), a_run(OURS, "a", a="passed"))
    assert not compared.wrong_starts()
    stray = Start(STOCK, 2, "a", "core")
    compared.ours.starts.append(stray)
    assert compared.wrong_starts() == [stray]


def test_fewer_starts_are_seen_per_test() -> None:
    """The total is the same, but `b` got its server from elsewhere."""
    compared = Comparison(
        a_run(STOCK, "aabc", a="passed", b="passed", c="failed"),
        a_run(OURS, "aaaa", a="passed", b="passed", c="passed"),
    )
    assert compared.missing_starts() == {"b": (1, 0)}


def test_the_explanation_names_the_test_and_shows_its_output() -> None:
    ours = a_run(OURS, a="failed")
    ours.output["a"] = "it broke"
    alone = a_run(OURS, a="failed")
    alone.output["a"] = "it broke again"
    text = explain(["a", "gone"], ours, {"a": (a_run(STOCK, a="passed"), alone)})
    assert text.splitlines() == [
        "a: failed",
        "    it broke",
        "a, run again by itself: failed",
        "    it broke again",
        "gone: not run",
    ]
