"""Libraries that not everybody has: loaded when they are needed, and asked for by name when they are missing."""

import json
import os
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
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
        raise _missing(library, install, what, error, instead) from missing


def require(modules: Iterable[str], install: str, what: str, error: type[LedgerError]) -> None:
    """Raise ``error`` as ``needed`` does when one of ``modules`` is not there, without the time to import them.

    >>> from ezmsg.ledger import LedgerError
    >>> require(["json"], "nothing", "A document", LedgerError)
    """
    for module in modules:
        if find_spec(module) is None:
            raise _missing(module, install, what, error)


def _missing(library: str, install: str, what: str, error: type[LedgerError], instead: str = "") -> LedgerError:
    hint = f"Install it: {install_command(install)}{instead}"
    return error(f"{what} needs {library}, which is not installed", hint=hint)


NAME = "ezmsg-ledger"


def install_command(what: str) -> str:
    """The ``pip install`` for a requirement: an extra of ours comes from where this program was installed from.

    >>> install_command("networkx")
    'pip install networkx'
    """
    if what.partition("[")[0] != NAME:
        return f"pip install {_quoted(what)}"
    from importlib.metadata import distributions  # 50 ms, with all it imports: only for who misses something

    extra = what.removeprefix(NAME)
    # PEP 610; an index leaves none, nor has the egg-info in a checkout that is the working folder
    notes = (found.read_text("direct_url.json") for found in distributions(name=NAME))
    origin = next(filter(None, notes), None)
    return _from_origin(json.loads(origin) if origin else {}, extra)


def _from_origin(origin: dict[str, Any], extra: str) -> str:
    """The command for an extra, by what pip noted of where the program came from."""
    url = str(origin.get("url", ""))
    if "vcs_info" in origin:
        where = f"{NAME}{extra} @ {origin['vcs_info']['vcs']}+{url}"
        return f"pip install {_quoted(where)}"
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    if os.name == "nt":
        path = path.lstrip("/")
    if not path:
        return f"pip install {_quoted(f'{NAME}{extra} @ {url}')}" if url else _indexed(extra)
    if not os.path.exists(path):  # moved, or a wheel that was thrown away
        return _indexed(extra)
    editable = "-e " if dict(origin.get("dir_info", {})).get("editable") else ""
    return f"pip install {editable}{_quoted(path + extra)}"


def _indexed(extra: str) -> str:
    return f"pip install {_quoted(NAME + extra)}"


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
