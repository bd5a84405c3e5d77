"""The guide's second program: it connects a scope, asks for a cycle, sets a gain, and listens where nobody speaks.

python guest.py: stays until its standard input ends, then leaves as ezmsg's contexts do.
"""

import asyncio
import sys

from ezmsg.core.dag import CyclicException
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import GraphMetadata


async def visit() -> None:
    async with GraphContext() as context:
        await context.register_metadata(GraphMetadata(schema_version=1, root_name="GUEST", components={}))
        await context.connect("RIG/AMP/OUTPUT", "GUEST/SCOPE")
        try:
            await context.connect("GUEST/SCOPE", "RIG/AMP/GAIN/OUTPUT")
        except CyclicException:
            pass  # as it should be: the recording says so
        await context.disconnect("RIG/AMP/OUTPUT", "GUEST/SCOPE")
        await context.connect("RIG/AMP/OUTPUT", "GUEST/SCOPE")
        await context.update_setting("RIG/AMP/GAIN", "gain", 1.5)
        await context.subscriber("GUEST/LONELY")
        print("settled", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(visit())
