"""``repair``: a new ledger of all that is sound of a damaged one."""

import os
import time
from pathlib import Path
from typing import Any

from ezmsg.ledger.audit.repair import SoundCopy, Survey, survey
from ezmsg.ledger.errors import LogError
from ezmsg.ledger.lock.lock import refuse_written
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.closings import ending
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.tables import RECORDS
from ezmsg.ledger.storage.compression import SUFFIX
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.stores.addresses import refuse_address
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import locate, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, option
from ezmsg.ledger.tools.input.target import new_ledger
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.wording import count, seqs_text


@argument("ledger", "LEDGER", "The ledger that is damaged, or torn.", type=FILE, required=True)
@option("--output", "-o", metavar="NEW", type=FILE, help="Where to; NAME-repaired.ledger else.")
@options.json
def repair(ledger: Path, output: Path | None, json: bool) -> None:
    """Copies all up to the damage into a new ledger, byte for byte, adds what it leaves out as a gap, ends what was
    open there as unseen, and verifies the result. It can be read and recorded to like any other. The damaged one is
    not touched: keep it.

    Examples:
      ezmsg-ledger repair run.ledger
      ezmsg-ledger repair run.ledger --output saved.ledger
    """
    page = Page()
    refuse_address(str(ledger), "repair")
    path = os.path.realpath(locate(ledger, page))
    refuse_written(OS_DISK, path)
    found = survey(OS_DISK, path)
    if found.damage is None:
        _tell_sound(page, found, json)
        return
    target = new_ledger(output or _beside(path), path)
    with SoundCopy(OS_DISK, found, target) as copy:
        with Ledger.open(copy.path, "r") as prefix:
            state = state_at(prefix)
        opened = {name: len(getattr(state, name)) for name in RECORDS.values()}
        copy.append(ending(state, found, time.time_ns()))
        head = _check(copy.path, state)
        copy.keep()
    document = _document(found, target, head, opened)
    if json:
        page.document(document)
    else:
        _report(page, found, document, state.unknown)


def _beside(path: str) -> str:
    stem, suffix = os.path.splitext(path.removesuffix(SUFFIX))  # what is copied of a compressed one is unpacked
    return f"{stem}-repaired{suffix}"


def _check(path: str, expected: GraphState) -> int:
    """Hold what was written to what it should be; returns its last seq. Raises LogError."""
    with Ledger.open(path, "r") as source:
        found = source.verify()
        state = state_at(source)
        state.check()
        same = state.digest(allow_unknown=True) == expected.digest(allow_unknown=True)
        still_open = [name for name in RECORDS.values() if getattr(state, name)]
        if not (found.sound and found.sealed and same and not still_open):
            problems = [*found.problems, *(f"{name} are still open" for name in still_open)]
            raise LogError(
                f"what was written does not verify: {'; '.join(problems) or 'it folds to another state'}",
                hint="Nothing was kept of it. Check the disk, and try another place with --output.",
            )
        return source.head


def _tell_sound(page: Page, found: Survey, json: bool) -> None:
    if json:
        page.document(_document(found, None, found.seq, dict.fromkeys(RECORDS.values(), 0)))
    else:
        page.line(("add", "sound"), f": {found.path}")
        page.line("  there is nothing to repair, and nothing was written")


def _document(found: Survey, output: str | None, head: int, opened: dict[str, int]) -> dict[str, Any]:
    return {
        "ledger": found.path,
        "id": found.id,
        "output": output,
        "damage": found.damage,
        "why": found.why or None,
        "segment": found.segment,
        "offset": found.offset,
        "seq": found.seq,
        "sha256": found.sha256,
        "left_out": {
            "bytes": found.left_bytes,
            "segments": found.left_segments,
            "events": found.left_events,
            "first": found.left_first or None,
            "lost": [found.seq + 1, found.left_last] if found.left_last > found.seq else None,
        },
        "closed": opened,
        "head": head,
    }


def _report(page: Page, found: Survey, document: dict[str, Any], unknown: bool) -> None:
    where = f" of segment {found.segment}" if found.folder else ""
    page.line(("add", "repaired"), f": {shortened(document['output'])}, verified")
    page.line(f"  as it was: all up to seq {found.seq}, offset {found.offset}{where} (sha256 {found.sha256})")
    page.line("  left out: ", ("bad", _left_out(found)))
    page.line(f"  {'its end is torn' if found.damage == 'torn' else 'damaged'}: {found.why}")
    closed = [count(document["closed"][name], one, name) for one, name in RECORDS.items() if document["closed"][name]]
    if closed:
        page.line(f"  ended there, as nobody knows how: {', '.join(closed)}")
    if unknown:
        page.line("  it holds events of a newer version: what they opened is not ended")
    if found.damage == "torn":
        page.line("  (recording to a ledger with a torn end puts that aside by itself)")
    page.line(f"  {shortened(found.path)} is as it was; keep it")


def _left_out(found: Survey) -> str:
    text = f"{found.left_bytes:,} bytes"
    if found.left_segments:
        text += f", {count(found.left_segments, 'whole segment')} among them"
    if found.left_events:
        text += f"; {count(found.left_events, 'event')} in them can still be read, from seq {found.left_first} on"
    if found.left_last > found.seq:
        gone = seqs_text(found.seq + 1, found.left_last)
        text += f"; {gone} {'is' if found.left_last == found.seq + 1 else 'are'} gone from the history"
    return text
