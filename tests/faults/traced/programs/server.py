"""Records a graph that real ezmsg clients change, on a server of its own process: server.py FOLDER LEVEL EDGES"""

import asyncio
import json
import subprocess
import sys

from acks import say
from ezmsg.core.graphcontext import GraphContext

ANSWER_MAX_S = 60.0


def main(folder: str, level: str, edges: int) -> None:
    command = [sys.executable, "-m", "ezmsg.ledger.runtime.server", f"{folder}/x.ledger", "--durability", level]
    command += ["--address", "127.0.0.1:0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()  # its ledger is open; the next line says that it listens
        host, _, port = json.loads(server.stdout.readline())["address"].rpartition(":")
        try:
            asyncio.run(asyncio.wait_for(change((host, int(port)), level, edges), ANSWER_MAX_S))
        finally:
            server.stdin.write('{"stop": true}\n')
            server.stdin.close()
        if server.wait(ANSWER_MAX_S):
            sys.exit(f"the server ended with {server.returncode}")
    say(ended=True)


async def change(address: tuple[str, int], level: str, edges: int) -> None:
    """Edges from two clients at once, each noted when its client was answered."""
    async with GraphContext(address, auto_start=False) as one, GraphContext(address, auto_start=False) as other:
        for number in range(edges):
            await asyncio.gather(
                connect(one, level, f"FROM_A_{number}", "TO_A"), connect(other, level, f"FROM_B_{number}", "TO_B")
            )
            if number % 4 == 3:
                await one.disconnect(f"FROM_A_{number - 1}", "TO_A")


async def connect(client: GraphContext, level: str, source: str, target: str) -> None:
    await client.connect(source, target)
    say(edge=[source, target], lasts=level == "commit")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
