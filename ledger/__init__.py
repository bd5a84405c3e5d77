"""The facts: typed events, their codec, and the append-only log.

Each name is imported when it is first asked for: a command that only starts a recorder reads no ledger.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ezmsg.ledger._version import __version__

if TYPE_CHECKING:
    from ezmsg.ledger import errors, events
    from ezmsg.ledger.errors import LedgerError
    from ezmsg.ledger.log import Ledger
    from ezmsg.ledger.reader import LedgerReader
    from ezmsg.ledger.storage.durability import Durability
    from ezmsg.ledger.storage.reading.verify import Verification

__all__ = ["Durability", "Ledger", "LedgerError", "LedgerReader", "Verification", "__version__", "errors", "events"]

_HOMES = {
    "Durability": "storage.durability",
    "Ledger": "log",
    "LedgerError": "errors",
    "LedgerReader": "reader",
    "Verification": "storage.reading.verify",
}


def __getattr__(name: str) -> Any:
    if name in ("errors", "events"):
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
