"""Cutting a span of events out of a ledger, into a ledger of its own that answers as the whole one does."""

import os
import time

import msgspec

from ezmsg.ledger.audit.receipt import Receipt
from ezmsg.ledger.audit.source import Source
from ezmsg.ledger.audit.unnamed import Derived
from ezmsg.ledger.errors import LogError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.checkpoint import decode, encode
from ezmsg.ledger.projections.graph.replay import beginning, state_at
from ezmsg.ledger.projections.graph.segment_start import states_of
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.structural import CUT, Origin


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger that was made of another one: its path and id, how many events it holds, from which seq to which.

    ``origin``: what it says of the ledger that it was made of.
    """

    path: str
    id: str
    first: int
    last: int
    events: int
    origin: Origin


def cut(ledger: LedgerReader, first: int, last: int, target: str | os.PathLike[str], disk: Disk = OS_DISK) -> Made:
    """Write events ``first`` to ``last`` of ``ledger`` into a new ledger, the file ``target``.

    Seqs, ids and times stay, lines are copied as they are, and the state before them is kept as a checkpoint: it reads
    as a folder does whose first segments were dropped. It has an id of its own, so it can be recorded to. What is
    copied is hashed before, and what was written is verified before it has its name; when anything fails, nothing is
    left. The ledger may be written meanwhile.

    Raises ValueError when there is no event from ``first`` to ``last``, DamagedLedger, HistoryDropped, LogError (also
    when something is called ``target``). Cost: a replay, and one of what was copied.

    >>> from ezmsg.ledger import Ledger, events
    >>> with Ledger.open("whole.ledger") as ledger:
    ...     _ = ledger.append([events.Mark(name=name) for name in ("rest", "task", "rest again")])
    ...     made = cut(ledger, 2, 2, "task.ledger")
    >>> made.origin.ledger == ledger.id, made.origin.upto
    (True, 3)
    >>> with Ledger.open("task.ledger", "r") as piece:
    ...     piece.first, [(event.seq, event.name) for event in piece.entries()]
    (2, [(2, 'task')])
    """
    path = path_of(ledger)
    before, after, events = span_of(ledger, first, last)
    source, now = Source(disk, path), time.time_ns()
    proof = source.prove(before.seq, after.seq, now)
    origin = origin_of(CUT, proof, before.seq + 1, after.seq)
    origins = (*ledger.origins, origin)
    states = states_of(before)
    with Derived(disk, os.fspath(target), upto=before.seq, states=states, origins=origins, now=now) as made:
        for found in source.commits(before.seq, after.seq):
            made.add(found.lines, found.events[-1].seq)
        made.seal()
        found_to = check_made(made.path, events)
        if found_to.digest(allow_unknown=True) != after.digest(allow_unknown=True):
            raise does_not_verify("it folds to another state")
        made.keep()
    return Made(
        path=made.target, id=made.header.id, first=origin.first, last=origin.last, events=events, origin=origin
    )


def path_of(ledger: LedgerReader) -> str:
    """The place of a ledger. Raises LogError for one in memory."""
    if ledger.location == "memory":
        raise LogError("a ledger in memory has no file that could be copied", hint="Record to a file.")
    return ledger.location


def span_of(ledger: LedgerReader, first: int, last: int) -> tuple[GraphState, GraphState, int]:
    """The states just before event ``first`` and just after event ``last``, and how many events are from one to the
    other. Raises ValueError when there is none, and as ``state_at`` does. Cost: a replay.
    """
    before = beginning(ledger) if first <= ledger.first else state_at(ledger, first - 1)
    after = decode(encode(before))
    events = 0
    for batch in ledger.read(before.seq, last):
        after.apply_batch(batch)
        events += len(batch)
    if not events:
        raise ValueError(f"there is no event from seq {first} to seq {last}")
    return before, after, events


def origin_of(made: str, proof: Receipt, first: int, last: int) -> Origin:
    """The line that a ledger has about the one that it was made of, of which ``proof`` was taken."""
    return Origin(
        made=made,
        ledger=proof.id,
        segment=proof.segment,
        size=proof.size,
        sha256=proof.sha256,
        upto=proof.seq,
        first=first,
        last=last,
        time=proof.time,
        salt="",
        redacted=(),
    )


def receipt_of(origin: Origin) -> Receipt:
    """The receipt that an origin is: the original has to go on from it."""
    return Receipt(
        id=origin.ledger,
        size=origin.size,
        sha256=origin.sha256,
        segment=origin.segment,
        seq=origin.upto,
        time=origin.time,
    )


def check_made(path: str, events: int) -> GraphState:
    """The state that a copy leads to, which was seen to be sound and sealed, with so many events. Raises LogError.

    Cost: it is verified, and replayed.
    """
    with Ledger.open(path, "r") as source:
        found = source.verify()
        if not (found.sound and found.sealed and found.events == events):
            raise does_not_verify("; ".join(found.problems) or f"{found.events} events, not {events}")
        return fold(source.read(source.first - 1), beginning(source))


def does_not_verify(why: str) -> LogError:
    """The error for a copy that is not what it should be."""
    hint = "Nothing was kept of it. Check the disk, and try another place with --output."
    return LogError(f"what was written does not verify: {why}", hint=hint)
