"""What clients send to the server, opened and checked."""

import math
import pickle
import time
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core import graphmeta as gm
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ezmsg.ledger.pickles.stand_ins import Global, Inert, emit
from ezmsg.ledger.runtime.server.feed_history import NS_PER_S
from ezmsg.ledger.runtime.server.payloads import WrongType, load, nanoseconds
from ezmsg.ledger.runtime.server.pickles import BadPickle, dumps
from ezmsg.ledger.runtime.server.wire.protocol import Malformed

from .conftest import BY_NAME
from .pickled import references

PROCESS = UUID("967f1bc6-e7f5-11f1-8b62-02fc00000001")
VALUE = gm.SettingsSnapshotValue(b"\x80\x04N.", "repr")
SAMPLE = gm.ProfilingTraceSample(1.5, "ep", "A/OUT", "lease_time_ns", 2.0, gm.ProfileChannelType.SHM, 4)

SOUND = [
    gm.ProcessRegistration(12, "host", ["SYS/A", "SYS/Bé"]),
    gm.ProcessOwnershipUpdate(["SYS/A"], []),
    gm.ProcessSettingsUpdate("SYS/A", VALUE, 1.25),
    gm.ProcessControlResponse("id", True, b"payload", None, None, PROCESS),
    gm.ProcessControlResponse("id", False, None, "no", gm.ProcessControlErrorCode.HANDLER_ERROR, None),
    gm.ProcessProfilingTraceBatch(PROCESS, 1, "host", 2.5, [SAMPLE, SAMPLE]),
    gm.ProfilingStreamControl(),
    gm.ProfilingStreamControl(0.1, 7, [PROCESS], True),
    gm.GraphMetadata(1, None, {}),
]


def foreign(module: str, name: str, *args: Any) -> Inert:
    return Inert(Global(module, name), args, new=False)


def sent(cls: type, fields: dict[str, Any]) -> bytes:
    """The pickle of an object of ``cls`` with these fields, whatever they are."""
    made = Inert(Global(cls.__module__, cls.__name__), (), new=True)
    made.record("state", fields)
    return emit(made)


@pytest.mark.parametrize("value", SOUND, ids=lambda value: type(value).__name__)
def test_what_ezmsg_sends_comes_through_unchanged(value: Any) -> None:
    got = load(pickle.dumps(value), type(value))
    assert type(got) is type(value)
    assert got == value
    assert vars(got) == vars(value)


@pytest.mark.parametrize("value", SOUND, ids=lambda value: type(value).__name__)
def test_another_class_is_refused(value: Any) -> None:
    other = gm.ProcessPing(PROCESS, 1, "h", 0.0)
    for data in (pickle.dumps(other), pickle.dumps(None), emit(foreign("m", "C")), pickle.dumps([value])):
        with pytest.raises(WrongType, match=type(value).__name__) as caught:
            load(data, type(value))
        assert isinstance(caught.value, Malformed)
        assert caught.value.in_sync


def test_no_pickle_is_refused() -> None:
    with pytest.raises(BadPickle):
        load(b"", gm.ProcessRegistration)


@pytest.mark.parametrize(
    ("cls", "field", "wrong"),
    [
        (gm.ProcessRegistration, "units", "SYS/A"),
        (gm.ProcessRegistration, "units", ["SYS/A", 1]),
        (gm.ProcessRegistration, "units", None),
        (gm.ProcessRegistration, "units", ["\ud800"]),
        (gm.ProcessRegistration, "pid", "12"),
        (gm.ProcessRegistration, "pid", True),
        (gm.ProcessRegistration, "host", b"h"),
        (gm.ProcessOwnershipUpdate, "added_units", {"SYS/A": 1}),
        (gm.ProcessOwnershipUpdate, "removed_units", [["SYS/A"]]),
        (gm.ProcessSettingsUpdate, "component_address", None),
        (gm.ProcessSettingsUpdate, "component_address", "\udfff"),
        (gm.ProcessSettingsUpdate, "value", "repr"),
        (gm.ProcessSettingsUpdate, "timestamp", "now"),
        (gm.ProcessControlResponse, "request_id", 7),
        (gm.ProcessControlResponse, "ok", 1),
        (gm.ProcessControlResponse, "payload", "text"),
        (gm.ProcessControlResponse, "error", 1),
        (gm.ProcessControlResponse, "process_id", str(PROCESS)),
        (gm.ProcessProfilingTraceBatch, "samples", [1]),
        (gm.ProcessProfilingTraceBatch, "samples", None),
        (gm.ProcessProfilingTraceBatch, "timestamp", None),
        (gm.ProfilingTraceSample, "value", "2.0"),
        (gm.ProfilingTraceSample, "value", 2**4000),
        (gm.ProfilingTraceSample, "topic", None),
        (gm.ProfilingTraceSample, "sample_seq", 1.5),
        (gm.ProfilingStreamControl, "interval", "fast"),
        (gm.ProfilingStreamControl, "max_samples", 1.5),
        (gm.ProfilingStreamControl, "process_ids", [str(PROCESS)]),
        (gm.ProfilingStreamControl, "include_empty_batches", None),
    ],
)
def test_a_field_of_another_type_is_refused(cls: type, field: str, wrong: Any) -> None:
    sound = SAMPLE if cls is gm.ProfilingTraceSample else next(value for value in SOUND if type(value) is cls)
    value: Any = cls(**(vars(sound) | {field: wrong}))
    asked = cls
    if cls is gm.ProfilingTraceSample:
        asked, value = gm.ProcessProfilingTraceBatch, gm.ProcessProfilingTraceBatch(PROCESS, 1, "h", 1.0, [value])
    with pytest.raises(WrongType, match=f"{cls.__name__}.{field}"):
        load(pickle.dumps(value), asked)


