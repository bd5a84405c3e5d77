"""A pipeline of whichever ezmsg it is started beside that goes on until Ctrl-C, with the newest that this one has.

With the word ``apart`` its units run in processes of their own: nothing but relays is left for the first one. Beside
ezmsg 3.10 that is a relay inside a collection, and pydantic's JSON schema of its settings. The sink gets other
settings before the first message, and says how many it has heard, one line for each 20.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any

import ezmsg.core as ez


class SinkSettings(ez.Settings):
    gain: float = 1.0
    label: str = "sink"


class Source(ez.Unit):
    OUTPUT = ez.OutputStream(int)
    OUTPUT_SETTINGS = ez.OutputStream(SinkSettings)

    @ez.publisher(OUTPUT)
    @ez.publisher(OUTPUT_SETTINGS)
    async def send(self) -> AsyncGenerator[Any, None]:
        number = 0
        yield self.OUTPUT_SETTINGS, SinkSettings(gain=2.5, label="changed")
        while True:
            yield self.OUTPUT, number
            number += 1
            await asyncio.sleep(0.005)


class Sink(ez.Unit):
    SETTINGS = SinkSettings
    INPUT = ez.InputStream(int)
    INPUT_SETTINGS = ez.InputStream(SinkSettings)

    @ez.subscriber(INPUT_SETTINGS)
    async def on_settings(self, settings: SinkSettings) -> None:
        self.apply_settings(settings)

    @ez.subscriber(INPUT)
    async def hear(self, number: int) -> None:
        if number % 20 == 0:
            print(f"heard {number}", flush=True)


class Passage(ez.Collection):
    """With the relay that both releases have."""

    IN = ez.InputRelay(int, max_queue=7)
    OUT = ez.OutputTopic(int)

    def network(self) -> ez.NetworkDefinition:
        return ((self.IN, self.OUT),)


class NewPassage(ez.Collection):
    """With the relay that only the newer one has, where it is there."""

    IN = ez.InputTopic(int)
    OUT = ez.OutputTopic(int)
    if hasattr(ez, "Relay"):
        MID = ez.Relay(int, max_queue=9)

    def network(self) -> ez.NetworkDefinition:
        if hasattr(ez, "Relay"):
            return ((self.IN, self.MID), (self.MID, self.OUT))
        return ((self.IN, self.OUT),)


class System(ez.Collection):
    SOURCE = Source()
    FIRST = Passage()
    SECOND = NewPassage()
    SINK = Sink(SinkSettings())

    def network(self) -> ez.NetworkDefinition:
        return (
            (self.SOURCE.OUTPUT, self.FIRST.IN),
            (self.FIRST.OUT, self.SECOND.IN),
            (self.SECOND.OUT, self.SINK.INPUT),
            (self.SOURCE.OUTPUT_SETTINGS, self.SINK.INPUT_SETTINGS),
        )

    def process_components(self) -> tuple[ez.Component, ...]:
        return (self.SOURCE, self.SINK) if "apart" in sys.argv else ()


if __name__ == "__main__":
    ez.run(SYSTEM=System())
