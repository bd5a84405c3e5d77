"""A program that appends until it is killed, and says after each append how far it was told to have come.

    python -m ezmsg.ledger.tools.selftest.victim LEDGER LEVEL

Writes the ledger's last seq to stdout, then that of each append that was acknowledged, a line for each. When the
system refuses to write, it says that, and ends.
"""

import sys
from typing import cast

from ezmsg.ledger.errors import LogError
from ezmsg.ledger.events import EdgeConnected, Mark
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.durability import Durability

SIZES = (1, 1, 40, 300, 5_000, 1, 90_000)
"""Bytes of the marks, in turns: within a sector, across some, across pieces of a reader."""

GROUP = 3
"""Events of an append: what is found of them is all or nothing."""

REFUSED = "refused: "


def main(path: str, level: str) -> None:
    try:
        ledger = Ledger.open(path, durability=cast(Durability, level))
        _say(f"{ledger.head}")
        turn = 0
        while True:
            turn += 1
            mark = Mark(name="x" * SIZES[turn % len(SIZES)])
            edge = EdgeConnected(from_topic=f"{ledger.next_seq}", to_topic="ALL", owner=None)
            _say(f"{ledger.append([mark, edge, mark])[-1].seq}")
    except LogError as error:
        _say(f"{REFUSED}{error}")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
