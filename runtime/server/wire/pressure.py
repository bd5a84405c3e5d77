"""Memory that clients make the server hold: bounded for all of them together."""

import logging
from collections.abc import Collection

from ezmsg.ledger.runtime.server.wire.connection import Connection

logger = logging.getLogger("ezmsg.ledger")

STEP = 64
"""The bound is looked at again when another such part of it has come, however close to it all is: a look at many
connections takes a while."""


class Pressure:
    """The bound on the bytes that ``connections`` leave pending together: ``most``, and a STEPth of it.

    Each connection is bounded by itself as well.
    """

    def __init__(self, connections: Collection[Connection], most: int) -> None:
        self._connections = connections
        self._most = most
        self._room = most

    def grew(self, size: int) -> None:
        """Count ``size`` more bytes that wait, sent or received. Costs next to nothing while there is room."""
        self._room -= size
        if self._room < 0:
            self.relieve()

    def relieve(self) -> None:
        """Cut connections off, those with the most pending bytes first, until all together hold ``most`` at most.

        Cost: O(connections), 0.2 us each, but for those that are laden.
        """
        held = [(connection.pending, connection) for connection in self._connections if connection.is_laden]
        total = sum(pending for pending, _ in held)
        if total > self._most:
            held.sort(key=lambda pair: pair[0], reverse=True)
            for pending, connection in held:
                why = f"clients left {total} bytes pending together, where {self._most} are allowed"
                logger.warning("%s was cut off: %s; %d of them were its own", connection.peer, why, pending)
                connection.cut_off(why)
                total -= pending
                if total <= self._most:
                    break
        self._room = max(self._most - total, self._most // STEP)
