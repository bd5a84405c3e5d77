"""Stand-ins for what a pickle says of foreign classes: what was referred to and how it was built, as plain data.

Nothing here imports, looks up or calls what it stands for. A stand-in can be written out again as a pickle of exactly
that object, and gives a plain value where the bytes alone tell one.
"""

import enum
import pickle
import struct
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from ezmsg.ledger.values import Opaque

OPAQUE_MAX = 64 * 1024
"""Bytes of one foreign object's pickle that are kept. Those that clients really send, enum members and numbers, take a
hundred; the pickler that writes them is slow, and a hostile object must not occupy the server."""

NUMPY_MAX = 16 * 1024
"""Bytes of a numpy text that are decoded, four to a character."""

REPR_MAX = 200
"""Characters of the text that stands for a foreign object; enough to recognise it, harmless in a snapshot."""

REPR_DEPTH = 6
"""Levels of arguments that such a text shows."""

REPR_ITEMS = 8
"""Items of a container or arguments of a call that such a text shows."""

REPR_PARTS = 64
"""Parts of all levels together that such a text shows."""


class Global(msgspec.Struct, frozen=True):
    """A name in a module, maybe dotted, that a pickle refers to.

    ``kind`` says what may be made of it for real, "" being nothing; ``target`` is the class for that.
    """

    module: str
    name: str
    kind: str = ""
    target: Any = None

    @property
    def ref(self) -> str:
        """``module:qualname``."""
        return f"{self.module}:{self.name}"


class Inert:
    """An object of a foreign class, as its pickle describes it.

    ``maker`` (a Global, or the Inert that a call returned) was called with ``args`` and ``kwargs``, or, where ``new``
    is set, its ``__new__`` was. ``steps`` are what was done to the object afterwards, in order: ``("state", state)``,
    ``("append", items)``, ``("setitem", pairs)``, ``("add", members)``, ``("effect", call)``, the last for a call whose
    result was dropped. ``state`` is the last state, or None. Compared by identity.
    """

    __slots__ = ("args", "kwargs", "maker", "new", "state", "steps")

    def __init__(
        self, maker: "Global | Inert", args: tuple[Any, ...], *, new: bool, kwargs: dict[Any, Any] | None = None
    ) -> None:
        self.maker = maker
        self.args = args
        self.kwargs = kwargs
        self.new = new
        self.state: Any = None
        self.steps: list[tuple[str, Any]] = []

    def __repr__(self) -> str:
        return brief(self)

    def record(self, step: str, payload: Any) -> None:
        """Note what is done to the object next."""
        if step == "state":
            self.state = payload
        self.steps.append((step, payload))


# --- what it is ------------------------------------------------------------------------------------------------------

_CLASS_IN_FIRST_ARGUMENT = frozenset(
    {
        "builtins:getattr",
        "copyreg:_reconstructor",
        "copyreg:__newobj__",
        "copyreg:__newobj_ex__",
        "numpy.core.multiarray:_reconstruct",
        "numpy._core.multiarray:_reconstruct",
    }
)
"""Functions that make an object of the class given first: the object is one of that class, not of the function."""

_CLASS_OF_FUNCTION = {
    "numpy.core.numeric:_frombuffer": Global("numpy", "ndarray"),
    "numpy._core.numeric:_frombuffer": Global("numpy", "ndarray"),
}
"""Functions that make objects of one class."""

_NUMPY_SCALAR = frozenset({"numpy.core.multiarray:scalar", "numpy._core.multiarray:scalar"})
"""The functions that rebuild numpy's scalars, before and since numpy 2."""

NUMPY_NAMES = {
    "f2": ("float16", "e"),
    "f4": ("float32", "f"),
    "f8": ("float64", "d"),
    "i1": ("int8", "b"),
    "i2": ("int16", "h"),
    "i4": ("int32", "i"),
    "i8": ("int64", "q"),
    "u1": ("uint8", "B"),
    "u2": ("uint16", "H"),
    "u4": ("uint32", "I"),
    "u8": ("uint64", "Q"),
    "b1": ("bool", "?"),
}
"""numpy's dtype codes: the name of the scalar's class, and the code of the same number in ``struct``."""


_NAMELESS = Global("builtins", "object")
"""The class of what is made by something that has no name itself."""


def class_of(value: "Global | Inert") -> Global:
    """The class of the object that ``value`` stands for, as far as the pickle tells; a Global stands for itself."""
    if isinstance(value, Global):
        return value
    maker = _named(value.maker)
    if maker.ref in _NUMPY_SCALAR:
        return Global("numpy", _numpy_name(value))
    first = value.args[0] if value.args else None
    if maker.ref in _CLASS_IN_FIRST_ARGUMENT and isinstance(first, Global | Inert):
        return _named(first)
    return _CLASS_OF_FUNCTION.get(maker.ref, maker)


