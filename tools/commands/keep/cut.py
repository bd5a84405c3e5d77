"""``cut``: a span of a ledger as a ledger of its own."""

import os
from pathlib import Path

import msgspec

from ezmsg.ledger.projections.copies.cut import cut as cut_out
from ezmsg.ledger.projections.questions.moments.times import length_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.stores.addresses import refuse_address
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import opened, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, option
from ezmsg.ledger.tools.input.target import place_of_copy
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.wording import count, seqs_text, size_text


@argument("ledger", "LEDGER", "The ledger to cut a span out of.", type=FILE, required=True)
@argument("begin", "FROM", "The moment at which the span begins; an event that is named is in it.", required=True)
@argument("end", "TO", "The moment at which it ends, its event included.", required=True)
@option("--output", "-o", metavar="NEW", type=FILE, required=True, help="Where to.")
@options.json
def cut(ledger: Path, begin: str, end: str, output: Path, json: bool) -> None:
    """Copies all events from one moment to another into a new ledger, byte for byte, with the state of the graph before
    them: so a morning can be sent on without the year around it. Seqs and ids stay as they are, within the span every
    command answers as it does on the whole, and the new ledger names the one that it was cut out of.

    What is copied is hashed first, and what was written is verified. `verify NEW --origin LEDGER` shows later that both
    hold the same.

    Examples:
      ezmsg-ledger cut run.ledger 14:03:21 end -o later.ledger
      ezmsg-ledger cut run.ledger mark:before mark:after -o part.ledger
      ezmsg-ledger cut run.ledger -5m end --output last.ledger
    """
    page = Page()
    with opened(ledger, page) as timeline:
        source = timeline.ledger.location
        refuse_address(source, "cut")
        target = place_of_copy(output, timeline)
        made = cut_out(timeline.ledger, *_span(timeline, begin, end), target)
        elapsed = timeline.elapsed(made.first, made.last)
    document = msgspec.structs.asdict(made) | {"source": source, "bytes": os.path.getsize(target)}
    if json:
        page.document(document)
        return
    lasts = length_text(elapsed.ns, elapsed.clock)
    page.line(("add", "cut"), f": {shortened(target)}, verified")
    which, size = seqs_text(made.first, made.last), size_text(os.path.getsize(target))
    page.line(f"  {which}, {count(made.events, 'event')} of {lasts}, {size}")
    before = f"the state of the graph after seq {made.first - 1}" if made.first > 1 else "an empty graph"
    page.line(f"  it begins with {before}; its own id is {made.id}")
    page.line(f"  cut out of {made.origin.ledger}: verify --origin {shortened(source)} shows that both hold the same")


def _span(timeline: Timeline, begin: str, end: str) -> tuple[int, int]:
    """The first and the last event that are meant. Raises UnknownMoment, Misuse."""
    start, stop = timeline.moment(begin), timeline.moment(end)
    if start.since > stop.seq:
        first, last = f"{begin.strip()} is {start.how}", f"{end.strip()} is {stop.how}"
        if start.seq > stop.seq:
            hint = f"FROM comes first: {stop.seq} {start.seq}, say."
        else:
            hint = f"The last event before is seq {stop.seq}."
        raise Misuse(f"there is no event from {begin.strip()} to {end.strip()}: {first}, {last}", hint=hint)
    return start.since, stop.seq
