"""Sentences about the programs behind a graph: processes, their settings and requests, the endpoints they open."""

from collections.abc import Callable
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import ProcessRecord, initial_settings
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.page import count, listed
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.phrases import LISTED_MAX, Told, observed, span_text
from ezmsg.ledger.tools.text.value_text import change_text, settings_change, settings_text

# --- processes and settings ------------------------------------------------------------------------------------------


def _process_opened(state: GraphState, event: ev.ProcessOpened, most: int) -> Told:
    where = f" from {event.peer}" if event.peer else ""
    return Told(f"process {event.seq} opened{where}{observed(event)}", "add", burst=("process", event.seq))


def _process_registered(state: GraphState, event: ev.ProcessRegistered, most: int) -> Told:
    record = ProcessRecord("", None, event.pid, event.host, (), 0)
    who = names.process_of(state, event.process, record)
    units = (
        f"runs {count(len(event.units), 'unit')}: {listed(list(event.units), most)}" if event.units else "runs nothing"
    )
    return Told(f"{who} {units}", "add", (), event.units, ("process", event.process))


def _process_ownership_changed(state: GraphState, event: ev.ProcessOwnershipChanged, most: int) -> Told:
    parts = [f"took on {listed(list(event.added), most)}"] if event.added else []
    parts += [f"gave up {listed(list(event.removed), most)}"] if event.removed else []
    what = " and ".join(parts) or "changed no unit"
    return Told(f"{names.process(state, event.process)} {what}", "change", (), (*event.added, *event.removed))


def _process_closed(state: GraphState, event: ev.ProcessClosed, most: int) -> Told:
    record = state.processes[event.process]
    how, tone = {
        "closed": ("ended", "gone"),
        "lost": ("was lost", "bad"),
        "server_stopped": ("ended with the server", "gone"),
    }.get(event.reason, (f"ended ({event.reason})", "warn"))
    detail = f" ({event.detail})" if event.detail and event.detail != "eof" else ""
    units = f"; it ran {listed(list(record.units), most)}" if record.units else ""
    back = _fallbacks(state, event.process)
    falls = f"; settings fall back: {listed(back, most, '; ')}" if back else ""
    return Told(f"{names.process(state, event.process)} {how}{detail}{units}{falls}", tone, (), record.units)


def _fallbacks(state: GraphState, process: int) -> list[str]:
    """The settings that a process reported and that change when it ends, each with what it will be."""
    found = []
    for address, setting in state.settings.items():
        if setting.process != process:
            continue
        registration = None if setting.session is None else state.registrations.get(setting.session)
        component = None if registration is None else registration.components.get(address)
        if component is None:
            found.append(f"{address} has none")
        elif changes := settings_change(setting.value, initial_settings(component)):
            found.append(f"{address} {', '.join(map(change_text, changes[:LISTED_MAX]))}")
    return found


def _settings_updated(state: GraphState, event: ev.SettingsUpdated, most: int) -> Told:
    who = names.process(state, event.process)
    before = state.settings.get(event.component)
    words = (event.component,)
    if before is None:
        shown = settings_text(event.value)
        text = f"{who} has {shown} on {event.component}" if shown else f"{who} has no settings on {event.component}"
        return Told(text + observed(event), "change", (), words)
    changes = settings_change(before.value, event.value)
    if not changes:
        text = f"{who} reported the settings of {event.component}: as they were"
        return Told(text + observed(event), "dim", (), words, ("unchanged", f"{who} reported"))
    shown = listed([change_text(change) for change in changes], most)
    return Told(f"{who} now has {shown} on {event.component}{observed(event)}", "change", (), words)


def _request_routed(state: GraphState, event: ev.RequestRouted, most: int) -> Told:
    whose = (
        f", run by {names.process(state, event.process)}" if event.process is not None else ", which no process runs"
    )
    who = names.session(state, event.session)
    return Told(f"{who} sent {event.operation} to {event.unit}{whose}", "", (event.session,), (event.unit,))


def _request_answered(state: GraphState, event: ev.RequestAnswered, most: int) -> Told:
    request = state.requests[event.request]
    took = f" after {span_text(event.took)}" if event.took else ""
    how = "done" if event.ok else f"failed: {event.error_code or 'no reason given'}"
    text = f"{request.operation} on {request.unit} for {names.session(state, request.session)}: {how}{took}"
    return Told(text, "" if event.ok else "warn", (request.session,), (request.unit,))


# --- endpoints --------------------------------------------------------------------------------------------------------


def _publisher_opened(state: GraphState, event: ev.PublisherOpened, most: int) -> Told:
    at = f" at {event.advertised}" if event.advertised else ""
    text = f"publisher {event.seq} of {event.topic} is ready{at}{observed(event)}"
    return Told(text, "add", (), (event.topic,), ("endpoints", "opened", "publisher"))


def _subscriber_opened(state: GraphState, event: ev.SubscriberOpened, most: int) -> Told:
    where = f" from {event.peer}" if event.peer else ""
    text = f"subscriber {event.seq} of {event.topic} opened{where}{observed(event)}"
    return Told(text, "add", (), (event.topic,), ("endpoints", "opened", "subscriber"))


def _channel_opened(state: GraphState, event: ev.ChannelOpened, most: int) -> Told:
    publisher = state.endpoints.get(event.publisher)
    topic = publisher.topic if publisher is not None else None
    where = f" from {event.peer}" if event.peer else ""
    text = f"channel {event.seq} to {names.endpoint(state, event.publisher)} opened{where}{observed(event)}"
    return Told(text, "add", (), (topic,) if topic else (), ("endpoints", "opened", "channel"))


def _endpoint_closed(state: GraphState, event: ev.EndpointClosed, most: int) -> Told:
    record = state.endpoints[event.endpoint]
    topic = names.topic_of(state, record)
    how = {"closed": "closed", "lost": "was lost", "server_stopped": "ended with the server"}.get(
        event.reason, f"ended ({event.reason})"
    )
    words = (topic,) if topic else ()
    tone = "warn" if event.reason == "lost" else "gone"
    return Told(f"{names.endpoint(state, event.endpoint)} {how}", tone, (), words, ("endpoints", how, record.kind))


def _subscriber_stalled(state: GraphState, event: ev.SubscriberStalled, most: int) -> Told:
    text = f"{names.endpoint(state, event.endpoint)} did not take a change of its publishers in time"
    return Told(text, "warn", (), (event.topic,))


def _subscriber_recovered(state: GraphState, event: ev.SubscriberRecovered, most: int) -> Told:
    return Told(f"{names.endpoint(state, event.endpoint)} has caught up", "add", (), (event.topic,))


TELLERS: dict[type, Callable[[GraphState, Any, int], Told]] = {
    ev.ProcessOpened: _process_opened,
    ev.ProcessRegistered: _process_registered,
    ev.ProcessOwnershipChanged: _process_ownership_changed,
    ev.ProcessClosed: _process_closed,
    ev.SettingsUpdated: _settings_updated,
    ev.RequestRouted: _request_routed,
    ev.RequestAnswered: _request_answered,
    ev.PublisherOpened: _publisher_opened,
    ev.SubscriberOpened: _subscriber_opened,
    ev.ChannelOpened: _channel_opened,
    ev.EndpointClosed: _endpoint_closed,
    ev.SubscriberStalled: _subscriber_stalled,
    ev.SubscriberRecovered: _subscriber_recovered,
}
