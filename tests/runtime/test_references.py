"""An event that names what is not there is never stored."""

from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.events import stamped
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime.references import _REFERENCES, check_references


def state_of(*events: Any) -> GraphState:
    return fold([[stamped(event, seq, seq) for seq, event in enumerate(events, 1)]], GraphState())


STATE = state_of(
    ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1),
    ev.SessionOpened(uuid="s2"),
    ev.ProcessOpened(uuid="p3"),
    ev.PublisherOpened(uuid="e4", topic="A"),
    ev.RequestRouted(uuid="r5", session=2, unit="U", operation="PING", process=3),
)
IDS = {"sessions": 2, "processes": 3, "endpoints": 4, "requests": 5}
NEXT = 6
VALUE = ev.SettingsValue(serialized=None, repr_value="")


def naming(kind: type, key: int | None) -> Any:
    """An event of that kind which names ``key``, whatever else it says."""
    rest = {
        ev.EdgeConnected: {"from_topic": "A", "to_topic": "B"},
        ev.EdgeDisconnected: {"from_topic": "A", "to_topic": "B"},
        ev.SessionClosed: {"reason": "closed"},
        ev.MetadataRegistered: {"metadata": {}},
        ev.ProcessRegistered: {"pid": 1, "host": "h", "units": ()},
        ev.ProcessOwnershipChanged: {"added": (), "removed": ()},
        ev.ProcessClosed: {"reason": "closed"},
        ev.SettingsUpdated: {"component": "U", "value": VALUE},
        ev.RequestRouted: {"uuid": "r", "unit": "U", "operation": "PING", "process": None},
        ev.RequestAnswered: {"ok": True},
        ev.ChannelOpened: {"uuid": "c"},
        ev.EndpointClosed: {"reason": "closed"},
        ev.SubscriberStalled: {"topic": "A"},
        ev.SubscriberRecovered: {"topic": "A"},
    }
    return kind(**{_REFERENCES[kind][0]: key}, **rest.get(kind, {}))


@pytest.mark.parametrize("kind", _REFERENCES, ids=lambda kind: kind.__name__)
def test_what_an_event_names_must_be_open(kind: type) -> None:
    table = _REFERENCES[kind][1]
    check_references([naming(kind, IDS[table])], STATE, NEXT)
    for key in (0, 99, NEXT, *(other for name, other in IDS.items() if name != table)):
        with pytest.raises(InvalidEvent, match=f"names .* {key}, which is not open") as caught:
            check_references([naming(kind, key)], STATE, NEXT)
        assert caught.value.hint


def test_a_batch_may_name_what_it_opens_itself_but_only_behind_that() -> None:
    opened, closed = ev.SessionOpened(uuid="s"), ev.SessionClosed(session=NEXT, reason="closed")
    check_references([opened, closed], STATE, NEXT)
    with pytest.raises(InvalidEvent):
        check_references([closed, opened], STATE, NEXT)
    with pytest.raises(InvalidEvent):
        check_references([opened, ev.SessionClosed(session=NEXT + 1, reason="closed")], STATE, NEXT)


def test_the_persistent_owner_is_always_there() -> None:
    check_references([naming(ev.EdgeConnected, None), naming(ev.EdgeDisconnected, None)], STATE, NEXT)


def test_every_field_that_holds_an_id_is_looked_at() -> None:
    """A new event type with a reference must not be forgotten here."""
    by_another_way = {"server", "actor"}  # ends of runs are the graph's own; an actor is only named
    names = {"owner", "session", "process", "request", "endpoint", "publisher", "server", "actor"}
    for cls in ev.EVENT_TYPES.values():
        referring = names & set(cls.__struct_fields__) - by_another_way
        if referring:
            assert _REFERENCES[cls][0] in referring, cls
        else:
            assert cls not in _REFERENCES
