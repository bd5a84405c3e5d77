"""A test of the tests: with each of these faults in the log, the check that is named with it fails.

A mutant is the text of some lines and what stands in their place. It is put into the functions that run, and taken out
again. Should its text no longer be there, the test fails: then the mutant has to follow the code.
"""

import inspect
import os
import signal
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import LedgerLocked
from ezmsg.ledger.events import EdgeConnected, Mark
from ezmsg.ledger.folder import rotation
from ezmsg.ledger.lock import lock
from ezmsg.ledger.projections import GraphState, Timeline, fold
from ezmsg.ledger.projections.lifetimes import archive, index
from ezmsg.ledger.storage import file_access
from ezmsg.ledger.storage.reading import cursor, damage, reader, seq_times, verify
from ezmsg.ledger.storage.writing import flusher, recovery, writer
from ezmsg.ledger.stores import segmented
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

from .simulation import deaths
from .simulation.damage import Change, check, flips, small_ledger
from .simulation.disk import SimulatedDisk
from .simulation.faults import Fault
from .simulation.histories import Explorer, creations
from .simulation.ledgers import PATH, open_simulated, simulation
from .simulation.play import play
from .simulation.recovery import recover
from .simulation.scenarios import Scenario, Step

EIO = 5


class Patch(NamedTuple):
    """In ``module``, ``new`` in the place of ``old``, which stands there once."""

    module: types.ModuleType
    old: str
    new: str


class Mutant(NamedTuple):
    """A fault in the log, and the check that finds it."""

    name: str
    check: Callable[[Path], object]
    patches: tuple[Patch, ...]


