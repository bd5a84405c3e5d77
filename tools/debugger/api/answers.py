"""The answer of each address of the API: the documents of the commands' ``--json``, made by the same functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ezmsg.ledger import __version__
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.look.diff import diff_document
from ezmsg.ledger.tools.commands.look.log import Filter
from ezmsg.ledger.tools.commands.look.what_if import what_if_document
from ezmsg.ledger.tools.debugger.api import bodies, queries
from ezmsg.ledger.tools.debugger.api.clocks import clocks
from ezmsg.ledger.tools.debugger.api.density import density
from ezmsg.ledger.tools.debugger.api.event_lines import event_lines, raw_events
from ezmsg.ledger.tools.debugger.watched import Watched, contradicted
from ezmsg.ledger.tools.input.location import asked_moment
from ezmsg.ledger.tools.text import documents
from ezmsg.ledger.tools.text.documents import Document, answer_document, ledger_document, moment_document

LISTED_MAX = 10_000
"""Sessions, refusals and losses that one answer lists: the last ones, and how many there are."""


class Endpoint(NamedTuple):
    """An address of the API: what it takes, what makes its answer, and what that is (None: octets)."""

    path: str
    query: type[queries.Query]
    answer: Callable[[Watched, Any], Any]
    body: Any
    summary: str


def _ledger(watched: Watched, query: queries.Nothing) -> Document:
    timeline, ledger = watched.timeline, watched.ledger
    landmarks = timeline.landmarks
    trouble = watched.trouble or contradicted(watched)
    lives: dict[int, tuple[int, int]] = {}
    if trouble is None or trouble.kind == "DamagedLedger":
        lives = {fact.name: (fact.born, fact.died) for fact in timeline.lifetimes.facts("session")}
    other = None
    if watched.other is not None:
        other = {**ledger_document(watched.other), "head": watched.other.ledger.head}
    shown = list(landmarks.sessions.values())[-LISTED_MAX:]
    return {
        **ledger_document(timeline),
        "name": ledger.name,
        "version": __version__,
        "epoch": watched.epoch,
        "created": ledger.created,
        "first": ledger.first,
        "head": watched.head,
        "written": ledger.being_written,
        "runs": [documents.run_document(run) for run in landmarks.runs],
        "sessions": [
            {
                "id": mark.seq,
                "uuid": mark.uuid,
                "label": mark.label,
                "peer": mark.peer,
                "run": mark.run,
                "opened": mark.time,
                "born": lives.get(mark.seq, (mark.seq, OPEN))[0],
                "died": None if (died := lives.get(mark.seq, (0, OPEN))[1]) == OPEN else died,
            }
            for mark in shown
        ],
        "sessions_count": len(landmarks.sessions),
        "marks": landmarks.marks[-LISTED_MAX:],
        "clocks": clocks(landmarks.readings)[-LISTED_MAX:],
        "jumps": landmarks.readings.jumps()[-LISTED_MAX:],
        "gaps": landmarks.gaps[-LISTED_MAX:],
        "refusals": landmarks.refusals[-LISTED_MAX:],
        "refusals_count": len(landmarks.refusals),
        "losses": landmarks.losses[-LISTED_MAX:],
        "losses_count": len(landmarks.losses),
        "trouble": trouble,
        "other": other,
    }


def _lifetimes(watched: Watched, query: queries.Lifetimes) -> bytes:
    if query.with_:
        return watched.other_columns.octets(_other(watched).lifetimes)
    lifetimes = watched.timeline.lifetimes
    if query.component is not None:
        return watched.columns.settings(lifetimes, query.component)
    window = None
    if query.first is not None or query.last is not None:
        window = (query.first or 0, lifetimes.seq if query.last is None else query.last)
    known = query.after if query.epoch in (None, watched.epoch) else 0
    return watched.columns.octets(lifetimes, known, window)


def _other(watched: Watched) -> Timeline:
    if watched.other is None:
        raise exits.Misuse("there is no other ledger", hint="Start with: ezmsg-ledger debug LEDGER --with OTHER")
    return watched.other


def _drawing(watched: Watched, query: queries.Nothing) -> bytes:
    return watched.drawn()


def _state(watched: Watched, query: queries.At) -> Document:
    timeline = watched.timeline
    moment = asked_moment(timeline, query.at)
    return documents.state_document(timeline, moment, timeline.at(moment))


def _diff(watched: Watched, query: queries.Difference) -> Document:
    there = _other(watched) if query.with_ else None
    return diff_document(watched.timeline, there, query.from_, query.to, query.by_name)


def _events(watched: Watched, query: queries.Events) -> Document:
    timeline = watched.timeline
    wanted = None
    if query.type or query.session or query.topic or query.component:
        types = [] if query.type is None else query.type.split(",")
        wanted = Filter(timeline, types, (), query.session, query.topic, query.component)
    until = watched.head if query.until == "end" else asked_moment(timeline, query.until).seq
    if wanted is None and not query.lines:
        return raw_events(watched, query.after, until, query.limit)
    return event_lines(watched, query.after, until, query.limit, wanted, query.fold)


def _density(watched: Watched, query: queries.Density) -> Document:
    timeline = watched.timeline
    first, last = asked_moment(timeline, query.from_), asked_moment(timeline, query.to)
    return {
        **ledger_document(timeline),
        "from": moment_document(first),
        "to": moment_document(last),
        "by": query.by,
        "buckets": density(timeline, first, last, query.buckets, query.by == "time"),
    }


def _why(watched: Watched, query: queries.About) -> Document:
    timeline = watched.timeline
    return answer_document(timeline, timeline.why(query.subject, asked_moment(timeline, query.at)))


def _history(watched: Watched, query: queries.HistoryOf) -> Document:
    timeline = watched.timeline
    return documents.history_document(timeline, query.subject, asked_moment(timeline, "end"))


def _when(watched: Watched, query: queries.When) -> Document:
    timeline = watched.timeline
    return answer_document(timeline, timeline.when(query.predicate, asked_moment(timeline, query.at), causes=True))


def _path(watched: Watched, query: queries.Path) -> Document:
    timeline = watched.timeline
    moment = asked_moment(timeline, query.at)
    answer = timeline.path(query.from_, query.to, moment, through_units=query.through_units)
    return answer_document(timeline, answer)


def _explain(watched: Watched, query: queries.Explain) -> Document:
    timeline = watched.timeline
    return answer_document(timeline, timeline.explain(query.topic, asked_moment(timeline, query.at)))


def _settings(watched: Watched, query: queries.Settings) -> Document:
    timeline = watched.timeline
    if query.field is not None and query.unit is None:
        raise exits.Misuse("a field is one of a unit", hint="Add unit=UNIT.")
    return documents.settings_document(timeline, asked_moment(timeline, query.at), query.unit, query.field)


def _doubts(watched: Watched, query: queries.Doubts) -> Document:
    timeline = watched.timeline
    moment = asked_moment(timeline, query.at)
    return documents.doubts_document(timeline, moment, timeline.setting_doubts(query.unit, moment))


def _what_if(watched: Watched, query: queries.WhatIf) -> Document:
    return what_if_document(watched.timeline, query.session, query.at)


ENDPOINTS = (
    Endpoint("ledger", queries.Nothing, _ledger, bodies.Ledger, "What the ledger is, and what stands out in it"),
    Endpoint("lifetimes", queries.Lifetimes, _lifetimes, None, "Every fact as a stretch of seqs, as columns"),
    Endpoint("drawing", queries.Nothing, _drawing, bodies.Drawing, "One drawing of all time: docs/debugger/DRAWING.md"),
    Endpoint("state", queries.At, _state, bodies.State, "The graph at a moment: show --json"),
    Endpoint("diff", queries.Difference, _diff, bodies.Diff, "What changed between two moments: diff --json"),
    Endpoint("events", queries.Events, _events, bodies.Events, "Events, and the sentences that tell them"),
    Endpoint("density", queries.Density, _density, bodies.Density, "How much happened when"),
    Endpoint("why", queries.About, _why, bodies.Why, "What made something so, or ended it: why --json"),
    Endpoint("history", queries.HistoryOf, _history, bodies.History, "All that something ever was: history --json"),
    Endpoint("when", queries.When, _when, bodies.When, "When a predicate was true: when --json"),
    Endpoint("path", queries.Path, _path, bodies.Path, "How one topic leads to another: path --json"),
    Endpoint("explain", queries.Explain, _explain, bodies.Explanation, "Why nothing arrives: explain --json"),
    Endpoint("settings", queries.Settings, _settings, bodies.Settings, "What was in force: settings --json"),
    Endpoint("doubts", queries.Doubts, _doubts, bodies.Doubts, "Where settings may be otherwise: settings --doubts"),
    Endpoint("what-if", queries.WhatIf, _what_if, bodies.WhatIf, "The graph less a session: what-if --json"),
)

STATUS = {
    "UnknownMoment": 404,
    "UnknownSubject": 404,
    "HistoryDropped": 404,
    "NothingInCommon": 409,
    "DamagedLedger": 409,
    "HistoryChanged": 409,
    "EventError": 409,
    "LogError": 409,
    "TooLong": 413,
    "OSError": 409,
    "LedgerError": 400,
}
"""The status that each error answers with: that of its class, or of the nearest one that it derives from."""


def status_of(error: BaseException) -> int:
    """The status for an error that somebody raised on purpose; 500 for any other."""
    return next((STATUS[cls.__name__] for cls in type(error).__mro__ if cls.__name__ in STATUS), 500)


def refusal(error: BaseException) -> dict[str, str]:
    """The document of an error: its kind, its message, and what to do next."""
    return {"kind": type(error).__name__, "message": str(error), "hint": getattr(error, "hint", "")}

