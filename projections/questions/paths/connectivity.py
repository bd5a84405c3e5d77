"""Connections between topics: how one led to another, and why a subscriber receives nothing."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import asdict

from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.lifetimes.spans import OPEN, Spans, contains, union
from ezmsg.ledger.projections.natural_order import natural
from ezmsg.ledger.projections.questions.answers import Cause, Explanation, Path, Step, Upstream, Way
from ezmsg.ledger.projections.questions.evidence import Evidence, total
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.paths.reach import Stretch, Ways, neighbours, reached
from ezmsg.ledger.projections.questions.paths.relays import bridges, loops, relayed, task_links

UPSTREAM_MAX = 50
"""Topics upstream that are looked at one by one, those with publishers first: a person reads no more."""


def path(evidence: Evidence, a: str, b: str, moment: Moment, through_units: bool = False) -> Path:
    """See ``Timeline.path``."""
    a, b = evidence.subjects.topic(a), evidence.subjects.topic(b)
    links = unit_links(evidence) if through_units else {}
    found = Ways(evidence.lifetimes, links).stretches(a, b, moment.seq)
    owners = evidence.lifetimes.edges_at(moment.seq)
    there = bool(found) and found[-1].died > moment.seq
    spans = evidence.caused(evidence.spans([(each.born, each.died) for each in found], moment.seq))
    way = found[-1].way if there else []
    cut, cut_edges = (None, []) if there or not found else _cut(evidence, found[-1], links)
    return Path(
        a=a,
        b=b,
        moment=moment,
        through_units=through_units,
        steps=[Step(*edge, sorted(map(evidence.name, owners.get(edge, ())), key=natural)) for edge in way],
        spans=[Way(**asdict(span), topics=_topics(each.way)) for span, each in zip(spans, found, strict=True)],
        broken=sum(span.died is not None for span in spans),
        ns=total(spans),
        cut=cut,
        cut_edges=cut_edges,
    )


def _topics(way: list[EdgeKey]) -> list[str]:
    return [way[0][0], *(to_topic for _, to_topic in way)]


def _cut(evidence: Evidence, stretch: Stretch, links: Mapping[EdgeKey, Spans]) -> tuple[Cause, list[str]]:
    """The event that ended a path, and the edges of it that went."""
    gone = [
        edge
        for edge in stretch.way
        if not evidence.lifetimes.has_edge(edge, stretch.died) and not contains(links.get(edge, []), stretch.died)
    ]
    return evidence.cause(stretch.died, "edge", True), [" -> ".join(edge) for edge in gone]


def unit_links(evidence: Evidence) -> dict[EdgeKey, Spans]:
    """The stretches in which messages could get from one topic to another inside a unit, as its registered tasks say,
    or through a relay of a collection.

    Cost: O(registrations), each with a piece of the ledger.
    """
    return _links(evidence, lambda component: [*bridges(component), *task_links(component)])


def relay_links(evidence: Evidence) -> dict[EdgeKey, Spans]:
    """The stretches in which messages could get from one topic to another through a relay. Cost: as ``unit_links``."""
    return _links(evidence, relayed)


def _links(evidence: Evidence, links_of: Callable[[Any], Iterable[EdgeKey]]) -> dict[EdgeKey, Spans]:
    pieces: dict[EdgeKey, list[tuple[int, int]]] = {}
    for fact in evidence.lifetimes.facts("registration"):
        for component in evidence.registration(fact).components.values():
            for link in links_of(component):
                pieces.setdefault(link, []).append((fact.born, fact.died))
    return {link: union(each) for link, each in pieces.items()}


def explain(evidence: Evidence, topic: str, moment: Moment) -> Explanation:
    """See ``Timeline.explain``."""
    topic, seq = evidence.subjects.topic(topic), moment.seq
    endpoints, links = evidence.lifetimes.facts("endpoint"), relay_links(evidence)
    ids = [fact.name for fact in endpoints if fact.value[:2] == ["subscriber", topic] and fact.stands(seq)]
    stalls = [fact for fact in evidence.lifetimes.facts("stall") if fact.name in ids and fact.stands(seq)]
    paused = [fact for fact in evidence.lifetimes.facts("paused") if fact.stands(seq)]
    found = Explanation(
        topic=topic,
        moment=moment,
        subscribers=ids,
        upstream=_upstream(evidence, topic, seq, endpoints, links),
        stalled=evidence.lives(stalls),
        paused=evidence.life(paused[0]) if paused else None,
        reasons=[],
        loops=_loops(evidence, topic, seq, links),
    )
    recorded = any(fact.value[0] != "channel" for fact in endpoints)
    if recorded and not ids:
        left = [fact.died for fact in endpoints if fact.value[:2] == ["subscriber", topic] and fact.died <= seq]
        since = f" since seq {max(left)}, when the last one left" if left else " at this moment"
        found.reasons.append(f"nobody subscribes to {topic}{since}")
    found.reasons.extend(_reasons(found, recorded, moment.seq < evidence.head))
    return found


def _loops(evidence: Evidence, topic: str, seq: int, links: Mapping[EdgeKey, Spans]) -> list[list[str]]:
    """The loops through relays that stand, and that ``topic`` is in or gets messages from."""
    there = [link for link, spans in links.items() if contains(spans, seq)]
    if not there:
        return []
    edges = list(evidence.lifetimes.edges_at(seq))
    upstream = reached(neighbours([*edges, *there], back=True), topic) | {topic}
    return [loop for loop in loops(edges, there) if not upstream.isdisjoint(loop)]


def _upstream(
    evidence: Evidence, topic: str, seq: int, endpoints: list[Fact], links: Mapping[EdgeKey, Spans]
) -> list[Upstream]:
    """The topics with publishers (all sources, where there was none) that lead, or led, to ``topic``."""
    publishers: dict[str, list[Fact]] = {}
    for fact in endpoints:
        if fact.value[0] == "publisher" and fact.born <= seq:
            publishers.setdefault(fact.value[1], []).append(fact)
    live = {name: [fact.name for fact in facts if fact.stands(seq)] for name, facts in publishers.items()}
    ways = Ways(evidence.lifetimes, links)
    ever = ways.upstream(topic)
    known = ever & publishers.keys() or ever & ways.sources()
    stretches = {topic: Stretch(0, OPEN, []), **ways.last_into(topic, known, seq)}

    def rank(name: str) -> tuple[Any, ...]:
        return stretches[name].died <= seq, not live.get(name), natural(name)

    order = sorted(known & stretches.keys(), key=rank)
    out = []
    for name in order[:UPSTREAM_MAX]:
        born, died, _ = stretches[name]
        reaches = died > seq
        cut, edges = (None, []) if reaches else _cut(evidence, stretches[name], links)
        until = None if reaches else died
        out.append(Upstream(name, reaches, live.get(name, []), name in publishers, born, until, cut, edges))
    return out


def _reasons(found: Explanation, recorded: bool, is_past: bool) -> list[str]:
    """The reasons in sentences.

    ``recorded``: whether there ever was a publisher or subscriber; ``is_past``: whether more events came later.
    """
    reasons = []
    if found.paused is not None:
        reasons.append(f"the graph has been paused since seq {found.paused.born} ({found.paused.came.text})")
    for life in found.stalled:
        reasons.append(f"subscriber {life.name} has not applied a routing update since seq {life.born}")
    for each in found.upstream:
        if each.cut is not None:
            what = f" ({', '.join(each.cut_edges)} went)" if each.cut_edges else ""
            reasons.append(f"the path from {each.topic} was cut by seq {each.cut.seq}: {each.cut.text}{what}")
    reaching = [each for each in found.upstream if each.reaches]
    if not found.upstream:
        ever = "until then no publisher had" if is_past else "no publisher ever had"
        reasons.append(f"{ever} a path to {found.topic}")
    elif recorded and reaching and not any(each.publishers for each in reaching):
        names = ", ".join(each.topic for each in reaching)
        reasons.append(f"no publisher is open on what leads here: {names}")
    if not recorded:
        reasons.append("no publisher and no subscriber was ever recorded: only what is wired can be told")
    return reasons
