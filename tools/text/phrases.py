"""The parts that sentences are made of."""

from collections.abc import Iterable
from typing import Any

import msgspec

from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.structural import CUT, REDACTED, SERVED, Origin
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.wording import count, seqs_text

LISTED_MAX = 5
"""Edges, units or addresses that a sentence lists by name, unless all are wanted."""

EVERYTHING = 10**9


class Told(msgspec.Struct, frozen=True):
    """A sentence, and what there is to know about it.

    ``tone`` is a style of Page ("" for plain). ``sessions`` and ``words`` (topics and addresses) are what it speaks of,
    consequences included: filters look at them. ``burst`` begins with a kind; sentences with an equal one can be told
    together: see bursts.py.
    """

    text: str
    tone: str = ""
    sessions: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    burst: tuple[Any, ...] | None = None


def how_text(moment: Moment) -> str:
    """The way in which a moment was understood, in brackets; "" when it was asked for by its seq."""
    return "" if moment.how == f"seq {moment.seq}" else f" ({moment.how})"


def breaks_off(run: int, ledger: LedgerReader) -> str:
    """A sentence on a run that is not going on, and that has no end in the ledger."""
    if any(origin.made == CUT and origin.last == ledger.head for origin in ledger.origins):
        return f"the span that was cut out ends here, and run {run} goes on after it"
    return f"run {run} breaks off here: no clean shutdown was recorded"


def origin_text(origin: Origin) -> str:
    """A line about the ledger that another one was made of."""
    if origin.made == SERVED:
        began = f"it began with the graph of ledger {origin.ledger} at seq {origin.last}"
        return f"{began}, whose first {origin.size:,} bytes had sha256 {origin.sha256}" if origin.size else began
    taken = seqs_text(origin.first, origin.last)
    if origin.made == REDACTED:
        settings = listed(list(origin.redacted), LISTED_MAX)
        return f"{taken} are those of ledger {origin.ledger}, without the values of {settings}"
    where = f"{origin.size:,} bytes{f' of segment {origin.segment}' if origin.segment > 1 else ''}"
    were = "was" if origin.first == origin.last else "were"
    return f"{taken} {were} cut out of ledger {origin.ledger}, when the first {where} had sha256 {origin.sha256}"


def edges_text(edges: list[EdgeKey], most: int, after: str = "") -> str:
    return f"{count(len(edges), 'edge')}{after}: {listed([names.edge(edge) for edge in edges], most)}"


def topics(edges: Iterable[EdgeKey]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(topic for edge in edges for topic in edge))


def loop_text(loop: list[str]) -> str:
    """The words for topics through which a relay gets back what it sends."""
    return f"{loop[0]} feeds itself: {' -> '.join(loop)}; each message comes back for ever"
