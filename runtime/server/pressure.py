"""Memory that clients make the server hold: bounded for all of them together."""

import logging
from collections.abc import Iterable

from ezmsg.ledger.runtime.server.connection import Connection

logger = logging.getLogger("ezmsg.ledger")


def relieve(connections: Iterable[Connection], most: int) -> int:
    """Cut connections off, those with the most pending bytes first, until all together hold ``most`` at most.

    Returns how many bytes they hold then. Each connection is bounded by itself as well; this is looked after now and
    then, so a crowd can hold more for a moment. Cost: O(connections), 0.2 us each, but for those that are laden.
    """
    held = [(connection.pending, connection) for connection in connections if connection.is_laden]
    total = sum(pending for pending, _ in held)
    if total <= most:
        return total
    held.sort(key=lambda pair: pair[0], reverse=True)
    for pending, connection in held:
        if total <= most:
            break
        why = f"clients left {total} bytes pending together, where {most} are allowed"
        logger.warning("%s was cut off: %s; %d of them were its own", connection.peer, why, pending)
        connection.cut_off(why)
        total -= pending
    return total
