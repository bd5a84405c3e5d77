"""Why a subscriber receives nothing, and how two topics were joined."""

from ezmsg.ledger.projections.answers import Cause, Explanation, Path, Step, Upstream
from ezmsg.ledger.projections.lifetimes import Fact
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.past import Past, total
from ezmsg.ledger.projections.reach import neighbours, path_spans, reached, shortest
from ezmsg.ledger.projections.spans import OPEN, Spans

UPSTREAM_MAX = 50
"""Topics upstream that are looked at one by one, those with publishers first: a person reads no more."""


def path(past: Past, a: str, b: str, moment: Moment) -> Path:
    """See ``Timeline.path``."""
    a, b = past.subjects.topic(a), past.subjects.topic(b)
    owners = past.lifetimes.edges_at(moment.seq)
    way, _ = shortest(neighbours(owners), a, b)
    raw = path_spans(past.lifetimes, a, b)
    spans = past.spans(raw)
    cut, cut_edges = (None, []) if way else last_cut(past, raw, a, b, moment.seq)
    return Path(
        a=a,
        b=b,
        moment=moment,
        steps=[Step(*edge, sorted(map(past.name, owners[edge]))) for edge in way],
        spans=spans,
        broken=sum(span.died is not None for span in spans),
        ns=total(spans),
        cut=cut,
        cut_edges=cut_edges,
    )


def last_cut(past: Past, spans: Spans, a: str, b: str, seq: int) -> tuple[Cause | None, list[str]]:
    """What ended the last path before ``seq``, and the edges of it that went; nothing when there was none before."""
    ends = [died for _, died in spans if died <= seq]
    if not ends:
        return None, []
    before, _ = shortest(neighbours(past.lifetimes.edges_at(ends[-1] - 1)), a, b)
    gone = [edge for edge in before if not past.lifetimes.has_edge(edge, ends[-1])]
    return past.cause(ends[-1], "edge", True), [" -> ".join(edge) for edge in gone]


def explain(past: Past, topic: str, moment: Moment) -> Explanation:
    """See ``Timeline.explain``."""
    topic, seq = past.subjects.topic(topic), moment.seq
    endpoints = past.lifetimes.facts("endpoint")
    ids = [fact.name for fact in endpoints if fact.value[:2] == ["subscriber", topic] and _at(fact, seq)]
    stalls = [fact for fact in past.lifetimes.facts("stall") if fact.name in ids and _at(fact, seq)]
    paused = [fact for fact in past.lifetimes.facts("paused") if _at(fact, seq)]
    found = Explanation(
        topic=topic,
        moment=moment,
        subscribers=ids,
        upstream=_upstream(past, topic, seq, endpoints),
        stalled=past.lives(stalls),
        paused=past.life(paused[0]) if paused else None,
        reasons=[],
    )
    recorded = any(fact.value[0] != "channel" for fact in endpoints)
    found.reasons.extend(_reasons(found, recorded))
    return found


def _at(fact: Fact, seq: int) -> bool:
    return fact.born <= seq < fact.died


def _upstream(past: Past, topic: str, seq: int, endpoints: list[Fact]) -> list[Upstream]:
    """The topics with publishers (without any on record: all that are sources) that lead, or led, to ``topic``."""
    publishers = [fact for fact in endpoints if fact.value[0] == "publisher" and fact.born <= seq]
    live = {fact.value[1] for fact in publishers if _at(fact, seq)}
    ever_edges = past.lifetimes.edges()
    ever = reached(neighbours(ever_edges, back=True), topic)
    known = {fact.value[1] for fact in publishers}
    if not known:
        known = {edge[0] for edge in ever_edges} - {edge[1] for edge in ever_edges}
    now = reached(neighbours(past.lifetimes.edges_at(seq), back=True), topic)
    order = sorted(ever & known, key=lambda name: (name not in now, name not in live, name))
    out = []
    for name in order[:UPSTREAM_MAX]:
        spans = [(0, OPEN)] if name == topic else path_spans(past.lifetimes, name, topic)
        spans = [span for span in spans if span[0] <= seq]
        if not spans:
            continue
        reaches = name in now
        cut, edges = (None, []) if reaches else last_cut(past, spans, name, topic, seq)
        ids = [fact.name for fact in publishers if fact.value[1] == name and _at(fact, seq)]
        born, died = spans[-1]
        published = any(fact.value[1] == name for fact in publishers)
        out.append(Upstream(name, reaches, ids, published, born, None if died > seq else died, cut, edges))
    return out


def _reasons(found: Explanation, recorded: bool) -> list[str]:
    reasons = []
    if recorded and not found.subscribers:
        reasons.append(f"nobody subscribes to {found.topic} at this moment")
    if found.paused is not None:
        reasons.append(f"the graph is paused since seq {found.paused.born} ({found.paused.came.text})")
    for life in found.stalled:
        reasons.append(f"subscriber {life.name} has not applied a routing update since seq {life.born}")
    reaching = [each for each in found.upstream if each.reaches]
    for each in found.upstream:
        if each.cut is not None:
            what = f" ({', '.join(each.cut_edges)} went)" if each.cut_edges else ""
            reasons.append(f"the path from {each.topic} was cut by seq {each.cut.seq}: {each.cut.text}{what}")
    if not found.upstream:
        reasons.append(f"no publisher ever had a path to {found.topic}")
    elif recorded and reaching and not any(each.publishers for each in reaching):
        names = ", ".join(each.topic for each in reaching)
        reasons.append(f"no publisher is open on what leads here: {names}")
    elif any(each.publishers for each in reaching) and not reasons[:1]:
        return []
    return reasons
