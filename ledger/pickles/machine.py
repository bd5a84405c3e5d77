"""The stack machine that a pickle runs on here, and what its opcodes may do to it."""

import enum
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.pickles.builtin import BUILTINS, build_uuid, make
from ezmsg.ledger.pickles.stand_ins import Global, Inert

NAME_MAX = 1024
"""Characters of a module's and a class's name together."""

GLOBALS_MAX = 10_000
"""Different names in one pickle; every class is named once."""

KEY_INT_MAX = 2**61 - 1
"""Python's hash of an integer is its value modulo this: larger ones can be chosen to collide."""

KEY_TUPLE_MAX = 64
"""Items of a tuple that is a key of a dict or a member of a set: its hash is computed anew at every use."""

KEYS_ODD_MAX = 1000
"""Keys of one pickle whose hashes a sender can choose. As many as these cannot make a dict slow."""

_SAFE_KEYS = frozenset({str, bytes, bool, float, type(None), Inert, Global})
_COPIES = frozenset({set, frozenset, bytes, bytearray})
_FLAT = frozenset({str, bytes, bool, float, int, type(None)})


class UnsoundPickle(LedgerError):
    """Bytes that are not a pickle, or one that no ezmsg client makes."""

    hint = "Clients send pickles without persistent ids, extension codes or out-of-band buffers."


class Machine:
    """A pickle's stack, the places of its marks, its memo, and the names it has referred to.

    ``known``: the names that are more than names here, with what may be made of them.

    Operands of the wrong kind raise UnsoundPickle, TypeError, ValueError or IndexError; the reading makes one of all.
    """

    __slots__ = (
        *("_copied", "_known", "_odd_keys", "data", "globals"),
        *("marks", "memo", "protocol", "stack", "unfinished"),
    )

    def __init__(self, data: bytes, known: Mapping[tuple[str, str], Global] = BUILTINS) -> None:
        self.data = data
        self._known = known
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.globals: dict[tuple[str, str], Global] = {}
        self.protocol = 0
        self.unfinished = 0
        self._odd_keys = 0
        self._copied = 0

    # --- containers --------------------------------------------------------------------------------------------------

    def since_mark(self) -> list[Any]:
        """The items that were pushed since the last mark, taken off the stack with it."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def extend(self, target: Any, items: list[Any]) -> None:
        """Append items to a list."""
        if type(target) is list:
            target.extend(items)
        else:
            _foreign(target).record("append", items)

    def set_items(self, target: Any, items: list[Any]) -> None:
        """Set items of a dict: key, value, key, value, ..."""
        if len(items) % 2:
            raise UnsoundPickle("a key without a value")
        alternate = iter(items)
        pairs = zip(alternate, alternate, strict=False)
        if type(target) is dict:
            for key, value in pairs:
                if type(key) is not str:
                    self._check_key(key)
                target[key] = value
        else:
            _foreign(target).record("setitem", list(pairs))

    def add(self, target: Any, members: list[Any]) -> None:
        """Add members to a set."""
        if type(target) is set:
            self.check_keys(members)
            target.update(members)
        else:
            _foreign(target).record("add", members)

    def check_keys(self, keys: Iterable[Any]) -> None:
        """Refuse keys whose hash costs more than a glance, and many that may collide.

        The hash of a tuple is not kept: one of tuples of tuples, each twice the same, takes a time beyond all bounds.
        """
        for key in keys:
            if type(key) is not str:
                self._check_key(key)

    def _check_key(self, key: Any) -> None:
        cls = type(key)
        if cls in _SAFE_KEYS or (cls is int and -KEY_INT_MAX < key < KEY_INT_MAX) or isinstance(key, enum.Enum):
            return
        if isinstance(key, tuple):
            if len(key) > KEY_TUPLE_MAX or not all(type(item) in _FLAT for item in key):
                raise UnsoundPickle("a tuple that is a key may hold a few numbers and texts, no more")
        elif cls not in (int, complex, frozenset) and not (cls is UUID and hasattr(key, "int")):
            raise UnsoundPickle(f"a {cls.__name__} cannot be a key")
        self._odd_keys += 1
        if self._odd_keys > KEYS_ODD_MAX:
            raise UnsoundPickle(f"more than {KEYS_ODD_MAX} keys that are neither texts nor plain numbers")

    # --- objects -----------------------------------------------------------------------------------------------------

    def refer(self, module: Any, name: Any) -> None:
        """Push what a name stands for: something of the allow-list, or the name itself."""
        if type(module) is not str or type(name) is not str or len(module) + len(name) > NAME_MAX:
            raise UnsoundPickle("a reference whose module or name is not a short text")
        key = (module, name)
        if self.protocol < 3:  # these spell names as Python 2 did
            key = NAME_MAPPING.get(key) or (IMPORT_MAPPING.get(module, module), name)
        reference = self.globals.get(key)
        if reference is None:
            if len(self.globals) >= GLOBALS_MAX:
                raise UnsoundPickle(f"more than {GLOBALS_MAX} different names")
            reference = self.globals[key] = self._known.get(key) or Global(*key)
        self.stack.append(reference)

    def create(self, maker: Any, args: Any, kwargs: dict[Any, Any] | None = None, *, new: bool) -> None:
        """Push the object that ``maker`` makes, called or (``new``) through ``__new__``; nothing foreign is called."""
        if type(args) is not tuple:
            raise UnsoundPickle("an object is made of something else than arguments")
        made: Any = Inert
        if type(maker) is not Global:
            _foreign(maker)
        elif not kwargs:
            made = make(maker, args, self.check_keys, new=new)
            if type(made) in _COPIES:
                self._count_copy(len(made))
        if type(made) is UUID:
            self.unfinished += 1
        self.stack.append(Inert(maker, args, new=new, kwargs=kwargs) if made is Inert else made)

    def _count_copy(self, size: int) -> None:
        """Refuse more copied bytes than the pickle has: only one argument that is copied again and again makes them."""
        self._copied += size
        if self._copied > len(self.data):
            raise UnsoundPickle("one argument is copied into many objects")

    def build(self, target: Any, state: Any) -> None:
        """Give a new object its state. What else is on the stack, classes and enum members above all, takes none.

        A record's ``__dict__`` may end up with any keys: code that goes through it must look at them.
        """
        cls = type(target)
        if cls is Inert:
            target.record("state", state)
        elif type(state) is dict and self._is_record(cls):
            target.__dict__.update(state)
        elif cls is UUID and build_uuid(target, state):
            self.unfinished -= 1
        else:
            raise UnsoundPickle(f"a state that a {cls.__name__} cannot have")

    def _is_record(self, cls: type) -> bool:
        known = self._known.get((cls.__module__, cls.__qualname__))
        return known is not None and known.kind == "record" and known.target is cls


def _foreign(value: Any) -> Inert:
    if type(value) is not Inert:
        raise UnsoundPickle(f"something is done to a {type(value).__name__} that it does not allow")
    return value
