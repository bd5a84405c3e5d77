#!/usr/bin/env bash
# ezmsg 3.10.0b5 (PyPI): without numpy, no message passes from one process to another, not even an int.
#
# numpy is not among ezmsg's requirements: it comes with the extra ezmsg[axisarray], and 3.9.0 passes what is not an
# array between processes without it. In 3.10.0b5 every message that leaves a process goes through a step for the axes of
# AxisArrays, which imports numpy whatever the message is. The task of the publisher ends there with a
# ModuleNotFoundError in the log; the pipeline as a whole starts, runs on and ends in good order, and its subscriber has
# heard nothing. In one process, the same units and messages pass.
#
# Source: ezmsg's metadata (Requires-Dist) and its documentation of process_components
# Seen:
#   numpy is there: False
#   one process: the subscriber heard 5 messages
#   two processes: the subscriber heard 0 messages
#   in the log: ModuleNotFoundError: No module named 'numpy'
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ezmsg==3.10.0b5 >&2
cd "$folder"
cat > pipeline.py <<'PYTHON'
import asyncio
import sys

import ezmsg.core as ez


class Counter(ez.Unit):
    OUTPUT = ez.OutputStream(int)

    @ez.publisher(OUTPUT)
    async def count(self):
        for number in range(5):
            await asyncio.sleep(0.2)
            yield self.OUTPUT, number
        await asyncio.sleep(1.0)


class Listener(ez.Unit):
    INPUT = ez.InputStream(int)

    @ez.subscriber(INPUT)
    async def hear(self, message: int) -> None:
        print("heard", message, flush=True)

    @ez.task
    async def leave(self):
        await asyncio.sleep(4.0)
        raise ez.NormalTermination


class System(ez.Collection):
    COUNTER = Counter()
    LISTENER = Listener()

    def network(self):
        return ((self.COUNTER.OUTPUT, self.LISTENER.INPUT),)

    def process_components(self):
        return (self.COUNTER, self.LISTENER) if sys.argv[1] == "two" else ()


if __name__ == "__main__":
    ez.run(SYSTEM=System())
PYTHON
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export EZMSG_GRAPHSERVER_ADDR=127.0.0.1:$port
venv/bin/ezmsg serve --address "$EZMSG_GRAPHSERVER_ADDR" > server.log 2>&1 &
server=$!
for _ in $(seq 100); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done
for number in one two; do
  timeout -s INT 60 venv/bin/python pipeline.py $number > $number.log 2>&1 || true
done
{
  venv/bin/python -c 'from importlib.util import find_spec; print("numpy is there:", find_spec("numpy") is not None)'
  echo "one process: the subscriber heard $(grep -c '^heard' one.log) messages"
  echo "two processes: the subscriber heard $(grep -c '^heard' two.log) messages"
  echo "in the log: $(grep -h ModuleNotFoundError two.log | sort -u)"
} | tee seen.txt
diff - seen.txt <<'SEEN' && echo "as stated"
numpy is there: False
one process: the subscriber heard 5 messages
two processes: the subscriber heard 0 messages
in the log: ModuleNotFoundError: No module named 'numpy'
SEEN
