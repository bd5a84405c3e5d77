"""Declared, registered, running: the document of ``ezmsg inspect`` beside a graph state.

``ezmsg inspect`` (since ezmsg 3.10) describes the classes of components that a program defines. A class at the top is
the root of a system under whatever name the program gives it, so roots are found by their classes.
"""

from collections.abc import Iterator
from typing import Any

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.natural_order import natural
from ezmsg.ledger.projections.questions.answers import Answer
from ezmsg.ledger.projections.questions.settings.stored_value import kept, parts
from ezmsg.ledger.projections.questions.value_comparison import alike_forms
from ezmsg.ledger.values import Form, tag_of

NEVER, NOWHERE, OTHER, UNDECLARED = "never came up", "in no process", "other than declared", "not declared"


class Departure(Answer, frozen=True):
    """A place where declared, registered and running are not the same.

    ``kind`` is NEVER (declared, and not registered), NOWHERE (a unit that registered, and that no process runs), OTHER
    (a setting in force is not the declared default) or UNDECLARED. ``address`` is that of the component (of one that
    never came up the declared path), ``field`` that of a setting, with both values.
    """

    kind: str
    address: str
    field: str = ""
    declared: Form = None
    found: Form = None

    def __repr__(self) -> str:
        return f"<{self.address}{f'.{self.field}' if self.field else ''} {self.kind}>"


def departures(document: dict[str, Any], state: GraphState) -> list[Departure]:
    """The departures of a state from the document of ``ezmsg inspect``, by address. Cost: O(both).

    Raises KeyError, TypeError or AttributeError when the document is not one of ``ezmsg inspect``.
    """
    tops = {_class(each["component_type"]): each for each in document["components"]}
    registered = {
        address: component for each in state.registrations.values() for address, component in each.components.items()
    }
    roots = {
        address: tops[_class(str(component.get("component_type", "")))]
        for address, component in registered.items()
        if "/" not in address and _class(str(component.get("component_type", ""))) in tops
    }
    declared = {address: each for root, top in roots.items() for address, each in _walk(top, top["path"], root)}
    found = list(_never(tops, roots, declared, registered))
    for address in sorted(registered, key=natural):
        if roots and address not in declared and "__relay" not in address:
            found.append(Departure(UNDECLARED, address))
        if tag_of(registered[address]) == "UnitMetadata" and address not in state.units:
            found.append(Departure(NOWHERE, address))
    for address in sorted(declared.keys() & state.settings.keys(), key=natural):
        found += _settings(address, declared[address], state)
    return found


def _class(component_type: str) -> str:
    """The name of a class without its module: that is ``__main__`` where a program runs, and its own where not."""
    return component_type.rpartition(".")[2]


def _walk(component: dict[str, Any], path: str, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every component of a system, by the address that it has below ``root``."""
    yield root + component["path"].removeprefix(path), component
    for inner in component.get("components") or ():
        yield from _walk(inner, path, root)


def _never(
    tops: dict[str, Any], roots: dict[str, Any], declared: dict[str, Any], registered: dict[str, Any]
) -> Iterator[Departure]:
    for address in sorted(declared.keys() - registered.keys(), key=natural):
        yield Departure(NEVER, address)
    if not roots:  # none of them is the root of anything: those that no other one contains were to be
        inner = {_class(each["component_type"]) for top in tops.values() for _, each in list(_walk(top, "", ""))[1:]}
        for name in sorted(tops.keys() - inner, key=natural):
            yield Departure(NEVER, tops[name]["path"])


def _settings(address: str, component: dict[str, Any], state: GraphState) -> Iterator[Departure]:
    fields = (component.get("settings_schema") or {}).get("fields") or ()
    defaults = {each["name"]: each["default"] for each in fields if not each.get("required")}
    for name, held in parts(kept(state.settings[address].value)).items():
        if name in defaults and not alike_forms(defaults[name], held.form, noise=True):
            yield Departure(OTHER, address, name, defaults[name], held.form)
