"""``sessions``: everybody who was ever connected."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.replay import beginning
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import dispatch, fold
from ezmsg.ledger.projections.questions.moments.times import elapsed_text, time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, table
from ezmsg.ledger.tools.text.documents import ledger_document
from ezmsg.ledger.tools.text.event_words import end_text
from ezmsg.ledger.tools.text.phrases import EVERYTHING, LISTED_MAX
from ezmsg.ledger.tools.text.session_story import SessionStory, find_session, print_session, session_document


class SessionLife(msgspec.Struct):
    """A session from its opening to its end. Times: ns since the epoch, UTC; ``run``: the run's number.

    ``reason`` is that of its end: closed, lost, server_stopped, server_lost, error, unseen; None while it is open.
    ``edges`` and ``components`` are what it held last, before its end took that away; the maxima are of all its life.
    """

    id: int
    uuid: str
    label: str | None
    peer: str | None
    run: int
    opened: int
    ended: int | None = None
    ended_seq: int | None = None
    reason: str | None = None
    detail: str | None = None
    edges: int = 0
    edges_max: int = 0
    components: int = 0
    components_max: int = 0
    refusals: int = 0

    @property
    def last_seq(self) -> int:
        """The event by whose reading of the clocks ``ended`` is to be taken: of a lost run its last one."""
        seq = self.ended_seq or self.id
        return seq - 1 if self.reason == "server_lost" else seq


class RunLife(msgspec.Struct):
    """A run from its start to its end. Times: ns since the epoch, UTC.

    ``reason``: stopped, shutdown, signal, orphaned, ..., lost; None while it goes on. ``exit_code`` or ``signal``: how
    the script ended that was run recorded, where that is known.
    """

    started: int
    ended: int | None = None
    reason: str | None = None
    exit_code: int | None = None
    signal: str | None = None


class Sessions:
    """All sessions of a ledger, in their order. Applying one event costs O(1)."""

    def __init__(self) -> None:
        self.seq = 0
        self.lives: dict[int, SessionLife] = {}
        self.runs: dict[int, RunLife] = {}  # by the events with which they began
        self._open: dict[int, SessionLife] = {}

    def begin(self, state: GraphState) -> None:
        """Start after ``state``, when what came before it is gone: those that are still open then are known."""
        self.seq = state.seq
        for run, record in state.runs.items():
            self.runs[run] = RunLife(record.started)
        for key, session in state.sessions.items():
            life = SessionLife(key, session.uuid, session.label, session.peer, len(self.runs), session.opened)
            life.edges = life.edges_max = len(state.ownership.held(key))
            registration = state.registrations.get(key)
            life.components = life.components_max = 0 if registration is None else len(registration.components)
            self.lives[key] = self._open[key] = life

    def apply(self, event: Any) -> None:
        """Note one event. Raises OutOfOrder when it does not follow."""
        self.apply_batch((event,))

    def apply_batch(self, events: Sequence[Any]) -> None:
        """Note events in order; the same as ``apply`` on each."""
        dispatch(self, events, _HANDLERS)

    def _server_started(self, event: ev.ServerStarted) -> None:
        self.runs[event.seq] = RunLife(event.time)

    def _server_ended(self, event: ev.ServerStopped | ev.ServerLost) -> None:
        run = self.runs.get(event.server) or RunLife(0)  # of one that the gap before it swallowed
        if isinstance(event, ev.ServerLost):
            reason, seen, run.reason = "server_lost", event.last_seen, "lost"
        else:
            reason, seen, run.reason = "server_stopped", event.ended, event.reason
            run.exit_code, run.signal = event.exit_code, event.signal
        run.ended = seen if seen is not None else event.time
        for life in list(self._open.values()):
            self._end(life, event, run.ended, reason, None)

    def _session_opened(self, event: ev.SessionOpened) -> None:
        life = SessionLife(event.seq, event.uuid, event.label, event.peer, len(self.runs), event.time)
        self.lives[event.seq] = self._open[event.seq] = life

    def _session_cleared(self, event: ev.SessionCleared) -> None:
        life = self._open[event.session]
        life.edges = life.components = 0

    def _session_closed(self, event: ev.SessionClosed) -> None:
        self._end(self._open[event.session], event, event.time, event.reason, event.detail)

    def _end(self, life: SessionLife, event: Any, time: int, reason: str, detail: str | None) -> None:
        life.ended, life.ended_seq, life.reason, life.detail = time, event.seq, reason, detail
        del self._open[life.id]

    def _edge_connected(self, event: ev.EdgeConnected) -> None:
        if event.owner is not None:
            life = self._open[event.owner]
            life.edges += 1
            life.edges_max = max(life.edges_max, life.edges)

    def _edge_disconnected(self, event: ev.EdgeDisconnected) -> None:
        if event.owner is not None:
            self._open[event.owner].edges -= 1

    def _metadata_registered(self, event: ev.MetadataRegistered) -> None:
        life = self._open[event.session]
        registration = Registration(event.metadata, event.raw)
        life.label = life.label or registration.label
        life.components = len(registration.components)
        life.components_max = max(life.components_max, life.components)

    def _command_rejected(self, event: ev.CommandRejected) -> None:
        if event.actor in self._open:
            self._open[event.actor].refusals += event.repeated


_HANDLERS: dict[type, Callable[[Sessions, Any], None]] = {
    ev.ServerStarted: Sessions._server_started,
    ev.ServerStopped: Sessions._server_ended,
    ev.ServerLost: Sessions._server_ended,
    ev.SessionOpened: Sessions._session_opened,
    ev.SessionCleared: Sessions._session_cleared,
    ev.SessionClosed: Sessions._session_closed,
    ev.EdgeConnected: Sessions._edge_connected,
    ev.EdgeDisconnected: Sessions._edge_disconnected,
    ev.MetadataRegistered: Sessions._metadata_registered,
    ev.CommandRejected: Sessions._command_rejected,
}

_USAGE = "ezmsg-ledger sessions [LEDGER] [ID], such as: ezmsg-ledger sessions run.ledger 21"


@options.words("[LEDGER] [ID]", "The ledger to read, and one session of it.")
@flag("--full", help="With an ID: everything by name, however much it is, and all nanoseconds.")
@options.json
def sessions(words: Sequence[str], full: bool, json: bool) -> None:
    """Lists all sessions of a ledger, run by run: where each came from, when it opened and how it ended, how many edges
    and components it held at most and when it ended, and how many of its commands were refused.

    With an ID (its id, label, or the beginning of its UUID): what that one did, in order, what went with it, and what
    it left behind.

    Times count from the start of the run, those of one session from its opening. The id can be given to `log --session`
    and as the moment session:ID.

    Examples:
      ezmsg-ledger sessions
      ezmsg-ledger sessions run.ledger viewer
      ezmsg-ledger sessions run.ledger 21 --json
    """
    page = Page()
    path, named = taken_apart(words, 0, 1, "one session at most", _USAGE)
    with opened(path, page) as timeline:
        wanted = find_session(timeline, named[0]).seq if named else None
        found = Sessions()
        try:
            found.begin(beginning(timeline.ledger))
            fold(timeline.ledger.read(), found)
        except DamagedLedger as error:
            timeline.damage = error
        if wanted is not None:
            story = SessionStory(timeline, wanted, EVERYTHING if full else LISTED_MAX)
            if json:
                document = {"session": found.lives[wanted], **session_document(story)}
                page.document({**ledger_document(timeline), **document})
            else:
                life = found.lives[wanted]
                print_session(page, timeline, story, life.ended, _how(life), full)
        elif json:
            lives = list(found.lives.values())
            page.document({**ledger_document(timeline), "runs": list(found.runs.values()), "sessions": lives})
        else:
            _print(page, timeline, found)


def _print(page: Page, timeline: Timeline, found: Sessions) -> None:
    runs: list[tuple[int, RunLife | None]] = [(0, None), *found.runs.items()]
    ends = ["" if run is None else _run_end(timeline, start, run) for start, run in runs]
    told = {life.run for life in found.lives.values()} | {number for number, end in enumerate(ends) if end}
    if not told:
        page.line("no session ever connected")
    for place, number in enumerate(sorted(told)):
        start, run = runs[number]
        began = None if run is None else run.started
        if place:
            page.line()
        if run is not None:
            page.line(("head", f"run {number}, {time_text(run.started, timeline.zone)}{ends[number]}"))
        lives = [life for life in found.lives.values() if life.run == number]
        if not lives:
            page.line("no session connected")
            continue

        def when(seq: int, time: int, began: int | None = began, start: int = start) -> str:
            if began is None:
                return time_text(time, timeline.zone)
            return elapsed_text(timeline.landmarks.readings.elapsed(start, began, seq, time).ns)

        lines = table(_without_empty_columns([_TITLES, *(_row(life, when) for life in lives)]))
        page.line(("dim", lines[0]))
        for life, line in zip(lives, lines[1:], strict=True):
            page.line(("bad", line) if life.reason in ("lost", "error", "server_lost") else line)


def _run_end(timeline: Timeline, start: int, run: RunLife) -> str:
    """How a run ended, as its heading says it: nothing when there is nothing to remark."""
    if run.ended is None or (run.reason == "stopped" and run.exit_code in (None, 0) and run.signal is None):
        return ""
    how = {"stopped": "stopped", "lost": "was lost"}.get(run.reason or "", f"stopped ({run.reason})")
    known = timeline.landmarks.run_at(start)
    last = start if known is None or known.end is None else known.end
    after = elapsed_text(timeline.landmarks.readings.elapsed(start, run.started, last, run.ended).ns)
    script = "" if run.exit_code is None else f"; the script ended with exit code {run.exit_code}"
    if run.signal is not None:
        script = f"; the script was ended by {run.signal}"
    return f", {how} at {after}{script}"


_TITLES = ["id", "label", "from", "opened", "ended", "how", "edges", "components", "refused"]


def _row(life: SessionLife, when: Callable[[int, int], str]) -> list[str]:
    return [
        str(life.id),
        life.label or "",
        life.peer or "",
        when(life.id, life.opened),
        "" if life.ended is None else when(life.last_seq, life.ended),
        _how(life),
        _held(life.edges_max, life.edges, life),
        _held(life.components_max, life.components, life),
        str(life.refusals) if life.refusals else "",
    ]


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """The rows without the columns that have a title and nothing else: nobody has a label, no command was refused."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return [list(row) for row in zip(*columns, strict=True)]


def _how(life: SessionLife) -> str:
    return "still open" if life.reason is None else end_text(life.reason, life.detail).removeprefix("was ")


def _held(most: int, last: int, life: SessionLife) -> str:
    """``14``, or ``14, 3 at its end`` when that differs."""
    if most == last:
        return str(most)
    return f"{most}, {last} {'now' if life.ended is None else 'at its end'}"
