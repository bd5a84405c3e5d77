"""Giving events their place: what is checked before an append, for every kind of ledger."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import codec
from ezmsg.ledger.errors import EventError, InvalidEvent
from ezmsg.ledger.events import EVENT_TYPES, INT_MAX, INT_MIN, Event, Gap
from ezmsg.ledger.storage.cursor import follows

CHECKED_MAX = 64
"""Events of one append that are read back before they are written. What a live server appends is far below; a bulk of
thousands comes from code, not from a socket, and reading it back would cost as much again as all the rest."""

_CLASSES = frozenset(EVENT_TYPES.values())
_PLAIN = _CLASSES - {Gap}


def stamp(events: Sequence[Event], seq: int, time: int) -> list[Event]:
    """Copies of ``events`` with the seqs after ``seq``, and ``time`` (ns since the epoch, UTC), as the clock gave it.

    Raises InvalidEvent for what is not an event of the catalogue, for one that has a seq already, and for a gap that
    does not begin at the next seq. Cost: O(events), about 0.15 us each.
    """
    if type(time) is not int or not INT_MIN <= time <= INT_MAX:
        raise InvalidEvent(f"the clock gave {time!r}", hint="A clock gives ns since the epoch as an int of 64 bits.")
    if len(events) == 1:  # the common case, at a third of the cost
        event = events[0]
        if type(event) in _PLAIN and not event.seq:
            return [replace(event, seq=seq + 1, time=time)]
    kinds = set(map(type, events))
    if not kinds <= _CLASSES:
        raise _not_ours(events)
    if Gap in kinds:
        stamped = _stamp_with_gaps(events, seq, time)
    else:
        stamped = [replace(event, seq=n, time=time) for n, event in enumerate(events, seq + 1) if not event.seq]
    if len(stamped) != len(events):
        taken = next(event for event in events if event.seq)
        raise InvalidEvent(
            f"an event has seq {taken.seq} already: {taken!r:.200}",
            hint="Append new events; what a ledger gave back has its place.",
        )
    return stamped


def _stamp_with_gaps(events: Sequence[Event], seq: int, time: int) -> list[Event]:
    stamped = []
    for event in events:
        if event.seq:
            continue  # the caller counts
        seq += 1
        if isinstance(event, Gap) and event.lost > 0:
            if event.first != seq or event.last < event.first:
                raise InvalidEvent(
                    f"a gap of seqs {event.first} to {event.last} cannot stand where seq {seq} is next",
                    hint="A gap that lost events begins at next_seq.",
                )
            seq = event.last + 1
        stamped.append(replace(event, seq=seq, time=time))
    return stamped


def check_late(events: Sequence[Event], seq: int) -> None:
    """Raise InvalidEvent unless ``events`` have their seqs already, and these follow ``seq``."""
    for event in events:
        if not follows(event, seq):
            raise InvalidEvent(
                f"event {event.seq} cannot be stored after seq {seq}",
                hint="Late events are stored in their order, each after the one before it.",
            )
        seq = event.seq


def encode_late(events: Sequence[Event], seq: int) -> bytes:
    """The lines of events that have their seqs and times already. Raises InvalidEvent unless they follow ``seq``."""
    if not set(map(type, events)) <= _CLASSES:
        raise _not_ours(events)
    check_late(events, seq)
    data = codec.encode(events)
    check_readable(list(events), data)
    return data


def encode_stamped(stamped: list[Event]) -> bytes:
    """The lines of stamped events. Up to CHECKED_MAX of them are read back first: see ``check_readable``.

    Raises InvalidEvent for an event that cannot be encoded, or would not be read as it is.
    """
    data = codec.encode(stamped)
    if len(stamped) <= CHECKED_MAX:
        check_readable(stamped, data)
    return data


def check_readable(events: list[Event], data: bytes) -> None:
    """Raise InvalidEvent unless the lines ``data`` read back as ``events``.

    A field of the wrong type would be written, but then neither it nor anything after it could be read again; and what
    JSON does not keep (a tuple, NaN) would make a replay differ from what was lived. Cost: O(bytes), 0.3 us per event.
    """
    try:
        if codec.decode(data) == events:
            return
    except EventError as error:
        raise InvalidEvent(f"an event would not be readable: {error}", hint=_TYPES_HINT) from error
    wrong = next(event for event in events if codec.decode(codec.encode([event])) != [event])
    raise InvalidEvent(f"an event does not read back as it was given: {wrong!r:.200}", hint=_TYPES_HINT)


_TYPES_HINT = "Give each field the type that it declares; free values go through ezmsg.ledger.values.freeze."


def _not_ours(events: Sequence[Any]) -> InvalidEvent:
    wrong = next(event for event in events if type(event) not in _CLASSES)
    return InvalidEvent(
        f"{type(wrong).__name__} is not an event that can be appended: {wrong!r:.200}",
        hint="Append events of ezmsg.ledger.events; what a newer version wrote is copied by its bytes.",
    )
