"""Giving events their place: what is checked before an append, for every kind of ledger."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ezmsg.ledger import codec
from ezmsg.ledger.errors import EventError, InvalidEvent
from ezmsg.ledger.events import EVENT_TYPES, INT_MAX, INT_MIN, Event, Gap, Int64, MetadataRegistered
from ezmsg.ledger.metadata import check_registered
from ezmsg.ledger.storage.reading.cursor import follows
from ezmsg.ledger.wording import seqs_text

FEW = 2
"""Events up to which each is converted by itself: a list costs as much as two before its first item."""

_CLASSES = frozenset(EVENT_TYPES.values())
_NOT_A_GAP = _CLASSES - {Gap}


def stamp(events: Sequence[Event], seq: int, time: int) -> list[Event]:
    """Copies of ``events`` with the seqs after ``seq``, and ``time`` (ns since the epoch, UTC), as the clock gave it.

    Raises InvalidEvent for what is not an event of the catalogue, for one that has a seq already, and for a gap that
    does not begin at the next seq. Cost: O(events), about 0.15 us each.
    """
    if type(time) is not int or not INT_MIN <= time <= INT_MAX:
        raise InvalidEvent(f"the clock gave {time!r}", hint="A clock gives ns since the epoch as an int of 64 bits.")
    if len(events) == 1:  # the common case, at a third of the cost
        event = events[0]
        if type(event) in _NOT_A_GAP and not event.seq:
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
        if isinstance(event, Gap):
            _check_plain_fields(Gap, [event])
        if isinstance(event, Gap) and event.lost > 0:
            if event.first != seq or event.last < event.first:
                raise InvalidEvent(
                    f"a gap of {seqs_text(event.first, event.last)} cannot stand where seq {seq} is next",
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
    return encode_stamped(list(events))


def encode_stamped(stamped: list[Event]) -> bytes:
    """The lines of stamped events, each of which reads back as it is: what a ledger holds it can read.

    Raises InvalidEvent for an event that cannot be encoded, or would not be read, and folded, as it is. Cost: that of
    encoding, and 0.2 us for each event of plain fields; the others are read back (see ``check_readable``).
    """
    data = codec.encode(stamped)
    kinds = set(map(type, stamped))
    if len(kinds) == 1:  # as a command of a client is: grouping costs as much as the check of one event
        _check_batch(kinds.pop(), stamped, data)
        return data
    batches: dict[type[Event], list[Event]] = {kind: [] for kind in kinds}
    for event in stamped:
        batches[type(event)].append(event)
    for kind, batch in batches.items():
        _check_batch(kind, batch, None)
    return data


def _check_batch(kind: type[Event], batch: list[Event], data: bytes | None) -> None:
    """Raise InvalidEvent unless events of one kind read back as they are; ``data``: their lines, if at hand."""
    _check_plain_fields(kind, batch)
    if kind not in _PLAIN:
        check_readable(batch, codec.encode(batch) if data is None else data)
        if kind is MetadataRegistered:
            _check_metadata(batch)


def _check_plain_fields(kind: type[Event], batch: list[Event]) -> None:
    """Raise InvalidEvent unless the plain fields of events of one kind have their types, and integers their bounds."""
    fields = _FIELDS[kind]
    try:
        if len(batch) > FEW:
            msgspec.convert(batch, list[fields], from_attributes=True)  # type: ignore[valid-type]
        else:
            for event in batch:
                msgspec.convert(event, fields, from_attributes=True)
    except msgspec.ValidationError as error:
        tag = kind.__struct_config__.tag
        raise InvalidEvent(f"an event would not be readable: {tag}: {error}", hint=_TYPES_HINT) from error


def _plain_fields(kind: type[Event]) -> dict[str, Any]:
    """The types of those fields of an event that hold a text, a truth value or an integer, which has its bounds."""
    return {
        field.name: Int64 if field.type is int else Int64 | None if field.type == int | None else field.type
        for field in msgspec.structs.fields(kind)
        if field.type in (str, bool, int, str | None, int | None) and field.name not in Event.__struct_fields__
    }


_FIELDS: dict[type, Any] = {
    kind: msgspec.defstruct(kind.__name__, list(_plain_fields(kind).items()), gc=False) for kind in _CLASSES
}
"""The classes that events are converted to, to check their plain fields: nothing is kept of it. That is half the cost
of reading lines back, since no text is copied and nothing compared."""

_PLAIN = frozenset(
    kind for kind in _CLASSES if {*_plain_fields(kind), *Event.__struct_fields__} == set(kind.__struct_fields__)
)
"""The events all of whose fields are plain: of these nothing is lost on the way to a line and back."""


def _check_metadata(batch: Sequence[Any]) -> None:
    """Raise InvalidEvent unless each metadata is such that a fold can take it over."""
    for event in batch:
        try:
            check_registered(event.metadata)
        except (AttributeError, KeyError, TypeError, ValueError, EventError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else error
            raise InvalidEvent(f"metadata that no replay could take over: {what}", hint=_METADATA_HINT) from error


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


_METADATA_HINT = "Freeze a GraphMetadata of ezmsg.ledger.metadata: it has all fields that are needed."
_TYPES_HINT = "Give each field the type that it declares; free values go through ezmsg.ledger.values.freeze."


def _not_ours(events: Sequence[Any]) -> InvalidEvent:
    wrong = next(event for event in events if type(event) not in _CLASSES)
    return InvalidEvent(
        f"{type(wrong).__name__} is not an event that can be appended: {wrong!r:.200}",
        hint="Append events of ezmsg.ledger.events; what a newer version wrote is copied by its bytes.",
    )
