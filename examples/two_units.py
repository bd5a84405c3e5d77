"""A pipeline of two units: one counts, the other prints what it hears. It knows nothing of ezmsg-ledger.

    ezmsg-ledger run examples/two_units.py
"""

import asyncio
from collections.abc import AsyncGenerator

import ezmsg.core as ez


class CounterSettings(ez.Settings):
    messages: int = 5
    interval: float = 0.05  # seconds


class Counter(ez.Unit):
    SETTINGS = CounterSettings

    OUTPUT = ez.OutputStream(int)

    @ez.publisher(OUTPUT)
    async def count(self) -> AsyncGenerator:
        for number in range(self.SETTINGS.messages):
            await asyncio.sleep(self.SETTINGS.interval)
            yield self.OUTPUT, number
        raise ez.NormalTermination


class Printer(ez.Unit):
    INPUT = ez.InputStream(int)

    @ez.subscriber(INPUT)
    async def show(self, number: int) -> None:
        print(number, flush=True)


class System(ez.Collection):
    COUNTER = Counter()
    PRINTER = Printer()

    def configure(self) -> None:
        self.COUNTER.apply_settings(CounterSettings())

    def network(self) -> ez.NetworkDefinition:
        return ((self.COUNTER.OUTPUT, self.PRINTER.INPUT),)


if __name__ == "__main__":
    ez.run(SYSTEM=System())
