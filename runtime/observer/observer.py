"""A recorder beside a graph server that is not ours: it looks, listens, and changes nothing."""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.closings import UNSEEN
from ezmsg.ledger.runtime.client.line import Broken, Line, TooLarge
from ezmsg.ledger.runtime.client.look import Look
from ezmsg.ledger.runtime.observer.differences import Differences
from ezmsg.ledger.runtime.observer.news import Change, Known, Report, Told
from ezmsg.ledger.runtime.recorded_graph import RecordedGraph
from ezmsg.ledger.runtime.rotation import Rotator
from ezmsg.ledger.runtime.server.wire.protocol import Command

logger = logging.getLogger("ezmsg.ledger")

BLIND = ("peers", "endpoints", "requests", "refusals", "pauses", "ends", "between")
"""The facts that ezmsg's graph server tells nobody: see ``server.started`` in docs/FORMAT.md."""

GATHER_S = 0.01
"""Time that is let pass after something was told, so that a burst of changes is looked at once."""

GRACE_S = 0.02
"""Time for the stream, after a look, to bring what was told before it: they are two connections."""

LOOK_SHARE = 20
"""A look is followed by a pause of so many times as long: the server answers nobody else meanwhile, and a twentieth of
its time is all that it costs at most."""

IDLE_S = 1.0
"""Time between two looks when nothing is told: no stream tells that a session comes, or an edge gets a second owner."""

TEND_S = 0.25
"""Time between two looks after the disk and the clocks."""

LOOKS_MAX = 3
"""Looks that are taken anew because settings changed while the server was asked; then the last one is taken."""

ALL = 2**62
"""A number that no entry of a stream reaches: only what is new is wanted."""


class Stream(threading.Thread):
    """A stream of the server's two, read as fast as it comes; each entry goes into ``news`` as it is, None at its
    end, and TooLarge where it tells more at once than is read. A server drops the oldest of more than a thousand
    entries that wait for a slow reader."""

    def __init__(self, address: str, command: bytes, after: int, news: "queue.Queue[tuple[bytes, Any]]") -> None:
        super().__init__(name=f"observer of {address}", daemon=True)
        self._command = command
        self._news = news
        self._line = Line(address, command)
        self._line.subscribe(command, after)
        self.start()

    def run(self) -> None:
        """The thread's body."""
        try:
            while True:
                self._news.put((self._command, self._line.next()))
        except TooLarge as error:
            self._news.put((self._command, error))
        except LedgerError as error:
            logger.debug("a stream ended: %s", error)
            self._news.put((self._command, None))

    def close(self) -> None:
        self._line.shut()
        self.join()
        self._line.close()


