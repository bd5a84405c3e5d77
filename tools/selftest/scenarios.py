"""Long histories under faults, made from a seed: the same seed gives the same story; a failing one is made short."""

import errno
import os
import random
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.log import Ledger, LedgerReader
from ezmsg.ledger.storage.flusher import Durability
from ezmsg.ledger.tools.selftest.disk import SimulatedDisk, no_fault
from ezmsg.ledger.tools.selftest.effort import Effort
from ezmsg.ledger.tools.selftest.promises import (
    NOW,
    PATH,
    Broken,
    forget,
    look,
    names_of,
    open_simulated,
    recover,
    segments_in,
    short,
    simulation,
    state_of,
)
from ezmsg.ledger.tools.selftest.survivors import random_image

ERRORS: dict[str, tuple[int, ...]] = {
    "write": (errno.ENOSPC, errno.EIO, errno.EINTR, errno.EROFS),
    "sync": (errno.EIO, errno.ENOSPC, errno.EINTR),
    "truncate": (errno.EIO, errno.EROFS),
    "open": (errno.EMFILE, errno.EIO, errno.EROFS),
    "create": (errno.EMFILE, errno.ENOSPC, errno.EROFS),
    "open_lock": (errno.EMFILE, errno.EROFS),
    "duplicate": (errno.EMFILE,),
    "link": (errno.EIO, errno.ENOSPC),
    "unlink": (errno.EIO,),
    "make_folder": (errno.ENOSPC, errno.EROFS),
    "names": (errno.EIO, errno.EMFILE),
    "replace": (errno.EIO,),
    "remove": (errno.EIO, errno.EROFS),
    "sync_folder": (errno.EIO,),
    "lock": (errno.ENOLCK,),
    "read": (errno.EIO,),
    "size": (errno.EIO,),
    "kind": (errno.EACCES,),
    "identity": (errno.EIO,),
    "modified": (errno.EIO,),
    "touch": (errno.EROFS,),
}
"""What each call to the system can say. Python itself goes on after EINTR, except where a signal's handler raised."""


class Fault(msgspec.Struct, frozen=True):
    """From the ``nth`` call of a kind on (1: the next), so many ``times``, the system says ``error``."""

    call: str
    nth: int
    error: int
    times: int = 1


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is done or happens; ``events`` and ``size`` (bytes of each) are those of an append."""

    what: Literal["append", "sync", "read", "rotate", "compress", "drop", "close", "kill", "power cut"]
    events: int = 1
    size: int = 8
    fault: Fault | None = None


class Scenario(msgspec.Struct, frozen=True):
    """A story. ``dice``: what survives the power cuts; ``write_most``: bytes that one write takes; ``evict``: whether
    reading shows, after a failed sync, what the disk has."""

    level: Durability
    steps: tuple[Step, ...]
    dice: int = 0
    write_most: int | None = None
    evict: bool = False

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


SEALED: tuple[str, ...] = ("drop",) if find_spec("zstandard") is None else ("compress", "drop")
"""What is done to sealed segments. Without the library none is compressed, and a seed tells another story."""


def scenario_of(seed: int) -> Scenario:
    """The story of a seed: up to 14 steps, half of them with a fault."""
    dice = random.Random(seed)
    kinds = (*("append",) * 4, "sync", "read", *("rotate",) * 3, *SEALED, "close", "kill", "power cut")
    return Scenario(
        level=dice.choice(("none", "interval", "commit", "commit")),
        steps=tuple(
            Step(
                what=dice.choice(kinds),  # type: ignore[arg-type]
                events=dice.choice((1, 1, 2, 7)),
                size=dice.choice((1, 8, 300, 700, 5000)),
                fault=_fault(dice) if dice.random() < 0.5 else None,
            )
            for _ in range(dice.randint(3, 14))
        ),
        dice=seed,
        write_most=dice.choice((None, None, 100, 1000)),
        evict=dice.random() < 0.5,
    )


def _fault(dice: random.Random) -> Fault:
    call = dice.choice((*ERRORS, "write", "sync", "sync", "truncate"))
    return Fault(call, dice.choice((1, 1, 1, 2, 3)), dice.choice(ERRORS[call]), dice.choice((1, 1, 2, 3)))


class Injection:
    """A fault that is on: raises what a call is to say, and counts how often it did."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.raised = 0

    def __call__(self, call: str, about: str) -> None:
        if call != self.fault.call:
            return
        self.seen += 1
        if self.fault.nth <= self.seen < self.fault.nth + self.fault.times:
            self.raised += 1
            raise OSError(self.fault.error, os.strerror(self.fault.error))


