"""The wiring over a stretch of events: the spans in which no edge came or went, and what came and went between them."""

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.lifetimes.columns import Hold
from ezmsg.ledger.projections.questions.answers import HeldEdge, WiringSpan
from ezmsg.ledger.projections.questions.evidence import Evidence


def wiring_over(evidence: Evidence, first: int, last: int) -> list[WiringSpan]:
    """See ``Timeline.wiring_over``."""
    held = {edge: set(owners) for edge, owners in evidence.lifetimes.edges_at(first).items()}
    stood = [_held(evidence, edge, owners) for edge, owners in sorted(held.items())]
    spans = [WiringSpan(first, last, len(held), [], [], stood, None)]
    turns: dict[int, list[tuple[Hold, bool]]] = {}
    for hold in evidence.lifetimes.holds_over(first, last):
        if hold.born > first:
            turns.setdefault(hold.born, []).append((hold, True))
        if hold.died <= last:
            turns.setdefault(hold.died, []).append((hold, False))
    for seq in sorted(turns):
        came, went = _turn(evidence, held, turns[seq])
        if came or went:
            before = spans[-1]
            spans[-1] = WiringSpan(
                before.born, seq - 1, before.edges, before.came, before.went, before.stood, before.cause
            )
            spans.append(WiringSpan(seq, last, len(held), came, went, [], evidence.deed(seq)))
    return spans


def _turn(
    evidence: Evidence, held: dict[EdgeKey, set[Owner]], turns: list[tuple[Hold, bool]]
) -> tuple[list[HeldEdge], list[HeldEdge]]:
    """Apply what one event did to the holds; returns the edges that came, and those that went."""
    before = {hold.edge: set(held.get(hold.edge, ())) for hold, _ in turns}
    for hold, comes in turns:
        owners = held.setdefault(hold.edge, set())
        (owners.add if comes else owners.discard)(hold.owner)
        if not owners:
            del held[hold.edge]
    came = [_held(evidence, edge, held[edge]) for edge in before if edge in held and not before[edge]]
    went = [_held(evidence, edge, owners) for edge, owners in before.items() if owners and edge not in held]
    return came, went


def _held(evidence: Evidence, edge: EdgeKey, owners: set[Owner]) -> HeldEdge:
    names = sorted(owners, key=lambda owner: (owner is not None, owner or 0))
    return HeldEdge(*edge, [evidence.name(owner) for owner in names])
