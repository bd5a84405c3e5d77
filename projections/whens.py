"""In which stretches a predicate holds, told from lifetimes."""

from typing import Any

from ezmsg.ledger.errors import UnknownSubject
from ezmsg.ledger.projections import predicates as pr
from ezmsg.ledger.projections.answers import When
from ezmsg.ledger.projections.past import Past, total
from ezmsg.ledger.projections.reach import path_spans
from ezmsg.ledger.projections.spans import OPEN, Spans, complement, intersection, union
from ezmsg.ledger.projections.subjects import near
from ezmsg.ledger.values import TAG, Form, same

FIRST = 1
"""Where time begins: with the first event. What is true of nothing at all is not counted."""

_NONE = object()


def when(past: Past, predicate: pr.Predicate) -> When:
    """See ``Timeline.when``."""
    spans = past.spans(held(past, predicate))
    changes = [seq for span in spans for seq in (span.born, span.died) if seq is not None and seq > FIRST]
    return When(
        predicate=str(predicate),
        spans=spans,
        changes=len(changes),
        first=changes[0] if changes else None,
        last=changes[-1] if changes else None,
        ns=total(spans),
        now=bool(spans) and spans[-1].died is None,
    )


def held(past: Past, predicate: pr.Predicate) -> Spans:
    """The stretches of seqs in which it holds; one that lasts ends at OPEN. Raises UnknownSubject."""
    lifetimes, subjects = past.lifetimes, past.subjects
    match predicate:
        case pr.Edge(a, b):
            return lifetimes.edge_spans((subjects.topic(a), subjects.topic(b)))
        case pr.Reaches(a, b):
            return path_spans(lifetimes, subjects.topic(a), subjects.topic(b))
        case pr.Session(name):
            ids = subjects.session(name)
            return union((fact.born, fact.died) for fact in lifetimes.facts("session", *ids))
        case pr.Setting():
            return _setting(past, predicate)
        case pr.Not(part):
            return complement(held(past, part), FIRST)
        case pr.And(parts):
            spans = [(FIRST, OPEN)]
            for part in parts:
                spans = intersection(spans, held(past, part))
            return spans
        case pr.Or(parts):
            return union(span for part in parts for span in held(past, part))


def _setting(past: Past, predicate: pr.Setting) -> Spans:
    lives = past.lifetimes.facts("setting", past.subjects.unit(predicate.unit))
    values = [(fact, field_of(fact.value[0], predicate.field)) for fact in lives]
    if predicate.field and all(value is _NONE for _, value in values):
        known = {name for fact in lives for name in fields(fact.value[0])}
        field = ".".join(predicate.field)
        raise UnknownSubject(f"the settings of {predicate.unit} never had a field {field!r}", hint=near(field, known))
    return union(
        (fact.born, fact.died) for fact, value in values if value is not _NONE and same(value, predicate.value)
    )


def field_of(form: Form, path: tuple[str, ...]) -> Any:
    """What a value form has at ``path``: of maps and structured values. A mark of its own where it has nothing."""
    for name in path:
        items = _items(form)
        if name not in items:
            return _NONE
        form = items[name]
    return form


def fields(form: Form, before: str = "") -> dict[str, Form]:
    """The leaves of a value form by their dotted paths; maps and structured values branch."""
    items = _items(form)
    if not items:
        return {before: form} if before else {}
    out: dict[str, Form] = {}
    for name, item in items.items():
        out |= fields(item, f"{before}.{name}" if before else name)
    return out


def _items(form: Form) -> dict[str, Form]:
    if type(form) is not dict:
        return {}
    tag = form.get(TAG)
    if tag == "m":
        return {name: item for name, item in form["v"] if type(name) is str}
    if tag is not None and not "A" <= tag[:1] <= "Z":
        return {}
    return {name: item for name, item in form.items() if name != TAG}
