"""A graph server that speaks ezmsg's protocol and records all it decides."""

from ezmsg.ledger.runtime.server.server import LEDGER_ENV, GraphServer

__all__ = ["LEDGER_ENV", "GraphServer"]
