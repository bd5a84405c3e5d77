import enum
import pickle
import random
from math import inf, isnan, nan
from struct import pack, unpack
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ezmsg.ledger import codec, values
from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.metadata import (
    ComponentMetadata,
    DynamicSettingsMetadata,
    SettingsFieldMetadata,
    TaskMetadata,
    UnitMetadata,
)
from ezmsg.ledger.values import DEPTH_MAX, EXACT_INT_MAX, Model, Opaque, UnknownModel, freeze, plain, same, thaw

relaxed = settings(deadline=None)  # a busy machine is no defect

NEGATIVE_NAN = unpack(">d", bytes.fromhex("fff8000000000000"))[0]


def exact(value: Any, ordered: bool = True) -> Any:
    """Equal for two values only when all types, the bits of floats and (if asked) the order of dicts are."""
    cls = type(value)
    if cls is float:
        return cls, pack(">d", value)
    if cls in (list, tuple):
        return cls, tuple(exact(item, ordered) for item in value)
    if cls in (set, frozenset):
        return cls, sorted(repr(exact(item, ordered)) for item in value)
    if cls is dict:
        pairs = [(exact(key, ordered), exact(item, ordered)) for key, item in value.items()]
        return cls, pairs if ordered else sorted(pairs, key=repr)
    if isinstance(value, msgspec.Struct):
        return cls, tuple(exact(getattr(value, name), ordered) for name in value.__struct_fields__)
    return cls, value


def through_json(form: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(form))


any_text = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too
model_names = st.from_regex(r"\A[A-Z][a-zA-Z_]{0,8}\Z").filter(lambda name: name not in values.MODELS)
field_names = st.text(max_size=5).filter(lambda name: name != "$")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.sampled_from([2**53 - 1, 2**53, 1 - 2**53, -(2**53), 2**63, 2**64]),
    st.sampled_from([0.0, -0.0, nan, NEGATIVE_NAN, inf, -inf, "$"]),
    st.floats(),
    any_text,
    st.binary(max_size=8),
)
opaques = st.builds(
    Opaque, any_text, st.binary(max_size=8), st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=4))
)
hashables = st.recursive(
    scalars | opaques,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(field_names, inner, max_size=3)
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.builds(TaskMetadata, name=inner, extra=fields.map(without("name", "subscribes", "publishes"))),
        st.builds(SettingsFieldMetadata, default=inner, bounds=inner),
        st.builds(UnknownModel, model_names, fields),
    )


def without(*names: str) -> Any:
    return lambda fields: {name: item for name, item in fields.items() if name not in names}


any_value = st.recursive(hashables | st.sets(hashables, max_size=4), containers, max_leaves=20)


# --- round trips -----------------------------------------------------------------------------------------------------


@given(any_value)
@example([True, 1, 1.0, {1: "a"}, {True: "b"}, {1.0: "c"}, {False}, {0}, {0.0}, {-0.0}])
@example({(1, "1"), 1, "1", b"1", 1.5, None, frozenset({1})})
@example([nan, NEGATIVE_NAN, -0.0, 0.0, inf, -inf, {nan: nan}, {-0.0: -0.0}])
@example({"$": {"$": "f", "v": "nan"}})
@relaxed
def test_a_value_comes_back_type_identically_through_real_json(value: Any) -> None:
    form = freeze(value)
    read = through_json(form)
    assert exact(read) == exact(form), "the form is not what JSON says exactly"
    thawed = thaw(read)
    assert exact(thawed) == exact(value)
    assert msgspec.json.encode(freeze(thawed)) == msgspec.json.encode(form), "a value has two forms"


def test_bool_int_and_float_stay_apart_in_every_place() -> None:
    for value in (True, 1, 1.0, False, 0, 0.0, -0.0):
        for wrapped in ([value], (value,), {value}, frozenset({value}), {value: None}, {"a": value}, {1: value}):
            assert exact(thaw(through_json(freeze(wrapped)))) == exact(wrapped)


def test_the_nans_of_a_set_stay_apart() -> None:
    several = {float("nan"), float("nan"), NEGATIVE_NAN}
    thawed = thaw(through_json(freeze(several)))
    assert len(thawed) == 3
    assert all(isnan(item) for item in thawed)
    assert exact(thawed) == exact(several)


