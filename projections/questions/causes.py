"""Causes: what an event meant for a fact that began or ended with it."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import SessionRecord
from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.questions.answers import Cause

Name = Callable[[int | None], str]
"""A function that gives the name of an owner: a session's id and label, or ``persistent``."""


def owner_name(owner: int | None, found: SessionMark | SessionRecord | None) -> str:
    """``persistent``, or a session's id with its label, else where it came from. ``found``: what is known of it."""
    if owner is None:
        return PERSISTENT
    if found is None or not (found.label or found.peer):
        return str(owner)
    return f'{owner} "{found.label}"' if found.label else f"{owner} ({found.peer})"


def cause(event: Any, kind: str, end: bool, name: Name) -> Cause:
    """The cause that ``event`` was of the beginning (or the ``end``) of a fact of this ``kind``."""
    what = _end(event, kind) if end else _beginning(event, kind)
    session = _session(event)
    label = None if session is None else name(session)
    return Cause(
        seq=event.seq,
        time=event.time,
        kind=what,
        text=_text(event, what, label),
        type=ev.type_of(event),
        session=session,
        label=label,
        process=getattr(event, "process", None),
        by=getattr(event, "by", None) or getattr(event, "peer", None),
    )


def deed(event: Any, name: Name) -> Cause:
    """The cause that ``event`` was of all that began or ended with it: the text names what the event is about, too."""
    cls = type(event)
    kind = "setting" if cls is ev.SettingsUpdated else ""
    found = cause(event, kind, cls not in _BEGINNINGS, name)
    about = _about(event)
    return replace(found, text=f"{about} {found.text}") if about else found


def _about(event: Any) -> str:
    match event:
        case ev.EdgeConnected() | ev.EdgeDisconnected():
            return f"{event.from_topic} -> {event.to_topic}"
        case ev.SettingsUpdated():
            return f"settings of {event.component}"
        case ev.PublisherOpened() | ev.SubscriberOpened():
            return f"{'publisher' if isinstance(event, ev.PublisherOpened) else 'subscriber'} of {event.topic}"
        case ev.SubscriberStalled() | ev.SubscriberRecovered():
            return f"subscriber of {event.topic}"
        case ev.ProcessOpened():
            return f"process {event.seq}"
        case ev.RequestRouted():
            return f"request {event.seq} to {event.unit}"
        case ev.RequestAnswered():
            return f"request {event.request}"
        case ev.MetadataRegistered():
            return "components"
        case ev.ProcessRegistered() | ev.ProcessOwnershipChanged():
            return "units"
        case ev.GraphPaused() | ev.GraphResumed():
            return "the graph"
    return ""


def earlier(seq: int, time: int) -> Cause:
    """The cause of all that was there already when the first segment that is left began."""
    return Cause(seq, time, "earlier", "it was so before the first event that this ledger still has", "")


def _session(event: Any) -> int | None:
    if isinstance(event, ev.EdgeConnected | ev.EdgeDisconnected):
        return event.owner
    if isinstance(event, ev.SessionOpened):
        return event.seq
    return getattr(event, "session", None)


def _beginning(event: Any, kind: str) -> str:
    if getattr(event, "observed", False):
        return "observed"
    if kind == "setting" and type(event) is not ev.SettingsUpdated:
        return "initial" if type(event) is ev.MetadataRegistered else "fell back"
    return _BEGINNINGS.get(type(event), ev.type_of(event))


_BEGINNINGS: dict[type, str] = {
    ev.EdgeConnected: "connected",
    ev.ServerStarted: "started",
    ev.SessionOpened: "opened",
    ev.ProcessOpened: "opened",
    ev.PublisherOpened: "opened",
    ev.SubscriberOpened: "opened",
    ev.ChannelOpened: "opened",
    ev.MetadataRegistered: "registered",
    ev.SettingsUpdated: "updated",
    ev.ProcessRegistered: "claimed",
    ev.ProcessOwnershipChanged: "claimed",
    ev.RequestRouted: "routed",
    ev.SubscriberStalled: "stalled",
    ev.GraphPaused: "paused",
}


def _end(event: Any, kind: str) -> str:
    cls = type(event)
    if cls is ev.SessionClosed:
        return f"session {event.reason}"
    if cls is ev.EdgeDisconnected:
        return event.reason or "disconnected"
    if cls is ev.ProcessClosed:
        return f"process {event.reason}"
    if cls is ev.EndpointClosed:
        return f"endpoint {event.reason}"
    if cls is ev.MetadataRegistered:
        return "registered anew"
    if kind == "setting" and cls is ev.SettingsUpdated:
        return "replaced"
    return _ENDS.get(cls, ev.type_of(event))


_ENDS: dict[type, str] = {
    ev.SessionCleared: "session cleared",
    ev.GraphCleared: "graph cleared",
    ev.ServerStopped: "run stopped",
    ev.ServerLost: "run lost",
    ev.ProcessRegistered: "given up",
    ev.ProcessOwnershipChanged: "given up",
    ev.SubscriberRecovered: "recovered",
    ev.RequestAnswered: "answered",
    ev.GraphResumed: "resumed",
}


def _text(event: Any, what: str, label: str | None) -> str:
    by = getattr(event, "by", None)
    detail = getattr(event, "detail", None)
    session = f"session {label}"
    cls = type(event)
    if cls is ev.SessionClosed:
        return f"{session} ended: {event.reason}" + (f" ({detail})" if detail else "")
    if cls is ev.SessionCleared:
        return f"{session} was cleared"
    if cls is ev.SessionOpened:
        return f"{session} opened"
    if cls is ev.GraphCleared:
        return "all persistent edges were dropped" + (f" by {by}" if by else "")
    if what == "unseen":
        return what
    if cls is ev.ServerStarted:
        return f"the run of {event.name!r} started"
    if cls is ev.ServerLost:
        return "the run was lost"
    if cls is ev.ServerStopped:
        return f"the run was stopped ({event.reason})" + (f" by {by}" if by else "")
    if cls is ev.ProcessClosed:
        return f"process {event.process} ended: {event.reason}" + (f" ({detail})" if detail else "")
    if cls is ev.EndpointClosed:
        return f"endpoint {event.endpoint} closed" + (f": {event.reason}" if event.reason != "closed" else "")
    who = session if label else by
    if who is None and (cls is ev.EdgeConnected or cls is ev.EdgeDisconnected):
        who = PERSISTENT
    process = getattr(event, "process", None)
    return what + (f" by {who}" if who else f" by process {process}" if process else "")
