"""The debugger as a process of its own, beside a recording."""

import contextlib
import subprocess
import sys
from types import TracebackType

from ezmsg.ledger.tools.debugger.server import require

STOP_TIMEOUT_S = 5.0


class DebuggerProcess:
    """The debugger of a ledger that is being recorded, in a process of its own: recording never waits for a browser.

    It prints its address to this process's stderr, and ends when ``stop`` is called or this process ends, however that
    happens. It does not get the terminal's Ctrl-C. Raises CannotServe at once when the extra is not installed.
    """

    def __init__(self) -> None:
        require()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, location: str) -> None:
        """Open it on the ledger at ``location``. Returns without waiting for it."""
        # -P: a json.py in the folder where a pipeline is started is the pipeline's, and none of ours
        command = [sys.executable, "-P", "-m", "ezmsg.ledger.tools.cli", "debug", location, "--until-closed"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True)

    def stop(self) -> None:
        """End it. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> "DebuggerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
