"""Makers of the values that a pickle may name: Python's own plain ones, and objects of classes that a caller knows.

A maker returns the object, or the class Inert where the arguments are not those that Python's pickler writes:
``bytearray`` of a number, for one, would allocate as much as the number says.
"""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from ezmsg.ledger.pickles.stand_ins import Global, Inert

BUILTINS: dict[tuple[str, str], Global] = {
    ("uuid", "UUID"): Global("uuid", "UUID", "uuid", UUID),
    ("_codecs", "encode"): Global("_codecs", "encode", "latin1"),
    **{
        ("builtins", name): Global("builtins", name, name)
        for name in ("set", "frozenset", "bytearray", "bytes", "complex", "getattr")
    },
}
"""The names of Python itself that are more than names. ``kind`` selects the maker, ``target`` is the real class."""

CheckKeys = Callable[[Iterable[Any]], None]


def make(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys, *, new: bool) -> Any:
    """The object that ``maker`` makes of ``args``, called or (``new``) through ``__new__``; Inert if it makes none."""
    maker_of_kind = _MAKERS.get((maker.kind, new))
    return Inert if maker_of_kind is None else maker_of_kind(maker, args, check_keys)


def _make_record(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    return Inert if args else object.__new__(maker.target)


def _make_uuid(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    return Inert if args else UUID.__new__(UUID)


def build_uuid(target: UUID, state: Any) -> bool:
    """Give a new UUID its value; False when ``state`` is not one that UUID's own pickles have."""
    if type(state) is not dict or set(state) - {"int", "is_safe"} or hasattr(target, "int"):
        return False
    value = state.get("int")
    if type(value) is not int or not 0 <= value < 2**128 or state.get("is_safe") not in (None, 0, -1):
        return False
    target.__setstate__(state)  # type: ignore[attr-defined]
    return True


def _make_member(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    if len(args) == 1 and type(args[0]) is str:
        return maker.target._value2member_map_.get(args[0], Inert)
    return Inert


def _make_attribute(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    """``getattr``: how some Pythons write an enum member."""
    if len(args) == 2 and type(args[0]) is Global and args[0].kind == "enum" and type(args[1]) is str:
        return args[0].target.__members__.get(args[1], Inert)
    return Inert


def _make_pair(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    return maker.target(*args) if len(args) == 2 and all(type(arg) is str for arg in args) else Inert


def _make_set(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    """Sets before protocol 4."""
    if len(args) != 1 or type(args[0]) is not list:
        return Inert
    check_keys(args[0])
    return set(args[0]) if maker.name == "set" else frozenset(args[0])


def _make_bytes(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    """Empty bytes before protocol 3."""
    return Inert if args else b""


def _make_bytearray(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    """Byte arrays before protocol 5."""
    if not args:
        return bytearray()
    if len(args) == 1 and type(args[0]) is bytes:
        return bytearray(args[0])
    if len(args) == 2 and type(args[0]) is str and args[1] == "latin-1":
        return bytearray(args[0], "latin-1")
    return Inert


def _make_latin1(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    """Bytes before protocol 3."""
    if len(args) == 2 and type(args[0]) is str and args[1] == "latin1":
        return args[0].encode("latin-1")
    return Inert


def _make_complex(maker: Global, args: tuple[Any, ...], check_keys: CheckKeys) -> Any:
    return complex(*args) if len(args) == 2 and all(type(arg) is float for arg in args) else Inert


_MAKERS: dict[tuple[str, bool], Callable[[Global, tuple[Any, ...], CheckKeys], Any]] = {
    ("record", True): _make_record,
    ("uuid", True): _make_uuid,
    ("pair", True): _make_pair,
    ("enum", False): _make_member,
    ("getattr", False): _make_attribute,
    ("set", False): _make_set,
    ("frozenset", False): _make_set,
    ("bytes", False): _make_bytes,
    ("bytearray", False): _make_bytearray,
    ("complex", False): _make_complex,
    ("latin1", False): _make_latin1,
}
