import gc
import re
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from ezmsg.ledger import codec, events
from ezmsg.ledger.events import (
    EVENT_TYPES,
    AnyEvent,
    EdgeConnected,
    Event,
    ServerStarted,
    SettingsUpdated,
    SettingsValue,
    UnknownEvent,
    stamped,
    type_of,
)

EXAMPLES: dict[Any, Any] = {
    int: 7,
    events.Int64: 7,
    int | None: 7,
    events.Int64 | None: 7,
    str: "text",
    str | None: "text",
    bool: True,
    bytes | None: b"bytes",
    tuple[str, ...]: ("a", "b"),
    tuple[int, ...]: (1, 2),
    dict[str, str]: {"a": "b"},
    SettingsValue: SettingsValue(b"", ["form"], {"a": 1}, {"b": 2}),
    Any: [{"form": 1}],
    Any | UnsetType: {"form": 1},
}
"""A value for every annotation that there may be. None of them can hold an event, so no event is part of a cycle."""

each_type = pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=EVENT_TYPES)


def full(cls: type[Any], **changes: Any) -> Any:
    return cls(**{field.name: EXAMPLES[field.type] for field in msgspec.structs.fields(cls)} | changes)


def test_the_catalogue_holds_every_event_class_of_the_module() -> None:
    classes = {
        item
        for item in vars(events).values()
        if isinstance(item, type) and issubclass(item, Event) and item is not Event
    }
    assert classes == set(EVENT_TYPES.values())
    assert len(EVENT_TYPES) == len(classes), "two classes with one type text"
    assert all(issubclass(cls, AnyEvent) for cls in (*classes, UnknownEvent))


@each_type
def test_a_class_is_named_for_its_type(cls: type[Event]) -> None:
    text = type_of(full(cls))
    assert EVENT_TYPES[text] is cls
    assert cls.__name__ == "".join(part.capitalize() for part in re.split(r"[._]", text))
    assert not text.startswith("ledger."), "those are structural"


@each_type
def test_an_event_is_frozen_and_nothing_for_the_garbage_collector(cls: type[Event]) -> None:
    event = full(cls)
    for name in cls.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(event, name, getattr(event, name))
    assert not gc.is_tracked(event)


def test_what_events_hold_is_frozen_and_nothing_for_the_garbage_collector() -> None:
    for thing in (EXAMPLES[SettingsValue], UnknownEvent(seq=1, time=1, tag="x", raw=b"{}")):
        assert not gc.is_tracked(thing)
        for name in thing.__struct_fields__:
            with pytest.raises(AttributeError):
                setattr(thing, name, getattr(thing, name))


@each_type
def test_seq_and_time_come_first_and_the_rest_only_by_name(cls: type[Any]) -> None:
    assert cls.__struct_fields__[:2] == ("seq", "time")
    required = {field.name: EXAMPLES[field.type] for field in msgspec.structs.fields(cls) if field.required}
    event = cls(1, 2, **required)
    assert (event.seq, event.time) == (1, 2)
    with pytest.raises(TypeError):
        cls(1, 2, *required.values(), "one more")


@each_type
def test_the_order_in_a_line_is_type_seq_time_and_the_rest_as_declared(cls: type[Event]) -> None:
    line = msgspec.json.decode(codec.encode([full(cls)]), type=dict[str, Any])
    assert list(line) == ["type", *cls.__struct_fields__]


NOTHING: dict[Any, Any] = {
    int: 0,
    events.Int64: 0,
    str: "",
    bool: False,
    tuple[str, ...]: (),
    SettingsValue: SettingsValue(None, None),
}


@each_type
def test_defaults_are_left_out_but_required_fields_never(cls: type[Any]) -> None:
    required = [field for field in msgspec.structs.fields(cls) if field.required]
    event = cls(**{field.name: NOTHING.get(field.type) for field in required})
    line = codec.encode([event])
    assert list(msgspec.json.decode(line, type=dict[str, Any])) == ["type", *(field.name for field in required)]
    assert codec.decode(line) == [event]


def test_rules_that_are_left_out_are_the_first_for_ever() -> None:
    """Newer rules are said; a default that followed RULES would rewrite the history of every older ledger."""
    line = b'{"type":"server.started","seq":1,"time":1,"uuid":"u","kind":"server","name":"n","host":"h","pid":1}'
    assert codec.decode_line(line).rules == 1  # type: ignore[union-attr]
    assert next(field.default for field in msgspec.structs.fields(ServerStarted) if field.name == "rules") == 1


def test_a_settings_schema_that_is_null_is_not_one_that_is_absent() -> None:
    absent, null = SettingsValue(None, "x"), SettingsValue(None, "x", settings_schema=None)
    values = [absent, null, SettingsValue(None, "x", settings_schema={})]
    batch = [SettingsUpdated(seq=i, process=1, component="A", value=value) for i, value in enumerate(values, 1)]
    read = codec.decode(codec.encode(batch))
    assert [event.value.settings_schema for event in read] == [UNSET, None, {}]  # type: ignore[union-attr]


def test_a_stamped_copy_has_a_place_and_leaves_the_event_as_it_was() -> None:
    event = EdgeConnected(from_topic="A", to_topic="B", owner=None)
    copy = stamped(event, seq=5, time=9)
    assert (copy.seq, copy.time, copy.from_topic, copy.owner) == (5, 9, "A", None)
    assert (event.seq, event.time) == (0, 0)
    assert type(copy) is EdgeConnected


def test_the_type_of_an_unknown_event_is_that_of_its_line() -> None:
    assert type_of(UnknownEvent(seq=1, time=1, tag="edge.annotated", raw=b"{}")) == "edge.annotated"


def test_no_two_events_share_a_default_that_can_change() -> None:
    first, second = (ServerStarted(uuid="u", kind="server", name="n", host="h", pid=1) for _ in range(2))
    first.versions["a"] = "b"
    assert second.versions == {}
