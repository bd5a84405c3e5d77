"""A program that appends until it is killed, and says after each append how far it was told to have come.

    python -m ezmsg.ledger.tools.selftest.victim LEDGER LEVEL

Writes one line for each acknowledged append to stdout: the seq of its last event.
"""

import sys
from typing import cast

from ezmsg.ledger.events import Mark
from ezmsg.ledger.flusher import Durability
from ezmsg.ledger.log import Ledger

SIZES = (1, 1, 40, 300, 5_000, 1, 90_000)
"""Bytes of the events, in turns: within a sector, across some, across pieces of a reader."""

GROUP = 3
"""Events of an append: what is found of them is all or nothing."""


def main(path: str, level: str) -> None:
    ledger = Ledger.open(path, durability=cast(Durability, level))
    sys.stdout.write(f"open {ledger.head}\n")
    sys.stdout.flush()
    turn = 0
    while True:
        turn += 1
        appended = ledger.append([Mark(name="x" * SIZES[turn % len(SIZES)])] * GROUP)
        sys.stdout.write(f"{appended[-1].seq}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
