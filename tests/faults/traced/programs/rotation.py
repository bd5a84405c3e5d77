"""Rotates, compresses and drops segments while another thread appends: rotation.py FOLDER LEVEL ROTATIONS SEED"""

import random
import sys
import threading
import time
from importlib.util import find_spec

from acks import say

from ezmsg.ledger import Ledger, events


def main(folder: str, level: str, rotations: int, seed: int) -> None:
    dice = random.Random(seed)
    stop = threading.Event()
    with Ledger.open(f"{folder}/x.ledger", durability=level) as ledger:  # a file, which becomes a folder
        append(ledger, level, "first")
    say(power=1)
    with Ledger.open(f"{folder}/x.ledger", durability=level, segmented=True) as ledger:
        ledger.on_durable(lambda seq: say(power=seq))
        writer = threading.Thread(target=write, args=(ledger, level, seed, stop))
        writer.start()
        try:
            for number in range(rotations):
                append(ledger, level, f"rotation {number}")
                ledger.rotate(since=lambda seq: [b'{"seq":%d}' % seq])
                if number % 3 == 1 and find_spec("zstandard") is not None:
                    ledger.pack()
                if number % 3 == 2:
                    say(dropping=True)
                    ledger.drop(time.time_ns())
                time.sleep(dice.random() * 0.005)
        finally:
            stop.set()
            writer.join()
    say(power=ledger.head)


def write(ledger: Ledger, level: str, seed: int, stop: threading.Event) -> None:
    dice = random.Random(-seed)
    while not stop.wait(dice.random() * 0.01):
        append(ledger, level, "x" * dice.choice((1, 300, 2_000)))


def append(ledger: Ledger, level: str, name: str) -> None:
    last = ledger.append([events.Mark(name=name), events.Mark(name=name)][: 1 if name == "first" else 2])[-1].seq
    say(**{"power" if level == "commit" else "kill": last})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
