"""Sizes and spans as people write them: ``256MB``, ``1.5GiB``; ``30d``, ``1h30m``."""

import re

from ezmsg.ledger.projections.questions.moments import times
from ezmsg.ledger.tools.exits import Misuse

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]i?)?b?", re.ASCII | re.IGNORECASE)

SIZES = "A size is written like 256MB or 1GiB"
SPANS = "a span like 12h, 30d or 1h30m"


def size(text: str) -> int | None:
    """``256MB`` in bytes; a unit may leave its B out. None for a bare number, and for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or text.strip().isdigit():
        return None
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


def size_of_option(text: str | None, option: str) -> int | None:
    """``5GB`` in bytes, and 0 for ``0``; None for None. Raises Misuse, which names the option."""
    if text is None or text.strip() == "0":
        return None if text is None else 0
    found = size(text)
    if found is None:
        raise Misuse(f"{option} {text}: not a size", hint=f"{SIZES}, with its unit.")
    return found


def span(text: str, option: str) -> int:
    """``30d`` in ns. Raises Misuse, which names the option."""
    found = times.span(text.strip())
    if found is None or found[0] <= 0:
        raise Misuse(f"{option} {text}: not a span of time", hint=f"It is {SPANS}: s, m, h and d can be combined.")
    return found[0]
