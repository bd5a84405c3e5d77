"""Errors, all of them, as one small tree: ``LedgerError`` -> kind -> case.

Every error carries a ``hint``: what the person who meets it can do next.

>>> from ezmsg.ledger import Ledger, errors
>>> try:
...     Ledger.open("nowhere.ledger", "r")
... except errors.NotALedger as error:
...     isinstance(error, errors.LedgerError)
True
"""

from ezmsg.ledger.lock.holder import Holder


class LedgerError(Exception):
    """Base of every error this project raises on purpose.

    ``str(error)`` says what happened and where; ``error.hint`` says what to do next ("" when there is nothing to add).

    >>> from ezmsg.ledger import Ledger
    >>> try:
    ...     Ledger.open("nowhere.ledger", "r")
    ... except LedgerError as error:
    ...     print(type(error).__name__, "-", error.hint.partition(".")[0])
    NotALedger - Check the name
    """

    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


# --- events and their codec ------------------------------------------------------------------------------------------


class EventError(LedgerError):
    """An event, or a value inside one, is not what the format allows."""


class InvalidEvent(EventError):
    """An event cannot be stored: it is already stamped, malformed, or refers to what is not there."""


class InvalidValue(EventError):
    """A value has no representation in the value form: too deep, too large, or not valid text."""


class OutOfOrder(EventError):
    """A projection was given an event that does not follow the last one it saw."""


class UnknownEvents(EventError):
    """A result was asked for that would be wrong, because events of a newer version were passed over."""

    hint = "Upgrade ezmsg-ledger, or ask for the result in spite of the unknown events."


# --- the log ---------------------------------------------------------------------------------------------------------


class LogError(LedgerError):
    """A fault of a ledger file or of its writer."""


class NotALedger(LogError):
    """The file is missing, empty, or not a ledger at all."""


class NewerFormat(LogError):
    """The ledger was written by a newer version in a format that this one does not know."""

    hint = "Upgrade ezmsg-ledger to read it."


