"""``when``: since when something is so, and how often that changed."""

from typing import Annotated, Any

import msgspec
import typer

from ezmsg.ledger.projections.clock import time_text
from ezmsg.ledger.projections.moments import Moment, sessions_named
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools.documents import ledger_document, moment_document
from ezmsg.ledger.tools.known import known
from ezmsg.ledger.tools.lives import Life, asked_moment, lives, sound_events, spans_ns, tell_life, union
from ezmsg.ledger.tools.location import opened
from ezmsg.ledger.tools.page import Page, count
from ezmsg.ledger.tools.predicate import Predicate
from ezmsg.ledger.tools.told import span_text
from ezmsg.ledger.tools.words import taken_apart

SHOWN_MAX = 20
"""Spans that are listed; ``--json`` has all."""

_USAGE = "ezmsg-ledger when [LEDGER] PREDICATE, such as: ezmsg-ledger when run.ledger 'SYSTEM/AMP.gain > 1'"


class When(msgspec.Struct, frozen=True):
    """When a predicate was true, up to event ``seq``: ``lives``, in order; ``true_ns`` long in all.

    ``is_true``: whether it is at ``seq``. ``last_change``: the seq at which it last became true or false; None when it
    never did.
    """

    predicate: str
    seq: int
    is_true: bool
    last_change: int | None
    true_ns: int
    lives: list[Life]

    def to_dict(self) -> dict[str, Any]:
        """The answer as builtins, as ``--json`` has it."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


def when_true(timeline: Timeline, predicate: Predicate, moment: Moment) -> When:
    """The spans in which a predicate is true. Cost: O(events), and that of the predicate for each."""
    watched = lives(sound_events(timeline), lambda state, event: {True: "true"} if predicate(state) else {})
    found = [
        msgspec.structs.replace(life, died=None, died_time=None, ended="") if life.at(moment.seq) else life
        for life in watched
        if life.born <= moment.seq
    ]
    ends = [end for life in found for end in (life.born, life.died) if end is not None]
    is_true = any(life.at(moment.seq) for life in found)
    last = max(ends, default=None)
    return When(predicate.text, moment.seq, is_true, last, spans_ns(union(found), moment.time), found)


def when(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[LEDGER] PREDICATE", help="The ledger, and what is to be true.", show_default=False),
    ],
    at: Annotated[str, typer.Option(metavar="MOMENT", help="Up to this moment.")] = "end",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Finds the spans in which a predicate was true: when it first became so, when that last changed, by whose deed.

    A predicate is one argument: 'A -> B' (an edge), 'path A -> B', 'topic T', 'component C', 'unit U', 'session S',
    'publisher T', 'subscriber T', 'stalled T', 'paused', 'SYSTEM/AMP.gain > 2' (a setting in force), 'edges >= 7' (also
    topics, sessions, processes, components, publishers, subscribers); joined by and, or, not and brackets.

    Examples:
      ezmsg-ledger when run.ledger 'SYSTEM/AMP.gain > 1'
      ezmsg-ledger when run.ledger 'session viewer and not SYSTEM/FILTER/OUT -> VIEWER/IN'
    """
    page = Page()
    path, asked = taken_apart(words, 1, 1, "a predicate is needed, as one argument", _USAGE)
    predicate = Predicate(asked[0])
    with opened(path, page) as source:
        timeline = Timeline(source)
        _check_names(timeline, predicate)
        moment = asked_moment(timeline, at)
        answer = when_true(timeline, predicate, moment)
        if json:
            page.document({**ledger_document(timeline), "moment": moment_document(moment), **answer.to_dict()})
        else:
            _print(page, timeline, answer, moment)
        if timeline.damage is not None:
            raise timeline.damage


def _check_names(timeline: Timeline, predicate: Predicate) -> None:
    """Raise Misuse for a name that never was: what is false for ever because of a slip is no answer."""
    there = known(timeline.ledger)
    kinds = ("topic", predicate.topics, there.topics), ("component", predicate.components, there.components)
    for kind, asked, names in kinds:
        for name in asked:
            if name not in names:
                raise there.missing(kind, name, names)
    sessions = timeline.landmarks.sessions
    for name in predicate.sessions:
        if not sessions_named(sessions, name):
            timeline.moment(f"session:{name}")  # raises, and says which sessions there are


def _print(page: Page, timeline: Timeline, answer: When, moment: Moment) -> None:
    how = "" if moment.how == f"seq {moment.seq}" else f" ({moment.how})"
    page.line(("head", f"{answer.predicate}"), f" is {'true' if answer.is_true else 'false'} at seq {answer.seq}{how}")
    if not answer.lives:
        page.line("it never was true before")
        return
    first = answer.lives[0]
    when_ = time_text(first.born_time, timeline.zone)
    page.line(f"first true at seq {first.born}, {when_}; last changed at seq {answer.last_change}")
    page.line(f"true {count(len(answer.lives), 'time')}, for {span_text(answer.true_ns)} in all")
    for life in answer.lives[:SHOWN_MAX]:
        tell_life(page, timeline, life, moment)
    if len(answer.lives) > SHOWN_MAX:
        page.line(("dim", f"  ... {len(answer.lives) - SHOWN_MAX} more (--json)"))
