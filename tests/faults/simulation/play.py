"""A scenario as it runs: each step is done, and what is found is compared with what was promised until then."""

import random
from collections.abc import Callable

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.tools.selftest.broken import Broken

from .disk import SimulatedDisk, no_fault
from .faults import Injection
from .ledgers import NOW, PATH, forget, names_of, open_simulated, segments_in, short, simulation, state_of
from .recovery import look, recover
from .scenarios import SEALED, Scenario, Step
from .survivors import random_image


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
        """Rotate; a ledger of one file becomes a folder first."""
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
        """Open the ledger if it is not; False when a fault was in the way, which must leave no handle open."""
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
        """Raise Broken unless there are whole commits from seq ``first`` on, with all events that were ``promised``."""
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
        """Die as a killed process does: what was written stands, the lock is gone."""
        self._note_durable()
        dead, self.disk = self.disk, self.disk.after_kill()
        if self.ledger is not None:
            forget(self.ledger, dead)
            self.ledger = None

    def _cut(self) -> None:
        image = random_image(self.disk.tree, self.dice)
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
                raise Broken(f"the checkpoint after seq {seq} is not what a fold leads to: {states!r:.300}")
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
