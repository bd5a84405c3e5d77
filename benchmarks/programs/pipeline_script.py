"""A pipeline of three processes that measures itself: messages through a middle unit, and how long each is under way.

``python -m benchmarks.programs.pipeline_script FILE MESSAGES BURST`` writes to FILE, as JSON, the seconds from sending
to hearing of MESSAGES that are sent one every two milliseconds, and the messages per second of BURST that are sent as
fast as it can. Before that it sends MESSAGES, one every two milliseconds, that do not count: the first ones wait until
all three processes have found each other, and whatever began with them is still loading what it needs.
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
    burst: int = 0
    path: str = ""


class Message:
    """A message, with the clock of its sender: all processes of a machine share that clock."""

    def __init__(self, number: int, sent: float) -> None:
        self.number = number
        self.sent = sent


class Source(ez.Unit):
    """Sends ``messages`` one by one, twice, then ``burst`` at once. Those that do not count have numbers below 0."""

    SETTINGS = Plan
    OUTPUT = ez.OutputStream(Message)

    @ez.publisher(OUTPUT)
    async def send(self) -> AsyncGenerator[Any, None]:
        messages = self.SETTINGS.messages
        for number in range(-messages, messages + self.SETTINGS.burst):
            if number < messages:
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
        now, messages, burst = perf_counter(), self.SETTINGS.messages, self.SETTINGS.burst
        if 0 <= message.number < messages:
            self.took.append(now - message.sent)
        elif message.number == messages:
            self.began = now
        if message.number == messages + burst - 1:
            figures = {"rate": (burst - 1) / (now - self.began), "took": self.took}
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
    ez.run(LINE=Line(Plan(int(sys.argv[2]), int(sys.argv[3]), sys.argv[1])))
