"""Pickles read as data: what Python writes is read as Python would, and nothing hostile gets further than an error."""

import builtins
import enum
import functools
import io
import os
import pickle
import pickletools
import struct
import time
from argparse import Namespace
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID, uuid1, uuid4

import pytest
from ezmsg.core import graphmeta as gm
from ezmsg.core.dag import DAG
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.pickles import machine as machine_module
from ezmsg.ledger.pickles.opcodes import HANDLERS
from ezmsg.ledger.pickles.reading import OPCODES_MAX
from ezmsg.ledger.pickles.stand_ins import Global, Inert
from ezmsg.ledger.runtime.server.pickles import RECORDS, BadPickle, dumps, loads, writing
from ezmsg.ledger.runtime.server.wire.protocol import Malformed
from tests.runtime.server.conftest import BY_NAME
from tests.runtime.server.pickled import references

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def same(a: Any, b: Any) -> bool:
    """Type-strict equality, through containers, dataclasses and NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, set | frozenset):
        return a == b and sorted(map(repr, a)) == sorted(map(repr, b))
    if hasattr(a, "__dataclass_fields__"):
        return same(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())))
    return bool(a == b)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**600), 2**600)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
keys = st.text() | st.integers(-(2**40), 2**40) | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars | st.complex_numbers() | st.builds(bytearray, st.binary()),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(keys, inner, max_size=5)
        | st.sets(keys, max_size=5)
        | st.frozensets(keys, max_size=5)
    ),
    max_leaves=20,
)


# --- what Python writes ----------------------------------------------------------------------------------------------


@given(values, st.sampled_from(PROTOCOLS), st.sampled_from([pickle.dumps, pickle._dumps]))
def test_builtin_values_are_read_as_python_reads_them(
    value: Any, protocol: int, write: Callable[[Any, int], bytes]
) -> None:
    data = write(value, protocol)
    assert same(loads(data), value)
    assert same(loads(pickletools.optimize(data)), value)


def test_long_values() -> None:
    many = [str(number) for number in range(3000)]
    value = ["x" * 300, "y" * 70_000, b"z" * 300, b"z" * 70_000, list(range(3000)), dict.fromkeys(many)]
    for protocol in PROTOCOLS:
        assert same(loads(pickle.dumps(value, protocol)), value)
    by_eight_bytes = b"\x80\x04\x8d" + struct.pack("<Q", 5) + b"hello."
    assert loads(by_eight_bytes) == "hello"
    assert loads(b"\x80\x04\x8e" + struct.pack("<Q", 5) + b"hello.") == b"hello"


def test_shared_and_cyclic_parts_stay_so() -> None:
    part: list[Any] = []
    whole: list[Any] = [part, part, {"again": part}]
    whole.append(whole)
    for protocol in PROTOCOLS:
        read = loads(pickle.dumps(whole, protocol))
        assert read[0] is read[1] is read[2]["again"]
        assert read[3] is read


def test_ezmsgs_objects_become_real_ones() -> None:
    process = uuid1()
    samples = [
        gm.ProfilingTraceSample(1.5, "ep", "A/OUT", "lease_time_ns", 2.0, kind, n)
        for n, kind in enumerate(gm.ProfileChannelType)
    ]
    objects = [
        gm.ProcessRegistration(pid=1, host="h", units=["A"]),
        gm.ProcessProfilingTraceBatch(process, 1, "h", 2.5, samples),
        gm.ProcessControlResponse("id", False, b"x", "no", gm.ProcessControlErrorCode.TIMEOUT, process),
        gm.Edge("A", "B"),
        gm.SnapshotProcess(uuid4(), None, None, []),
    ]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert same(loads(pickle.dumps(objects, protocol)), objects)


def test_enum_members_in_every_style() -> None:
    member = gm.ProfileChannelType.SHM
    by_value = pickle.dumps(member)
    by_name = b"cbuiltins\ngetattr\n(cezmsg.core.graphmeta\nProfileChannelType\nVSHM\ntR."
    assert loads(by_value) is loads(by_name) is member
    unknown = b"cezmsg.core.graphmeta\nProfileChannelType\n(VWARP\ntR."
    read = loads(unknown)
    assert isinstance(read, Inert)
    assert read.args == ("WARP",)


def test_uuids() -> None:
    for uuid in (uuid1(), uuid4(), UUID(int=0), UUID(int=2**128 - 1)):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            read = loads(pickle.dumps({uuid: [uuid]}, protocol))
            assert same(read, {uuid: [uuid]})
            assert next(iter(read)).is_safe == uuid.is_safe


def test_a_dict_as_long_as_the_largest_batch_and_a_set() -> None:
    value = {"a": set(range(5000)), "b": {str(n): n for n in range(5000)}}
    assert same(loads(dumps(value)), value)


# --- what is foreign -------------------------------------------------------------------------------------------------


class Trap:
    """Its pickle calls a function when it is loaded."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


