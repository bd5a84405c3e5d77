"""``clocks``: what the clocks of the recorder did."""

from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger.projections.lifetimes.clock_readings import Jump, Reading
from ezmsg.ledger.projections.questions.moments.times import span_text, time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, table
from ezmsg.ledger.tools.text.documents import Document, ledger_document
from ezmsg.ledger.tools.text.event_words import jump_text
from ezmsg.ledger.wording import count

SHOWN_MAX = 20
"""Readings that are listed, the last ones; ``--full`` and ``--json`` have all."""


class Boot(msgspec.Struct):
    """A start of a machine, as the readings of its clocks tell: the seqs of the ``first`` and the ``last`` of them.

    ``number`` counts from 1. ``began`` and ``ended`` are wall times (ns); ``lasted``: ns by the monotonic clock.
    """

    number: int
    boot_id: str | None
    time_namespace: str | None
    host: str | None
    first: int
    last: int
    began: int
    ended: int
    lasted: int
    readings: int


@options.ledger
@flag("--full", help="Every reading, and all nanoseconds.")
@options.json
def clocks(ledger: Path | None, full: bool, json: bool) -> None:
    """Shows what the clocks of the recorder did: each start of the machine that it recorded on, where wall time was set
    and by how much, where the machine was suspended, and the readings that say so, pairs of wall time and a monotonic
    clock. How long anything took is told by the monotonic clock, within one start of a machine.

    Examples:
      ezmsg-ledger clocks run.ledger
      ezmsg-ledger clocks run.ledger --json
    """
    page = Page()
    with opened(ledger, page) as timeline:
        readings = timeline.landmarks.readings
        found, jumps = boots(readings.kept), readings.jumps()
        if json:
            page.document(_document(timeline, found, jumps))
        else:
            _print(page, timeline, found, jumps, full)


def boots(readings: list[Reading]) -> list[Boot]:
    """The starts of machines, in the order of their first readings."""
    out: list[Boot] = []
    begins: list[int] = []
    clock: Any = None
    for each in readings:
        if not out or each.clock != clock:
            clock = each.clock
            begins.append(each.mono)
            name = (each.boot_id, each.time_namespace, each.host)
            out.append(Boot(len(out) + 1, *name, each.seq, each.seq, each.real, each.real, 0, 0))
        boot = out[-1]
        boot.last, boot.ended = each.seq, each.real
        boot.lasted, boot.readings = each.mono - begins[-1], boot.readings + 1
    return out


def _document(timeline: Timeline, found: list[Boot], jumps: list[Jump]) -> Document:
    readings = [
        {name: getattr(each, name) for name in ("seq", "time", "real", "mono", "boot", "width", "reason", "boot_id")}
        for each in timeline.landmarks.readings.kept
    ]
    return {**ledger_document(timeline), "boots": found, "jumps": jumps, "readings": readings}


def _print(page: Page, timeline: Timeline, found: list[Boot], jumps: list[Jump], full: bool) -> None:
    digits = 9 if full else 3
    if not found:
        page.line("the clocks were not read: all times and durations are as the wall clock had them")
        return
    for boot in found:
        host = f" of {boot.host}" if boot.host else ""
        named = f" ({boot.boot_id}, {boot.time_namespace})" if boot.boot_id else ""
        page.line(("head", f"start {boot.number}{host}{named}"))
        if boot.readings > 1:
            page.line(f"  seq {boot.first}, {time_text(boot.began, timeline.zone, digits)}")
        lasted = f"{span_text(boot.lasted)} later" if boot.readings > 1 else "its only reading"
        page.line(f"  seq {boot.last}, {time_text(boot.ended, timeline.zone, digits)}: {lasted}")
        shown = [jump for jump in jumps if boot.first <= jump.seq <= boot.last]
        for jump in shown:
            was, now = (time_text(time, timeline.zone, digits) for time in (jump.was, jump.now))
            page.line(("dim", f"  {jump.seq:>6}  "), ("warn", jump_text(jump)), ("dim", f": {was} became {now}"))
        if not shown:
            page.line("  the wall clock was never set, and the machine never suspended")
    kept = timeline.landmarks.readings.kept
    rows = kept if full else kept[-SHOWN_MAX:]
    page.line()
    fewer = f", the last {len(rows)} (--full)" if len(rows) < len(kept) else ""
    page.line(("head", count(len(kept), "reading")), fewer)
    for line in table([["seq", "wall time", "monotonic (s)", "why", "took"], *map(_row(timeline, digits), rows)]):
        page.line("  ", line)


def _row(timeline: Timeline, digits: int) -> Any:
    def row(each: Reading) -> list[str]:
        mono = f"{each.mono // 10**9}.{each.mono % 10**9:09d}"[: None if digits == 9 else -6]
        return [str(each.seq), time_text(each.real, timeline.zone, digits), mono, each.reason, f"{each.width} ns"]

    return row
