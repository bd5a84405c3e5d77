"""Values that were taken out of a ledger stand nowhere in the new one, and nothing else is another than it was."""

import base64
import hashlib
import hmac
import json
import pickle
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphmeta import SettingsFieldUpdateRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LogError, OtherHistory, OtherLedger, UnknownEvents, UnknownSubject
from ezmsg.ledger.metadata import GraphMetadata, SettingsFieldMetadata, SettingsSchemaMetadata, UnitMetadata
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.projections.copies.cut import cut
from ezmsg.ledger.projections.copies.digests import MARKER, Salt
from ezmsg.ledger.projections.copies.redact import compare_redacted, redact
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.questions.settings.change_request import Wish, wish
from ezmsg.ledger.values import freeze
from tests.golden.make import HISTORIES
from tests.projections.copies.test_cut import HastyDisk, SmallDisk, sealed_anew

SALT = Salt(bytes(range(32)))


class Kept:
    """Settings as a program has them; pickled by reference to this class, which no reader imports."""

    def __init__(self, subject: Any, gain: float) -> None:
        self.subject = subject
        self.gain = gain


def settings_value(subject: Any, protocol: int = 4) -> ev.SettingsValue:
    shown = freeze({"subject": subject, "gain": 2.0})
    data = pickle.dumps(Kept(subject, 2.0), protocol)
    return ev.SettingsValue(serialized=data, repr_value=shown, structured_value=shown)


def unit(address: str, subject: Any, **more: Any) -> UnitMetadata:
    choices = [subject, "other"]
    field = SettingsFieldMetadata(name="subject", field_type="builtins.str", default=subject, choices=choices)
    return UnitMetadata(
        address=address,
        name=address,
        settings_type="lab.Kept",
        initial_settings=(pickle.dumps(Kept(subject, 2.0)), {"subject": subject, "gain": 2.0}),
        settings_schema=SettingsSchemaMetadata(settings_type="lab.Kept", fields=[field], extra=more),
    )


def story(value: Any, said: str, protocol: int = 4) -> Iterator[list[ev.Event]]:
    """A history in which ``value`` is wherever a setting can be, and ``said``, its text, where it is spoken of."""
    shown = f"Kept(subject={said!r}, gain=1.0)"
    metadata = GraphMetadata(
        root_name="RIG",
        components={
            "RIG/SUBJECT": unit("RIG/SUBJECT", value, json_schema={"properties": {"subject": {"default": value}}}),
            "RIG/SHOWN": UnitMetadata(
                address="RIG/SHOWN", initial_settings=(pickle.dumps(Kept(value, 1.0)), shown)
            ),
            "RIG/OTHER": UnitMetadata(address="RIG/OTHER", initial_settings=(None, {"comment": f"for {said}", "n": 5})),
        },
    )
    request = pickle.dumps(SettingsFieldUpdateRequest(field_path="subject", value=value), protocol)
    yield [ev.ServerStarted(uuid="r", kind="server", name=f"rig of {said}", host="h", pid=1, rules=2)]
    yield [ev.Mark(name=f"{said} is in", note=f"{said}, again", author=said)]
    yield [ev.SessionOpened(uuid="s", label=f"session {said}"), ev.ProcessOpened(uuid="p")]
    yield [ev.MetadataRegistered(session=3, metadata=freeze(metadata), raw=pickle.dumps(["anything", value], protocol))]
    yield [ev.ProcessRegistered(process=4, pid=7, host="h", units=("RIG/SUBJECT",))]
    yield [ev.EdgeConnected(from_topic=f"RIG/{said}/OUT", to_topic="RIG/OTHER/IN", owner=3)]
    yield [ev.SettingsUpdated(process=4, component="RIG/SUBJECT", value=settings_value(value, protocol))]
    about: dict[str, Any] = {"unit": "RIG/SUBJECT", "operation": "UPDATE_SETTING_FIELD", "process": 4}
    yield [ev.RequestRouted(uuid="q", session=3, payload=request, size=9, **about)]
    yield [ev.RequestAnswered(request=9, ok=False, error=f"no subject {said!r}", payload=request)]
    refused: dict[str, Any] = {"command": "SESSION_CONNECT", "reason": "malformed"}
    yield [ev.CommandRejected(actor=3, arguments=[said, {"was": [said]}], **refused)]
    yield [ev.Gap(first=12, last=13, lost=2, late=0, reason=f"/data/{said}/run.ledger: no space left")]
    yield [ev.Mark(name="untouched")]


