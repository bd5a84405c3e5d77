import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from ezmsg.ledger import codec
from ezmsg.ledger.codec import LINE_MAX, Codec, decode, decode_line, encode
from ezmsg.ledger.errors import EventError, InvalidEvent
from ezmsg.ledger.events import (
    EVENT_TYPES,
    CommandRejected,
    EdgeConnected,
    EdgeDisconnected,
    Event,
    Gap,
    GraphPaused,
    Int64,
    Mark,
    MetadataRegistered,
    ProcessRegistered,
    RequestRouted,
    SessionClosed,
    SettingsValue,
    UnknownEvent,
)
from ezmsg.ledger.structural import Commit, Header, UnknownStructural, encode_commit
from ezmsg.ledger.values import freeze

relaxed = settings(deadline=None)  # a busy machine is no defect

MARK = Mark(seq=1, time=5, name="on")
MARK_LINE = b'{"type":"mark","seq":1,"time":5,"name":"on"}\n'
UNKNOWN_LINE = b'{"type":"edge.annotated","seq":2,"time":6,"note":[1, 2.50,"\\u00e9"]}\n'
UNKNOWN = UnknownEvent(seq=2, time=6, tag="edge.annotated", raw=UNKNOWN_LINE[:-1])
COMMIT_LINE = encode_commit(upto=2, count=2, at=3, synced=4, sha256="5")

# --- events of every type, from their annotations --------------------------------------------------------------------

texts = st.text(max_size=10)
integers = st.integers(-(2**63), 2**63 - 1)
forms = st.recursive(
    st.none() | st.booleans() | integers | st.floats() | texts | st.binary(max_size=5),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts | integers, inner, max_size=3),
    ),
    max_leaves=8,
).map(freeze)
by_annotation: dict[Any, st.SearchStrategy[Any]] = {
    int: integers,
    Int64: integers,
    int | None: st.none() | integers,
    Int64 | None: st.none() | integers,
    str: texts,
    str | None: st.none() | texts,
    bool: st.booleans(),
    bytes | None: st.none() | st.binary(max_size=10),
    tuple[str, ...]: st.lists(texts, max_size=3).map(tuple),
    tuple[int, ...]: st.lists(integers, max_size=3).map(tuple),
    dict[str, str]: st.dictionaries(texts, texts, max_size=3),
    Any: forms,
    Any | UnsetType: st.just(UNSET) | forms,
}


def instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{field.name: by_annotation[field.type] for field in msgspec.structs.fields(cls)})


by_annotation[SettingsValue] = instances(SettingsValue)
events = st.one_of([instances(cls) for cls in EVENT_TYPES.values()])
each_type = pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=EVENT_TYPES)


@each_type
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_an_event_of_any_type_comes_back(cls: type[Event], data: st.DataObject) -> None:
    batch = data.draw(st.lists(instances(cls), min_size=1, max_size=3))
    lines = encode(batch)
    read = decode(lines)
    assert read == batch
    assert [type(event) for event in read] == [cls] * len(batch)
    assert encode(read) == lines, "equal, but of other types inside"  # type: ignore[arg-type]
    assert [decode_line(line) for line in lines.split(b"\n")[:-1]] == batch


@given(st.lists(events, max_size=5))
@relaxed
def test_a_line_is_json_with_type_seq_and_time_first(batch: list[Event]) -> None:
    lines = encode(batch).split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(batch)
    for line, event in zip(lines, batch, strict=True):
        fields = json.loads(line)  # another reader than msgspec's
        first = [name for name in fields if name in ("type", "seq", "time")]
        assert list(fields)[: len(first)] == first
        assert EVENT_TYPES[fields["type"]] is type(event)
        assert fields.get("seq", 0) == event.seq
        assert fields.get("time", 0) == event.time


def test_any_iterable_of_events_is_encoded() -> None:
    assert encode([]) == encode(()) == b""
    assert encode(iter([MARK, MARK])) == encode((MARK, MARK)) == MARK_LINE * 2


def test_any_buffer_is_decoded() -> None:
    for data in (MARK_LINE + COMMIT_LINE, MARK_LINE + UNKNOWN_LINE):
        expected = decode(data)
        assert len(expected) == 2
        assert decode(bytearray(data)) == expected
        assert decode(memoryview(bytearray(b"x" + data + b"x"))[1:-1]) == expected
    assert decode(b"") == []


# --- what is not known -----------------------------------------------------------------------------------------------


