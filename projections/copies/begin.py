"""Beginning a ledger with the graph of another one: it has none of its events, and says where it is from."""

import os
import time

from ezmsg.ledger.audit.source import Source
from ezmsg.ledger.audit.unnamed import Derived
from ezmsg.ledger.projections.copies.cut import Made, check_made, origin_of, path_of
from ezmsg.ledger.projections.graph.segment_start import states_of
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.structural import SERVED


def begin(ledger: LedgerReader, seq: int, target: str | os.PathLike[str], disk: Disk = OS_DISK) -> Made:
    """Make a new, empty ledger, the file ``target``, that names event ``seq`` of ``ledger`` as its origin.

    It has an id of its own, begins with an empty graph and with seq 1, and is there to be recorded to: what of the
    other one's graph is to stand in it is connected anew, as events of its own. The bytes that lead to the event are
    hashed before, so that the line about the origin is a receipt for them. When anything fails, nothing is left.

    Raises ValueError when there is no such event, DamagedLedger, HistoryDropped, LogError (also when something is
    called ``target``). Cost: the other ledger is hashed up to there.

    >>> from ezmsg.ledger import Ledger, events
    >>> with Ledger.open("old.ledger") as ledger:
    ...     _ = ledger.append([events.Mark(name="baseline")])
    ...     made = begin(ledger, 1, "new.ledger")
    >>> with Ledger.open("new.ledger") as new:
    ...     new.head, new.origins[0].ledger == made.origin.ledger, new.origins[0].last
    (0, True, 1)
    """
    if not ledger.first <= seq <= ledger.head:
        raise ValueError(f"{ledger.location} has no event {seq}")
    now = time.time_ns()
    proof = Source(disk, path_of(ledger)).prove(seq - 1, seq, now)
    origin = origin_of(SERVED, proof, seq + 1, seq)
    origins = (*ledger.origins, origin)
    with Derived(disk, os.fspath(target), upto=0, states=states_of(GraphState()), origins=origins, now=now) as made:
        made.seal()
        check_made(made.path, 0)
        made.keep()
    return Made(path=made.target, id=made.header.id, first=origin.first, last=seq, events=0, origin=origin)
