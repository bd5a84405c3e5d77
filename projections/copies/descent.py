"""Whether a ledger that was cut out of another one holds what that one holds, told by looking at both."""

from itertools import takewhile

import msgspec

from ezmsg.ledger.audit.receipt import check
from ezmsg.ledger.audit.source import Source
from ezmsg.ledger.errors import HistoryDropped, OtherHistory, OtherLedger
from ezmsg.ledger.projections.copies.cut import receipt_of
from ezmsg.ledger.projections.copies.pairs import DIFFERS_HINT, pairs
from ezmsg.ledger.projections.graph.replay import beginning, state_before
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.structural import CUT, SERVED, Origin


class Descent(msgspec.Struct, frozen=True, kw_only=True):
    """A cut ledger was found to hold what its original holds: ``events`` lines, ``first`` to ``last``, byte for byte.

    One that began with another one's graph has no line of it: ``events`` is 0, and the original goes on from ``last``.
    ``state``: whether the state that it begins with was compared too, which needs all of the original that leads there.
    ``added``: events after these, which were recorded to the cut ledger since.
    """

    origin: Origin
    events: int
    first: int
    last: int
    state: bool
    added: int


def check_descent(ledger: LedgerReader, original: LedgerReader, disk: Disk = OS_DISK) -> Descent:
    """Compare a ledger that ``cut`` has made with the one that it was cut out of, at once or by way of other cuts.

    Raises OtherLedger when it was cut out of another one or out of none; CutBack, SegmentGone or OtherHistory when the
    original does not hold what it held then, or a line of the cut is not one of its lines. Cost: both are read, and one
    file of the original hashed. That each of the two is sound is what ``verify`` says.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections.copies.cut import cut
    >>> with Ledger.open("whole.ledger") as ledger:
    ...     _ = ledger.append([events.Mark(name=name) for name in ("rest", "task", "rest again")])
    ...     _ = cut(ledger, 2, 3, "task.ledger")
    >>> with Ledger.open("task.ledger", "r") as piece, Ledger.open("whole.ledger", "r") as whole:
    ...     found = check_descent(piece, whole)
    >>> found.events, found.state, found.added
    (2, True, 0)
    """
    origins = list(takewhile(lambda each: each.made == CUT, reversed(ledger.origins)))
    if ledger.origins and ledger.origins[-1].made == SERVED:
        return _begun_from(ledger, ledger.origins[-1], original, disk)
    if not origins:
        what = "had values taken out of it" if ledger.origins else "was not cut out of a ledger"
        raise OtherLedger(f"{ledger.location} {what}", hint=_REDACTED_HINT if ledger.origins else _NONE_HINT)
    origin = next((each for each in origins if each.ledger == original.id), None)
    if origin is None:
        named = ", which was cut out of ".join(each.ledger for each in origins)
        why = f"{ledger.location} was cut out of {named}, but {original.location} is {original.id}"
        raise OtherLedger(why, hint="")
    check(original.location, receipt_of(origin), disk)
    first, last = ledger.first, ledger.origins[-1].last
    events = _same_lines(Source(disk, ledger.location), Source(disk, original.location), first - 1, last)
    return Descent(
        origin=origin,
        events=events,
        first=first,
        last=last,
        state=_same_beginning(ledger, original),
        added=max(0, ledger.head - last),
    )


def _begun_from(ledger: LedgerReader, origin: Origin, original: LedgerReader, disk: Disk) -> Descent:
    """Of a ledger that began with the graph of another one: whether that one still holds the event it names."""
    if origin.ledger != original.id:
        why = f"{ledger.location} began with the graph of {origin.ledger}, but {original.location} is {original.id}"
        raise OtherLedger(why, hint="")
    check(original.location, receipt_of(origin), disk)
    return Descent(origin=origin, events=0, first=origin.first, last=origin.last, state=False, added=ledger.head)


_NONE_HINT = "Name a ledger that `ezmsg-ledger cut` has made."
_REDACTED_HINT = "Ask: ezmsg-ledger redact LEDGER --check ORIGINAL"


def _same_lines(ours: Source, theirs: Source, after: int, last: int) -> int:
    """How many lines are the same from ``after`` to ``last``. Raises OtherHistory at the first that is not."""
    count = 0
    for pair in pairs(ours, theirs, after, last):
        if pair.ours != pair.theirs:
            raise OtherHistory(f"{ours.path} has another event at seq {pair.seq} than {theirs.path}", hint=DIFFERS_HINT)
        count += 1
    return count


def _same_beginning(ledger: LedgerReader, original: LedgerReader) -> bool:
    """Whether the state that ``ledger`` begins with was seen to be the original's; False when that cannot be told.

    Raises OtherHistory when it is another one.
    """
    first = ledger.first
    if first < original.first:
        return False
    try:
        theirs = state_before(original, first)
    except HistoryDropped:
        return False
    ours = beginning(ledger)
    if ours.digest(allow_unknown=True) != theirs.digest(allow_unknown=True):
        why = f"{ledger.location} begins with another state than {original.location} had after seq {first - 1}"
        raise OtherHistory(why, hint=DIFFERS_HINT)
    return True
