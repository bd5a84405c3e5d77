"""The difference of two graph states, as large as the number of facts that changed."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ezmsg.ledger.errors import OutOfOrder
from ezmsg.ledger.projections.graph.digest import encode
from ezmsg.ledger.projections.graph.facts import Key, Position, facts, from_facts, position
from ezmsg.ledger.projections.graph.tables import AnyTables, GraphTables


class Change(msgspec.Struct, frozen=True):
    """One fact that changed. UNSET before: it came; UNSET after: it went."""

    key: Key
    before: Any | UnsetType
    after: Any | UnsetType


class Diff(msgspec.Struct, frozen=True):
    """What turns the state at ``before`` into the one at ``after``; ``changes`` are grouped by kind, then sorted."""

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
        """What a notebook shows: a picture of the holds on edges that came and went, and all changes as text."""
        from ezmsg.ledger.projections.graph.picture import diff_html  # no fold and no diff waits for a painter

        return diff_html(self.before, self.after, self.changes)

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
    """The facts that differ, type-strictly. Cost: O(both states)."""
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
