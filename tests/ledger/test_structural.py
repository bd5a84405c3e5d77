import gc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import codec, structural
from ezmsg.ledger.errors import EventError
from ezmsg.ledger.structural import (
    COMMIT_PREFIX,
    HEADER_PREFIX,
    ORIGIN_PREFIX,
    STRUCTURAL_PREFIX,
    Commit,
    Header,
    KnownStructural,
    Origin,
    Recovered,
    Structural,
    UnknownStructural,
    encode_commit,
)

relaxed = settings(deadline=None)

HEX = "0123456789abcdef" * 4
HEADER = Header(format=1, id="0b2c", created=5)
COMMIT = Commit(upto=3, count=2, at=100, synced=50, sha256=HEX)
RECOVERED = Recovered(at=100, bytes=7, saved="run.ledger.tail-100", time=9)
ORIGIN = Origin(
    made="cut",
    ledger="0b2c",
    segment=1,
    size=100,
    sha256=HEX,
    upto=3,
    first=2,
    last=3,
    time=9,
    salt="",
    redacted=(),
)
UNKNOWN = UnknownStructural(tag="ledger.rotated", raw=b'{"type":"ledger.rotated"}')

offsets = st.integers(0, 2**63 - 1)


@given(offsets, offsets, offsets, offsets, st.text("0123456789abcdef", min_size=64, max_size=64))
@relaxed
def test_a_commit_line_is_what_the_codec_makes_of_a_commit(
    upto: int, count: int, at: int, synced: int, sha: str
) -> None:
    line = encode_commit(upto=upto, count=count, at=at, synced=synced, sha256=sha)
    commit = Commit(upto, count, at, synced, sha)
    assert line == msgspec.json.encode(commit) + b"\n"
    assert codec.decode(line) == [commit]


def test_the_prefixes_are_those_of_the_lines() -> None:
    assert msgspec.json.encode(HEADER).startswith(HEADER_PREFIX)
    assert encode_commit(**msgspec.structs.asdict(COMMIT)).startswith(COMMIT_PREFIX)
    assert msgspec.json.encode(ORIGIN).startswith(ORIGIN_PREFIX)
    for line in (HEADER, COMMIT, RECOVERED, ORIGIN):
        assert msgspec.json.encode(line).startswith(STRUCTURAL_PREFIX)
    assert COMMIT_PREFIX.startswith(STRUCTURAL_PREFIX)
    assert HEADER_PREFIX.startswith(STRUCTURAL_PREFIX)


def test_the_union_holds_every_structural_class_of_the_module() -> None:
    classes = {
        item for item in vars(structural).values() if isinstance(item, type) and issubclass(item, msgspec.Struct)
    }
    assert classes == {*KnownStructural.__args__, UnknownStructural} == set(Structural.__args__)


@pytest.mark.parametrize("line", [HEADER, COMMIT, RECOVERED, ORIGIN, UNKNOWN], ids=lambda line: type(line).__name__)
def test_a_structural_line_is_frozen_has_no_seq_and_is_nothing_for_the_garbage_collector(line: Any) -> None:
    assert not hasattr(line, "seq")
    assert not gc.is_tracked(line)
    for name in line.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(line, name, 0)


@pytest.mark.parametrize("line", [HEADER, COMMIT, RECOVERED], ids=lambda line: type(line).__name__)
def test_no_field_of_a_structural_line_may_be_missing(line: Any) -> None:
    fields = msgspec.to_builtins(line)
    for name in line.__struct_fields__:
        short = msgspec.json.encode({key: item for key, item in fields.items() if key != name})
        with pytest.raises(EventError, match=f"malformed {fields['type']} line"):
            codec.decode_line(short)
