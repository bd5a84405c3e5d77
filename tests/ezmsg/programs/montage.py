"""A pipeline that goes on: fifty times a second a number for each of four electrodes with known places."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import ezmsg.core as ez
import numpy as np
from ezmsg.util.messages.axisarray import AxisArray

ELECTRODES = np.array(
    [("Fz", 0.0, 0.7), ("C3", -0.5, 0.0), ("C4", 0.5, 0.0), ("Pz", 0.0, -0.7)],
    dtype=[("label", "U8"), ("x", "f4"), ("y", "f4")],
)
RATE_HZ = 50.0


def message(data: Any) -> AxisArray:
    return AxisArray(data, ["ch"], axes={"ch": AxisArray.CoordinateAxis(data=ELECTRODES, dims=["ch"])}, key="montage")


class Source(ez.Unit):
    OUTPUT = ez.OutputStream(AxisArray)

    @ez.publisher(OUTPUT)
    async def tell(self) -> AsyncGenerator[Any, None]:
        number = 0
        while True:
            yield self.OUTPUT, message(np.arange(4.0) + number)
            number += 1
            await asyncio.sleep(1 / RATE_HZ)


class Double(ez.Unit):
    INPUT = ez.InputStream(AxisArray)
    OUTPUT = ez.OutputStream(AxisArray)

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def double(self, heard: AxisArray) -> AsyncGenerator[Any, None]:
        yield self.OUTPUT, message(heard.data * 2)


class Sink(ez.Unit):
    INPUT = ez.InputStream(AxisArray)
    heard = 0

    @ez.subscriber(INPUT)
    async def hear(self, _: AxisArray) -> None:
        self.heard += 1
        if self.heard % 20 == 0:
            print(f"heard {self.heard}", flush=True)


class System(ez.Collection):
    SOURCE = Source()
    DOUBLE = Double()
    SINK = Sink()

    def network(self) -> ez.NetworkDefinition:
        return ((self.SOURCE.OUTPUT, self.DOUBLE.INPUT), (self.DOUBLE.OUTPUT, self.SINK.INPUT))


if __name__ == "__main__":
    ez.run(SYSTEM=System())
