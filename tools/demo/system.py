"""The demonstration's pipeline: an ordinary ezmsg system in several processes, which knows nothing of the recorder.

Nested collections, a topic at a collection's border, a relay, and a unit that changes another's settings on the run.
"""

# ezmsg brings no types: its decorators and message classes look untyped.
# mypy: disable-error-code="untyped-decorator, no-untyped-call, call-arg, misc, assignment"

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import ezmsg.core as ez

SAMPLE_INTERVAL_S = 0.02
GAINS = (2.0, 4.0)
TUNE_INTERVAL_S = 0.3


class Sample(ez.Message):
    """A made-up measurement."""

    number: int
    value: float


class Source(ez.Unit):
    """An amplifier's stand-in: publishes samples until the system ends."""

    OUTPUT = ez.OutputStream(Sample)

    @ez.publisher(OUTPUT)
    async def measure(self) -> AsyncGenerator[Any, None]:
        number = 0
        while True:
            yield self.OUTPUT, Sample(number, float(number % 100))
            number += 1
            await asyncio.sleep(SAMPLE_INTERVAL_S)


class GainSettings(ez.Settings):
    gain: float = 1.0


class Gain(ez.Unit):
    """Multiplies; takes new settings while it runs."""

    SETTINGS = GainSettings

    INPUT_SETTINGS = ez.InputStream(GainSettings)
    INPUT = ez.InputStream(Sample)
    OUTPUT = ez.OutputStream(Sample)

    @ez.subscriber(INPUT_SETTINGS)
    async def on_settings(self, settings: GainSettings) -> None:
        self.apply_settings(settings)

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def scale(self, sample: Sample) -> AsyncGenerator[Any, None]:
        yield self.OUTPUT, Sample(sample.number, sample.value * self.SETTINGS.gain)


class Tuner(ez.Unit):
    """Turns the gain up, step by step, as a person at a dashboard would."""

    OUTPUT_SETTINGS = ez.OutputStream(GainSettings)

    @ez.publisher(OUTPUT_SETTINGS)
    async def tune(self) -> AsyncGenerator[Any, None]:
        for gain in GAINS:
            await asyncio.sleep(TUNE_INTERVAL_S)
            yield self.OUTPUT_SETTINGS, GainSettings(gain=gain)
        # In ezmsg 3.9 a Ctrl-C now and then leaves a process hanging whose tasks have all ended: this one's never does.
        await asyncio.Event().wait()


class Amplifier(ez.Collection):
    """A collection with a topic at each border: outside, nobody needs to know what is in it."""

    INPUT_SETTINGS = ez.InputTopic(GainSettings)
    OUTPUT = ez.OutputTopic(Sample)

    SOURCE = Source()
    GAIN = Gain()

    def configure(self) -> None:
        self.GAIN.apply_settings(GainSettings())

    def network(self) -> ez.NetworkDefinition:
        return (
            (self.SOURCE.OUTPUT, self.GAIN.INPUT),
            (self.INPUT_SETTINGS, self.GAIN.INPUT_SETTINGS),
            (self.GAIN.OUTPUT, self.OUTPUT),
        )


class Sink(ez.Unit):
    """Receives samples and keeps the last one."""

    INPUT = ez.InputStream(Sample)

    @ez.subscriber(INPUT)
    async def receive(self, sample: Sample) -> None:
        self.last = sample


class Monitor(ez.Collection):
    """Hears through a relay that may drop samples, so that a slow monitor never holds the amplifier up."""

    INPUT = ez.InputRelay(Sample, leaky=True)

    SINK = Sink()

    def network(self) -> ez.NetworkDefinition:
        return ((self.INPUT, self.SINK.INPUT),)


class Rig(ez.Collection):
    """The whole."""

    AMP = Amplifier()
    TUNER = Tuner()
    MONITOR = Monitor()

    def network(self) -> ez.NetworkDefinition:
        return (
            (self.AMP.OUTPUT, self.MONITOR.INPUT),
            (self.TUNER.OUTPUT_SETTINGS, self.AMP.INPUT_SETTINGS),
        )

    def process_components(self) -> tuple[ez.Component, ...]:
        return (self.AMP, self.MONITOR)


if __name__ == "__main__":
    ez.run(RIG=Rig())
