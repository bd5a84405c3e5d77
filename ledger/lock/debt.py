"""The debt of the next writer to a ledger whose last one ended while it could not write."""

from ezmsg.ledger.events import Event, Gap, ServerStopped
from ezmsg.ledger.lock.holder import Unwritten


def owed_by(left: Unwritten, head: int) -> list[Event]:
    """The events to append first, to a ledger that ends at seq ``head``; none when all that had a seq is in it.

    A gap names the seqs that were given out. The end of the run follows it, when that came in good order and the run's
    beginning is in the ledger.
    """
    last = left.next_seq - 1
    if last <= head:
        return []
    how = "stopped" if left.ended is not None else "ended"
    gap = Gap(
        first=head + 1,
        last=last,
        lost=last - head,
        late=0,
        reason=f"{left.error}; the recorder {how} before it could write",
        topology=left.topology,
        settings=left.settings,
    )
    if left.ended is None or not 0 < left.run <= head:
        return [gap]
    stopped = ServerStopped(
        server=left.run,
        reason=left.reason,
        by=left.by,
        ended=left.ended,
        exit_code=left.exit_code,
        signal=left.signal,
    )
    return [gap, stopped]
