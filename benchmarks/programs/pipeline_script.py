"""A pipeline of three processes that measures itself: messages through a middle unit, and how long each is under way.

``python -m benchmarks.programs.pipeline_script FILE MESSAGES`` writes to FILE, as JSON, the messages per second while
it sends as fast as it can, and the seconds from sending to hearing of messages that are sent one every two
milliseconds.
"""

import asyncio
import json
import multiprocessing
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from time import perf_counter
from typing import Any

import ezmsg.core as ez

PAUSE_S = 0.002
"""Between two of the messages whose time under way is measured."""



class Plan(ez.Settings):
    """What to do: how many messages of either kind, and where the figures go."""

    messages: int = 0
    path: str = ""


class Message:
    """A message, with the clock of its sender: all processes of a machine share that clock."""

    def __init__(self, number: int, sent: float) -> None:
        self.number = number
        self.sent = sent


class Source(ez.Unit):
    """Sends ``messages`` one by one, then as many at once."""

    SETTINGS = Plan
    OUTPUT = ez.OutputStream(Message)

    @ez.publisher(OUTPUT)
    async def send(self) -> AsyncGenerator[Any, None]:
        await asyncio.sleep(0.5)  # all three are up by then
        for number in range(2 * self.SETTINGS.messages):
            if number < self.SETTINGS.messages:
                await asyncio.sleep(PAUSE_S)
            yield self.OUTPUT, Message(number, perf_counter())


class Middle(ez.Unit):
    """Passes on what it gets."""

    INPUT = ez.InputStream(Message)
    OUTPUT = ez.OutputStream(Message)

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def pass_on(self, message: Message) -> AsyncGenerator[Any, None]:
        yield self.OUTPUT, message


class Sink(ez.Unit):
    """Notes when each message arrives, and ends the pipeline after the last."""

    SETTINGS = Plan
    INPUT = ez.InputStream(Message)

    async def initialize(self) -> None:
        self.took: list[float] = []
        self.began = 0.0

    @ez.subscriber(INPUT)
    async def hear(self, message: Message) -> None:
        now, wanted = perf_counter(), self.SETTINGS.messages
        if message.number < wanted:
            self.took.append(now - message.sent)
        elif message.number == wanted:
            self.began = now
        if message.number == 2 * wanted - 1:
            figures = {"rate": (wanted - 1) / (now - self.began), "took": self.took}
            Path(self.SETTINGS.path).write_text(json.dumps(figures), encoding="ascii")
            raise ez.NormalTermination


class Line(ez.Collection):
    """Source, middle and sink, each in a process of its own."""

    SETTINGS = Plan
    SOURCE = Source()
    MIDDLE = Middle()
    SINK = Sink()

    def configure(self) -> None:
        self.SOURCE.apply_settings(self.SETTINGS)
        self.SINK.apply_settings(self.SETTINGS)

    def network(self) -> ez.NetworkDefinition:
        return ((self.SOURCE.OUTPUT, self.MIDDLE.INPUT), (self.MIDDLE.OUTPUT, self.SINK.INPUT))

    def process_components(self) -> tuple[ez.Component, ...]:
        return (self.SOURCE, self.MIDDLE, self.SINK)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    ez.run(LINE=Line(Plan(int(sys.argv[2]), sys.argv[1])))
