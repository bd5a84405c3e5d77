"""Small changes of a ledger, at every byte and line: each must be noticed, and rightly called damage or a torn end."""

from collections.abc import Iterator
from itertools import accumulate, islice
from typing import NamedTuple

from ezmsg.ledger.errors import DamagedLedger, LedgerError, LogError, NotALedger
from ezmsg.ledger.events import EdgeConnected, Mark, SessionOpened
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

from .disk import SimulatedDisk
from .ledgers import PATH, clock, open_simulated, simulation
from .oracle import Judgement, judge

BITS = (0x01, 0x20, 0x80)
"""What is flipped in a byte: the least bit makes another letter or digit, the others a case, and no text at all."""

FOREIGN = (
    b"\n",
    b"{}\n",
    b"not a line of a ledger\n",
    b'{"type":"mark","seq":1,"time":0,"name":"of another ledger"}\n',
    b'{"type":"ledger.tomorrow","text":"of a newer version"}\n',
    b'{"type":"ledger.header","format":1,"id":"another","created":0}\n',
    b"\xff\xfe\x00\n",
    b"x" * 70_000 + b"\n",
)
"""Lines that somebody might put into a ledger."""

INTERIOR_STEP = 4099
"""Within a large event every so many bytes one is flipped: a prime, so that all places of a sector have their turn."""


SEAL = "cuts told by the missing seal alone"
RECEIPT = "cuts told by a receipt alone"
"""What is left is a sound ledger: of a cut just there the file itself cannot know."""


LARGE = 2**18
LARGE_STEP = 16
"""Of the changes of a ledger with an event of so many bytes, each of which takes long to read, one of so many is tried:
the small parts of it are as those of smaller ledgers."""


class Change(NamedTuple):
    """A ledger that was changed. ``first``: the offset of the first byte that differs."""

    what: str
    data: bytes
    first: int