class Observer(RecordedGraph):
    """Records what a graph server at ``address`` shows and tells, without being asked anything by its clients.

    The run is of kind ``observer``. What stands at the start is recorded as ordinary events with ``observed``; then the
    server's streams tell when something changed, and looks tell what. It takes part in nothing: it opens a session that
    owns nothing, which is left out of what it records, and two streams.

    Raises NoServer when no graph server answers, and as RecordedGraph does. One thread at a time.

    >>> from ezmsg.ledger import Ledger
    >>> from ezmsg.ledger.runtime import GraphServer
    >>> server = GraphServer(Ledger.memory())
    >>> server.start(("127.0.0.1", 0))
    >>> observer = Observer(Ledger.memory(), str(server.address))
    >>> observer.look()
    >>> [type(event).__name__ for event in observer.ledger.entries()]
    ['ClockRead', 'ServerStarted']
    >>> observer.leave("stopped")
    >>> server.stop()
    """

    def __init__(self, ledger: Ledger, address: str, *, name: str = "attach") -> None:
        self._news: queue.Queue[tuple[bytes, Any]] = queue.Queue()
        self._line = Line(address, Command.SESSION)
        self._streams: list[Stream] = []
        self.version = self._line.version
        self.blind = BLIND
        self.looks = 0
        self.unseen = 0
        self._first = True
        self._changes: list[Change] = []
        self._topology: int | None = None
        self._settings = 0
        self._reported: dict[int, Report] = {}
        self._reporters: dict[str, Report] = {}
        self._odd: set[str] = set()
        self._untold: Counter[Known] = Counter()
        try:
            super().__init__(
                ledger,
                kind="observer",
                name=name,
                address=address,
                served=True,
                versions={"ezmsg of the server": self.version},
                unseen=BLIND,
            )
            self._streams.append(Stream(address, Command.SESSION_TOPOLOGY_SUBSCRIBE, 0, self._news))
            self._streams.append(Stream(address, Command.SESSION_SETTINGS_SUBSCRIBE, ALL, self._news))
        except BaseException:
            self._close_lines()
            raise

    # --- the loop ----------------------------------------------------------------------------------------------------

    def attend(self, stopped: Callable[[], bool], rotator: Rotator | None = None) -> bool:
        """Record until ``stopped`` says so, or the server ends; whether the server is still there.

        ``rotator`` keeps the segments of the ledger in order meanwhile. Raises TooLarge when the server is well, and
        says more at once than is read.
        """
        try:
            self.look()
            while not stopped():
                told = self._listen(TEND_S)
                self.tend()
                self.touch()
                if rotator is not None:
                    rotator.tend(self)
                if told is None:
                    return False
                if told or time.monotonic() >= self._idle:
                    self._pause()
                    self.look()
        except Broken as error:
            logger.debug("the server is gone: %s", error)
            return False
        return True

    def _listen(self, seconds: float) -> bool | None:
        """Take what the streams have told, and wait so long for the first of it; None when one of them has ended."""
        found = False
        try:
            while True:
                source, entry = self._news.get(timeout=0.0 if found else seconds)
                if entry is None:
                    return None
                if isinstance(entry, TooLarge):
                    raise entry
                if source == Command.SESSION_TOPOLOGY_SUBSCRIBE:
                    self._changes.append(Change.of(entry))
                else:
                    report = Report.of(entry)
                    self._reported[report.number] = report
                found = True
        except queue.Empty:
            return found

    def _pause(self) -> None:
        """Let a burst gather, and the server do its own work between two looks."""
        time.sleep(max(GATHER_S, self._next - time.monotonic()))

    # --- a look ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the server, and record what is not as it was. Raises Broken when the server fails, TooLarge."""
        self._listen(0.0)
        began = time.monotonic()
        seen, reports = self._seen()
        took = time.monotonic() - began
        self.looks += 1
        self._listen(GRACE_S)
        self._record(seen, reports)
        now = time.monotonic()
        self._next, self._idle = now + LOOK_SHARE * took, now + max(IDLE_S, LOOK_SHARE * took)

    def _seen(self) -> tuple[Look, list[Report]]:
        """A look, and the settings that were reported since the one before: of one moment, or nearly so.

        What the stream has told is not asked for: the server keeps no more than its last 10,000 reports.
        """
        known = self._settings
        while known + 1 in self._reported:
            known += 1
        events = (Command.SESSION_SETTINGS_EVENTS, (str(known),))
        snapshots = ((Command.SESSION_SNAPSHOT, ()), (Command.SESSION_SETTINGS_SNAPSHOT, ()))
        for _ in range(LOOKS_MAX):
            before, graph, settings, after = self._line.ask_all(events, *snapshots, events)
            if len(before) == len(after):
                break
        reports = self._reported | {report.number: report for report in map(Report.of, after)}
        last = after[-1].seq if after else known
        self._reported = {}
        seen = Look.of(graph, settings, self._line.id)
        return seen, [reports[number] for number in sorted(reports) if self._settings < number <= last]

    def _record(self, seen: Look, reports: list[Report]) -> None:
        missing = self._missing(reports)
        told = Told(self._changes)
        self._changes = []
        for each in reports:
            if each.process is not None:
                self._reporters[each.component] = each
            elif not each.initial:  # it fell back to what was registered
                self._reporters.pop(each.component, None)
        steps = Differences(self.state, seen, told, reports, first=self._first)
        if openings := steps.openings():
            self._commit(*openings)
        changes = steps.changes()
        told.pass_over_late(self._untold)
        self._untold = steps.untold
        unseen = missing + (0 if self._first else told.left)
        if unseen:
            self.unseen += unseen
            self._commit(then=lambda first: _gap(first, unseen))
        if changes:
            self._commit(*changes)
        mended, odd = steps.settings(self._reporters)
        if mended:
            self._commit(*mended)
        for what in (*seen.unreadable, *(f"who set {component}" for component in odd)):
            if what not in self._odd:
                self._odd.add(what)
                logger.warning("%s cannot be recorded: the server shows it, and not as ezmsg's clients send it", what)
        self._first = False

    def _missing(self, reports: list[Report]) -> int:
        """How many entries the server has dropped before they could be read: their numbers are missing."""
        missing = 0
        for change in self._changes:
            if self._topology is not None:
                missing += change.number - self._topology - 1
            self._topology = change.number
        if self._first and self._topology is None:
            self._topology = 0
        if reports:
            missing += reports[-1].number - self._settings - len(reports)
            self._settings = reports[-1].number
        return 0 if self._first else missing

    # --- the end -----------------------------------------------------------------------------------------------------

    def leave(self, reason: str, by: str | None = None) -> None:
        """End the run: all that is open goes on, or ends, unseen. The ledger stays open. Idempotent."""
        self._close_lines()
        if self.run not in self.state.runs:
            return
        detail = "the server was gone" if reason == "server_gone" else "the observer left"
        self.tend(at_once=True)
        self._commit(
            *self.clocks.readings("stop"),
            *(ev.SessionClosed(session=key, reason=UNSEEN, detail=detail) for key in self.state.sessions),
            *(ev.ProcessClosed(process=key, reason=UNSEEN, detail=detail) for key in self.state.processes),
            ev.ServerStopped(server=self.run, reason=reason, by=by),
        )
        self.tend(at_once=True)

    def _close_lines(self) -> None:
        for stream in self._streams:
            stream.close()
        self._streams = []
        self._line.close()


def _gap(first: int, unseen: int) -> ev.Gap:
    return ev.Gap(first=first, last=first - 1, lost=0, late=0, reason=UNSEEN_CHANGES, unseen=unseen)


UNSEEN_CHANGES = "an observer sees what is there when it looks, and not what came and went between"
"""The reason of a gap of changes that were told and not seen."""
