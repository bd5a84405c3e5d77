"""The metadata of components from two runs, compared without what differs between any two runs of one program."""

from typing import Any

from ezmsg.ledger.projections.graph.records import initial_settings
from ezmsg.ledger.projections.questions.settings.stored_value import same_settings
from ezmsg.ledger.projections.questions.value_comparison import alike_forms
from ezmsg.ledger.values import Form, tag_of


def same_component(a: Form, b: Form) -> bool:
    """Whether the metadata of two components is alike. Cost: O(size)."""
    return not changed_fields(a, b)


def changed_fields(a: Form, b: Form) -> list[str]:
    """The fields of a component's metadata that differ, as what they are.

    Not told: addresses of functions and objects in shown values, the order of sets, and how a value of the initial
    settings is shown when it is the same one.
    """
    return [name for name in dict.fromkeys((*a, *b)) if not _same_field(name, a, b)]


def _same_field(name: str, a: Form, b: Form) -> bool:
    if name not in a or name not in b:
        return False
    if name == "initial_settings":
        return same_settings(initial_settings(a), initial_settings(b), noise=True)
    return alike_forms(with_sets(a[name]), with_sets(b[name]), noise=True)


def with_sets(form: Form) -> Form:
    """A form in which the default of a set is one: ezmsg and pydantic write its members as a list, in any order."""
    if type(form) is list:
        return [with_sets(each) for each in form]
    if type(form) is not dict:
        return form
    made: dict[str, Any] = {name: with_sets(each) for name, each in form.items()}
    kind = str(made.get("field_type", "")) if tag_of(form) == "SettingsFieldMetadata" else ""
    if ("set" in kind.lower() or form.get("uniqueItems") is True) and type(made.get("default")) is list:
        made["default"] = {"$": "frozenset", "v": made["default"]}
    return made