@given(st.lists(hashables, max_size=6), st.randoms())
@relaxed
def test_equal_sets_have_one_form(items: list[Any], chance: random.Random) -> None:
    once = list({repr(exact(item)): item for item in items if item == item}.values())
    first = set(once)
    unequal = [item for item in once if any(item is kept for kept in first)]  # 1, 1.0 and True are one member
    chance.shuffle(unequal)
    assert msgspec.json.encode(freeze(set(unequal))) == msgspec.json.encode(freeze(first))


def test_the_order_of_a_dict_is_kept() -> None:
    for value in ({"b": 1, "a": 2}, {2: 1, 1: 2}):
        assert list(thaw(through_json(freeze(value)))) == list(value)


def test_plain_json_stays_as_it_is() -> None:
    value = {"a": [1, 1.5, True, None, "text"], "b": {}}
    assert freeze(value) == value


def test_a_subclass_is_not_taken_for_its_base() -> None:
    class Text(str):
        pass

    class Items(list[Any]):
        pass

    for value in (Text("x"), Items([1])):
        thawed = thaw(through_json(freeze(value)))
        assert isinstance(thawed, Opaque)
        assert thawed.class_ref.endswith(f":{type(value).__qualname__}")


# --- bounds ----------------------------------------------------------------------------------------------------------

WRAPPERS: dict[str, Any] = {
    "list": lambda inner: [inner],
    "tuple": lambda inner: (inner,),
    "dict": lambda inner: {"a": inner},
    "map": lambda inner: {1: inner},
    "model": lambda inner: TaskMetadata(name=inner),
    "extra": lambda inner: TaskMetadata(extra={"new": inner}),
    "unknown model": lambda inner: UnknownModel("New", {"a": inner}),
    "opaque": lambda inner: Opaque("a:B", b"", inner),
}


def nested(wrap: Any, levels: int, innermost: Any) -> Any:
    value = innermost
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("innermost", [None, True, 1, 1.5, "", b"", [], (), {}, frozenset(), TaskMetadata(name="")])
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_the_depth_is_bounded_for_every_container_and_whatever_is_innermost(wrap: Any, innermost: Any) -> None:
    levels = DEPTH_MAX - isinstance(innermost, Model)
    value = nested(wrap, levels, innermost)
    assert exact(thaw(through_json(freeze(value)))) == exact(value)
    with pytest.raises(InvalidValue, match="nests deeper than 64 levels"):
        freeze(wrap(value))


def test_the_depth_is_bounded_for_sets() -> None:
    value = nested(lambda inner: frozenset({inner}), DEPTH_MAX, 1)
    assert thaw(through_json(freeze({value} - {value}))) == set()
    assert thaw(through_json(freeze(value))) == value
    with pytest.raises(InvalidValue):
        freeze({value})


@pytest.mark.parametrize(
    "wrap", ["[%s]", '{"a":%s}', '{"$":"t","v":[%s]}', '{"$":"m","v":[[1,%s]]}', '{"$":"New","a":%s}']
)
def test_thaw_bounds_the_depth_as_freeze_does(wrap: str) -> None:
    thaw(msgspec.json.decode(nested(lambda inner: wrap % inner, DEPTH_MAX, "1")))
    with pytest.raises(InvalidValue, match="nests deeper"):
        thaw(msgspec.json.decode(nested(lambda inner: wrap % inner, DEPTH_MAX + 1, "1")))


def test_a_cyclic_value_is_refused() -> None:
    in_list: list[Any] = [1]
    in_list.append(in_list)
    in_dict: dict[Any, Any] = {}
    in_dict["self"] = (in_dict,)
    in_map: dict[Any, Any] = {}
    in_map[1] = [in_map, in_map]
    fields: dict[str, Any] = {}
    fields["self"] = UnknownModel("Self", fields)
    for value in (in_list, in_dict, in_map, fields, TaskMetadata(extra=fields)):
        with pytest.raises(InvalidValue, match="deeper") as caught:
            freeze(value)
        assert "cycle" in caught.value.hint


def test_a_value_that_shares_its_parts_is_weighed_as_it_would_be_written() -> None:
    doubling: Any = []
    for _ in range(20):  # a pickle of a few hundred bytes; 2**20 lists, and with 40 more the memory of any machine
        doubling = [doubling, doubling]
    with pytest.raises(InvalidValue, match="larger than"):
        freeze(doubling)


@pytest.mark.parametrize(
    "part",
    ["a" * 2**20, b"a" * 2**20, 1 << 2**22, "\ud800" * 2**20, Opaque("a:B", b"a" * 2**20, 1), {"k" * 2**20: 1}],
    ids=["text", "bytes", "int", "surrogates", "opaque", "key"],
)
def test_shared_texts_and_bytes_are_weighed_too(part: Any) -> None:
    freeze([part] * 10)
    with pytest.raises(InvalidValue, match="larger than"):
        freeze([part] * 17)


