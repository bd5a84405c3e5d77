"""``rotate``: begin a new segment of a ledger that nobody records to just now."""

from pathlib import Path
from typing import Any

from ezmsg.ledger.clock import Reading
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import rotate as begin_segment
from ezmsg.ledger.projections.lifetimes.sealed_age import Age, SealedAges
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.reading.open_file import Sealed
from ezmsg.ledger.stores.addresses import refuse_address
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import locate, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.input.sizes import span
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.wording import count, seqs_text, size_text

NAMES_MAX = 5


@argument("ledger", "LEDGER", "The ledger: a file, or a folder of segments.", type=FILE, required=True)
@option("--keep", metavar="SPAN", help="Remove what was sealed longer ago: 30d.")
@flag("--compress", help="Compress the sealed segments (extra: zstd).")
@options.json
def rotate(ledger: Path, keep: str | None, compress: bool, json: bool) -> None:
    """Seals what is there and begins the next segment, with the state of the graph as it is: so the earlier ones can be
    archived or removed, and what remains still answers. A ledger that is one file becomes a folder of that name.

    A recorder that is running does this by itself: see serve --rotate. How long ago a segment was sealed is told by a
    clock that nobody sets, where the recorder read it since the machine was started; else by wall time.

    Examples:
      ezmsg-ledger rotate rig.ledger
      ezmsg-ledger rotate rig.ledger --compress --keep 90d
    """
    page = Page()
    refuse_address(str(ledger), "rotate")
    path = locate(ledger, page)
    oldest = None if keep is None else span(keep, "--keep")
    if compress:
        compression.library()
    with Ledger.open(path, "r") as source:  # what is wrong with it shows before anything is changed
        state_at(source)
    with Ledger.open(path, segmented=True) as opened:
        now = opened.clock.read()  # what is sealed here is not old, however short the span
        begun = begin_segment(opened)
        dropped: list[str] = []
        ages: list[tuple[Sealed, Age]] = []
        if oldest is not None:
            dropped = _drop(opened, oldest, now, ages)
        compressed = opened.pack() if compress else []
        answer = {
            "ledger": opened.location,
            "id": opened.id,
            "begun": begun,
            "tip": opened.tip,
            "first": opened.first,
            "seq": opened.head,
            "dropped": dropped,
            "ages": [_age_document(sealed, age) for sealed, age in ages],
            "compressed": compressed,
            "bytes": opened.bytes_on_disk,
        }
        if json:
            page.document(answer)
            return
        if begun:
            page.line(f"{shortened(opened.location)} goes on in {shortened(opened.tip)}")
        else:
            page.line(f"{shortened(opened.tip)} has had no event since it began")
        for done, names in (("removed", dropped), ("compressed", compressed)):
            if names:
                page.line(f"  {done} {count(len(names), 'segment')}: {listed(names, NAMES_MAX)}")
        if by_wall := [sealed.number for sealed, age in ages if age.clock == "wall"]:
            which = f"segment {by_wall[0]}" if len(by_wall) == 1 else f"segments {by_wall[0]} to {by_wall[-1]}"
            page.line(f"  how old {which} {'is' if len(by_wall) == 1 else 'are'} was told by the wall clock: {_WALL}")
        held = seqs_text(opened.first, opened.head) if opened.head >= opened.first else "no event"
        page.line(f"  {held} in {size_text(opened.bytes_on_disk)}")


_WALL = "no other clock was read there that has run on until now"


def _drop(ledger: Ledger, oldest: int, now: Reading, ages: list[tuple[Sealed, Age]]) -> list[str]:
    """Remove what was sealed more than ``oldest`` ns before ``now``; ``ages`` gets those of all that it looked at."""
    clock = SealedAges(ledger, ledger.clock)

    def is_old(sealed: Sealed) -> bool:
        ages.append((sealed, clock.age(sealed, now)))
        return ages[-1][1].ns > oldest

    return ledger.drop(is_old)


def _age_document(sealed: Sealed, age: Age) -> dict[str, Any]:
    return {"segment": sealed.number, "last": sealed.seq, "sealed": sealed.time, "age": age.ns, "clock": age.clock}
