"""The stretches in which a predicate holds, from lifetimes."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any

from ezmsg.ledger.errors import UnknownSubject
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.lifetimes.columns import Fact, Hold, stretches
from ezmsg.ledger.projections.lifetimes.spans import OPEN, Spans, complement, counted, intersection, union
from ezmsg.ledger.projections.questions import predicates as pr
from ezmsg.ledger.projections.questions.answers import When
from ezmsg.ledger.projections.questions.evidence import Evidence, total
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.name_hints import near
from ezmsg.ledger.projections.questions.paths.reach import path_spans
from ezmsg.ledger.projections.questions.settings.stored_value import kept, parts, shown_form
from ezmsg.ledger.projections.questions.value_comparison import ORDERS, compare
from ezmsg.ledger.values import Form, fields_of

_NONE = object()


def when(evidence: Evidence, predicate: pr.Predicate, moment: Moment, causes: bool) -> When:
    """See ``Timeline.when``."""
    spans = evidence.spans(held(evidence, predicate), moment.seq)
    changes = [seq for span in spans for seq in (span.born, span.died) if seq is not None and seq > evidence.begin]
    return When(
        predicate=str(predicate),
        moment=moment,
        spans=evidence.caused(spans) if causes else spans,
        changes=len(changes),
        first=changes[0] if changes else None,
        last=changes[-1] if changes else None,
        ns=total(spans),
        now=bool(spans) and spans[-1].died is None,
    )


def held(evidence: Evidence, predicate: pr.Predicate) -> Spans:
    """The stretches of seqs in which ``predicate`` holds; one that lasts ends at OPEN. Raises UnknownSubject.

    None begins before the first event (or the state that dropped segments left): there is no graph to speak of there.
    """
    lifetimes, subjects = evidence.lifetimes, evidence.subjects
    match predicate:
        case pr.Edge(a, b):
            return lifetimes.edge_spans((subjects.topic(a), subjects.topic(b)))
        case pr.Reaches(a, b):
            return path_spans(lifetimes, subjects.topic(a), subjects.topic(b))
        case pr.Session(name):
            ids = subjects.session(name)
            return stretches(lifetimes.facts("session", *ids))
        case pr.Setting():
            return _setting(evidence, predicate)
        case pr.There():
            return stretches(_there(evidence, predicate))
        case pr.Paused():
            return stretches(lifetimes.facts("paused"))
        case pr.Count(noun, sign, number):
            pieces = counted(_all(evidence, noun), evidence.begin)
            return union((born, died) for born, died, there in pieces if ORDERS[sign](there, number))
        case pr.Not(part):
            return complement(held(evidence, part), evidence.begin)
        case pr.And(parts):
            spans = [(evidence.begin, OPEN)]
            for part in parts:
                spans = intersection(spans, held(evidence, part))
            return spans
        case pr.Or(parts):
            return union(span for part in parts for span in held(evidence, part))


def _setting(evidence: Evidence, predicate: pr.Setting) -> Spans:
    lives = evidence.lifetimes.facts("setting", evidence.subjects.unit(predicate.unit))
    values = [(fact, _value(fact.value[0], partial(evidence.settings, fact), predicate.field)) for fact in lives]
    if predicate.field and all(value is _NONE for _, value in values):
        raise unknown_field(predicate.unit, ".".join(predicate.field), lives)
    return stretches(fact for fact, value in values if _compares(value, predicate))


def holds_of(predicate: pr.Setting, value: SettingsValue) -> bool:
    """Whether a predicate on a setting holds while this value is in force. Cost: O(bytes of its pickle)."""
    return _compares(_value(shown_form(value), lambda: value, predicate.field), predicate)


def _compares(value: Any, predicate: pr.Setting) -> bool:
    return value is not _NONE and compare(predicate.sign, value, predicate.value)


def _value(form: Form, whole: Callable[[], SettingsValue], path: tuple[str, ...]) -> Any:
    """The value at ``path``, as what it is: a text that is shown can be a number, which then the pickle tells."""
    shown = field_of(form, path)
    if shown is _NONE or shown is None or type(shown) in (bool, int, float):
        return shown
    found = kept(whole())
    for name in path:
        found = parts(found)[name]
    return found.form


def _there(evidence: Evidence, predicate: pr.There) -> list[Hold | Fact]:
    """The holds or facts that each mean that the thing is there."""
    kind, name, lifetimes = predicate.kind, predicate.name, evidence.lifetimes
    if kind == "topic":
        return list(lifetimes.holds_at_topic(evidence.subjects.topic(name)))
    if kind in ("component", "unit"):
        return list(lifetimes.facts(kind, evidence.subjects.unit(name, kind)))
    topic = evidence.subjects.topic(name)
    if kind == "stalled":
        return [fact for fact in lifetimes.facts("stall") if fact.value == topic]
    return [fact for fact in lifetimes.facts("endpoint") if fact.value[:2] == [kind, topic]]


def _all(evidence: Evidence, noun: str) -> Iterable[tuple[int, int]]:
    """The stretches of each thing of a kind."""
    lifetimes = evidence.lifetimes
    known = lifetimes.edges() if noun in ("edges", "topics") else []
    edges = dict(zip(known, lifetimes.spans_of(range(len(known))), strict=True))
    if noun == "edges":
        return chain.from_iterable(edges.values())
    if noun == "topics":
        touching: dict[str, list[tuple[int, int]]] = {}
        for edge, spans in edges.items():
            for topic in edge:
                touching.setdefault(topic, []).extend(spans)
        return chain.from_iterable(map(union, touching.values()))
    if noun in ("publishers", "subscribers"):
        facts = [fact for fact in lifetimes.facts("endpoint") if f"{fact.value[0]}s" == noun]
    else:
        facts = lifetimes.facts(_SINGULAR[noun])
    return ((fact.born, fact.died) for fact in facts)


_SINGULAR = {"sessions": "session", "processes": "process", "components": "component"}


def field_of(form: Form, path: tuple[str, ...]) -> Any:
    """The part of a value form at ``path``, which leads through maps and structured values; ``_NONE`` where none is."""
    for name in path:
        items = fields_of(form)
        if name not in items:
            return _NONE
        form = items[name]
    return form


def fields(form: Form, before: str = "") -> dict[str, Form]:
    """The leaves of a value form by their dotted paths; maps and structured values branch."""
    items = fields_of(form)
    if not items:
        return {before: form} if before else {}
    out: dict[str, Form] = {}
    for name, item in items.items():
        out |= fields(item, f"{before}.{name}" if before else name)
    return out


def unknown_field(unit: str, field: str, lives: Iterable[Fact]) -> UnknownSubject:
    """The error for a dotted path that none of the settings in ``lives`` has."""
    known = {name for fact in lives for name in fields(fact.value[0])}
    return UnknownSubject(f"the settings of {unit} never had a field {field!r}", hint=near(field, known, "fields"))