@pytest.mark.parametrize("wrap", [list, tuple, dict.fromkeys, set, frozenset], ids=lambda wrap: wrap.__name__)
def test_the_items_of_every_container_are_weighed(wrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "SIZE_MAX", 100 * values.ITEM_WEIGHT)
    freeze(wrap(range(100)))
    with pytest.raises(InvalidValue, match="larger than"):
        freeze(wrap(range(101)))


def test_no_larger_value_would_fit_in_a_line() -> None:
    assert values.SIZE_MAX == codec.LINE_MAX


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        UnknownModel("lower", {}),
        UnknownModel("", {}),
        UnknownModel("_Hidden", {}),
        UnknownModel("Über", {}),
        UnknownModel("f", {"v": "nan"}),
        UnknownModel("TaskMetadata", {}),
        UnknownModel("New\ud800", {}),
        UnknownModel("New", {"$": "f"}),
        UnknownModel("New", {"a\ud800": 1}),
        UnknownModel("New", {1: 2}),  # type: ignore[dict-item]
        TaskMetadata(extra={"name": "twice"}),
        TaskMetadata(extra={"$": 1}),
        TaskMetadata(extra={"\udfff": 1}),
    ],
    ids=repr,
)
def test_a_model_that_could_not_come_back_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        freeze([value])
    assert caught.value.hint


def test_a_field_that_is_missing_has_its_default_and_one_that_is_new_is_kept() -> None:
    thawed = thaw({"$": "TaskMetadata", "publishes": ["OUT"], "priority": 3})
    assert thawed == TaskMetadata(publishes=["OUT"], extra={"priority": 3})
    assert freeze(thawed) == {"$": "TaskMetadata", "name": "", "subscribes": None, "publishes": ["OUT"], "priority": 3}


def test_a_model_is_thawed_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    form = {"$": "LaterMetadata", "a": 1, "b": 2}
    assert thaw(form) == UnknownModel("LaterMetadata", {"a": 1, "b": 2})
    monkeypatch.setattr(values, "MODELS", dict(values.MODELS))

    class LaterMetadata(Model, frozen=True, kw_only=True):
        a: int = 0

    assert values.model_fields(LaterMetadata) == ("a",)
    assert thaw(form) == LaterMetadata(a=1, extra={"b": 2})
    assert freeze(thaw(form)) == form


def test_a_model_whose_name_another_class_has_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MODELS", dict(values.MODELS))
    first = type("LaterMetadata", (Model,), {})
    second = type("LaterMetadata", (Model,), {})
    assert thaw(freeze(second())) == second()
    with pytest.raises(InvalidValue, match="another model is called LaterMetadata"):
        freeze(first())


# --- objects of other classes ----------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Mode(enum.StrEnum):
    FAST = "fast"

    def __str__(self) -> str:
        raise RuntimeError("never asked")


class Label(str):
    def __str__(self) -> str:
        raise RuntimeError("never asked")


class Volts(float):
    def __float__(self) -> float:
        raise RuntimeError("never asked")


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Surrogate:
    def __repr__(self) -> str:
        return "\ud800"


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")

    def __repr__(self) -> str:
        return "<Unpicklable>"