@pytest.mark.parametrize("field", ["error", "payload", "process_id", "ok", "request_id"])
def test_a_foreign_object_is_no_field(field: str) -> None:
    fields = vars(SOUND[3]) | {field: foreign("m", "C", 1, 2)}
    with pytest.raises(WrongType, match=field):
        load(sent(gm.ProcessControlResponse, fields), gm.ProcessControlResponse)


def test_many_foreign_units_are_refused_in_time() -> None:
    """Each is the same object, to which much was done."""
    unit = b"\x80\x04cm\nC\n)\x81\x94" + b"}b" * 200_000
    units = b"](" + b"h\0" * 200_000 + b"e"
    data = unit + b"0" + RECORD + b"}(Vpid\nNVhost\nNVunits\n" + units + b"ub."
    started = time.perf_counter()
    with pytest.raises(WrongType, match="units"):
        load(data, gm.ProcessRegistration)
    assert time.perf_counter() - started < 10.0


RECORD = b"cezmsg.core.graphmeta\nProcessRegistration\n)\x81"


def test_a_missing_field_is_refused_unless_it_has_a_default() -> None:
    with pytest.raises(WrongType, match="units"):
        load(sent(gm.ProcessRegistration, {"pid": 1, "host": "h"}), gm.ProcessRegistration)
    assert load(sent(gm.ProfilingStreamControl, {"interval": 1.0}), gm.ProfilingStreamControl) == (
        gm.ProfilingStreamControl(1.0)
    )


def test_foreign_numbers_and_texts_become_plain() -> None:
    dtype = foreign("numpy", "dtype", "f8", False, True)
    dtype.record("state", (3, "<", None, None, None, -1, -1, 0))
    half = foreign("numpy._core.multiarray", "scalar", dtype, b"\0\0\0\0\0\0\xe0\x3f")
    sample = Inert(Global(gm.__name__, "ProfilingTraceSample"), (), new=True)
    sample.record("state", vars(SAMPLE) | {"value": half, "topic": foreign("lab", "Topic", "A/OUT")})
    fields = {"process_id": PROCESS, "pid": foreign("lab", "Pid", 5), "host": "h", "timestamp": half}
    data = sent(gm.ProcessProfilingTraceBatch, fields | {"samples": [sample]})
    batch = load(data, gm.ProcessProfilingTraceBatch)
    expected = gm.ProfilingTraceSample(**(vars(SAMPLE) | {"value": 0.5, "topic": "A/OUT"}))
    assert batch == gm.ProcessProfilingTraceBatch(PROCESS, 5, "h", 0.5, [expected])
    names = references(dumps(batch)) - ({"builtins:getattr"} if BY_NAME else set())
    assert {name.partition(":")[0] for name in names} == {"ezmsg.core.graphmeta", "uuid"}


def test_members_and_fields_that_only_a_newer_ezmsg_has_are_dropped() -> None:
    code = foreign(gm.__name__, "ProcessControlErrorCode", "WARP_FAILURE")
    fields = {"request_id": "id", "ok": False, "error": "e", "error_code": code, "retry_after": foreign("m", "C")}
    got = load(sent(gm.ProcessControlResponse, fields), gm.ProcessControlResponse)
    assert got == gm.ProcessControlResponse("id", False, error="e")
    assert "retry_after" not in vars(got)


def test_sets_and_tuples_of_units_are_taken() -> None:
    for units in (("A", "B"), {"A", "B"}, frozenset({"A", "B"})):
        got = load(pickle.dumps(gm.ProcessRegistration(1, "h", units)), gm.ProcessRegistration)
        assert sorted(got.units) == ["A", "B"]


@settings(max_examples=1000)
@given(st.integers(0, 2**62) | st.integers(2**53, 2**54))
@example(15_997_493_603_645_862)
def test_times_in_nanoseconds_come_back_as_the_same_float(ns: int) -> None:
    seconds = ns / 1e9
    got = nanoseconds(seconds)
    assert got is not None
    assert got / NS_PER_S == seconds  # as the feeds give it back
    assert abs(got - ns) <= 512  # what the float itself cannot say


def test_what_is_no_time() -> None:
    for seconds in (math.nan, math.inf, -math.inf, 1e300, -1e12):
        assert nanoseconds(seconds) is None
    assert nanoseconds(0) == 0
    assert nanoseconds(time.time()) is not None
    assert nanoseconds(3) == 3 * 10**9


def test_a_full_batch_of_samples_is_opened_in_time() -> None:
    """Traces are pushed by every process every 20 ms; 5,000 samples are the most that one push holds."""
    kind = gm.ProfileChannelType.SHM
    samples = [gm.ProfilingTraceSample(1.5 + n, "ep", "A/OUT", "m", 2.0 + n, kind, n) for n in range(5000)]
    data = pickle.dumps(gm.ProcessProfilingTraceBatch(UUID(int=1), 1, "h", 1.0, samples))
    started = time.process_time()
    got = load(data, gm.ProcessProfilingTraceBatch)
    assert time.process_time() - started < 5.0  # 40 ms on an idle machine
    assert got.samples == samples
