"""What stands on a command line behind the command: a ledger or none, then what is asked about."""

from difflib import get_close_matches
from pathlib import Path

from ezmsg.ledger.tools.exits import Misuse

NAMED_MAX = 10
"""Names listed in a hint: enough to recognise the one that was meant."""


def taken_apart(words: list[str], least: int, most: int, what: str, usage: str) -> tuple[Path | None, list[str]]:
    """The ledger that is named, None for none, and the other words: ``least`` to ``most`` of them.

    The first word is a ledger when there is one word more than can be asked about, or when it is a file, or looks like
    one. Raises Misuse, which says that ``what`` is needed, and how it is used.
    """
    first_is_ledger = len(words) > most or (bool(words) and _is_ledger(words[0]))
    rest = words[1:] if first_is_ledger else words
    if least <= len(rest) <= most:
        return (Path(words[0]) if first_is_ledger else None), rest
    if len(rest) > most:
        raise Misuse(f"{what}, and at most a ledger before: {' '.join(words)}", hint=usage)
    given = f": {' '.join(rest)} is one" if len(rest) == 1 else ""
    raise Misuse(f"{what}{given}", hint=usage)


def _is_ledger(word: str) -> bool:
    return word.endswith(".ledger") or Path(word).is_file()


def near(what: str, name: str, known: list[str]) -> str:
    """A hint for whoever asked for a name that is not there: those like it, else some of those that are."""
    names = list(dict.fromkeys(known))
    if not names:
        return f"The ledger holds no {what}."
    lowered = {each.lower(): each for each in names}
    inside = [each for each in names if name.lower() in each.lower()]
    close = inside or [lowered[match] for match in get_close_matches(name.lower(), list(lowered), 3, 0.5)]
    if close:
        return f"Did you mean {' or '.join(close[:3])}?"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"The {what} are: {', '.join(names[:NAMED_MAX])}{more}."
