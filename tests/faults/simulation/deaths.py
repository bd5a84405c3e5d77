"""Writers that die or fail while a folder or a segment is made: their successor cannot know what is on the disk."""

import errno
import os

from ezmsg.ledger.errors import LogError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

from .damage import small_ledger
from .disk import SimulatedDisk, no_fault
from .ledgers import PATH, forget, matters, open_simulated, simulation
from .recovery import recover
from .survivors import Image, images


class Killed(BaseException):
    """The process is gone."""


def explore(effort: Effort) -> None:
    """Deaths in a rotation, then failures in a move. Raises Broken."""
    die_in_a_rotation(effort)
    fail_in_a_move(effort)


def die_in_a_rotation(effort: Effort) -> list[str]:
    """Kill a writer at every step of a rotation; whatever the next one acknowledges outlives a power cut.

    Returns the calls at which it was killed. Raises Broken.
    """
    dead: list[str] = []
    with simulation():
        while (disk := _killed(dead)) is not None:
            with open_simulated(disk, "commit") as ledger:
                ledger.append([Mark(name="c")])
                for image in images(disk.tree, matters, corners=True):
                    effort.figures["crash states"] += 1
                    if (found := recover(image).names) != ("a", "b", "c"):
                        raise Broken(f"killed at {dead}: {found}")
    effort.figures["deaths"] += len(dead)
    return dead


def _killed(dead: list[str]) -> SimulatedDisk | None:
    """The disk when a writer dies at the next step of its second rotation, noted in ``dead``; None without one."""
    disk = SimulatedDisk()
    ledger = open_simulated(disk, segmented=True)
    ledger.append([Mark(name="a")])
    ledger.rotate([b"{}"])
    ledger.append([Mark(name="b")])
    steps = 0

    def step(call: str) -> None:
        nonlocal steps
        steps += 1
        if steps > len(dead):
            dead.append(call)
            raise Killed

    disk.step = step
    try:
        ledger.rotate([b"{}"])
    except Killed:
        disk.step = lambda call: None
        after = disk.after_kill()
        forget(ledger, disk)
        return after
    disk.step = lambda call: None
    ledger.close()
    return None


def fail_in_a_move(effort: Effort) -> None:
    """A ledger of one file becomes a folder, and each sync of a folder fails once; the next opening goes on with that,
    and the power is cut at every step of it. Raises Broken.
    """
    with simulation():
        whole = {PATH: small_ledger()}
        names = recover(whole).names
        nth = 1
        while (disk := _failed(whole, nth)) is not None:
            left: list[Image] = []
            disk.step = lambda call, disk=disk, left=left: left.extend(images(disk.tree, matters))  # type: ignore[misc]
            open_simulated(disk, segmented=True).close()
            for image in left:
                if (found := recover(image, segmented=True).names) != names:
                    raise Broken(f"sync {nth} of a folder failed: {found}")
            effort.figures["crash states"] += len(left)
            effort.figures["failed moves"] += 1
            nth += 1


def _failed(image: Image, nth: int) -> SimulatedDisk | None:
    """The disk when the ``nth`` sync of a folder failed; None when there are fewer."""
    disk = SimulatedDisk(image)
    syncs = 0

    def fault(call: str, about: str) -> None:
        nonlocal syncs
        syncs += call == "sync_folder"
        if call == "sync_folder" and syncs == nth:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.fault = fault
    try:
        open_simulated(disk, segmented=True).close()
    except LogError:
        disk.fault = no_fault
        return disk
    return None
