"""The history of a unit: which settings were in force, who asked for a change, and in which process it ran."""

from bisect import bisect_right
from itertools import pairwise
from typing import Any, NamedTuple

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.questions.answers import (
    FieldChange,
    Likely,
    Placement,
    SettingChange,
    SettingHistory,
    Stay,
)
from ezmsg.ledger.projections.questions.evidence import Evidence
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.paths.reach import neighbours, reached
from ezmsg.ledger.projections.questions.predicate_spans import fields, unknown_field
from ezmsg.ledger.projections.questions.settings.change_request import GRACE, UPDATE, Wish, answered, wish
from ezmsg.ledger.projections.questions.settings.stored_value import changes, kept, leaves
from ezmsg.ledger.projections.questions.value_comparison import alike_forms

INPUT = "INPUT_SETTINGS"
"""The stream through which ezmsg's units take settings, where their metadata names no other topic."""


def setting(
    evidence: Evidence, unit: str, field: str | None, moment: Moment, whole: bool = False
) -> SettingHistory:
    """See ``Timeline.setting``."""
    lives = evidence.lifetimes.facts("setting", evidence.subjects.unit(unit))
    if field is not None and not any(_is_in(path, field) for fact in lives for path in fields(fact.value[0])):
        raise unknown_field(unit, field, lives)
    asked = evidence.lifetimes.facts("request")
    requests, publishers = Requests(evidence, unit, asked), Publishers(evidence, unit)
    found, current = [], None
    before: Fact | None = None
    for life in lives:
        if life.born > moment.seq:
            break
        earlier = before if before is not None and before.died == life.born else None
        change = change_of(evidence, life, earlier, requests, publishers, whole)
        if field is None or any(_is_in(each.path, field) for each in change.fields):
            found.append(change)
        if life.stands(moment.seq):
            current = change
        before = life
    return SettingHistory(unit, field, moment, current, found)


def _is_in(path: str, field: str) -> bool:
    return path == field or path.startswith(f"{field}.")


def change_of(
    evidence: Evidence,
    life: Fact,
    before: Fact | None,
    requests: "Requests",
    publishers: "Publishers",
    whole: bool,
) -> SettingChange:
    """The change that ``life`` of a setting began with; ``before``: the life that ended with it, None without one."""
    value, _, process, _ = life.value
    came = evidence.cause(life.born, "setting", False)
    old = None if before is None else evidence.settings(before)
    changed = changes(old, evidence.settings(life), whole=whole)
    taken = requests.take(life, process, changed) if came.kind in ("updated", "observed") else None
    asked = None if taken is None else taken.request
    asker = None if asked is None else asked.value[0]
    return SettingChange(
        seq=life.born,
        time=evidence.time(life.born),
        until=None if life.died == OPEN else life.died,
        how=came.kind,
        value=value,
        before=None if before is None else before.value[0],
        fields=changed,
        process=process,
        request=None if asked is None else asked.name,
        asked_by=asker,
        label=None if asker is None else evidence.name(asker),
        likely=publishers.likely(life.born) if came.kind == "updated" and asked is None else [],
        came=came,
        went=None if life.died == OPEN else evidence.cause(life.died, "setting", True),
        asked_field=None if taken is None else taken.wanted.field,
        asked=None if taken is None else taken.wanted.value,
        answered=None if taken is None else taken.answered,
    )


class _Taken(NamedTuple):
    """A request that a change came of, and the value that was answered (None: not known)."""

    request: Fact
    wanted: Wish
    answered: Any


