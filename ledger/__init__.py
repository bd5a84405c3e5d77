"""The facts: typed events, their codec, and the append-only log."""

from ezmsg.ledger import metadata as _metadata  # registers the models, so that values.thaw knows them
from ezmsg.ledger._version import __version__
from ezmsg.ledger.errors import LedgerError

__all__ = ["LedgerError", "__version__"]
del _metadata
