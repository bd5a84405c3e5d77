"""Sentences about the programs of a graph: processes, their settings and requests, the endpoints they open."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import RequestRecord, SettingRecord, initial_settings
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.natural_order import natural
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.projections.questions.paths.relays import has_bridges
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE, answered
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.event_words import deed, end_text, end_tone, observed, refusal
from ezmsg.ledger.tools.text.phrases import LISTED_MAX, Told
from ezmsg.ledger.tools.text.value_text import changes_text, misfit_text, settings_change, settings_text

# --- processes and settings ------------------------------------------------------------------------------------------


def _process_opened(state: GraphState, event: ev.ProcessOpened, most: int) -> Told:
    return Told(deed(state, event) + observed(event), "add", burst=("process", event.seq))


def _process_registered(state: GraphState, event: ev.ProcessRegistered, most: int) -> Told:
    text = deed(state, event, most)
    if not event.units and has_bridges(state):
        text += ", only relays of collections"
    return Told(text, "add", (), event.units, ("process", event.process))


def _process_ownership_changed(state: GraphState, event: ev.ProcessOwnershipChanged, most: int) -> Told:
    return Told(deed(state, event, most), "change", (), (*event.added, *event.removed))


def _process_closed(state: GraphState, event: ev.ProcessClosed, most: int) -> Told:
    record = state.processes[event.process]
    units = f"; it ran {listed(sorted(record.units, key=natural), most)}" if record.units else ""
    back = _fallbacks(state, event.process)
    falls = f"; settings fall back: {listed(back, most, '; ')}" if back else ""
    return Told(f"{deed(state, event)}{units}{falls}", end_tone(event.reason), (), record.units)


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
            found.append(f"{address} {changes_text(changes, LISTED_MAX)}")
    return found


def _settings_updated(state: GraphState, event: ev.SettingsUpdated, most: int) -> Told:
    before = state.settings.get(event.component)
    words = (event.component,)
    if before is None:
        return Told(deed(state, event) + observed(event), "change", (), words)
    who = names.process(state, event.process)
    changes = settings_change(before.value, event.value)
    if not changes:
        text = f"{who} reported the settings of {event.component}: as they were"
        return Told(text + observed(event), "dim", (), words, ("unchanged", f"{who} reported"))
    shown = changes_text(changes, most)
    misfit = misfit_text(event.value, _schema(state, before, event.component), [change.path for change in changes])
    text = f"{who} reported {shown} arriving at {event.component}{misfit}{observed(event)}"
    return Told(text, "warn" if misfit else "change", (), words)


def _schema(state: GraphState, before: SettingRecord, address: str) -> Any:
    """The schema of a component's settings: of the value in force; where that has none, the one that was registered."""
    if before.value.settings_schema not in (UNSET, None) or before.session not in state.registrations:
        return before.value.settings_schema
    component = state.registrations[before.session].components.get(address)
    return None if component is None else initial_settings(component).settings_schema


def _request_routed(state: GraphState, event: ev.RequestRouted, most: int) -> Told:
    process = event.process
    whose = ", which no process runs" if process is None else f", run by {names.process(state, process)}"
    burst = _poll(state, event.session, event.operation, "asked") if process is not None else None
    return Told(deed(state, event) + whose, "", (event.session,), (event.unit,), burst)


def _request_answered(state: GraphState, event: ev.RequestAnswered, most: int) -> Told:
    request = state.requests[event.request]
    took = f" after {span_text(event.took)}" if event.took else ""
    how = _answer(state, request, event) if event.ok else f"failed: {refusal(event)}"
    text = f"{request.operation} on {request.unit} for {names.session(state, request.session)}: {how}{took}"
    burst = _poll(state, request.session, request.operation, "done") if event.ok else None
    return Told(text, "" if event.ok else "warn", (request.session,), (request.unit,), burst)


def _poll(state: GraphState, session: int, operation: str, step: str) -> tuple[str, str, str] | None:
    """The burst of a request that only reads, None for others: an open dashboard sends some every second."""
    only_reads = operation == "PING" or operation.startswith("GET_")
    return ("polls", f"{names.session(state, session)} sent {operation}", step) if only_reads else None


def _answer(state: GraphState, request: RequestRecord, event: ev.RequestAnswered) -> str:
    """The words for an answer: of settings, those sent on to the unit, which may refuse them still."""
    sent = answered(event.payload)
    if request.operation != UPDATE or sent is None:
        return "done"
    now = state.settings.get(request.unit)
    changed = [] if now is None else settings_change(now.value, sent)
    shown = settings_text(sent) if now is None else changes_text(changed, LISTED_MAX)
    return f"sent on to the unit: {shown or 'the reported values'}"


# --- endpoints --------------------------------------------------------------------------------------------------------


def _endpoint_opened(state: GraphState, event: ev.PublisherOpened | ev.SubscriberOpened, most: int) -> Told:
    kind = "publisher" if isinstance(event, ev.PublisherOpened) else "subscriber"
    return _opened(state, event, kind, event.topic)


def _channel_opened(state: GraphState, event: ev.ChannelOpened, most: int) -> Told:
    return _opened(state, event, "channel", names.topic_at(state, event.publisher))


def _opened(state: GraphState, event: Any, kind: str, topic: str | None) -> Told:
    words = (topic,) if topic else ()
    return Told(deed(state, event) + observed(event), "add", (), words, ("endpoints", "opened", kind))


def _endpoint_closed(state: GraphState, event: ev.EndpointClosed, most: int) -> Told:
    record = state.endpoints[event.endpoint]
    topic = names.topic_of(state, record)
    tone = "warn" if event.reason == "lost" else "gone"
    burst = ("endpoints", end_text(event.reason), record.kind)
    return Told(deed(state, event), tone, (), (topic,) if topic else (), burst)


def _subscriber_stalled(state: GraphState, event: ev.SubscriberStalled, most: int) -> Told:
    return Told(deed(state, event), "warn", (), (event.topic,))


def _subscriber_recovered(state: GraphState, event: ev.SubscriberRecovered, most: int) -> Told:
    return Told(deed(state, event), "add", (), (event.topic,))


TELLERS: dict[type, Callable[[GraphState, Any, int], Told]] = {
    ev.ProcessOpened: _process_opened,
    ev.ProcessRegistered: _process_registered,
    ev.ProcessOwnershipChanged: _process_ownership_changed,
    ev.ProcessClosed: _process_closed,
    ev.SettingsUpdated: _settings_updated,
    ev.RequestRouted: _request_routed,
    ev.RequestAnswered: _request_answered,
    ev.PublisherOpened: _endpoint_opened,
    ev.SubscriberOpened: _endpoint_opened,
    ev.ChannelOpened: _channel_opened,
    ev.EndpointClosed: _endpoint_closed,
    ev.SubscriberStalled: _subscriber_stalled,
    ev.SubscriberRecovered: _subscriber_recovered,
}
