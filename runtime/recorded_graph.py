"""A ledger and the state that is the fold of it, kept in step whatever the disk does."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any
from uuid import uuid1

from msgspec.structs import replace

from ezmsg.ledger import __version__, codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerClosed, LedgerError, NewerFormat
from ezmsg.ledger.lock.holder import Unwritten
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.feeds import Checkpoint
from ezmsg.ledger.projections.graph.replay import beginning, state_at
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.feed_entries import FeedEntry
from ezmsg.ledger.runtime.catch_up import CatchUp
from ezmsg.ledger.runtime.clock_watch import ClockWatch
from ezmsg.ledger.runtime.references import check_references
from ezmsg.ledger.runtime.spool import Degraded, Spool

logger = logging.getLogger("ezmsg.ledger")


class RecordedGraph:
    """A graph state that changes by appending to a ledger, and in no other way: what LiveGraph decides upon.

    Opening begins a run; ``run`` is its id. ``opening`` is the state before it: from there on a replay meets every
    entry that ezmsg's feeds have of this run. ``on_feed`` is given the entries of each commit that has any; nothing is
    kept of them here. ``on_lost`` is given the seq before the first event that was lost for good.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        kind: str,
        name: str,
        address: str | None,
        served: bool,
        versions: Mapping[str, str] = MappingProxyType({}),
        unseen: tuple[str, ...] = (),
    ) -> None:
        self.state = _known(ledger)
        self.spool = Spool(ledger, wait=not served, keep_going=served)
        self._renamed: dict[int, int] = {}
        self.beginning = Checkpoint(beginning(ledger))
        self.opening = Checkpoint(self.state)
        self._watch: list[FeedEntry] = []
        self.state.watch = self._watch
        self.on_feed: Callable[[list[FeedEntry]], None] | None = None
        self.on_lost: Callable[[int], None] | None = None
        started = ev.ServerStarted(
            uuid=str(uuid1()),
            kind=kind,
            name=name,
            host=socket.gethostname(),
            pid=os.getpid(),
            address=address,
            versions={"ezmsg": version("ezmsg"), "ezmsg-ledger": __version__, **versions},
            rules=ev.RULES,
            durability=ledger.durability,
            unseen=unseen,
        )
        owed = ledger.owed
        seen, untold = ledger.previous_writer_seen, not ledger.previous_writer_told
        told = {event.server for event in owed if isinstance(event, ev.ServerStopped)}
        self.run = 0
        self.holding = False
        """Whether what is decided now is written by the next ``settle``, in one commit with all that is held then."""
        self.clocks = ClockWatch(ledger.clock)
        self._segment = ledger.began
        read = self.clocks.readings("start", identity=True)
        now = read[0].real if read else ledger.clock.real()
        if seen is not None and seen < self.state.time <= now:  # it lived at its last event, too
            seen = self.state.time
        lost = [
            ev.ServerLost(server=run, last_seen=seen, untold=untold) for run in self.state.runs if run not in told
        ]
        self.run = int(self._store([*owed, *lost, *read, started], now)[-1].seq)
        self.clocks.note(read)

    # --- the one way a decision takes --------------------------------------------------------------------------------

    def _commit(self, *events: ev.Event, then: Callable[[int], ev.Event] | None = None) -> list[Any]:
        """Store what was decided, unless the run is over or the fold of it would fail: that could never be undone.

        ``then`` makes a last event, given the seq that the first one will have: only here is that known, because a
        reading of the clocks may have to go before them.
        """
        if self.run not in self.state.runs:
            raise LedgerClosed("the run of this graph has ended", hint="Open another LiveGraph on the ledger.")
        time, moved = self.clocks.now()
        if moved:
            self._record_clocks(None, time)
        if then is not None:
            events = (*events, then(self.spool.next_seq))
        check_references(events, self.state, self.spool.next_seq)
        return self._store(list(events), time)

    def _store(self, events: list[ev.Event], time: int) -> list[Any]:
        stored = self.spool.append(events, time, hold=self.holding)
        self.state.apply_batch(stored)
        if not self.spool.held:
            self._tell()
        return stored

    def settle(self) -> None:
        """Write what is held, and report it to the feeds. Nothing may be told to anybody of it before."""
        if self.spool.held or self._watch:
            self.spool.settle()
            self._tell()

    def _tell(self) -> None:
        """Leave word of what is not written, and report what is decided to the feeds."""
        if self.spool.trouble is not None:
            self._leave_word()
        if self._watch:
            self._report()

    def _leave_word(self, **ended: Any) -> None:
        """Let the lock file tell what would be lost if the process ended now."""
        if self.spool.trouble is not None:
            since, error = self.spool.trouble
            self.spool.note(
                Unwritten(
                    ledger=self.ledger.id,
                    since=since,
                    next_seq=self.spool.next_seq,
                    error=error,
                    run=self.run,
                    topology=self.state.topology,
                    settings=self.state.settings_changes,
                    **ended,
                )
            )

    def _report(self) -> None:
        entries = self._watch.copy()
        self._watch.clear()
        if self.on_feed is not None:
            self.on_feed(entries)

    def _look_at_clocks(self) -> None:
        """Record a reading of the clocks when one is due though nothing happens."""
        if self.run not in self.state.runs:
            return
        time, moved = self.clocks.now()
        if moved:
            self._record_clocks(None, time)
        elif self.ledger.segmented and self._segment != self.ledger.began and self.degraded is None:
            if self.ledger.grown:  # something has happened in it: the segments before may go, and their readings too
                self._record_clocks("segment", time, identity=True)
                self._segment = self.ledger.began
        elif self.clocks.is_quiet(self.state.seq):
            self._record_clocks("idle", time)

    def _record_clocks(self, reason: str | None, time: int, *, identity: bool = False) -> None:
        read = self.clocks.readings(reason, identity=identity)
        self._store(list(read), time)
        self.clocks.note(read, self.state.seq)

    # --- the disk ----------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The ledger that is written. It can be another one after a failure: see ``Ledger.reopen``."""
        return self.spool.ledger

    @property
    def degraded(self) -> Degraded | None:
        """The reason why nothing is written at the moment; None when all is well."""
        return self.spool.degraded

    def touch(self) -> None:
        """Renew the time of the ledger's lock file, while it can be written; logs where that fails."""
        if self.degraded is None:
            try:
                self.ledger.touch()
            except OSError as error:
                logger.warning("%s: the time of its lock file cannot be renewed: %s", self.ledger.location, error)

    def tend(self, *, at_once: bool = False) -> None:
        """Notice a disk that failed in the background; while nothing is written, try again and make up for it.

        Costs next to nothing when all is well, and one small write while the disk is full; ``at_once`` does not wait
        for the time of the next attempt. Where events were lost and there is room: a replay from the last checkpoint.
        The clocks are read, and that is recorded, when wall time was set, the machine slept, or it is quiet: see
        ``ClockWatch``.
        """
        self.settle()
        self.spool.look()
        self._look_at_clocks()
        if not self.spool.resume(at_once=at_once):
            if self.run in self.state.runs:
                self._leave_word()
            return
        degraded, late = self.spool.degraded, self.spool.late
        assert degraded is not None
        first, last = self.spool.missing or (self.spool.head - late + 1, self.spool.head)
        now = self.ledger.clock.real()
        gap = ev.Gap(seq=last + 1, time=now, first=first, last=last, lost=0, late=late, reason=degraded.error)
        if self.spool.missing is not None:
            self._catch_up(gap)
        elif late:
            self._write_over_gap([gap], self.state, gap)
        else:  # all of it was in the file already: a sync failed, and the new writer made it good
            self.spool.resumed(0)

    def _catch_up(self, gap: ev.Gap) -> None:
        """Events were lost: the state that the ledger has is led to the one that was lived, and takes its place."""
        logged = state_at(self.ledger)
        gap = replace(
            gap,
            lost=gap.last - gap.first + 1,
            topology=self.state.topology,
            settings=self.state.settings_changes,
        )
        logged.watch = self._watch
        logged.apply(gap)
        read = self.clocks.readings("gap", identity=True)
        catch_up = CatchUp(logged, self.state, gap.time, read)
        if not self._write_over_gap([gap, *catch_up.events], logged, gap):
            return  # the ids of the catch_up are those of events that do not exist
        self.clocks.note(read)
        self.run = catch_up.ids.get(self.run, self.run)
        self._renamed = {old: catch_up.ids.get(new, new) for old, new in self._renamed.items()} | catch_up.ids

    def leave_end(self, reason: str, by: str | None, exit_code: int | None, signal: str | None) -> None:
        """The run has ended in good order, and where that cannot be written, the next writer is to know."""
        self._leave_word(ended=self.ledger.clock.real(), reason=reason, by=by, exit_code=exit_code, signal=signal)

    def current(self, key: int) -> int:
        """The id that a thing has now. It has another one only after the event that gave the first was lost.

        The old one is never given out again, so every method takes either.
        """
        return self._renamed.get(key, key) if self._renamed else key

    def is_open(self, key: int) -> bool:
        """Whether the session, process or endpoint of that id is still there."""
        key = self.current(key)
        return key in self.state.sessions or key in self.state.processes or key in self.state.endpoints

    def _write_over_gap(self, events: list[Any], state: GraphState, gap: ev.Gap) -> bool:
        """Store what makes up for a failure and take ``state`` over; whether that could be written."""
        try:
            self.ledger.append_late(events)
        except LedgerError as error:  # it works for a moment and fails again: nothing was written, all is as before
            self.spool.in_vain(error, len(codec.encode(events)))
            self._watch.clear()
            return False
        if state is self.state:
            state.apply_batch(events)
        self.state = state
        self.spool.resumed(gap.lost)
        if gap.lost:
            if self.opening.seq >= gap.first:
                self.opening = self.beginning
            if self.on_lost is not None:
                self.on_lost(gap.first - 1)
        if self._watch:
            self._report()
        return True


def _known(ledger: Ledger) -> GraphState:
    """The state that a ledger leads to, which what is decided next has to follow from.

    Raises NewerFormat when events of unknown types were passed over: they may have changed what is not seen here.
    """
    state = state_at(ledger)
    if state.unknown:
        raise NewerFormat(
            f"{ledger.location} has events of a newer version, which this one ({__version__}) does not know: "
            "what it recorded now might contradict them",
            hint="Upgrade ezmsg-ledger, or record to another ledger. This one can still be read.",
        )
    return state
