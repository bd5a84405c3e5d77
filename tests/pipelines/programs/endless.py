"""A pipeline that goes on until somebody ends it; the hearer says how many messages it heard, one line for each 20.

endless.py [--split START_METHOD] [--root NAME]
"""

import argparse
import asyncio
import multiprocessing
from collections.abc import AsyncGenerator
from typing import Any

import ezmsg.core as ez


class Ticker(ez.Unit):
    OUTPUT = ez.OutputStream(int)

    @ez.publisher(OUTPUT)
    async def tick(self) -> AsyncGenerator[Any, None]:
        number = 0
        while True:
            yield self.OUTPUT, number
            number += 1
            await asyncio.sleep(0.005)


class Hearer(ez.Unit):
    INPUT = ez.InputStream(int)

    @ez.subscriber(INPUT)
    async def hear(self, number: int) -> None:
        if number % 20 == 0:
            print(f"heard {number}", flush=True)


class Clock(ez.Collection):
    TICKER = Ticker()
    HEARER = Hearer()

    split = False

    def network(self) -> ez.NetworkDefinition:
        return ((self.TICKER.OUTPUT, self.HEARER.INPUT),)

    def process_components(self) -> tuple[ez.Component, ...]:
        return (self.HEARER,) if self.split else ()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", metavar="START_METHOD", help="the hearer in a process of its own, started so")
    parser.add_argument("--root", default="CLOCK")
    options = parser.parse_args()
    if options.split:
        multiprocessing.set_start_method(options.split)
    clock = Clock()
    clock.split = bool(options.split)
    ez.run(**{options.root: clock})


if __name__ == "__main__":
    main()
