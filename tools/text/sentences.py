"""What an event means, in a sentence: with the names that were in force, and with what followed from it.

A sentence needs the state just before its event: which edges a lost session held, what a setting was.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.page import count, listed
from ezmsg.ledger.tools.text import names, process_sentences
from ezmsg.ledger.tools.text.phrases import LISTED_MAX, Told, edges_text, observed, seqs_text, span_text, topics
from ezmsg.ledger.tools.text.refusal_sentences import refusal
from ezmsg.ledger.tools.text.value_text import value_text


class Sentence(msgspec.Struct, frozen=True):
    """A told event and its place."""

    seq: int
    time: int
    type: str
    told: Told


class Story:
    """Tells events one after the other, and folds them: ``state`` is always the one after the last told event."""

    def __init__(self, state: GraphState | None = None, most: int = LISTED_MAX) -> None:
        self.state = state if state is not None else GraphState()
        self._most = most

    def tell(self, event: ev.AnyEvent) -> Sentence:
        """The sentence for ``event``, which is applied. Raises what ``GraphState.apply`` raises.

        Cost: that of applying it, and O(what it speaks of).
        """
        try:
            told = _TELLERS[type(event)](self.state, event, self._most)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.state.apply(event)  # says what is wrong when the event contradicts the state; else it is our fault
            raise
        self.state.apply(event)
        return Sentence(event.seq, event.time, ev.type_of(event), told)


# --- runs ------------------------------------------------------------------------------------------------------------


def _server_started(state: GraphState, event: ev.ServerStarted, most: int) -> Told:
    where = f", listening on {event.address}" if event.address else ""
    versions = ", ".join(f"{name} {number}" for name, number in event.versions.items())
    kind = {"server": "graph server", "embedded": "embedded graph"}.get(event.kind, event.kind)
    keeps = f", durability {event.durability}" if event.durability else ""
    return Told(
        f'{kind} "{event.name}" started on {event.host} (pid {event.pid}){where}{keeps}'
        + (f"; {versions}" if versions else ""),
        "head",
    )


def _server_stopped(state: GraphState, event: ev.ServerStopped, most: int) -> Told:
    by = f", asked by {event.by}" if event.by else ""
    why = "" if event.reason == "stopped" else f" ({event.reason})"
    return Told(f"server stopped{why}{by}", "head")


def _server_lost(state: GraphState, event: ev.ServerLost, most: int) -> Told:
    run = state.runs.get(event.server)
    who = f'server "{run.name}" (pid {run.pid} on {run.host})' if run else "the server before"
    how, then = "it died without a word", " this start"
    if event.time == state.time:  # behind others in one commit: said by `repair`; the end may be in what it left out
        how, then = "nobody knows how it ended", ""
    seen = ""
    if event.last_seen is not None and event.last_seen <= event.time:  # else a clock was set back
        seen = f", last seen {span_text(event.time - event.last_seen)} before{then}"
    gone = sorted(edge for edge, owners in state.ownership.edges() if None not in owners)
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
    return Told(f"{who} was lost: {how}{seen}{with_it}{edges}", "bad", tuple(state.sessions), topics(gone))


# --- sessions and edges ----------------------------------------------------------------------------------------------


def _session_opened(state: GraphState, event: ev.SessionOpened, most: int) -> Told:
    label = f' "{event.label}"' if event.label else ""
    where = f" from {event.peer}" if event.peer else ""
    return Told(f"session {event.seq}{label} opened{where}{observed(event)}", "add", (event.seq,))


def _session_cleared(state: GraphState, event: ev.SessionCleared, most: int) -> Told:
    held, words = _holdings(state, event.session, most)
    who = names.session(state, event.session)
    return Told(f"{who} gave up all it held: {held or 'nothing'}", "gone", (event.session,), words)


def _session_closed(state: GraphState, event: ev.SessionClosed, most: int) -> Told:
    held, words = _holdings(state, event.session, most)
    detail = f" ({event.detail})" if event.detail and event.detail != "eof" else ""
    how, tone = {
        "closed": ("closed", "gone"),
        "lost": ("was lost", "bad"),
        "server_stopped": ("ended with the server", "gone"),
        "error": ("ended with an error", "bad"),
        "unseen": ("ended while nobody recorded", "warn"),
    }.get(event.reason, (f"ended ({event.reason})", "warn"))
    what = f" while it held {held}" if held and event.reason == "lost" else f": it held {held}" if held else ""
    return Told(f"{names.session(state, event.session)} {how}{detail}{what}", tone, (event.session,), words)


def _holdings(state: GraphState, session: int, most: int) -> tuple[str, tuple[str, ...]]:
    """What a session holds, with what becomes of it when it lets go; and the topics and addresses in that."""
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
    who = names.owner(state, event.owner) if event.owner is not None else event.by or "somebody"
    kept = " (persistent)" if event.owner is None else ""
    return Told(
        f"{who} connected {names.edge(edge)}{kept}{also}{observed(event)}",
        "add",
        () if event.owner is None else (event.owner,),
        edge,
        ("edges", f"{who} connected", kept, also != ""),
    )


def _edge_disconnected(state: GraphState, event: ev.EdgeDisconnected, most: int) -> Told:
    edge = (event.from_topic, event.to_topic)
    others = state.ownership.owners(edge) - {event.owner}
    what = f"still held by {names.owners(state, others)}" if others else "now gone"
    who = names.owner(state, event.owner) if event.owner is not None else event.by or "somebody"
    verb = "disconnected" if event.reason is None else f"no longer holds ({event.reason})"
    kept = " (persistent)" if event.owner is None else ""
    return Told(
        f"{who} {verb} {names.edge(edge)}{kept}, {what}",
        "gone",
        () if event.owner is None else (event.owner,),
        edge,
        ("edges", f"{who} {verb}", f"{kept}, {what}", False),
    )


def _graph_cleared(state: GraphState, event: ev.GraphCleared, most: int) -> Told:
    edges = state.ownership.held(None)
    held = _released(state, edges, None, most) if edges else "there were none"
    by = f" by {event.by}" if event.by else ""
    return Told(f"all persistent edges were dropped{by}: {held}", "gone", (), topics(edges))


def _metadata_registered(state: GraphState, event: ev.MetadataRegistered, most: int) -> Told:
    new = Registration(event.metadata, event.raw).components
    before = state.registrations.get(event.session)
    old = before.components if before is not None else {}
    who = names.session(state, event.session)
    text = f"{who} registered {count(len(new), 'component')}"
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


def _graph_paused(state: GraphState, event: ev.GraphPaused, most: int) -> Told:
    return Told(f"the graph was paused by {event.by or 'somebody'}", "change")


def _graph_resumed(state: GraphState, event: ev.GraphResumed, most: int) -> Told:
    return Told(f"the graph was resumed by {event.by or 'somebody'}", "change")


def _graph_synced(state: GraphState, event: ev.GraphSynced, most: int) -> Told:
    how = {"complete": "done", "timeout": "timed out", "asker_left": "the asker left"}.get(event.outcome, event.outcome)
    silent = listed([names.endpoint(state, key) for key in event.silent], most)
    text = f"the graph was synced for {event.by or 'somebody'}: {how} after {span_text(event.took)}"
    words = tuple(topic for key in event.silent if (topic := names.topic_at(state, key)))
    return Told(
        text + (f"; silent: {silent}" if silent else ""), "" if event.outcome == "complete" else "warn", (), words
    )


def _command_rejected(state: GraphState, event: ev.CommandRejected, most: int) -> Told:
    text, words = refusal(state, event, most)
    times = f" ({event.repeated} times)" if event.repeated > 1 else ""
    sessions = (event.actor,) if event.actor in state.sessions else ()
    return Told(f"refused{times}: {text}", "bad", sessions, words)


def _mark(state: GraphState, event: ev.Mark, most: int) -> Told:
    by = f" ({event.author})" if event.author else ""
    return Told(f'mark "{event.name}"{": " + event.note if event.note else ""}{by}', "name", (), (event.name,))


def _gap(state: GraphState, event: ev.Gap, most: int) -> Told:
    what = f"{seqs_text(event.first, event.last)}: {event.lost} lost, {event.late} written late"
    return Told(f"gap in the recording, {what} ({event.reason})", "bad" if event.lost else "warn")


def _unknown(state: GraphState, event: ev.UnknownEvent, most: int) -> Told:
    return Told(f"unknown event {event.tag}, of a newer version: {value_text(event.raw.decode())}", "warn")


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
    ev.GraphPaused: _graph_paused,
    ev.GraphResumed: _graph_resumed,
    ev.GraphSynced: _graph_synced,
    ev.CommandRejected: _command_rejected,
    ev.Mark: _mark,
    ev.Gap: _gap,
    ev.UnknownEvent: _unknown,
}
