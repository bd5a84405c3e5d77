"""Opens a ledger whose end is torn, and goes on with it: recovery.py FOLDER LEVEL"""

import sys

from acks import say

from ezmsg.ledger import Ledger, events


def main(folder: str, level: str) -> None:
    with Ledger.open(f"{folder}/x.ledger", durability=level) as ledger:
        say(power=ledger.head)
        for size in (1, 600, 1):
            ledger.append([events.Mark(name="x" * size)])
            ledger.sync()
            say(power=ledger.head)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
