"""Stand-ins: what is recorded of foreign objects, what stands for them, and that whoever has the classes gets them."""

import json
import pickle
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ezmsg.ledger.pickles.stand_ins import (
    OPAQUE_MAX,
    REPR_MAX,
    Global,
    Inert,
    brief,
    class_of,
    emit,
    opaque,
    plain,
)
from ezmsg.ledger.runtime.server.pickles import loads
from ezmsg.ledger.values import freeze, thaw
from tests.runtime.server.conftest import BY_NAME

MODULE = "foreign_lab_code"

SOURCE = '''
import collections, dataclasses, datetime, decimal, enum, functools, pathlib, pickle, sys, uuid
import numpy as np

class Color(enum.Enum):
    RED = 1
    GREEN = "green"

class Level(enum.IntEnum):
    LOW = 3

class Mode(enum.StrEnum):
    FAST = "fast"

class Flag(enum.IntFlag):
    A = 1
    B = 2

class ByName(enum.Enum):
    """Written as some Pythons write members."""
    X = 7
    def __reduce_ex__(self, protocol):
        return getattr, (self.__class__, self._name_)

class Volts(float): pass
class Count(int): pass
class Name(str): pass

@dataclasses.dataclass
class Point:
    x: float
    y: list
    class Inner(enum.Enum):
        DEEP = "deep"

@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: str

class Items(list): pass
class Table(dict): pass
class Members(set): pass

class Keyword:
    def __new__(cls, *, size):
        self = super().__new__(cls)
        self.size = size
        return self
    def __getnewargs_ex__(self):
        return (), {"size": self.size}
    def __eq__(self, other):
        return type(other) is Keyword and self.size == other.size

class Set6:
    """Its state is set by a function of its own."""
    def __init__(self, v): self.v = v
    def __eq__(self, other): return type(other) is Set6 and self.v == other.v
    def __reduce__(self):
        return Set6, (0,), self.v, None, None, put

def put(target, state): target.v = state

class Knot:
    """An object that contains itself."""
    def __eq__(self, other): return type(other) is Knot and other.me is other and other.them[0] is other

def knot():
    k = Knot(); k.me = k; k.them = [k]
    return k

def table():
    t = Table({"a": Color.RED}); t.note = "n"
    return t

def objects():
    return [
        Color.RED, Color.GREEN, Level.LOW, Mode.FAST, Flag.A | Flag.B, ByName.X, Point.Inner.DEEP,
        Volts(1.5), Count(-4), Name("nu"), Point(1.0, [Level.LOW, {"k": Mode.FAST}]), Slotted(1, "b"),
        Items([1, Color.RED]), table(), Members([1, 2]), Keyword(size=4), Set6([1, 2]), knot(),
        np.float64(1.5), np.float32(-2.5), np.float16(0.5), np.int8(-1), np.int16(-300), np.int32(7), np.int64(2**60),
        np.uint8(255), np.uint16(65535), np.uint32(1), np.uint64(2**64 - 1), np.bool_(True), np.bool_(False),
        np.str_("h\\u00e9"), np.float64("nan"), np.array([1.0, 2.0]), np.array([[1, 2], [3, 4]], dtype=">i2"),
        np.dtype(">f8").type(3), np.complex128(1j), np.datetime64("2020-01-01"),
        np.array(2.5, dtype=">f8")[()].astype(">f8"),
        pathlib.PurePosixPath("/a/b"), datetime.datetime(2026, 1, 2, 3, 4, 5), datetime.timedelta(1, 2, 3),
        decimal.Decimal("1.5"), collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 5),
        collections.Counter("aab"), collections.defaultdict(list, a=[1]), range(1, 9, 2), slice(1, 2),
        functools.partial(int, base=2), Color, print, len,
    ]

def same(a, b):
    if isinstance(a, functools.partial):
        return (a.func, a.args, a.keywords) == (b.func, b.args, b.keywords)
    if isinstance(a, float) and a != a:
        return type(a) is type(b) and b != b
    return type(a) is type(b) and bool(np.all(a == b))

if __name__ == "__main__":
    import foreign_lab_code as me
    folder = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "write":
        for index, value in enumerate(me.objects()):
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                (folder / f"{index}.{protocol}").write_bytes(pickle.dumps(value, protocol))
    else:
        for index, value in enumerate(me.objects()):
            for path in sorted(folder.glob(f"{index}.*.back")):
                back = pickle.loads(path.read_bytes())
                if not me.same(value, back):
                    print(f"{path.name}: {value!r} came back as {back!r}")
'''

