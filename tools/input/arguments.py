"""The words on a command line after the command: a ledger or none, then what is asked about."""

from collections.abc import Sequence
from pathlib import Path

from ezmsg.ledger.stores.addresses import address_of
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input.location import written


def taken_apart(words: Sequence[str], least: int, most: int, what: str, usage: str) -> tuple[Path | None, list[str]]:
    """The ledger that is named, None for none, and the other words: ``least`` to ``most`` of them.

    The first word is a ledger when there is one word more than can be asked about, or when it is a file or a folder of
    segments, or is called like one. Raises Misuse, which says that ``what`` is needed, and how it is used.
    """
    if "" in words:
        raise Misuse("one of the words is empty: a variable that is not set, perhaps", hint=usage)
    first_is_ledger = len(words) > most or (bool(words) and is_ledger(words[0]))
    rest = list(words[1:] if first_is_ledger else words)
    if least <= len(rest) <= most:
        return (Path(words[0]) if first_is_ledger else None), rest
    if len(rest) > most:
        raise Misuse(f"{what}, and at most a ledger before: {' '.join(words)}", hint=usage)
    given = f": {' '.join(rest)} is one" if len(rest) == 1 else ""
    raise Misuse(f"{what}{given}", hint=usage)


def is_ledger(word: str) -> bool:
    """Whether a word names a ledger: a file or a folder of segments, an address, or what is called like one."""
    try:
        return word.endswith(".ledger") or address_of(word) is not None or written(Path(word)) is not None
    except OSError:  # too long for a name, or in a folder that may not be entered: a topic, a predicate
        return False
