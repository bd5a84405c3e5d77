"""``rotate``: begin a new segment of a ledger that nobody records to just now."""

import time
from pathlib import Path

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import rotate as begin_segment
from ezmsg.ledger.storage import compression
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import locate, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.input.sizes import size_text, span
from ezmsg.ledger.tools.output import Page, count, listed
from ezmsg.ledger.tools.text.phrases import seqs_text

NAMES_MAX = 5


@argument("ledger", "LEDGER", "The ledger: a file, or a folder of segments.", type=FILE, required=True)
@option("--keep", metavar="SPAN", help="Remove what was sealed longer ago: 30d.")
@flag("--compress", help="Compress the sealed segments (extra: zstd).")
@options.json
def rotate(ledger: Path, keep: str | None, compress: bool, json: bool) -> None:
    """Seals what is there and begins the next segment, with the state of the graph as it is: so the earlier ones can be
    archived or removed, and what remains still answers. A ledger that is one file becomes a folder of that name.

    A recorder that is running does this by itself: see serve --rotate.

    Examples:
      ezmsg-ledger rotate rig.ledger
      ezmsg-ledger rotate rig.ledger --compress --keep 90d
    """
    page = Page()
    path = locate(ledger, page)
    oldest = None if keep is None else time.time_ns() - span(keep, "--keep")
    if compress:
        compression.library()
    with Ledger.open(path, "r") as source:  # what is wrong with it shows before anything is changed
        state_at(source)
    with Ledger.open(path, segmented=True) as opened:
        begun = begin_segment(opened)
        dropped = opened.drop(oldest) if oldest is not None else []
        compressed = opened.pack() if compress else []
        answer = {
            "ledger": opened.location,
            "id": opened.id,
            "begun": begun,
            "tip": opened.tip,
            "first": opened.first,
            "seq": opened.head,
            "dropped": dropped,
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
        held = seqs_text(opened.first, opened.head) if opened.head >= opened.first else "no event"
        page.line(f"  {held} in {size_text(opened.bytes_on_disk)}")
