"""Appends from two threads to a ledger at one durability level: library.py FOLDER LEVEL APPENDS SEED"""

import random
import sys
import threading
import time

from acks import say

from ezmsg.ledger import Ledger, events

SIZES = (1, 40, 300, 700, 1, 2_500, 12_000)


def main(folder: str, level: str, appends: int, seed: int) -> None:
    with Ledger.open(f"{folder}/x.ledger", durability=level) as ledger:
        say(made=True)
        ledger.on_durable(lambda seq: say(power=seq))
        writers = [threading.Thread(target=write, args=(ledger, level, appends, seed + n)) for n in range(2)]
        for each in writers:
            each.start()
        for each in writers:
            each.join()
    say(power=ledger.head)


def write(ledger: Ledger, level: str, appends: int, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(appends):
        names = [f"{seed}.{number} " + "x" * dice.choice(SIZES) for _ in range(dice.choice((1, 1, 3)))]
        last = ledger.append([events.Mark(name=name) for name in names])[-1].seq
        say(**{"power" if level == "commit" else "kill": last})
        if dice.random() < 0.1:
            ledger.sync()
            say(power=last)
        if level == "interval":
            time.sleep(dice.random() * 0.02)  # a sync is due every 35 ms: some come between appends, some within


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
