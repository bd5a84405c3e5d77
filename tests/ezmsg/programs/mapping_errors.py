"""How far samples lie from where a ledger's mapping has them: ``python mapping_errors.py FILE LEDGER TICKS``.

FILE is one that ``recorded_rig.py`` wrote, TICKS the true times of the first samples of its blocks. Prints one JSON
line: the ``error`` (s) that is told, and the ``largest`` one (s) over all blocks that begin in the file; of FIF, whose
samples are counted, over the first one alone.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ezmsg.ledger import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.recording import read

FS = 1000.0


def stamps(path: Path, laid: Laid) -> Any:
    """The stamps of all samples on the file's own axis; of FIF that of the first."""
    if path.suffix == ".nwb":
        import h5py

        with h5py.File(path) as file:
            return file["acquisition/signal/timestamps"][:]
    if path.suffix == ".xdf":
        import pyxdf

        [stream] = [each for each in pyxdf.load_xdf(str(path))[0] if each["info"]["channel_format"][0] != "string"]
        return stream["time_stamps"] - 1 / FS  # ezmsg-lsl stamps one sample late
    return np.array([laid.recording.axis.begin])


def main() -> None:
    path, ledger, ticks = (Path(each) for each in sys.argv[1:])
    true = np.array([round(tick * 1e9) for tick in json.loads(ticks.read_text())])
    with Ledger.open(ledger, "r") as opened:
        laid = Laid(read(path), Timeline(opened))
        assert laid.mapping is not None
        assert laid.mapping.error is not None
        places = np.array([laid.mapping.place(float(stamp)) for stamp in stamps(path, laid)])
    half = 0.5e9 / FS
    true = true[(true > places[0] - half) & (true < places[-1] + half)]
    assert len(true) > (1 if len(places) > 1 else 0)
    off = [float(np.abs(places - tick).min()) / 1e9 for tick in true]
    print(json.dumps({"error": laid.mapping.error / 1e9, "largest": max(off)}))


if __name__ == "__main__":
    main()
