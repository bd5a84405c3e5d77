"""The calls of real processes to the system, as ``strace`` writes them down: with all their bytes, in their order.

A call takes time, and others come meanwhile. So a trace is a sequence of beginnings and ends. The tracer lets a thread
go on only after it has noted the end of its call: what a program does because a call has returned, in whatever thread,
stands after that end.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

CALLS = (
    "openat,open,creat,close,close_range,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,pwritev2,"
    "copy_file_range,sendfile,fallocate,ftruncate,truncate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,"
    "link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,clone,clone3,fork,vfork,execve"
)
"""Whatever changes files, names, or what a descriptor stands for."""

BYTES_MAX = 2**22
"""Bytes of one write that are written down: none of what is traced writes more in one go."""

RUN_MAX_S = 300
"""A traced program takes some seconds; a machine that is busy takes its time."""

_WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)")
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*?),? ?<unfinished \.\.\.>$")
_ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(?:, )?(.*)\) += (-?\d+|\?)")


@dataclass
class Call:
    """One call: ``result`` is -1 when the system refused it, None when its thread was killed in it."""

    thread: int
    name: str
    arguments: list[str]
    result: int | None = None

    def number(self, place: int) -> int:
        """An argument that is a number."""
        return int(self.arguments[place], 0)

    def data(self, place: int) -> bytes:
        """An argument that is text or bytes."""
        return bytes.fromhex(self.arguments[place].strip('"').replace("\\x", ""))

    def path(self, place: int) -> str:
        return self.data(place).decode("utf-8", "surrogateescape")


class Moment(NamedTuple):
    """A call begins, or ends."""

    what: Literal["begin", "end"]
    call: Call


@cache
def missing() -> str:
    """Why nothing can be traced here; "" when it can."""
    if shutil.which("strace") is None:
        return "there is no strace here"
    tried = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


def run(program: Path, trace: Path, *arguments: object) -> None:
    """Run a Python program to its end, and write down its calls and those of its children into ``trace``.

    Raises CalledProcessError when it fails.
    """
    command = [
        "strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", str(BYTES_MAX), "-e", f"trace={CALLS}",
        "-e", "signal=none", "-o", str(trace), sys.executable, str(program), *map(str, arguments),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=RUN_MAX_S, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def moments(trace: Path) -> list[Moment]:
    """The beginnings and ends of all calls, in the order in which they were seen. Cost: O(bytes of the trace)."""
    found: list[Moment] = []
    begun: dict[int, Call] = {}
    with trace.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if match := _BEGUN.match(line):
                call = begun[int(match[1])] = Call(int(match[1]), match[2], list(_split(match[3])))
                found.append(Moment("begin", call))
            elif match := _ENDED.match(line):
                call = begun.pop(int(match[1]))
                call.arguments += _split(match[3])
                call.result = None if match[4] == "?" else int(match[4])
                found.append(Moment("end", call))
            elif match := _WHOLE.match(line):
                result = None if match[4] == "?" else int(match[4])
                call = Call(int(match[1]), match[2], list(_split(match[3])), result)
                found += [Moment("begin", call), Moment("end", call)]
    return found


def _split(text: str) -> Iterator[str]:
    """The arguments of a call: at commas, but not within a structure. Texts have none, as they are in hexadecimal."""
    depth = begin = 0
    for place in (match.start() for match in re.finditer(r"[][{}()]|, ", text)):
        if text[place] == ",":
            if not depth:
                yield text[begin:place]
                begin = place + 2
        else:
            depth += 1 if text[place] in "[{(" else -1
    if text[begin:]:
        yield text[begin:]
