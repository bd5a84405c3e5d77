"""The library of LabStreamingLayer, and its clock beside that of ledgers."""

import time
from typing import Any

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.extras import needed, require

EXTRA = "ezmsg-ledger[lsl]"


def pylsl(error: type[LedgerError]) -> Any:
    """The library. Raises ``error`` when it is not installed."""
    return needed("pylsl", EXTRA, "LSL", error)


def require_pylsl(error: type[LedgerError]) -> None:
    """Raise ``error`` when the library is not installed; it is not loaded."""
    require(["pylsl"], EXTRA, "--lsl", error)


def ahead_of_monotonic(library: Any, tries: int = 5) -> float:
    """The seconds by which the clock of LSL is ahead of CLOCK_MONOTONIC: none, on Linux.

    The narrowest of some readings counts.
    """
    found = []
    for _ in range(tries):
        before = time.monotonic()
        there = library.local_clock()
        after = time.monotonic()
        found.append((after - before, there - (before + after) / 2))
    return float(min(found)[1])