class Pretender:
    """Says that it is an int; such proxies exist."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int

    def __repr__(self) -> str:
        return "<Pretender>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Colour.PAIR, "<Colour.PAIR: (1, 2)>"),
        (Level.HIGH, 3),
        (Mode.FAST, "fast"),
        (Label("left"), "left"),
        (Volts(1.5), 1.5),
        (Volts("-inf"), -inf),
        (Mute(), "<Mute: repr raised RuntimeError>"),
        (Surrogate(), "\ud800"),
        (Unpicklable(), "<Unpicklable>"),
        (Pretender(), "<Pretender>"),
        (1j, "1j"),
        (bytearray(b"x"), "bytearray(b'x')"),
        (range(3), "range(0, 3)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_of_another_class_is_kept_with_what_stands_behind_it(value: Any, expected: Any) -> None:
    thawed = thaw(through_json(freeze(value)))
    assert isinstance(thawed, Opaque)
    assert exact(thawed.plain) == exact(expected)
    assert thawed.class_ref == f"{type(value).__module__}:{type(value).__qualname__}"


def test_the_bytes_of_an_opaque_would_rebuild_the_object() -> None:
    assert pickle.loads(thaw(freeze(Level.HIGH)).data) is Level.HIGH
    assert thaw(freeze(Unpicklable())).data == b""
    assert thaw(freeze(lambda: None)).data == b""


def test_scalars_of_numpy_have_a_plain_value() -> None:
    numpy = pytest.importorskip("numpy")
    for scalar, expected in (
        (numpy.float64(0.5), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(-5), -5),
        (numpy.uint8(5), 5),
        (numpy.bool_(True), True),
        (numpy.str_("x"), "x"),
        (numpy.array(7), 7),
    ):
        assert exact(freeze(scalar)["as"]) == exact(expected)
    for other in (numpy.array([1, 2]), numpy.datetime64("2020-01-01"), numpy.complex64(1)):
        assert freeze(other)["as"] == repr(other)


class Bomb:
    exploded = False

    def __reduce__(self) -> Any:
        return Bomb.explode, ()

    @staticmethod
    def explode() -> None:
        Bomb.exploded = True


def test_nothing_opens_a_pickle() -> None:
    form = through_json(freeze({"x": [Bomb()]}))
    assert isinstance(plain(thaw(form))["x"][0], str)
    assert same(form, freeze(thaw(form)))
    assert not Bomb.exploded
    pickle.loads(thaw(form)["x"][0].data)
    assert Bomb.exploded, "the bytes are the bomb's"


def test_plain_reaches_everything() -> None:
    gain = Opaque("lab:Gain", b"x", 2.0)
    settings = (b"", {"gain": gain, "gains": [gain, (gain, {gain}, frozenset({gain}))], gain: 1})
    unit = UnitMetadata(initial_settings=settings, extra={"new": gain})
    expected = (b"", {"gain": 2.0, "gains": [2.0, (2.0, {2.0}, frozenset({2.0}))], 2.0: 1})
    assert exact(plain(unit)) == exact(UnitMetadata(initial_settings=expected, extra={"new": 2.0}))
    assert plain(UnknownModel("New", {"a": gain})) == UnknownModel("New", {"a": 2.0})
    assert plain(Opaque("a:B", b"", [gain])) == [2.0]


@given(any_value)
@example({"$": 1, "a": 2})
@example({7: 1, "a": 2})
@relaxed
def test_the_parts_of_a_form_are_those_of_its_value(value: Any) -> None:
    """What is read off a form, and what is made of the whole of it, say the same."""
    form = through_json(freeze(value))
    cls, tag = type(value), values.tag_of(form)
    assert values.is_map(form) == (cls is dict)
    assert values.is_structured(form) == isinstance(value, Model | UnknownModel)
    if cls is dict:
        pairs = values.pairs_of(form)
        assert exact([(thaw(key), thaw(item)) for key, item in pairs]) == exact(list(value.items()))
        assert values.map_of(pairs, tagged=tag == "m") == form
        named = {key: item for key, item in value.items() if type(key) is str and values.freeze(key) == key}
        assert exact({name: thaw(item) for name, item in values.fields_of(form).items()}) == exact(named)
        if len(named) == len(value):
            assert values.text_map(form) == values.fields_of(form)
        else:
            with pytest.raises(TypeError):
                values.text_map(form)
    elif cls in values.SEQUENCES:
        items = values.items_of(form)
        assert exact(cls(thaw(item) for item in items)) == exact(value)
        assert values.sequence(cls, list(items)) == form
    elif isinstance(value, Model | UnknownModel):
        assert tag == (value.name if isinstance(value, UnknownModel) else cls.__name__)
        assert values.fields_of(form) == {name: item for name, item in form.items() if name != "$"}
    else:
        assert values.fields_of(form) == {}
        assert cls is not Opaque or exact(thaw(values.plain_of(form))) == exact(value.plain)
    for verb, fits in ((values.items_of, cls in values.SEQUENCES), (values.pairs_of, cls is dict)):
        if not fits:
            with pytest.raises(TypeError):
                verb(form)


@given(any_value)
@relaxed
def test_plain_leaves_no_opaque_and_changes_nothing_else(value: Any) -> None:
    if "Opaque(" in repr(value):
        assert "Opaque(class_ref" not in repr(plain(value)).replace(r"\'", "")
    else:
        assert exact(plain(value)) == exact(value)


# --- garbage ---------------------------------------------------------------------------------------------------------

json_text = st.text(max_size=6)
payloads = st.sampled_from(
    ["", "nan", "inf", "-inf", "7ff8000000000001", "7ff0000000000000", "0x1", "-0x1", "1", "zz", "AA==", "AA", "7aCA"]
)
tags = st.sampled_from([*values._THAWERS, *sorted(values.MODELS)[:4], "New", "new", "", "$", "é"])


def pairs(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(inner, min_size=2, max_size=2)


forms = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | json_text | payloads,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(json_text, inner, max_size=3),
        st.fixed_dictionaries(
            {"$": tags | inner},
            optional={"v": payloads | inner | st.lists(pairs(inner), max_size=3), "class": inner, "as": inner},
        ),
    ),
    max_leaves=12,
)


@given(forms)
@relaxed
def test_garbage_is_refused_as_such_or_is_a_value(form: Any) -> None:
    try:
        value = thaw(form)
    except InvalidValue:
        return
    assert exact(thaw(through_json(freeze(value)))) == exact(value)


@pytest.mark.parametrize("form", [(1,), b"x", {1}, Ellipsis, {1: 2}, {"$": "t", "v": (1,)}, [{"a": b""}]], ids=repr)
def test_what_json_has_not_is_no_form(form: Any) -> None:
    with pytest.raises(InvalidValue):
        thaw(form)


def test_a_refusal_does_not_repeat_all_of_a_large_form() -> None:
    long, base64 = "?" * 10_000, "/" * 10_000
    tagged = [{"$": tag, "v": long} for tag in values._THAWERS]
    for form in ({"$": long}, {"$": [long]}, {"$": "s", "v": base64}, *tagged):
        with pytest.raises(InvalidValue) as caught:
            thaw(form)
        assert len(str(caught.value)) < 500
        assert caught.value.hint


# --- same ------------------------------------------------------------------------------------------------------------

DIFFERENT = [1, 1.0, True, "1", b"1", 0, 0.0, -0.0, False, None, "", nan, NEGATIVE_NAN, inf]
DIFFERENT += [[], (), {}, set(), frozenset(), TaskMetadata(), UnknownModel("New", {})]


def test_same_is_strict_about_types() -> None:
    for i, a in enumerate(DIFFERENT):
        for j, b in enumerate(DIFFERENT):
            for wrapped_a, wrapped_b in ((a, b), ([a], [b]), ({"k": (a,)}, {"k": (b,)}), ({1: a}, {1: b})):
                assert same(freeze(wrapped_a), freeze(wrapped_b)) == (i == j)


few_values = st.recursive(
    st.sampled_from([0, 0.0, False, ""]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        st.dictionaries(st.sampled_from([1, 1.5, "$"]), inner, max_size=2),
        st.builds(UnknownModel, st.just("New"), st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)),
    ),
    max_leaves=3,
)


@given(few_values, few_values)
@relaxed
def test_same_says_what_exact_says_but_for_the_order_of_keys(a: Any, b: Any) -> None:
    assert same(freeze(a), freeze(b)) == (exact(a, ordered=False) == exact(b, ordered=False))
    assert same(freeze(a), through_json(freeze(a)))


def test_same_does_not_look_at_the_order_of_keys() -> None:
    for a, b in (({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({1: 1, "b": {2: 3, 4: 5}}, {"b": {4: 5, 2: 3}, 1: 1})):
        assert same(freeze(a), freeze(b))
        assert same(freeze([{"x": a}]), freeze([{"x": b}]))
    assert not same(freeze([1, 2]), freeze([2, 1]))
    assert not same(freeze({1: 2, 2: 1}), freeze({1: 1, 2: 2}))


def test_same_changes_neither_form() -> None:
    a, b = freeze({2: 1, 1: 2}), freeze({1: 2, 2: 1})
    before = msgspec.json.encode([a, b])
    assert same(a, b)
    assert msgspec.json.encode([a, b]) == before


def test_models_compare_by_class_and_fields() -> None:
    assert same(freeze(DynamicSettingsMetadata()), freeze(DynamicSettingsMetadata(enabled=False)))
    assert not same(freeze(ComponentMetadata()), freeze(UnitMetadata()))


def test_the_bound_of_exact_integers_is_that_of_a_double() -> None:
    assert float(EXACT_INT_MAX) == EXACT_INT_MAX
    assert float(EXACT_INT_MAX + 2) != EXACT_INT_MAX + 2
    assert freeze(EXACT_INT_MAX) == EXACT_INT_MAX
    assert freeze(EXACT_INT_MAX + 1) == {"$": "i", "v": "0x20000000000000"}