@given(st.lists(events | st.integers(1, 10**6), min_size=1, max_size=8))
@relaxed
def test_unknown_events_keep_their_bytes_and_their_place(batch: list[Any]) -> None:
    lines = []
    for event in batch:
        if isinstance(event, int):
            lines.append(b'{ "time":7, "seq":%d ,"new":{"a":1.0e2},"type":"graph.new"}\n' % event)
        else:
            lines.append(encode([event]))
    read = decode(b"".join(lines))
    assert len(read) == len(batch)
    for found, event, line in zip(read, batch, lines, strict=True):
        if isinstance(event, int):
            assert found == UnknownEvent(seq=event, time=7, tag="graph.new", raw=line[:-1])
        else:
            assert found == event
    assert encode(read) == b"".join(lines)  # type: ignore[arg-type]


def test_an_unknown_structural_line_keeps_its_bytes_and_needs_no_seq() -> None:
    line = b'{"type":"ledger.rotated","to":"b.ledger"}'
    read = decode(MARK_LINE + line + b"\n" + UNKNOWN_LINE + COMMIT_LINE)
    assert read == [MARK, UnknownStructural("ledger.rotated", line), UNKNOWN, Commit(2, 2, 3, 4, "5")]


def test_structural_lines_stand_among_the_events() -> None:
    header = Header(format=1, id="a", created=2)
    data = msgspec.json.encode(header) + b"\n" + MARK_LINE + COMMIT_LINE
    assert decode(data) == [header, MARK, Commit(2, 2, 3, 4, "5")]


@pytest.mark.parametrize("reason", ["evaporated", "", "closed, perhaps", "Ende \N{SKULL}"])
def test_a_reason_that_is_not_known_survives(reason: str) -> None:
    event = SessionClosed(seq=1, time=1, session=1, reason=reason, detail=reason)
    assert decode(encode([event])) == [event]


def test_fields_of_a_newer_version_do_not_cost_the_event() -> None:
    assert decode(b'{"type":"mark","seq":1,"time":5,"name":"on","colour":{"$":"new"}}\n') == [MARK]


def test_a_codec_of_fewer_types_does_not_know_the_others() -> None:
    old = Codec([EdgeConnected])
    edge = EdgeConnected(seq=2, time=1, from_topic="A", to_topic="B", owner=None)
    data = encode([MARK, edge])
    assert old.decode(data) == [UnknownEvent(seq=1, time=5, tag="mark", raw=MARK_LINE[:-1]), edge]
    assert old.encode(old.decode(data)) == data  # type: ignore[arg-type]


# --- what is malformed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type":"mark","seq":1,"time":5}', "a malformed mark line: .*`name`"),
        (b'{"type":"mark","seq":1,"time":5,"name":7}', "a malformed mark line: .*name"),
        (b'{"type":"mark","seq":"1","time":5,"name":"on"}', "a malformed mark line: .*seq"),
        (b'{"type":"ledger.commit","upto":1}', "a malformed ledger.commit line: .*`count`"),
        (b'{"type":"edge.annotated","time":5}', "without a seq"),
        (b'{"type":"edge.annotated","seq":0,"time":5}', "without a seq"),
        (b'{"type":"edge.annotated","seq":true,"time":5}', "without a seq"),
        (b'{"type":"edge.annotated","seq":1,"time":"noon"}', "without a seq and a time"),
        (b'{"seq":1}', "not a line of a ledger: .*`type`"),
        (b'{"type":"mark","seq":1,"na', "not a line of a ledger"),
        (b'{"type":"mark","seq":1,"name":"\xff"}', "a malformed mark line"),
        (b'{"type":"mark","seq":1,"name":"\\ud800"}', "not a line of a ledger"),
        (b'{"type":"\xff","seq":1}', "not a line of a ledger"),
        (b"[]", "not a line of a ledger"),
        (b"\x00\x00", "not a line of a ledger"),
        (b'{"type":"x","seq":1,"deep":' + b"[" * 10**6 + b"]" * 10**6 + b"}", "not a line of a ledger"),
        (b'{"type":"command.rejected","arguments":' + b"[" * 10**6 + b"]" * 10**6 + b"}", "not a line of a ledger"),
    ],
)
def test_a_malformed_line_is_named(line: bytes, message: str) -> None:
    """Also one that nests too deeply: Python 3.14 reads a hundred times deeper than 3.13, if its stack has room."""
    for read in (lambda: decode_line(line), lambda: decode(MARK_LINE + line + b"\n" + MARK_LINE)):
        with pytest.raises(EventError, match=message) as caught:
            read()
        assert repr(line[:20])[2:-1] in str(caught.value)
        assert len(str(caught.value)) < 400


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
@relaxed
def test_arbitrary_bytes_are_no_line(line: bytes) -> None:
    with pytest.raises(EventError):
        decode_line(line)


@given(st.data())
@relaxed
def test_a_changed_byte_gives_a_line_or_an_event_error(data: st.DataObject) -> None:
    line = bytearray(encode([data.draw(events)]))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(line))
    except EventError as error:
        assert str(error)  # noqa: PT017 (either outcome is right, nothing else is)


