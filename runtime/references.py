"""The ids in an event must name things that are open, or no fold could pass the event."""

from collections.abc import Sequence

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.projections.graph.state import GraphState

_NONE = ("", "")
_REFERENCES: dict[type, tuple[str, str]] = {
    ev.EdgeConnected: ("owner", "sessions"),
    ev.EdgeDisconnected: ("owner", "sessions"),
    ev.SessionCleared: ("session", "sessions"),
    ev.SessionClosed: ("session", "sessions"),
    ev.MetadataRegistered: ("session", "sessions"),
    ev.ProcessRegistered: ("process", "processes"),
    ev.ProcessOwnershipChanged: ("process", "processes"),
    ev.ProcessClosed: ("process", "processes"),
    ev.SettingsUpdated: ("process", "processes"),
    ev.RequestRouted: ("session", "sessions"),
    ev.RequestAnswered: ("request", "requests"),
    ev.ChannelOpened: ("publisher", "endpoints"),
    ev.EndpointClosed: ("endpoint", "endpoints"),
    ev.SubscriberStalled: ("endpoint", "endpoints"),
    ev.SubscriberRecovered: ("endpoint", "endpoints"),
}
"""The fields that name something which is open, by event type, and where the state keeps such things."""


def check_references(events: Sequence[ev.Event], state: GraphState, next_seq: int) -> None:
    """Raise InvalidEvent unless what ``events`` name is open in ``state``, or opened by one of them.

    ``next_seq`` is the seq that the first of them will get. Cost: O(events).
    """
    for place, event in enumerate(events):
        field, table = _REFERENCES.get(type(event), _NONE)
        if not field:
            continue
        key = getattr(event, field)
        if key is None or key in getattr(state, table) or next_seq <= key < next_seq + place:
            continue
        raise InvalidEvent(
            f"{ev.type_of(event)} names {field} {key}, which is not open",
            hint="Ids are those that opening gave, until the thing is closed or the run ends.",
        )
