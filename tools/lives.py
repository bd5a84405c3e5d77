"""How long something was so: a hold on an edge, a unit's stay in a process, or whatever can be told from a state.

Every answer is one pass over the ledger, folded event by event.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.projections.clock import time_text
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools import names
from ezmsg.ledger.tools.page import Page
from ezmsg.ledger.tools.told import observed, span_text


class Life(msgspec.Struct, frozen=True):
    """Something that was so from event ``born`` until just before event ``died`` (None: still). Times: ns, UTC.

    ``what`` names it; ``began`` and ``ended`` say in words what made it so and what ended it ("" while it is so).
    """

    what: str
    born: int
    born_time: int
    began: str
    died: int | None = None
    died_time: int | None = None
    ended: str = ""

    def at(self, seq: int) -> bool:
        """Whether it was so just after event ``seq``."""
        return self.born <= seq and (self.died is None or seq < self.died)

    def length(self, seq: int, time: int) -> int:
        """How long it was so until event ``seq`` of time ``time``, in ns; not below 0, whatever the clock did."""
        gone = self.died_time is not None and self.died is not None and self.died <= seq
        return max(0, (self.died_time if gone and self.died_time is not None else time) - self.born_time)

    def to_dict(self) -> dict[str, Any]:
        """The life as builtins, as ``--json`` has it."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


def sound_events(timeline: Timeline) -> Iterator[ev.AnyEvent]:
    """The events of a ledger, up to the damage where it is damaged, which is kept as ``timeline.damage``."""
    try:
        yield from timeline.ledger.entries()
    except DamagedLedger as error:
        timeline.damage = error


def asked_moment(timeline: Timeline, text: str) -> Moment:
    """The moment that is asked about; where it lies behind the damage of a ledger, the last one before that, which is
    kept as ``timeline.damage``."""
    try:
        return timeline.moment(text)
    except DamagedLedger as error:
        timeline.damage = error
        return replace(timeline.moment(error.seq), text=text, how="the last event before the damage")


Seen = Callable[[GraphState, Any], Mapping[Any, str]]
"""What is so in a state, just after an event: by a key that tells one from another, what to call it."""


def lives(events: Iterable[ev.AnyEvent], seen: Seen) -> list[Life]:
    """All lives of what ``seen`` shows, in the order of their births. Cost: O(events), with ``seen`` for each."""
    state = GraphState()
    done: list[Life] = []
    alive: dict[Any, Life] = {}
    for event in events:
        words = deed(state, event) if isinstance(event, ENDS) else ""  # whoever ends has a name before that alone
        time = last_seen(event)
        state.apply(event)
        shown = seen(state, event)
        if not shown and not alive:
            continue
        for key in [key for key in alive if key not in shown]:
            words = words or deed(state, event)
            done.append(replace(alive.pop(key), died=event.seq, died_time=time, ended=words))
        for key, what in shown.items():
            life = alive.get(key)
            if life is None:
                words = words or deed(state, event)
                alive[key] = Life(what, event.seq, event.time, words)
            elif life.what != what:  # a label came later
                alive[key] = replace(life, what=what)
    return sorted([*done, *alive.values()], key=lambda life: life.born)


def last_seen(event: Any) -> int:
    """When what an event ended was last so: of a server that was lost, when it was last known to be alive."""
    if isinstance(event, ev.ServerLost) and event.last_seen is not None:
        return event.last_seen
    return int(event.time)


def union(lives: list[Life]) -> list[tuple[Life, Life]]:
    """The spans that overlapping lives fill: of each, the life that begins it and the one that ends it."""
    spans: list[tuple[Life, Life]] = []
    for life in sorted(lives, key=lambda life: life.born):
        if spans and (spans[-1][1].died is None or life.born <= spans[-1][1].died):
            first, last = spans[-1]
            later = last.died is not None and (life.died is None or life.died > last.died)
            spans[-1] = (first, life if later else last)
        else:
            spans.append((life, life))
    return spans


def spans_ns(spans: list[tuple[Life, Life]], now: int) -> int:
    """How long spans are in all, in ns; ``now`` ends those that go on."""
    return sum(max(0, (now if last.died_time is None else last.died_time) - first.born_time) for first, last in spans)


def tell_life(page: Page, timeline: Timeline, life: Life, moment: Moment) -> None:
    """A life in a few lines: what, for how long, and the events at its two ends."""
    gone = life.died is not None and life.died <= moment.seq
    length = f"{'for' if gone else 'so far'} {span_text(life.length(moment.seq, moment.time))}"
    page.line("  ", ("dim" if gone else "add", life.what), f", {length}")
    page.line(("dim", f"    {life.born:>6}  {time_text(life.born_time, timeline.zone)}  "), life.began)
    if gone and life.died is not None and life.died_time is not None:
        page.line(("dim", f"    {life.died:>6}  {time_text(life.died_time, timeline.zone)}  "), ("gone", life.ended))


