"""Pickles read as data: opcodes are interpreted here, and nothing that they name is ever imported or called.

``loads`` builds builtin values and UUIDs, and objects of the classes that a caller allows; every other class, function
or object becomes a stand-in (see stand_ins.py). Python's own unpicklers are of no use for that: even with an allow-list
they let a pickle change the classes it may name (BUILD sets attributes of whatever is on the stack), grow the memo to
any size, and hash keys that take for ever.
"""

from ezmsg.ledger.pickles.machine import UnsoundPickle
from ezmsg.ledger.pickles.reading import loads

__all__ = ["UnsoundPickle", "loads"]
