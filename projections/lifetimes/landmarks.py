"""The places of a ledger that stand out: runs, sessions, marks, what was refused, lost or missed, and its times."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, count, islice
from operator import attrgetter, ne
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.clock_readings import Reading, Readings
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.projection import dispatch

_time_of, _start_of = attrgetter("time"), attrgetter("start")


class Run(msgspec.Struct):
    """A run of the server. ``number`` counts from 1; ``start`` and ``end`` are the seqs of its first and last event.

    ``end`` is None while it goes on; ``ending``: stopped, lost (no clean shutdown was recorded) or None.
    """

    number: int
    start: int
    began: int
    name: str
    end: int | None = None
    ended: int | None = None
    ending: str | None = None


class SessionMark(msgspec.Struct):
    """The opening of a session (``seq`` is its id; ``time``: ns), and its names. ``run``: the number of the run."""

    seq: int
    time: int
    uuid: str
    label: str | None
    peer: str | None
    run: int


def turns(events: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The first and the last event of each stretch with one time: an append has one time. Cost: O(n), in C."""
    times = list(map(_time_of, events))
    places = list(compress(count(1), map(ne, times, islice(times, 1, None))))
    return [events[place] for place in (0, *places)], [events[place - 1] for place in (*places, len(events))]


class TimeColumns:
    """A TimeStack in two columns, of which only the ends are touched while times rise."""

    def __init__(self, times: Column, seqs: Column) -> None:
        self.times, self.seqs = times, seqs

    def add(self, events: Iterable[Any]) -> None:
        """See ``TimeStack.add``."""
        times, seqs = self.times.grow(), self.seqs.grow()
        last = times[-1] if times else None
        for event in events:
            time = event.time
            if last is None or time > last:
                times.append(time)
                seqs.append(event.seq)
            elif time == last:
                seqs[-1] = event.seq
            else:  # a clock was set back: all that is not earlier goes
                while self.times.grow() and times[-1] >= time:
                    self.times.pop()
                    self.seqs.grow()
                    self.seqs.pop()
                times.append(time)
                seqs.append(event.seq)
            last = time
        self.times.settle()
        self.seqs.settle()

    def seq_at(self, time: int) -> int:
        """See ``TimeStack.seq_at``."""
        place = bisect_right(self.times, time)
        return self.seqs[place - 1] if place else 0


