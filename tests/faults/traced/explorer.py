"""Crash images of a traced recording: each is opened by the real recovery on a real disk, and held to what was told.

At every moment that changes the disk, two things can happen. The process is killed: what it wrote stands, the write
that was under way in part. Or the power goes: of all that no sync had covered, any set survives
(``simulation/survivors.py`` has the sets, and the classes of them where there are too many). What is found must be
whole commits of the recording, with every event that a program had been told is safe by then, and none besides.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.folder.segments import MOVING
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort
from tests.faults.simulation.ledgers import matters, simulation
from tests.faults.simulation.sectors import SECTOR, Node
from tests.faults.simulation.survivors import Image, images

from .kernel import ROOT, Kernel, replay
from .recordings import Plan, Recording
from .strace import Call
from .truth import Truth, truth_of

LEDGER = f"{ROOT}/x.ledger"

PIECES_MAX = 8
"""Lengths that are tried of a write in which the process is killed."""


class Found(NamedTuple):
    """What recovery made of an image: the seqs of the first and the last event; ``there``: whether it was a ledger."""

    there: bool
    first: int
    head: int


class Explorer:
    """Takes one recording apart; what became of an image is remembered. ``folder`` is where images are recovered."""

    def __init__(self, recording: Recording, effort: Effort, folder: Path) -> None:
        self.recording = recording
        self.effort = effort
        self._folder = folder
        self._found: dict[int, Found] = {}
        self._kernel = Kernel(recording.folder, recording.before)
        self._truth = self._told()
        self._acks = 0
        self._power = self._kill = 0
        self._made = bool(recording.before) and not recording.whole
        self._dropping = False

    def _told(self) -> Truth:
        """Play the trace to its end, which must be the disk as it is, and read what was recorded."""
        kernel = Kernel(self.recording.folder, self.recording.before)
        replay(kernel, self.recording.trace)
        if kernel.contents() != self.recording.after:
            raise AssertionError("the trace does not lead to the files that are there: a call is missing in it")
        self.effort.figures["calls traced"] += sum(kernel.effects.values())
        if self.recording.whole:
            return truth_of([kernel.contents()[LEDGER]])
        return truth_of(bytes(node.content) for node in kernel.ledgers.values())

    def explore(self) -> None:
        """All images at every moment, until the effort's time is over. Raises Broken."""
        with simulation():
            replay(self._kernel, self.recording.trace, lambda moment: self._crash(moment.call))
            self._crash(None)

    def _crash(self, call: Call | None) -> None:
        """Both ways to crash just before a call has its effect, or at the end."""
        if self.effort.over:
            return
        self._listen()
        self.effort.figures["crash points"] += 1
        for image in images(self._kernel.tree, matters):
            self._check(image, self._power, f"a power cut before {_said(call)}")
        for image in self._killed(call):
            self._check(image, max(self._power, self._kill), f"a kill at {_said(call)}")

    def _listen(self) -> None:
        """Take in what the programs have said since the last crash."""
        for ack in self._kernel.acks[self._acks :]:
            self._made |= "made" in ack or "power" in ack
            self._dropping |= "dropping" in ack
            self._power = max(self._power, ack.get("power", 0))
            self._kill = max(self._kill, ack.get("kill", 0))
            if "ended" in ack:
                self._power = self._truth.head
            if "edge" in ack:
                seq = self._truth.seq_of(type="edge.connected", from_topic=ack["edge"][0], to_topic=ack["edge"][1])
                self._kill = max(self._kill, seq)
                if ack["lasts"]:
                    self._power = max(self._power, seq)
            self.effort.figures["acknowledgements"] += 1
        self._acks = len(self._kernel.acks)

    def _killed(self, call: Call | None) -> Iterator[Image]:
        """What a kill leaves: all that was written, and any part of a write that is under way."""
        image = self._kernel.contents()
        yield image
        if call is None or self._kernel.writing is None:
            return
        node, data, offset = self._kernel.writing
        (path,) = (name for name, each in self._kernel.tree.files().items() if each is node)
        step = max(SECTOR, len(data) // PIECES_MAX)
        for end in (1, *range(step - offset % step, len(data), step), len(data) - 1):
            if 0 < end < len(data):
                yield {**image, path: _written(node, data[:end], offset)}

    # --- one image ---

    def _check(self, image: Image, promised: int, where: str) -> None:
        self.effort.figures["crash states"] += 1
        try:
            found = self._outcome(image)
            if found.there and found.head < promised:
                raise Broken(f"events {found.first} to {found.head} are there; all to {promised} were acknowledged")
            if found.first > 1 and not self._dropping:
                raise Broken(f"the history begins with seq {found.first}, and nothing was dropped")
            if not found.there and (promised or self._made):
                raise Broken("a ledger that was acknowledged is not there")
        except Broken as error:
            raise Broken(f"{self.recording.name}: {where}: {error}") from error
        self.effort.spend()

    def _outcome(self, image: Image) -> Found:
        key = hash(frozenset((name, content) for name, content in image.items() if matters(name)))
        if key not in self._found:
            self.effort.figures["distinct images"] += 1
            found = self._recovered(image, segmented=False)
            moving = any(name.startswith(LEDGER + MOVING) for name in image)  # it was to become a folder: let it
            if moving and self._recovered(image, segmented=True) != found:
                raise Broken("recovered as a folder it has another history")
            self._found[key] = found
        return self._found[key]

    def _recovered(self, image: Image, *, segmented: bool) -> Found:
        """Put an image on a disk, open it as the next recorder would, go on with it, and read all of it again."""
        for name, content in self.recording.before.items():
            if self.recording.whole and image.get(name) != content:
                raise Broken(f"{name} was changed")
        if self.recording.whole and LEDGER not in image:
            return Found(False, 1, 0)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for name, content in image.items():
            path = self._folder / name.removeprefix(f"{ROOT}/").removesuffix("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if name.endswith("/") else path.write_bytes(content)
        path = self._folder / "x.ledger"
        there = any(name == LEDGER or name.startswith((f"{LEDGER}/", LEDGER + MOVING)) for name in image)
        try:
            shown = _shown(path) if there else []
            with Ledger.open(path, durability="none", segmented=segmented) as ledger:
                found = Found(there, ledger.first, ledger.head)
                self._check_events(found, path)
                _check_shown(shown, found)
                ledger.append([Mark(name="after the crash")])
            with Ledger.open(path, "r") as ledger:
                verified = ledger.verify()
                if not (verified.sound and verified.sealed) or ledger.head != found.head + 1:
                    raise Broken(f"after the recovery: {verified.problems or ledger.head}")
        except LedgerError as error:
            raise Broken(f"what it left cannot be used: {type(error).__name__}: {error}") from error
        return found

    def _check_events(self, found: Found, path: Path) -> None:
        """What is in the files, by their bytes alone, are the events of the recording, whole commits of them."""
        files = [path] if path.is_file() else sorted(path.glob("*.ledger*"))
        events: dict[int, bytes] = {}
        for file in files:
            if not file.name.endswith(".lock") and ".tail-" not in file.name and not file.name.endswith(".new"):
                events |= truth_of([file.read_bytes()]).events
        events = {seq: line for seq, line in events.items() if seq >= found.first}  # before that others were dropped
        expected = {seq: line for seq, line in self._truth.events.items() if found.first <= seq <= found.head}
        if events != expected:
            raise Broken(f"other events than were recorded: {sorted(events.items() ^ expected.items())!r:.300}")
        heads = {0, self._truth.head} if self.recording.whole else self._truth.heads
        if found.head not in heads or found.first not in self._truth.firsts:
            raise Broken(f"half a commit: events {found.first} to {found.head}")


def _shown(path: Path) -> list[int] | None:
    """The seqs that a reader shows of what a crash left; None when it cannot be read."""
    try:
        with Ledger.open(path, "r") as ledger:
            return [event.seq for event in ledger.entries()]
    except LedgerError:
        return None


def _check_shown(shown: list[int] | None, found: Found) -> None:
    """A reader shows all that recovery finds. It may show more: what reads well and has another hash (see P2)."""
    seqs = shown or []
    nothing = found.first > found.head
    if seqs != sorted(set(seqs)) or not (nothing or (seqs and seqs[0] == found.first and seqs[-1] >= found.head)):
        raise Broken(f"a reader showed {shown!r:.200} before the recovery, which left {found}")


def _written(node: Node, data: bytes, offset: int) -> bytes:
    content = bytearray(node.content)
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data
    return bytes(content)


def _said(call: Call | None) -> str:
    if call is None:
        return "the end"
    texts = (call.data(place).decode(errors="replace") if argument.startswith('"') else argument
             for place, argument in enumerate(call.arguments))  # fmt: skip
    return f"{call.name}({', '.join(text if len(text) < 60 else f'{text[:20]}...{text[-35:]}' for text in texts)})"


def explore(effort: Effort, folder: Path, plan: Plan) -> None:
    """Record what is planned in ``folder``, and try all crashes of it. Images are recovered in memory where there is a
    file system for that: it goes ten times as fast. Raises Broken."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else folder) as place:
        Explorer(plan.record(folder), effort, Path(place) / "image").explore()
    effort.figures["recordings"] += 1