@pytest.mark.parametrize("type_", ["mark", "of.a.newer.version"])
@pytest.mark.parametrize(("name", "value"), [("seq", 2**63), ("time", 2**63), ("time", -(2**63) - 1), ("time", 10**30)])
def test_a_line_whose_place_is_beyond_64_bits_is_none(type_: str, name: str, value: int) -> None:
    line = {"type": type_, "seq": 1, "time": 1, "name": "x", name: value}
    with pytest.raises(EventError):
        decode_line(json.dumps(line).encode())


def test_a_last_line_without_its_newline_is_not_passed_over() -> None:
    assert decode(MARK_LINE + MARK_LINE[:-1]) == [MARK, MARK]
    assert decode(UNKNOWN_LINE + MARK_LINE[:-1]) == [UNKNOWN, MARK]
    for before in (MARK_LINE, UNKNOWN_LINE):
        with pytest.raises(EventError):
            decode(before + MARK_LINE[:20])


def test_blank_lines_are_passed_over_whatever_stands_beside_them() -> None:
    assert decode(MARK_LINE + b"\n \n" + MARK_LINE) == [MARK, MARK]
    assert decode(MARK_LINE + b"\n \n" + UNKNOWN_LINE) == [MARK, UNKNOWN]


# --- what cannot be stored -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        EdgeConnected(from_topic="A\ud800", to_topic="B", owner=None),
        ProcessRegistered(process=1, pid=1, host="h", units=("A", "\udfff")),
        CommandRejected(actor=None, command="c", reason="r", arguments={"\ud800": 1}),
    ],
    ids=["topic", "unit", "key"],
)
def test_half_a_surrogate_pair_is_refused(event: Event) -> None:
    batches: list[list[Event | UnknownEvent]] = [[event], [MARK, event], [UNKNOWN, event]]
    for batch in batches:
        with pytest.raises(InvalidEvent, match="surrogates not allowed") as caught:
            encode(batch)
        assert "UTF-8" in caught.value.hint


THE_LOGS_OWN = ("seq", "time", "owner", "session", "process", "endpoint")  # numbers that no outsider gives


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64, 10**30])
@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (cls, field.name)
        for cls in EVENT_TYPES.values()
        for field in msgspec.structs.fields(cls)
        if field.type in (int, int | None) and field.name not in THE_LOGS_OWN
    ],
)
def test_an_integer_beyond_64_bits_is_refused(cls: type[Any], name: str, value: int) -> None:
    defaults: dict[Any, Any] = {
        int: 0,
        Int64: 0,
        str: "",
        bool: False,
        tuple[str, ...]: (),
        SettingsValue: SettingsValue(None, 1),
    }
    fields = {field.name: defaults.get(field.type) for field in msgspec.structs.fields(cls) if field.required}
    with pytest.raises(InvalidEvent, match=f"{name} is beyond 64 bits") as caught:
        encode([MARK, cls(**fields | {name: value})])
    assert caught.value.hint
    largest = cls(**fields | {name: 2**63 - 1 if value > 0 else -(2**63)})
    assert decode(encode([largest])) == [largest]


class Foreign:
    pass


@pytest.mark.parametrize(
    "value", [Foreign(), 1j, [Foreign()], type("Text", (str,), {})("x")], ids=lambda v: type(v).__name__
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(InvalidEvent, match="cannot be encoded") as caught:
        encode([MetadataRegistered(session=1, metadata=value)])
    assert "freeze" in caught.value.hint


def test_a_cyclic_form_is_refused() -> None:
    form: list[Any] = []
    form.append(form)
    with pytest.raises(InvalidEvent):
        encode([MetadataRegistered(session=1, metadata=form)])


def test_a_line_may_take_so_many_bytes_and_not_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = UnknownEvent(seq=1, time=1, tag="x", raw=MARK_LINE[:-1])
    monkeypatch.setattr(codec, "LINE_MAX", len(MARK_LINE))
    assert encode([MARK] * 3) == MARK_LINE * 3
    assert encode([unknown] * 3) == MARK_LINE * 3
    monkeypatch.setattr(codec, "LINE_MAX", len(MARK_LINE) - 1)
    for event in (MARK, unknown):
        with pytest.raises(
            InvalidEvent, match=f"takes {len(MARK_LINE)} bytes, more than the {len(MARK_LINE) - 1}"
        ) as caught:
            encode([GraphPaused(), event, GraphPaused()])
        assert caught.value.hint


def test_a_real_line_of_16_mebibytes() -> None:
    assert LINE_MAX == 16 * 2**20
    around = len(encode([Mark(seq=1, time=5, name="")]))
    largest = Mark(seq=1, time=5, name="x" * (LINE_MAX - around))
    lines = encode([largest, largest])
    assert len(lines) == 2 * LINE_MAX
    assert decode(lines) == [largest, largest]
    with pytest.raises(InvalidEvent, match="more than") as caught:
        encode([Mark(seq=1, time=5, name="x" * (LINE_MAX - around + 1))])
    assert len(str(caught.value)) < 400


def test_an_unknown_event_that_is_more_than_one_line_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="more than one line"):
        encode([UnknownEvent(seq=1, time=1, tag="mark", raw=MARK_LINE)])


