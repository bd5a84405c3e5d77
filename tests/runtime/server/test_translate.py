"""ezmsg's objects to forms and back: exactly where that can be, plainly where it cannot, and bounded always."""

import json
import math
import pickle
import struct
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any
from uuid import uuid1

import ezmsg.core as ez
import msgspec
import pytest
from ezmsg.core import graphmeta as gm
from ezmsg.core.backend import DefaultBackendProcess, ExecutionContext, GraphRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import metadata as models
from ezmsg.ledger.codec import LINE_MAX
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.pickles.stand_ins import Global, Inert, emit
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.payloads import WrongType, load
from ezmsg.ledger.runtime.server.pickles import dumps, loads
from ezmsg.ledger.runtime.server.translate import (
    form_to_ezmsg,
    graph_metadata,
    settings_to_ezmsg,
    settings_value,
    to_form,
)
from ezmsg.ledger.runtime.server.wire.protocol import Malformed
from ezmsg.ledger.values import MODELS, Opaque, UnknownModel, freeze, model_fields, thaw

from .pickled import references


def to_model(value: Any) -> Any:
    """What a client sent, as our own models."""
    return thaw(to_form(value))


def to_ezmsg(value: Any) -> Any:
    """Our own models as a reply."""
    return form_to_ezmsg(freeze(value))


