"""Only what is certain is said of a value that does not fit its schema."""

from typing import Any

import pytest

from ezmsg.ledger.projections.questions.settings.schema import misfits
from ezmsg.ledger.values import freeze


def schema(kind: str, **more: Any) -> Any:
    field = {"$": "SettingsFieldMetadata", "name": "x", "field_type": kind, **more}
    return {"$": "SettingsSchemaMetadata", "provider": "dataclass", "settings_type": "T", "fields": [field]}


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("builtins.float", "loud", "a text in a field of float"),
        ("builtins.float", 3, ""),
        ("builtins.float", float("nan"), ""),
        ("builtins.float", True, "a truth value in a field of float"),
        ("float", None, "nothing in a field of float"),
        ("float | None", None, ""),
        ("int | str", 1.5, "a float in a field of int | str"),
        ("builtins.int", 1.0, "a float in a field of int"),
        ("builtins.bool", 1, "an integer in a field of bool"),
        ("lab.Mode", "FAST", ""),
        ("typing.Any", "FAST", ""),
        ("float | lab.Mode", "FAST", ""),
        ("builtins.float", [1, 2], ""),
    ],
)
def test_by_the_name_of_its_type(kind: str, value: Any, why: str) -> None:
    assert misfits(schema(kind), {"x": freeze(value)}) == ({"x": why} if why else {})


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ({"type": "number"}, "loud", "a text in a field of number"),
        ({"type": "number", "maximum": 10}, 11.5, "11.5 is more than 10"),
        ({"type": "number", "exclusiveMinimum": 0}, 0, "0 is not more than 0"),
        ({"type": "integer", "minimum": 1}, 1, ""),
        ({"enum": ["a", "b"]}, "c", "'c' is not one of 'a', 'b'"),
        ({"anyOf": [{"type": "number"}]}, "loud", ""),
    ],
)
def test_by_its_json_schema(field: Any, value: Any, why: str) -> None:
    """ezmsg 3.10 beside pydantic registers one."""
    whole = {**schema("typing.Any"), "json_schema": {"properties": {"x": field}}}
    assert misfits(whole, {"x": value}) == ({"x": why} if why else {})


def test_a_choice() -> None:
    assert misfits(schema("typing.Literal['a', 'b']", choices=["a", "b"]), {"x": "c"}) == {
        "x": "'c' is not one of 'a', 'b'"
    }


@pytest.mark.parametrize("odd", [None, "text", {}, {"$": "SettingsSchemaMetadata", "fields": 7}, schema("float | ")])
def test_an_odd_schema_says_nothing(odd: Any) -> None:
    assert misfits(odd, {"x": "loud", "y": 1}) == {}
