"""Which settings were in force, who asked for a change, and where a unit ran."""

from itertools import pairwise
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.answers import FieldChange, Likely, Placement, SettingChange, SettingHistory, Stay
from ezmsg.ledger.projections.clock import SECOND
from ezmsg.ledger.projections.lifetimes import Fact
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.past import Past
from ezmsg.ledger.projections.reach import neighbours, reached
from ezmsg.ledger.projections.spans import OPEN
from ezmsg.ledger.projections.whens import fields
from ezmsg.ledger.values import same

INPUT = "INPUT_SETTINGS"
"""The stream through which ezmsg's units take settings; its topic is the unit's address and this."""

UPDATES = "UPDATE_SETTING"
"""What the operations begin with that change a setting."""

GRACE = 2 * SECOND
"""A process answers a request and reports the new value on its own ways: the report may come this much later."""


def setting(past: Past, unit: str, field: str | None, moment: Moment) -> SettingHistory:
    """See ``Timeline.setting``."""
    lives = past.lifetimes.facts("setting", past.subjects.unit(unit))
    requests = _Requests(past, unit)
    changes, current = [], None
    before: Fact | None = None
    for life in lives:
        change = _change(past, life, before if before is not None and before.died == life.born else None, requests)
        if field is None or before is None or any(_is_in(each.path, field) for each in change.fields):
            changes.append(change)
        if life.born <= moment.seq < life.died:
            current = change
        before = life
    return SettingHistory(unit, field, moment, current, changes)


def _is_in(path: str, field: str) -> bool:
    return path == field or path.startswith(f"{field}.")


def _change(past: Past, life: Fact, before: Fact | None, requests: "_Requests") -> SettingChange:
    value, _, process, _ = life.value
    how = past.cause(life.born, "setting", False).kind
    asked = requests.take(life, process) if how in ("updated", "observed") else None
    asker = None if asked is None else asked.value[0]
    likely = _likely(past, str(life.name), life.born) if how == "updated" and asked is None else []
    return SettingChange(
        seq=life.born,
        time=past.time(life.born),
        until=None if life.died == OPEN else life.died,
        how=how,
        value=value,
        before=None if before is None else before.value[0],
        fields=_field_changes(None if before is None else before.value[0], value),
        process=process,
        request=None if asked is None else asked.name,
        asked_by=asker,
        label=None if asker is None else past.name(asker),
        likely=likely,
    )


def _field_changes(before: Any, after: Any) -> list[FieldChange]:
    old, new = fields(before), fields(after)
    if before is None:
        return []
    out = []
    for path in dict.fromkeys([*old, *new]):
        if path not in new or path not in old:
            out.append(FieldChange(path, old.get(path), new.get(path), "after" if path in old else "before"))
        elif not same(old[path], new[path]):
            out.append(FieldChange(path, old[path], new[path]))
    return out


class _Requests:
    """The requests to change a unit's settings, each good for one change."""

    def __init__(self, past: Past, unit: str) -> None:
        self._past = past
        self._open = [
            fact
            for fact in past.lifetimes.facts("request")
            if fact.value[1] == unit and fact.value[2].startswith(UPDATES)
        ]

    def take(self, life: Fact, process: int | None) -> Fact | None:
        """The oldest request that event ``life.born`` can be the fruit of; it will not be given again."""
        for request in self._open:
            if request.born > life.born:
                return None
            if request.value[3] == process and self._may(request, life.born):
                self._open.remove(request)
                return request
        return None

    def _may(self, request: Fact, seq: int) -> bool:
        if request.died > seq:
            return True
        answer = self._past.event(request.died)
        late = self._past.time(seq) - self._past.time(request.died)
        return type(answer) is ev.RequestAnswered and answer.ok and late <= GRACE


def _likely(past: Past, unit: str, seq: int) -> list[Likely]:
    topic = f"{unit}/{INPUT}"
    upstream = reached(neighbours(past.lifetimes.edges_at(seq), back=True), topic)
    found = [
        Likely(fact.value[1], int(fact.name), fact.value[3])
        for fact in past.lifetimes.facts("endpoint")
        if fact.value[0] == "publisher" and fact.value[1] in upstream and fact.born <= seq < fact.died
    ]
    return found or [Likely(name, None, None) for name in sorted(upstream - {topic})]


def placement(past: Past, unit: str, moment: Moment) -> Placement:
    """See ``Timeline.placement``."""
    stays, current = [], None
    for life in past.lifetimes.facts("unit", past.subjects.unit(unit, "unit")):
        process = past.lifetimes.facts("process", life.value)[0]
        went = None if life.died == OPEN else past.cause(life.died, "unit", True)
        died = None if life.died == OPEN else life.died
        came = past.cause(life.born, "unit", False)
        stay = Stay(life.value, process.value[0], process.value[1], life.born, died, came, went)
        stays.append(stay)
        if life.born <= moment.seq < life.died:
            current = stay
    moves = sum(a.process != b.process for a, b in pairwise(stays))
    return Placement(unit, stays, moves, current)
