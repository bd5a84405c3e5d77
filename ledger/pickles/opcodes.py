"""The opcodes of pickle, protocols 0 to 5, that are taken here, each as what it does to the machine.

Not taken: persistent ids, extension codes and out-of-band buffers, which mean nothing between strangers, and the
strings of Python 2.
"""

import codecs
import pickle
import struct
from collections.abc import Callable
from typing import Any

from ezmsg.ledger.pickles.machine import Machine, UnsoundPickle
from ezmsg.ledger.pickles.stand_ins import Inert

INT_BYTES_MAX = 512
"""Bytes of one integer. Larger ones have no use here, and their decimal text costs quadratic time."""

Handler = Callable[[Machine, int], int]
"""Gets the machine and where the opcode's argument begins; returns where the next opcode is."""

_u16 = struct.Struct("<H").unpack_from
_u32 = struct.Struct("<I").unpack_from
_i32 = struct.Struct("<i").unpack_from
_u64 = struct.Struct("<Q").unpack_from


def text(data: bytes) -> str:
    """A text as pickles have it: UTF-8 in which lone surrogates are allowed."""
    return data.decode("utf-8", "surrogatepass")


# --- arguments -------------------------------------------------------------------------------------------------------


def _constant(make: Callable[[], Any]) -> Handler:
    def handle(machine: Machine, at: int) -> int:
        machine.stack.append(make())
        return at

    return handle


def _fixed(unpack: Callable[[bytes, int], tuple[Any, ...]], size: int) -> Handler:
    def handle(machine: Machine, at: int) -> int:
        machine.stack.append(unpack(machine.data, at)[0])
        return at + size

    return handle


def _sized(unpack: Callable[[bytes, int], tuple[int, ...]], width: int, make: Callable[[bytes], Any]) -> Handler:
    """An argument with its length before it."""

    def handle(machine: Machine, at: int) -> int:
        size = unpack(machine.data, at)[0]
        end = at + width + size
        if end > len(machine.data):
            raise IndexError("an argument reaches beyond the end")
        machine.stack.append(make(machine.data[at + width : end]))
        return end

    return handle


def _u8(data: bytes, at: int) -> tuple[int]:
    return (data[at],)


def _integer(data: bytes) -> int:
    if len(data) > INT_BYTES_MAX:
        raise UnsoundPickle(f"an integer of {len(data)} bytes")
    return int.from_bytes(data, "little", signed=True)


def _line(machine: Machine, at: int) -> tuple[bytes, int]:
    end = machine.data.index(b"\n", at)
    return machine.data[at:end], end + 1


def _lined(make: Callable[[bytes], Any]) -> Handler:
    """An argument that ends with its line."""

    def handle(machine: Machine, at: int) -> int:
        line, at = _line(machine, at)
        machine.stack.append(make(line))
        return at

    return handle


def _decimal(line: bytes) -> int | bool:
    if line in (b"00", b"01"):
        return line == b"01"
    if len(line) > 2 * INT_BYTES_MAX:
        raise UnsoundPickle(f"an integer of {len(line)} digits")
    return int(line.removesuffix(b"L"))


def _tuple_of(count: int) -> Handler:
    def handle(machine: Machine, at: int) -> int:
        stack = machine.stack
        if len(stack) < count:
            raise IndexError("a tuple of more than there is")
        stack[-count:] = [tuple(stack[-count:])]
        return at

    return handle


def _marked(make: Callable[[Machine, list[Any]], Any]) -> Handler:
    """Something that is made of all since the mark."""

    def handle(machine: Machine, at: int) -> int:
        machine.stack.append(make(machine, machine.since_mark()))
        return at

    return handle


def _new_dict(machine: Machine, items: list[Any]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    machine.set_items(made, items)
    return made


def _new_frozenset(machine: Machine, items: list[Any]) -> frozenset[Any]:
    machine.check_keys(items)
    return frozenset(items)


def _protocol(machine: Machine, at: int) -> int:
    machine.protocol = machine.data[at]
    if machine.protocol > pickle.HIGHEST_PROTOCOL:
        raise UnsoundPickle(f"a pickle of protocol {machine.protocol}")
    return at + 1


def _frame(machine: Machine, at: int) -> int:
    return at + 8  # a hint for readers of streams; this one has all the bytes


# --- the memo and the stack ------------------------------------------------------------------------------------------


def _put(unpack: Callable[[bytes, int], tuple[int, ...]], size: int) -> Handler:
    def handle(machine: Machine, at: int) -> int:
        _remember(machine, unpack(machine.data, at)[0])
        return at + size

    return handle


def _put_line(machine: Machine, at: int) -> int:
    line, at = _line(machine, at)
    _remember(machine, int(line))
    return at


def _remember(machine: Machine, index: int) -> None:
    """Picklers number what they remember from 0 and without a gap, so the memo is a list that no index can blow up."""
    memo = machine.memo
    if not 0 <= index <= len(memo):
        raise UnsoundPickle(f"a memo index of {index}, where {len(memo)} is next")
    memo[index : index + 1] = [machine.stack[-1]]


def _get_line(machine: Machine, at: int) -> int:
    line, at = _line(machine, at)
    index = int(line)
    if index < 0:
        raise IndexError("a negative memo index")
    machine.stack.append(machine.memo[index])
    return at


def _pop(machine: Machine, at: int) -> int:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
        return at
    dropped = machine.stack.pop()
    if type(dropped) is Inert and dropped.args and type(dropped.args[0]) is Inert:
        dropped.args[0].record("effect", dropped)  # a function was called for what it does to its argument
    return at


def _pop_mark(machine: Machine, at: int) -> int:
    machine.since_mark()
    return at


def _dup(machine: Machine, at: int) -> int:
    machine.stack.append(machine.stack[-1])
    return at


# --- containers ------------------------------------------------------------------------------------------------------


def _append(machine: Machine, at: int) -> int:
    item = machine.stack.pop()
    machine.extend(machine.stack[-1], [item])
    return at


def _appends(machine: Machine, at: int) -> int:
    items = machine.since_mark()
    machine.extend(machine.stack[-1], items)
    return at


def _set_item(machine: Machine, at: int) -> int:
    value = machine.stack.pop()
    key = machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])
    return at


