"""What differs between two states by names, told in words."""

from typing import Any

from ezmsg.ledger.projections.graph.diff import same_fact
from ezmsg.ledger.projections.questions.named_diff import GROUPS, NamedChange, NamedDiff
from ezmsg.ledger.tools.page import listed
from ezmsg.ledger.tools.text import documents, names
from ezmsg.ledger.tools.text.comparison import CAME, CHANGED, LISTED_MAX, WENT, Change
from ezmsg.ledger.tools.text.documents import Document
from ezmsg.ledger.tools.text.value_text import settings_change, settings_text, value_text

_SINGULAR = {"sessions": "session ", "processes": "process ", "endpoints": ""}


class NamedComparison:
    """A difference by names, by groups, in words and documents. Cost: O(difference)."""

    def __init__(self, diff: NamedDiff) -> None:
        self._groups = {group: list(map(_change, diff.of(group))) for group in GROUPS}

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(self._groups.values())

    def groups(self) -> list[tuple[str, list[Change]]]:
        """The groups in which something differs, each with a title."""
        return [(f"{name} ({_tally(changes)})", changes) for name, changes in self._groups.items() if changes]

    def document(self) -> Document:
        """Every group by its name, empty ones too: a list of documents with a ``change`` (+ - ~)."""
        return {
            name: [{"change": change.sign, **change.document} for change in changes]
            for name, changes in self._groups.items()
        }


def _change(change: NamedChange) -> Change:
    sign = CAME if change.before is None else WENT if change.after is None else CHANGED
    match change.group:
        case "edges":
            return _edge(change, sign)
        case "components":
            return _component(change, sign)
        case "settings":
            return _setting(change, sign)
        case _:
            return _counted(change, sign)


def _edge(change: NamedChange, sign: str) -> Change:
    old, new = change.before or [], change.after or []
    document = {**documents.edge_document(change.name), "before": old, "after": new}
    if sign == CHANGED:
        words = f"(held by {', '.join(old)}, then by {', '.join(new)})"
    else:
        words = f"({', '.join(new)})" if new else f"(held by {', '.join(old)})"
    return Change(sign, f"{names.edge(change.name)}  {words}", document)


def _component(change: NamedChange, sign: str) -> Change:
    old, new = change.before, change.after
    text = str(change.name)
    if sign == CHANGED:
        fields = [name for name in dict.fromkeys((*old, *new)) if not same_fact(old.get(name), new.get(name))]
        text += f"  changed: {listed(fields, LISTED_MAX)}"
    return Change(sign, text, {"component": change.name, "before": old, "after": new})


def _setting(change: NamedChange, sign: str) -> Change:
    old, new = change.before, change.after
    fields: list[tuple[str, Any, Any]] = []
    if sign == CHANGED:
        fields = settings_change(old, new)
        text = "; ".join(f"{name} {value_text(was)} -> {value_text(now)}".strip() for name, was, now in fields)
    else:
        text = settings_text(new or old)
    document = {
        "component": change.name,
        "before": old and documents.value_document(old),
        "after": new and documents.value_document(new),
        "fields": [{"field": name, "before": was, "after": now} for name, was, now in fields],
    }
    return Change(sign, f"{change.name}  {text}".rstrip(), document)


def _counted(change: NamedChange, sign: str) -> Change:
    """Things without a name of their own: how many of each kind there are."""
    old, new = change.before or 0, change.after or 0
    number = f"  ({old}, then {new})" if old + new > 1 else ""
    document = {"what": change.name, "before": old, "after": new}
    return Change(sign, f"{_SINGULAR[change.group]}{change.name}{number}", document)


def _tally(changes: list[Change]) -> str:
    tally = {sign: sum(1 for change in changes if change.sign == sign) for sign in (CAME, WENT, CHANGED)}
    return " ".join(f"{sign}{number}" for sign, number in tally.items() if number)
