"""The promise of a ledger at one moment: which histories are legal after a crash just then."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ezmsg.ledger.tools.selftest.broken import Broken

from .ledgers import state_of
from .recovery import Found


class Promise(NamedTuple):
    """The histories that are legal after a crash.

    ``commits``: what was appended, oldest first, of which the first ``promised`` must be there; ``durable``: of each
    segment, by its number, how many bytes no recovery may cut; ``firsts``: the seqs that the history may begin with.
    """

    commits: Sequence[Sequence[str]]
    promised: int
    durable: Mapping[int, int]
    firsts: Collection[int] = (1,)


def check_legal(found: Found, promise: Promise) -> None:
    """Raise Broken unless ``found`` is a prefix of whole commits that keeps the promise, with checkpoints that are what
    a fold of the events before leads to."""
    names: list[str] = []
    legal = []
    for place, commit in enumerate([(), *promise.commits]):
        names += commit
        if place >= promise.promised and len(names) >= found.first - 1:
            legal.append(tuple(names[found.first - 1 :]))
    if found.first not in promise.firsts:
        raise Broken(f"the history begins with seq {found.first}, not with one of {sorted(promise.firsts)}")
    if found.names not in legal:
        raise Broken(f"found {found.names!r:.300}; legal: {legal!r:.600}")
    for seq, states in found.starts:
        if states != (state_of(names[:seq]),):
            raise Broken(f"the checkpoint after seq {seq} is not what a fold leads to: {states!r:.300}")
    for number, size in promise.durable.items():
        if found.kept.get(number, 0) < size:
            raise Broken(
                f"segment {number} was cut at offset {found.kept.get(number)}, although {size} bytes of it were known "
                "to be on the disk"
            )
