"""The events that ``--since`` and ``--until`` mean."""

from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.exits import Misuse


def span(timeline: Timeline, since: str | None, until: str | None) -> tuple[int, int]:
    """The seqs of the first and the last event from moment ``since`` to ``until``, either of which may be left open.

    The first is greater than the last when nothing happened between. Raises UnknownMoment; Misuse when the two are the
    wrong way round.
    """
    start = None if since is None else timeline.moment(since, clamp=True)
    stop = None if until is None else timeline.moment(until, clamp=True)
    if start is not None and stop is not None and start.seq > stop.seq:
        raise Misuse(
            f"--since {start.text} is after --until {stop.text}: the one is {start.how}, the other {stop.how}",
            hint="Exchange the two.",
        )
    return 1 if start is None else start.since, timeline.ledger.head if stop is None else stop.seq
