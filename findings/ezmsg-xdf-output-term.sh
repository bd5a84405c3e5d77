#!/usr/bin/env bash
# ezmsg-xdf 0.6.1 (PyPI): the stream OUTPUT_TERM of XDFIteratorUnit cannot be wired, nor is anything sent on it.
#
# The unit's class has OUTPUT_TERM, an ez.OutputStream, beside OUTPUT_SIGNAL, and its code sends True there when the file
# has been played; ezmsg-nwb's NWBIteratorUnit does the same. A guess that (PLAYER.OUTPUT_TERM, NEXT.INPUT) tells a
# pipeline of the end is right for NWB and wrong for XDF: there the stream is declared in a base class that is not a
# component, so ezmsg does not count it among the unit's streams, and gives it no address. A network that names it fails
# with an AssertionError without a text, and the unit's own last step ends with one too, after all samples were sent.
#
# Source: https://www.ezmsg.org (Unit, OutputStream), the docstrings of ezmsg.xdf.source and ezmsg.nwb.reader
# Seen:
#   xdf: ['INPUT_SETTINGS', 'OUTPUT_SIGNAL']
#   nwb: ['INPUT_SETTINGS', 'OUTPUT_SIGNAL', 'OUTPUT_TERM']
#   the class of XDF has an OutputStream of that name: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ezmsg==3.10.0b5 ezmsg-baseproc==1.15.0 \
  ezmsg-xdf==0.6.1 ezmsg-nwb==1.13.0 >&2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee seen.txt
import ezmsg.core as ez
from ezmsg.nwb.reader import NWBIteratorUnit
from ezmsg.xdf.source import XDFIteratorUnit

print("xdf:", sorted(XDFIteratorUnit.__streams__))
print("nwb:", sorted(NWBIteratorUnit.__streams__))
print("the class of XDF has an OutputStream of that name:", isinstance(XDFIteratorUnit.OUTPUT_TERM, ez.OutputStream))
PYTHON
diff - seen.txt <<'SEEN' && echo "as stated"
xdf: ['INPUT_SETTINGS', 'OUTPUT_SIGNAL']
nwb: ['INPUT_SETTINGS', 'OUTPUT_SIGNAL', 'OUTPUT_TERM']
the class of XDF has an OutputStream of that name: True
SEEN
