"""The operating system of a trace: which descriptor stands for which file, what programs see, what the disk has.

A write counts as begun with its call, and may be on the disk from then on. A sync covers what had been written when its
call began, and holds when its call has returned. In between both are open, as they are in truth.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.faults.simulation.sectors import Node
from tests.faults.simulation.tree import Entry, Folder, NameChange, Tree

from .strace import Call, Moment

ROOT = "/disk"
"""What the folder that is traced is called in a tree."""

ACKS = "acks"
"""The file beside the folder into which programs write what they were told: a JSON object a line."""

_SYNCS = ("fsync", "fdatasync")
_UNKNOWN = ("writev", "pwritev", "pwritev2", "copy_file_range", "sendfile", "fallocate", "sync_file_range")
"""Other ways to write, which the log does not use. Were one used on a path, the replay would not lead to the files."""


class Description:
    """An open file, as the system knows it: duplicates of a descriptor share it. ``entry`` is None for the acks."""

    def __init__(self, entry: Entry | None, append: bool) -> None:
        self.entry = entry
        self.append = append
        self.position = 0


Descriptors = dict[int, tuple[Description, bool]]
"""By their numbers; whether each is closed when another program is begun."""


class Kernel:
    """Replays a trace on the files of ``folder`` as they were before it, by their names.

    ``acks`` is what the programs have said so far. ``ledgers`` are all files that ever held a part of a ledger, by
    their numbers, those that were removed too. ``effects`` counts the calls that had one. ``writing`` is the write
    whose effect was asked for last: the file, the bytes, and the offset; None when it was another call.
    """

    def __init__(self, folder: Path, before: dict[str, bytes]) -> None:
        self.tree = Tree((ROOT,))
        for path, content in before.items():
            self.tree.put(path, content)
        self.acks: list[dict[str, Any]] = []
        self.ledgers: dict[int, Node] = {}
        self.effects: Counter[str] = Counter()
        self.writing: tuple[Node, bytes, int] | None = None
        self._folder = str(folder)
        self._acks = str(folder.with_name(ACKS))
        self._threads: dict[int, Descriptors] = {}
        self._in_flight: Counter[int] = Counter()
        self._changing: dict[int, NameChange] = {}
        self._syncs: dict[int, tuple[Entry, Any]] = {}
        for path, node in self.tree.files().items():
            self._note(path, node)

    # --- what the explorer asks ---

    def effect(self, moment: Moment) -> Callable[[], object] | None:
        """What this moment does to the disk, to be called when it may; None when that is nothing.

        What a moment does to descriptors, and to what was said, is done at once.
        """
        call = moment.call
        self.writing = None
        if call.result is None or (call.result < 0 and call.name not in _SYNCS):
            return None
        if moment.what == "end":
            self._changing.pop(call.thread, None)
        act = getattr(self, f"_{moment.what}_{call.name}", None)
        if call.name in _UNKNOWN and self._described(call, 0) is not None:
            raise AssertionError(f"{call.name} changes files, and this kernel does not know it")
        found: Callable[[], object] | None = act(call) if act is not None else None
        if found is not None:
            self.effects[call.name] += 1
        return found

    def contents(self) -> dict[str, bytes]:
        """What programs see: what a killed process leaves."""
        return {name: bytes(node.content) for name, node in self.tree.files().items()}

    # --- descriptors ---

    def _descriptors(self, thread: int) -> Descriptors:
        return self._threads.setdefault(thread, {})

    def _described(self, call: Call, place: int) -> Description | None:
        try:
            number = call.number(place)
        except (ValueError, IndexError):
            return None
        found = self._descriptors(call.thread).get(number)
        return None if found is None else found[0]

    def _begin_clone(self, call: Call) -> None:
        mine = self._descriptors(call.thread)
        shared = "CLONE_FILES" in " ".join(call.arguments)
        assert call.result is not None
        self._threads[call.result] = mine if shared else dict(mine)

    _begin_clone3 = _begin_fork = _begin_vfork = _begin_clone

    def _end_execve(self, call: Call) -> None:
        mine = self._descriptors(call.thread)
        self._threads[call.thread] = {number: each for number, each in mine.items() if not each[1]}

    def _begin_close(self, call: Call) -> None:
        self._descriptors(call.thread).pop(call.number(0), None)

    def _begin_close_range(self, call: Call) -> None:
        mine = self._descriptors(call.thread)
        for number in [each for each in mine if call.number(0) <= each <= call.number(1)]:
            del mine[number]

    def _end_dup(self, call: Call) -> None:
        mine = self._descriptors(call.thread)
        assert call.result is not None
        if call.number(0) in mine:
            mine[call.result] = (mine[call.number(0)][0], "CLOEXEC" in call.arguments[-1])
        else:
            mine.pop(call.result, None)

    _end_dup2 = _end_dup3 = _end_dup

    def _end_fcntl(self, call: Call) -> None:
        if call.arguments[1].startswith("F_DUPFD"):
            self._end_dup(Call(call.thread, "dup", [call.arguments[0], call.arguments[1]], call.result))
        elif call.arguments[1] == "F_SETFD" and call.number(0) in (mine := self._descriptors(call.thread)):
            mine[call.number(0)] = (mine[call.number(0)][0], "CLOEXEC" in call.arguments[2])

    def _end_lseek(self, call: Call) -> None:
        if (found := self._described(call, 0)) is not None:
            assert call.result is not None
            found.position = call.result

    # --- files ---

    def _path(self, call: Call, place: int) -> str | None:
        """The path of an argument as the tree has it; None when it is not in the folder."""
        path = call.path(place)
        if path == self._folder or path.startswith(f"{self._folder}/"):
            return ROOT + path[len(self._folder) :]
        return None

    def _begin_openat(self, call: Call) -> Callable[[], object] | None:
        path, flags = self._path(call, 1), call.arguments[2]
        if path is None:
            return None
        found = self.tree.find(path)
        if "O_CREAT" in flags and found is None:
            return self._change(call, (path, self._new(path)))
        if "O_TRUNC" in flags and isinstance(found, Node) and found.content:
            return lambda: found.truncate(0)
        return None

    def _new(self, path: str) -> Node:
        node = self.tree.new_file()
        self._note(path, node)
        return node

    def _note(self, path: str, node: Node) -> None:
        """A file of this name is, or becomes, a part of a ledger: not its lock, its index, or a tail put aside."""
        if re.search(r"\.ledger(\.zst)?(\.new)?$", path):
            self.ledgers[node.number] = node

    def _end_openat(self, call: Call) -> None:
        assert call.result is not None
        mine = self._descriptors(call.thread)
        mine.pop(call.result, None)
        path = self._path(call, 1)
        entry = None if path is None else self.tree.find(path)
        if entry is not None or call.path(1) == self._acks:
            mine[call.result] = (Description(entry, "O_APPEND" in call.arguments[2]), "CLOEXEC" in call.arguments[2])

    def _begin_write(self, call: Call) -> Callable[[], object] | None:
        found = self._described(call, 0)
        if found is None:
            return None
        assert call.result is not None
        data = call.data(1)[: call.result]
        assert len(data) == call.result, "more was written than was written down"
        if found.entry is None:
            self.acks.extend(json.loads(line) for line in data.splitlines())
            return None
        node = found.entry
        assert isinstance(node, Node)
        if call.name == "pwrite64":
            offset = call.number(3)
        else:
            offset = len(node.content) if found.append else found.position
            found.position = offset + len(data)
        self._in_flight[node.number] += 1
        self.writing = node, data, offset
        return lambda: node.write(data, offset)

    _begin_pwrite64 = _begin_write

    def _end_write(self, call: Call) -> None:
        found = self._described(call, 0)
        if found is not None and found.entry is not None:
            self._in_flight[found.entry.number] -= 1

    _end_pwrite64 = _end_write

    def _begin_ftruncate(self, call: Call) -> Callable[[], object] | None:
        found = self._described(call, 0)
        if found is None or not isinstance(node := found.entry, Node) or len(node.content) == call.number(1):
            return None
        return lambda: node.truncate(call.number(1))

    def _begin_fsync(self, call: Call) -> None:
        found = self._described(call, 0)
        if found is None or found.entry is None:
            return
        entry = found.entry
        in_flight = self._changing.values()
        covered: Any = [change for change in self.tree.changes if not any(change is each for each in in_flight)]
        if isinstance(entry, Node):
            covered = entry.written - self._in_flight[entry.number]
        self._syncs[call.thread] = entry, covered

    _begin_fdatasync = _begin_fsync

    def _end_fsync(self, call: Call) -> Callable[[], object] | None:
        if call.thread not in self._syncs:
            return None
        entry, covered = self._syncs.pop(call.thread)
        if call.result != 0:
            return None
        return lambda: self.tree.sync(entry, covered) if isinstance(entry, Folder) else entry.sync(covered)

    _end_fdatasync = _end_fsync

    # --- names ---

    def _change(self, call: Call, *names: tuple[str, Entry | None]) -> Callable[[], object]:
        """What changes names. Until the call has returned no sync is sure to bring that to the disk."""

        def act() -> None:
            self.tree.change(*names)
            self._changing[call.thread] = self.tree.changes[-1]

        return act

    def _rename(self, call: Call, source: int, target: int) -> Callable[[], object] | None:
        old, new = self._path(call, source), self._path(call, target)
        if old is None or new is None:
            return None
        entry = self.tree.find(old)
        if entry is None or entry is self.tree.find(new):
            return None
        return self._change(call, (new, entry), (old, None))

    def _begin_rename(self, call: Call) -> Callable[[], object] | None:
        return self._rename(call, 0, 1)

    def _begin_renameat(self, call: Call) -> Callable[[], object] | None:
        return self._rename(call, 1, 3)

    _begin_renameat2 = _begin_renameat

    def _link(self, call: Call, source: int, target: int) -> Callable[[], object] | None:
        old, new = self._path(call, source), self._path(call, target)
        if old is None or new is None:
            return None
        entry = self.tree.file(old)
        return self._change(call, (new, entry))

    def _begin_link(self, call: Call) -> Callable[[], object] | None:
        return self._link(call, 0, 1)

    def _begin_linkat(self, call: Call) -> Callable[[], object] | None:
        return self._link(call, 1, 3)

    def _remove(self, call: Call, place: int) -> Callable[[], object] | None:
        path = self._path(call, place)
        return None if path is None else self._change(call, (path, None))

    def _begin_unlink(self, call: Call) -> Callable[[], object] | None:
        return self._remove(call, 0)

    _begin_rmdir = _begin_unlink

    def _begin_unlinkat(self, call: Call) -> Callable[[], object] | None:
        return self._remove(call, 1)

    def _make_folder(self, call: Call, place: int) -> Callable[[], object] | None:
        path = self._path(call, place)
        return None if path is None else self._change(call, (path, self.tree.new_folder()))

    def _begin_mkdir(self, call: Call) -> Callable[[], object] | None:
        return self._make_folder(call, 0)

    def _begin_mkdirat(self, call: Call) -> Callable[[], object] | None:
        return self._make_folder(call, 1)



def replay(kernel: Kernel, trace: Sequence[Moment], before: Callable[[Moment], object] = lambda moment: None) -> None:
    """Play a trace; ``before`` is called before each moment that does something to the disk."""
    for moment in trace:
        effect = kernel.effect(moment)
        if effect is not None:
            before(moment)
            effect()
