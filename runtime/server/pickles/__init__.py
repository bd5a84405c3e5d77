"""The pickles of ezmsg's clients: read with an allow-list of ezmsg's classes, written so that every client reads them.

The plain dataclasses and enums of the installed ``ezmsg.core.graphmeta`` are made for real; the reading itself, which
calls nothing that a pickle names, is that of ``ezmsg.ledger.pickles``.
"""

from typing import Any

from ezmsg.ledger.pickles import UnsoundPickle, reading
from ezmsg.ledger.runtime.server.pickles.allowed import KNOWN, RECORDS
from ezmsg.ledger.runtime.server.pickles.writing import dumps
from ezmsg.ledger.runtime.server.wire.protocol import Malformed

__all__ = ["RECORDS", "BadPickle", "dumps", "loads"]


class BadPickle(Malformed):
    """Bytes that are not a pickle, or one that no ezmsg client makes."""


def loads(data: bytes) -> Any:
    """The object in a pickle: builtin values, UUIDs, ezmsg's metadata objects, and stand-ins for all else.

    Raises BadPickle. Cost: as ``ezmsg.ledger.pickles.loads``.
    """
    try:
        return reading.loads(data, KNOWN)
    except UnsoundPickle as error:
        raise BadPickle(str(error), hint=error.hint) from error
