#!/usr/bin/env bash
# mne 1.13.2 (PyPI): the onsets of annotations are 64-bit floats in memory, and are stored in a FIF file as 32-bit floats of
# seconds since orig_time. A digit is worth 0.2 ms after an hour and 4 ms after ten hours (eight samples at 2 kHz), and
# nothing is said when they are saved. A text file keeps six decimal places at any time.
#
# A mark in a recording of a night is found up to 4 ms from where it was put.
#
# Source: https://mne.tools/stable/generated/mne.Annotations.html#mne.Annotations.save (names the formats, not what they keep)
# Seen:
#   at 1 s: FIF 0.000 ms off, text 0.000 ms off
#   at 3600 s: FIF 0.079 ms off, text 0.000 ms off
#   at 40000 s: FIF 1.544 ms off, text 0.000 ms off
#   at 80000 s: FIF 3.279 ms off, text 0.000 ms off
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mne==1.13.2 >&2
cd "$folder"
cat > onsets.py <<'PYTHON'
import mne
import numpy

onsets = numpy.array([1.0, 3599.123456, 40000.123456, 80000.987654])
given = mne.Annotations(onsets, 0.5, "mark")
off = []
for name in ("night-annot.fif", "night-annot.txt"):
    given.save(name, overwrite=True, verbose="error")
    off.append(numpy.abs(mne.read_annotations(name).onset - onsets) * 1e3)
for onset, fif, text in zip(onsets, *off):
    print(f"at {round(onset / 100) * 100 or 1} s: FIF {fif:.3f} ms off, text {text:.3f} ms off")
PYTHON
"$folder/venv/bin/python" onsets.py | tee seen
cat > expected <<'TEXT'
at 1 s: FIF 0.000 ms off, text 0.000 ms off
at 3600 s: FIF 0.079 ms off, text 0.000 ms off
at 40000 s: FIF 1.544 ms off, text 0.000 ms off
at 80000 s: FIF 3.279 ms off, text 0.000 ms off
TEXT
diff expected seen
