"""The reading of a pickle, from its first opcode to its last."""

import struct
from collections.abc import Mapping
from typing import Any

from ezmsg.ledger.pickles.builtin import BUILTINS
from ezmsg.ledger.pickles.machine import Machine, UnsoundPickle
from ezmsg.ledger.pickles.opcodes import HANDLERS, text
from ezmsg.ledger.pickles.stand_ins import Global

OPCODES_MAX = 2_000_000
"""Opcodes of one pickle. A component of a real system takes about 300, so this is a system of 7,000."""

_FRESH_RECORD = b"\x81\x94}\x94("
"""NEWOBJ, MEMOIZE, EMPTY_DICT, MEMOIZE, MARK: how nearly every object begins after its class and no arguments."""

_u32 = struct.Struct("<I").unpack_from
_f64 = struct.Struct(">d").unpack_from

_FAULTS = (IndexError, ValueError, TypeError, struct.error)
"""The errors of reading past the end, taking from an empty stack, and ill-formed numbers, texts and keys."""


def loads(data: bytes, known: Mapping[tuple[str, str], Global] = BUILTINS) -> Any:
    """The object in a pickle: builtin values, UUIDs, objects of the classes that are ``known``, stand-ins for all else.

    Shared and cyclic parts are shared and cyclic in the result. Raises UnsoundPickle. Cost: O(bytes), about 0.3 us per
    opcode; the bytes and OPCODES_MAX bound the memory.
    """
    return _run(Machine(data, known))


def _run(machine: Machine) -> Any:
    try:
        end = _interpret(machine)
        [value] = machine.stack
    except _FAULTS as error:
        raise UnsoundPickle(f"not a sound pickle: {type(error).__name__}: {error}") from error
    if machine.marks or machine.unfinished:
        raise UnsoundPickle("a pickle ends before what it began is complete")
    if end != len(machine.data):
        raise UnsoundPickle(f"{len(machine.data) - end} bytes follow the end of a pickle")
    return value


# One long function, for speed: its branches take nine of ten opcodes of real metadata, the commonest first.
def _interpret(machine: Machine) -> int:
    data, stack, memo, marks = machine.data, machine.stack, machine.memo, machine.marks
    push, remember = stack.append, memo.append
    value: Any
    state: dict[Any, Any]
    at = 0
    for _ in range(OPCODES_MAX):
        op = data[at]
        if op == 0x68:  # BINGET
            push(memo[data[at + 1]])
            at += 2
        elif op == 0x8C:  # SHORT_BINUNICODE
            end = at + 2 + data[at + 1]
            try:
                value = data[at + 2 : end].decode()
            except UnicodeDecodeError:
                value = text(data[at + 2 : end])
            push(value)
            at = end
            if data[at] == 0x94:  # MEMOIZE
                remember(value)
                at += 1
        elif op == 0x4E:  # NONE
            push(None)
            at += 1
        elif op == 0x29 and data[at + 1 : at + 6] == _FRESH_RECORD and _is_record(stack[-1]):
            value, state = object.__new__(stack[-1].target), {}
            stack[-1] = value
            push(state)
            memo += (value, state)
            marks.append(len(stack))
            at += 6
        elif op == 0x75:  # SETITEMS
            mark = marks.pop()
            items = stack[mark:]
            del stack[mark:]
            machine.set_items(stack[-1], items)
            at += 1
        elif op == 0x6A:  # LONG_BINGET
            push(memo[_u32(data, at + 1)[0]])
            at += 5
        elif op == 0x94:  # MEMOIZE
            remember(stack[-1])
            at += 1
        elif op == 0x28:  # MARK
            marks.append(len(stack))
            at += 1
        elif op == 0x47:  # BINFLOAT
            push(_f64(data, at + 1)[0])
            at += 9
        elif op == 0x2E:  # STOP
            return at + 1
        else:
            at = HANDLERS[op](machine, at + 1)
    raise UnsoundPickle(f"a pickle of more than {OPCODES_MAX} opcodes", hint="Send less at once.")


def _is_record(value: Any) -> bool:
    return type(value) is Global and value.kind == "record"
