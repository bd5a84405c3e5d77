"""The demonstration's second session: it shares an edge with the pipeline, adds one of its own, and never says goodbye.

python visitor.py FROM TO OWN_FROM OWN_TO
"""

import asyncio
import sys

from ezmsg.core.graphcontext import GraphContext


async def visit(shared: tuple[str, str], own: tuple[str, str]) -> None:
    """Connect both edges, and stay until killed."""
    async with GraphContext() as context:
        await context.connect(*shared)
        await context.connect(*own)
        await asyncio.Event().wait()


if __name__ == "__main__":
    from_topic, to_topic, own_from, own_to = sys.argv[1:]
    asyncio.run(visit((from_topic, to_topic), (own_from, own_to)))
