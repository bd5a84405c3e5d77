"""The live graph: decides commands, records them, and serves unmodified ezmsg programs.

``GraphServer`` and ``record`` need ezmsg and are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.session import Session

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.recorder.recording import record
    from ezmsg.ledger.runtime.server.server import GraphServer

__all__ = ["GraphServer", "LiveGraph", "Session", "record"]

_HOMES = {"GraphServer": "server.server", "record": "recorder.recording"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
