"""Pickles read as data: opcodes are interpreted here, and nothing that they name is ever imported or called.

``loads`` builds builtin values, UUIDs and, from an allow-list, the plain dataclasses and enums of the installed
``ezmsg.core.graphmeta``; every other class, function or object becomes a stand-in (see stand_ins.py). Python's own
unpicklers are of no use for that: even with an allow-list they let a pickle change the classes it may name (BUILD sets
attributes of whatever is on the stack), grow the memo to any size, and hash keys that take for ever.
"""

from ezmsg.ledger.runtime.server.pickles.allowed import RECORDS
from ezmsg.ledger.runtime.server.pickles.machine import BadPickle
from ezmsg.ledger.runtime.server.pickles.reading import loads
from ezmsg.ledger.runtime.server.pickles.writing import dumps

__all__ = ["RECORDS", "BadPickle", "dumps", "loads"]
