#!/usr/bin/env bash
# nkeys 0.2.1 (PyPI), which nats-py uses: a seed with a typing error in it is taken, and is the seed of another key. The
# format has a checksum for that at its end (CRC-16 over prefix and bytes); `from_seed` cuts it off unread, so that also an
# error in the checksum itself passes. A server then refuses the user, and nothing tells that the file was mistyped.
#
# Source: https://pypi.org/project/nkeys/0.2.1/ (from_seed); the format: https://github.com/nats-io/nkeys (README, "Prefix")
# Seen:
#   as made: the key of the seed
#   a letter changed in its middle: another key
#   a letter changed in its checksum: the key of the seed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nkeys==0.2.1 >&2
cd "$folder"
cat > seeds.py <<'PYTHON'
import nkeys

made = bytes(nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER))
key = nkeys.from_seed(bytearray(made)).public_key


def changed(place):
    letter = b"B" if made[place : place + 1] == b"A" else b"A"
    return made[:place] + letter + made[place + 1 :]


seeds = {
    "as made": made,
    "a letter changed in its middle": changed(20),
    "a letter changed in its checksum": changed(56),
}
for what, seed in seeds.items():
    try:
        found = nkeys.from_seed(bytearray(seed)).public_key
    except nkeys.NkeysError as error:
        print(f"{what}: {type(error).__name__}")
    else:
        print(f"{what}: {'the key of the seed' if found == key else 'another key'}")
PYTHON
"$folder/venv/bin/python" seeds.py | tee seen
cat > expected <<'TEXT'
as made: the key of the seed
a letter changed in its middle: another key
a letter changed in its checksum: the key of the seed
TEXT
diff expected seen