class Requests:
    """The requests to change a field of a unit's settings, each good for one change."""

    def __init__(self, evidence: Evidence, unit: str, requests: list[Fact]) -> None:
        self._evidence = evidence
        self._open = [
            (fact, wanted)
            for fact in requests
            if fact.value[1] == unit and fact.value[2] == UPDATE and (wanted := self._wish(fact)) is not None
        ]

    def _wish(self, request: Fact) -> Wish | None:
        if request.born < self._evidence.ledger.first:
            return None  # asked before the first event that is left
        return wish(self._evidence.event(request.born).payload)

    def take(self, life: Fact, process: int | None, changed: list[FieldChange]) -> _Taken | None:
        """The oldest request that set one of the changed fields to its value. No request is given twice.

        A value can become another one on the way, "yes" true: then it is the answer that has the new one.
        """
        now = {each.path: each.after for each in changed if each.missing != "after"}
        for place, (request, wanted) in enumerate(self._open):
            if request.born > life.born:
                return None
            if request.value[3] != process or wanted.field not in now or not self._may(request, life.born):
                continue
            value, answer = now[wanted.field], self._answer(request, wanted.field)
            if alike_forms(value, wanted.value) or (answer is not None and alike_forms(value, answer)):
                del self._open[place]
                return _Taken(request, wanted, answer)
        return None

    def _answer(self, request: Fact, field: str) -> Any:
        """The value of a field as the answer to a request has it; None where that is not known."""
        answer = None if request.died == OPEN else self._evidence.event(request.died)
        sent = answered(answer.payload) if type(answer) is ev.RequestAnswered else None
        found = None if sent is None else leaves(kept(sent)).get(field)
        return None if found is None else found.form

    def _may(self, request: Fact, seq: int) -> bool:
        if request.died > seq:
            return True
        answer = self._evidence.event(request.died)
        late = self._evidence.elapsed(request.died, seq).ns
        return type(answer) is ev.RequestAnswered and answer.ok and late <= GRACE


class Publishers:
    """The publishers at or upstream of a unit's settings input, told once for all changes between which none came.

    Cost: O(n log n) in the holds and facts of the history; then O(edges and endpoints) when any of them has changed.
    """

    def __init__(self, evidence: Evidence, unit: str) -> None:
        self._evidence = evidence
        self._unit = unit
        lifetimes = evidence.lifetimes
        facts = [fact for kind in ("endpoint", "unit", "component", "registration") for fact in lifetimes.facts(kind)]
        self._seqs = (
            lifetimes.column("hold.born"),
            sorted(lifetimes.column("hold.died")),
            sorted(seq for fact in facts for seq in (fact.born, fact.died)),
        )
        self._told: tuple[list[int], list[Likely]] = ([], [])

    def likely(self, seq: int) -> list[Likely]:
        """The publishers that were there after event ``seq``."""
        came = [bisect_right(seqs, seq) for seqs in self._seqs]
        if came != self._told[0]:
            self._told = came, _likely(self._evidence, self._unit, seq)
        return self._told[1]


def _likely(evidence: Evidence, unit: str, seq: int) -> list[Likely]:
    endpoints = evidence.lifetimes.facts("endpoint")
    publishers = [fact for fact in endpoints if fact.value[0] == "publisher" and fact.stands(seq)]
    if not publishers:  # all edges need not be looked at
        return []
    upstream = reached(neighbours(evidence.lifetimes.edges_at(seq), back=True), _input_topic(evidence, unit, seq))
    running = {fact.name: fact.value for fact in evidence.lifetimes.facts("unit") if fact.stands(seq)}
    found = []
    for fact in publishers:
        _, topic, _, peer = fact.value
        if topic in upstream:
            unit_ = topic.rpartition("/")[0]
            known = unit_ in running or _registered(evidence, unit_, seq) is not None
            found.append(Likely(topic, int(fact.name), peer, unit_ if known else None, running.get(unit_)))
    return found


def _registered(evidence: Evidence, component: str, seq: int) -> Fact | None:
    """The fact that a component was registered after event ``seq``; its value is the session."""
    return next((f for f in evidence.lifetimes.facts("component", component) if f.stands(seq)), None)


def _input_topic(evidence: Evidence, unit: str, seq: int) -> str:
    component = _registered(evidence, unit, seq)
    sessions = [] if component is None else evidence.lifetimes.facts("registration", component.value)
    for registration in sessions:
        if registration.stands(seq):
            dynamic = evidence.registration(registration).components.get(unit, {}).get("dynamic_settings")
            if isinstance(dynamic, dict) and isinstance(dynamic.get("input_topic"), str):
                return str(dynamic["input_topic"])
    return f"{unit}/{INPUT}"


def placement(evidence: Evidence, unit: str, moment: Moment) -> Placement:
    """See ``Timeline.placement``."""
    stays, current = [], None
    for life in evidence.lifetimes.facts("unit", evidence.subjects.unit(unit, "unit")):
        process = evidence.lifetimes.facts("process", life.value)[0]
        went = None if life.died == OPEN else evidence.cause(life.died, "unit", True)
        died = None if life.died == OPEN else life.died
        came = evidence.cause(life.born, "unit", False)
        stay = Stay(life.value, process.value[0], process.value[1], life.born, died, came, went)
        stays.append(stay)
        if life.stands(moment.seq):
            current = stay
    moves = sum(a.process != b.process for a, b in pairwise(stays))
    return Placement(unit, stays, moves, current)