def by_value(stands: Any) -> Any:
    """What stands for a member of an enum, where its pickle has that; None, which is not compared, elsewhere."""
    return None if BY_NAME else stands


EXPECTED: list[tuple[str, Any]] = [
    (f"{MODULE}:Color", by_value(1)),
    (f"{MODULE}:Color", by_value("green")),
    (f"{MODULE}:Level", by_value(3)),
    (f"{MODULE}:Mode", by_value("fast")),
    (f"{MODULE}:Flag", by_value(3)),
    (f"{MODULE}:ByName", f"{MODULE}:ByName.X"),
    (f"{MODULE}:Point.Inner", by_value("deep")),
    (f"{MODULE}:Volts", 1.5),
    (f"{MODULE}:Count", -4),
    (f"{MODULE}:Name", "nu"),
    (f"{MODULE}:Point", by_value(f"{MODULE}:Point(x=1.0, y=[{MODULE}:Level(3), {{'k': {MODULE}:Mode('fast')}}])")),
    (f"{MODULE}:Slotted", None),
    (f"{MODULE}:Items", by_value(f"{MODULE}:Items(1, {MODULE}:Color(1))")),
    (f"{MODULE}:Table", None),
    (f"{MODULE}:Members", f"{MODULE}:Members([1, 2])"),
    (f"{MODULE}:Keyword", None),
    (f"{MODULE}:Set6", f"{MODULE}:Set6(0)"),
    (f"{MODULE}:Knot", None),
    ("numpy:float64", 1.5),
    ("numpy:float32", -2.5),
    ("numpy:float16", 0.5),
    ("numpy:int8", -1),
    ("numpy:int16", -300),
    ("numpy:int32", 7),
    ("numpy:int64", 2**60),
    ("numpy:uint8", 255),
    ("numpy:uint16", 65535),
    ("numpy:uint32", 1),
    ("numpy:uint64", 2**64 - 1),
    ("numpy:bool", True),
    ("numpy:bool", False),
    ("numpy:str_", "hé"),
    ("numpy:float64", "nan"),
    ("numpy:ndarray", None),
    ("numpy:ndarray", None),
    ("numpy:float64", 3.0),
    ("numpy:generic", None),
    ("numpy:generic", None),
    ("numpy:float64", 2.5),
    (f"{PurePosixPath.__module__}:PurePosixPath", None),
    ("datetime:datetime", None),
    ("datetime:timedelta", "datetime:timedelta(1, 2, 3)"),
    ("decimal:Decimal", "1.5"),
    ("collections:OrderedDict", "collections:OrderedDict(('b', 1), ('a', 2))"),
    ("collections:deque", None),
    ("collections:Counter", None),
    ("collections:defaultdict", None),
    ("builtins:range", "builtins:range(1, 9, 2)"),
    ("builtins:slice", None),
    ("functools:partial", None),
    (f"{MODULE}:Color", f"{MODULE}:Color"),
    ("builtins:print", "builtins:print"),
    ("builtins:len", "builtins:len"),
]
"""For each object: its class, and what stands for it where that is worth stating (nan as text)."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pickles INDEX.PROTOCOL, made by a process that has the classes; this one has not."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / f"{MODULE}.py").write_text(SOURCE)
    run_foreign(folder, "write")
    return folder


def run_foreign(folder: Path, what: str) -> str:
    command = [sys.executable, f"{MODULE}.py", what, "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest(folder: Path, index: int) -> Any:
    return loads((folder / f"{index}.{pickle.HIGHEST_PROTOCOL}").read_bytes())


def test_a_process_with_the_classes_gets_equal_objects(written: Path) -> None:
    for path in [path for path in written.iterdir() if path.suffix[1:].isdigit()]:
        value = loads(path.read_bytes())
        assert isinstance(value, Inert | Global), (path, value)
        kept = thaw(json.loads(json.dumps(freeze(opaque(value)))))
        path.with_name(f"{path.name}.back").write_bytes(kept.data)
    assert MODULE not in sys.modules
    assert run_foreign(written, "check") == ""


def test_their_classes_and_what_stands_for_them(written: Path) -> None:
    for index, (ref, stands) in enumerate(EXPECTED):
        for protocol in (4, pickle.HIGHEST_PROTOCOL):
            value = loads((written / f"{index}.{protocol}").read_bytes())
            joined = BY_NAME and ref == f"{MODULE}:Flag"  # two members at once are what an operator makes of them there
            assert class_of(value).ref == ("_operator:or_" if joined else ref)
            got = plain(value)
            if stands == "nan":
                assert isinstance(got, float)
                assert got != got
            elif stands is not None and protocol == pickle.HIGHEST_PROTOCOL:
                assert (type(got), got) == (type(stands), stands)
    assert not (written / f"{len(EXPECTED)}.4").exists()
    nested = loads((written / "6.2").read_bytes())  # protocol 2 finds a nested class with getattr
    assert class_of(nested).ref == f"{MODULE}:Point.Inner"
    assert by_value(plain(nested)) == by_value("deep")
    by_partial = loads((written / "15.2").read_bytes())  # and keyword arguments with functools.partial
    assert class_of(by_partial).ref == "builtins:object"


def test_numpy_before_its_second_version() -> None:
    import numpy as np

    data = pickle.dumps([np.float64(1.5), np.int16(-2)], 4)
    old = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    assert old != data
    old = old[:2] + b"\x95" + (len(old) - 11).to_bytes(8, "little") + old[11:]
    assert [plain(value) for value in loads(old)] == [1.5, -2]
    assert [class_of(value).ref for value in loads(old)] == ["numpy:float64", "numpy:int16"]


@pytest.mark.parametrize(
    ("code", "order", "data", "value"),
    [
        ("f8", ">", b"\x3f\xf8\0\0\0\0\0\0", 1.5),
        ("f8", "<", b"\0\0\0\0\0\0\xf8\x3f", 1.5),
        ("i4", ">", b"\xff\xff\xff\xfe", -2),
        ("u2", "<", b"\x01\x02", 0x0201),
        ("U2", ">", b"\0\0\0h\0\0\0i", "hi"),
        ("U4", "<", b"h\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "h"),
        ("b1", "|", b"\x01", True),
        ("f8", "<", b"\0", None),
        ("f8", "<", "text", None),
        ("c16", "<", b"\0" * 16, None),
        ("U1", "<", b"\xff\xff\xff\xff", None),
        (8, "<", b"", None),
        ("f8", 8, b"\0\0\0\0\0\0\0\0", 0.0),
    ],
)
def test_numpy_scalars_are_decoded_from_their_bytes(code: Any, order: Any, data: Any, value: Any) -> None:
    dtype = Inert(Global("numpy", "dtype"), (code, False, True), new=False)
    dtype.record("state", (3, order, None, None, None, -1, -1, 0))
    scalar = Inert(Global("numpy._core.multiarray", "scalar"), (dtype, data), new=False)
    if value is None:
        assert plain(scalar) == brief(scalar)
    else:
        assert (type(plain(scalar)), plain(scalar)) == (type(value), value)


@pytest.mark.parametrize("args", [(), (None,), (Inert(Global("numpy", "dtype"), (), new=False),)])
def test_a_numpy_scalar_of_nothing(args: tuple[Any, ...]) -> None:
    scalar = Inert(Global("numpy.core.multiarray", "scalar"), args, new=False)
    assert class_of(scalar).ref == "numpy:generic"
    assert plain(scalar) == brief(scalar)


def test_what_a_function_would_return_is_not_its_argument() -> None:
    """A class makes an enum member of a value; ``system`` makes no text of a command."""
    assert plain(Inert(Global("lab", "Color"), (3,), new=False)) == 3
    assert plain(Inert(Global("lab", "Outer._Color"), ("x",), new=False)) == "x"
    assert plain(Inert(Global("posix", "system"), ("true",), new=False)) == "posix:system('true')"
    assert plain(Inert(Global("lab", "Color"), ((1, 2),), new=False)) == "lab:Color((1, 2))"


def test_texts_are_short_whatever_they_stand_for() -> None:
    deep: Any = "x" * 10**6
    for _ in range(200):
        deep = Inert(Global("m", "C"), (deep, [deep] * 20, {"k": deep, "l": deep}), new=False)
        deep.record("state", {"s" * 5000: deep, 7: deep})
        deep.record("append", [deep] * 50)
        deep.record("setitem", [(deep, deep)])
    for value in (deep, 2**100_000, "\ud800" * 10**6, b"x" * 10**6, {1: {2: {3: {4: {5: 6}}}}}, object()):
        text = brief(value)
        assert len(text.encode()) <= 4 * REPR_MAX
    assert brief(Inert(Global("m", "C\ud800"), ("\ud800",), new=False)).isprintable()


def test_an_object_that_was_made_of_itself_can_be_written() -> None:
    """No pickler makes this, but a pickle can say it."""
    knot = Inert(Global("builtins", "list"), ([],), new=False)
    knot.args[0].append(knot)
    back = loads(emit(knot))
    assert isinstance(back, Inert)
    assert pickle.loads(emit(knot)) == []  # as the list was empty when it was copied


def test_what_is_too_large_or_too_deep_to_be_written_has_no_pickle() -> None:
    large = Inert(Global("m", "C"), (b"x" * OPAQUE_MAX,), new=False)
    assert opaque(large).data == b""
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    assert opaque(Inert(Global("m", "C"), (deep,), new=False)).data == b""
    small = opaque(Inert(Global("m", "C"), (b"x" * 1000,), new=False))
    assert loads(small.data).args == (b"x" * 1000,)


def test_what_was_done_is_recorded_in_order() -> None:
    data = b"\x80\x04cm\nC\n)\x81(K\x01e}(VkK\x02ub(K\x03eK\x04a(VaK\x05uVbK\x06s(K\x07\x90."
    data = data.replace(b"Vk", b"Vk\n").replace(b"Va", b"Va\n").replace(b"Vb", b"Vb\n")
    value = loads(data)
    assert value.maker.ref == "m:C"
    assert value.new
    assert value.steps == [
        ("append", [1]), ("state", {"k": 2}), ("append", [3]), ("append", [4]),
        ("setitem", [("a", 5)]), ("setitem", [("b", 6)]), ("add", [7]),
    ]  # fmt: skip
    assert value.state == {"k": 2}
    again = loads(emit(value))
    assert again.steps == value.steps


def test_instances_of_protocol_0_and_1() -> None:
    by_inst = loads(b"(K\x01im\nC\n.")
    by_obj = loads(b"(cm\nC\nK\x01o.")
    for value in (by_inst, by_obj):
        assert (value.maker.ref, value.args, value.new) == ("m:C", (1,), False)
    assert loads(b"(im\nC\n.").new
    assert loads(b"(cm\nC\no.").new
