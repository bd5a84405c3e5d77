"""Stand-ins for what a pickle says of foreign classes: what was referred to and how it was built, as plain data.

Nothing here imports, looks up or calls what it stands for. A stand-in can be written out again as a pickle of exactly
that object, and gives a plain value where the bytes alone tell one.
"""

import pickle
import struct
from typing import Any, ClassVar

import msgspec

from ezmsg.ledger.values import Opaque

OPAQUE_MAX = 2**20
"""Bytes of one foreign object's pickle that are kept. Those that clients really send, enum members and numbers, take a
hundred; they are written by a slow pickler, and a hostile one must not occupy the server."""

REPR_MAX = 200
"""Characters of the text that stands for a foreign object; enough to recognise it, harmless in a snapshot."""

REPR_DEPTH = 4
"""Levels of arguments that such a text shows."""

REPR_ITEMS = 8
"""Items of a container, arguments of a call, or bytes that such a text shows."""


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
    result was dropped. Compared by identity.
    """

    __slots__ = ("args", "kwargs", "maker", "new", "steps")

    def __init__(
        self, maker: "Global | Inert", args: tuple[Any, ...], *, new: bool, kwargs: dict[str, Any] | None = None
    ) -> None:
        self.maker = maker
        self.args = args
        self.kwargs = kwargs
        self.new = new
        self.steps: list[tuple[str, Any]] = []

    def __repr__(self) -> str:
        return brief(self)

    def all(self, step: str) -> list[Any]:
        """What all steps of one kind brought, in order: states, or appended items, (key, value) pairs, members."""
        if step in ("state", "effect"):
            return [payload for kind, payload in self.steps if kind == step]
        return [item for kind, payload in self.steps if kind == step for item in payload]

    @property
    def state(self) -> Any:
        """The last state that was set; None when there was none."""
        states = self.all("state")
        return states[-1] if states else None


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
"""What numpy's scalars are rebuilt with, before and since numpy 2."""

