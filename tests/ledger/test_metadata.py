"""Our models are those of ezmsg 3.9: the same classes, fields and orders. What a newer one adds is kept beside them.

A model that got another field would say something else of what is recorded already: see ``extra`` and UnknownModel.
"""

import dataclasses
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from ezmsg.core import graphmeta

from ezmsg.ledger import metadata
from ezmsg.ledger.metadata import (
    Edge,
    GraphSnapshot,
    InputRelayMetadata,
    SnapshotProcess,
    SnapshotSession,
    TaskMetadata,
)
from ezmsg.ledger.values import MODELS, Model, UnknownModel, freeze, model_fields, thaw

SNAPSHOTS = (GraphSnapshot, SnapshotSession, SnapshotProcess)


RELAY = ["relay_group", "relay_input_topic", "relay_output_topic"]
SINCE_3_10: dict[str, list[str]] = {
    "InputRelayMetadata": RELAY,
    "OutputRelayMetadata": RELAY,
    "SettingsSchemaMetadata": ["json_schema"],
}
"""Fields that ezmsg 3.10 appends to classes of 3.9."""
CLASSES_SINCE_3_10 = {"RelayMetadata"}


def reachable(*roots: type[Any]) -> dict[str, type[Any]]:
    """Every dataclass of ezmsg that stands somewhere in the fields of the roots, and their subclasses."""
    found: dict[str, type[Any]] = {}
    pending: list[Any] = list(roots)
    while pending:
        item = pending.pop()
        pending += get_args(item)
        if isinstance(item, type) and dataclasses.is_dataclass(item) and item.__name__ not in found:
            found[item.__name__] = item
            pending += [*get_type_hints(item).values(), *item.__subclasses__()]
    return found


NEWER = hasattr(graphmeta, "RelayMetadata")
THEIRS = reachable(graphmeta.GraphMetadata, graphmeta.SettingsSnapshotValue)


def test_every_class_that_ezmsg_registers_has_its_model_and_no_other_has() -> None:
    assert set(MODELS) == set(THEIRS) - CLASSES_SINCE_3_10
    assert set(THEIRS) - set(MODELS) == (CLASSES_SINCE_3_10 if NEWER else set())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_has_the_fields_of_ezmsg_in_its_order(name: str) -> None:
    added = SINCE_3_10.get(name, []) if NEWER else []
    assert [*model_fields(MODELS[name]), *added] == [field.name for field in dataclasses.fields(THEIRS[name])]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_has_the_defaults_of_ezmsg(name: str) -> None:
    ours = MODELS[name]()
    for field in dataclasses.fields(THEIRS[name]):
        if field.name not in model_fields(MODELS[name]):
            continue
        if field.default is not dataclasses.MISSING:
            assert getattr(ours, field.name) == field.default
        elif field.default_factory is not dataclasses.MISSING:
            assert getattr(ours, field.name) == field.default_factory()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_inherits_as_in_ezmsg(name: str) -> None:
    bases = [base.__name__ for base in MODELS[name].__mro__ if base.__name__ in THEIRS]
    assert bases == [base.__name__ for base in THEIRS[name].__mro__ if base.__name__ in THEIRS]


@pytest.mark.parametrize("cls", SNAPSHOTS, ids=lambda cls: cls.__name__)
def test_a_snapshot_has_the_fields_of_ezmsg_in_its_order(cls: type[msgspec.Struct]) -> None:
    theirs = getattr(graphmeta, cls.__name__)
    assert list(cls.__struct_fields__) == [field.name for field in dataclasses.fields(theirs)]


def test_an_edge_is_a_pair_as_in_ezmsg() -> None:
    assert Edge._fields == graphmeta.Edge._fields
    assert tuple(Edge("A", "B")) == tuple(graphmeta.Edge("A", "B")) == ("A", "B")


def test_every_model_of_the_module_is_registered() -> None:
    classes = {
        item
        for item in vars(metadata).values()
        if isinstance(item, type) and issubclass(item, Model) and item is not Model
    }
    assert classes == set(MODELS.values())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_comes_back_with_all_its_fields_set_and_with_new_ones(name: str) -> None:
    cls = MODELS[name]
    fields = {field: (field, i, b"x", [None]) for i, field in enumerate(model_fields(cls))}
    full = cls(**fields, extra={"new": {1: 2}, "newer": UnknownModel("New", {"a": (1,)})})
    form = msgspec.json.decode(msgspec.json.encode(freeze(full)))
    assert list(form) == ["$", *fields, "new", "newer"]
    assert thaw(form) == full
    assert type(thaw(form)) is cls


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_is_frozen_and_shares_no_default(name: str) -> None:
    cls = MODELS[name]
    first, second = cls(), cls()
    for field in cls.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(first, field, None)
        value = getattr(first, field)
        if isinstance(value, list | dict):
            assert value is not getattr(second, field)


def test_models_of_another_class_with_the_same_fields_differ() -> None:
    assert InputRelayMetadata(name="A") != metadata.InputTopicMetadata(name="A")
    assert TaskMetadata(name="a") == TaskMetadata(name="a", extra={})
    assert TaskMetadata(name="a") != TaskMetadata(name="a", extra={"b": 1})