class Play:
    """A scenario as it runs: the ledger, and what of it is promised.

    ``commits``: what was acknowledged, oldest first. ``doubtful``: an append that was refused. It is not in the ledger,
    but a power cut can bring it back: what was written and could not be synced may have been on the disk all the same.
    ``segmented``: whether it is to be a folder, from the first rotation on. ``firsts``: the seqs that the history may
    begin with, ``begins`` those at which a segment may have been begun.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.dice = random.Random(scenario.dice)
        self.commits: list[tuple[str, ...]] = []
        self.doubtful: tuple[str, ...] = ()
        self.sync_failed = False
        self.segmented = False
        self.firsts = {1}
        self.begins: set[int] = set()
        self.durable = 0
        self.faults = 0
        self.cuts = 0
        self._number = 0
        self.ledger: Ledger | None = None
        self.disk = self._new_disk({})

    def _new_disk(self, image: dict[str, bytes]) -> SimulatedDisk:
        disk = SimulatedDisk(image)
        disk.write_most = self.scenario.write_most
        disk.evict = self.scenario.evict
        return disk

    def run(self) -> None:
        """Raises Broken, naming the step."""
        for number, step in enumerate(self.scenario.steps):
            injection = Injection(step.fault) if step.fault is not None else None
            if injection is not None:
                self.disk.fault = injection
            try:
                self._do(step)
            except Broken as error:
                raise Broken(f"step {number} ({step.what}): {error}", str(self.scenario)) from error
            except Exception as error:  # whatever it is, it is not what an append or an opening may raise
                what = f"step {number} ({step.what}) raised {type(error).__name__}: {error}"
                raise Broken(what, str(self.scenario)) from error
            finally:
                self.disk.fault = no_fault
                if injection is not None:
                    self.faults += injection.raised
                    self.sync_failed |= injection.fault.call == "sync" and injection.raised > 0
        self._cut()

    def _do(self, step: Step) -> None:
        if step.what == "power cut":
            self._cut()
        elif step.what == "kill":
            self._abandon()
        elif step.what == "close":
            self._close()
        elif step.what == "rotate":
            self._rotate()
        elif self._opened():
            assert self.ledger is not None
            if step.what in SEALED:
                self._tend(self.ledger, step.what)
            elif step.what == "append":
                self._append(step)
            elif step.what == "sync":
                self._try(self.ledger.sync)
            else:
                self._read()
        self._note_durable()

    def _try(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except LedgerError:
            return False
        return True

    def _rotate(self) -> None:
        """What is one file becomes a folder first."""
        self.segmented = True
        if self.ledger is None or not self.ledger.segmented:
            self._close()
        if self._opened():
            assert self.ledger is not None
            self.begins.add(self.ledger.next_seq)
            self._try(lambda: self.ledger.rotate(since=lambda seq: [state_of(self._flat()[:seq])]))  # type: ignore[union-attr]

    def _tend(self, ledger: Ledger, what: str) -> None:
        """Compress or drop the sealed segments, where there are any."""
        if not ledger.segmented:
            return
        if what == "drop":
            self.firsts |= self.begins
        try:
            ledger.pack() if what == "compress" else ledger.drop(NOW + 1)
        except (LedgerError, OSError) as error:
            if not self._injected():
                raise Broken(f"what is sealed cannot be tended: {type(error).__name__}: {error}") from error

    def _opened(self) -> bool:
        """Open the ledger if it is not; False when a fault was in the way, which must leave nothing behind."""
        if self.ledger is not None and self.ledger.failure is None:
            return True
        self._close()
        try:
            self.ledger = open_simulated(self.disk, self.scenario.level, segmented=self.segmented)
        except LedgerError as error:
            if not self._injected():
                raise Broken(f"it cannot be opened: {type(error).__name__}: {error}") from error
            if self.disk.open_handles:
                raise Broken(f"a refused opening left {self.disk.open_handles} handles open") from error
            return False
        sync_failed = self.sync_failed or self._injected("sync")
        fault, self.disk.fault = self.disk.fault, no_fault
        self._check_found(names_of(self.ledger), self.ledger.first, self.durable if sync_failed else self._whole())
        self.disk.fault = fault
        return True

    def _injected(self, *calls: str) -> bool:
        """Whether the fault of this step (if it is one of ``calls``) has struck."""
        fault = self.disk.fault
        return isinstance(fault, Injection) and fault.raised > 0 and (not calls or fault.fault.call in calls)

    def _append(self, step: Step) -> None:
        assert self.ledger is not None
        self._number += 1
        names = tuple(f"{self._number}.{n}" + "x" * (step.size - 4) for n in range(step.events))
        names = tuple(name[:60] for name in names) if step.size < 64 else names
        if self._try(lambda: self.ledger.append([Mark(name=name) for name in names])):  # type: ignore[union-attr]
            self.commits.append(tuple(map(short, names)))
            self.doubtful = ()
        else:
            self.doubtful = tuple(map(short, names))
            self.disk.fault = no_fault
            if self.ledger.failure is None and names_of(self.ledger) != self._flat()[self.ledger.first - 1 :]:
                raise Broken("an append that was refused left something, or took something away")

    def _read(self) -> None:
        self._try(lambda: self._look_at(Ledger.open(PATH, "r", disk=self.disk)))

    def _look_at(self, ledger: LedgerReader) -> None:
        with ledger:
            seqs = [event.seq for event in ledger.entries()]
            ledger.verify()
            if seqs != list(range(ledger.first, ledger.first + len(seqs))):
                raise Broken(f"a reader saw {seqs}")

    def _flat(self) -> tuple[str, ...]:
        return tuple(name for commit in self.commits for name in commit)

    def _whole(self) -> int:
        return sum(map(len, self.commits))

    def _note_durable(self) -> None:
        if self.ledger is not None:
            self.durable = max(self.durable, self.ledger.durable_seq)
        if self.scenario.level == "commit":
            self.durable = max(self.durable, self._whole())

    def _check_found(self, names: tuple[str, ...], first: int, promised: int) -> None:
        """What is there, from seq ``first`` on, is whole commits, and no fewer events than were ``promised``."""
        if first not in self.firsts:
            raise Broken(f"the history begins with seq {first}, not with one of {sorted(self.firsts)}")
        found = self._flat()[: first - 1] + names
        legal = []
        flat: tuple[str, ...] = ()
        for commit in [(), *self.commits, self.doubtful]:
            flat += commit
            if len(flat) >= promised:
                legal.append(flat)
        if found not in legal:
            raise Broken(f"found {len(found)} events {found[-3:]!r:.200}; {promised} were promised")
        kept: list[tuple[str, ...]] = []
        for commit in [*self.commits, self.doubtful]:
            if commit and found[sum(map(len, kept)) :][: len(commit)] == commit:
                kept.append(commit)
        self.commits, self.doubtful = kept, ()
        if self._flat() != found:
            raise Broken("half a commit was found")

    def _close(self) -> None:
        if self.ledger is not None:
            self._try(self.ledger.close)
            self._note_durable()
            self.ledger = None

    def _abandon(self) -> None:
        """Die without a word: what was written stands, the lock is gone."""
        self._note_durable()
        dead, self.disk = self.disk, self.disk.after_kill()
        if self.ledger is not None:
            forget(self.ledger, dead)
            self.ledger = None

    def _cut(self) -> None:
        image = random_image(self.disk, self.dice)
        self.cuts += 1
        self._abandon()
        if not segments_in(image) and self.durable == 0 and not self._promised_to_be_there():
            self.commits, self.doubtful = [], ()
            self.disk = self._new_disk(image)
            return
        if any(segments_in(image).values()):
            look(image)
        left = recover(image, segmented=self.segmented)
        self._check_found(left.names, left.first, self.durable)
        self.firsts = {left.first}
        for seq, states in left.starts:
            if states != (state_of(self._flat()[:seq]),):
                raise Broken(f"the checkpoint behind seq {seq} is not what a fold leads to: {states!r:.300}")
        self.disk = self._new_disk(image)
        self.sync_failed = False

    def _promised_to_be_there(self) -> bool:
        return bool(segments_in({name: node.durable for name, node in self.disk.tree.files_after(()).items()}))


def play(scenario: Scenario) -> Play:
    """Run a scenario to its end. Raises Broken."""
    with simulation():
        play = Play(scenario)
        play.run()
    return play


def shorten(scenario: Scenario) -> Scenario:
    """The shortest story that still fails, as far as leaving out steps, faults and bytes one by one leads."""
    current = scenario
    while True:
        for candidate in _simpler(current):
            if _fails(candidate):
                current = candidate
                break
        else:
            return current


def _simpler(scenario: Scenario) -> list[Scenario]:
    replace = msgspec.structs.replace
    steps = scenario.steps
    shorter = [replace(scenario, steps=steps[:n] + steps[n + 1 :]) for n in range(len(steps))]
    plainer = [
        replace(scenario, steps=(*steps[:n], simple, *steps[n + 1 :]))
        for n, step in enumerate(steps)
        for simple in (replace(step, fault=None), replace(step, events=1, size=8))
        if simple != step
    ]
    easier = [replace(scenario, write_most=None), replace(scenario, evict=False)]
    return [*shorter, *plainer, *(each for each in easier if each != scenario)]


def _fails(scenario: Scenario) -> bool:
    try:
        play(scenario)
    except Broken:
        return True
    return False


def explore(effort: Effort, seeds: range) -> None:
    """The stories of ``seeds``, until the effort's time is over. Raises Broken, with the shortest that fails."""
    for seed in seeds:
        scenario = scenario_of(seed)
        try:
            played = play(scenario)
        except Broken as error:
            shortest = shorten(scenario)
            raise Broken(f"seed {seed}: {error}; in short: {shortest}", f"seed {seed}") from error
        effort.figures["seeds"] += 1
        effort.figures["faults injected"] += played.faults
        effort.figures["power cuts"] += played.cuts
        if effort.over:
            return
