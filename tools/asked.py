"""What a command is asked about: the history and the moment that are named, damaged or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.projections.questions.moments import Moment
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.page import Page


@contextmanager
def asked_timeline(path: Path | None, page: Page) -> Iterator[Timeline]:
    """The history of the ledger that a command is asked about.

    Raises at the end what damage was met: until then the command can tell what came before it.
    """
    with opened(path, page) as source:
        timeline = Timeline(source, progress=page.progress)
        yield timeline
        if timeline.damage is not None:
            raise timeline.damage


def sound_events(timeline: Timeline, after: int = 0) -> Iterator[ev.AnyEvent]:
    """The events behind seq ``after``, up to the damage of a ledger, which is kept as ``timeline.damage``."""
    try:
        yield from timeline.ledger.entries(after)
    except DamagedLedger as error:
        timeline.damage = error


def asked_moment(timeline: Timeline, text: str) -> Moment:
    """The moment that is asked about; where it lies behind the damage of a ledger, the last one before that, which is
    kept as ``timeline.damage``."""
    try:
        moment = timeline.moment(text)
    except DamagedLedger as error:
        timeline.damage = error
    else:
        _ = timeline.landmarks  # looking for them meets the damage, wherever it lies
        if timeline.damage is None or moment.seq <= timeline.damage.seq:
            return moment
    return replace(timeline.moment(timeline.damage.seq), text=text, how="the last event before the damage")