HARMFUL = [
    (os.system, "touch {}"),
    (eval, "open({!r}, 'w')"),
    (exec, "open({!r}, 'w')"),
    (open, "{}", "w"),
    (Path.touch, "{}"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("call", HARMFUL, ids=lambda call: call[0].__name__)
def test_nothing_is_called(call: tuple[Any, ...], protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "touched"
    function, *args = call
    data = pickle.dumps(Trap(function, *(arg.format(str(target)) for arg in args)), protocol)
    assert isinstance(loads(data), Inert)
    assert not target.exists()


def test_a_chain_of_attributes_is_never_followed(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    # getattr(getattr(__import__("os"), "path"), "os").system(...), built by hand
    data = (
        b"cbuiltins\ngetattr\n(cbuiltins\ngetattr\n(cbuiltins\n__import__\n(Vos\ntRVpath\ntRVos\ntR0"
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(Vos\ntRVsystem\ntR(Vtouch " + str(target).encode() + b"\ntR."
    )
    read = loads(data)
    assert isinstance(read, Inert)
    assert isinstance(read.maker, Inert)
    assert not target.exists()
    pickle.loads(data)  # the pickle itself is sound: whoever trusts it runs it
    assert target.exists()


def test_attributes_of_allowed_classes_are_out_of_reach() -> None:
    for name in ("mro", "__init_subclass__", "__members__", "_value2member_map_"):
        data = b"cbuiltins\ngetattr\n(cezmsg.core.graphmeta\nProfileChannelType\nV" + name.encode() + b"\ntR."
        assert isinstance(loads(data), Inert)
    dotted = b"\x80\x04\x8c\x14ezmsg.core.graphmeta\x8c\x16GraphMetadata.__init__\x93."
    assert isinstance(loads(dotted), Global)


def test_imports_do_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_module_that_bites.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    read = loads(b"\x80\x04\x8c\x13a_module_that_bites\x8c\x03Cls\x93)\x81.")
    assert isinstance(read, Inert)
    assert read.maker == Global("a_module_that_bites", "Cls")


def test_every_global_but_the_allowed_ones_is_a_name() -> None:
    for value in (print, getattr, dict, list, int, str, object, functools.partial, io.open, enum.Enum, pickle.loads):
        assert isinstance(loads(pickle.dumps(value)), Global)
    assert builtins.getattr is getattr  # and nothing has been replaced


BUILDS = [
    b"cezmsg.core.graphmeta\nGraphMetadata\n",
    b"cezmsg.core.graphmeta\nProfileChannelType\n",
    b"cezmsg.core.graphmeta\nProfileChannelType\n(VSHM\ntR",
    b"cezmsg.core.graphmeta\nEdge\n",
    b"cuuid\nUUID\n",
    b"cbuiltins\nset\n",
    b"]",
    b"}",
    b"Va text\n",
]


@pytest.mark.parametrize("target", BUILDS, ids=repr)
@pytest.mark.parametrize("state", [b"}V__eq__\nK\x01s", b"N}V__eq__\nK\x01s\x86"], ids=["dict", "slots"])
def test_nothing_that_others_share_can_be_changed(target: bytes, state: bytes) -> None:
    """A state set on a class or an enum member would change it for the whole server."""
    before = dict(vars(gm.GraphMetadata)), dict(vars(UUID)), dict(vars(gm.ProfileChannelType.SHM))
    with pytest.raises(BadPickle):
        loads(target + state + b"b.")
    assert (dict(vars(gm.GraphMetadata)), dict(vars(UUID)), dict(vars(gm.ProfileChannelType.SHM))) == before


def test_pythons_own_unpickler_would_let_classes_be_changed() -> None:
    """Why there is an interpreter of our own: an allow-list in ``find_class`` does not stop this."""

    class Victim:
        pass

    class AllowList(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return Victim

    AllowList(io.BytesIO(b"cm\nVictim\nN}Vowned\nK\x01s\x86b.")).load()
    assert Victim.owned == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "state",
    [b"N", b"}", b"}Vint\nVx\ns", b"}Vint\nI-1\ns", b"}Vint\nK\x01sVhex\nK\x01s", b"}Vint\nK\x01sVis_safe\nK\x07s"],
)
def test_a_uuid_has_a_sound_value_or_is_refused(state: bytes) -> None:
    with pytest.raises(BadPickle):
        loads(b"cuuid\nUUID\n)\x81" + state + b"b.")


def test_a_uuid_without_or_with_two_values_is_refused() -> None:
    for data in (b"cuuid\nUUID\n)\x81.", b"cuuid\nUUID\n)\x81}Vint\nK\x01sb}Vint\nK\x02sb."):
        with pytest.raises(BadPickle):
            loads(data)


# --- bombs -----------------------------------------------------------------------------------------------------------


def seconds(data: bytes) -> float:
    """How long reading takes, whatever comes of it."""
    started = time.perf_counter()
    try:
        loads(data)
    except BadPickle:
        pass
    return time.perf_counter() - started


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04B\xff\xff\xff\xffx.",  # BINBYTES
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx.",  # BINBYTES8
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\xffx.",  # BYTEARRAY8
        b"\x80\x04X\xff\xff\xff\xffx.",  # BINUNICODE
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffx.",  # BINUNICODE8
        b"\x80\x04\x8b\xff\xff\xff\x7fx.",  # LONG4
        b"\x80\x04\x8b\xff\xff\xff\xffx.",  # LONG4 of a negative length
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff\x8c\xffx.",  # FRAME, SHORT_BINUNICODE
        b"\x80\x04C\xffx.",  # SHORT_BINBYTES
        b"\x80\x04Nr\xff\xff\xff\xff.",  # LONG_BINPUT
        b"\x80\x04Nq\xff.",  # BINPUT
        b"Np99999999999999999999\n.",  # PUT
        b"Np-1\n.",
        b"Np0\ng-1\n.",
        b"\x80\x04Nj\xff\xff\xff\xff.",  # LONG_BINGET
    ],
)
def test_huge_claims_cost_nothing(data: bytes) -> None:
    with pytest.raises(BadPickle):
        loads(data)


def test_numbers_that_would_allocate_make_nothing() -> None:
    """``bytearray(10**12)`` and its like are recorded, not done."""
    for name in ("bytearray", "bytes", "set", "frozenset", "list", "range"):
        read = loads(f"cbuiltins\n{name}\n(I1000000000000\ntR.".encode())
        assert isinstance(read, Inert)
        assert read.args == (10**12,)


def test_a_large_integer_is_refused() -> None:
    assert loads(pickle.dumps(2**4000)) == 2**4000
    for data in (pickle.dumps(2**5000), b"L" + b"9" * 3000 + b"L\n."):
        with pytest.raises(BadPickle):
            loads(data)


def test_one_argument_cannot_be_copied_again_and_again() -> None:
    data = b"cbuiltins\nbytearray\nq\x00B" + struct.pack("<I", 100_000) + b"x" * 100_000 + b"\x85q\x01R0"
    assert len(loads(data[:-1] + b".")) == 100_000
    with pytest.raises(BadPickle, match="copied"):
        loads(data + b"h\x00h\x01R0" * 50 + b"N.")


def test_the_number_of_opcodes_is_bounded() -> None:
    assert seconds(b"N0" * 1000 + b"N.") < 1.0
    with pytest.raises(BadPickle, match="opcodes"):
        loads(b"N0" * (OPCODES_MAX // 2) + b"N.")


def test_many_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "GLOBALS_MAX", 10)
    names = b"".join(b"cm\nname%d\n0" % n for n in range(11))
    with pytest.raises(BadPickle, match="names"):
        loads(names + b"N.")
    with pytest.raises(BadPickle, match="short text"):
        loads(b"c" + b"m" * 2000 + b"\nname\n.")


SHARED_TUPLES = b"\x80\x04K\x01\x94" + b"".join(
    b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86\x940" for n in range(60)
)
"""(x, x) sixty levels deep: a pickle of 350 bytes whose last tuple has 2**60 leaves."""


KEY = b"h\x3c"


IN_A_SET = b"cbuiltins\nset\n](" + KEY + b"e\x85R."


@pytest.mark.parametrize("use", [b"}" + KEY + b"Ns.", b"\x8f(" + KEY + b"\x90.", b"(" + KEY + b"\x91.", IN_A_SET])
def test_a_key_whose_hash_would_never_end_is_refused(use: bytes) -> None:
    with pytest.raises(BadPickle, match="key"):
        loads(SHARED_TUPLES + b"0" + use)


def test_a_key_nested_beyond_the_c_stack_is_refused() -> None:
    deep = b")" + b"\x85" * 200_000
    with pytest.raises(BadPickle, match="key"):
        loads(b"\x80\x04}" + deep + b"K\x01s.")
    assert isinstance(loads(b"\x80\x04" + deep + b"."), tuple)  # a value may: nobody hashes it


def test_keys_that_collide_are_refused_before_they_cost_anything() -> None:
    modulus = 2**61 - 1  # Python's hash of an int is the int modulo this
    colliding = {modulus * n: None for n in range(1, 900)}
    assert loads(pickle.dumps(colliding)) == colliding
    members = b"".join(pickle.LONG1 + b"\x0a" + (modulus * n).to_bytes(10, "little") + b"N" for n in range(1, 100_000))
    started = time.perf_counter()
    with pytest.raises(BadPickle, match="keys"):
        loads(b"\x80\x04}(" + members + b"u.")
    assert time.perf_counter() - started < 5.0


def test_unhashable_keys_are_refused() -> None:
    for data in (b"}]K\x01s.", b"}}K\x01s.", b"}\x8fK\x01s.", b"\x8f(]\x90.", b"}cuuid\nUUID\n)\x81K\x01s."):
        with pytest.raises(BadPickle):
            loads(b"\x80\x04" + data)


def test_deep_and_doubling_lists_are_read_in_linear_time() -> None:
    """They become small objects that stand for enormous ones; translate.py refuses those."""
    deep = loads(b"\x80\x04" + b"]" * 300_000 + b"a" * 299_999 + b".")
    assert isinstance(deep, list)
    del deep  # and freeing them does not exhaust the stack either
    doubling = b"\x80\x04]\x94" + b"".join(b"](h%ch%ce\x940" % (n, n) for n in range(100)) + b"h\x64."
    assert seconds(doubling) < 1.0


# --- what is no pickle -----------------------------------------------------------------------------------------------

SAMPLE = pickle.dumps(
    gm.GraphMetadata(
        1,
        "SYS",
        {
            "SYS/A": gm.UnitMetadata(
                "SYS/A", "A", "m.A", "m.S", (b"\x80\x04N.", {"a": 1.5}), gm.DynamicSettingsMetadata(True, "t", None),
                gm.SettingsSchemaMetadata("dataclass", "m.S", [
                    gm.SettingsFieldMetadata("a", "float", False, uuid1(), None, (0.0, None), [1, 2**70], None)
                ]),
                {"IN": gm.InputStreamMetadata("IN", "SYS/A/IN", "int")}, [gm.TaskMetadata("t", None, [])], None, [],
            )
        },
    )
)  # fmt: skip


def test_every_cut_is_refused() -> None:
    for size in range(len(SAMPLE)):
        with pytest.raises(BadPickle):
            loads(SAMPLE[:size])


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(BadPickle, match="follow"):
        loads(SAMPLE + b"N")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"NN.",
        b"(N.",
        b"\x80\x04",
        b"\x80\x63N.",
        b"0.",
        b"N1.",
        b"(}u.",
        b"}(Nu.",
        b"NNs.",
        b"N(Ne.",
        b"NN\x81.",
        b"Vx\n)R.",
        b"cm\nC\nNR.",
        b"cm\nC\n)N\x92.",
        b"cm\nC\n",
        b"\x93.",
        b"NN\x93.",
        b"\x85.",
        b"N\x86.",
        b"I12x\n.",
        b"Fx\n.",
        b"(o.",
        b"Pid\n.",  # persistent ids
        b"NQ.",
        b"\x82\x01.",  # extension codes
        b"\x83\x01\x00.",
        b"\x84\x01\x00\x00\x00.",
        b"\x80\x05\x97.",  # out-of-band buffers
        b"\x80\x05N\x98.",
        b"U\x01a.",  # strings of Python 2
        b"S'a'\n.",
        b"\xff.",
    ],
    ids=repr,
)
def test_what_is_no_pickle_of_a_client_is_refused(data: bytes) -> None:
    with pytest.raises(BadPickle) as caught:
        loads(data)
    assert isinstance(caught.value, Malformed)
    assert caught.value.in_sync
    assert caught.value.hint


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        loads(data)
    except BadPickle:
        pass


opcodes = st.sampled_from([op.code.encode("latin-1") for op in pickletools.opcodes])


@settings(max_examples=500)
@given(st.lists(opcodes | st.binary(max_size=3) | st.sampled_from([b"cuuid\nUUID\n", b"h\0", b"K\1"])).map(b"".join))
def test_any_opcodes_are_read_or_refused(data: bytes) -> None:
    try:
        loads(data + b".")
    except BadPickle:
        pass


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_change_to_real_metadata_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLE)
    for index, byte in changes:
        data[index] = byte
    try:
        loads(bytes(data))
    except BadPickle:
        pass


def test_every_opcode_of_pickle_has_been_decided_on() -> None:
    """A new Python's new opcode must be looked at before it is taken or not."""
    taken_by_the_reading = set("\x94.(Nuh\x8cjG")
    refused = set("PQ\x82\x83\x84\x97\x98STU")
    ours = {chr(code) for code, handler in enumerate(HANDLERS) if handler.__name__ != "_unknown"}
    assert {op.code for op in pickletools.opcodes} == ours | taken_by_the_reading | refused
    assert not ours & (taken_by_the_reading | refused)


# --- replies ---------------------------------------------------------------------------------------------------------


def test_the_names_a_reply_refers_to() -> None:
    dag = DAG()
    dag.add_edge("A", "B", uuid1())
    snapshot = gm.GraphSnapshot({"A": ["B"]}, {gm.Edge("A", "B"): ["persistent"]}, {}, {})
    event = gm.TopologyChangedEvent(1, gm.TopologyEventType.GRAPH_CHANGED, 1.0, ["B"], None, uuid1())
    for reply in (dag, snapshot, event, {"a": [1]}):
        seen = set()

        class Recorder(pickle.Unpickler):
            def find_class(self, module: str, name: str, seen: set[str] = seen) -> Any:
                seen.add(f"{module}:{name}")
                return super().find_class(module, name)

        data = dumps(reply)
        Recorder(io.BytesIO(data)).load()
        assert references(data) == seen
        known = ("ezmsg.core.", "uuid:", "collections:defaultdict", "builtins:set", *["builtins:getattr"] * BY_NAME)
        assert all(ref.startswith(known) for ref in seen)


def test_a_class_that_a_client_may_lack_is_its_nearest_ancestor_there(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = gm.InputRelayMetadata  # as if it had come after the oldest release
    monkeypatch.setattr(writing, "OLDEST", writing.OLDEST - {newer.__name__})
    monkeypatch.setattr(writing, "_NEWER", writing._reducers())
    relays = [newer("R", "SYS/R", "int", max_queue=7), newer("S", "SYS/S", "int")]
    data = dumps({"relays": relays, "topic": gm.InputTopicMetadata("T", "SYS/T", "int")})
    assert pickle.loads(data)["relays"] == relays
    assert f"{gm.__name__}:{newer.__name__}" not in references(data)
    assert data.count(newer.__name__.encode()) == 1, "named once"
    monkeypatch.delattr(gm, newer.__name__)
    older = pickle.loads(data)
    assert [type(relay) for relay in older["relays"]] == [gm.InputTopicMetadata] * 2
    assert [vars(relay) for relay in older["relays"]] == [vars(relay) for relay in relays]


def test_a_newer_class_without_such_an_ancestor_is_a_namespace_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "OLDEST", writing.OLDEST - {"TaskMetadata"})
    monkeypatch.setattr(writing, "_NEWER", writing._reducers())
    data = dumps(gm.TaskMetadata("run", None, ["OUT"]))
    assert pickle.loads(data) == gm.TaskMetadata("run", None, ["OUT"])
    monkeypatch.delattr(gm, "TaskMetadata")
    assert pickle.loads(data) == Namespace(name="run", subscribes=None, publishes=["OUT"])


def test_the_oldest_classes_are_those_of_the_oldest_release() -> None:
    """Of which the installed one may be a newer one."""
    installed = {cls.__name__ for cls in RECORDS}
    assert installed >= writing.OLDEST
    if version("ezmsg").startswith("3.9."):
        assert installed == writing.OLDEST