class Landmarks:
    """Runs, sessions and marks of a ledger, in their order. Applying one event costs O(1).

    ``refusals`` and ``losses`` are the seqs of the events that say so: a refused command; a session or run that was
    lost, or a session that ended in an error. ``gaps`` are the stretches that could not be recorded at once;
    ``readings``, those of the recorder's clocks.

    ``first`` and ``last`` are the (seq, time) of the ledger's ends, (0, 0) while it is empty; ``earliest`` and
    ``latest`` bound all its times (ns since the epoch, UTC), which differ from those when a clock was set back.
    ``seq_at`` answers here as well, so that one pass is enough.
    """

    def __init__(self, times: Column | None = None, seqs: Column | None = None) -> None:
        self.seq = 0
        self.first = self.last = (0, 0)
        self.earliest = self.latest = 0
        self.times = TimeColumns(Column("q") if times is None else times, Column("q") if seqs is None else seqs)
        self.runs: list[Run] = []
        self._sessions: dict[int, SessionMark] | None = {}
        self._kept_sessions = msgspec.Raw()  # those of an index, as JSON, until they are asked for
        self.marks: list[ev.Mark] = []
        self.gaps: list[ev.Gap] = []
        self.refusals: list[int] = []
        self.losses: list[int] = []
        self.readings = Readings()

    @property
    def sessions(self) -> dict[int, SessionMark]:
        """The sessions, by id. Cost: O(sessions) the first time, 1 us each, where they come from an index."""
        kept = self._kept_sessions  # before it is known whether they are needed: several threads may ask at once
        if self._sessions is None:
            self._sessions = msgspec.json.decode(kept, type=dict[int, SessionMark])
            self._kept_sessions = msgspec.Raw()
        return self._sessions

    def begin(self, state: GraphState) -> None:
        """Start after ``state``, when the events before it are gone: of these, only what still went on is known."""
        self.seq = state.seq
        for key, run in state.runs.items():
            self.runs.append(Run(len(self.runs) + 1, key, run.started, run.name))
        for key, session in state.sessions.items():
            mark = SessionMark(key, session.opened, session.uuid, session.label, session.peer, len(self.runs))
            self.sessions[key] = mark

    def apply(self, event: Any) -> None:
        """Note one event. Raises OutOfOrder when it does not follow ``seq``."""
        self.apply_batch((event,))

    def apply_batch(self, events: Sequence[Any]) -> None:
        """Note events in order; the same as ``apply`` on each."""
        dispatch(self, events, _HANDLERS)
        if events:
            self._note_readings(events, events)
            self._note_times(events)

    def take(self, events: Sequence[Any], others: Sequence[Any], lasts: Sequence[Any]) -> None:
        """Note events as ``apply_batch`` does, when another fold has seen that they follow.

        ``others`` are those that are not about edges, ``lasts`` the last of each stretch with one time: all that times
        need.
        """
        for event in others:
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event)
        self.seq = events[-1].seq
        if not self.first[0]:
            self.first = (events[0].seq, events[0].time)
            self.earliest = self.latest = events[0].time
        self._note_readings(events, others)
        self._note_times(lasts)

    def sections(self) -> tuple[bytes, Column, Column]:
        """The landmarks for an index file: a JSON object, and the two columns of the times."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        sessions: Any = self._kept_sessions if self._sessions is None else self._sessions
        kept = _Kept(**plain, sessions=sessions, readings=self.readings.kept, ends=self.readings.ends)
        return msgspec.json.encode(kept), self.times.times, self.times.seqs

    @classmethod
    def load(cls, data: bytes, times: Column, seqs: Column, seq: int) -> "Landmarks":
        """The landmarks up to ``seq`` that ``sections`` gave. Raises MsgspecError when ``data`` is something else."""
        landmarks = cls(times, seqs)
        kept = msgspec.json.decode(data, type=_Kept)
        for name in _PLAIN:
            setattr(landmarks, name, getattr(kept, name))
        landmarks._sessions, landmarks._kept_sessions = None, kept.sessions
        landmarks.readings = Readings(kept.readings, kept.ends)
        landmarks.seq = seq
        return landmarks

    def copy(self) -> "Landmarks":
        """Equal landmarks that grow on by themselves. Cost: O(all)."""
        data, times, seqs = self.sections()
        return Landmarks.load(data, times.copy(), seqs.copy(), self.seq)

    def _note_readings(self, events: Sequence[Any], others: Sequence[Any]) -> None:
        """``others`` are all of ``events`` but edges. A reading is told of the time before it: few batches have any."""
        if ev.ClockRead in set(map(type, others)):
            before = self.last[1]
            for event in events:
                if type(event) is ev.ClockRead:
                    self.readings.add(event, before)
                before = event.time

    def _note_times(self, events: Sequence[Any]) -> None:
        times = [event.time for event in events]
        low, high = min(times), max(times)
        if not self.first[0]:
            self.first = (events[0].seq, times[0])
            self.earliest, self.latest = low, high
        self.earliest, self.latest = min(self.earliest, low), max(self.latest, high)
        self.last = (self.seq, times[-1])
        self.times.add(events)

    def run_at(self, seq: int) -> Run | None:
        """The run during which event ``seq`` was written; None before the first. Cost: O(log(runs))."""
        place = bisect_right(self.runs, seq, key=_start_of)
        return self.runs[place - 1] if place else None

    def seq_at(self, time: int) -> int:
        """The largest seq whose time is <= ``time`` (ns since the epoch, UTC); 0 without one. Cost: O(log n)."""
        return self.times.seq_at(time)

    def _server_started(self, event: ev.ServerStarted) -> None:
        self.runs.append(Run(len(self.runs) + 1, event.seq, event.time, event.name))

    def _server_stopped(self, event: ev.ServerStopped) -> None:
        for run in self.runs:
            if run.start == event.server:
                run.end, run.ended, run.ending = event.seq, event.time, "stopped"
        self.readings.end(event.seq + 1)

    def _server_lost(self, event: ev.ServerLost) -> None:
        for run in self.runs:
            if run.start == event.server:  # said by the run after it: its own last event is the one before
                run.end, run.ended, run.ending = event.seq - 1, event.last_seen, "lost"
        self.losses.append(event.seq)
        self.readings.end(event.seq)

    def _session_opened(self, event: ev.SessionOpened) -> None:
        self.sessions[event.seq] = SessionMark(
            event.seq, event.time, event.uuid, event.label, event.peer, len(self.runs)
        )

    def _session_closed(self, event: ev.SessionClosed) -> None:
        if event.reason in ("lost", "error"):
            self.losses.append(event.seq)

    def _command_rejected(self, event: ev.CommandRejected) -> None:
        self.refusals.append(event.seq)

    def _gap(self, event: ev.Gap) -> None:
        self.gaps.append(event)
        if event.lost:
            self.readings.end(event.first)

    def _metadata_registered(self, event: ev.MetadataRegistered) -> None:
        session = self.sessions[event.session]
        if not session.label:
            session.label = Registration(event.metadata, event.raw).label

    def _mark(self, event: ev.Mark) -> None:
        self.marks.append(event)


class _Kept(msgspec.Struct):
    first: tuple[int, int]
    last: tuple[int, int]
    earliest: int
    latest: int
    runs: list[Run]
    sessions: msgspec.Raw
    marks: list[ev.Mark]
    gaps: list[ev.Gap]
    refusals: list[int]
    losses: list[int]
    readings: list[Reading]
    ends: list[int]


_PLAIN = tuple(name for name in _Kept.__struct_fields__ if name not in ("sessions", "readings", "ends"))

_HANDLERS: dict[type, Callable[[Landmarks, Any], None]] = {
    ev.ServerStarted: Landmarks._server_started,
    ev.ServerStopped: Landmarks._server_stopped,
    ev.ServerLost: Landmarks._server_lost,
    ev.SessionOpened: Landmarks._session_opened,
    ev.MetadataRegistered: Landmarks._metadata_registered,
    ev.SessionClosed: Landmarks._session_closed,
    ev.CommandRejected: Landmarks._command_rejected,
    ev.Gap: Landmarks._gap,
    ev.Mark: Landmarks._mark,
}
