"""A module of this package as a child process, which ends when its standard input does: so never after its parent."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any


def start(
    module: str,
    arguments: Sequence[str],
    *,
    stdout: int | IO[Any],
    environment: dict[str, str] | None = None,
    nice: int = 0,
    handed: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start ``python -m module`` with a pipe as its standard input; the terminal's Ctrl-C does not reach it.

    ``nice``: by how much it gives way to others (0 to 19; Windows knows one such step). ``handed``: descriptors that it
    inherits, not on Windows. Raises OSError.
    """
    # -P: a json.py in the folder where a pipeline is started belongs to the pipeline
    command = [sys.executable, "-P", "-m", module, *arguments]
    apart: dict[str, Any] = {}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined,unused-ignore]
        if nice:
            flags |= subprocess.BELOW_NORMAL_PRIORITY_CLASS  # type: ignore[attr-defined,unused-ignore]
        apart["creationflags"] = flags
    else:
        apart |= {"start_new_session": True, "pass_fds": handed}
    process: subprocess.Popen[bytes] = subprocess.Popen(
        command, bufsize=0, stdin=subprocess.PIPE, stdout=stdout, env=environment, **apart
    )
    if nice and sys.platform != "win32":
        with suppress(ProcessLookupError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)
    return process


def let_go(process: "subprocess.Popen[bytes]") -> None:
    """Close a child's standard input, which tells it to end. Idempotent."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already
        process.stdin.close()


def wait(process: "subprocess.Popen[bytes]", timeout: float) -> None:
    """Return when a child that was let go has ended; after ``timeout`` seconds it is killed."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
