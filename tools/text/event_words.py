"""The one wording of what an event says, without what followed from it.

``log`` begins its sentences with these words and adds what followed, for which it knows the state before each event.
``why``, ``history``, ``path`` and the others name an event by the same words alone: for these, ``Recollection`` finds
the names of sessions, processes and endpoints in the history as a whole.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import EndpointRecord, ProcessRecord, Registration
from ezmsg.ledger.projections.lifetimes.clock_readings import Jump
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.natural_order import natural
from ezmsg.ledger.projections.questions.answers import Cause
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE, wish
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.names import Names
from ezmsg.ledger.tools.text.phrases import EVERYTHING, LISTED_MAX
from ezmsg.ledger.tools.text.value_text import ITEMS_MAX, settings_text, value_text
from ezmsg.ledger.wording import count, seqs_text

ENDS: dict[str, tuple[str, str]] = {
    "closed": ("closed", "gone"),
    "lost": ("was lost", "bad"),
    "server_stopped": ("ended with the server", "gone"),
    "server_lost": ("was lost with the server", "bad"),
    "error": ("ended with an error", "bad"),
    "unseen": ("ended while nobody recorded", "warn"),
}
"""How a session, a process or an endpoint ended, by the reason that the event gives: the words, and a style of Page."""


OBSERVER = "observer"
"""The kind of a run that recorded beside a server which is not ours."""

KINDS = {"server": "graph server", "embedded": "embedded graph"}
"""The words for the kinds of runs, where they are others."""


def end_text(reason: str, detail: str | None = None, plain: str = "closed") -> str:
    """``was lost (reset)``: the way in which something ended; ``plain`` is said of an end in good order.

    The detail ``eof`` is left out: it says that the connection ended, as each does.
    """
    if reason == "unseen" and detail:  # an observer was there, which cannot see how
        return f"ended ({detail})"
    how = plain if reason == "closed" else ENDS[reason][0] if reason in ENDS else f"ended ({reason})"
    return how + (f" ({detail})" if detail and detail != "eof" else "")


def end_tone(reason: str) -> str:
    """The style of Page for an end with this reason."""
    return ENDS[reason][1] if reason in ENDS else "warn"


def deed(known: Names, event: ev.AnyEvent, most: int = LISTED_MAX) -> str:
    """The words for an event; "" for those that mean nothing without the state before them, such as a refusal.

    At most ``most`` units or addresses are listed by name. Cost: O(what the event itself names).
    """
    match event:
        case ev.EdgeConnected():
            return f"{holder(known, event)} connected {_edge(event)}{_asked_by(event)}"
        case ev.EdgeDisconnected():
            return f"{holder(known, event)} {let_go(event)} {_edge(event)}{_asked_by(event)}"
        case ev.SessionOpened():
            label = f' "{event.label}"' if event.label else ""
            return f"session {event.seq}{label} opened{_source(event.peer)}"
        case ev.SessionCleared():
            return f"{names.session(known, event.session)} gave up all it held"
        case ev.SessionClosed():
            return f"{names.session(known, event.session)} {end_text(event.reason, event.detail)}"
        case ev.MetadataRegistered():
            number = len(Registration(event.metadata, event.raw).components)
            return f"{names.session(known, event.session)} registered {count(number, 'component')}"
        case ev.ProcessOpened():
            return f"process {event.seq} opened{_source(event.peer)}"
        case ev.ProcessRegistered():
            return _process_registered(known, event, most)
        case ev.ProcessOwnershipChanged():
            return _process_ownership_changed(known, event, most)
        case ev.ProcessClosed():
            return f"{names.process(known, event.process)} {end_text(event.reason, event.detail, 'ended')}"
        case ev.SettingsUpdated():
            return report_text(known, event)
        case ev.RequestRouted():
            return _request_routed(known, event)
        case ev.PublisherOpened():
            at = f" at {event.advertised}" if event.advertised else ""
            return f"publisher {event.seq} of {event.topic} is ready{at}"
        case ev.SubscriberOpened():
            return f"subscriber {event.seq} of {event.topic} opened{_source(event.peer)}"
        case ev.ChannelOpened():
            return f"channel {event.seq} to {names.endpoint(known, event.publisher)} opened{_source(event.peer)}"
        case ev.EndpointClosed():
            return f"{names.endpoint(known, event.endpoint)} {end_text(event.reason)}"
        case ev.SubscriberStalled():
            return f"{names.endpoint(known, event.endpoint)} did not take a change of its publishers in time"
        case ev.SubscriberRecovered():
            return f"{names.endpoint(known, event.endpoint)} has caught up"
        case ev.GraphCleared():
            return "all persistent edges were dropped" + (f" by {event.by}" if event.by else "")
        case ev.GraphPaused():
            return f"the graph was paused by {event.by or 'somebody'}"
        case ev.GraphResumed():
            return f"the graph was resumed by {event.by or 'somebody'}"
        case ev.GraphSynced():
            return _graph_synced(event)
        case ev.Mark():
            return _mark(event)
        case ev.ClockRead():
            return _clock_read(event)
        case ev.ServerStarted():
            kind = KINDS.get(event.kind, event.kind)
            return f'{kind} "{event.name}" started on {event.host} (pid {event.pid})'
        case ev.ServerStopped():
            return _server_stopped(known, event)
        case ev.ServerLost():
            return _server_lost(known, event)
        case ev.Gap() if event.unseen:
            were = "was" if event.unseen == 1 else "were"
            return f"{count(event.unseen, 'change')} {were} told and not seen ({event.reason})"
        case ev.Gap():
            what = f"{seqs_text(event.first, event.last)}: {event.lost} lost, {event.late} written late"
            return f"gap in the recording, {what} ({event.reason})"
        case ev.UnknownEvent():
            return f"unknown event {event.tag}, of a newer version: {value_text(event.raw.decode())}"
    return ""


def observed(event: Any) -> str:
    """A remark on what was there already when the recording began."""
    return " (found so; it happened before)" if getattr(event, "observed", False) else ""


# --- the longer ones -------------------------------------------------------------------------------------------------


def _server_stopped(known: Names, event: ev.ServerStopped) -> str:
    run = known.runs.get(event.server)
    if run is not None and run.kind == OBSERVER:
        gone = "the graph server beside it was gone" if event.reason == "server_gone" else event.reason
        return f"observer stopped ({gone})"
    why = "" if event.reason == "stopped" else f" ({event.reason})"
    if event.reason == "orphaned":
        why = " after the last client had left; the program that had started it was killed"
    script = ""
    if event.exit_code is not None:
        script = f"; the script had ended with exit code {event.exit_code}"
    elif event.signal is not None:
        script = f"; the script had been ended by {event.signal}"
    return f"server stopped{why}" + (f", asked by {event.by}" if event.by else "") + script


def _server_lost(known: Names, event: ev.ServerLost) -> str:
    run = known.runs.get(event.server)
    who = f'server "{run.name}" (pid {run.pid} on {run.host})' if run is not None else "the server before"
    return f"{who} was lost"


def holder(known: Names, event: ev.EdgeConnected | ev.EdgeDisconnected) -> str:
    """The session that holds an edge; for ezmsg's persistent owner, the program that sent the command."""
    return names.session(known, event.owner) if event.owner is not None else event.by or "somebody"


