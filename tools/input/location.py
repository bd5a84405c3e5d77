"""The ledger that is meant, and how every command that looks opens it, finds a moment, and ends at damage."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from ezmsg.ledger.errors import DamagedLedger, LedgerError, UnknownMoment, UnknownSubject
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.folder.segments import number_of
from ezmsg.ledger.log import LEDGER_ENV, Ledger
from ezmsg.ledger.projections.questions.moments.last_built import RUN
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.name_hints import did_you_mean
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.stores.addresses import address_of, without_secret
from ezmsg.ledger.structural import CUT
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.output import Page

ENDING = ".ledger"
PATTERN = f"*{ENDING}"


class NoSuchLedger(Misuse):
    """No file of that name, or none to choose from."""


def locate(path: Path | None, page: Page) -> Path:
    """The ledger to look at: ``path``, else $EZMSG_LEDGER, else the newest ``*.ledger`` of this folder. The first two
    can be addresses.

    One to which nobody ever came is passed over: a script that failed before ``ez.run`` leaves it, and hardly anybody
    means that. A note says which one was chosen, and past what.

    Raises NoSuchLedger, and OSError when a folder on the way cannot be entered.
    """
    if path is not None:
        return _existing(path, "")
    named = os.environ.get(LEDGER_ENV)
    if named:
        page.note(f"reading {without_secret(named)} (${LEDGER_ENV})")
        return _existing(Path(named), f", which ${LEDGER_ENV} names")
    found = _ledgers(Path())
    if not found:
        raise NoSuchLedger(
            f"no ledger was named, and there is no {PATTERN} in {Path.cwd()}",
            hint=f"Name one, set {LEDGER_ENV}, or record one: ezmsg-ledger run SCRIPT.py",
        )
    chosen = next((path for path in found if not _is_of_nobody(path)), found[0])
    passed = found.index(chosen)
    but = f"; {found[0]}{f' and {passed - 1} more' if passed > 1 else ''} recorded nothing" if passed else ""
    page.note(f"reading {chosen} (the newest {PATTERN} here{but})")
    return chosen


@contextmanager
def opened(path: Path | None, page: Page) -> Iterator[Timeline]:
    """The history of the ledger that ``locate`` finds, open to be read. A note tells of a late beginning.

    A damaged ledger is read up to its damage: what shows at its end, or was met on the way, is raised when the command
    has told what came before. When something is asked for that is not there, DamagedLedger is raised in place of that:
    it may be after the damage.
    """
    with Ledger.open(locate(path, page), "r") as ledger:
        tell_beginning(ledger, page)
        timeline = Timeline(ledger, progress=page.progress)
        try:
            yield timeline
        except (UnknownMoment, UnknownSubject) as error:
            if (damage := ledger.damage or _damage(ledger)) is not None:
                raise damage from error
            raise
        if (damage := timeline.damage) is not None:
            raise damage


BEFORE_DAMAGE = "the last event before the damage"
"""How a moment was understood that lies after the damage of a ledger."""


def asked_moment(timeline: Timeline, text: str) -> Moment:
    """The moment that is asked about; where it lies after the damage of a ledger, the last one before that, which is
    kept as ``timeline.damage``."""
    try:
        moment = timeline.moment(text)
    except DamagedLedger as error:
        timeline.damage = error
    else:
        _ = timeline.landmarks  # looking for them meets the damage, wherever it lies
        if timeline.damage is None or moment.seq <= timeline.damage.seq:
            return moment
    return replace(timeline.moment(timeline.damage.seq), text=text, how=BEFORE_DAMAGE)


def sound_events(timeline: Timeline, after: int = 0) -> Iterator[AnyEvent]:
    """The events after seq ``after``, up to the damage of a ledger, which is kept as ``timeline.damage``."""
    try:
        yield from timeline.ledger.entries(after)
    except DamagedLedger as error:
        timeline.damage = error


def tell_beginning(ledger: LedgerReader, page: Page) -> None:
    """Note that the first part of a ledger is not there, or not read, so that nobody takes what is shown for all."""
    if hole := ledger.hole:
        why = f"{hole}, so what stands before it is not read"
    elif ledger.first > 1:
        cut = [origin.ledger for origin in ledger.origins if origin.made == CUT]
        why = f"it was cut out of ledger {cut[-1]}" if cut else "what came before is no longer there"
    else:
        return
    page.note(f"{shortened(ledger.location)} begins with seq {ledger.first}: {why}")


def _damage(ledger: LedgerReader) -> DamagedLedger | None:
    """The damage of a ledger; None when it can be read to its end. Cost: one pass."""
    try:
        for _ in ledger.read():
            pass
    except DamagedLedger as error:
        return error
    return None


def shortened(location: str) -> str:
    """A path as seen from this folder, where that is shorter; an address as it is."""
    if address_of(location) is not None:
        return location
    try:
        return min(os.path.relpath(location), location, key=len)
    except ValueError:  # another drive on Windows
        return location


def _existing(path: Path, which: str) -> Path:
    if address_of(str(path)) is not None:
        return path
    path = path.expanduser()
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    else:
        return path
    beside = [each.name for each in _ledgers(path.parent)]
    begun = [name for name in beside if name.startswith(path.name)]
    stems = [name.removesuffix(ENDING) for name in beside]  # the ending is alike in all
    wanted = (begun[0] if begun else path.name).removesuffix(ENDING)
    hint = did_you_mean(wanted, stems, before=f"{path.parent / '_'}"[:-1], after=ENDING)
    if not hint and beside:
        hint = f"There is {path.parent / beside[0]}" + (f", and {len(beside) - 1} more." if beside[1:] else ".")
    raise NoSuchLedger(f"there is no file {path}{which}", hint=hint or "Record one: ezmsg-ledger run SCRIPT.py")


def _is_of_nobody(path: Path) -> bool:
    """Whether a recorder began and ended here, and no program ever reached it. Cost: that of the first batch."""
    try:
        with Ledger.open(path, "r") as ledger:
            return not ledger.being_written and all(isinstance(event, RUN) for event in ledger.entries())
    except (LedgerError, OSError):  # what is wrong with it is worth saying, if this one was meant
        return False


def written(path: Path) -> int | None:
    """The time at which a ledger was last written: a file, or the newest segment in a folder.

    None for anything else, and for what is still empty.
    """
    if path.is_file():
        status = path.stat()
        return status.st_mtime_ns if status.st_size else None
    if not path.is_dir():
        return None
    return max((each.stat().st_mtime_ns for each in path.iterdir() if number_of(each.name) is not None), default=None)


def _ledgers(folder: Path) -> list[Path]:
    """The ledgers in a folder, the one that was written last first."""
    found = []
    try:
        for path in folder.glob(PATTERN):
            if (since := written(path)) is not None:
                found.append((since, path))
    except OSError:  # a folder that cannot be listed has nothing to choose from
        return []
    return [path for _, path in sorted(found, key=lambda item: (-item[0], str(item[1])))]
