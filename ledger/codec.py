"""Events to lines and back: JSON Lines through msgspec, with upcasting and room for what is not known yet.

``encode`` and ``decode`` work on whole buffers in C. A line that the fast path does not take is looked at alone: a type
of a newer version becomes an UnknownEvent that keeps its bytes; anything else is an EventError that names the line.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, Union, get_args

import msgspec

from ezmsg.ledger.errors import EventError, InvalidEvent
from ezmsg.ledger.events import EVENT_TYPES, INT_MAX, INT_MIN, AnyEvent, Event, UnknownEvent
from ezmsg.ledger.structural import KnownStructural, Structural, UnknownStructural

LINE_MAX = 16 * 2**20
"""Bytes of one line. Larger ones are refused before they are accepted: a reader must be able to hold a line."""

Line: TypeAlias = AnyEvent | Structural
Upcaster: TypeAlias = Callable[[Any], Event]


_STRUCTURAL = get_args(KnownStructural)


class _Head(msgspec.Struct):
    """The fields that every line has: enough to name it, and to place an event of an unknown type."""

    type: str
    seq: Any = 0
    time: Any = 0


class Codec:
    """Encodes and decodes a set of event types.

    ``upcasters`` maps a retired Struct to the function that makes today's event of it; retired types are decoded but
    never returned. The module's ``encode`` and ``decode`` are those of the catalogue.
    """

    def __init__(
        self,
        types: Iterable[type[Event]] = tuple(EVENT_TYPES.values()),
        upcasters: Mapping[type[Event], Upcaster] | None = None,
    ) -> None:
        self._upcasters = dict(upcasters or {})
        known = (*types, *self._upcasters)
        self._ints = {cls: names for cls in known if (names := _int_fields(cls))}
        self._bearing_ints = frozenset(self._ints)  # a dict would be walked through for each batch
        self._tags = {str(cls.__struct_config__.tag) for cls in known}
        self._encoder = msgspec.json.Encoder()
        union = Union[(*known, *_STRUCTURAL)]  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union)
        self._head = msgspec.json.Decoder(_Head)

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """The lines of ``events``, each with its newline. An UnknownEvent gives back its bytes.

        Raises InvalidEvent when a text is not valid UTF-8, an integer is beyond 64 bits (with its sign), or a line
        exceeds LINE_MAX. Cost: O(bytes), about 130 ns for an edge event.
        """
        batch = events if isinstance(events, list) else list(events)
        kinds = set(map(type, batch))
        if not kinds.isdisjoint(self._bearing_ints):
            self._refuse_large_integers(event for event in batch if type(event) in self._ints)
        try:
            if UnknownEvent in kinds:
                data = b"".join(map(self._encode_one, batch))
            else:
                data = self._encoder.encode_lines(batch)
        except (UnicodeEncodeError, OverflowError, TypeError, ValueError, RecursionError) as error:
            raise InvalidEvent(f"an event cannot be encoded: {error}", hint=_ENCODE_HINT) from error
        if len(data) > LINE_MAX:
            _refuse_long_lines(data)
        return data

    def _encode_one(self, event: AnyEvent) -> bytes:
        if not isinstance(event, UnknownEvent):
            return self._encoder.encode(event) + b"\n"
        if b"\n" in event.raw:
            raise InvalidEvent(f"more than one line: {excerpt(event.raw)}", hint="Give each line its own event.")
        return event.raw + b"\n"

    def decode(self, data: bytes | bytearray | memoryview) -> list[Line]:
        """The lines in ``data`` (whole lines, each ending in a newline), in order, structural ones included.

        Raises EventError, naming the line, when one is neither an event nor a structural line.
        """
        try:
            lines = self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # one odd line fails the whole buffer, and the message cannot tell why: look at each alone
            lines = [self._read(line) for line in bytes(data).split(b"\n") if line.strip()]
        if self._upcasters:
            return [self._upcast(line) for line in lines]
        return lines

    def decode_line(self, line: bytes) -> Line:
        """Decode a line, without its newline. Raises EventError when it is neither an event nor a structural line."""
        return self._upcast(self._read(line))

    def _read(self, line: bytes) -> Line:
        try:
            return self._decoder.decode(line)  # type: ignore[no-any-return]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            first = error
        try:
            head = self._head.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise EventError(f"not a line of a ledger: {error}: {excerpt(line)}") from error
        if head.type in self._tags or head.type in _STRUCTURAL_TAGS:
            raise EventError(f"a malformed {head.type} line: {first}: {excerpt(line)}") from first
        if head.type.startswith("ledger."):
            return UnknownStructural(head.type, line)
        placed = type(head.seq) is int and 1 <= head.seq <= INT_MAX
        if not placed or type(head.time) is not int or not INT_MIN <= head.time <= INT_MAX:
            raise EventError(f"an event without a seq and a time: {excerpt(line)}")
        return UnknownEvent(seq=head.seq, time=head.time, tag=head.type, raw=line)

    def _refuse_large_integers(self, bearing: Iterable[AnyEvent]) -> None:
        for event in bearing:
            for name in self._ints[type(event)]:  # type: ignore[index]
                value = getattr(event, name)
                if type(value) is int and not INT_MIN <= value <= INT_MAX:
                    raise InvalidEvent(f"an event cannot be encoded: {name} is beyond 64 bits", hint=_ENCODE_HINT)

    def _upcast(self, line: Line) -> Line:
        upcaster = self._upcasters.get(type(line))  # type: ignore[arg-type]
        while upcaster is not None:
            line = upcaster(line)
            upcaster = self._upcasters.get(type(line))
        return line


_ENCODE_HINT = "Texts must be valid UTF-8, integers fit in 64 bits; free values go through ezmsg.ledger.values.freeze."
_STRUCTURAL_TAGS = frozenset(str(cls.__struct_config__.tag) for cls in _STRUCTURAL)


_NUMBERED_BY_THE_LOG = frozenset({"seq", "time", "owner", "session", "process", "endpoint"})
"""Integers that no outsider has a say in. To leave them out spares the events that come in bulk the look."""


def _int_fields(cls: type[Event]) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in msgspec.structs.fields(cls)
        if field.name not in _NUMBERED_BY_THE_LOG and field.type in (int, int | None)
    )


def _refuse_long_lines(data: bytes) -> None:
    for line in data.split(b"\n"):
        size = len(line) + 1  # with its newline
        if size > LINE_MAX:
            raise InvalidEvent(
                f"an event takes {size} bytes, more than the {LINE_MAX} of a line: {excerpt(line)}",
                hint="Keep large values out of settings and metadata.",
            )


def excerpt(sent: bytes | str, most: int = 80) -> str:
    """The beginning of what others sent, fit for a message: on one line, and any encoding can write it."""
    shown = repr(sent[:most])[2:-1] if isinstance(sent, bytes) else ascii(sent[:most])[1:-1]
    return f"{shown}..." if len(sent) > most else shown


_default = Codec()
encode = _default.encode
decode = _default.decode
decode_line = _default.decode_line