class LedgerLocked(LogError):
    """The ledger is held by another writer. ``holder`` says who, as far as the lock file tells: pid, host, start."""

    hint = "Stop the other writer, or record to another file."

    def __init__(self, message: str, *, holder: Holder | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class ForkedWriter(LogError):
    """A process that was forked from the writer's tried to write."""

    hint = "Open the ledger in one process only; a forked child is never a writer."


class LedgerClosed(LogError):
    """The ledger was closed, or its writer died, before this call."""


class DamagedLedger(LogError):
    """Bytes that had reached the disk have changed. Nothing was cut.

    ``offset`` is the byte at which the first unsound commit begins or ends, ``seq`` the last event before it.
    """

    hint = "Keep the file as it is. What comes before the damage can be read; `verify` lists what does not hold."

    def __init__(self, message: str, *, offset: int, seq: int, hint: str | None = None) -> None:
        if hint is None and not seq:
            hint = "Keep the file as it is. No event comes before the damage; `verify` lists what does not hold."
        super().__init__(message, hint=hint)
        self.offset = offset
        self.seq = seq


class HistoryChanged(LogError):
    """The history that a reader had already shown is no longer in the file: it was cut back or replaced."""

    hint = "Read again from the start: the writer lost its last commits, or the file was replaced."


class HistoryDropped(LogError):
    """The events that were asked for lie before the first segment that is still in the ledger's folder."""

    hint = (
        "Put the earlier segments back into the folder, or ask the ledger that this one was cut out of, or ask for "
        "what comes later."
    )


class Conflict(LogError):
    """``expected_seq`` did not match: somebody else appended first."""

    hint = "Read what came, then decide again."


class WriteFailed(LogError):
    """The operating system refused a write or a sync; the events of this append are not in the ledger."""

    hint = "Free space on the disk, or record to another one."


# --- receipts --------------------------------------------------------------------------------------------------------


class ReceiptError(LedgerError):
    """A receipt proves nothing about this ledger, or this ledger is not what the receipt says. ``why``: in a word."""

    why = "error"


class MalformedNote(ReceiptError):
    """The text is not a receipt: it was cut, changed, or is something else."""

    hint = "Take the receipt as it was given, every byte of it: `ezmsg-ledger receipt LEDGER > FILE` writes one."
    why = "malformed"


class MalformedKey(ReceiptError):
    """The text is not a key, or a key of another kind."""

    hint = "`ezmsg-ledger receipt --new-key FILE` makes a key, and prints the line that others check its receipts with."
    why = "malformed_key"


class UnknownKey(ReceiptError):
    """The receipt has no signature of the key that it was to be checked with."""

    hint = "Ask the one who gave the receipt for the line of the key that signed it."
    why = "unknown_key"


class BadSignature(ReceiptError):
    """The signature is not that of this text: either was changed."""

    hint = "Trust nothing in this receipt."
    why = "bad_signature"


class OtherLedger(ReceiptError):
    """The receipt is of another ledger."""

    hint = "Name the ledger that the receipt was taken of: the first line of both has its id."
    why = "other_ledger"


class CutBack(ReceiptError):
    """The ledger ends before what the receipt proves to have been there."""

    hint = "What is missing was on the disk. Look for a copy of the ledger, and find out who shortened this one."
    why = "cut_back"


class OtherHistory(ReceiptError):
    """The bytes before the receipt's offset are not those that were there when it was taken."""

    hint = "Look for a copy that does hold the receipt. `ezmsg-ledger verify` says whether this one is sound in itself."
    why = "other_history"


class SegmentGone(ReceiptError):
    """The segment that the receipt speaks of is no longer there, so nothing can be told."""

    hint = "Put the segment back into the ledger's folder."
    why = "segment_gone"


class CannotSign(ReceiptError):
    """The library for signatures is not installed."""

    why = "cannot_sign"


# --- commands --------------------------------------------------------------------------------------------------------


class CommandRefused(LedgerError):
    """The graph does not allow the command; nothing changed but the record of the refusal."""


class CycleError(CommandRefused):
    """The edge would close a cycle. ``path`` is that cycle: from the edge's target back to its source.

    ``path[0]`` is the edge's ``to`` topic and ``path[-1]`` its ``from`` topic (one element for a self-edge).
    """

    hint = "Remove one of the edges along the path, or leave this one out."

    def __init__(self, from_topic: str, to_topic: str, path: tuple[str, ...]) -> None:
        super().__init__(f"{from_topic} -> {to_topic} would close a cycle: {' -> '.join((*path, to_topic))}")
        self.from_topic = from_topic
        self.to_topic = to_topic
        self.path = path


class AddressCollision(CommandRefused):
    """A session registers component addresses that another session holds."""

    def __init__(self, addresses: tuple[str, ...], holder: int, who: str = "") -> None:
        super().__init__(
            f"component address collision(s): {', '.join(addresses)} (held by session {holder}{who})",
            hint="Give the systems different root names, or end the other session first; one that will not end: "
            f"ezmsg-ledger evict {holder}",
        )
        self.addresses = addresses
        self.holder = holder


class OwnershipConflict(CommandRefused):
    """A process claims units that another process owns, or speaks for one that it does not own."""


class UnknownMoment(LedgerError):
    """No such moment in this ledger."""


class UnknownSubject(LedgerError):
    """A name of something that was never in this ledger: no such topic, session, unit, field."""


class PredicateError(LedgerError):
    """A predicate cannot be read. ``column`` (from 1) is where in ``text``; the message shows the place."""

    hint = 'Predicates are: edge A -> B, path A -> B, session LABEL, setting UNIT.field == VALUE; and, or, not, ( ).'

    def __init__(self, text: str, column: int, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{problem} at column {column}\n  {text}\n  {' ' * (column - 1)}^", hint=hint)
        self.text = text
        self.column = column


class NothingInCommon(LedgerError):
    """Two ledgers, or two moments of them, have nothing that could be compared."""
