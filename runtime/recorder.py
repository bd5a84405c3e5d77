"""A recorder as a process of its own, seen from the process that wants to be recorded."""

import json
import os
import subprocess
import sys
from typing import Any

from ezmsg.ledger.errors import LedgerError

STOP_TIMEOUT_S = 10.0
"""How long it may take to drain, stop and seal the ledger before it is killed (which loses nothing but the seal)."""


class RecorderFailed(LedgerError):
    """The recorder's process could not start. ``kind`` names the error behind it, such as LedgerLocked or OSError."""

    def __init__(self, message: str, *, hint: str, kind: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class Recorder:
    """A graph server in a process of its own, recording to a ledger.

    In its own process, because a pipeline that is busy, hung or killed must not take its recorder along. It does not
    get the terminal's Ctrl-C, and stops when ``stop`` is called or this process ends, however it ends.
    """

    def __init__(
        self, ledger: str | os.PathLike[str], address: str | None = None, durability: str = "interval"
    ) -> None:
        self._ledger = os.fspath(ledger)
        self._address = address
        self._durability = durability
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.location = ""

    def start(self) -> "Recorder":
        """Start it and return when it accepts connections; raises RecorderFailed when it does not."""
        command = [sys.executable, "-m", "ezmsg.ledger.runtime.server", self._ledger, "--durability", self._durability]
        if self._address is not None:
            command += ["--address", self._address]
        apart: dict[str, Any] = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
            if sys.platform == "win32"
            else {"start_new_session": True}
        )
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **apart)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line.strip() else {"error": "the recorder ended before it was ready", "kind": ""}
        if "error" in answer:
            self.stop()
            raise RecorderFailed(answer["error"], hint=answer.get("hint", ""), kind=answer["kind"])
        self.address = answer["address"]
        self.location = answer["ledger"]
        return self

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Let clients that are still there leave, end the run, seal the ledger. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