def _named(value: "Global | Inert", depth: int = REPR_DEPTH) -> Global:
    """The name of something that is called: itself, or where ``getattr``, as old protocols have it, would find it."""
    if isinstance(value, Global):
        return value
    if isinstance(value.maker, Global) and value.maker.ref == "builtins:getattr" and len(value.args) == 2 and depth:
        owner, name = value.args
        if isinstance(owner, Global | Inert) and type(name) is str:
            outer = _named(owner, depth - 1)
            return Global(outer.module, f"{outer.name}.{name[:REPR_MAX]}")
    return _NAMELESS


def plain(value: "Global | Inert") -> int | float | str | bool:
    """A value for programs without the class: the scalar that it stands for, else a short text: ``my.mod:C(1, 2)``."""
    found = scalar(value)
    return brief(value) if found is None else found


def scalar(value: "Global | Inert") -> int | float | str | bool | None:
    """The number or text that a foreign object is, in other clothes; None when it is more, or something else.

    That is what a numpy scalar holds, and what its class alone makes an object of: an enum member, or an object of a
    subclass of int, float or str. Cost: O(1), NUMPY_MAX bytes of a text at most.
    """
    if not isinstance(value, Inert):
        return None
    maker = _named(value.maker)
    return _numpy_scalar(value) if maker.ref in _NUMPY_SCALAR else _only_argument(value, maker)


def _only_argument(value: Inert, maker: Global) -> int | float | str | bool | None:
    """The only argument that an object is made of, if that is all there is to it."""
    if len(value.args) != 1 or value.kwargs or (value.steps and not value.new) or not _is_class_name(maker.name):
        return None
    only = value.args[0]
    return only if type(only) in (int, float, str, bool) else None


def _is_class_name(name: str) -> bool:
    """Whether a name reads as a class's: what a *function* makes of a text (``system``, ``eval``) is not that text."""
    return name.rpartition(".")[2].lstrip("_")[:1].isupper()


def _numpy_code(value: Inert) -> tuple[str, str] | None:
    """The dtype code and byte order of a numpy scalar."""
    dtype = value.args[0] if value.args else None
    return numpy_code(dtype) if isinstance(dtype, Inert) else None


def numpy_code(dtype: Inert) -> tuple[str, str] | None:
    """The code and byte order of a numpy dtype, such as ``("f8", "<")``."""
    if not dtype.args or type(dtype.args[0]) is not str:
        return None
    state = dtype.state
    order = state[1] if type(state) is tuple and len(state) > 1 and type(state[1]) is str else "="
    return dtype.args[0].lstrip("<>|="), order


def _numpy_name(value: Inert) -> str:
    code = _numpy_code(value)
    if code is None:
        return "generic"
    return "str_" if code[0].startswith("U") else NUMPY_NAMES.get(code[0], ("generic", ""))[0]


def _numpy_scalar(value: Inert) -> int | float | str | bool | None:
    """The value of a numpy scalar of a numeric, bool or text type, read from its bytes; None for any other."""
    code = _numpy_code(value)
    data = value.args[1] if len(value.args) > 1 else None
    if code is None or type(data) is not bytes or len(data) > NUMPY_MAX:
        return None
    kind, order = code
    try:
        if kind.startswith("U"):
            text = data.decode("utf-32-be" if order == ">" else "utf-32-le", "surrogatepass")
            return text.rstrip("\0")
        if kind in NUMPY_NAMES:
            form = (order if order in "<>" else "=") + NUMPY_NAMES[kind][1]
            return struct.unpack(form, data)[0]  # type: ignore[no-any-return]
    except (UnicodeDecodeError, struct.error):
        return None
    return None


# --- a short text ----------------------------------------------------------------------------------------------------