def written(path: Path, batches: Iterator[list[ev.Event]], *, rotations: bool = False) -> Path:
    with Ledger.open(path, durability="none", disk=HastyDisk(), segmented=rotations) as ledger:
        for number, events in enumerate(batches):
            ledger.append(events)
            if rotations and number in (3, 7):
                assert rotate(ledger)
    return path


def traces(data: bytes, found: Callable[[bytes], bool]) -> list[bytes]:
    """The lines in which a value can be found: as they stand, without JSON's escapes, or within base64."""
    left = []
    for line in data.splitlines():
        shapes = [line, *map(str.encode, texts(json.loads(line)))]
        for text in re.findall(rb"[A-Za-z0-9+/]{8,}={0,2}", line):
            if len(text) % 4 == 0:
                shapes.append(base64.b64decode(text))
        if any(map(found, shapes)):
            left.append(line)
    return left


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield key
            yield from texts(item)
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, str):
        yield node


def redacted(path: Path, *names: str, target: str = "public.ledger", salt: Salt = SALT) -> Path:
    with Ledger.open(path, "r") as ledger:
        redact(ledger, names, path.with_name(target), salt, HastyDisk())
    return path.with_name(target)


# --- no trace --------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=12).map(lambda text: f"Zq{text}xW")


@settings(max_examples=60, deadline=None)
@given(name=NAMES, protocol=st.integers(0, 5), rotations=st.booleans())
def test_no_trace_of_a_text(
    tmp_path_factory: pytest.TempPathFactory, name: str, protocol: int, rotations: bool
) -> None:
    """Its text, however it is escaped, and its pickle, in whatever protocol."""
    path = written(tmp_path_factory.mktemp("x") / "run.ledger", story(name, name, protocol), rotations=rotations)
    shapes = {
        shape
        for text in (name, repr(name)[1:-1], ascii(name)[1:-1], json.dumps(name)[1:-1])
        for shape in (text.encode(), json.dumps(text)[1:-1].encode())
    }
    shapes.add(name.encode("raw_unicode_escape"))
    files = sorted(path.iterdir()) if rotations else [path]
    assert any(traces(file.read_bytes(), lambda data: any(shape in data for shape in shapes)) for file in files)
    new = redacted(path, "*.subject")
    assert traces(new.read_bytes(), lambda data: any(shape in data for shape in shapes)) == []
    with Ledger.open(new, "r") as ours, Ledger.open(path, "r") as theirs:
        assert [event.seq for event in ours.entries()] == [event.seq for event in theirs.entries()]
        for salt in (None, SALT):
            compared = compare_redacted(ours, theirs, salt)
            assert compared.events == len(list(ours.entries()))
        assert Timeline(ours).at("end").digest()


