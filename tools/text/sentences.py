"""Sentences about events: the words of ``event_words``, with the names that were in force, and what followed from it.

A sentence needs the state just before its event: which edges a lost session held, what a setting was.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.clock_readings import Jump
from ezmsg.ledger.projections.natural_order import natural_edge
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text import names, process_sentences
from ezmsg.ledger.tools.text.event_words import OBSERVER, deed, end_tone, holder, jump_text, let_go, observed
from ezmsg.ledger.tools.text.phrases import LISTED_MAX, Told, edges_text, topics
from ezmsg.ledger.tools.text.refusal_sentences import refusal
from ezmsg.ledger.tools.text.unseen import unseen_words
from ezmsg.ledger.wording import count


class Sentence(msgspec.Struct, frozen=True):
    """A told event and its place."""

    seq: int
    time: int
    type: str
    told: Told


class Story:
    """Tells events one after the other, and folds them: ``state`` is always the one after the last told event.

    ``jumps`` gives what wall time did at a reading of the clocks, by its seq: see ``Readings.jumps``.
    """

    def __init__(
        self,
        state: GraphState | None = None,
        most: int = LISTED_MAX,
        jumps: Callable[[int], Sequence[Jump]] = lambda seq: (),
    ) -> None:
        self.state = state if state is not None else GraphState()
        self._most = most
        self._jumps = jumps

    def tell(self, event: ev.AnyEvent) -> Sentence:
        """The sentence for ``event``, which is applied. Raises what ``GraphState.apply`` raises.

        Cost: that of applying it, and O(what it speaks of).
        """
        try:
            told = _TELLERS[type(event)](self.state, event, self._most)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.state.apply(event)  # says what is wrong when the event contradicts the state; else it is our fault
            raise
        if type(event) is ev.ClockRead and (jumps := self._jumps(event.seq)):
            told = msgspec.structs.replace(told, text=", and ".join(map(jump_text, jumps)), tone="warn")
        self.state.apply(event)
        return Sentence(event.seq, event.time, ev.type_of(event), told)


# --- runs ------------------------------------------------------------------------------------------------------------


def _server_started(state: GraphState, event: ev.ServerStarted, most: int) -> Told:
    where = f", listening on {event.address}" if event.address else ""
    if event.kind == OBSERVER:
        where = f", beside the graph server at {event.address}"
    keeps = f", durability {event.durability}" if event.durability else ""
    versions = ", ".join(f"{name} {number}" for name, number in event.versions.items())
    unseen = f"; it does not see {listed(unseen_words(event.unseen), len(event.unseen))}" if event.unseen else ""
    return Told(f"{deed(state, event)}{where}{keeps}{'; ' if versions else ''}{versions}{unseen}", "head")


def _server_stopped(state: GraphState, event: ev.ServerStopped, most: int) -> Told:
    late = ""
    if event.ended is not None and event.ended <= event.time:  # else a clock was set back
        late = f", {span_text(event.time - event.ended)} before this start, which found word of it"
    return Told(deed(state, event) + late, "head")


def _server_lost(state: GraphState, event: ev.ServerLost, most: int) -> Told:
    how, then = "no clean shutdown was recorded", " this start"
    if event.time == state.time:  # after others in one commit: said by `repair`; the end may be in what it left out
        how, then = "nobody knows how it ended", ""
    seen = ""
    if event.last_seen is not None and event.last_seen <= event.time:  # else a clock was set back
        seen = f", last seen {span_text(event.time - event.last_seen)} before{then}"
    gone = sorted((edge for edge, owners in state.ownership.edges() if None not in owners), key=natural_edge)
    ended = ", ".join(
        count(len(table), one, many)
        for table, one, many in (
            (state.sessions, "session", ""),
            (state.processes, "process", "processes"),
            (state.endpoints, "endpoint", ""),
        )
        if table
    )
    with_it = f"; with it ended {ended}" if ended else ""
    edges = f"; gone with it: {edges_text(gone, most)}" if gone else ""
    untold = "; whether it had events that it could not write cannot be known" if event.untold else ""
    text = f"{deed(state, event)}: {how}{seen}{with_it}{edges}{untold}"
    return Told(text, "bad", tuple(state.sessions), topics(gone))


# --- sessions and edges ----------------------------------------------------------------------------------------------


def _session_opened(state: GraphState, event: ev.SessionOpened, most: int) -> Told:
    return Told(deed(state, event) + observed(event), "add", (event.seq,))


def _session_cleared(state: GraphState, event: ev.SessionCleared, most: int) -> Told:
    held, words = _holdings(state, event.session, most)
    return Told(f"{deed(state, event)}: {held or 'nothing'}", "gone", (event.session,), words)


def _session_closed(state: GraphState, event: ev.SessionClosed, most: int) -> Told:
    held, words = _holdings(state, event.session, most)
    what = f" while it held {held}" if held and event.reason == "lost" else f": it held {held}" if held else ""
    return Told(deed(state, event) + what, end_tone(event.reason), (event.session,), words)


def _holdings(state: GraphState, session: int, most: int) -> tuple[str, tuple[str, ...]]:
    """The holdings of a session, with what becomes of them when it lets go; and the topics and addresses in that."""
    edges = state.ownership.held(session)
    registration = state.registrations.get(session)
    components = list(registration.components) if registration is not None else []
    parts = [count(len(components), "component")] if components else []
    if edges:
        parts.append(_released(state, edges, session, most))
    return " and ".join(parts), (*topics(edges), *components)


def _released(state: GraphState, edges: list[EdgeKey], owner: Owner, most: int) -> str:
    others = {edge: state.ownership.owners(edge) - {owner} for edge in edges}
    stay = [edge for edge in edges if others[edge]]
    if not stay:
        return edges_text(edges, most, ", now gone")
    # what stays is told first: that is the part nobody would guess
    order = stay + [edge for edge in edges if not others[edge]]
    shown = [
        f"{names.edge(edge)} ({'still held by ' + names.owners(state, others[edge]) if others[edge] else 'gone'})"
        for edge in order[: most + 1]
    ]
    gone = f", {len(edges) - len(stay)} now gone" if len(edges) > len(stay) else ""
    rest = [""] * (len(order) - len(shown))
    return f"{count(len(edges), 'edge')}{gone}: {listed(shown + rest, most)}"


def _edge_connected(state: GraphState, event: ev.EdgeConnected, most: int) -> Told:
    edge = (event.from_topic, event.to_topic)
    holders = state.ownership.owners(edge)
    also = f", already held by {names.owners(state, holders)}" if holders else ""
    text = f"{deed(state, event)}{also}{observed(event)}"
    return _of_edge(event, text, "add", (f"{holder(state, event)} connected", _kept(event), also != ""))


def _edge_disconnected(state: GraphState, event: ev.EdgeDisconnected, most: int) -> Told:
    others = state.ownership.owners((event.from_topic, event.to_topic)) - {event.owner}
    what = f", still held by {names.owners(state, others)}" if others else ", now gone"
    burst = (f"{holder(state, event)} {let_go(event)}", _kept(event) + what, False)
    return _of_edge(event, deed(state, event) + what, "gone", burst)


def _of_edge(event: Any, text: str, tone: str, burst: tuple[Any, ...]) -> Told:
    sessions = () if event.owner is None else (event.owner,)
    return Told(text, tone, sessions, (event.from_topic, event.to_topic), ("edges", *burst))


def _kept(event: Any) -> str:
    return " (persistent)" if event.owner is None else ""


def _graph_cleared(state: GraphState, event: ev.GraphCleared, most: int) -> Told:
    edges = state.ownership.held(None)
    held = _released(state, edges, None, most) if edges else "there were none"
    return Told(f"{deed(state, event)}: {held}", "gone", (), topics(edges))


def _metadata_registered(state: GraphState, event: ev.MetadataRegistered, most: int) -> Told:
    new = Registration(event.metadata, event.raw).components
    before = state.registrations.get(event.session)
    old = before.components if before is not None else {}
    text = deed(state, event)
    if before is None:
        text += f": {listed(list(new), most)}" if new else ""
    else:
        came = [name for name in new if name not in old]
        went = [name for name in old if name not in new]
        text += f" in place of {len(old)}"
        text += f"; new: {listed(came, most)}" if came else ""
        text += f"; no longer: {listed(went, most)}" if went else ""
    return Told(text + observed(event), "add", (event.session,), (*new, *old))


# --- endpoints and the graph as a whole ------------------------------------------------------------------------------


def _graph_changed(state: GraphState, event: ev.GraphPaused | ev.GraphResumed, most: int) -> Told:
    return Told(deed(state, event), "change")


def _graph_synced(state: GraphState, event: ev.GraphSynced, most: int) -> Told:
    silent = listed([names.endpoint(state, key) for key in event.silent], most)
    text = deed(state, event) + (f"; silent: {silent}" if silent else "")
    words = tuple(topic for key in event.silent if (topic := names.topic_at(state, key)))
    return Told(text, "" if event.outcome == "complete" else "warn", (), words)


def _command_rejected(state: GraphState, event: ev.CommandRejected, most: int) -> Told:
    text, words = refusal(state, event, most)
    times = f" ({event.repeated} times)" if event.repeated > 1 else ""
    sessions = (event.actor,) if event.actor in state.sessions else ()
    return Told(f"refused{times}: {text}", "bad", sessions, words)


def _mark(state: GraphState, event: ev.Mark, most: int) -> Told:
    return Told(deed(state, event), "name", (), (event.name,))


def _clock_read(state: GraphState, event: ev.ClockRead, most: int) -> Told:
    return Told(deed(state, event), "warn" if event.reason in JUMPS else "")


JUMPS = ("step", "suspend")
"""Reasons of readings that everybody should see; the others say that all is as it was."""


def _gap(state: GraphState, event: ev.Gap, most: int) -> Told:
    return Told(deed(state, event), "bad" if event.lost else "warn")


def _unknown(state: GraphState, event: ev.UnknownEvent, most: int) -> Told:
    return Told(deed(state, event), "warn")


_TELLERS: dict[type, Callable[[GraphState, Any, int], Told]] = {
    **process_sentences.TELLERS,
    ev.ServerStarted: _server_started,
    ev.ServerStopped: _server_stopped,
    ev.ServerLost: _server_lost,
    ev.SessionOpened: _session_opened,
    ev.SessionCleared: _session_cleared,
    ev.SessionClosed: _session_closed,
    ev.EdgeConnected: _edge_connected,
    ev.EdgeDisconnected: _edge_disconnected,
    ev.GraphCleared: _graph_cleared,
    ev.MetadataRegistered: _metadata_registered,
    ev.GraphPaused: _graph_changed,
    ev.GraphResumed: _graph_changed,
    ev.GraphSynced: _graph_synced,
    ev.CommandRejected: _command_rejected,
    ev.Mark: _mark,
    ev.ClockRead: _clock_read,
    ev.Gap: _gap,
    ev.UnknownEvent: _unknown,
}