# --- what an event did, in a few words -------------------------------------------------------------------------------

ENDS = (
    ev.SessionCleared,
    ev.SessionClosed,
    ev.ProcessClosed,
    ev.EndpointClosed,
    ev.ServerStopped,
    ev.ServerLost,
)


def deed(state: GraphState, event: ev.AnyEvent) -> str:
    """What ``event`` did and who did it, without what follows. ``state``: before it, or after it where nothing ends."""
    tell = _DEEDS.get(type(event))
    return ev.type_of(event) if tell is None else tell(state, event)


def _session_closed(state: GraphState, event: ev.SessionClosed) -> str:
    detail = f" ({event.detail})" if event.detail and event.detail != "eof" else ""
    how = {
        "closed": "left",
        "lost": "was lost: its connection ended while it held something",
        "server_stopped": "ended with the server",
        "error": "ended with an error",
        "unseen": "ended while nobody recorded",
    }.get(event.reason, f"ended ({event.reason})")
    return f"{names.session(state, event.session)} {how}{detail}"


def _process_closed(state: GraphState, event: ev.ProcessClosed) -> str:
    how = {"closed": "ended", "lost": "was lost"}.get(event.reason, f"ended ({event.reason})")
    return f"{names.process(state, event.process)} {how}"


def _edge(state: GraphState, event: ev.EdgeConnected | ev.EdgeDisconnected) -> str:
    who = names.owner(state, event.owner) if event.owner is not None else event.by or "somebody"
    kept = "" if event.owner is not None else " for the persistent owner"
    if isinstance(event, ev.EdgeConnected):
        return f"{who} connected it{kept}{observed(event)}"
    return f"{who} disconnected it{kept}" if event.reason is None else f"{who} no longer holds it ({event.reason})"


def _registered(state: GraphState, event: ev.MetadataRegistered) -> str:
    return f"{names.session(state, event.session)} registered its components{observed(event)}"


def _units(state: GraphState, event: ev.ProcessRegistered | ev.ProcessOwnershipChanged) -> str:
    what = "said what it runs" if isinstance(event, ev.ProcessRegistered) else "took on or gave up units"
    return f"{names.process(state, event.process)} {what}"


def _endpoint_closed(state: GraphState, event: ev.EndpointClosed) -> str:
    how = {"closed": "closed", "lost": "was lost"}.get(event.reason, f"ended ({event.reason})")
    return f"{names.endpoint(state, event.endpoint)} {how}"


_DEEDS: dict[type, Callable[[GraphState, Any], str]] = {
    ev.SessionOpened: lambda state, event: f"{names.session(state, event.seq)} opened{observed(event)}",
    ev.SessionCleared: lambda state, event: f"{names.session(state, event.session)} gave up all it held",
    ev.SessionClosed: _session_closed,
    ev.EdgeConnected: _edge,
    ev.EdgeDisconnected: _edge,
    ev.GraphCleared: lambda state, event: f"{event.by or 'somebody'} dropped all persistent edges",
    ev.MetadataRegistered: _registered,
    ev.ProcessRegistered: _units,
    ev.ProcessOwnershipChanged: _units,
    ev.ProcessClosed: _process_closed,
    ev.SettingsUpdated: lambda state, event: f"{names.process(state, event.process)} reported settings",
    ev.PublisherOpened: lambda state, event: f"{names.endpoint(state, event.seq)} opened{observed(event)}",
    ev.SubscriberOpened: lambda state, event: f"{names.endpoint(state, event.seq)} opened{observed(event)}",
    ev.ChannelOpened: lambda state, event: f"{names.endpoint(state, event.seq)} opened{observed(event)}",
    ev.EndpointClosed: _endpoint_closed,
    ev.SubscriberStalled: lambda state, event: f"{names.endpoint(state, event.endpoint)} stalled",
    ev.SubscriberRecovered: lambda state, event: f"{names.endpoint(state, event.endpoint)} caught up",
    ev.GraphPaused: lambda state, event: f"{event.by or 'somebody'} paused the graph",
    ev.GraphResumed: lambda state, event: f"{event.by or 'somebody'} resumed the graph",
    ev.ServerStarted: lambda state, event: "the server started",
    ev.ServerStopped: lambda state, event: "the server stopped",
    ev.ServerLost: lambda state, event: "the server was lost: it died without a word",
}
