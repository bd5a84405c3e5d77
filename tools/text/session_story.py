"""The story of a session: what it did, in order, what went with it, and what it left behind."""

from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.questions.moments.moments import sessions_named
from ezmsg.ledger.projections.questions.moments.times import elapsed_text, length_text, time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input.location import sound_events
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text import documents, names
from ezmsg.ledger.tools.text.documents import Document
from ezmsg.ledger.tools.text.phrases import EVERYTHING, LISTED_MAX
from ezmsg.ledger.tools.text.sentences import Sentence, Story
from ezmsg.ledger.wording import count

RELEASES = (ev.SessionCleared, ev.SessionClosed, ev.ServerStopped, ev.ServerLost)
"""The events at which a session lets go of all it holds."""


LINES_MAX = 10
"""Edges or settings of which each has a line; ``--full`` shows all."""


class Holding(msgspec.Struct, frozen=True):
    """A thing that a session held and that others hold still: an edge with its owners, or a component whose settings
    a process keeps in force. ``text`` for people, ``document`` for programs."""

    text: str
    document: Document


class SessionStory:
    """A session's deeds: sentences of all that it did and of what was done to it.

    ``took_along`` are the edges, ``components`` the addresses that went when it let go; ``left`` is what stayed. Of a
    session that is open still these are empty, and ``holds`` and ``components`` are what it has now. Cost: one pass
    over the ledger up to its end.
    """

    def __init__(self, timeline: Timeline, session: int, most: int = LISTED_MAX) -> None:
        self.session = session
        self.told: list[Sentence] = []
        self.components: list[str] = []
        self.took_along: list[EdgeKey] = []
        self.left: list[Holding] = []
        self.holds: list[EdgeKey] = []
        self.ended: Sentence | None = None
        before = max(session, timeline.ledger.first) - 1
        story = Story(timeline.at(before), most)
        for event in sound_events(timeline, before):
            releases = isinstance(event, RELEASES) and session in story.state.sessions and _is_of(event, session)
            held = self._held(story.state) if releases else None
            sentence = story.tell(event)
            if session in sentence.told.sessions or (held is not None and isinstance(event, ev.ServerStopped)):
                self.told.append(sentence)
            if held is not None:
                self._let_go(story.state, *held)
            if event.seq > session and session not in story.state.sessions:
                self.ended = sentence
                break
        else:
            self.holds, self.components, _ = self._held(story.state)

    def _held(self, state: GraphState) -> tuple[list[EdgeKey], list[str], list[str]]:
        """The edges of the session, its components, and those of them whose settings a process has reported."""
        registration = state.registrations.get(self.session)
        components = list(registration.components) if registration is not None else []
        reported = [each for each in components if each in state.settings and state.settings[each].process is not None]
        return state.ownership.held(self.session), components, reported

    def _let_go(self, state: GraphState, edges: list[EdgeKey], components: list[str], reported: list[str]) -> None:
        self.components += components
        self.took_along += [edge for edge in edges if edge not in state.ownership]
        for edge in edges:
            if owners := state.ownership.owners(edge):
                document = {**documents.edge_document(edge), "owners": documents.owner_documents(state, owners)}
                text = f"{names.edge(edge)}, still held by {names.owners(state, owners)}"
                self.left.append(Holding(text, {"what": "edge", **document}))
        for address in reported:
            setting = state.settings.get(address)
            if setting is not None and setting.process is not None:
                text = f"the settings of {address}, still reported by {names.process(state, setting.process)}"
                self.left.append(Holding(text, {"what": "setting", "component": address}))


def _is_of(event: Any, session: int) -> bool:
    return getattr(event, "session", session) == session


def find_session(timeline: Timeline, name: str) -> SessionMark:
    """The session that is meant: by id, label (the last one that had it) or the beginning of its UUID.

    Raises UnknownMoment, with those that there are.
    """
    found = sessions_named(timeline.landmarks.sessions, name)
    if not found:
        timeline.moment(f"session:{name}")  # raises, and says which sessions there are
    return found[-1]


def session_document(story: SessionStory) -> Document:
    """The document of ``sessions ID --json``, beside the line of the session."""
    return {
        "did": [
            {"seq": each.seq, "time": each.time, "type": each.type, "text": each.told.text} for each in story.told
        ],
        "took_along": {"edges": [documents.edge_document(edge) for edge in story.took_along]},
        "components": story.components,
        "left": [each.document for each in story.left],
        "holds": [documents.edge_document(edge) for edge in story.holds],
    }


def print_session(
    page: Page, timeline: Timeline, story: SessionStory, ended: int | None, how: str, full: bool = False
) -> None:
    """Tell it. ``ended``: when (ns), None while it is open; ``how``: in words; ``full``: all lines of a list, and times
    to the nanosecond."""
    digits, most = (9, EVERYTHING) if full else (3, LINES_MAX)
    mark = timeline.landmarks.sessions[story.session]
    label = f' "{mark.label}"' if mark.label else ""
    where = f" from {mark.peer}" if mark.peer else ""
    page.line(("head", f"session {mark.seq}{label}{where}, {mark.uuid}"))
    elapsed = timeline.landmarks.readings.elapsed
    length = ""
    if ended is not None and story.ended is not None:
        last = story.ended.seq - 1 if story.ended.type == "server.lost" else story.ended.seq
        length = f" after {length_text(*elapsed(mark.seq, mark.time, last, ended))}"
    run = f"run {mark.run}; " if mark.run else ""
    page.line(f"  {run}opened at {time_text(mark.time, timeline.zone, digits)}; {how}{length}")
    page.line()
    page.line(("head", "what it did, and what was done to it"))
    if not story.told:
        page.line("  nothing that is left in the ledger")
    width = max((len(str(each.seq)) for each in story.told), default=0)
    for each in story.told:
        when = f"{each.seq:>{width}}  {elapsed_text(elapsed(mark.seq, mark.time, each.seq, each.time).ns):>9}  "
        page.line("  ", ("dim", when), (each.told.tone, each.told.text) if each.told.tone else each.told.text)
    page.line()
    if story.ended is None:
        held = [names.edge(edge) for edge in story.holds]
        _section(page, "what it holds now", held, story.components, most)
        return
    _section(page, "what went with it", [names.edge(edge) for edge in story.took_along], story.components, most)
    page.line()
    page.line(("head", "what it left behind"))
    page.some([holding.text for holding in story.left], most, "more (--full)")
    if not story.left:
        page.line("  nothing")


def _section(page: Page, title: str, edges: list[str], components: list[str], most: int) -> None:
    page.line(("head", title))
    page.some(edges, most, "more (--full)")
    if components:
        shown = listed(components, most if most > LINES_MAX else LISTED_MAX)
        page.line(f"  {count(len(components), 'component')}: {shown}")
    if not edges and not components:
        page.line("  nothing")
