"""Doubts about settings: places in a ledger where asked, answered and reported are not the same.

ezmsg reports a settings message when it arrives, and answers a request when it has sent the new settings on: what the
unit makes of them is told by nobody. Some of it can be seen all the same: a value that the component's schema cannot
mean, a request that was refused, one whose value became another on its way, one that was answered and never arrived.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.questions.answers import SettingDoubt
from ezmsg.ledger.projections.questions.evidence import Evidence
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.settings.change_request import GRACE, UPDATE, Wish, answered, wish
from ezmsg.ledger.projections.questions.settings.schema import value_misfits
from ezmsg.ledger.projections.questions.settings.stored_value import Kept, kept, leaves, parts
from ezmsg.ledger.projections.questions.value_comparison import alike_forms
from ezmsg.ledger.values import Form


def doubts(evidence: Evidence, unit: str | None, moment: Moment) -> list[SettingDoubt]:
    """See ``Timeline.setting_doubts``."""
    wanted = None if unit is None else evidence.subjects.unit(unit)
    found = [each for each in _Reading(evidence).read(moment.seq) if wanted is None or each.unit == wanted]
    return sorted(found, key=lambda each: each.seq)


UNREPORTED = "was answered, and no report of it followed"


class _Asked:
    """A request to change a field that is on its way: what was asked, what was answered, when."""

    def __init__(self, event: ev.RequestRouted, wanted: Wish | None) -> None:
        self.seq, self.time, self.unit, self.wanted = event.seq, event.time, event.unit, wanted
        self.process = event.process
        self.answered: Form = None
        self.answered_at = 0
        self.reports: list[dict[str, Kept]] = []

    def is_in(self, fields: dict[str, Kept]) -> bool:
        """Whether a report has the value that was answered, or else asked for."""
        found = fields.get(self.field)
        return found is not None and alike_forms(found.form, self.value if self.answered is None else self.answered)

    @property
    def field(self) -> str:
        return "" if self.wanted is None else self.wanted.field

    @property
    def value(self) -> Form:
        return None if self.wanted is None else self.wanted.value


class _Reading:
    """One pass over the events, with the schema of each component as it was recorded last."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._schemas: dict[str, Form] = {}  # not null: ezmsg reports that for a value without fields
        self._open: dict[int, _Asked] = {}
        self._sent: list[_Asked] = []
        self._told: dict[str, dict[str, tuple[str, Form]]] = {}

    def read(self, until: int) -> Iterator[SettingDoubt]:
        ledger = self._evidence.ledger
        if ledger.first > 1:
            before = self._evidence.at(ledger.first - 1)
            for unit, each in before.settings.items():
                self._learn(unit, each.value)
        for batch in ledger.read(until=until):
            for event in batch:
                yield from self._take(event)
        end = self._evidence.time(until) if until else 0
        for asked in self._sent:
            if end - asked.answered_at > GRACE:
                yield _doubt(asked, asked.seq, asked.time, "not reported", UNREPORTED)

    def _take(self, event: Any) -> Iterator[SettingDoubt]:
        match event:
            case ev.MetadataRegistered():
                for unit, value in Registration(event.metadata, event.raw).settings():
                    self._learn(unit, value)
                    yield from self._misfits(event, unit, value)
            case ev.SettingsUpdated():
                self._learn(event.component, event.value)
                yield from self._misfits(event, event.component, event.value)
                yield from self._reported(event)
            case ev.RequestRouted() if event.operation == UPDATE:
                self._open[event.seq] = _Asked(event, wish(event.payload))
            case ev.RequestAnswered() if event.request in self._open:
                yield from self._answered(event, self._open.pop(event.request))
            case ev.ProcessClosed():
                for asked in [each for each in self._sent if each.process == event.process]:
                    self._sent.remove(asked)
                    yield _doubt(asked, asked.seq, asked.time, "not reported", f"{UNREPORTED}: its process ended")

    def _learn(self, unit: str, value: ev.SettingsValue) -> None:
        if value.settings_schema is not UNSET and value.settings_schema is not None:
            self._schemas[unit] = value.settings_schema

    def _misfits(self, event: Any, unit: str, value: ev.SettingsValue) -> Iterator[SettingDoubt]:
        found = value_misfits(self._schemas.get(unit), value)
        fields = {"": kept(value).form} | {name: each.form for name, each in parts(kept(value)).items()}
        told, self._told[unit] = self._told.get(unit, {}), {field: (why, fields[field]) for field, why in found.items()}
        for field, why in found.items():
            if told.get(field) == (why, fields[field]):
                continue  # it was told when it came
            yield SettingDoubt(event.seq, event.time, unit, field, "misfit", why, None, None, fields[field])

    def _answered(self, event: ev.RequestAnswered, asked: _Asked) -> Iterator[SettingDoubt]:
        if not event.ok:
            why = ": ".join(filter(None, (event.error_code, event.error))) or "no reason given"
            yield _doubt(asked, event.seq, event.time, "refused", why)
            return
        sent = answered(event.payload)
        at = None if sent is None else leaves(kept(sent)).get(asked.field)
        asked.answered, asked.answered_at = None if at is None else at.form, event.time
        if asked.wanted is not None and not any(map(asked.is_in, asked.reports)):  # it may come before the answer
            self._sent.append(asked)
        if at is not None and asked.wanted is not None and not alike_forms(at.form, asked.value):
            yield _doubt(asked, event.seq, event.time, "changed", "became another value on its way to the unit")

    def _reported(self, event: ev.SettingsUpdated) -> Iterator[SettingDoubt]:
        """Requests for this component that were answered before have arrived with this."""
        now = leaves(kept(event.value))
        for each in self._open.values():
            if each.unit == event.component:
                each.reports.append(now)
        arrived = [each for each in self._sent if each.unit == event.component]
        self._sent = [each for each in self._sent if each.unit != event.component]
        for each in arrived:
            if not each.is_in(now):
                form = now[each.field].form if each.field in now else None
                text = "another value was reported than the one that was answered"
                yield SettingDoubt(
                    event.seq, event.time, each.unit, each.field, "other", text, each.value, each.answered, form
                )


def _doubt(asked: _Asked, seq: int, time: int, kind: str, text: str) -> SettingDoubt:
    return SettingDoubt(seq, time, asked.unit, asked.field, kind, text, asked.value, asked.answered, None)
