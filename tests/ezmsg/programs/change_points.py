"""What the samples of a recording themselves say: where their value changes, and how many an answer has right.

``python change_points.py FILE [ANSWER...]``: FILE is .nwb, .xdf or raw .fif, whose first channel is a gain; ANSWER is
what ``in-force --json`` said of it. Prints one JSON line: ``changes`` (second since the first sample, value),
``length``, and for each answer the share of its samples that it has ``right``, and how late after a change (s) the
latest wrong one is.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def samples(path: Path) -> tuple[Any, Any]:
    """The stamps (s since the first sample) and the values of a recording."""
    if path.suffix == ".nwb":
        import h5py

        with h5py.File(path) as file:
            series = file["acquisition/signal"]
            stamps, values = series["timestamps"][:], series["data"][:, 0]
    elif path.suffix == ".xdf":
        import pyxdf

        [stream] = [each for each in pyxdf.load_xdf(str(path))[0] if each["info"]["channel_format"][0] != "string"]
        stamps, values = stream["time_stamps"], stream["time_series"][:, 0]
    else:
        import mne

        raw = mne.io.read_raw_fif(path, verbose="error")
        stamps, values = raw.times, raw.get_data()[0] * 1e6
    return stamps - stamps[0], np.round(values).astype(int)


def main() -> None:
    stamps, values = samples(Path(sys.argv[1]))
    turns = np.flatnonzero(np.diff(values)) + 1
    told = []
    for answer in sys.argv[2:]:
        found = json.loads(Path(answer).read_text())
        expected = np.zeros(len(values), dtype=int)
        for span in found["changed"]:
            if span["unit"].endswith("AMP") and span["field"] == "gain":
                expected[(stamps >= span["begin"]) & (stamps < span["end"])] = span["value"]
        wrong = np.flatnonzero(expected != values)
        begins = np.array([0.0, *(span["begin"] for span in found["changed"] if span["field"] == "gain")])
        after = [float(stamps[place] - begins[begins <= stamps[place] + 1e-6].max()) for place in wrong]
        told.append({"right": 1 - len(wrong) / len(values), "latest": max(after, default=0.0)})
    changes = [[float(stamps[turn]), int(values[turn])] for turn in turns]
    print(json.dumps({"changes": changes, "length": float(stamps[-1]), "answers": told}))


if __name__ == "__main__":
    main()
