"""Compares a run of ezmsg's suite with its own server and one with ours, test by test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .suite_run import STOCK, Start, SuiteRun

# Chance fails a few tests; a broken server fails many, and then running them again only costs time.
RERUNS_MAX = 5

Again = Callable[[str, str], SuiteRun]


@dataclass
class Comparison:
    """A run with the stock server, a run with ours, and both once more for single tests.

    `again` maps each test that failed with ours only to its two extra runs, stock first. It is judged by them.
    """

    stock: SuiteRun
    ours: SuiteRun
    again: dict[str, tuple[SuiteRun, SuiteRun]] = field(default_factory=dict)

    def lost_at_first(self) -> list[str]:
        """Tests that pass with the stock server and do not with ours, before anything is run again."""
        return sorted(self.stock.passed() - self.ours.passed())

    def run_again(self, run: Again) -> None:
        """Runs each lost test once by itself with both servers: ``run(server, test)``. Not when there are many."""
        lost = self.lost_at_first()
        if len(lost) <= RERUNS_MAX:
            self.again = {test: (run(STOCK, test), run(self.ours.server, test)) for test in lost}

    def lost(self) -> list[str]:
        """Tests that pass with the stock server and do not with ours, each by its last pair of runs."""
        return [
            test
            for test in self.lost_at_first()
            if test not in self.again
            or (test in self.again[test][0].passed() and test not in self.again[test][1].passed())
        ]

    def unsteady(self) -> list[str]:
        """Tests that failed with ours but, run again, do not tell the two servers apart."""
        return sorted(set(self.lost_at_first()) - set(self.lost()))

    def failing_with_stock(self) -> list[str]:
        """Tests that the stock server does not pass either; they say nothing about ours."""
        return sorted(test for test, outcome in self.stock.outcomes.items() if outcome in ("failed", "unfinished"))

    def wrong_starts(self) -> list[Start]:
        """Starts of a class that has no business in its run: the stock one in ours, any other in the stock's."""
        return [start for run in self.runs() for start in run.starts if start.server != run.server]

    def missing_starts(self) -> dict[str, tuple[int, int]]:
        """Tests in which ours started less often than the stock server does, with both counts.

        Only of tests that pass with both: one that fails half-way has not reached all of its starts.
        """
        short = {}
        for test in sorted(self.stock.passed() - set(self.lost())):
            stock, ours = self.again.get(test, (self.stock, self.ours))
            counts = stock.starts_per_test(STOCK)[test], ours.starts_per_test(ours.server)[test]
            if counts[1] < counts[0]:
                short[test] = counts
        return short

    def runs(self) -> list[SuiteRun]:
        return [self.stock, self.ours, *(run for pair in self.again.values() for run in pair)]

    def summary(self) -> str:
        """A few lines with the counts, for people."""
        return "\n".join(describe(run) for run in (self.stock, self.ours))

    def notes(self) -> list[str]:
        """What is not counted against ours, and why."""
        notes = [f"fails with the stock server, not counted: {test}" for test in self.failing_with_stock()]
        for test in self.unsteady():
            stock, ours = (run.outcomes.get(test, "not run") for run in self.again[test])
            notes.append(f"failed once with ours only; run again by itself: stock {stock}, ours {ours}: {test}")
        return notes


def describe(run: SuiteRun) -> str:
    counts = Counter(run.outcomes.values())
    children = sum(start.pid != run.pid for start in run.starts)
    return (
        f"{run.server}: {', '.join(f'{count} {word}' for word, count in sorted(counts.items()))} in {run.took:.0f} s, "
        f"{len(run.starts)} server starts, {children} of them in child processes, output in {run.printed}"
    )


def explain(tests: list[str], run: SuiteRun, again: dict[str, tuple[SuiteRun, SuiteRun]]) -> str:
    """The named tests with the end of what they printed in `run`, and in the run by themselves if there was one."""
    parts = []
    for test in tests:
        parts.append(f"{test}: {run.outcomes.get(test, 'not run')}")
        parts.append(indented(run.output.get(test, "")))
        if test in again:
            alone = again[test][1]
            parts.append(f"{test}, run again by itself: {alone.outcomes.get(test, 'not run')}")
            parts.append(indented(alone.output.get(test, "")))
    return "\n".join(part for part in parts if part)


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
