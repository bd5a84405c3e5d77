"""A pipeline that ends by itself: three units in one process or in two, settings that change on the run, an end.

The sink says on standard output, as one line of JSON, what it heard and by which way. ``--then`` is what the program
does after ``ez.run``: nothing, ``raise`` an exception, or exit with a code.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import ezmsg.core as ez
import numpy as np
from ezmsg.core.channelmanager import CHANNELS

GAIN = 3.0


@dataclass
class Block:
    """``samples`` are all ``number``, times ``gain`` once it has passed the scale."""

    number: int
    samples: np.ndarray
    gain: float = 1.0


class GainSettings(ez.Settings):
    gain: float = 1.0


class SourceSettings(ez.Settings):
    samples: int = 4


class SinkSettings(ez.Settings):
    messages: int = 5


class Source(ez.Unit):
    """Sends blocks as fast as they are taken, and new settings after the first."""

    SETTINGS = SourceSettings

    OUTPUT = ez.OutputStream(Block)
    OUTPUT_SETTINGS = ez.OutputStream(GainSettings)

    @ez.publisher(OUTPUT)
    @ez.publisher(OUTPUT_SETTINGS)
    async def send(self) -> AsyncGenerator[Any, None]:
        number = 0
        while True:
            yield self.OUTPUT, Block(number, np.full(self.SETTINGS.samples, float(number)))
            if number == 0:
                yield self.OUTPUT_SETTINGS, GainSettings(gain=GAIN)
            number += 1
            await asyncio.sleep(0.001)


class Scale(ez.Unit):
    SETTINGS = GainSettings

    INPUT = ez.InputStream(Block)
    INPUT_SETTINGS = ez.InputStream(GainSettings)
    OUTPUT = ez.OutputStream(Block)

    @ez.subscriber(INPUT_SETTINGS)
    async def on_settings(self, settings: GainSettings) -> None:
        self.apply_settings(settings)

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def scale(self, block: Block) -> AsyncGenerator[Any, None]:
        gain = self.SETTINGS.gain
        yield self.OUTPUT, Block(block.number, block.samples * gain, gain)


class SinkState(ez.State):
    heard: int = 0
    wrong: int = 0
    with_gain: int = 0


class Sink(ez.Unit):
    """Hears until enough blocks had the new gain; checks every sample of every block, and that none is missing."""

    SETTINGS = SinkSettings
    STATE = SinkState

    INPUT = ez.InputStream(Block)

    @ez.subscriber(INPUT)
    async def hear(self, block: Block) -> None:
        right = block.number == self.STATE.heard and bool(np.all(block.samples == block.number * block.gain))
        self.STATE.wrong += not right
        self.STATE.heard += 1
        self.STATE.with_gain += block.gain == GAIN
        if self.STATE.with_gain == self.SETTINGS.messages:
            channels = [channel for by_id in list(CHANNELS._registry.values()) for channel in list(by_id.values())]
            ways = {channel.channel_kind.value for channel in channels if channel.clients}
            print(json.dumps({"wrong": self.STATE.wrong, "gain": block.gain, "ways": sorted(ways)}), flush=True)
            raise ez.NormalTermination


class Lab(ez.Collection):
    SOURCE = Source()
    SCALE = Scale()
    SINK = Sink()

    split = False
    samples = 4

    def configure(self) -> None:
        self.SOURCE.apply_settings(SourceSettings(samples=self.samples))
        self.SCALE.apply_settings(GainSettings())
        self.SINK.apply_settings(SinkSettings())

    def network(self) -> ez.NetworkDefinition:
        return (
            (self.SOURCE.OUTPUT, self.SCALE.INPUT),
            (self.SOURCE.OUTPUT_SETTINGS, self.SCALE.INPUT_SETTINGS),
            (self.SCALE.OUTPUT, self.SINK.INPUT),
        )

    def process_components(self) -> tuple[ez.Component, ...]:
        return (self.SINK,) if self.split else ()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", metavar="START_METHOD", help="the sink in a process of its own, started so")
    parser.add_argument("--samples", type=int, default=4, help="of a block")
    parser.add_argument("--root", default="LAB")
    parser.add_argument("--then", default="", help="'raise', or an exit code")
    options = parser.parse_args()
    if options.split:
        multiprocessing.set_start_method(options.split)
    lab = Lab()
    lab.split, lab.samples = bool(options.split), options.samples
    ez.run(**{options.root: lab})
    if options.then == "raise":
        raise ValueError("the analysis after the run failed")
    if options.then:
        sys.exit(int(options.then))


if __name__ == "__main__":
    main()
