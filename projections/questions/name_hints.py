"""Names that people give: which are numbers, and what to say of one that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches

NAMED_MAX = 10
"""Names listed in a hint: enough to recognise the one that was meant."""

DIGITS_MAX = 18
"""Digits of a number that is one: a seq or an id of 64 bits has no more. Python refuses to read thousands of them."""


def number(name: str) -> int | None:
    """The whole number that ``name`` is; None when it is something else, or larger than any."""
    return int(name) if name.isascii() and name.isdigit() and len(name) <= DIGITS_MAX else None


def near(name: str, known: Iterable[str], what: str = "") -> str:
    """A hint: the names of ``known`` that are like this one, else some of all; ``what`` they are of, in the plural.

    A name is like another one when it is so as a whole, or behind the last slash. Cost: O(known), 50 us for each.
    """
    names = sorted({each for each in known if each}, key=_rank)
    if not names:
        return f"The ledger holds no {what}." if what else "There is none at all in this ledger."
    lowered = {each.lower(): each for each in names}
    ends = {each.lower().rpartition("/")[2]: each for each in names}
    found = [lowered[match] for match in get_close_matches(name.lower(), lowered, 3, 0.6)]
    found += [ends[match] for match in get_close_matches(name.lower().rpartition("/")[2], ends, 3, 0.8)]
    if found and not name.isdigit():  # one id is no more like another than the rest
        return f"Did you mean {' or '.join(dict.fromkeys(found))}?"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{f'The {what}' if what else 'There'} are: {', '.join(names[:NAMED_MAX])}{more}."


def _rank(name: str) -> tuple[bool, int, str]:
    """Names before ids, and 9 before 10."""
    found = number(name)
    return found is not None, found or 0, name
