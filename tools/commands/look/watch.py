"""``watch``: a standing question to a ledger that is being recorded."""

import time
from collections.abc import Sequence
from typing import Any

import click

from ezmsg.ledger.errors import UnknownSubject
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.projections.questions.predicates import parse
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.projections.questions.watching.watch import Turn, Watch
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.live_ledger import ledger_of
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.input.options import flag, option
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.documents import ledger_document
from ezmsg.ledger.tools.text.event_words import deed, observed

TRUTHS = {"true": True, "false": False}

_USAGE = "ezmsg-ledger watch [LEDGER|HOST:PORT] PREDICATE, such as: ezmsg-ledger watch 'path EEG -> DECODER'"


@options.words("[LEDGER|HOST:PORT] PREDICATE", "The ledger, or the recorder that writes it, and what is to be true.")
@option("--until", type=click.Choice([*TRUTHS]), help="End with 0 as soon as it is so.")
@option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="End after so long; with --until, with 1.")
@flag("--full", help="All nanoseconds.")
@flag("--json", help="JSON Lines: how it is now, then each change.")
def watch(words: Sequence[str], until: str | None, timeout: float | None, full: bool, json: bool) -> int:
    """Says whether a predicate is true now, then each change of that when it comes, with the event that made it so;
    until Ctrl-C. Predicates are those of `ezmsg-ledger when --help`. A name that nobody has used yet is waited for.

    Examples:
      ezmsg-ledger watch 'path SYSTEM/EEG/OUT -> SYSTEM/DECODER/IN'
      ezmsg-ledger watch 127.0.0.1:25978 'unit SYSTEM/DECODER' --until true --timeout 30 || exit 1
      ezmsg-ledger watch rig.ledger 'not session viewer' --json
    """
    page = Page()
    path, asked = taken_apart(words, 1, 1, "a predicate is needed, as one argument", _USAGE)
    predicate = parse(asked[0])
    with opened(ledger_of(path), page) as timeline:
        try:
            timeline.when(predicate, "end")
        except UnknownSubject as error:
            page.note(f"{error}; it is waited for")
        if not timeline.ledger.being_written:
            page.note("nobody is recording to this ledger now; what comes is waited for")
        standing = timeline.watch(predicate, timeout=timeout, words=_words)
        telling = _Telling(page, timeline, full, json)
        telling.begin(standing)
        if until is not None and standing.now == TRUTHS[until]:
            return exits.OK
        for turn in standing:
            telling.turn(standing, turn)
            if until is not None and turn.now == TRUTHS[until]:
                return exits.OK
    if until is None:
        return exits.OK
    page.note(f"{standing.predicate} is still {_truth(standing.now)} after {timeout:g} s")
    return exits.NO


def _words(state: GraphState, event: Any) -> str:
    said = deed(state, event)
    return said + observed(event) if said else ""


def _truth(now: bool) -> str:
    return "true" if now else "false"


class _Telling:
    """Prints how it is, and each turn, and hands each line on at once."""

    def __init__(self, page: Page, timeline: Timeline, full: bool, json: bool) -> None:
        self._page = page
        self._timeline = timeline
        self._digits = 9 if full else 3
        self._json = json

    def begin(self, standing: Watch) -> None:
        if self._json:
            self._line(standing, None, time.time_ns())
        else:
            said = f" is {_truth(standing.now)} at seq {standing.seq}"
            self._page.line(("head", standing.predicate), said)
        self._page.flush()

    def turn(self, standing: Watch, turn: Turn) -> None:
        if self._json:
            self._line(standing, turn, turn.time)
        else:
            when = time_text(turn.time, self._timeline.zone, self._digits)
            tone = "add" if turn.now else "drop"
            self._page.line(
                ("dim", f"{when}  seq {turn.seq}  "), (tone, f"{_truth(turn.now):<5}"), f"  {turn.cause.text}"
            )
        self._page.flush()

    def _line(self, standing: Watch, turn: Turn | None, at: int) -> None:
        document = {
            **ledger_document(self._timeline),
            "predicate": standing.predicate,
            "seq": standing.seq if turn is None else turn.seq,
            "time": at,
            "now": standing.now if turn is None else turn.now,
            "cause": None if turn is None else turn.cause,
        }
        self._page.json_line(document)
