"""Declared, registered, running: each kind of departure, from a document as ``ezmsg inspect`` writes it."""

from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.baselines.declared import (
    NEVER,
    NOWHERE,
    OTHER,
    UNDECLARED,
    departures,
)


def declared(name: str, path: str, *inner: Any, **defaults: Any) -> Any:
    fields = [{"name": field, "default": value, "required": False} for field, value in defaults.items()]
    schema = {"fields": fields}
    return {
        "path": path, "component_type": f"pipeline.{name}", "settings_schema": schema, "components": list(inner),
    }  # fmt: skip


DOCUMENT = {
    "components": [
        declared("Amp", "Amp", gain=1.0),
        declared("System", "System", declared("Amp", "System/AMP", gain=1.0), declared("Log", "System/LOG")),
    ]
}


def unit(address: str, kind: str, **values: Any) -> Any:
    return component("UnitMetadata", address, kind, values)


def component(tag: str, address: str, kind: str, values: Any) -> Any:
    return {"$": tag, "address": address, "component_type": f"__main__.{kind}", "initial_settings": [None, values]}


def state(*units: Any, running: tuple[str, ...]) -> GraphState:
    root = component("CollectionMetadata", "RIG", "System", {})
    components = {each["address"]: each for each in (root, *units)}
    found = GraphState()
    metadata = {"$": "GraphMetadata", "components": components}
    for seq, event in enumerate(
        (
            ev.SessionOpened(uuid="u"),
            ev.ProcessOpened(uuid="p"),
            ev.MetadataRegistered(session=1, metadata=metadata),
            ev.ProcessRegistered(process=2, pid=1, host="h", units=running),
        ),
        1,
    ):
        found.apply(type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | {"seq": seq}))
    return found


def test_what_is_as_declared_departs_in_nothing() -> None:
    there = state(unit("RIG/AMP", "Amp", gain=1.0), unit("RIG/LOG", "Log"), running=("RIG/AMP", "RIG/LOG"))
    assert departures(DOCUMENT, there) == []


def test_each_departure_is_of_its_kind() -> None:
    there = state(unit("RIG/AMP", "Amp", gain=4.0), unit("RIG/NEW", "Amp", gain=1), running=("RIG/NEW",))
    assert [(each.kind, each.address, each.field) for each in departures(DOCUMENT, there)] == [
        (NEVER, "RIG/LOG", ""),
        (NOWHERE, "RIG/AMP", ""),
        (UNDECLARED, "RIG/NEW", ""),
        (OTHER, "RIG/AMP", "gain"),
    ]


def test_a_system_that_never_came_up_is_named_once() -> None:
    assert [(each.kind, each.address) for each in departures(DOCUMENT, GraphState())] == [(NEVER, "System")]