def let_go(event: ev.EdgeDisconnected) -> str:
    """The verb for giving up an edge."""
    return "disconnected" if event.reason is None else f"no longer holds ({event.reason})"


def _edge(event: ev.EdgeConnected | ev.EdgeDisconnected) -> str:
    return f"{event.from_topic} -> {event.to_topic}" + (" (persistent)" if event.owner is None else "")


def _asked_by(event: ev.EdgeConnected | ev.EdgeDisconnected) -> str:
    """The words for a person who asked for it in place of the session that holds the edge, or let go of it."""
    return f", for {event.by}" if event.by and event.owner is not None else ""


def _source(peer: str | None) -> str:
    return f" from {peer}" if peer else ""


def _graph_synced(event: ev.GraphSynced) -> str:
    how = {"complete": "done", "timeout": "timed out", "asker_left": "the asker left"}.get(event.outcome, event.outcome)
    return f"the graph was synced for {event.by or 'somebody'}: {how} after {span_text(event.took)}"


def _mark(event: ev.Mark) -> str:
    whose = ", ".join(each for each in (event.author, event.source and f"from {event.source}") if each)
    by = f" ({whose})" if whose else ""
    ago = ""
    if event.happened is not None:
        apart = event.time - event.happened
        ago = f", which happened {span_text(apart)} {'before' if apart >= 0 else 'after'}"
    return f'mark "{event.name}"{": " + event.note if event.note else ""}{by}{ago}'


def _clock_read(event: ev.ClockRead) -> str:
    if event.reason == "step":
        return "the wall clock was set"
    if event.reason == "suspend":
        return "the machine was suspended, and woke up"
    when = {"start": " at the start of the run", "stop": " at the end of the run", "idle": " in a quiet minute"}
    return f"the clocks were read{when.get(event.reason, f' ({event.reason})')}"


def jump_text(jump: Jump) -> str:
    """A jump of wall time, in words."""
    if jump.kind == "suspend":
        return f"the machine was suspended for {span_text(jump.ns)}"
    return f"the wall clock was set {'ahead' if jump.ns > 0 else 'back'} by {span_text(jump.ns)}"


