"""The live graph: decides commands, records them, and serves unmodified ezmsg programs.

Each name is imported when it is first asked for: a command that starts a recorder need not wait for what that runs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.live import LiveGraph
    from ezmsg.ledger.runtime.recorder.recording import record
    from ezmsg.ledger.runtime.server.server import GraphServer
    from ezmsg.ledger.runtime.session import Session

__all__ = ["GraphServer", "LiveGraph", "Session", "record"]

_HOMES = {"GraphServer": "server.server", "LiveGraph": "live", "Session": "session", "record": "recorder.recording"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
