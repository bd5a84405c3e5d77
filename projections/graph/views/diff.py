"""The difference of two graph states, as large as the number of facts that changed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ezmsg.ledger.errors import OutOfOrder
from ezmsg.ledger.projections.graph.tables import AnyTables, GraphTables
from ezmsg.ledger.projections.graph.views.digest import encode
from ezmsg.ledger.projections.graph.views.facts import Key, Position, facts, from_facts, position


class Change(msgspec.Struct, frozen=True):
    """A fact that changed; ``before`` is UNSET for one that came, ``after`` for one that went.

    ``key`` is as in ``facts``: the kind of the fact, then what it is about.

    >>> from msgspec import UNSET
    >>> Change(("edge", "A", "B", None), before=UNSET, after=True).key[0]
    'edge'
    """

    key: Key
    before: Any | UnsetType
    after: Any | UnsetType


class Diff(msgspec.Struct, frozen=True):
    """The changes from the state at ``before`` to the one at ``after``, by kind, then sorted. False without any.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import Timeline
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    >>> found = Timeline(ledger).diff("0", "end")
    >>> [change.key for change in found.of("edge")]
    [('edge', 'A', 'B', None)]
    """

    before: Position
    after: Position
    changes: tuple[Change, ...]

    def __len__(self) -> int:
        return len(self.changes)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, kind: str) -> list[Change]:
        """The changes of one kind of fact: edge, node, session, registration, component, setting, process, ..."""
        return [change for change in self.changes if change.key[0] == kind]

    def _repr_html_(self) -> str:
        """A picture of the holds on edges that came and went, and all changes as text, for notebooks."""
        from ezmsg.ledger.projections.drawing.figure import diff_html  # no fold and no diff waits for a painter

        return diff_html(self)

    def apply(self, state: AnyTables) -> AnyTables:
        """The state after, made from the one before; ``state`` itself is not touched. Cost: O(state).

        Raises OutOfOrder when ``state`` is not the one that the diff was taken from.
        """
        if position(state) != self.before:
            raise OutOfOrder(f"the diff starts at {self.before}, the state stands at {position(state)}")
        table = facts(state)
        for change in self.changes:
            if not same_fact(table.get(change.key, UNSET), change.before):
                raise OutOfOrder(f"{change.key} is {table.get(change.key, UNSET)!r}, not {change.before!r}")
            if change.after is UNSET:
                del table[change.key]
            else:
                table[change.key] = change.after
        return from_facts(self.after, table, type(state)())


def diff(before: GraphTables, after: GraphTables) -> Diff:
    """The facts that differ between two states, type-strictly. Cost: O(both states).

    >>> from ezmsg.ledger import events
    >>> from ezmsg.ledger.projections import GraphState
    >>> before, after = GraphState(), GraphState()
    >>> after.apply(events.EdgeConnected(from_topic="A", to_topic="B", owner=None, seq=1, time=0))
    >>> len(diff(before, after))  # two nodes and a hold on an edge
    3
    """
    old, new = facts(before), facts(after)
    changes = [Change(key, value, new.get(key, UNSET)) for key, value in old.items() if _differs(value, new, key)]
    changes += [Change(key, UNSET, value) for key, value in new.items() if key not in old]
    changes.sort(key=lambda change: (change.key[0], encode(change.key)))
    return Diff(position(before), position(after), tuple(changes))


def _differs(value: Any, new: dict[Key, Any], key: Key) -> bool:
    return not same_fact(value, new.get(key, UNSET))


def same_fact(a: Any, b: Any) -> bool:
    """Whether two facts are the same, type-strictly; UNSET is only the same as itself."""
    if a is b:
        return True
    if a is UNSET or b is UNSET:
        return False
    return encode(a) == encode(b)


def differing(
    before: Mapping[Any, Any], after: Mapping[Any, Any], same: Callable[[Any, Any], bool] = same_fact
) -> list[tuple[Any, Any, Any]]:
    """The keys that have not the same value in both, with their values: None where it has none."""
    keys = dict.fromkeys((*before, *after))
    return [(key, old, new) for key in keys if not same(old := before.get(key), new := after.get(key))]