def _process_registered(known: Names, event: ev.ProcessRegistered, most: int) -> str:
    who = names.process_of(known, event.process, ProcessRecord("", None, event.pid, event.host, (), 0))
    if not event.units:
        return f"{who} runs no unit"
    return f"{who} runs {count(len(event.units), 'unit')}: {listed(sorted(event.units, key=natural), most)}"


def _process_ownership_changed(known: Names, event: ev.ProcessOwnershipChanged, most: int) -> str:
    parts = [f"took on {listed(list(event.added), most)}"] if event.added else []
    parts += [f"gave up {listed(list(event.removed), most)}"] if event.removed else []
    return f"{names.process(known, event.process)} {' and '.join(parts) or 'changed no unit'}"


def report_text(
    known: Names, event: ev.SettingsUpdated, *, whole: bool = False, only: Collection[str] | None = None
) -> str:
    """The words for a report of settings: all of its fields, or ``only`` some of them, where it has these."""
    shown = settings_text(event.value, None if whole else ITEMS_MAX, whole=whole, only=only) or "no settings"
    return f"{names.process(known, event.process)} reported {shown} arriving at {event.component}"


def _request_routed(known: Names, event: ev.RequestRouted) -> str:
    wanted = wish(event.payload) if event.operation == UPDATE else None
    what = f": {wanted.field} = {value_text(wanted.value)}" if wanted is not None else ""
    return f"{names.session(known, event.session)} sent {event.operation} to {event.unit}{what}"


def refusal(event: ev.RequestAnswered) -> str:
    """The reason why a request failed: ezmsg's code, and what the process gave, on one line."""
    said = " ".join((event.error or "").split())
    return ": ".join(filter(None, (event.error_code, said))) or "no reason given"


# --- names from a whole history --------------------------------------------------------------------------------------


class Recollection:
    """A memory of all that ever had a name in a ledger, by its id: names for ``deed`` where no state is at hand.

    Tables are made when an event asks for them. Cost: O(processes), O(endpoints) once each; and a piece of the ledger
    for each event that is told, unless the one before was in the same piece.

    ``whole``: lists and values are not cut. ``fields``: of some components' reports of settings, only these fields are
    told.
    """

    def __init__(
        self, timeline: Timeline, whole: bool = False, fields: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self._timeline = timeline
        self._whole = whole
        self._fields = fields or {}
        self._batch: list[ev.AnyEvent] = []
        self._seq = 0

    def tell(self, cause: Cause) -> str:
        """The words for the event at one end of something."""
        if not cause.type:  # before the first event that is left
            return cause.text
        self._seq = cause.seq
        event = self.event(cause.seq)
        if type(event) is ev.SettingsUpdated:
            said = report_text(self, event, whole=self._whole, only=self._fields.get(event.component))
        else:
            said = deed(self, event, EVERYTHING if self._whole else LISTED_MAX)
        return said + observed(event) if said else cause.text

    def reporter(self, cause: Cause) -> str:
        """The process that reported settings."""
        self._seq = cause.seq
        event = self.event(cause.seq)
        return names.process(self, event.process) + observed(event)

    def event(self, seq: int) -> Any:
        """Event ``seq``, which is in the ledger."""
        batch = self._batch
        if not batch or not batch[0].seq <= seq <= batch[-1].seq:
            batch = self._batch = next(iter(self._timeline.ledger.read(seq - 1)))
        return batch[bisect_left(batch, seq, key=attrgetter("seq"))]

    @property
    def sessions(self) -> dict[int, SessionMark]:
        return self._timeline.landmarks.sessions

    @cached_property
    def processes(self) -> dict[int, ProcessRecord]:
        facts = self._timeline.asked(lambda lifetimes: lifetimes.facts("process"))
        return {
            fact.name: ProcessRecord("", peer, pid, host, (), 0)
            for fact in facts
            for pid, host, peer, _ in [fact.value]
        }

    @cached_property
    def endpoints(self) -> dict[int, EndpointRecord]:
        facts = self._timeline.asked(lambda lifetimes: lifetimes.facts("endpoint"))
        return {
            fact.name: EndpointRecord(kind, "", topic, publisher, None, None, peer, False, 0)
            for fact in facts
            for kind, topic, publisher, peer in [fact.value]
        }

    @property
    def runs(self) -> dict[int, ev.ServerStarted]:
        """The beginning of the run in which the event that is told was written; nothing when that is gone."""
        run = self._timeline.landmarks.run_at(self._seq)
        return {} if run is None or run.start < self._timeline.ledger.first else {run.start: self.event(run.start)}

    @property
    def run(self) -> tuple[int, ev.ServerStarted] | None:
        """The run in which the event that is told was written, as a state has it: its id and its beginning."""
        return next(iter(self.runs.items()), None)
