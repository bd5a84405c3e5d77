#!/bin/sh
# nats-py 2.16.0: connect(allow_reconnect=False, max_reconnect_attempts=0) to a port where nobody listens never returns.
#
# A good guess is that it fails at once: reconnecting is off, and no attempts are asked for. It tries every two seconds for
# ever: only a number of attempts above zero bounds the first connection too (with 1 it raises NoServersError).
# Source: nats/aio/client.py, _select_next_server: a failed server goes back into the pool unless
# max_reconnect_attempts > 0 and it was tried more often. Output seen:
#   0 attempts: still trying after 7 s, 4 refusals
#   1 attempt: NoServersError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0
"$folder/venv/bin/python" - <<'P'
import asyncio
import socket

import nats

with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]  # bound, and nobody listens


async def tried(attempts: int) -> tuple[str, int]:
    refusals = []

    async def told(error: Exception) -> None:
        refusals.append(error)

    options = {"allow_reconnect": False, "max_reconnect_attempts": attempts, "error_cb": told}
    try:
        await asyncio.wait_for(nats.connect(f"nats://127.0.0.1:{port}", **options), 7)
    except asyncio.TimeoutError:
        return "still trying after 7 s", len(refusals)
    except Exception as error:
        return type(error).__name__, len(refusals)
    return "connected", 0


never, refusals = asyncio.run(tried(0))
print(f"0 attempts: {never}, {refusals} refusals")
once, _ = asyncio.run(tried(1))
print(f"1 attempt: {once}")
assert never == "still trying after 7 s" and refusals >= 3, (never, refusals)
assert once == "NoServersError", once
P
