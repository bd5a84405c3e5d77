#!/usr/bin/env bash
# ezmsg-websocket 1.1.4 (PyPI; with websockets 17.4, ezmsg 3.10.0b5) on Python 3.11 and newer: its WebsocketServer unit
# carries no message. Each client is accepted, and its connection is then closed with 1011 (internal error).
#
# A guess that a client which connects to the unit gets its messages into the pipeline, as the other unit of the package,
# WebsocketClient, does with those of a server, is wrong: the handler gives coroutines to asyncio.wait, which takes only
# tasks since Python 3.11, so it ends with a TypeError for each client. The package asks for Python 3.10 or newer. The
# pipeline itself goes on and reports no fault of the unit to ezmsg: only the client and the log see it.
#
# Source: https://pypi.org/project/ezmsg-websocket/1.1.4/ (requires-python, the docstrings of ezmsg.websocket.units)
#         https://docs.python.org/3/library/asyncio-task.html#asyncio.wait ("Changed in version 3.11")
# Seen:
#   a client connected
#   closed by the unit: 1011
#   messages that the pipeline received: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ezmsg==3.10.0b5 numpy==2.4.1 \
  ezmsg-websocket==1.1.4 websockets==17.4 >&2
cd "$folder"
cat > pipeline.py <<'PYTHON'
import asyncio
import socket

import ezmsg.core as ez
from ezmsg.websocket.units import WebsocketServer, WebsocketSettings
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

received = []


class Visitor(ez.Unit):
    SETTINGS = WebsocketSettings
    INPUT = ez.InputStream(object)

    @ez.subscriber(INPUT)
    async def take(self, message: object) -> None:
        received.append(message)

    @ez.task
    async def visit(self) -> None:
        for _ in range(100):
            try:
                async with connect(f"ws://127.0.0.1:{self.SETTINGS.port}") as client:
                    print("a client connected", flush=True)
                    try:
                        await client.send("hello")
                        await asyncio.wait_for(client.recv(), 2)
                    except ConnectionClosed as closed:
                        print("closed by the unit:", closed.rcvd.code, flush=True)
                    except TimeoutError:
                        print("the connection stays", flush=True)
                break
            except OSError:  # the unit does not listen yet
                await asyncio.sleep(0.1)
        print("messages that the pipeline received:", len(received), flush=True)
        raise ez.NormalTermination


class Lab(ez.Collection):
    SETTINGS = WebsocketSettings
    SERVER = WebsocketServer()
    VISITOR = Visitor()

    def configure(self) -> None:
        self.SERVER.apply_settings(self.SETTINGS)
        self.VISITOR.apply_settings(self.SETTINGS)

    def network(self) -> ez.NetworkDefinition:
        return ((self.SERVER.OUTPUT, self.VISITOR.INPUT),)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ez.run(LAB=Lab(WebsocketSettings("127.0.0.1", port)))
PYTHON
timeout 60 "$folder/venv/bin/python" pipeline.py 2>log.txt | grep -v -- " - pid: " | tee seen.txt
diff - seen.txt <<'SEEN' && echo "as stated"
a client connected
closed by the unit: 1011
messages that the pipeline received: 0
SEEN