@settings(max_examples=40, deadline=None)
@given(value=st.floats(1e4, 1e9).map(lambda number: number + 0.123) | st.integers(10**6, 10**15))
def test_no_trace_of_a_number(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    path = written(tmp_path_factory.mktemp("x") / "run.ledger", story(value, str(value)))
    new = redacted(path, "*.subject")
    held = pickle.dumps(value, 4)[2:-1].lstrip(b"\x95\x09\x0a\x0b\x0c\x0d\x00")  # its opcode and bytes
    left = traces(new.read_bytes(), lambda data: str(value).encode() in data or held in data)
    assert [line for line in left if not line.startswith(b'{"type":"ledger.')] == []


@pytest.mark.parametrize(
    "value",
    [["S07-Ada", "S08-Bob"], ("S07-Ada", 5), {"name": "S07-Ada", "more": {"S07-Ada": 1}}, b"S07-Ada", {7: "S07-Ada"}],
    ids=["list", "tuple", "dict", "bytes", "map"],
)
def test_no_trace_of_what_is_inside_of_a_value(tmp_path: Path, value: Any) -> None:
    path = written(tmp_path / "run.ledger", story(value, "S07-Ada"))
    new = redacted(path, "*.subject")
    assert traces(new.read_bytes(), lambda data: b"S07-Ada" in data or base64.b64encode(b"S07-Ada") in data) == []


def test_a_pickle_that_shows_more_than_the_settings_do(tmp_path: Path) -> None:
    """A field that ezmsg does not show stands in the pickle alone."""
    value = ev.SettingsValue(serialized=pickle.dumps(Kept("S07-Ada", 2.0)), repr_value={"gain": 2.0})

    def events() -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        yield [ev.SettingsUpdated(process=1, component="RIG/SUBJECT", value=value)]
        yield [ev.Mark(name="S07-Ada")]

    new = redacted(written(tmp_path / "run.ledger", events()), "RIG/SUBJECT.subject")
    assert traces(new.read_bytes(), lambda data: b"S07-Ada" in data) == []


def test_a_pickle_that_nobody_can_read(tmp_path: Path) -> None:
    value = ev.SettingsValue(serialized=b"\x80\x04 not a pickle: Bob", repr_value={"subject": "S07-Ada"})
    other = ev.SettingsValue(serialized=b"\x80\x04 not a pickle: Bob", repr_value={"subject": None})

    def events() -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        yield [ev.SettingsUpdated(process=1, component="U", value=value)]
        yield [ev.SettingsUpdated(process=1, component="U", value=other)]

    new = redacted(written(tmp_path / "run.ledger", events()), "U.subject")
    assert traces(new.read_bytes(), lambda data: b"Bob" in data or b"Ada" in data) == []


class Person:
    """An object inside settings."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.also = [name + " II", {"known as": ("Old " + name,)}]


def test_no_trace_of_a_text_inside_of_an_object(tmp_path: Path) -> None:
    """Whatever the shown form makes of it, the pickle tells its texts."""
    person = Person("S07-Ada")
    shown = {"subject": "<Person>", "gain": 2.0}
    value = ev.SettingsValue(serialized=pickle.dumps(Kept(person, 2.0)), repr_value=shown)

    def events() -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        yield [ev.SettingsUpdated(process=1, component="U", value=value)]
        yield [ev.Mark(name="S07-Ada came", note="Old S07-Ada left, S07-Ada II stays")]

    new = redacted(written(tmp_path / "run.ledger", events()), "U.subject")
    assert traces(new.read_bytes(), lambda data: b"S07-Ada" in data) == []


def test_no_trace_of_a_number_beyond_those_of_json(tmp_path: Path) -> None:
    number = 10**20 + 7

    def events() -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        yield [ev.SettingsUpdated(process=1, component="U", value=settings_value(number))]
        yield [ev.Mark(name=f"record {number}")]

    new = redacted(written(tmp_path / "run.ledger", events()), "U.subject")
    left = traces(new.read_bytes(), lambda data: str(number).encode() in data or hex(number).encode() in data)
    assert left == []


# --- all else --------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "run.ledger", story("S07-Ada", "S07-Ada"))


def test_lines_in_which_it_does_not_stand_are_the_same(path: Path) -> None:
    new = redacted(path, "RIG/SUBJECT.subject")
    with Ledger.open(path, "r") as ledger:
        before = dict(zip((event.seq for event in ledger.entries()), event_lines(path), strict=True))
    after = dict(zip(before, event_lines(new), strict=True))
    assert {seq for seq in before if before[seq] != after[seq]} == {1, 2, 3, 5, 7, 8, 9, 10, 11, 14}


def event_lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if not line.startswith(b'{"type":"ledger.')]


def test_the_state_is_the_same_but_for_the_values(path: Path) -> None:
    """Names in which the value stands are other names, everywhere the same: the graph has its shape."""
    new = redacted(path, "*.subject")
    marker = SALT.marker("S07-Ada")
    with Ledger.open(new, "r") as ours, Ledger.open(path, "r") as theirs:
        one, other = Timeline(ours).at("end"), Timeline(theirs).at("end")
        assert list(one.snapshot().edge_owners) == [(f"RIG/{marker}/OUT", "RIG/OTHER/IN")]
        assert list(other.snapshot().edge_owners) == [("RIG/S07-Ada/OUT", "RIG/OTHER/IN")]
        value = one.settings["RIG/SUBJECT"].value
        assert (value.serialized, value.repr_value) == (None, {"subject": marker, "gain": 2.0})
        assert one.settings["RIG/OTHER"].value.repr_value == {"comment": f"for {marker}", "n": 5}
        assert one.settings["RIG/SHOWN"].value.repr_value == SALT.marker("Kept(subject='S07-Ada', gain=1.0)")
        one.check()


def test_what_was_asked_for_is_told_by_its_digest(path: Path) -> None:
    """The field of a request stays readable, and equal values of requests and reports stay equal."""
    new = redacted(path, "*.subject")
    with Ledger.open(new, "r") as ledger:
        [request] = [event for event in ledger.entries() if isinstance(event, ev.RequestRouted)]
    assert wish(request.payload) == Wish("subject", SALT.marker("S07-Ada"))
    assert request.payload is not None
    assert request.size == len(request.payload)
    real = pickle.loads(request.payload)
    assert (type(real), real.field_path) == (SettingsFieldUpdateRequest, "subject"), "ezmsg reads it too"


def test_a_value_that_comes_back_has_the_digest_that_it_had(tmp_path: Path) -> None:
    def events() -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        for subject in ("Ada Lovelace", "Bob Moog", "Ada Lovelace"):
            yield [ev.SettingsUpdated(process=1, component="U", value=settings_value(subject))]

    new = redacted(written(tmp_path / "run.ledger", events()), "U.subject")
    with Ledger.open(new, "r") as ledger:
        reports = [event for event in ledger.entries() if isinstance(event, ev.SettingsUpdated)]
        first, second, third = (event.value.structured_value["subject"] for event in reports)
    assert first == third != second
    assert all(MARKER.fullmatch(each.encode()) for each in (first, second))


def test_without_the_salt_a_short_value_cannot_be_guessed(path: Path) -> None:
    """Neither the digest of the value nor that of the original is what anybody could compute who guesses right."""
    new = redacted(path, "*.subject").read_bytes()
    with Ledger.open(path, "r") as ledger:
        place = ledger.place.commit
        assert place is not None
        assert place.sha256.encode() not in new
    for guess in ("S07-Ada", '"S07-Ada"'):
        assert hashlib.sha256(guess.encode()).hexdigest()[:32].encode() not in new
    assert SALT.secret.hex().encode() not in new
    assert redacted(path, "*.subject", target="second.ledger", salt=Salt.make()).read_bytes() != new
    [origin] = Ledger.open(path.with_name("public.ledger"), "r").origins
    assert (origin.size, origin.salt, origin.redacted) == (0, SALT.name, ("*.subject",))


def test_digests_are_those_that_the_format_names(path: Path) -> None:
    """Computed here from docs/FORMAT.md alone."""
    new = redacted(path, "*.subject")

    def keyed(kind: bytes, data: bytes) -> str:
        return hmac.new(SALT.secret, kind + b"\0" + data, "sha256").hexdigest()

    assert SALT.marker("S07-Ada") == "redacted:" + keyed(b"value", b'"S07-Ada"')[:32]
    assert SALT.marker({"b": 1, "a": [2.0]}) == "redacted:" + keyed(b"value", b'{"a":[2.0],"b":1}')[:32]
    with Ledger.open(new, "r") as ledger, Ledger.open(path, "r") as original:
        [origin] = ledger.origins
        commit = next(
            json.loads(line)
            for line in path.read_bytes().splitlines()
            if line.startswith(b'{"type":"ledger.commit","upto":15,')
        )
        about = f"{original.id} 1 {commit['at']} 15 {commit['sha256']}"
    assert (origin.sha256, origin.salt) == (keyed(b"origin", about.encode()), keyed(b"name", b"")[:16])


def test_what_was_cut_before_says_no_plain_digest_either(path: Path) -> None:
    part = path.with_name("part.ledger")
    with Ledger.open(path, "r") as ledger:
        made = cut(ledger, 3, 9, part)
    new = redacted(part, "*.subject", target="public-part.ledger")
    assert made.origin.sha256.encode() not in new.read_bytes()
    with Ledger.open(new, "r") as ours, Ledger.open(part, "r") as theirs:
        assert [each.made for each in ours.origins] == ["cut", "redact"]
        assert compare_redacted(ours, theirs, SALT).events == 7
    again = path.with_name("cut-again.ledger")
    with Ledger.open(new, "r") as ledger:
        cut(ledger, 6, 8, again)
    with Ledger.open(again, "r") as ours, Ledger.open(part, "r") as theirs:
        assert compare_redacted(ours, theirs, SALT).events == 3


def test_short_values_are_words_of_their_own_elsewhere(tmp_path: Path) -> None:
    def events() -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        yield [ev.SettingsUpdated(process=1, component="U", value=settings_value("S7"))]
        yield [ev.Mark(name="S7 is in", note="S70, IS7 and S7")]

    new = redacted(written(tmp_path / "run.ledger", events()), "U.subject")
    marker = SALT.marker("S7")
    with Ledger.open(new, "r") as ledger:
        mark = list(ledger.entries())[-1]
        assert isinstance(mark, ev.Mark)
        assert (mark.name, mark.note) == (f"{marker} is in", f"S70, IS7 and {marker}")


def test_a_word_of_the_format_stays(tmp_path: Path) -> None:
    def events() -> Iterator[list[ev.Event]]:
        yield [ev.SessionOpened(uuid="server"), ev.ProcessOpened(uuid="p")]
        yield [ev.SettingsUpdated(process=2, component="U", value=settings_value("closed"))]
        yield [ev.SessionClosed(session=1, reason="closed")]
        yield [ev.Mark(name="closed")]

    new = redacted(written(tmp_path / "run.ledger", events()), "U.subject")
    with Ledger.open(new, "r") as ledger:
        *_, closed, mark = ledger.entries()
    assert (closed.reason, mark.name) == ("closed", SALT.marker("closed"))


# --- names, and what goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RIG/SUBJECT.sub", "RIG/SUBJET.subject", "*.age", "rig/subject.subject"])
def test_a_name_of_no_setting(path: Path, name: str) -> None:
    with pytest.raises(UnknownSubject, match=re.escape(f"there is no setting {name} in ")):
        redacted(path, name)
    assert not path.with_name("public.ledger").exists()


def test_an_event_of_a_newer_version(tmp_path: Path, path: Path) -> None:
    newer = tmp_path / "newer.ledger"
    newer.write_bytes(HISTORIES["endings"]())
    with pytest.raises(UnknownEvents, match=r"lab[.]note"):
        redacted(newer, "*.subject", target="x")


def test_a_ledger_that_differs_in_more(path: Path) -> None:
    new = redacted(path, "*.subject")
    forged = path.with_name("forged.ledger")
    for old, other in ((b'"untouched"', b'"untuched"'), (b'"gain":2.0', b'"gain":3.0')):
        forged.write_bytes(sealed_at_its_place(new.read_bytes().replace(old, other)))
        with (
            Ledger.open(forged, "r") as ours,
            Ledger.open(path, "r") as theirs,
            pytest.raises(OtherHistory, match="in more than the named values"),
        ):
            compare_redacted(ours, theirs)


def test_a_digest_that_was_changed_or_exchanged(path: Path) -> None:
    new = redacted(path, "*.subject")
    marker = SALT.marker("S07-Ada").encode()
    forged = path.with_name("forged.ledger")
    head, _, tail = new.read_bytes().rpartition(marker)
    forged.write_bytes(sealed_anew(head + b"redacted:" + b"0" * 32 + tail))
    with Ledger.open(forged, "r") as ours, Ledger.open(path, "r") as theirs:
        for salt in (None, SALT):
            with pytest.raises(OtherHistory):
                compare_redacted(ours, theirs, salt)


def sealed_at_its_place(data: bytes) -> bytes:
    """The same lines with the offsets and hashes that they have now."""
    out = b""
    for line in data.splitlines(keepends=True):
        if line.startswith(b'{"type":"ledger.commit"'):
            line = re.sub(rb'"at":\d+', b'"at":%d' % len(out), line)
            line = re.sub(rb'"synced":[1-9]\d*', b'"synced":%d' % len(out), line)
            digest = hashlib.sha256(out).hexdigest().encode()
            line = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"%s"' % digest, line)
        out += line
    return out


def test_other_ledgers_and_salts(path: Path) -> None:
    new = redacted(path, "*.subject")
    other = written(path.with_name("other.ledger"), story("x", "x"))
    with Ledger.open(new, "r") as ours, Ledger.open(path, "r") as theirs, Ledger.open(other, "r") as alien:
        with pytest.raises(OtherLedger, match="was made of ledger"):
            compare_redacted(ours, alien)
        with pytest.raises(OtherLedger, match="not a ledger that values were taken out of"):
            compare_redacted(theirs, ours)
        with pytest.raises(LogError, match="the salt is not the one"):
            compare_redacted(ours, theirs, Salt.make())


def test_the_original_may_grow_and_the_new_one_too(path: Path) -> None:
    new = redacted(path, "*.subject")
    for each in (path, new):
        with Ledger.open(each) as ledger:
            ledger.append([ev.Mark(name="more")])
    with Ledger.open(new, "r") as ours, Ledger.open(path, "r") as theirs:
        found = compare_redacted(ours, theirs, SALT)
        assert (found.added, found.salted) == (1, True)


def test_a_disk_that_is_full_at_any_byte(path: Path) -> None:
    size = redacted(path, "*.subject").stat().st_size
    path.with_name("public.ledger").unlink()
    before = sorted(each.name for each in path.parent.iterdir())
    with Ledger.open(path, "r") as ledger:
        for space in range(0, size, 211):
            with pytest.raises(LogError, match="No space left"):
                redact(ledger, ["*.subject"], path.with_name("public.ledger"), SALT, SmallDisk(space))
            assert sorted(each.name for each in path.parent.iterdir()) == before


def test_many_different_values_cost_little_more_than_few(tmp_path: Path) -> None:
    """A setting that was moved ten thousand times: looking for all these numbers and texts in every line."""

    def events(count: int) -> Iterator[list[ev.Event]]:
        yield [ev.ProcessOpened(uuid="p")]
        for number in range(count):
            yield [ev.SettingsUpdated(process=1, component="U", value=settings_value(f"subject {number}"))]
        yield [ev.Mark(name=f"lines of text, and subject {count - 1}")]

    spent = []
    for count in (200, 4000):
        path = written(tmp_path / f"{count}.ledger", events(count))
        begin = time.process_time()
        new = redacted(path, "U.subject", target=f"{count}.public")
        spent.append((time.process_time() - begin) / count)
        assert b"subject " not in new.read_bytes()
    assert spent[1] < 5 * spent[0]