_NUMPY_NAMES = {
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


def class_of(value: "Global | Inert") -> Global:
    """The class of the object that ``value`` stands for, as far as the pickle tells; a Global stands for itself."""
    for _ in range(REPR_DEPTH):  # a maker can be made by a maker; nobody's real class is
        if isinstance(value, Global):
            return value
        maker = value.maker
        if isinstance(maker, Global):
            if maker.ref in _NUMPY_SCALAR:
                return Global("numpy", _numpy_name(value))
            if maker.ref in _CLASS_OF_FUNCTION:
                return _CLASS_OF_FUNCTION[maker.ref]
            first = value.args[0] if value.args else None
            if maker.ref in _CLASS_IN_FIRST_ARGUMENT and isinstance(first, Global | Inert):
                value = first
                continue
        value = maker
    return value if isinstance(value, Global) else Global("", "?")


def plain(value: "Global | Inert") -> int | float | str | bool:
    """What a program without the class can use.

    The number or text behind a numpy scalar, and behind an object that its class makes of one number or text alone, as
    enum members and subclasses of int, float and str are; else a short text such as ``my.mod:Point(1, 2)``.
    """
    if isinstance(value, Inert) and isinstance(value.maker, Global):
        if value.maker.ref in _NUMPY_SCALAR:
            scalar = _numpy_scalar(value)
            if scalar is not None:
                return scalar
        elif len(value.args) == 1 and not value.kwargs and _is_class_name(value.maker.name):
            only = value.args[0]
            if type(only) in (int, float, str, bool):
                return only  # type: ignore[no-any-return]
    return brief(value)


def _is_class_name(name: str) -> bool:
    """Whether a name reads as a class's: what a *function* makes of a text (``system``, ``eval``) is not that text."""
    return name.rpartition(".")[2].lstrip("_")[:1].isupper()


def _numpy_code(scalar: Inert) -> tuple[str, str] | None:
    """The dtype code and byte order of a numpy scalar, such as ``("f8", "<")``."""
    dtype = scalar.args[0] if scalar.args else None
    if not isinstance(dtype, Inert) or not dtype.args or type(dtype.args[0]) is not str:
        return None
    state = dtype.state
    order = state[1] if type(state) is tuple and len(state) > 1 and type(state[1]) is str else "="
    return dtype.args[0].lstrip("<>|="), order


def _numpy_name(scalar: Inert) -> str:
    code = _numpy_code(scalar)
    if code is None:
        return "generic"
    return "str_" if code[0].startswith("U") else _NUMPY_NAMES.get(code[0], ("generic", ""))[0]


def _numpy_scalar(scalar: Inert) -> int | float | str | bool | None:
    """The value of a numpy scalar of a numeric, bool or text type, read from its bytes; None for any other."""
    code = _numpy_code(scalar)
    data = scalar.args[1] if len(scalar.args) > 1 else None
    if code is None or type(data) is not bytes:
        return None
    kind, order = code
    try:
        if kind.startswith("U"):
            text = data.decode("utf-32-be" if order == ">" else "utf-32-le", "surrogatepass")
            return text.rstrip("\0")
        if kind in _NUMPY_NAMES:
            form = (order if order in "<>" else "=") + _NUMPY_NAMES[kind][1]
            return struct.unpack(form, data)[0]  # type: ignore[no-any-return]
    except (UnicodeDecodeError, struct.error):
        return None
    return None


# --- a short text ----------------------------------------------------------------------------------------------------


def brief(value: Any) -> str:
    """A short text for a stand-in or what is inside it: at most REPR_MAX characters, valid UTF-8, whatever the size."""
    text = _brief(value, REPR_DEPTH)
    if len(text) > REPR_MAX:
        text = text[: REPR_MAX - 3] + "..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _brief(value: Any, depth: int) -> str:
    cls = type(value)
    if cls is Global:
        return str(value.ref)
    if depth == 0:
        return "..."
    if cls is Inert:
        return _brief_inert(value, depth)
    if cls in (str, bytes, bytearray):
        return repr(value[:REPR_MAX])
    if cls is dict:
        pairs = [f"{_brief(key, depth - 1)}: {_brief(value[key], depth - 1)}" for key in _first(value)]
        return f"{{{_listed(pairs, len(value))}}}"
    brackets = _BRACKETS.get(cls)
    if brackets is not None:
        items = [_brief(item, depth - 1) for item in _first(value)]
        if cls is tuple and len(items) == 1:
            items.append("")
        return f"{brackets[0]}{_listed(items, len(value)).rstrip()}{brackets[1]}"
    if cls is int and value.bit_length() > 256:
        return f"<int of {value.bit_length()} bits>"
    if value is None or cls in (bool, int, float, complex):
        return repr(value)
    return f"<{cls.__name__}>"


def _brief_inert(value: Inert, depth: int) -> str:
    maker = value.maker
    if isinstance(maker, Global) and maker.ref == "builtins:getattr" and len(value.args) == 2:
        owner, name = value.args
        if isinstance(owner, Global | Inert) and type(name) is str:
            return f"{_brief(owner, depth - 1)}.{name[:REPR_MAX]}"
    state = value.state
    args = [_brief(item, depth - 1) for item in value.args[:REPR_ITEMS]]
    count = len(value.args)
    named = dict(value.kwargs or {}) | (state if type(state) is dict else {})
    args += [f"{key}={_brief(named[key], depth - 1)}" for key in _first(named)]
    count += len(named)
    rest = value.all("append")[:REPR_ITEMS] + [pair[1] for pair in value.all("setitem")[:REPR_ITEMS]]
    args += [_brief(item, depth - 1) for item in rest]
    return f"{class_of(value).ref}({_listed(args, max(count, len(args)))})"


_BRACKETS: dict[Any, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}


def _first(items: Any) -> list[Any]:
    return [item for item, _ in zip(items, range(REPR_ITEMS), strict=False)]


def _listed(texts: list[str], count: int) -> str:
    more = ", ..." if count > len(texts) else ""
    return ", ".join(texts) + more


# --- written out again -----------------------------------------------------------------------------------------------


def opaque(value: "Global | Inert") -> Opaque:
    """A stand-in as an Opaque: its class, a pickle of exactly this object, and what stands for it.

    There is no pickle (b"") when it would take more than OPAQUE_MAX bytes or nests too deeply to be written.
    """
    try:
        data = emit(value)
    except (_SinkFull, RecursionError):
        data = b""
    return Opaque(class_of(value).ref, data, plain(value))


def emit(value: Any) -> bytes:
    """A pickle (protocol 4) of a value that holds stand-ins, each written as the reference or the steps it records.

    A process that has the classes loads from it what was pickled first. Cost: O(distinct objects).
    """
    sink = _Sink()
    _Emitter(sink, protocol=4).dump(value)
    return b"".join(sink.parts)


class _SinkFull(Exception):
    """A pickle has become too long."""


class _Sink:
    """Takes what a pickler writes, up to OPAQUE_MAX bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._room = OPAQUE_MAX

    def write(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise _SinkFull
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
