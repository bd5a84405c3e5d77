"""Names that people give: which of them are numbers, and hints for one that is not there."""

from collections.abc import Iterable
from typing import Any

from ezmsg.ledger.projections.natural_order import natural

NAMED_MAX = 10
"""Names listed in a hint: enough to recognise the one that was meant."""

LIKE, LIKE_END = 0.6, 0.8
"""How like a name, or its part after the last slash, has to be to be offered; 1 is the same."""

BESIDE = 0.1
"""The likeness that another name may lack of the one that is most like it, to be offered beside it."""

DIGITS_MAX = 18
"""Digits of a seq or an id, at most: 64 bits have no more. Python refuses to read thousands of them."""


def number(name: str) -> int | None:
    """The whole number that ``name`` is; None when it is something else, or larger than any."""
    return int(name) if name.isascii() and name.isdigit() and len(name) <= DIGITS_MAX else None


def near(name: str, known: Iterable[str], what: str) -> str:
    """A hint: the names of ``known`` that are like ``name``, else some of all. ``what`` they are, in the plural.

    Cost: O(known), 50 us for each.
    """
    names = sorted({each for each in known if each}, key=_rank)
    if not names:
        return f"The ledger holds no {what}."
    if found := did_you_mean(name, names, 3):
        return found
    return f"The {what} are: {some_of(names)}."


def some_of(names: list[str]) -> str:
    """At most NAMED_MAX names, and how many more there are."""
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{', '.join(names[:NAMED_MAX])}{more}"


def did_you_mean(name: str, known: Iterable[str], most: int = 1, before: str = "", after: str = "") -> str:
    """``Did you mean AMP/OUT?``: at most ``most`` names of ``known`` that are like ``name``; "" when none is.

    Capitals do not count; where none is very like it, a name may be like another in the part after the last slash
    alone. No id is like another. ``before`` and ``after`` are put around each name that is offered. Cost: O(known), 50
    us for each.

    >>> did_you_mean("SYS/AMP/OTU", ["SYS/AMP/OUT", "SYS/LOG/IN"])
    'Did you mean SYS/AMP/OUT?'
    """
    from difflib import SequenceMatcher, get_close_matches

    if name.isdigit():
        return ""
    wholes = {each.lower(): each for each in known}
    wanted = name.lower()
    likeness = {
        match: SequenceMatcher(None, match, wanted).ratio() for match in get_close_matches(wanted, wholes, most, LIKE)
    }
    best = max(likeness.values(), default=0.0)
    found = [wholes[match] for match, ratio in likeness.items() if ratio > best - BESIDE]
    if best < 1 - BESIDE:
        ends = {each.rpartition("/")[2]: whole for each, whole in wholes.items()}
        found += [ends[match] for match in get_close_matches(wanted.rpartition("/")[2], ends, most, LIKE_END)]
    offered = [f"{before}{each}{after}" for each in dict.fromkeys(found)]
    return f"Did you mean {' or '.join(offered)}?" if offered else ""


def _rank(name: str) -> tuple[Any, ...]:
    """Names before ids, and 9 before 10."""
    found = number(name)
    return found is not None, found or 0, natural(name)
