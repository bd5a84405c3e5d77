"""Libraries that not everybody has: loaded when they are needed, and asked for by name when they are missing."""

from importlib import import_module
from typing import Any

from ezmsg.ledger.tools.exits import Misuse


class MissingExtra(Misuse):
    """A format needs a library that is not installed."""


def needed(module: str, install: str, what: str) -> Any:
    """The module of that name. Raises MissingExtra, which says what to install, when it is not there."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if error.name != library:  # it is there, and misses something itself
            raise
        raise MissingExtra(
            f"{what} needs {library}, which is not installed", hint=f"Install it: pip install {_quoted(install)}"
        ) from error


def _quoted(install: str) -> str:
    return f"'{install}'" if "[" in install else install