def test_an_event_that_was_read_can_be_written_again_whatever_its_size() -> None:
    routed = RequestRouted(
        seq=1, time=1, uuid="u", session=1, unit="A", operation="o", process=None, payload=bytes(10**6)
    )
    assert decode(encode([routed])) == [routed]


# --- upcasting -------------------------------------------------------------------------------------------------------


class Link1(Event, frozen=True, gc=False, kw_only=True, tag="link.made"):
    pair: str


class Link2(Event, frozen=True, gc=False, kw_only=True, tag="link.made.2"):
    source: str
    target: str


def link_2(old: Link1) -> Link2:
    source, _, target = old.pair.partition(">")
    return Link2(seq=old.seq, time=old.time, source=source, target=target)


def edge(old: Link2) -> EdgeConnected:
    return EdgeConnected(seq=old.seq, time=old.time, from_topic=old.source, to_topic=old.target, owner=None)


LINK_1_LINE = b'{"type":"link.made","seq":3,"time":7,"pair":"A>B"}\n'
LINK_2_LINE = b'{"type":"link.made.2","seq":4,"time":8,"source":"A","target":"B"}\n'
EDGE_3 = EdgeConnected(seq=3, time=7, from_topic="A", to_topic="B", owner=None)
EDGE_4 = EdgeConnected(seq=4, time=8, from_topic="A", to_topic="B", owner=None)


def test_retired_types_are_read_as_those_of_today() -> None:
    newer = Codec(upcasters={Link2: edge})
    assert newer.decode(MARK_LINE + LINK_2_LINE + COMMIT_LINE) == [MARK, EDGE_4, Commit(2, 2, 3, 4, "5")]
    assert newer.decode_line(LINK_2_LINE[:-1]) == EDGE_4


def test_upcasters_follow_one_another() -> None:
    newest = Codec(upcasters={Link1: link_2, Link2: edge})
    assert newest.decode(LINK_1_LINE + LINK_2_LINE + MARK_LINE) == [EDGE_3, EDGE_4, MARK]
    assert newest.decode_line(LINK_1_LINE[:-1]) == EDGE_3


def test_upcasting_and_unknown_events_in_one_buffer() -> None:
    newest = Codec(upcasters={Link1: link_2, Link2: edge})
    assert newest.decode(UNKNOWN_LINE + LINK_1_LINE) == [UNKNOWN, EDGE_3]


def test_a_malformed_line_of_a_retired_type_is_named() -> None:
    newer = Codec(upcasters={Link2: edge})
    with pytest.raises(EventError, match=r"a malformed link\.made\.2 line"):
        newer.decode(b'{"type":"link.made.2","seq":4,"source":"A"}\n')


def test_the_catalogue_does_not_know_them() -> None:
    assert decode(LINK_1_LINE) == [UnknownEvent(seq=3, time=7, tag="link.made", raw=LINK_1_LINE[:-1])]


# --- a whole story ---------------------------------------------------------------------------------------------------


def test_a_batch_of_many_kinds_keeps_its_order() -> None:
    batch: list[Event | UnknownEvent] = [
        MARK,
        EdgeConnected(seq=2, time=5, from_topic="A", to_topic="B", owner=None, by="h:1"),
        UnknownEvent(seq=3, time=5, tag="x", raw=b'{"type":"x","seq":3,"time":5}'),
        EdgeDisconnected(seq=4, time=5, from_topic="A", to_topic="B", owner=None, reason="unseen"),
        Gap(seq=10, time=6, first=5, last=9, lost=5, late=0, reason="disk full"),
    ]
    assert decode(encode(batch)) == batch


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b'{"type":"x"}', '{"type":"x"}'),
        (b"\xff\n" * 3, r"\xff\n\xff\n\xff\n"),
        ("\u20ac\x1b", r"\u20ac\x1b"),
        (b"a" * 81, "a" * 80 + "..."),
        ("a" * 81, "a" * 80 + "..."),
    ],
)
def test_an_excerpt_is_short_and_can_be_written_anywhere(sent: bytes | str, shown: str) -> None:
    assert codec.excerpt(sent) == shown