def brief(value: Any) -> str:
    """A short text for a stand-in or what is inside it: at most REPR_MAX characters, valid UTF-8, whatever the size."""
    text = _Brief().text(value, REPR_DEPTH)
    if len(text) > REPR_MAX:
        text = text[: REPR_MAX - 3] + "..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Brief:
    """Writes one short text, of no more than REPR_PARTS parts."""

    def __init__(self) -> None:
        self._left = REPR_PARTS

    def text(self, value: Any, depth: int) -> str:
        cls = type(value)
        self._left -= 1
        if depth == 0 or self._left < 0:
            return "..."
        if cls is Global:
            return f"{value.module}:{value.name}"
        if cls is Inert:
            return self._inert(value, depth)
        if cls in (str, bytes, bytearray):
            return repr(value[:REPR_MAX])
        if cls is int and value.bit_length() > 256:
            return f"<int of {value.bit_length()} bits>"
        if value is None or cls in (bool, int, float, complex):
            return repr(value)
        return self._container(value, depth - 1)

    def _container(self, value: Any, depth: int) -> str:
        cls = type(value)
        first = list(islice(value, REPR_ITEMS)) if cls in _BRACKETS else []
        more = ", ..." if cls in _BRACKETS and len(value) > len(first) else ""
        if cls is dict:
            texts = [f"{self.text(key, depth)}: {self.text(value[key], depth)}" for key in first]
        elif cls in _BRACKETS:
            texts = [self.text(item, depth) for item in first]
            more = more or ("," if cls is tuple and len(value) == 1 else "")
        else:
            return repr(value) if cls is UUID or isinstance(value, enum.Enum) else f"<{cls.__name__}>"
        return _BRACKETS[cls][0] + ", ".join(texts) + more + _BRACKETS[cls][1]

    def _inert(self, value: Inert, depth: int) -> str:
        member = _named(value)
        if member is not _NAMELESS:
            return member.ref
        parts = [("", item) for item in value.args[: REPR_ITEMS + 1]]
        for named in (value.kwargs, value.state):
            if type(named) is dict:
                parts += [(f"{str(key)[:REPR_MAX]}=", named[key]) for key in islice(named, REPR_ITEMS + 1)]
        for kind, payload in value.steps[: REPR_ITEMS + 1]:
            if kind in ("append", "add", "setitem"):
                parts += [("", item) for item in payload[: REPR_ITEMS + 1]]
        texts = [name + self.text(item, depth - 1) for name, item in parts[:REPR_ITEMS]]
        texts += ["..."] if len(parts) > REPR_ITEMS else []
        return f"{class_of(value).ref}({', '.join(texts)})"


_BRACKETS: dict[Any, str] = {list: "[]", tuple: "()", dict: "{}", set: "{}", frozenset: "{}"}


# --- written out again -----------------------------------------------------------------------------------------------


def opaque(value: Any) -> Opaque:
    """A stand-in, or another object that is not a plain value, as an Opaque.

    It has the object's class, a pickle of exactly this object, and what stands for it. There is no pickle (b"") when it
    would take more than OPAQUE_MAX bytes or nests too deeply to be written.
    """
    try:
        data = emit(value)
    except (SinkFull, RecursionError):
        data = b""
    if isinstance(value, Inert | Global):
        return Opaque(class_of(value).ref, data, plain(value))
    return Opaque(f"{type(value).__module__}:{type(value).__qualname__}", data, brief(value))


def emit(value: Any, most: int = OPAQUE_MAX) -> bytes:
    """A pickle (protocol 4) of a value that holds stand-ins, each written as the reference or the steps it records.

    A process that has the classes loads from it what was pickled first. Raises SinkFull beyond ``most`` bytes. Cost:
    O(distinct objects).
    """
    sink = _Sink(most)
    _Emitter(sink, protocol=4).dump(value)
    return b"".join(sink.parts)


class SinkFull(Exception):
    """A pickle has become too long."""


class _Sink:
    """Takes what a pickler writes, up to ``room`` bytes."""

    def __init__(self, room: int) -> None:
        self.parts: list[bytes] = []
        self._room = room

    def write(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise SinkFull
        self.parts.append(bytes(data))


# The pickler in Python: the one in C offers no way to write a reference without importing what it names.
class _Emitter(pickle._Pickler):
    """Pickles plain values as ever, and stand-ins from what they record."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)
    write: Any
    save: Any
    memo: dict[int, Any]

    def save_reference(self, value: Global) -> None:
        self.save(value.module)
        self.save(value.name)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(value)

    def save_inert(self, value: Inert) -> None:
        self.save(value.maker)
        self.save(value.args)
        if value.kwargs is not None:
            self.save(value.kwargs)
            self.write(pickle.NEWOBJ_EX)
        else:
            self.write(pickle.NEWOBJ if value.new else pickle.REDUCE)
        if id(value) in self.memo:  # its own arguments lead back to it: it was written meanwhile
            self.write(pickle.POP + self.get(self.memo[id(value)][0]))
            return
        self.memoize(value)
        for kind, payload in value.steps:
            self._save_step(kind, payload)

    def _save_step(self, kind: str, payload: Any) -> None:
        if kind == "state":
            self.save(payload)
            self.write(pickle.BUILD)
        elif kind == "effect":
            self.save(payload)
            self.write(pickle.POP)
        else:
            self.write(pickle.MARK)
            for item in payload:
                for part in item if kind == "setitem" else (item,):
                    self.save(part)
            self.write(_STEP_OPCODES[kind])

    memoize: Any
    get: Any

    dispatch[Global] = save_reference
    dispatch[Inert] = save_inert


_STEP_OPCODES = {"append": pickle.APPENDS, "setitem": pickle.SETITEMS, "add": pickle.ADDITEMS}
