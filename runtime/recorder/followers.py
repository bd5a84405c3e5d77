"""Followers of a recording: programs of ours that read its ledger while it grows, each in a process of its own.

The idea: the ledger is a file that any process can read, so what is made of it needs no part in the recorder. A
follower is started beside it, gives way to it, and is told to end when the recording has: its standard input ends, with
a word (``wait_for_end``). It may die, hang or be killed, and the recording goes on as before.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, Self

from ezmsg.ledger.lock.followed import OVER
from ezmsg.ledger.runtime.recorder import child
from ezmsg.ledger.runtime.recorder.process import exit_text

END_TIMEOUT_S = 2.0
"""Time that followers have to end, all of them together, after the recording has; then they are killed."""


class Follower(NamedTuple):
    """A program that follows a recording: ``python -m module arguments LEDGER``.

    It ends when its standard input does, and prints to stderr alone: what it writes to standard output goes there, too.
    ``name`` and ``without`` are for people: "the index keeper", "the first look at this ledger will take longer".
    ``nice``: by how much it gives way to others; ``after_s``: the age from which on a recording needs it.
    ``environment``: variables beside those of this process, such as a secret, which no argument may be.
    """

    name: str
    module: str
    without: str
    arguments: tuple[str, ...] = ()
    nice: int = 0
    after_s: float = 0.0
    environment: Mapping[str, str] = {}


INDEX_KEEPER = Follower(
    name="the index keeper",
    module="ezmsg.ledger.projections.lifetimes.index_keeper",
    without="the first look at this ledger may take longer",
    nice=10,
    after_s=1.0,  # a shorter recording is hardly long enough for an index, and its script has the machine to itself
)


class Followers:
    """The followers of one recording. None of them delays its end by more than END_TIMEOUT_S.

    >>> from ezmsg.ledger.runtime.recorder.followers import INDEX_KEEPER
    >>> with Followers([INDEX_KEEPER]) as followers:
    ...     followers.start("monday.ledger")
    """

    def __init__(self, followers: Iterable[Follower] = ()) -> None:
        self._running = [_Running(follower) for follower in followers]
        self._deadline: float | None = None

    def start(self, location: str) -> None:
        """Start them on the ledger at ``location``. Returns without waiting for any."""
        for each in self._running:
            each.start(location)

    def end(self) -> None:
        """Tell them that the recording is over, and return at once: ``wait`` sees them end. Idempotent."""
        if self._deadline is None:
            self._deadline = time.monotonic() + END_TIMEOUT_S
            for each in self._running:
                each.end()

    def wait(self) -> None:
        """Return when all have ended; those that have not END_TIMEOUT_S after ``end`` are killed."""
        self.end()
        assert self._deadline is not None
        for each in self._running:
            each.wait(max(0.0, self._deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.wait()


class _Running:
    """One follower: a thread of this process starts it, and waits for its end."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._over = threading.Event()
        self._lock = threading.Lock()  # it is not started when it has been told to end
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self, location: str) -> None:
        self._thread = threading.Thread(target=self._watch, args=(location,), name=self._follower.name, daemon=True)
        self._thread.start()

    def _watch(self, location: str) -> None:
        follower = self._follower
        if follower.after_s and self._over.wait(follower.after_s):
            return
        with self._lock:
            if self._over.is_set():
                return
            try:
                self._process = child.start(
                    follower.module,
                    (*follower.arguments, location),
                    stdout=sys.stderr,
                    environment={**os.environ, **follower.environment},
                    nice=follower.nice,
                )
            except OSError as error:
                self._say(f"could not be started ({error})")
                return
        code = self._process.wait()
        if code and not self._over.is_set():
            self._say(f"has ended ({exit_text(code)})")

    def _say(self, what: str) -> None:
        follower = self._follower
        text = f"ezmsg-ledger: {follower.name} {what}: recording goes on; {follower.without}"
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        with self._lock:
            self._over.set()
            if self._process is not None and self._process.stdin is not None and not self._process.stdin.closed:
                with suppress(BrokenPipeError):  # it has ended already
                    self._process.stdin.write(OVER)
                child.let_go(self._process)

    def wait(self, timeout: float) -> None:
        if self._process is not None:
            child.wait(self._process, timeout)
        if self._thread is not None:
            self._thread.join()