def same(a: Any, b: Any) -> bool:
    """Type-strict equality, through containers, dataclasses and NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, set | frozenset):
        return a == b and {(type(item), item) for item in a} == {(type(item), item) for item in b}
    if hasattr(a, "__dataclass_fields__"):
        return same(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())))
    return bool(a == b)


def stored(form: Any) -> Any:
    """A form as it is after it was a line of a file."""
    return msgspec.json.decode(msgspec.json.encode(form))


# --- metadata trees of all kinds -------------------------------------------------------------------------------------

texts = st.text(max_size=8)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(-(2**80), 2**80) | st.floats() | texts
    | st.binary(max_size=8) | st.text(st.characters(exclude_categories=()), max_size=3)
)  # fmt: skip
plain_keys = st.integers(-(2**40), 2**40) | st.booleans() | st.none() | st.tuples(st.integers(), texts)
free = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.just("$"), inner, max_size=3)
        | st.dictionaries(plain_keys, inner, max_size=3)
        | st.sets(plain_keys | texts, max_size=3)
        | st.frozensets(texts, max_size=3)
    ),
    max_leaves=8,
)
optional = st.none() | names
ports = st.none() | st.integers(0, 2**40)

dynamic = st.builds(gm.DynamicSettingsMetadata, st.booleans(), optional, optional)
bounds = st.none() | st.tuples(st.none() | st.floats(), st.none() | st.floats())
choices = st.none() | st.lists(free, max_size=3)
field = st.builds(
    gm.SettingsFieldMetadata, names, names, st.booleans(), free, st.none() | texts, bounds, choices, optional
)
schema = st.builds(gm.SettingsSchemaMetadata, names, names, st.lists(field, max_size=3))
flags = st.none() | st.booleans()
outputs = {"host": optional, "port": ports, "num_buffers": ports, "buf_size": ports, "force_tcp": flags}
inputs = {"leaky": st.booleans(), "max_queue": ports}
streams = (
    st.builds(gm.StreamMetadata, names, names, names)
    | st.builds(gm.InputStreamMetadata, names, names, names, **inputs)
    | st.builds(gm.OutputStreamMetadata, names, names, names, **outputs)
)
topics = (
    st.builds(gm.TopicMetadata, names, names, names)
    | st.builds(gm.InputTopicMetadata, names, names, names)
    | st.builds(gm.OutputTopicMetadata, names, names, names)
)
relays = st.builds(gm.InputRelayMetadata, names, names, names, **inputs) | st.builds(
    gm.OutputRelayMetadata, names, names, names, **outputs
)
task = st.builds(gm.TaskMetadata, names, optional, st.lists(names, max_size=3))
common = (
    names, names, names, names, st.tuples(st.none() | st.binary(max_size=8), free), dynamic, st.none() | schema,
)  # fmt: skip
components = (
    st.builds(gm.ComponentMetadata, *common)
    | st.builds(
        gm.CollectionMetadata,
        *common,
        st.dictionaries(names, topics, max_size=2),
        st.dictionaries(names, relays, max_size=2),
        st.lists(names, max_size=2),
    )
    | st.builds(
        gm.UnitMetadata,
        *common,
        st.dictionaries(names, streams, max_size=2),
        st.lists(task, max_size=2),
        optional,
        st.lists(names, max_size=2),
    )
)
addresses = names.filter(lambda name: name != "$")
metadata = st.builds(gm.GraphMetadata, st.integers(1, 3), optional, st.dictionaries(addresses, components, max_size=3))


@settings(max_examples=60)
@given(metadata)
def test_metadata_comes_back_exactly(value: gm.GraphMetadata) -> None:
    data = pickle.dumps(value)
    form, raw_needed, _ = graph_metadata(load(data, gm.GraphMetadata), len(data))
    assert not raw_needed
    kept = stored(form)
    assert same(kept, form)
    assert same(freeze(thaw(kept)), sort_like(form))
    for back in (form_to_ezmsg(kept), to_ezmsg(thaw(kept))):
        assert same(back, value)
        reply = dumps(back)
        assert all(ref.startswith("ezmsg.core.graphmeta:") for ref in references(reply))
        assert same(pickle.loads(reply), value)


def sort_like(form: Any) -> Any:
    """A form as ``freeze`` orders it: the fields of a structured value as its model has them."""
    if isinstance(form, list):
        return [sort_like(item) for item in form]
    if not isinstance(form, dict):
        return form
    model = MODELS.get(form.get("$", ""))
    order = ["$", *model_fields(model)] if model else []
    return {key: sort_like(form[key]) for key in dict.fromkeys([*order, *form])}


@given(free)
def test_free_values_have_the_form_that_freeze_gives_them(value: Any) -> None:
    assert same(to_form(loads(pickle.dumps(value))), freeze(value))
    assert same(to_ezmsg(to_model(value)), value)


@settings(max_examples=50)
@given(schema | streams | topics | relays | task | dynamic | field)
def test_every_metadata_object_becomes_its_model(value: Any) -> None:
    model = to_model(value)
    assert type(model).__name__ == type(value).__name__
    assert isinstance(model, getattr(models, type(value).__name__))
    added = newer_fields(type(model).__name__)
    assert {*model_fields(type(model)), *added} == vars(value).keys()
    assert list(model.extra) == added
    assert same(to_ezmsg(model), value)


def test_there_is_a_model_for_everything_that_metadata_is_made_of() -> None:
    ours = set(MODELS)
    theirs = {name for name, cls in vars(gm).items() if isinstance(cls, type) and name.endswith("Metadata")}
    assert (theirs - {"RelayMetadata"}) | {"SettingsSnapshotValue"} == ours  # one that 3.10 adds has none: see below
    for name in ours:
        assert {*model_fields(MODELS[name]), *newer_fields(name)} == {item.name for item in fields(getattr(gm, name))}


def newer_fields(name: str) -> list[str]:
    """What ezmsg 3.10, where that is installed, adds to a class of 3.9: see tests/ledger/test_metadata.py."""
    if not hasattr(gm, "RelayMetadata"):
        return []
    relay = ["relay_group", "relay_input_topic", "relay_output_topic"]
    since = {"InputRelayMetadata": relay, "OutputRelayMetadata": relay, "SettingsSchemaMetadata": ["json_schema"]}
    return since.get(name, [])


# --- what ezmsg itself makes -----------------------------------------------------------------------------------------


class GainSettings(ez.Settings):
    gain: float = 1.5
    taps: tuple[float, ...] = (0.5, math.inf)
    label: str | None = None


class Gain(ez.Unit):
    SETTINGS = GainSettings
    INPUT = ez.InputStream(float)
    INPUT_SETTINGS = ez.InputStream(GainSettings)
    OUTPUT = ez.OutputStream(float)

    @ez.subscriber(INPUT)
    @ez.publisher(OUTPUT)
    async def amplify(self, message: float) -> Any:
        yield self.OUTPUT, message


class Chain(ez.Collection):
    INPUT = ez.InputTopic(float)
    OUTPUT = ez.OutputTopic(float)
    FIRST = Gain(GainSettings())
    SECOND = Gain(GainSettings(gain=3.0, label="last"))

    def network(self) -> ez.NetworkDefinition:
        return (
            (self.INPUT, self.FIRST.INPUT),
            (self.FIRST.OUTPUT, self.SECOND.INPUT),
            (self.SECOND.OUTPUT, self.OUTPUT),
        )


class System(ez.Collection):
    CHAIN = Chain()
    LAST = Gain(GainSettings(gain=0.0))

    def network(self) -> ez.NetworkDefinition:
        return ((self.CHAIN.OUTPUT, self.LAST.INPUT),)


@pytest.fixture(scope="module")
def real() -> gm.GraphMetadata:
    """The metadata that ezmsg registers for a nested system."""
    runner = GraphRunner(components={"SYS": System()}, root_name="ROOT")
    ExecutionContext.setup(runner._components, "ROOT", None, None, DefaultBackendProcess)
    return runner._component_metadata()


def test_real_metadata_comes_back_exactly(real: gm.GraphMetadata) -> None:
    assert list(real.components) == [
        "ROOT/SYS", "ROOT/SYS/CHAIN", "ROOT/SYS/CHAIN/FIRST", "ROOT/SYS/CHAIN/SECOND", "ROOT/SYS/LAST",
    ]  # fmt: skip
    data = pickle.dumps(real)
    form, raw_needed, _ = graph_metadata(load(data, gm.GraphMetadata), len(data))
    assert not raw_needed
    assert same(form_to_ezmsg(stored(form)), real)
    model = thaw(stored(form))
    second = model.components["ROOT/SYS/CHAIN/SECOND"]
    assert isinstance(second, models.UnitMetadata)
    assert second.initial_settings[1]["gain"] == 3.0
    assert pickle.loads(second.initial_settings[0]) == GainSettings(gain=3.0, label="last")
    assert [task.name for task in second.tasks] == ["amplify"]
    assert json.loads(msgspec.json.encode(form))["components"]["ROOT/SYS"]["$"] == "CollectionMetadata"


# --- foreign classes -------------------------------------------------------------------------------------------------


def foreign(module: str, qualname: str, *args: Any, new: bool = False, **state: Any) -> Inert:
    made = Inert(Global(module, qualname), args, new=new)
    if state:
        made.record("state", state)
    return made


def unit(**changes: Any) -> gm.UnitMetadata:
    given = {
        "address": "SYS/A", "name": "A", "component_type": "m.A", "settings_type": "m.S",
        "initial_settings": (b"\x80\x04N.", {"a": 1}), "settings_schema": None,
        "dynamic_settings": gm.DynamicSettingsMetadata(False, None, None),
        "streams": {}, "tasks": [], "main": None, "threads": [],
    }  # fmt: skip
    return gm.UnitMetadata(**(given | changes))


def system(**changes: Any) -> gm.GraphMetadata:
    return gm.GraphMetadata(1, "SYS", {"SYS/A": unit(**changes)})


def through_the_wire(value: Any) -> Any:
    return loads(emit(value, 2**24))


def test_foreign_values_are_kept_and_go_out_plain() -> None:
    level = foreign("lab", "Level", 3)
    settings_dict = {"level": level, "levels": [level, level], "point": foreign("lab", "Point", new=True, x=1.5)}
    value = through_the_wire(system(initial_settings=(None, settings_dict)))
    form, raw_needed, _ = graph_metadata(value)
    assert raw_needed
    kept = thaw(stored(form)).components["SYS/A"].initial_settings[1]
    assert type(kept["level"]) is Opaque
    assert kept["level"].class_ref == "lab:Level"
    assert kept["level"] == kept["levels"][0] == kept["levels"][1]
    assert loads(kept["level"].data).args == (3,)
    reply = form_to_ezmsg(stored(form))
    assert same(
        reply.components["SYS/A"].initial_settings,
        (None, {"level": 3, "levels": [3, 3], "point": "lab:Point(x=1.5)"}),
    )
    assert references(dumps(reply)) <= {f"ezmsg.core.graphmeta:{name}" for name in MODELS}


def test_other_objects_of_ours_are_foreign_to_a_value_too() -> None:
    value = [uuid1(), bytearray(b"x"), 1j, gm.ProfileChannelType.SHM, gm.Edge("A", "B"), Global("lab", "Level")]
    form = to_form(value)
    assert [part["$"] for part in form] == ["o"] * 6
    refs = [part["class"] for part in form]
    ezmsg = gm.__name__
    assert refs[1:5] == ["builtins:bytearray", "builtins:complex", f"{ezmsg}:ProfileChannelType", f"{ezmsg}:Edge"]
    assert pickle.loads(thaw(form)[0].data) == value[0]
    assert references(dumps(form_to_ezmsg(form))) == set()


def test_a_foreign_text_where_a_text_belongs_becomes_plain() -> None:
    value = through_the_wire(system(name=foreign("lab", "Name", "A")))
    form, raw_needed, _ = graph_metadata(value)
    assert form["components"]["SYS/A"]["name"] == "A"
    assert raw_needed


def test_a_class_that_only_a_newer_ezmsg_has() -> None:
    relay = foreign(gm.__name__, "CableMetadata", new=True, name="R", address="SYS/R", msg_type="int", group="g")
    collection = gm.CollectionMetadata(
        "SYS/C", "C", "m.C", "m.S", (None, ""), gm.DynamicSettingsMetadata(False, None, None), None, {},
        {"R": relay, "S": gm.InputRelayMetadata("S", "SYS/S", "int")}, [],
    )  # fmt: skip
    newer = foreign(gm.__name__, "NodeMetadata", new=True, **vars(unit(address="SYS/N")))
    value = through_the_wire(gm.GraphMetadata(2, "SYS", {"SYS/C": collection, "SYS/N": newer}))
    form, raw_needed, _ = graph_metadata(value)
    assert raw_needed
    model = thaw(stored(form))
    kept = model.components["SYS/C"].relays["R"]
    assert type(kept) is UnknownModel
    assert kept.fields == {"name": "R", "address": "SYS/R", "msg_type": "int", "group": "g"}
    assert model.components["SYS/N"].fields["dynamic_settings"] == models.DynamicSettingsMetadata()
    for reply in (form_to_ezmsg(form), to_ezmsg(model)):
        assert list(reply.components) == ["SYS/C"]
        assert list(reply.components["SYS/C"].relays) == ["S"]
        assert pickle.loads(dumps(reply)) == reply


def test_fields_that_only_a_newer_ezmsg_has() -> None:
    value = system(settings_schema=gm.SettingsSchemaMetadata("pydantic", "m.S", []))
    vars(value.components["SYS/A"].settings_schema).pop("json_schema", None)  # which 3.10 has
    value.components["SYS/A"].settings_schema.json_form = {"type": "object"}
    form, raw_needed, _ = graph_metadata(loads(pickle.dumps(value)))
    assert raw_needed
    model = thaw(stored(form))
    assert model.components["SYS/A"].settings_schema.extra == {"json_form": {"type": "object"}}
    for reply in (form_to_ezmsg(form), to_ezmsg(model)):
        shown = vars(reply.components["SYS/A"].settings_schema)
        assert shown == {"provider": "pydantic", "settings_type": "m.S", "fields": []} | dict.fromkeys(
            newer_fields("SettingsSchemaMetadata") if "json_schema" in shown else []
        )


def test_fields_that_an_older_ezmsg_does_not_send() -> None:
    value = loads(pickle.dumps(system()))
    del vars(value.components["SYS/A"])["threads"]
    del vars(value.components["SYS/A"])["settings_schema"]
    form, raw_needed, _ = graph_metadata(value)
    assert raw_needed
    assert thaw(form).components["SYS/A"].threads == []
    assert vars(form_to_ezmsg(form).components["SYS/A"]).keys() == vars(unit()).keys()


def test_a_class_of_ezmsg_without_a_model_is_kept_by_name() -> None:
    value = gm.ProcessPing(uuid1(), 1, "h", 2.0)
    model = to_model(value)
    assert type(model) is UnknownModel
    assert (model.name, model.fields["pid"]) == ("ProcessPing", 1)
    assert form_to_ezmsg(to_form(gm.TaskMetadata("t", "s", ["p"]))) == gm.TaskMetadata("t", "s", ["p"])


@pytest.mark.parametrize(
    "value",
    [
        foreign("lab", "GraphMetadata", new=True, a=1),
        foreign("ezmsg.core.graphmeta", "lower", new=True, a=1),
        foreign("ezmsg.core.graphmeta", "Outer.Inner", new=True, a=1),
        foreign("ezmsg.core.graphmeta", "Called", 1),
        foreign("ezmsg.core.graphmeta", "Stateless", new=True),
        foreign("ezmsg.core.graphmetafoo", "C", 1, new=True, a=1),
    ],
    ids=repr,
)
def test_what_is_no_plain_object_of_ezmsg_is_opaque(value: Inert) -> None:
    assert type(to_model(value)) is Opaque


def test_what_no_reply_can_have_is_left_out_wherever_it_is() -> None:
    gone = UnknownModel("OfTomorrow", {"a": 1})
    kept = {"a": gone, "b": [gone, 1], "c": (gone, 2), "d": {"e": gone}}
    assert to_ezmsg(kept) == {"b": [1], "c": (None, 2), "d": {}}
    assert to_ezmsg(gone) is None


# --- what is refused -------------------------------------------------------------------------------------------------


def component_with(**fields_: Any) -> Any:
    made = foreign(gm.__name__, "OfTomorrow", new=True, **fields_)
    return gm.GraphMetadata(1, None, {"SYS/A": made})


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (gm.TaskMetadata("t"), "TaskMetadata"),
        ({"components": {}}, "dict"),
        (None, "NoneType"),
        (gm.GraphMetadata(1, 7, {}), "root_name"),
        (gm.GraphMetadata(1, "\ud800", {}), "root_name"),
        (gm.GraphMetadata(1, None, []), "components"),
        (gm.GraphMetadata(1, None, None), "components"),
        (gm.GraphMetadata(1, None, {1: unit()}), "addresses"),
        (gm.GraphMetadata(1, None, {"\ud800": unit()}), "addresses"),
        (gm.GraphMetadata(1, None, {"$": unit()}), "addresses"),
        (gm.GraphMetadata(1, None, {"SYS/A": {"address": "SYS/A"}}), "SYS/A"),
        (gm.GraphMetadata(1, None, {"SYS/A": "SYS/A"}), "SYS/A"),
        (gm.GraphMetadata(1, None, {"SYS/A": foreign("lab", "Component", new=True, address="SYS/A")}), "SYS/A"),
        (gm.GraphMetadata(1, None, {"SYS/A": gm.TaskMetadata("t")}), "no address"),
        (system(address=""), "no address"),
        (system(address=None), "address"),
        (system(address=b"SYS/A"), "address"),
        (system(address="\udfff"), "UTF-8"),
        (system(name=1), "name"),
        (system(streams=[]), "streams"),
        (system(streams=None), "streams"),
        (system(tasks=(1,)), "tasks"),
        (system(threads={"a"}), "threads"),
        (system(initial_settings=[None, ""]), "initial_settings"),
        (system(initial_settings=None), "initial_settings"),
        (system(initial_settings=("text", "")), "initial_settings"),
        (system(initial_settings=(None,)), "initial_settings"),
        (system(streams={"IN": gm.InputStreamMetadata(1, "a", "b")}), "InputStreamMetadata.name"),
        (system(settings_schema=gm.SettingsSchemaMetadata("p", "t", None)), "SettingsSchemaMetadata.fields"),
        (component_with(address="SYS/A"), "initial_settings"),
        (component_with(initial_settings=(None, "")), "no address"),
    ],
)
def test_metadata_of_another_shape_is_refused(value: Any, what: str) -> None:
    with pytest.raises(WrongType, match=what) as caught:
        graph_metadata(value)
    assert isinstance(caught.value, Malformed)


@pytest.mark.parametrize("name", ["$", "a b", "", "\ud800", 7, None])
def test_a_field_without_a_proper_name_is_refused(name: Any) -> None:
    value = system()
    vars(value.components["SYS/A"])[name] = 1
    with pytest.raises(WrongType, match="identifier"):
        graph_metadata(value)
    with pytest.raises(WrongType, match="identifier"):
        to_form(loads(emit(foreign(gm.__name__, "OfTomorrow", new=True) and _with_state({name: 1}))))


def _with_state(state: dict[Any, Any]) -> Inert:
    made = foreign(gm.__name__, "OfTomorrow", new=True)
    made.record("state", state)
    return made


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def laughing(kind: Any) -> Any:
    """Twice the same, forty levels deep."""
    value: Any = "ha"
    for _ in range(40):
        value = kind(value)
    return value


def laughing_inert() -> Any:
    value: Any = "ha"
    for _ in range(40):
        value = foreign("lab", "C", value, value)
    return value


BOMBS: dict[str, Callable[[], Any]] = {
    "deep list": lambda: deep(100_000),
    "deep enough": lambda: deep(70),
    "cyclic list": cyclic,
    "lists": lambda: laughing(lambda part: [part, part]),
    "dicts": lambda: laughing(lambda part: {"a": part, "b": part}),
    "tuples": lambda: laughing(lambda part: (part, part)),
    "objects": lambda: laughing(lambda part: gm.TaskMetadata("t", part, [part])),
    "one long text again and again": lambda: ["x" * 100_000] * 100_000,
    "one long odd text again and again": lambda: ["\ud800" * 100_000] * 100_000,
    "long bytes again and again": lambda: [b"x" * 100_000] * 100_000,
    "long keys again and again": lambda: [{"x" * 100_000: 1}] * 100_000,
    "many small values again and again": lambda: [["x"] * 1000] * 10_000,
    "many foreign objects of one large part": lambda: [foreign("lab", "C", "x" * 60_000, n) for n in range(1000)],
    "many foreign objects too large": lambda: [foreign("lab", "C", LARGE, n) for n in range(1000)],
}
LARGE = [None] * 100_000


@pytest.mark.parametrize("name", BOMBS)
def test_what_stands_for_too_much_is_refused_in_time(name: str) -> None:
    bomb = BOMBS[name]()
    for explode in (
        lambda: to_form(bomb),
        lambda: graph_metadata(system(initial_settings=(None, bomb))),
        lambda: settings_value(gm.SettingsSnapshotValue(None, bomb)),
    ):
        started = time.perf_counter()
        with pytest.raises(Malformed):
            explode()
        assert time.perf_counter() - started < 20.0  # below 1 s each on an idle machine


def test_a_foreign_object_of_doubling_parts_is_small_all_the_same() -> None:
    """Its pickle shares the parts; its text is cut."""
    form = to_form(through_the_wire(laughing_inert()))
    assert len(msgspec.json.encode(form)) < 10_000
    deep_inert: Any = 1
    for _ in range(50_000):
        deep_inert = foreign("lab", "C", deep_inert)
    assert thaw(to_form(deep_inert)).data == b""


# --- size ------------------------------------------------------------------------------------------------------------


def test_settings_that_do_not_fit_are_left_out_and_the_rest_is_recorded() -> None:
    """A pipeline with enormous settings runs without us, so it must run with us."""
    large = unit(address="SYS/L", initial_settings=(b"x" * 13_000_000, {"weights": "w" * 100}))
    values = unit(address="SYS/V", initial_settings=(None, {"taps": [0.5] * 900_000}))
    schema_ = gm.SettingsSchemaMetadata("dataclass", "m.S", [
        gm.SettingsFieldMetadata("taps", "list", False, "y" * 100_000, None, None, None, None)
    ])  # fmt: skip
    small = unit(address="SYS/S", settings_schema=schema_)
    value = gm.GraphMetadata(1, "SYS", {"SYS/L": large, "SYS/V": values, "SYS/S": small})
    form, raw_needed, _ = graph_metadata(value, 16_000_000)
    assert not raw_needed
    assert len(msgspec.json.encode(form)) < 100_000
    reply = form_to_ezmsg(form)
    for key in ("SYS/L", "SYS/V"):
        serialized, text = reply.components[key].initial_settings
        assert serialized is None
        assert text.startswith("<left out: settings of ")
    assert reply.components["SYS/S"].initial_settings == (b"\x80\x04N.", {"a": 1})
    assert reply.components["SYS/S"].settings_schema is None


def test_metadata_that_does_not_fit_even_so_is_refused() -> None:
    value = system(threads=["x" * 1000] * 20_000)
    with pytest.raises(Malformed, match="does not fit"):
        graph_metadata(value)


def test_the_pickle_is_kept_only_where_both_fit() -> None:
    value = through_the_wire(system(initial_settings=(b"x" * 6_000_000, foreign("lab", "C", 1))))
    assert graph_metadata(value, 5_000_000)[1]
    assert not graph_metadata(value, 7_000_000)[1]
    assert LINE_MAX > 8_000_000 + 5_000_000 * 4 // 3


def test_a_settings_value_that_does_not_fit_is_left_out() -> None:
    value = settings_value(gm.SettingsSnapshotValue(b"x" * 13_000_000, {"a": 1}, {"a": 1}))
    assert value.serialized is None
    assert value.structured_value is None
    assert str(value.repr_value).startswith("<left out")


# --- settings --------------------------------------------------------------------------------------------------------


@given(st.builds(
    gm.SettingsSnapshotValue, st.none() | st.binary(max_size=8), free,
    st.none() | st.dictionaries(texts, free, max_size=3), st.none() | schema,
))  # fmt: skip
def test_settings_come_back_exactly(value: gm.SettingsSnapshotValue) -> None:
    update = gm.ProcessSettingsUpdate("SYS/A", value, 1.5)
    taken = settings_value(load(pickle.dumps(update), gm.ProcessSettingsUpdate).value)
    kept = msgspec.json.decode(msgspec.json.encode(taken), type=SettingsValue)
    assert same(settings_to_ezmsg(kept), value)


def test_foreign_settings_go_out_plain() -> None:
    value = gm.SettingsSnapshotValue(None, {"a": foreign("lab", "Level", 3)}, {"a": foreign("lab", "L")})
    reply = settings_to_ezmsg(settings_value(through_the_wire(value)))
    assert reply == gm.SettingsSnapshotValue(None, {"a": 3}, {"a": "lab:L()"}, None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"repr_value": ""},
        gm.SettingsSnapshotValue("text", ""),
        gm.SettingsSnapshotValue(bytearray(b"x"), ""),
        gm.SettingsSnapshotValue(None, "", ["a"]),
        gm.SettingsSnapshotValue(None, "", None, gm.SettingsSchemaMetadata(1, "t", [])),
    ],
)
def test_settings_of_another_shape_are_refused(value: Any) -> None:
    with pytest.raises(WrongType):
        settings_value(value)


# --- time ------------------------------------------------------------------------------------------------------------


def test_metadata_of_500_components_is_opened_and_answered_in_time(real: gm.GraphMetadata) -> None:
    many = {f"SYS/{n}": unit(**(vars(real.components["ROOT/SYS/LAST"]) | {"address": f"SYS/{n}"})) for n in range(500)}
    data = pickle.dumps(gm.GraphMetadata(1, "SYS", many))
    started = time.perf_counter()
    form, _, _ = graph_metadata(load(data, gm.GraphMetadata), len(data))
    opened = time.perf_counter()
    reply = dumps(form_to_ezmsg(form))
    assert opened - started < 2.0  # 70 ms on an idle machine
    assert time.perf_counter() - opened < 2.0  # 30 ms
    assert len(pickle.loads(reply).components) == 500


def test_the_room_for_a_value_is_more_than_a_line() -> None:
    """Else values that merely do not fit would be refused before what is too large of them can be left out."""
    assert translate.ROOM > 2 * LINE_MAX
