"""What all benchmarks share: turns, medians, ratios of pairs, and the aims that they are held against."""

import gc
import statistics
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

Contender: TypeAlias = Callable[[], float]
"""Runs once and returns the seconds that the measured part of it took."""


class Spread(NamedTuple):
    """The median of some figures, and the range that they came in."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        return cls(statistics.median(figures), min(figures), max(figures))

    def written(self, form: Callable[[float], str]) -> str:
        """Median (lowest..highest); the median alone when there is but one figure."""
        if self.low == self.high:
            return form(self.median)
        return f"{form(self.median)} ({form(self.low)}..{form(self.high)})"


class Setting(NamedTuple):
    """How to run: ``folder`` is where files go; ``quick`` asks for sizes that only show that everything works."""

    folder: Path
    quick: bool
    rounds: int


@dataclass(frozen=True)
class Aim:
    """What a ratio should be at least, or at most."""

    what: str
    ratio: Spread
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.ratio.median <= self.bound if self.at_most else self.ratio.median >= self.bound

    @property
    def asked(self) -> str:
        return f"{'<=' if self.at_most else '>='} {times(self.bound)}"


@dataclass
class Section:
    """One benchmark's part of the report."""

    title: str
    about: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)

    def aim(self, what: str, ratio: Spread, bound: float, at_most: bool = False) -> None:
        """Hold a ratio against a bound. The aim bears the section's name, by which it is found on a page."""
        self.aims.append(Aim(f"{self.title.lower()}: {what}", ratio, bound, at_most))


def take_turns(
    what: str, contenders: Mapping[str, Contender], rounds: int, once: Container[str] = ()
) -> dict[str, list[float]]:
    """The seconds of each contender in each round. A round runs all of them once, one after the other.

    What slows the machine for a while then slows all of them, and the ratio of a pair stays right. Those named in
    ``once`` run in the first round alone: they take so long that they average over what else happens.
    """
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        say(f"{what}: round {number} of {rounds}")
        for name, run in contenders.items():
            if number == 1 or name not in once:
                gc.collect()
                figures[name].append(run())
    return figures


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """``over / under``, pair by pair; a contender that ran only once is paired with every round of the other."""
    over, under = (list(side) * (len(other) if len(side) == 1 else 1) for side, other in ((over, under), (under, over)))
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


def say(text: str) -> None:
    """Tell whoever waits; the report alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


# --- how figures are written -----------------------------------------------------------------------------------------


def times(ratio: float) -> str:
    return f"{ratio:,.0f} x" if ratio >= 100 else f"{ratio:.1f} x" if ratio >= 10 else f"{ratio:.2f} x"


def count(number: float) -> str:
    """A number with three digits that count, and k or M."""
    for size, name in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{name}" if number < 1000 * size else f"{number / size:,.0f}{name}"
    return f"{number:.3g}"


def seconds(duration: float) -> str:
    """A duration with three digits that count, in the unit that suits it."""
    for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if duration >= size:
            return f"{duration / size:.3g} {name}"
    return f"{duration / 1e-9:.3g} ns"
