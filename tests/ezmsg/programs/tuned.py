"""A unit with settings of many kinds, and a client that changes them; whichever ezmsg it is started beside.

The unit refuses a gain above 100 by raising. The client asks for changes field by field and sends whole settings, at
last what is not a settings object, and says what it was answered. The program ends by itself.
"""

import asyncio
import enum
import subprocess
import sys
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import ezmsg.core as ez
import numpy as np
from ezmsg.core.graphcontext import GraphContext


class Mode(enum.IntEnum):
    SLOW = 1
    FAST = 5


class Name(str, enum.Enum):  # noqa: UP042 - what people have
    LEFT = "left"
    RIGHT = "right"


def halve(value: float) -> float:
    return value / 2


class Tuning(ez.Settings):
    gain: float = 1.0
    on: bool = False
    rate: int = 40
    mode: Mode = Mode.SLOW
    name: Name = Name.LEFT
    count: Any = field(default_factory=lambda: np.int64(5))
    window: tuple[int, int] = (1, 2)
    span: Any = field(default_factory=lambda: slice(1, 4))
    where: Path = Path("a/b")
    labels: frozenset[str] = frozenset({"alpha", "beta", "gamma", "delta", "epsilon"})
    by: Any = halve
    weights: Any = field(default_factory=lambda: np.zeros(2000))


class Amp(ez.Unit):
    SETTINGS = Tuning
    INPUT_SETTINGS = ez.InputStream(Tuning)
    OUTPUT = ez.OutputStream(float)

    @ez.subscriber(INPUT_SETTINGS)
    async def on_settings(self, settings: Tuning) -> None:
        if settings.gain > 100:
            raise ValueError(f"a gain of {settings.gain} is too loud")
        self.apply_settings(settings)

    @ez.publisher(OUTPUT)
    async def send(self) -> Any:
        assert await asyncio.to_thread(client.wait, 30) == 0
        yield self.OUTPUT, self.SETTINGS.gain
        raise ez.NormalTermination


class System(ez.Collection):
    AMP = Amp(Tuning())

    def network(self) -> ez.NetworkDefinition:
        return ()


UNIT = "SYSTEM/AMP"
client: "subprocess.Popen[bytes]"


async def ask(context: GraphContext, path: str, value: Any) -> None:
    try:
        answer = await context.update_setting(UNIT, path, value, timeout=5)
        print("answered", path, answer.structured_value[path], flush=True)
    except Exception as error:
        print("refused", path, error, flush=True)


async def send(context: GraphContext, settings: Any) -> None:
    """``update_settings`` takes anything; a publisher that leaves at once may leave before the unit has heard of it."""
    for _ in range(4):
        await context.update_settings(UNIT, settings)
        await asyncio.sleep(0.3)
        if str((await context.settings_snapshot())[UNIT].repr_value) == str(settings):
            print("reported", settings, flush=True)
            return


async def tune() -> None:
    async with GraphContext(auto_start=False) as context:
        while UNIT not in await context.settings_snapshot():
            await asyncio.sleep(0.05)
        weights = np.zeros(2000)
        weights[1500] = 0.25
        tuning = Tuning(gain=2.0, weights=weights)
        publisher = await context.publisher(f"{UNIT}/INPUT_SETTINGS")
        await asyncio.sleep(0.5)  # until the unit has heard of the publisher: nothing says when
        for value in (
            Tuning(),
            tuning,
            replace(tuning, mode=Mode.FAST, name=Name.RIGHT, count=np.int64(6), rate=np.float32(8)),  # type: ignore
        ):
            await publisher.broadcast(value)
            await asyncio.sleep(0.3)
        await ask(context, "gain", 900.0)
        await ask(context, "gain", "loud")
        await ask(context, "on", "yes")
        await ask(context, "no_such_field", 1)
        await asyncio.sleep(0.3)
        for odd in ({"gain": 3.0}, 7):
            await send(context, odd)


if __name__ == "__main__":
    if sys.argv[1:] == ["tune"]:
        asyncio.run(tune())
    else:
        client = subprocess.Popen([sys.executable, __file__, "tune"])
        ez.run(SYSTEM=System(), force_single_process=True)
