"""Libraries that not everybody has: loaded when they are needed, and asked for by name when they are missing."""

from importlib import import_module
from typing import Any

from ezmsg.ledger.errors import LedgerError


def needed(module: str, install: str, what: str, error: type[LedgerError], instead: str = "") -> Any:
    """The module of that name; ``install`` is what ``pip install`` brings it with.

    Raises ``error`` when it is not there, which says that ``what`` needs it, what to install, and what would do
    ``instead``.

    >>> from ezmsg.ledger import LedgerError
    >>> needed("json", "nothing", "A document", LedgerError).dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        library = module.partition(".")[0]
        if (missing.name or "").partition(".")[0] != library:  # it is there, and misses something itself
            raise
        quoted = f"'{install}'" if "[" in install else install
        hint = f"Install it: pip install {quoted}{instead}"
        raise error(f"{what} needs {library}, which is not installed", hint=hint) from missing
