#!/usr/bin/env bash
# ezmsg-nwb 1.13.0 (PyPI): a recording has one HDF5 chunk for each sample, and is several times as large as its numbers.
#
# A guess from HDF5 is that data that come in messages of a hundred samples are stored in chunks of about that size. The
# sink makes its growing datasets without a chunk shape, from a shape of no samples, and what is guessed from that is one
# sample (and for the stamps, one number), however large the messages are. Each chunk has an entry in the file's index:
# 2,000 samples of four float32 channels, 48 kB with their stamps, take more than eight times that, and to
# read the axis of an hour at 1 kHz is to read 3.6 million chunks.
#
# Source: https://docs.h5py.org/en/stable/high/dataset.html (chunked storage), the docstring of ezmsg.nwb.writer
# Seen:
#   messages of 1: data (1, 4), stamps (1,), 2000 chunks each, more than 8 times the numbers: True
#   messages of 100: data (1, 4), stamps (1,), 2000 chunks each, more than 8 times the numbers: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ezmsg==3.10.0b5 ezmsg-baseproc==1.15.0 \
  ezmsg-nwb==1.13.0 pynwb==4.2.0 h5py==3.16.0 >&2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' >log.txt 2>&1
import h5py
import numpy as np
from ezmsg.nwb.writer import NWBSinkConsumer, NWBSinkSettings
from ezmsg.util.messages.axisarray import AxisArray

SAMPLES, RATE = 2000, 1000.0
seen = open("seen.txt", "w")
for each in (1, 100):
    path = f"{each}.nwb"
    sink = NWBSinkConsumer(settings=NWBSinkSettings(filepath=path))
    channels = AxisArray.CoordinateAxis(np.array(["a", "b", "c", "d"]), dims=["ch"])
    for start in range(0, SAMPLES, each):
        axes = {"time": AxisArray.TimeAxis(fs=RATE, offset=start / RATE), "ch": channels}
        sink(AxisArray(np.ones((each, 4), np.float32), dims=["time", "ch"], axes=axes, key="eeg"))
    sink.close()
    with h5py.File(path) as file:
        data, stamps = file["acquisition/eeg/data"], file["acquisition/eeg/timestamps"]
        assert len(data) == len(stamps) == SAMPLES
        assert data.id.get_num_chunks() == stamps.id.get_num_chunks() == SAMPLES
        size = file.id.get_filesize() > 8 * SAMPLES * (4 * data.dtype.itemsize + stamps.dtype.itemsize)
        print(f"messages of {each}: data {data.chunks}, stamps {stamps.chunks}, {SAMPLES} chunks each,",
              f"more than 8 times the numbers: {size}", file=seen)
PYTHON
cat seen.txt
diff - seen.txt <<'SEEN' && echo "as stated"
messages of 1: data (1, 4), stamps (1,), 2000 chunks each, more than 8 times the numbers: True
messages of 100: data (1, 4), stamps (1,), 2000 chunks each, more than 8 times the numbers: True
SEEN
