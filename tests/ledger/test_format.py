"""docs/FORMAT.md, its vectors and the code say the same: each is read here, and held to the others."""

import json
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from math import inf, nan
from pathlib import Path
from struct import unpack
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from ezmsg.ledger import codec, events, metadata, structural, values
from ezmsg.ledger.errors import EventError, InvalidValue
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage import header

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "FORMAT.md").read_text(encoding="utf-8")

KINDS = {
    int: "integer",
    events.Int64: "integer",
    int | None: "integer or null",
    events.Int64 | None: "integer or null",
    str: "text",
    str | None: "text or null",
    bool: "boolean",
    bytes | None: "base64 or null",
    tuple[str, ...]: "list of texts",
    tuple[int, ...]: "list of integers",
    dict[str, str]: "object of texts",
    events.SettingsValue: "settings value",
    Any: "value",
    Any | UnsetType: "value",
    msgspec.Raw: "JSON",
}
"""How the page names the JSON of an annotation."""


# --- the page --------------------------------------------------------------------------------------------------------


def section(title: str) -> str:
    """What stands below a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"FORMAT.md has no heading {title!r}"
    return found[1]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table, without its two header lines."""
    found = re.findall(r"^\|[^\n]*\|\n\|[-|]+\|\n((?:\|[^\n]*\|\n)*)", text, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()] for rows in found]


