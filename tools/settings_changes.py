"""What became of a component's settings: every change, field by field, and who may have asked for it."""

from collections.abc import Iterator
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.records import SettingRecord
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools import names
from ezmsg.ledger.tools.lives import sound_events
from ezmsg.ledger.tools.reach import upstream
from ezmsg.ledger.tools.wording import settings_change, settings_fields
from ezmsg.ledger.values import Form, same

UPDATE = "UPDATE_SETTING_FIELD"
"""The operation with which a session asks a process to change one field."""

INPUT = "INPUT_SETTINGS"
"""What ezmsg calls the stream that a unit takes settings from, where its metadata does not say otherwise."""

class FieldChange(msgspec.Struct, frozen=True):
    """One field: its value forms before and after; None where it was not there. ``field`` is "" for a value without
    fields."""

    field: str
    before: Form
    after: Form


class Asker(msgspec.Struct, frozen=True):
    """A session that asked for a change with a request of its own, and what that set: this is known."""

    session: int
    name: str
    request: int


class LikelyPublisher(msgspec.Struct, frozen=True):
    """A publisher whose messages reach the component's settings input. The wire does not say who sent which message."""

    publisher: int
    topic: str
    name: str
    unit: str | None
    process: int | None


class SettingsChange(msgspec.Struct, frozen=True):
    """A change of the settings in force for a component, at event ``seq`` (``time``: ns since the epoch, UTC).

    ``how``: registered (its initial values), reported (by the process that runs it), fell back (that process ended), or
    removed. ``by`` names the session or process behind that event. ``asked_by`` is known from a request, else None;
    ``likely`` are the publishers that could have sent it, when nobody is known.
    """

    seq: int
    time: int
    component: str
    how: str
    by: str
    fields: list[FieldChange]
    asked_by: Asker | None
    likely: list[LikelyPublisher]

    def to_dict(self) -> dict[str, Any]:
        """The change as builtins, as ``--json`` has it."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


def settings_changes(timeline: Timeline, component: str, field: str | None = None) -> list[SettingsChange]:
    """Every change of a component's settings, in order; of one field alone when it is given. Cost: O(events)."""
    found = _Watch(component).run(sound_events(timeline))
    if field is None:
        return list(found)
    return [change for change in found if any(each.field == field for each in change.fields)]


class _Watch:
    """Folds a ledger, and compares the settings in force before and after each event that may change them."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._state = GraphState()
        self._wanted: list[tuple[int, ev.RequestRouted]] = []

    def run(self, events: Iterator[ev.AnyEvent]) -> Iterator[SettingsChange]:
        state, component = self._state, self._component
        for event in events:
            if isinstance(event, ev.RequestRouted) and (event.unit, event.operation) == (component, UPDATE):
                self._wanted.append((event.seq, event))
            before = state.settings.get(component)
            by = self._by(event)  # whoever ends has a name before that alone
            likely = self._likely() if isinstance(event, ev.SettingsUpdated) and event.component == component else []
            state.apply(event)
            after = state.settings.get(component)
            if after is not before:
                by = self._by(event) if isinstance(event, ev.MetadataRegistered) else by  # which may bring a label
                change = self._change(event, before, after, by, likely)
                if change is not None:
                    yield change

    def _by(self, event: Any) -> str:
        if isinstance(event, ev.SettingsUpdated | ev.ProcessClosed):
            return names.process(self._state, event.process)
        if isinstance(event, ev.MetadataRegistered | ev.SessionCleared | ev.SessionClosed):
            return names.session(self._state, event.session)
        return "the server"

    def _change(
        self, event: Any, before: SettingRecord | None, after: SettingRecord | None, by: str,
        likely: list[LikelyPublisher],
    ) -> SettingsChange | None:  # fmt: skip
        fields = _fields(before, after)
        moved = before is None or after is None
        if not fields and not moved:
            return None
        how = "registered" if isinstance(event, ev.MetadataRegistered) else "removed" if after is None else "fell back"
        how = "reported" if isinstance(event, ev.SettingsUpdated) else how
        asked_by = self._asker(fields) if how == "reported" else None
        known = [] if asked_by is not None else likely
        return SettingsChange(event.seq, event.time, self._component, how, by, fields, asked_by, known)

    def _asker(self, fields: list[FieldChange]) -> Asker | None:
        """The session whose request set one of these fields to the value that it has now; each request counts once."""
        for place, (seq, request) in enumerate(self._wanted):
            wanted = _update(request.payload)
            if wanted is not None and any(each.field == wanted[0] and same(each.after, wanted[1]) for each in fields):
                del self._wanted[: place + 1]
                return Asker(request.session, names.session(self._state, request.session), seq)
        return None

    def _likely(self) -> list[LikelyPublisher]:
        """The publishers at or upstream of the settings input. Cost: O(graph)."""
        state = self._state
        topic = _input_topic(state, self._component)
        reaching = {topic, *upstream(state, topic)}
        found = []
        for key, record in state.endpoints.items():
            if record.kind == "publisher" and record.topic in reaching:
                unit = record.topic.rpartition("/")[0]
                unit_ = unit if unit in state.units or unit in state.components else None
                name = names.endpoint_of(state, key, record)
                found.append(LikelyPublisher(key, record.topic, name, unit_, state.units.get(unit)))
        return found


def _fields(before: SettingRecord | None, after: SettingRecord | None) -> list[FieldChange]:
    if before is not None and after is not None:
        return [FieldChange(*each) for each in settings_change(before.value, after.value)]
    record = after or before
    assert record is not None
    whole = settings_fields(record.value)
    pairs = {"": record.value.repr_value} if whole is None else whole
    return [FieldChange(name, *((None, value) if before is None else (value, None))) for name, value in pairs.items()]


def _input_topic(state: GraphState, component: str) -> str:
    session = state.components.get(component)
    if session is not None:
        dynamic = state.registrations[session].components[component].get("dynamic_settings")
        if isinstance(dynamic, dict) and isinstance(dynamic.get("input_topic"), str):
            return str(dynamic["input_topic"])
    return f"{component}/{INPUT}"


def _update(payload: bytes | None) -> tuple[str, Form] | None:
    """The field and the value that a request asks for; None when its payload is none that ezmsg's clients send."""
    if payload is None:
        return None
    # ezmsg and the server come with it: only for ledgers in which somebody has asked
    from ezmsg.ledger.runtime.server.pickles import BadPickle, loads
    from ezmsg.ledger.runtime.server.translate import to_form
    from ezmsg.ledger.runtime.server.wire import Malformed

    try:
        wanted = loads(payload)
        field, value = vars(wanted)["field_path"], to_form(vars(wanted)["value"])
    except (BadPickle, Malformed, TypeError, KeyError):  # cut at its bound, or another program's
        return None
    return (field, value) if isinstance(field, str) else None


