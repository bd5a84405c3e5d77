"""Units of ezmsg's own packages in a pipeline that ends by itself, and what was heard of them, as one JSON line.

``python family.py KIND FOLDER``: a conductor sends one numbered message after the other and waits until each has come
back through the units of that kind; a message that is lost on the way, before the two ends of a socket have met, is
sent again. Some kinds also change settings while they run. The server is where ``EZMSG_GRAPHSERVER_ADDR`` says.
"""

import asyncio
import json
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import ezmsg.core as ez
import numpy as np
from ezmsg.util.messages.axisarray import AxisArray

COUNT = 6
ROWS, CHANNELS, RATE = 25, 4, 500.0
AGAIN_S = 2.0
"""Time after which a message that has not come back is sent again."""


def samples(number: int) -> AxisArray:
    """The message of that number: a ramp, so that each row tells which one it is."""
    rows = np.arange(number * ROWS, (number + 1) * ROWS, dtype=float)
    axes = {"time": AxisArray.TimeAxis(fs=RATE, offset=number * ROWS / RATE)}
    return AxisArray(rows[:, None] * np.ones(CHANNELS), dims=["time", "ch"], axes=axes, key="ramp")


class Conductor(ez.Unit):
    """Sends, hears, and ends the pipeline. Each kind says what: see below."""

    OUTPUT = ez.OutputStream(AxisArray, num_buffers=1)
    OUTPUT_SETTINGS = ez.OutputStream(ez.Settings)
    INPUT = ez.InputStream(Any)
    INPUT_PLAIN = ez.InputStream(Any)

    message: Callable[[int], Any] = staticmethod(samples)
    kind: "Kind"

    async def initialize(self) -> None:
        self.heard: list[Any] = []
        self.plain: list[Any] = []
        self.news = asyncio.Event()

    @ez.subscriber(INPUT)
    async def hear(self, message: Any) -> None:
        self.heard.append(message)
        self.news.set()

    @ez.subscriber(INPUT_PLAIN)
    async def hear_plain(self, message: Any) -> None:
        self.plain.append(message)
        self.news.set()

    @ez.publisher(OUTPUT)
    @ez.publisher(OUTPUT_SETTINGS)
    async def conduct(self) -> AsyncGenerator[Any, None]:
        async for each in self.kind.play(self):
            yield each
        print(json.dumps({"heard": self.kind.told(self)}), flush=True)
        raise ez.NormalTermination

    async def until(self, wanted: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Wait for what is heard to be so; whether it was within that time."""
        try:
            async with asyncio.timeout(seconds):
                while not wanted():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return False
        return True


class Kind:
    """A kind of pipeline. ``units``: by name; ``network``: its wires, given those and the conductor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def units(self) -> dict[str, ez.Component]:
        raise NotImplementedError

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        raise NotImplementedError

    def message(self, number: int) -> Any:
        return samples(number)

    def number(self, message: Any) -> int:
        """Which message this is that has come back."""
        return int(message.data[0, 0]) // ROWS

    def shown(self, message: Any) -> Any:
        """What is told of one that has come back."""
        return [list(message.dims), list(message.data.shape), round(float(message.data.sum()), 3)]

    async def play(self, conductor: Conductor) -> AsyncGenerator[Any, None]:
        for number in range(COUNT):
            while True:
                yield conductor.OUTPUT, self.message(number)
                if await conductor.until(lambda: number in map(self.number, conductor.heard), AGAIN_S):  # noqa: B023
                    break

    def told(self, conductor: Conductor) -> Any:
        first = {self.number(message): self.shown(message) for message in reversed(conductor.heard)}
        return [first[number] for number in sorted(first)]


class Sigproc(Kind):
    """A filter, and a scale whose factor is changed on the run; PipelineSettingsUnit tells of that."""

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.baseproc import PipelineSettingsProducerSettings, PipelineSettingsUnit
        from ezmsg.sigproc.butterworthfilter import ButterworthFilter, ButterworthFilterSettings
        from ezmsg.sigproc.math.scale import Scale, ScaleSettings

        return {
            "FILTER": ButterworthFilter(ButterworthFilterSettings(order=2, cutoff=50.0)),
            "SCALE": Scale(ScaleSettings(scale=1.0)),
            "WATCH": PipelineSettingsUnit(PipelineSettingsProducerSettings()),
        }

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return [
            (here.CONDUCTOR.OUTPUT, here.FILTER.INPUT_SIGNAL),
            (here.FILTER.OUTPUT_SIGNAL, here.SCALE.INPUT_SIGNAL),
            (here.FILTER.OUTPUT_SIGNAL, here.CONDUCTOR.INPUT_PLAIN),
            (here.SCALE.OUTPUT_SIGNAL, here.CONDUCTOR.INPUT),
            (here.CONDUCTOR.OUTPUT_SETTINGS, here.SCALE.INPUT_SETTINGS),
            (here.WATCH.OUTPUT_SIGNAL, here.CONDUCTOR.INPUT),
        ]

    async def play(self, conductor: Conductor) -> AsyncGenerator[Any, None]:
        from ezmsg.sigproc.math.scale import ScaleSettings

        def events() -> list[Any]:
            return [each for each in conductor.heard if not isinstance(each, AxisArray)]

        def scaled() -> list[AxisArray]:
            return [each for each in conductor.heard if isinstance(each, AxisArray)]

        assert await conductor.until(lambda: any(each.component_address == "__init_final__" for each in events()))
        for number in range(COUNT):
            yield conductor.OUTPUT, samples(number)
            assert await conductor.until(lambda: len(scaled()) > number and len(conductor.plain) > number)  # noqa: B023
        yield conductor.OUTPUT_SETTINGS, ScaleSettings(scale=2.0)
        assert await conductor.until(lambda: events()[-1].event_type.name == "UPDATED")
        for more in range(COUNT, 20 * COUNT):
            yield conductor.OUTPUT, samples(more)
            assert await conductor.until(lambda: len(scaled()) > more and len(conductor.plain) > more)  # noqa: B023
            if np.array_equal(scaled()[-1].data, 2 * conductor.plain[-1].data):
                break

    def told(self, conductor: Conductor) -> Any:
        scaled = [each for each in conductor.heard if isinstance(each, AxisArray)]
        events = [each for each in conductor.heard if not isinstance(each, AxisArray)]
        factors = [float(a.data[-1, 0] / b.data[-1, 0]) for a, b in zip(scaled, conductor.plain, strict=True)]
        return {
            "filtered": [self.shown(each) for each in conductor.plain[:COUNT]],
            "factors": sorted(set(factors)),
            "settings": [[e.seq, e.component_address, e.event_type.name, e.structured_value] for e in events],
        }


class Lsl(Kind):
    """Out to the LabStreamingLayer, and in again."""

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.lsl.inlet import LSLInfo, LSLInletSettings, LSLInletUnit
        from ezmsg.lsl.outlet import LSLOutletSettings, LSLOutletUnit

        name = f"ramp of {self.folder.name}"
        return {
            "OUTLET": LSLOutletUnit(LSLOutletSettings(stream_name=name, stream_type="EEG")),
            "INLET": LSLInletUnit(LSLInletSettings(LSLInfo(name=name, type="EEG"))),
        }

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return [
            (here.CONDUCTOR.OUTPUT, here.OUTLET.INPUT_SIGNAL),
            (here.INLET.OUTPUT_SIGNAL, here.CONDUCTOR.INPUT),
        ]

    def told(self, conductor: Conductor) -> Any:
        """The rows that came, however they were packed: each of what was sent."""
        rows = np.concatenate([message.data for message in conductor.heard])
        assert (rows == rows[:, :1]).all()
        return [conductor.heard[0].dims, rows.shape[1], sorted({int(row) // ROWS for row in rows[:, 0]})]

    def number(self, message: Any) -> int:
        return int(message.data[-1, 0]) // ROWS


class Zmq(Kind):
    """Written down, out of a socket, in at another one, and read again."""

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.zmq.pubsub import ZMQPollerSettings, ZMQPollerUnit, ZMQSenderSettings, ZMQSenderUnit
        from ezmsg.zmq.util import DeserializeBytes, SerializeMessage

        place = f"ipc://{self.folder}/zmq"
        return {
            "WRITE": SerializeMessage(),
            "SEND": ZMQSenderUnit(ZMQSenderSettings(place, "ramp", multipart=True)),
            "POLL": ZMQPollerUnit(ZMQPollerSettings(place, "ramp", multipart=True)),
            "READ": DeserializeBytes(),
        }

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return [
            (here.CONDUCTOR.OUTPUT, here.WRITE.INPUT),
            (here.WRITE.OUTPUT, here.SEND.INPUT),
            (here.POLL.OUTPUT, here.READ.INPUT),
            (here.READ.OUTPUT_SIGNAL, here.CONDUCTOR.INPUT),
        ]


class Websocket(Kind):
    """To a server that says everything again, and back."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        there = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._echo(there)), daemon=True).start()
        assert there.wait(30)

    async def _echo(self, there: threading.Event) -> None:
        from websockets.asyncio.server import ServerConnection, serve

        async def again(client: ServerConnection) -> None:
            async for message in client:
                await client.send(message)

        async with serve(again, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            there.set()
            await asyncio.Event().wait()

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.websocket.units import WebsocketClient, WebsocketSettings

        return {"CLIENT": WebsocketClient(WebsocketSettings("127.0.0.1", self.port))}

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return [(here.CONDUCTOR.OUTPUT, here.CLIENT.INPUT), (here.CLIENT.OUTPUT, here.CONDUCTOR.INPUT)]

    def message(self, number: int) -> Any:
        return bytes([number]) * 2000

    def number(self, message: Any) -> int:
        return int(message[0])

    def shown(self, message: Any) -> Any:
        return [len(message), message[:2].hex()]


class Xdf(Kind):
    """The recording ``ramp.xdf``, played."""

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.xdf.source import XDFIteratorSettings, XDFIteratorUnit

        file = self.folder / "ramp.xdf"
        return {"PLAYER": XDFIteratorUnit(XDFIteratorSettings(file, select="ramp", chunk_dur=ROWS / RATE))}

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return [(here.PLAYER.OUTPUT_SIGNAL, here.CONDUCTOR.INPUT)]

    async def play(self, conductor: Conductor) -> AsyncGenerator[Any, None]:
        assert await conductor.until(lambda: sum(len(message.data) for message in conductor.heard) >= COUNT * ROWS)
        return
        yield

    def told(self, conductor: Conductor) -> Any:
        """All rows, however they are packed."""
        rows = np.concatenate([message.data for message in conductor.heard])[: COUNT * ROWS]
        return [conductor.heard[0].dims, list(rows.shape), bool((rows[:, 0] == np.arange(COUNT * ROWS)).all())]


class Nwb(Kind):
    """Written to a file of NWB; ``NwbRead`` plays it."""

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.nwb.writer import NWBSink, NWBSinkSettings

        return {"SINK": NWBSink(NWBSinkSettings(self.folder / "ramp.nwb", overwrite_old=True))}

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return [(here.CONDUCTOR.OUTPUT, here.SINK.INPUT_SIGNAL)]

    async def play(self, conductor: Conductor) -> AsyncGenerator[Any, None]:
        for number in range(COUNT + 1):  # with one buffer: when the last one is on its way, all others have arrived
            yield conductor.OUTPUT, samples(number)

    def told(self, conductor: Conductor) -> Any:
        return None


class NwbRead(Nwb):
    """The file of ``Nwb``, played."""

    def units(self) -> dict[str, ez.Component]:
        from ezmsg.nwb.reader import NWBIteratorSettings, NWBIteratorUnit

        (file,) = self.folder.glob("ramp*.nwb")
        return {"PLAYER": NWBIteratorUnit(NWBIteratorSettings(file, chunk_dur=ROWS / RATE, self_terminating=False))}

    network = Xdf.network
    play = Xdf.play
    told = Xdf.told


class Endless(Kind):
    """A source for others, until Ctrl-C."""

    def units(self) -> dict[str, ez.Component]:
        return {}

    def network(self, here: Any) -> list[tuple[Any, Any]]:
        return []

    async def play(self, conductor: Conductor) -> AsyncGenerator[Any, None]:
        print("playing", flush=True)
        number = 0
        while True:
            yield conductor.OUTPUT, samples(number % COUNT)
            number += 1
            await asyncio.sleep(0.02)


KINDS = {kind.__name__.lower(): kind for kind in (Sigproc, Lsl, Zmq, Websocket, Xdf, Nwb, NwbRead, Endless)}


def play(kind: Kind) -> None:
    """Run it in a collection of its own."""
    units = {"CONDUCTOR": Conductor(), **kind.units()}
    Conductor.kind = kind
    system = type("System", (ez.Collection,), {**units, "network": lambda here: kind.network(here)})
    ez.run(SYSTEM=system(), force_single_process=True)


if __name__ == "__main__":
    play(KINDS[sys.argv[1]](Path(sys.argv[2])))