def block(title: str, language: str) -> str:
    """The one block of a language in a section."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{title!r} has {len(found)} blocks of {language}"
    return str(found[0])


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is UNSET:
        return "absent"
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(value).decode()}`"


def rows_of(cls: type[msgspec.Struct], *, without: tuple[str, ...] = ()) -> list[list[str]]:
    return [
        [f"`{field.name}`", KINDS[field.type], default_of(field)]
        for field in msgspec.structs.fields(cls)
        if field.name not in without
    ]


EVENT_TABLES = dict(re.findall(r"^### `((?!ledger\.)[a-z_.]+)`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_every_event_type_has_its_section_and_no_other_has() -> None:
    assert sorted(EVENT_TABLES) == sorted(events.EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(events.EVENT_TYPES))
def test_an_event_table_has_exactly_the_fields_of_the_type(name: str) -> None:
    rows = [row[:3] for row in tables(EVENT_TABLES[name])[0]]
    assert rows == rows_of(events.EVENT_TYPES[name], without=("seq", "time"))


def test_the_fields_that_every_event_has() -> None:
    rows = [row[:3] for row in tables(section("Events"))[0]]
    assert [row[0] for row in rows] == ["`type`", "`seq`", "`time`"]
    assert rows[2] == rows_of(events.Event)[1]


def test_the_settings_value() -> None:
    _, rows = tables(section("`settings.updated`"))
    assert [row[:3] for row in rows] == rows_of(events.SettingsValue)


@pytest.mark.parametrize("cls", structural.KnownStructural.__args__)
def test_a_structural_table_has_exactly_the_fields_of_the_type(cls: type[msgspec.Struct]) -> None:
    (rows,) = tables(section(f"`{cls.__struct_config__.tag}`"))
    fields = rows_of(cls)
    assert all(default == "required" for _, _, default in fields)
    assert [row[:2] for row in rows] == [row[:2] for row in fields]


def test_every_structural_type_has_its_section_and_no_other_has() -> None:
    known = sorted(cls.__struct_config__.tag for cls in structural.KnownStructural.__args__)
    assert sorted(re.findall(r"^### `(ledger\..*)`$", TEXT, re.MULTILINE)) == known


def test_the_models() -> None:
    (rows,) = tables(section("Models"))
    stated = {tag.strip("`"): re.findall(r"`(\w+)`", fields) for tag, fields in rows}
    assert stated == {name: list(values.model_fields(cls)) for name, cls in values.MODELS.items()}


def test_the_tags() -> None:
    (rows,) = tables(section("Values"))
    assert {row[0].strip("`") for row in rows} == set(values._THAWERS)
    for tag, python, example, _ in rows:
        form = msgspec.json.decode(example.strip("`"))
        assert form["$"] == tag.strip("`")
        assert example.strip("`").encode() in {bytes(vector["form"]) for vector in VALUES}, "not one of the vectors"
        known = {"float", "int", "str", "bytes", "tuple", "set", "frozenset", "dict"}
        assert type(values.thaw(form)).__name__ == (python if python in known else "Opaque")


def test_the_limits() -> None:
    (rows,) = tables(section("Limits"))
    mebibyte = 2**20
    assert dict(rows) == {
        "a line, with its newline": f"{codec.LINE_MAX // mebibyte} MiB",
        "the header line": f"{header.HEADER_MAX} bytes",
        "an integer in an event": f"{events.INT_MAX.bit_length() + 1} bits, signed",
        "an untagged integer in a value": f"2^{values.EXACT_INT_MAX.bit_length()} - 1, either way",
        "nesting of a value": f"{values.DEPTH_MAX} levels below the top; its JSON nests up to three times as deep",
        "size of a value": f"{values.SIZE_MAX // mebibyte} MiB, where every item of a container counts as "
        f"{values.ITEM_WEIGHT} bytes and every text and bytes for its length",
    }


def test_the_links_within_the_page() -> None:
    titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= titles


def test_every_file_of_vectors_is_listed() -> None:
    (rows,) = tables(section("Vectors"))
    assert {row[0].strip("`") for row in rows} == {path.name for path in (DOCS / "vectors").iterdir()}


# --- the vectors -----------------------------------------------------------------------------------------------------


class Vector(msgspec.Struct):
    """A line of any of the files. ``form`` and ``line`` keep their bytes."""

    name: str
    python: str = ""
    form: msgspec.Raw = msgspec.Raw()
    line: msgspec.Raw = msgspec.Raw()

    def __getitem__(self, name: str) -> bytes:
        return bytes(getattr(self, name))

    def text(self) -> tuple[str, bytes]:
        """Of files whose forms and lines stand in a JSON text, since they need not be JSON: which, and its bytes."""
        kind = "form" if self["form"] else "line"
        return kind, msgspec.json.decode(self[kind], type=str).encode()


def vectors(name: str) -> list[Vector]:
    return msgspec.json.Decoder(Vector).decode_lines((DOCS / "vectors" / name).read_bytes())


def named(module: ModuleType) -> dict[str, Any]:
    return {name: item for name, item in vars(module).items() if isinstance(item, type)}


NAMES = {
    **named(values),
    **named(metadata),
    **named(events),
    **named(structural),
    "nan": nan,
    "inf": inf,
    "nan_of": lambda digits: unpack(">d", bytes.fromhex(digits))[0],
    "freeze": values.freeze,
    "Raw": msgspec.Raw,
}


def python(vector: Vector) -> Any:
    return eval(vector.python, NAMES)  # our own file


def name_of(vector: Vector) -> str:
    return vector.name


VALUES = vectors("values.jsonl")
EVENTS = vectors("events.jsonl")
STRUCTURAL = vectors("structural.jsonl")
TOLERATED = vectors("tolerated.jsonl")
REFUSED = vectors("refused.jsonl")


@pytest.mark.parametrize("vector", VALUES, ids=name_of)
def test_a_value_has_this_form_to_the_byte(vector: Vector) -> None:
    assert msgspec.json.encode(values.freeze(python(vector))) == vector["form"]


@pytest.mark.parametrize("vector", VALUES, ids=name_of)
def test_a_form_is_this_value(vector: Vector) -> None:
    value, thawed = python(vector), values.thaw(msgspec.json.decode(vector["form"]))
    assert type(thawed) is type(value)
    assert thawed == value or "nan" in vector.python
    assert msgspec.json.encode(values.freeze(thawed)) == vector["form"]


@pytest.mark.parametrize("vector", EVENTS, ids=name_of)
def test_an_event_is_this_line_to_the_byte(vector: Vector) -> None:
    assert codec.encode([python(vector)]) == vector["line"] + b"\n"


@pytest.mark.parametrize("vector", EVENTS + STRUCTURAL, ids=name_of)
def test_a_line_is_this_event(vector: Vector) -> None:
    expected, line = python(vector), vector["line"]
    assert codec.decode(line + b"\n") == [expected]
    assert codec.decode_line(line) == expected
    assert type(codec.decode_line(line)) is type(expected)


@pytest.mark.parametrize("vector", STRUCTURAL, ids=name_of)
def test_a_structural_line_is_this_to_the_byte(vector: Vector) -> None:
    expected = python(vector)
    if isinstance(expected, structural.UnknownStructural):
        assert expected.raw == vector["line"]
        return
    assert msgspec.json.encode(expected) == vector["line"]
    if isinstance(expected, structural.Commit):
        assert structural.encode_commit(**msgspec.structs.asdict(expected)) == vector["line"] + b"\n"


@pytest.mark.parametrize("vector", TOLERATED, ids=name_of)
def test_other_spellings_are_read(vector: Vector) -> None:
    kind, text = vector.text()
    found = values.thaw(msgspec.json.decode(text)) if kind == "form" else codec.decode_line(text)
    assert found == python(vector)
    assert type(found) is type(python(vector))
    if kind == "form":
        assert msgspec.json.encode(values.freeze(found)) != text, "this is our own spelling: it belongs to values.jsonl"


@pytest.mark.parametrize("vector", REFUSED, ids=name_of)
def test_what_no_reader_accepts(vector: Vector) -> None:
    kind, text = vector.text()
    if kind == "form":
        form = msgspec.json.decode(text)
        with pytest.raises(InvalidValue):
            values.thaw(form)
    else:
        with pytest.raises(EventError):
            codec.decode_line(text)


@pytest.mark.parametrize("name", sorted(events.EVENT_TYPES))
def test_there_is_a_vector_with_all_fields_of_a_type_and_one_with_those_required(name: str) -> None:
    cls = events.EVENT_TYPES[name]
    found = [set(json.loads(vector["line"])) for vector in EVENTS if type(python(vector)) is cls]
    assert {"type", *cls.__struct_fields__} in found
    required = {field.name for field in msgspec.structs.fields(cls) if field.required}
    assert {"type", "seq", "time", *required} in found


def test_there_is_a_vector_for_every_tag_and_structural_type() -> None:
    text = (DOCS / "vectors" / "values.jsonl").read_text(encoding="utf-8")
    assert set(re.findall(r'"\$":"([a-z]+)"', text)) == set(values._THAWERS)
    assert {type(python(vector)) for vector in STRUCTURAL} == {
        *structural.KnownStructural.__args__,
        structural.UnknownStructural,
    }


def test_no_name_of_a_vector_stands_twice() -> None:
    for found in (VALUES, EVENTS, STRUCTURAL, TOLERATED, REFUSED):
        assert len({vector.name for vector in found}) == len(found)


# --- a ledger of segments --------------------------------------------------------------------------------------------


def segments() -> dict[str, bytes]:
    """The files of the vectors, in their order."""
    lines = (DOCS / "vectors" / "segments.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["name"]: entry["text"].encode() for entry in map(json.loads, lines)}


def test_segments_are_a_chain_that_goes_on() -> None:
    digest, head = "", 0
    for number, data in enumerate(segments().values(), 1):
        begin, second = (json.loads(line) for line in data.split(b"\n")[:2])
        assert begin["format"] == min(number, 2)
        if number > 1:
            after = data.index(b"\n", data.index(b"\n") + 1) + 1
            checkpoint = data[after : after + second.pop("checkpoint")].splitlines()
            assert {json.loads(line)["type"] for line in checkpoint} == {"ledger.checkpoint"}
            assert {json.loads(line)["upto"] for line in checkpoint} == {head}
            assert data[after:].split(b"\n")[len(checkpoint)].startswith(structural.COMMIT_PREFIX)
            del second["opened"]
            assert second == {"type": "ledger.segment", "number": number, "first": head + 1, "previous": digest}
        digest = sha256(data).hexdigest()
        found, end = small_reader()(data)
        assert [event["seq"] for event in found] == list(range(head + 1, head + 1 + len(found)))
        assert end == len(data)
        head = found[-1]["seq"]


def test_our_code_reads_the_segments(tmp_path: Path) -> None:
    for name, data in segments().items():
        (tmp_path / name).write_bytes(data)
    with Ledger.open(tmp_path, "r") as ledger:
        found = ledger.verify()
        assert (found.sound, found.problems, found.seq, found.segments) == (True, [], 7, 3)
        parts = [small_reader()(data)[0] for data in segments().values()]
        assert [event.seq for event in ledger.entries()] == [event["seq"] for part in parts for event in part]


# --- the complete ledger ---------------------------------------------------------------------------------------------

LEDGER = block("The ledger format", "ledger").encode()


def small_reader() -> Any:
    scope: dict[str, Any] = {}
    exec(block("A small reader", "python"), scope)  # our own page
    return scope["sound_events"]


def test_the_complete_ledger_is_what_our_code_writes() -> None:
    offset, count, seq = 0, 0, 0
    for line in LEDGER.splitlines(keepends=True):
        entry = codec.decode_line(line[:-1])
        assert msgspec.json.encode(entry) + b"\n" == line
        if isinstance(entry, structural.Commit):
            expected = structural.encode_commit(seq, count, offset, entry.synced, sha256(LEDGER[:offset]).hexdigest())
            assert line == expected
            assert entry.synced <= offset
            count = 0
        elif isinstance(entry, events.Event):
            count, seq = count + 1, seq + 1
            assert entry.seq == seq
        offset += len(line)
    assert isinstance(entry, structural.Commit)
    assert (entry.count, entry.synced) == (0, entry.at), "it ends in a seal"


def test_the_log_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    path.write_bytes(LEDGER)
    with Ledger.open(path, "r") as ledger:
        assert codec.encode(ledger.entries()) == b"".join(
            line for line in LEDGER.splitlines(keepends=True) if not line.startswith(structural.STRUCTURAL_PREFIX)
        )
        verified = ledger.verify()
    assert verified.sound, verified.problems
    assert verified.sealed
    assert verified.offset == verified.bytes == len(LEDGER)
    with Ledger.open(path) as ledger:
        assert ledger.head == 6
    assert path.read_bytes().startswith(LEDGER)
    assert b"ledger.recovered" not in path.read_bytes()


def test_the_small_reader_reads_what_the_log_writes(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([events.Mark(name="one"), events.Mark(name="two")])
        ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    found, end = small_reader()(path.read_bytes())
    assert end == path.stat().st_size
    assert [entry["seq"] for entry in found] == [1, 2, 3]


def test_the_small_reader_reads_it() -> None:
    found, end = small_reader()(LEDGER)
    assert end == len(LEDGER)
    assert found == [json.loads(line) for line in LEDGER.splitlines() if not line.startswith(b'{"type":"ledger.')]


def test_the_small_reader_takes_whole_commits_only() -> None:
    read = small_reader()
    everything, _ = read(LEDGER)
    commits = [found.end() for found in re.finditer(rb'^{"type":"ledger.commit",.*\n', LEDGER, re.MULTILINE)]
    for size in range(len(LEDGER)):
        found, end = read(LEDGER[:size])
        assert end == max((commit for commit in commits if commit <= size), default=0)
        assert found == everything[: len(found)]


def test_the_small_reader_stops_before_any_changed_byte() -> None:
    read = small_reader()
    stated = [found.span() for found in re.finditer(rb'(?<="synced":)\d+', LEDGER)]
    for offset in range(len(LEDGER)):
        if any(begin <= offset < end for begin, end in stated):
            continue  # only the commit after it vouches for that number
        changed = bytearray(LEDGER)
        changed[offset] ^= 0x04
        _, end = read(bytes(changed))
        assert end <= offset


def test_the_small_reader_follows_a_gap_and_passes_over_what_it_does_not_know() -> None:
    read = small_reader()
    lines = [
        msgspec.json.encode(structural.Header(1, "x", 1)) + b"\n",
        codec.encode([events.Mark(seq=1, time=1, name="before")]),
        b'{"type":"ledger.annotated"}\n',
        codec.encode([events.Gap(seq=9, time=1, first=2, last=8, lost=7, late=0, reason="x")]),
        b'{"type":"edge.annotated","seq":10,"time":1}\n',
    ]
    data = b"".join(lines)
    data += structural.encode_commit(10, 3, len(data), 0, sha256(data).hexdigest())
    found, end = read(data)
    assert [entry["seq"] for entry in found] == [1, 9, 10]
    assert end == len(data)


@pytest.mark.skipif(sys.platform != "linux", reason="the page names the commands of Linux")
@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_check_with_head_and_sha256sum(tmp_path: Path) -> None:
    def hashes() -> tuple[str, str]:
        script = block("Checking with `head` and `sha256sum` alone", "sh")
        done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        found, line = done.stdout.splitlines()
        return found.split()[0], json.loads(line)["sha256"]

    path = tmp_path / "run.ledger"
    path.write_bytes(LEDGER)
    computed, stated = hashes()
    assert computed == stated
    path.write_bytes(LEDGER.replace(b"SYS/GAIN/IN", b"SYS/GAIN/1N"))
    computed, stated = hashes()
    assert computed != stated
