"""The trials of a real folder that need no dice: locks, syncs, forks, a full disk, torn and damaged files."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ezmsg.ledger.errors import DamagedLedger, LedgerLocked
from ezmsg.ledger.events import Mark
from ezmsg.ledger.lock.lock import network_file_system
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

SYNCS = 40
"""Appends at level commit that are timed: enough for a median."""

FULL_SIZES = (4_096, 10_000, 20_001)
"""Bytes at which a ledger may not grow any more: between two sectors, and within one."""

FLIPS = 64
"""Bytes that are flipped, one at a time, spread over the file."""


def write(effort: Effort, folder: Path) -> None:
    """Append and sync; read it back, also by what the file itself says."""
    path = folder / "written.ledger"
    with Ledger.open(path, durability="commit") as ledger:
        for number in range(SYNCS):
            begun = time.perf_counter()
            ledger.append([Mark(name=f"{number}")])
            effort.samples.append(time.perf_counter() - begun)
            if ledger.durable_seq != number + 1:
                raise Broken(f"append {number} at level commit was acknowledged, but is not said to be durable")
        ledger.check()
    with Ledger.open(path, "r") as reader:
        found = reader.verify()
        if not (found.sound and found.sealed) or found.events != SYNCS:
            raise Broken(f"{path}: what was written is not what is read: {found.problems}")
    effort.figures["appends synced"] += SYNCS


def lock(effort: Effort, folder: Path) -> None:
    """A second writer is refused, in this process and in another, until the first one has closed the ledger."""
    path = folder / "locked.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([Mark(name="mine")])
        _refused(lambda: Ledger.open(path), "this process opened it twice")
        if _other_process(path) != "refused":
            raise Broken("another process could open a ledger that this one writes: locks do not lock here")
        Path(f"{path}.lock").unlink()
        if sys.platform != "win32" and _other_process(path) != "refused":
            raise Broken("without its lock file a ledger has two writers: locks do not lock here")
    if _other_process(path) != "opened":
        raise Broken("the lock of a writer that closed is not free")
    effort.figures["locks tried"] += 4


def _refused(call: Callable[[], Ledger], what: str) -> None:
    try:
        call().close()
    except LedgerLocked:
        return
    raise Broken(f"{what}: locks do not lock here")


_OPENS = """
import sys
from ezmsg.ledger import Ledger, errors
try:
    Ledger.open(sys.argv[1]).close()
except errors.LedgerLocked:
    print("refused")
else:
    print("opened")
"""


def _other_process(path: Path) -> str:
    command = [sys.executable, "-c", _OPENS, str(path)]
    # a session of its own: Ctrl-C is for the process that waits, which ends this one
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, start_new_session=True)
    return done.stdout.strip() or done.stderr.strip()


_PARENT = """
import os, sys
from ezmsg.ledger import Ledger, events
ledger = Ledger.open(sys.argv[1], durability="none")
ledger.append([events.Mark(name="of the parent")])
started, starts = os.pipe()
if os.fork() == 0:
    os.close(1)
    os.write(starts, b"x")
    sys.stdin.readline()  # outlives its parent, until it is told
    os._exit(0)