def small_ledger(large: int = 0) -> bytes:
    """Three runs: the first closed in good order, the second killed in the middle of an append, the third sealed.

    ``large``: bytes of an event in the middle, if there is to be one.
    """
    disk = SimulatedDisk()
    with open_simulated(disk, "interval") as ledger:
        ledger.append([SessionOpened(uuid="u", label="DEMO"), EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([Mark(name="one")])
    killed = SimulatedDisk({PATH: disk.contents()[PATH] + b'{"type":"mark","seq":4,"ti'})
    with open_simulated(killed, "commit") as ledger:
        ledger.append([Mark(name="two"), Mark(name="drei \u2192"), Mark(name="four")])
        if large:
            ledger.append([Mark(name="x" * large)])
        ledger.append([Mark(name="five")])
    return killed.contents()[PATH]


def flips(data: bytes, bits: tuple[int, ...] = BITS) -> Iterator[Change]:
    """Every byte, each of ``bits`` in it. Within events that are longer than a sector, most bytes are left out."""
    for offset in _places(data):
        for bit in bits:
            changed = bytearray(data)
            changed[offset] ^= bit
            yield Change(f"bit {bit:#04x} of byte {offset} flipped", bytes(changed), offset)


def cuts(data: bytes) -> Iterator[Change]:
    """The file cut at every byte; within long events, at few."""
    for offset in _places(data):
        yield Change(f"cut at byte {offset}", data[:offset], offset)


def _places(data: bytes) -> Iterator[int]:
    for begin, line in _lines(data):
        yield from (
            begin + place
            for place in range(len(line))
            if len(line) < 1000 or place < 200 or place > len(line) - 200 or place % INTERIOR_STEP == 0
        )


def line_changes(data: bytes) -> Iterator[Change]:
    """Each line removed, written twice, put after its neighbour; foreign lines before each, and at the end."""
    lines = [line for _, line in _lines(data)]
    for place, (begin, line) in enumerate(_lines(data)):
        without = lines[:place] + lines[place + 1 :]
        yield _change(f"line {place} removed", data, b"".join(without))
        yield _change(f"line {place} twice", data, b"".join([*lines[: place + 1], line, *lines[place + 1 :]]))
        if place + 1 < len(lines):
            swapped = [*lines[:place], lines[place + 1], line, *lines[place + 2 :]]
            yield _change(f"lines {place} and {place + 1} swapped", data, b"".join(swapped))
        for number, foreign in enumerate(FOREIGN):
            yield Change(f"foreign line {number} before line {place}", data[:begin] + foreign + data[begin:], begin)
    for number, foreign in enumerate(FOREIGN):
        yield Change(f"foreign line {number} at the end", data + foreign, len(data))


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    return zip(accumulate(map(len, lines), initial=0), lines, strict=False)


def _change(what: str, before: bytes, after: bytes) -> Change:
    first = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    return Change(what, after, min(len(before), len(after)) if first is None else first)


def check(change: Change, effort: Effort) -> None:
    """Read, verify and open for append what was changed. Raises Broken when anything of it is not as it should be."""
    try:
        judgement = judge(change.data)
        told_by = _check_reading(change, judgement)
        _check_opening(change, judgement)
    except Broken as error:
        raise Broken(f"{change.what}: {error}", change.what) from error
    except Exception as error:
        if isinstance(error, LedgerError):
            raise Broken(f"{change.what}: {type(error).__name__}: {error}", change.what) from error
        raise Broken(f"{change.what}: it crashed: {type(error).__name__}: {error}", change.what) from error
    effort.figures["changes"] += 1
    if told_by:
        effort.figures[told_by] += 1
    effort.spend()


def _check_reading(change: Change, judgement: Judgement) -> str:
    """Check what a reader shows and ``verify`` finds. Returns what else told of the change, "" when these did."""
    disk = SimulatedDisk({PATH: change.data})
    try:
        ledger = Ledger.open(PATH, "r", disk=disk)
    except LogError as error:
        if judgement.header and not isinstance(error, NotALedger | DamagedLedger):
            raise Broken(f"it cannot be read: {error}") from error
        return ""
    with ledger:
        seqs: list[int] = []
        try:
            for batch in ledger.read():
                seqs += [event.seq for event in batch]
        except DamagedLedger as error:
            if not judgement.damaged:
                raise Broken(f"a torn end is shown as damage: {error}") from error
        found = ledger.verify()
    if disk.contents() != {PATH: change.data}:
        raise Broken("a reader wrote")
    if seqs != list(range(1, len(seqs) + 1)):
        raise Broken(f"a reader shows the seqs {seqs}")
    return _check_verification(change, judgement, found)


def _check_verification(change: Change, judgement: Judgement, found: Verification) -> str:
    sound = judgement.end if judgement.end > judgement.header else 0  # a header alone proves nothing
    if (found.offset, found.events) != (sound, len(judgement.events)):
        raise Broken(f"sound up to {found.offset}, {found.events} events; the format says {judgement.end}")
    if found.sound:
        if change.first < len(change.data) or judgement.end != len(change.data):
            raise Broken("verify did not notice it")
        return RECEIPT if found.sealed else SEAL
    if not all("offset" in problem and "seq" in problem for problem in found.problems) or not found.problems:
        raise Broken(f"verify does not say where: {found.problems}")
    if found.offset > change.first:
        raise Broken(f"verify calls {found.offset} bytes sound, but byte {change.first} was changed")
    return ""


def _check_opening(change: Change, judgement: Judgement) -> None:
    """Damage is left alone; a tail is cut, kept, and only that."""
    disk = SimulatedDisk({PATH: change.data})
    try:
        ledger = Ledger.open(PATH, durability="none", disk=disk, clock=clock)
    except DamagedLedger as error:
        if judgement.header and not judgement.damaged:
            raise Broken(f"a tail is taken for damage: {error}") from error
        if judgement.header and error.offset not in (0, judgement.end):
            raise Broken(f"damage is said to be at {error.offset}, not at {judgement.end}") from error
        if disk.contents()[PATH] != change.data:
            raise Broken("a damaged ledger was changed") from error
        return
    except NotALedger as error:
        if judgement.header or disk.contents()[PATH] != change.data:
            raise Broken(f"not a ledger any more, or changed: {error}") from error
        return
    with ledger:
        seqs = [event.seq for event in ledger.entries()]
        ledger.check()
    after = disk.contents()
    if change.data and (judgement.damaged or not judgement.header):
        raise Broken("damage was not noticed when it was opened for append")
    if seqs != [event["seq"] for event in judgement.events]:
        raise Broken(f"opened for append it has the seqs {seqs}")
    tail = change.data[judgement.end :]
    if not after[PATH].startswith(change.data[: judgement.end]):
        raise Broken("bytes of the sound part were changed")
    if tail and after.get(f"{PATH}.tail-{judgement.end}") != tail:
        raise Broken("the tail that was cut was not kept")


def explore(effort: Effort, *, bits: tuple[int, ...] = BITS, sizes: tuple[int, ...] = (0, 1000, 2**20)) -> None:
    """All changes of ledgers with a large event of each of ``sizes`` bytes, until the effort's time is over."""
    with simulation():
        _explore(effort, bits, sizes)


def _explore(effort: Effort, bits: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    for size in sizes:
        data = small_ledger(size)
        for name, changes in (
            ("bytes flipped", flips(data, bits)),
            ("cuts", cuts(data)),
            ("lines changed", line_changes(data)),
        ):
            for change in islice(changes, 0, None, 1 if size < LARGE else LARGE_STEP):
                check(change, effort)
                effort.figures[name] += 1
                if effort.over:
                    return
