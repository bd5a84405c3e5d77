"""Edges that no session owns: connects or disconnects one, or lists all that there are.

persistent.py connect|disconnect|list [FROM TO]
"""

import asyncio
import sys

from ezmsg.core.graphserver import GraphService


async def main() -> None:
    command, *edge = sys.argv[1:]
    service = GraphService()
    if command == "connect":
        await service.connect(*edge)
    elif command == "disconnect":
        await service.disconnect(*edge)
    else:
        graph = (await service.dag()).graph
        for from_topic, to_topic in sorted((node, other) for node, others in graph.items() for other in others):
            print(f"{from_topic} -> {to_topic}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
