"""A rig of units that people really use: synthetic EEG, a filter, windows, and the decoder's side of ezmsg-learn.

The words say what is different from the validated rig, such as ``cuton=3``, ``apart``, ``unfiltered``. It ends by
itself after some windows have come through.
"""

import sys
from collections.abc import AsyncGenerator
from typing import Any

import ezmsg.core as ez
from ezmsg.learn.process.flatten import Flatten, FlattenSettings
from ezmsg.sigproc.butterworthfilter import ButterworthFilter, ButterworthFilterSettings
from ezmsg.sigproc.window import Window, WindowSettings
from ezmsg.simbiophys.eeg import EEGSynth, EEGSynthSettings
from ezmsg.util.messages.axisarray import AxisArray

SAID = dict(word.partition("=")[::2] for word in sys.argv[1:])
WINDOWS = 3


def said(name: str, default: float) -> float:
    return type(default)(SAID.get(name, default))


class Sink(ez.Unit):
    INPUT = ez.InputStream(AxisArray)
    DONE = ez.OutputStream(int)

    async def initialize(self) -> None:
        self.heard = 0

    @ez.subscriber(INPUT)
    @ez.publisher(DONE)
    async def hear(self, message: AxisArray) -> AsyncGenerator[Any, None]:
        self.heard += 1
        if self.heard == WINDOWS:
            raise ez.NormalTermination
        yield self.DONE, self.heard


class Rig(ez.Collection):
    EEG = EEGSynth(EEGSynthSettings(fs=said("fs", 500.0), n_ch=said("n_ch", 8), alpha_freq=said("alpha", 10.5)))  # type: ignore
    FILTER = ButterworthFilter(
        ButterworthFilterSettings(order=said("order", 4), cuton=said("cuton", 1.0), cutoff=said("cutoff", 40.0))  # type: ignore
    )
    WINDOW = Window(WindowSettings(newaxis="win", window_dur=said("dur", 0.25), window_shift=said("shift", 0.1)))
    FLATTEN = Flatten(FlattenSettings(sample_axis="win"))
    SINK = Sink()

    def network(self) -> ez.NetworkDefinition:
        last = self.EEG.OUTPUT_SIGNAL if "unfiltered" in SAID else self.FILTER.OUTPUT_SIGNAL
        monitor = ((self.FILTER.OUTPUT_SIGNAL, self.SINK.INPUT),) if "monitored" in SAID else ()
        return (
            (self.EEG.OUTPUT_SIGNAL, self.FILTER.INPUT_SIGNAL),
            (last, self.WINDOW.INPUT_SIGNAL),
            (self.WINDOW.OUTPUT_SIGNAL, self.FLATTEN.INPUT_SIGNAL),
            (self.FLATTEN.OUTPUT_SIGNAL, self.SINK.INPUT),
            *monitor,
        )

    def process_components(self) -> tuple[ez.Component, ...]:
        return (self.EEG, self.SINK) if "apart" in SAID else (self.EEG,)


if __name__ == "__main__":
    ez.run(RIG=Rig())
