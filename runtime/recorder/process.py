"""A recorder as a process of its own, seen from the process that wants to be recorded."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, get_args

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import ADDRESS_ENV, CannotListen, listening_socket, parse_address
from ezmsg.ledger.runtime.recorder import child
from ezmsg.ledger.storage.durability import Durability

logger = logging.getLogger("ezmsg.ledger")

LEVELS = get_args(Durability)

STOP_TIMEOUT_S = 10.0
"""Time that a recorder has to drain, stop and seal the ledger; then it is killed, which loses nothing but the seal."""

UNWRITTEN = 6
"""The exit code of its process when it could not write its last events; that has said on stderr how many are lost."""


class RecorderFailed(LedgerError):
    """The recorder's process could not start. ``kind`` names the cause, such as LedgerLocked or OSError."""

    def __init__(self, message: str, *, hint: str, kind: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class Recorder:
    """A graph server in a process of its own, recording to a ledger.

    In its own process, because a pipeline that is busy, hung or killed must not take its recorder along. It does not
    get the terminal's Ctrl-C, and stops when ``stop`` is called. When this process ends without that, killed perhaps,
    it stays until the script and all its sessions are gone. A process that is forked from this one has no part in it.

    ``on_death`` is called, from a thread, with the exit code of the recorder's process (-N: signal N) as soon as that
    ends before ``stop``; without it, this is logged as an error. ``min_free``: as for GraphServer.
    """

    def __init__(
        self,
        ledger: str | os.PathLike[str],
        address: str | None = None,
        durability: str = "interval",
        on_death: Callable[[int], None] | None = None,
        min_free: int | None = None,
    ) -> None:
        if durability not in LEVELS:
            raise ValueError(f"durability is {durability!r}; it is one of {', '.join(LEVELS)}")
        self._ledger = os.fspath(ledger)
        self._address = address
        self._durability = durability
        self._min_free = min_free
        self._process: subprocess.Popen[bytes] | None = None
        self._on_death = on_death or self._log_death
        self._watcher: threading.Thread | None = None
        self.address = ""
        self.location = ""
        self.run = 0
        """The seq of the event with which its run began; 0 until it is ready."""
        self.failure: RecorderFailed | None = None
        """The error that kept it from becoming ready after ``start`` had returned early."""
        self.unwritten = False
        """Whether the last events are lost, because they could not be written when it stopped."""

    def start(self, early: bool = False) -> "Recorder":
        """Start it and return when it accepts connections. Raises RecorderFailed when it cannot, or runs already.

        With ``early`` and a ledger without events, it returns as soon as that is open: programs that connect wait for
        the server, which is there a moment later. Not on Windows, where no socket can be handed over.
        """
        if self._process is not None:
            raise RecorderFailed(
                f"{self.location} is being recorded to by this recorder already",
                hint="Stop it first, or make another one.",
                kind="LedgerLocked",
            )
        process = self._process = self._started_process()
        _started.add(self)
        try:
            opened = _answer(process)
            self.location = opened["ledger"]
            ready = not (early and opened["new"] and self.address)
            if ready:
                self._is_ready(_answer(process))
        except RecorderFailed:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, args=(process, ready), daemon=True)
        self._watcher.start()
        return self

    def _started_process(self) -> "subprocess.Popen[bytes]":
        command = [self._ledger, "--durability", self._durability]
        if self._min_free is not None:
            command += ["--min-free", str(self._min_free)]
        environment = {**os.environ}
        environment.pop(ADDRESS_ENV, None)  # for clients: ezmsg cannot even be imported when it is malformed
        start = partial(child.start, "ezmsg.ledger.runtime.server", stdout=subprocess.PIPE, environment=environment)
        address = self._address or "127.0.0.1:0"
        if sys.platform == "win32":
            return start([*command, "--address", address])
        try:
            listening = listening_socket(*parse_address(address))
        except CannotListen as error:
            raise RecorderFailed(str(error), hint=error.hint, kind=type(error).__name__) from error
        with listening:  # from here on it is the recorder's: when that dies, nobody listens
            self.address = "{}:{}".format(*listening.getsockname())
            return start([*command, "--socket", str(listening.fileno())], handed=[listening.fileno()])

    def _is_ready(self, answer: dict[str, Any]) -> None:
        self.address = answer["address"]
        self.run = int(answer["run"])

    def _watch(self, process: "subprocess.Popen[bytes]", ready: bool) -> None:
        assert process.stdout is not None
        if not ready:
            try:
                self._is_ready(_answer(process))
            except RecorderFailed as error:
                self.failure = error
        process.stdout.read()  # it says no more: this returns when it ends
        code = process.wait()
        if self._process is process:
            self._on_death(code)

    def _log_death(self, code: int) -> None:
        logger.error("THE RECORDER HAS ENDED (%s): nothing is recorded from here on", exit_text(code))

    def start_script(self, command: Sequence[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """Start the script that is recorded: the recorder stays while that runs. Raises OSError.

        Its process tells the recorder its number itself, before it becomes the script. If this one did, it could be
        killed in between, and the recorder would leave a script alone of which it knows nothing.
        """
        if sys.platform == "win32" or self._process is None or self._process.stdin is None:
            process = subprocess.Popen(command, env=environment)
            self._tell(script=process.pid)
            return process
        recorder = os.dup(self._process.stdin.fileno())  # a fork closes the other one
        try:
            return subprocess.Popen(command, env=environment, preexec_fn=partial(_say_number, recorder))
        finally:
            os.close(recorder)

    def script_ended(self, code: int) -> None:
        """The script has ended with exit code ``code`` (-N: by signal N): that is recorded with the end of the run."""
        self._tell(ended=code)

    def _tell(self, **words: Any) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(json.dumps(words).encode() + b"\n")
            except BrokenPipeError:  # it has died, which is told by itself
                logger.debug("the recorder was not there to be told %s", words)

    @property
    def pid(self) -> int | None:
        """The id of the recorder's process; None before ``start`` and after ``stop``."""
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit code of the recorder's process (-N: signal N), if that ended before ``stop``; None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        """Let clients that are still there leave, end the run, seal the ledger. Idempotent."""
        self._tell(stop=True)
        process, self._process = self._process, None
        _started.discard(self)
        if process is None:
            return
        child.let_go(process)
        child.wait(process, STOP_TIMEOUT_S)
        self.unwritten = process.returncode == UNWRITTEN
        if self._watcher is not None:
            self._watcher.join()
        assert process.stdout is not None
        process.stdout.close()

    def __enter__(self) -> "Recorder":
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def _in_forked_child(self) -> None:
        # The recorder ends when nobody holds the other end of its standard input: a child that lives on must not.
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            process.stdout.close()
            process.returncode = 0  # not a child of this process: nobody here waits for it


def _answer(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """The next thing that a recorder says. Raises RecorderFailed when that is why it cannot go on, or it has died."""
    assert process.stdout is not None
    line = process.stdout.readline()
    answer: dict[str, Any] = (
        json.loads(line) if line.strip() else {"error": "the recorder ended before it was ready", "kind": ""}
    )
    if "error" in answer:
        raise RecorderFailed(answer["error"], hint=answer.get("hint", ""), kind=answer["kind"])
    return answer


def _say_number(recorder: int) -> None:
    """Tell a recorder the number of this process, which is about to become the script."""
    if sys.platform != "win32":
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a recorder that has died is told of by the parent
        with suppress(BrokenPipeError):
            os.write(recorder, b'{"script": %d}\n' % os.getpid())
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def exit_text(code: int) -> str:
    """Say in words how a process ended: ``exit code 3``, ``killed by SIGTERM``."""
    return f"killed by {signal_name(-code)}" if code < 0 else f"exit code {code}"


def signal_name(number: int) -> str:
    """The name of a signal, such as ``SIGTERM``."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


_started: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for recorder in list(_started):
        recorder._in_forked_child()
    _started.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