def _add_items(machine: Machine, at: int) -> int:
    members = machine.since_mark()
    machine.add(machine.stack[-1], members)
    return at


# --- names and objects -----------------------------------------------------------------------------------------------


def _stack_global(machine: Machine, at: int) -> int:
    name = machine.stack.pop()
    module = machine.stack.pop()
    machine.refer(module, name)
    return at


def _global(machine: Machine, at: int) -> int:
    module, at = _line(machine, at)
    name, at = _line(machine, at)
    machine.refer(module.decode(), name.decode())
    return at


def _reduce(machine: Machine, at: int) -> int:
    args = machine.stack.pop()
    machine.create(machine.stack.pop(), args, new=False)
    return at


def _newobj(machine: Machine, at: int) -> int:
    args = machine.stack.pop()
    machine.create(machine.stack.pop(), args, new=True)
    return at


def _newobj_ex(machine: Machine, at: int) -> int:
    kwargs = machine.stack.pop()
    if type(kwargs) is not dict:
        raise UnsoundPickle("keyword arguments that are not a dict")
    args = machine.stack.pop()
    machine.create(machine.stack.pop(), args, kwargs, new=True)
    return at


def _inst(machine: Machine, at: int) -> int:
    at = _global(machine, at)
    maker = machine.stack.pop()
    args = tuple(machine.since_mark())
    machine.create(maker, args, new=not args)
    return at


def _obj(machine: Machine, at: int) -> int:
    maker, *args = machine.since_mark()
    machine.create(maker, tuple(args), new=not args)
    return at


def _build(machine: Machine, at: int) -> int:
    state = machine.stack.pop()
    machine.build(machine.stack[-1], state)
    return at


def _unknown(machine: Machine, at: int) -> int:
    code = machine.data[at - 1]
    raise UnsoundPickle(f"opcode 0x{code:02x} at byte {at - 1} is not one that is taken")


_OPCODES: dict[bytes, Handler] = {
    pickle.PROTO: _protocol,
    pickle.FRAME: _frame,
    pickle.NEWTRUE: _constant(lambda: True),
    pickle.NEWFALSE: _constant(lambda: False),
    pickle.EMPTY_DICT: _constant(dict),
    pickle.EMPTY_LIST: _constant(list),
    pickle.EMPTY_TUPLE: _constant(tuple),
    pickle.EMPTY_SET: _constant(set),
    pickle.BININT: _fixed(_i32, 4),
    pickle.BININT1: _fixed(_u8, 1),
    pickle.BININT2: _fixed(_u16, 2),
    pickle.LONG1: _sized(_u8, 1, _integer),
    pickle.LONG4: _sized(_u32, 4, _integer),
    pickle.SHORT_BINBYTES: _sized(_u8, 1, bytes),
    pickle.BINBYTES: _sized(_u32, 4, bytes),
    pickle.BINBYTES8: _sized(_u64, 8, bytes),
    pickle.BYTEARRAY8: _sized(_u64, 8, bytearray),
    pickle.BINUNICODE: _sized(_u32, 4, text),
    pickle.BINUNICODE8: _sized(_u64, 8, text),
    pickle.INT: _lined(_decimal),
    pickle.LONG: _lined(_decimal),
    pickle.FLOAT: _lined(float),
    pickle.UNICODE: _lined(lambda line: codecs.decode(line, "raw-unicode-escape")),
    pickle.TUPLE1: _tuple_of(1),
    pickle.TUPLE2: _tuple_of(2),
    pickle.TUPLE3: _tuple_of(3),
    pickle.TUPLE: _marked(lambda machine, items: tuple(items)),
    pickle.LIST: _marked(lambda machine, items: items),
    pickle.DICT: _marked(_new_dict),
    pickle.FROZENSET: _marked(_new_frozenset),
    pickle.APPEND: _append,
    pickle.APPENDS: _appends,
    pickle.SETITEM: _set_item,
    pickle.ADDITEMS: _add_items,
    pickle.BINPUT: _put(_u8, 1),
    pickle.LONG_BINPUT: _put(_u32, 4),
    pickle.PUT: _put_line,
    pickle.GET: _get_line,
    pickle.POP: _pop,
    pickle.POP_MARK: _pop_mark,
    pickle.DUP: _dup,
    pickle.STACK_GLOBAL: _stack_global,
    pickle.GLOBAL: _global,
    pickle.REDUCE: _reduce,
    pickle.NEWOBJ: _newobj,
    pickle.NEWOBJ_EX: _newobj_ex,
    pickle.INST: _inst,
    pickle.OBJ: _obj,
    pickle.BUILD: _build,
}
HANDLERS: list[Handler] = [_OPCODES.get(bytes([code]), _unknown) for code in range(256)]
"""The operations by opcode: all but those that the reading itself takes, because they are nine of ten."""
