"""Errors of shipping ledgers and of reading what was shipped."""

from ezmsg.ledger.errors import LedgerLocked, LogError, OtherHistory
from ezmsg.ledger.tools.exits import Misuse


class NoStream(Misuse):
    """The broker, its stream, or the ledger in that is not there, not allowed, or not as it must be."""


class Unreachable(LogError):
    """The broker does not answer now. What was asked of it may have been done all the same."""

    hint = "Is a server there, with JetStream on? docs/FLEET.md has the commands to start one."


class Disconnected(Unreachable):
    """The connection over which the stream was looked at is gone. Nothing was asked of the broker."""


class Refused(LogError):
    """The broker answered a request with an error: ``code`` is JetStream's own number for it."""

    hint = "Look at the broker's log, and at its limits: `nats stream info` and `nats account info` show them."

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Forked(OtherHistory):
    """The stream holds another history of this ledger than the file does."""

    hint = (
        "One of the two was restored from a copy, or changed. Nothing was added to the stream. Compare them: "
        "ezmsg-ledger fetch ADDRESS OTHER.ledger"
    )


class FenceLost(LedgerLocked):
    """The stream gets another history of this ledger, from another program."""

    hint = "Stop one of the two: a ledger has one writer, and one rig that ships it."
