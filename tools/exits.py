"""The exit codes of ``ezmsg-ledger``, and which error ends in which. docs/cli.md has the table for people."""

from ezmsg.ledger import errors
from ezmsg.ledger.errors import LedgerError

OK = 0
NO = 1
"""The answer is no, or what was asked for could not be done: unsound, refused, nothing recorded."""
USAGE = 2
"""Bad arguments, no such file, no such moment, an address that is taken."""
NOT_A_LEDGER = 3
"""The file is something else, or empty, or of a format that this version does not know."""
DAMAGED = 4
"""The bytes on the disk have changed, or the events contradict each other."""
LOCKED = 5
"""The ledger is held by another writer."""
DISK = 6
"""The system refused to read or to write: permissions, no space, a broken disk."""
UNWRITTEN = 7
"""A recorder answered, and what it has noted is not on the disk: it cannot write at the moment."""
FAULT = 70
"""A fault of this program; it prints a traceback."""
SIGNALLED = 128
"""128 plus the number of the signal that ended it, as shells have it."""
INTERRUPTED = SIGNALLED + 2
"""Ctrl-C."""
PIPE = SIGNALLED + 13
"""The reader of the output has stopped reading, as ``| head`` does."""


class Misuse(LedgerError):
    """The command line asks for something that cannot be: the base of errors that end in USAGE."""


class MissingExtra(Misuse):
    """The command line asks for something that needs a library that is not installed."""


_CODES: dict[str, int] = {
    errors.NotALedger.__name__: NOT_A_LEDGER,
    errors.NewerFormat.__name__: NOT_A_LEDGER,
    errors.UnknownEvents.__name__: NOT_A_LEDGER,
    errors.DamagedLedger.__name__: DAMAGED,
    errors.HistoryChanged.__name__: DAMAGED,
    errors.EventError.__name__: DAMAGED,
    "MalformedBaseline": NOT_A_LEDGER,  # by its name: no other command need load it
    "NotARecording": NOT_A_LEDGER,  # likewise
    errors.LedgerLocked.__name__: LOCKED,
    errors.LogError.__name__: DISK,
    errors.CutBack.__name__: DAMAGED,
    errors.OtherHistory.__name__: DAMAGED,
    errors.MalformedNote.__name__: USAGE,
    errors.MalformedKey.__name__: USAGE,
    errors.CommandRefused.__name__: NO,
    errors.NothingInCommon.__name__: NO,
    errors.UnknownMoment.__name__: USAGE,
    errors.UnknownSubject.__name__: USAGE,
    errors.PredicateError.__name__: USAGE,
    "CannotListen": USAGE,  # by their names: a command that only looks need not load ezmsg.ledger.runtime
    "NoServer": USAGE,
    Misuse.__name__: USAGE,
    OSError.__name__: DISK,
    LedgerError.__name__: NO,
}


def code_of_proof(error: errors.ReceiptError) -> int:
    """The exit code of a proof that failed: DAMAGED where the ledger is not what it was, else NO."""
    return DAMAGED if code_of(error) == DAMAGED else NO


def code_of(error: BaseException) -> int:
    """The exit code for an error: that of its class, or of the nearest class that it derives from.

    An error that came out of another process names its class as ``kind``, and counts as that. FAULT for errors that
    nobody raises on purpose.
    """
    kind = getattr(error, "kind", None)
    if isinstance(kind, str) and kind in _CODES:
        return _CODES[kind]
    relayed = getattr(errors, kind, None) if isinstance(kind, str) else None
    for cls in (relayed if isinstance(relayed, type) else type(error)).__mro__:
        if cls.__name__ in _CODES:
            return _CODES[cls.__name__]
    return FAULT
