"""The facts: typed events, their codec, and the append-only log."""

from ezmsg.ledger import errors, events
from ezmsg.ledger import metadata as _metadata  # registers the models, so that values.thaw knows them
from ezmsg.ledger._version import __version__
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger, LedgerReader
from ezmsg.ledger.storage.flusher import Durability
from ezmsg.ledger.storage.verify import Verification

__all__ = ["Durability", "Ledger", "LedgerError", "LedgerReader", "Verification", "__version__", "errors", "events"]
del _metadata
