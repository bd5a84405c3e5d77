"""The lag of samples after a settings event: what is on record of the length of blocks, and of processes held up.

A unit takes a new value for the next block that it gets, and a block is stamped with the time of its first sample or
of its last. So the first sample that shows a change lies within one block of the event, on either side. A process that
was held up has blocks waiting that are stamped earlier: then it lies back as far as the process was held up. That is
seen by requests which it answered late.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.questions.predicate_spans import fields

BLOCK_S = 0.2
"""The length of a block that is assumed where none is on record: that of slow sources."""

SLACK_NS = 5_000_000
"""The time that a report takes from the unit to the ledger on a machine with time to spare."""

HELD_UP_NS = 50_000_000
"""The least time for a request to be answered that counts as held up, unless a block is longer."""

_RATE, _COUNT, _FS = "dispatch_rate", "n_time", "fs"


class Block(msgspec.Struct, frozen=True):
    """The length of a block (s), and the setting that tells it; "" where it is assumed or was given."""

    seconds: float
    setting: str
    given: bool = False


class HeldUp(msgspec.Struct, frozen=True):
    """A process that was held up: ``begin`` is when it was last seen to be well, ``end`` when it answered (places).

    ``took``: how long the request waited that tells (ns).
    """

    process: int
    begin: int
    end: int
    took: int


def block_of(settings: Iterable[tuple[str, Any]], given: float | None = None) -> Block:
    """The longest block that the settings in force tell of: a clock's ``dispatch_rate``, or ``n_time`` and ``fs``.

    ``settings``: units with the forms of their values; ``given``: seconds, where somebody knows it.
    """
    if given is not None:
        return Block(given, "", True)
    found = []
    for unit, form in settings:
        known = fields(form)
        rate, number, fs = (_number(known.get(name)) for name in (_RATE, _COUNT, _FS))
        if rate:
            found.append(Block(1 / rate, f"{unit}.{_RATE} = {rate:g}"))
        elif number and fs:
            found.append(Block(number / fs, f"{unit}.{_COUNT} = {number:g} and {_FS} = {fs:g}"))
    return max(found, key=lambda block: block.seconds, default=Block(BLOCK_S, ""))


def _number(form: Any) -> float | None:
    return float(form) if type(form) in (int, float) and form > 0 else None


def held_up(
    requests: Iterable[Fact],
    reports: Iterable[tuple[int, int]],
    place: Callable[[int], int | None],
    block: Block,
    answers: Callable[[int], bool],
) -> list[HeldUp]:
    """The stretches in which processes were held up: from when each was last seen to be well to its late answer.

    ``requests`` with their processes; ``reports``: (process, seq) of settings; ``place`` gives the place of an event,
    ``answers`` whether a process answered with it.
    """
    asked: dict[int, list[tuple[int, int, int]]] = {}
    signs: dict[int, list[int]] = {}
    for process, seq in reports:
        if (at := place(seq)) is not None:
            signs.setdefault(process, []).append(at)
    for fact in requests:
        process = fact.value[3]
        begin, end = place(fact.born), place(fact.died)
        if process is not None and begin is not None and end is not None:
            asked.setdefault(process, []).append((begin, end, fact.died))
            signs.setdefault(process, []).append(end)
    least = max(HELD_UP_NS, round(block.seconds * 1e9))
    found: list[HeldUp] = []
    for process, times in asked.items():
        for begin, end, seq in times:
            if end - begin > least and answers(seq):
                well = max((sign for sign in signs[process] if sign <= begin), default=2 * begin - end)
                found.append(HeldUp(process, well, end, end - begin))
    return _joined(found)


def _joined(found: list[HeldUp]) -> list[HeldUp]:
    """Stretches of one process that overlap, as one."""
    out: list[HeldUp] = []
    for each in sorted(found, key=lambda each: (each.process, each.begin, each.end)):
        if out and out[-1].process == each.process and each.begin <= out[-1].end:
            last = out[-1]
            out[-1] = HeldUp(each.process, last.begin, max(last.end, each.end), max(last.took, each.took))
        else:
            out.append(each)
    return out


def window(process: int | None, asked: int | None, came: int, block: Block, stalls: list[HeldUp]) -> tuple[int, int]:
    """The places between which the first sample lies that shows a change.

    The change was recorded at ``came`` and asked for at ``asked``, where a request tells.
    """
    length = round(block.seconds * 1e9)
    early = min(came, came if asked is None else asked) - length - SLACK_NS
    for each in stalls:
        after = each.end + (each.end - each.begin)  # what has waited is worked off for a while
        if each.process == process and each.begin <= came <= after:
            early = min(early, each.begin - length - SLACK_NS)
    return early, came + length + SLACK_NS