@contextmanager
def mutated(patches: tuple[Patch, ...]) -> Iterator[None]:
    """The log with a fault in it: the code of each function that is changed by it is exchanged where it stands."""
    before: list[tuple[types.FunctionType, types.CodeType]] = []
    try:
        for module in {patch.module: None for patch in patches}:
            source = inspect.getsource(module)
            for _, old, new in (patch for patch in patches if patch.module is module):
                assert source.count(old) == 1, f"{module.__name__} has {source.count(old)} times:\n{old}"
                source = source.replace(old, new)
            compiled = compile(source, str(module.__file__), "exec")
            codes = {code.co_qualname: code for code in _codes(compiled)}
            changed = [each for each in _functions(module) if _differ(each.__code__, codes.get(each.__qualname__))]
            assert changed, f"nothing that runs in {module.__name__} is changed"
            for function in changed:
                before.append((function, function.__code__))
                function.__code__ = codes[function.__qualname__]
        yield
    finally:
        for function, code in before:
            function.__code__ = code


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def _functions(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in vars(module).values():
        if getattr(value, "__module__", None) == module.__name__:
            for each in (value, *(vars(value).values() if isinstance(value, type) else ())):
                inner = inspect.unwrap(getattr(each, "fget", None) or getattr(each, "__func__", each))
                if isinstance(inner, types.FunctionType):
                    yield inner


def _differ(a: types.CodeType, b: types.CodeType | None) -> bool:
    """Whether two codes do different things, wherever in the file they stand."""
    if b is None:
        return False
    plain = [constant for constant in a.co_consts if not isinstance(constant, types.CodeType)]
    other = [constant for constant in b.co_consts if not isinstance(constant, types.CodeType)]
    inner = zip(_codes(a), _codes(b), strict=False)
    return (a.co_code, a.co_names, plain) != (b.co_code, b.co_names, other) or any(_differ(c, d) for c, d in inner)


# --- the checks ---


def histories(level: Any, *names: str) -> Callable[[Path], object]:
    def run(folder: Path) -> None:
        with simulation():
            Explorer(Effort(), again_every=1000).explore(names, level)

    return run


def creation(folder: Path) -> None:
    with simulation():
        creations(Effort())


def story(level: Any, *steps: Step) -> Callable[[Path], object]:
    return lambda folder: play(Scenario(level, steps))


def nameless(folder: Path) -> None:
    """The folder of a new ledger was made, but its name could not be synced."""
    failing = Step("rotate", fault=Fault("sync_folder", 1, EIO))
    for dice in range(20):
        play(Scenario("commit", (failing, Step("append"), Step("power cut")), dice))


def torn(folder: Path) -> None:
    """A torn end that is longer than the note that is written in its place."""
    with simulation():
        recover({PATH: small_ledger(5000)[:-1000]})


def damaged(folder: Path) -> None:
    """Changed bytes in events that were known to be on the disk."""
    with simulation():
        for change in list(flips(small_ledger(), (0x01,)))[300:1200:29]:
            check(change, Effort())


def moved(folder: Path) -> None:
    """Bytes cut out of what was never known to be on the disk: nothing but the places of the lines tells."""
    with simulation():
        disk = SimulatedDisk()
        with open_simulated(disk, "none") as ledger:
            for name in ("one", "two", "three"):
                ledger.append([Mark(name=name)])
            data = disk.contents()[PATH]
        where = data.index(b"one")
        check(Change("3 bytes cut out", data[:where] + data[where + 3 :], where), Effort())


def miscounted(folder: Path) -> None:
    """A last commit line that counts one event more than there are: nothing but its own numbers tell."""
    data = small_ledger()
    data = data[: data.rindex(b'{"type":"ledger.commit"')]
    where = data.rindex(b'"count":') + 8
    with simulation():
        check(Change("another count", data[:where] + b"2" + data[where + 1 :], where), Effort())


def sealed(folder: Path) -> None:
    """Of a file that was cut just behind a commit it is said that nobody closed it."""
    data = small_ledger()
    disk = SimulatedDisk({PATH: data[: data.rindex(b'{"type":"ledger.commit"')]})
    with Ledger.open(PATH, "r", disk=disk) as ledger:
        found = ledger.verify()
        if not found.sound or found.sealed:
            raise Broken(f"it is said to be sealed: {found}")


def clocks(folder: Path) -> None:
    """A clock that goes back: order is the seq, and a time finds the last seq that is not later."""
    with Ledger.open(folder / "x.ledger", durability="none", clock=iter([0, 10, 50, 20, 20]).__next__) as ledger:
        for name in "abcd":
            ledger.append([Mark(name=name)])
        if [event.seq for event in ledger.entries()] != [1, 2, 3, 4] or [ledger.seq_at(t) for t in (9, 10, 20)] != [
            0, 1, 4,
        ]:  # fmt: skip
            raise Broken("the clock has a say in the order")


def indexed(change: Callable[[Path, Path], object]) -> Callable[[Path], object]:
    """A question about the past with an index beside the ledger, after a ``change`` of ledger or index."""

    def run(folder: Path) -> None:
        path = folder / "x.ledger"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archive, "SAVE_EVERY", 5)  # an index of a short ledger, too
            _connect(path, "A", "B", "C", "D", "E")
            _answer(path)
            kept = Path(f"{path}{index.SUFFIX}")
            if not kept.exists():
                raise Broken("no index was kept")
            change(path, kept)
            _answer(path)

    return run


def _connect(path: Path, *topics: str) -> None:
    with Ledger.open(path, durability="none") as ledger:
        for topic in topics:
            ledger.append([EdgeConnected(from_topic=topic, to_topic="Z", owner=None)])


def _answer(path: Path) -> None:
    with Ledger.open(path, "r") as ledger:
        there = {edge for edge, _ in fold(ledger.read(), GraphState()).ownership.edges()}
        if (told := set(Timeline(ledger).lifetimes.edges_at(ledger.head))) != there:
            raise Broken(f"the index tells of {sorted(told)}, the ledger of {sorted(there)}")


def another_history(path: Path, kept: Path) -> None:
    """The ledger is cut back, as by a power cut, and goes on in another way: the index is of what is gone."""
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'{"type":"edge.connected","seq":3')])
    _connect(path, "K", "L", "M", "N")


