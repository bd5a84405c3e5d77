"""A pipeline that starts a graph server of its own and names its address: it cannot be recorded unchanged."""

import sys

import ezmsg.core as ez
from endless import Clock
from ezmsg.core.graphserver import GraphService


class Once(ez.Unit):
    """Ends the system as soon as it runs."""

    @ez.task
    async def end(self) -> None:
        raise ez.NormalTermination


server = GraphService(("127.0.0.1", 0)).create_server()
ez.run(CLOCK=Clock(), ONCE=Once(), graph_address=server.address)
server.stop()
sys.exit(4)
