"""The facts of a predicate as conditions, which are kept up to date while events come, at the cost of what these touch.

The idea: a condition names the types of events that can change it, and is asked of each of these, before it is applied,
whether it concerns the condition at all. For nearly all events that is a look-up of a type, or one in a dict beside it.
Only then is the condition looked at anew, in the graph state, to which every event is applied but those of edges. The
facts that edges decide are kept up to date otherwise: see ``wiring_conditions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.questions import predicates as pr
from ezmsg.ledger.projections.questions.name_hints import number
from ezmsg.ledger.projections.questions.predicate_spans import holds_of
from ezmsg.ledger.projections.questions.value_comparison import ORDERS
from ezmsg.ledger.projections.questions.watching.condition import RUN_ENDS, Condition
from ezmsg.ledger.projections.questions.watching.wiring_conditions import (
    EdgeCondition,
    EdgeCount,
    PathCondition,
    TopicCondition,
    TopicCount,
)


class SessionCondition(Condition):
    """A session of this id, else label, else beginning of a UUID is open. An event costs O(1)."""

    types = (ev.SessionOpened, ev.MetadataRegistered, ev.SessionClosed, *RUN_ENDS)

    def __init__(self, fact: pr.Session, ever: Iterable[SessionMark]) -> None:
        self._name = fact.name
        self._id = number(fact.name)
        self._id_known = False
        self._label_known = not self._name
        self._labelled: set[int] = set()  # the open ones of this label
        self._begun: set[int] = set()  # the open ones whose UUID begins so
        for mark in ever:
            self._id_known = self._id_known or mark.seq == self._id
            self._label_known = self._label_known or mark.label == self._name

    def look(self, event: Any, state: GraphState) -> None:
        if event is None:
            for key in state.sessions:
                self._know(key, state)
        elif type(event) in (ev.SessionOpened, ev.MetadataRegistered):
            self._know(event.seq if type(event) is ev.SessionOpened else event.session, state)
        elif type(event) is ev.SessionClosed:
            self._labelled.discard(event.session)
            self._begun.discard(event.session)
        else:
            self._labelled.clear()
            self._begun.clear()
        if self._id_known:
            self.now = self._id in state.sessions
        else:
            self.now = bool(self._labelled if self._label_known else self._begun)

    def _know(self, key: int, state: GraphState) -> None:
        record = state.sessions[key]
        self._id_known = self._id_known or key == self._id
        if record.label == self._name:
            self._label_known = True
            self._labelled.add(key)
        if self._name and record.uuid.startswith(self._name.lower()):
            self._begun.add(key)


class SettingCondition(Condition):
    """The settings in force compare so with a value. An event costs O(1), a new value O(its bytes)."""

    types = (
        ev.SettingsUpdated,
        ev.MetadataRegistered,
        ev.ProcessClosed,
        ev.SessionCleared,
        ev.SessionClosed,
        *RUN_ENDS,
    )

    def __init__(self, fact: pr.Setting) -> None:
        self._fact = fact
        self._value: Any = None

    def touches(self, event: Any) -> bool:
        return type(event) is not ev.SettingsUpdated or event.component == self._fact.unit

    def look(self, event: Any, state: GraphState) -> None:
        record = state.settings.get(self._fact.unit)
        value = None if record is None else record.value
        if value is not self._value:
            self._value = value
            self.now = value is not None and holds_of(self._fact, value)


class ComponentCondition(Condition):
    """A component is registered. An event costs O(1)."""

    types = (ev.MetadataRegistered, ev.SessionCleared, ev.SessionClosed, *RUN_ENDS)

    def __init__(self, fact: pr.There) -> None:
        self._address = fact.name

    def look(self, event: Any, state: GraphState) -> None:
        self.now = self._address in state.components


class UnitCondition(Condition):
    """A process runs a unit. An event costs O(1)."""

    types = (ev.ProcessRegistered, ev.ProcessOwnershipChanged, ev.ProcessClosed, *RUN_ENDS)

    def __init__(self, fact: pr.There) -> None:
        self._unit = fact.name

    def look(self, event: Any, state: GraphState) -> None:
        self.now = self._unit in state.units


class EndpointCondition(Condition):
    """A topic has a publisher, a subscriber, or a subscriber that is stalled. An event costs O(1)."""

    types = (
        ev.PublisherOpened,
        ev.SubscriberOpened,
        ev.EndpointClosed,
        ev.SubscriberStalled,
        ev.SubscriberRecovered,
        *RUN_ENDS,
    )

    def __init__(self, fact: pr.There) -> None:
        self._kind, self._topic = fact.kind, fact.name
        self._ids: set[int] = set()

    def touches(self, event: Any) -> bool:
        if type(event) in (ev.PublisherOpened, ev.SubscriberOpened):
            return bool(event.topic == self._topic)
        key = getattr(event, "endpoint", None)
        return key is None or key in self._ids or type(event) is ev.SubscriberStalled

    def look(self, event: Any, state: GraphState) -> None:
        if event is None or type(event) in RUN_ENDS:
            self._ids = {key for key in state.endpoints if self._is_meant(key, state)}
        else:
            key = event.seq if type(event) in (ev.PublisherOpened, ev.SubscriberOpened) else event.endpoint
            (self._ids.add if self._is_meant(key, state) else self._ids.discard)(key)
        self.now = bool(self._ids)

    def _is_meant(self, key: int, state: GraphState) -> bool:
        record = state.endpoints.get(key)
        if record is None or record.topic != self._topic:
            return False
        return record.stalled if self._kind == "stalled" else record.kind == self._kind


class PausedCondition(Condition):
    """The graph is paused."""

    types = (ev.GraphPaused, ev.GraphResumed, *RUN_ENDS)

    def look(self, event: Any, state: GraphState) -> None:
        self.now = state.paused


class CountCondition(Condition):
    """The number of one noun compares so. An event costs O(1)."""

    def __init__(self, fact: pr.Count) -> None:
        self._fact = fact
        self._ids: set[int] = set()
        self.types = _COUNTED[fact.noun]

    def look(self, event: Any, state: GraphState) -> None:
        self.now = ORDERS[self._fact.sign](self._number(event, state), self._fact.number)

    def _number(self, event: Any, state: GraphState) -> int:
        match self._fact.noun:
            case "sessions":
                return len(state.sessions)
            case "processes":
                return len(state.processes)
            case "components":
                return len(state.components)
        if type(event) is ev.EndpointClosed:
            self._ids.discard(event.endpoint)
        elif type(event) in (ev.PublisherOpened, ev.SubscriberOpened):
            self._ids.add(event.seq)
        else:
            kind = self._fact.noun.removesuffix("s")
            self._ids = {key for key, record in state.endpoints.items() if record.kind == kind}
        return len(self._ids)


_COUNTED: dict[str, tuple[type, ...]] = {
    "sessions": (ev.SessionOpened, ev.SessionClosed, *RUN_ENDS),
    "processes": (ev.ProcessOpened, ev.ProcessClosed, *RUN_ENDS),
    "components": ComponentCondition.types,
    "publishers": (ev.PublisherOpened, ev.EndpointClosed, *RUN_ENDS),
    "subscribers": (ev.SubscriberOpened, ev.EndpointClosed, *RUN_ENDS),
}


_COUNTS: dict[str, type[Any]] = {"edges": EdgeCount, "topics": TopicCount}
_THERE: dict[str, type[Any]] = {"topic": TopicCondition, "component": ComponentCondition, "unit": UnitCondition}


def condition_of(fact: pr.Predicate, ever: Iterable[SessionMark]) -> Condition:
    """The condition for one fact of a predicate; ``ever``: all sessions that there were."""
    made: Condition
    match fact:
        case pr.Edge():
            return EdgeCondition(fact)
        case pr.Reaches():
            return PathCondition(fact)
        case pr.Session():
            return SessionCondition(fact, ever)
        case pr.Setting():
            return SettingCondition(fact)
        case pr.There():
            made = _THERE.get(fact.kind, EndpointCondition)(fact)
            return made
        case pr.Count():
            made = _COUNTS.get(fact.noun, CountCondition)(fact)
            return made
    return PausedCondition()


def facts(predicate: pr.Predicate) -> Iterator[pr.Predicate]:
    """The facts that a predicate is made of."""
    if isinstance(predicate, pr.Not):
        yield from facts(predicate.part)
    elif isinstance(predicate, pr.And | pr.Or):
        for part in predicate.parts:
            yield from facts(part)
    else:
        yield predicate


def holds(predicate: pr.Predicate, conditions: dict[str, Condition]) -> bool:
    """Whether a predicate holds by the conditions of its facts, by their texts. Cost: O(length of the predicate)."""
    match predicate:
        case pr.Not(part):
            return not holds(part, conditions)
        case pr.And(parts):
            return all(holds(part, conditions) for part in parts)
        case pr.Or(parts):
            return any(holds(part, conditions) for part in parts)
    return conditions[str(predicate)].now