def changed_letter(path: Path, kept: Path) -> None:
    """A topic in the index has another letter."""
    kept.write_bytes(kept.read_bytes().replace(b'"A"', b'"X"'))


def forked(folder: Path) -> None:
    """A child that outlives its parent does not keep the lock."""
    path = folder / "x.ledger"
    (gate, opener), (told, teller) = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            Ledger.open(path, durability="none")
            if os.fork() == 0:
                os.close(opener)
                os.write(teller, b"x")
                os.read(gate, 1)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(parent, 0)
    os.read(told, 1)  # the child has started, and lives
    try:
        Ledger.open(path).close()
    except LedgerLocked as error:
        raise Broken(f"the child of a writer that is dead keeps its lock: {error}") from error
    finally:
        for end in (gate, opener, told, teller):
            os.close(end)


MUTANTS = (
    Mutant("no sync", histories("commit", "append 1"), (
        Patch(flusher, "            try:\n                sync_file(self._disk, self._handle)\n            except",
              "            try:\n                pass\n            except"),)),
    Mutant("sync before write", histories("commit", "append 1"), (
        Patch(writer, "            end = self._commit(encode_stamped(",
              "            self._disk.sync(self.handle)\n            end = self._commit(encode_stamped("),
        Patch(writer, "        if inline:\n            flusher.sync(end)\n", ""),)),
    Mutant("no truncation at recovery", torn, (
        Patch(recovery, "        disk.truncate(handle, place.offset)\n", ""),)),
    Mutant("orphan bytes adopted", torn, (
        Patch(recovery, "        saved = _save_tail(disk, handle, path, place.offset, size)\n"
              "        disk.truncate(handle, place.offset)\n",
              "        digest.update(b''.join(pieces(disk, handle, place.offset, size)))\n"
              "        place, tail = Place(size, place.seq, place.line), 0\n"),)),
    Mutant("the tail is not kept", torn, (
        Patch(recovery, "        saved = _save_tail(disk, handle, path, place.offset, size)\n", ""),)),
    Mutant("digest unchecked when it is opened", damaged, (
        Patch(recovery, "if digest.hexdigest() != commit.sha256 or not fits(", "if not fits("),)),
    Mutant("digest unchecked by verify", damaged, (
        Patch(verify, "if ahead.hexdigest() != commit.sha256:", "if False:"),)),
    Mutant("count unchecked", miscounted, (
        Patch(cursor, "    if commit.count != count:\n", "    if False:\n"),)),
    Mutant("lock kept by a forked child", forked, (
        Patch(lock, "        for handle in (*self._guarded, self._handle):\n            self._disk.close(handle)\n",
              ""),)),
    Mutant("failed sync retried without rewriting",
           story("commit", Step("append"), Step("append", fault=Fault("sync", 1, EIO)), Step("power cut")), (
        Patch(flusher, "            for offset, data in self._pending:\n"
              "                write_all(self._disk, self._handle, data, offset)\n", ""),)),
    Mutant("unsynced bytes not written again when it is opened",
           story("interval", Step("append", size=700), Step("sync", fault=Fault("sync", 1, EIO, 2)), Step("sync"),
                 Step("power cut")), (
        Patch(recovery, "    _write_again(disk, handle, synced, place.offset)\n", ""),)),
    Mutant("clock used for order", clocks, (
        Patch(reader, "        if batch := clip(batch, after, until):\n            yield batch\n",
              "        if batch := clip(batch, after, until):\n"
              "            yield sorted(batch, key=lambda event: event.time)\n"),)),
    Mutant("clock thought to go forward", clocks, (
        Patch(seq_times, "while times and times[-1] >= time:", "while False:"),)),
    Mutant("damage cut as a tail", damaged, (
        Patch(recovery, "    if (damage := damage_after(disk, handle, path, found[0])) is not None:\n"
                        "        raise damage\n", ""),)),
    Mutant("lines that were moved taken for a tail", moved, (
        Patch(damage, "    elif (found := displaced(disk, handle, place.offset)) is not None:\n",
              "    elif (found := None) is not None:\n"),)),
    Mutant("seal ignored", sealed, (
        Patch(verify, "sealed=end.offset == size and last is not None and last.seals,",
              "sealed=True,"),)),
    Mutant("no seal", torn, (
        Patch(writer, "                self.flusher.sync()\n                self._seal()\n",
              "                self.flusher.sync()\n"),)),
    Mutant("the name of a new ledger not synced", creation, (
        Patch(file_access, "        disk.sync_folder(os.path.dirname(path))\n", ""),
        Patch(recovery, "    if place.seq == start.seq:  #", "    if False:  #"),)),
    Mutant("the name of a segment not synced", histories("commit", "append 1", "rotate", "append 1"), (
        Patch(writer, "        try:\n            self._disk.sync_folder(os.path.dirname(self.path))\n",
              "        try:\n            pass\n"),)),
    Mutant("a segment begun behind one that is not on the disk", histories("none", "append 1", "rotate"), (
        Patch(writer, "        self._seal_early()\n", ""),
        Patch(writer, "                    self._seal_now()\n", ""))),
    Mutant("the checkpoint of another moment", histories("none", "append 1", "rotate"), (
        Patch(segmented, "since(end.seq) if", "since(end.seq - 1) if"),)),
    Mutant("a segment removed before the compressed one lasts",
           histories("none", "append 1", "rotate", "compress"), (
        Patch(rotation, "        disk.replace(target + NEW, target)\n        disk.sync_folder(folder)\n",
              "        disk.replace(target + NEW, target)\n"),)),
    Mutant("segments dropped that no checkpoint stands for", histories("none", "append 1", "rotate", "drop"), (
        Patch(rotation, "    for number in segments.numbers()[:-1]:\n        following = segments.opening(number + 1)",
              "    for number in segments.numbers():\n        following = segments.opening(segments.numbers()[-1])"),)),
    Mutant("a file moved into a folder that may not last", histories("none", "append 1", "rotate"), (
        Patch(rotation, "        disk.sync_folder(os.path.dirname(folder))\n        disk.replace(folder, target)\n",
              "        disk.replace(folder, target)\n"),)),
    Mutant("a move into a folder not synced by who finishes it",
           lambda folder: deaths.fail_in_a_move(Effort()), (
        Patch(rotation, "        disk.sync_folder(moving)\n", ""),)),
    Mutant("the name of a new folder not synced",
           nameless, (
        Patch(rotation, "        if len(numbers) == 1:  #", "        if False:  #"),)),
    Mutant("the name of a segment not synced by who opens it",
           lambda folder: deaths.die_in_a_rotation(Effort()), (
        Patch(rotation, "        disk.sync_folder(folder)\n        numbers", "        numbers"),
        Patch(recovery, "    if place.seq == start.seq:  #", "    if False:  #"))),
    Mutant("index trusted blindly", indexed(another_history), (
        Patch(archive, "            if self.ledger.holds(index.head.place):\n", "            if True:\n"),)),
    Mutant("index with changed bytes trusted", indexed(changed_letter), (
        Patch(index, "            if zlib.crc32(block) != crcs[number]:\n", "            if False:\n"),)),
)  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one of the checks forks")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_check_finds_the_fault(mutant: Mutant, tmp_path: Path) -> None:
    for name in ("sound", "mutated", "sound again"):
        (tmp_path / name).mkdir()
    mutant.check(tmp_path / "sound")
    with mutated(mutant.patches), pytest.raises(Broken):  # what merely crashes has not found it
        mutant.check(tmp_path / "mutated")
    mutant.check(tmp_path / "sound again")


def test_a_mutant_whose_text_is_gone_is_no_mutant() -> None:
    with pytest.raises(AssertionError, match="has 0 times"), mutated((Patch(writer, "no such line", ""),)):
        pass