os.read(started, 1)
os.kill(os.getpid(), 9)
"""


def fork(effort: Effort, folder: Path) -> None:
    """A forked child that outlives its parent does not keep the parent's lock. Nothing to try where nothing forks."""
    if not hasattr(os, "fork"):
        return
    path = folder / "forked.ledger"
    command = [sys.executable, "-c", _PARENT, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as parent:
        parent.wait(60)
        try:
            with Ledger.open(path) as ledger:  # its child still lives
                if ledger.head != 1:
                    raise Broken("what a killed parent wrote is not there")
        except LedgerLocked as error:
            raise Broken(f"the child of a writer that is dead keeps its lock: {error}") from error
        finally:
            assert parent.stdin is not None
            parent.stdin.close()
    effort.figures["forks"] += 1


_FILLING = """
import resource, sys
from ezmsg.ledger import Ledger, errors, events
size, most = int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with Ledger.open(sys.argv[1], durability="commit") as ledger:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    appended = 0
    try:
        while True:
            ledger.append([events.Mark(name="x" * 700)])
            appended += 1
    except errors.LogError:
        print("refused after", appended)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    ledger.append([events.Mark(name="there is room again")])
    print("went on at", ledger.head)
"""


def full(effort: Effort, folder: Path) -> None:
    """A ledger that may not grow refuses an append, keeps all before it, and goes on when it may grow again.

    The user's disk is not filled for that: another process forbids itself files beyond FULL_SIZES bytes, and gets the
    same short writes from the system. Nothing to try where the system knows no such limit.
    """
    if find_spec("resource") is None:
        return
    for size in FULL_SIZES:
        path = folder / f"full-{size}.ledger"
        command = [sys.executable, "-c", _FILLING, str(path), str(size)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, start_new_session=True)
        told = done.stdout.split()
        if done.returncode or told[:2] != ["refused", "after"] or told[3:6] != ["went", "on", "at"]:
            raise Broken(f"a ledger that found no room: {done.stdout.strip()} {done.stderr.strip()}")
        with Ledger.open(path, "r") as reader:
            found = reader.verify()
        if not (found.sound and found.sealed) or not int(told[2]) + 1 == int(told[6]) == found.events:
            raise Broken(f"{path}: {told[2]} appends found room and one after them; {found.events} are there")
        effort.figures["appends without room"] += 1
        effort.figures["appends before and after"] += found.events


def torn(effort: Effort, folder: Path) -> None:
    """A file that ends in the middle of an append: its whole part stays, its end is put aside."""
    path = folder / "torn.ledger"
    with Ledger.open(path) as ledger:
        for number in range(5):
            ledger.append([Mark(name=f"{number}" * 300)])
    data = path.read_bytes()
    for cut in (1, 40, 200, 600):
        path.write_bytes(data[:-cut])
        with Ledger.open(path, "r") as reader:
            whole, tail = reader.verify().offset, reader.tail_bytes
        with Ledger.open(path) as ledger:
            ledger.append([Mark(name="after")])
        if not path.read_bytes().startswith(data[:whole]):
            raise Broken(f"{path}: recovery changed what was whole")
        kept = [each.read_bytes() for each in folder.glob(f"{path.name}.tail-{whole}*")]
        if tail and data[whole : len(data) - cut] not in kept:
            raise Broken(f"{path}: what was cut was not kept")
        effort.figures["torn ends"] += 1


def damage(effort: Effort, folder: Path) -> None:
    """Changed bytes are noticed, and damage is left alone."""
    path = folder / "damaged.ledger"
    with Ledger.open(path, durability="commit") as ledger:
        for number in range(20):
            ledger.append([Mark(name=f"{number}")])
    data = path.read_bytes()
    with Ledger.open(path, "r") as reader:
        synced = int(reader.receipt.partition('"at":')[2].partition(",")[0])
    start = data.index(b"\n") + 1
    for offset in range(start, synced, max(1, (synced - start) // FLIPS)):
        changed = bytearray(data)
        changed[offset] ^= 1
        path.write_bytes(changed)
        with Ledger.open(path, "r") as reader:
            found = reader.verify()
        if found.sound or found.offset > offset:
            raise Broken(f"byte {offset} of {path} was changed, and verify did not notice")
        try:
            Ledger.open(path).close()
        except DamagedLedger:
            pass  # as it should be
        else:
            raise Broken(f"byte {offset} of {path} had reached the disk and was changed; it was cut away as a torn end")
        if path.read_bytes() != changed:
            raise Broken(f"{path}: a damaged ledger was written to")
        effort.figures["bytes flipped"] += 1


def file_system(effort: Effort, folder: Path) -> None:
    """Whether the folder is on a disk of this machine."""
    kind = network_file_system(OS_DISK, str(folder / "x.ledger"))
    if kind is not None:
        raise Broken(f"{folder} is on a network file system ({kind}): locks and syncs may not hold what they promise")
    effort.figures["file systems looked up"] += 1
