"""Changes to a folder of segments: beginning it and the next one, compressing and dropping sealed ones.

Every step leaves a ledger after that is whole, should it be the last one: a file has its name only when all of it is
on the disk, and what it replaces goes after that. Every caller holds the writer's lock.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from ezmsg.ledger.errors import DamagedLedger, LedgerLocked, LogError, NotALedger
from ezmsg.ledger.folder.proven import add_to_note, prove_sealed, read_note, seen_now
from ezmsg.ledger.folder.segments import MOVING, Segments, number_of, segment_name
from ezmsg.ledger.lock.lock import SUFFIX as LOCK
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import NEW, closing_handle, create, explained, open_file, size_of, write_new
from ezmsg.ledger.storage.header import first_bytes, new_header, read_header, segment_bytes
from ezmsg.ledger.storage.reading.open_file import FIRST, LedgerFile, Sealed
from ezmsg.ledger.storage.reading.reader import Reader
from ezmsg.ledger.storage.reading.scan import COMMIT_LINE_MAX, Place, hash_file, read_at
from ezmsg.ledger.storage.writing.recovery import sound_end
from ezmsg.ledger.storage.writing.writer import Begun
from ezmsg.ledger.structural import FORMAT, Header

logger = logging.getLogger("ezmsg.ledger")


def begin_segment(
    disk: Disk, folder: str, header: Header, number: int, opened: int, end: Place, digest: str, states: Sequence[bytes]
) -> Begun:
    """Make segment ``number``, which follows one that ends at ``end`` and whose bytes have this ``digest``.

    It begins with ``states``, which were checked. Raises OSError when it could not be made; then there is none.
    """
    data, place, hashed = segment_bytes(header, number, opened, end.seq, digest, states)
    path = os.path.join(folder, segment_name(number))
    try:
        write_new(disk, path + NEW, (data,))
        disk.link(path + NEW, path)
    except OSError:
        if disk.kind(path) is None:
            _remove_if_there(disk, path + NEW)
            raise
        logger.warning("%s has its name, though the system says that it could not be given", path)
    return Begun(path, place, hashed)


def _remove_if_there(disk: Disk, path: str) -> None:
    """Give back the room of a file that was not finished; what cannot be removed now goes at the next opening."""
    try:
        if disk.kind(path) is not None:
            disk.remove(path)
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error)


_READY_HINT = "Nothing of it is lost. Check the disk, and the permissions of the folder."


def make_ready(disk: Disk, folder: str, clock: Callable[[], int], *, make: bool) -> str:
    """The file of the folder's last segment, after all that was left half done by a writer that died is done.

    With ``make``, a ledger file of that name becomes the folder's first segment, and an empty or missing folder a new
    ledger. Raises NotALedger, LogError.
    """
    with explained(folder, "made ready for writing", _READY_HINT):
        _make_folder(disk, folder, make=make)
        segments = Segments(disk, folder)
        listed = segments.listed()
        if not listed and make:
            _refuse_strangers(disk, folder)
            create(disk, os.path.join(folder, segment_name(FIRST)), first_bytes(new_header(clock())))
        for name in disk.names(folder):
            if name.endswith(NEW) and number_of(name.removesuffix(NEW)) is not None:
                disk.remove(os.path.join(folder, name))
        disk.sync_folder(folder)
        numbers = segments.numbers()
        if hole := segments.hole(numbers):
            logger.warning("%s: %s. What stands before it is left alone, and not read", folder, hole)
        if len(numbers) == 1:  # whoever made the folder may have died before its name was on the disk
            disk.sync_folder(os.path.dirname(folder))
        numbers = _whole(segments, numbers, clock)
        prove_sealed(segments, numbers)
        return _to_go_on(segments, numbers[-1], clock)


def _whole(segments: Segments, numbers: range, clock: Callable[[], int]) -> range:
    """The segments without a last one that was cut within its beginning: no writer leaves that, and it holds no event.

    It is put aside; an empty one that is the first of all is made anew, as an empty file is.
    """
    disk, number = segments.disk, numbers[-1]
    last = segments.path_of(number) or ""
    if last.endswith(compression.SUFFIX) or not _ends_in_its_beginning(disk, last):
        return numbers
    if number == FIRST:
        if size_of(disk, last) == 0:
            create(disk, last, first_bytes(new_header(clock())))
        return numbers
    aside = f"{last}.tail-0"
    while disk.kind(aside) is not None:
        aside += "+"
    logger.warning("%s was cut short within its beginning; it is kept as %s", last, aside)
    disk.replace(last, aside)
    disk.sync_folder(segments.path)
    if number == numbers[0]:
        raise LogError(f"{segments.path} has no whole segment left", hint="Put back what was removed.")
    return _whole(segments, range(numbers[0], number), clock)


def _to_go_on(segments: Segments, number: int, clock: Callable[[], int]) -> str:
    """The file of segment ``number``, the last one; of a new one after it, where it is compressed and sealed."""
    disk = segments.disk
    last = segments.path_of(number) or ""
    if not last.endswith(compression.SUFFIX):
        return last
    with segments.open(number) as file:
        end = Reader(file).last()
        commit = end.commit
        if end.offset != file.size or commit is None or not commit.seals:
            hint = f"Unpack it: zstd -d --rm {last}"
            raise LogError(f"{last} is compressed, so nothing can be added to it", hint=hint)
        digest = hash_file(file.disk, file.handle, commit.at)
        if digest.hexdigest() != commit.sha256:
            raise DamagedLedger(f"{last} is damaged: its bytes are not those that were written", offset=0, seq=0)
        digest.update(end.line)
        begun = begin_segment(disk, segments.path, file.header, number + 1, clock(), end, digest.hexdigest(), ())
    disk.sync_folder(segments.path)
    return begun.path


def _ends_in_its_beginning(disk: Disk, path: str) -> bool:
    """Whether a file ends before the first commit line does, which its name waits for."""
    with closing_handle(disk, open_file(disk, path)) as handle:
        size = disk.size(handle)
        if size == 0:
            return True
        with suppress(NotALedger, DamagedLedger):
            return b"\n" not in read_at(disk, handle, read_header(disk, handle, path).start.offset, COMMIT_LINE_MAX)
    return False


def _make_folder(disk: Disk, folder: str, *, make: bool) -> None:
    """See that ``folder`` is one; what was a file goes into it."""
    moving = folder + MOVING
    kind = disk.kind(folder)
    if kind == "folder":
        return
    if kind is None and disk.kind(moving) is None:
        if make:
            disk.make_folder(folder)
            disk.sync_folder(os.path.dirname(folder))
        return
    if kind is not None and make:
        check_begins(disk, folder)
        _check_free_and_sound(disk, folder)
        if disk.kind(moving) is None:
            disk.make_folder(moving)
        target = os.path.join(moving, segment_name(_number(disk, folder)))
        if disk.kind(target) is not None:
            raise LogError(f"{target} is in the way", hint=f"See what it is, and move {moving} away.")
        disk.sync_folder(os.path.dirname(folder))
        disk.replace(folder, target)
    if disk.kind(folder) is None:  # perhaps a writer died in between, and what it did was not on the disk yet
        disk.sync_folder(moving)
        disk.sync_folder(os.path.dirname(folder))
        disk.replace(moving, folder)
        disk.sync_folder(os.path.dirname(folder))


def _number(disk: Disk, path: str) -> int:
    """The segment that a ledger of one file is: the first one, unless it was made of a part of another ledger."""
    if not size_of(disk, path):
        return FIRST
    with LedgerFile(disk, path) as file:
        return file.number


def check_begins(disk: Disk, path: str) -> None:
    """Raise LogError when the file is a segment that others lead to or follow. One that was cut out of a ledger is
    none: it has an id of its own."""
    folder, name = os.path.split(path)
    whole = number_of(name) is None or len(Segments(disk, folder).listed()) == 1
    if whole and size_of(disk, path):
        with LedgerFile(disk, path) as file:
            whole = file.header.format == FORMAT or bool(file.origins())
    if not whole:
        raise LogError(f"{path} is a segment: nothing is added to it by itself", hint="Name the folder that it is in.")


def _check_free_and_sound(disk: Disk, path: str) -> None:
    """Raise LedgerLocked or DamagedLedger when the file could not be gone on with: then it stays where it is."""
    with closing_handle(disk, open_file(disk, path)) as handle:
        if sys.platform != "win32" and not disk.lock(handle):
            raise LedgerLocked(f"{path} is being written by another process, whose lock file was removed")
        if disk.size(handle):
            sound_end(disk, handle, path, read_header(disk, handle, path).start)


def _refuse_strangers(disk: Disk, folder: str) -> None:
    strangers = [name for name in disk.names(folder) if not name.endswith((NEW, LOCK))]
    if strangers:
        raise LogError(
            f"{folder} holds other things than a ledger, such as {min(strangers)}",
            hint="Record into a folder that does not exist yet, or is empty.",
        )


def pack_sealed(disk: Disk, folder: str, stop: Callable[[], bool] = lambda: False) -> list[str]:
    """Compress all segments but the last that are not yet; returns the names of the files made.

    Raises LogError without the library, OSError; InterruptedError when ``stop`` says so in between. Cost: some hundred
    MB/s.
    """
    segments = Segments(disk, folder)
    made = []
    for number in segments.numbers()[:-1]:
        path = segments.path_of(number)
        if path is None or path.endswith(compression.SUFFIX):
            continue
        target = path + compression.SUFFIX
        try:
            compression.pack(disk, path, target + NEW, stop)
        except BaseException:
            _remove_if_there(disk, target + NEW)
            raise
        known = read_note(disk, folder).get(os.path.basename(path))
        proven = known is not None and known == seen_now(disk, path, known.digest)
        disk.replace(target + NEW, target)
        disk.sync_folder(folder)
        disk.remove(path)
        disk.sync_folder(folder)
        made.append(os.path.basename(target))
        if known is not None and proven:  # it gives back the same bytes, as was seen
            add_to_note(disk, folder, {made[-1]: known.digest})
    return made


def drop_sealed(disk: Disk, folder: str, is_old: Callable[[Sealed], bool]) -> list[str]:
    """Remove the segments of which ``is_old`` says so, which is asked of all before the first one goes.

    Oldest first, up to the first that is to stay; returns their names.

    The last one stays, and so does one whose successor has no checkpoint to start from. Raises LogError, OSError.
    """
    segments = Segments(disk, folder)
    listed = segments.listed()
    old: list[str] = []
    for number in segments.numbers()[:-1]:
        following = segments.opening(number + 1).segment
        if following is None or not following.checkpoint:
            break
        if not is_old(Sealed(number, following.first - 1, following.opened)):
            break
        old += listed[number]
    for name in old:
        disk.remove(os.path.join(folder, name))
        disk.sync_folder(folder)
    return old
