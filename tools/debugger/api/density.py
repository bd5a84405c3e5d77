"""How much happened when: events in stretches of seqs or of time."""

from bisect import bisect_right

import msgspec

from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.timeline import Timeline


class Bucket(msgspec.Struct, frozen=True):
    """The events from seq ``first`` to ``last`` (smaller than ``first``: none), and from when to when (ns) they were.

    ``connected``: holds on edges that began in it, ``facts`` all other facts that did.
    """

    first: int
    last: int
    begin: int
    end: int
    events: int
    connected: int
    facts: int


def density(timeline: Timeline, first: Moment, last: Moment, number: int, by_time: bool) -> list[Bucket]:
    """``number`` stretches between two moments, fewer when there are fewer seqs. Cost: O(number log events)."""
    lifetimes, landmarks = timeline.lifetimes, timeline.landmarks
    begin, end = max(1, first.since), last.seq
    if end < begin:
        return []
    if by_time:
        times = lifetimes.time_of(begin), lifetimes.time_of(end)
        edges = [times[0] + (times[1] - times[0]) * place // number for place in range(number)]
        bounds = [begin - 1, *(min(end, max(begin - 1, landmarks.seq_at(edge - 1))) for edge in edges[1:]), end]
    else:
        number = min(number, end - begin + 1)
        bounds = [begin - 1 + (end - begin + 1) * place // number for place in range(number + 1)]
    for place in range(1, len(bounds)):  # a clock that was set back must not make a stretch end before it begins
        bounds[place] = max(bounds[place], bounds[place - 1])
    born, facts = lifetimes.column("hold.born"), lifetimes.column("fact.born")
    holds = [bisect_right(born, bound) for bound in bounds]
    others = [bisect_right(facts, bound) for bound in bounds]
    return [
        Bucket(
            first=bounds[place] + 1,
            last=bounds[place + 1],
            begin=lifetimes.time_of(bounds[place] + 1),
            end=lifetimes.time_of(bounds[place + 1]),
            events=bounds[place + 1] - bounds[place],
            connected=holds[place + 1] - holds[place],
            facts=others[place + 1] - others[place],
        )
        for place in range(len(bounds) - 1)
    ]
