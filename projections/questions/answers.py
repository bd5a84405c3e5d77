"""The answers of a timeline: frozen, with ``to_dict`` for JSON and a repr for people."""

from typing import Any

import msgspec

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.wording import count


class Answer(msgspec.Struct, frozen=True):
    """The base of all answers: ``to_dict`` gives plain dicts, lists, texts and numbers; the repr is for people."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Cause(Answer, frozen=True):
    """The event at one end of a life. ``kind`` says what the event meant for it, ``text`` the same in a sentence.

    Kinds of beginnings: earlier (before the first event that there is), connected, observed, opened, registered,
    initial, updated, fell back, claimed, started, routed, stalled, paused. Kinds of ends: disconnected, unseen, session
    cleared, session closed, session lost, session server_stopped, session error, session unseen, graph cleared, run
    stopped, run lost, replaced, registered anew, given up, process closed, process lost, endpoint closed, recovered,
    answered, resumed. ``type``: the event's.
    ``session``: the id of the session that did it, with its ``label``; ``process`` likewise.
    """

    seq: int
    time: int
    kind: str
    text: str
    type: str
    session: int | None = None
    label: str | None = None
    process: int | None = None
    by: str | None = None

    def __repr__(self) -> str:
        return f"<seq {self.seq}: {self.text}>"


class Span(Answer, frozen=True):
    """A stretch from event ``born`` up to the one before ``died`` (None: it lasts). Times are ns; ``ns``: its length.

    ``clock`` says how that is known: "mono", by a clock that nobody sets; "wall", by wall time, for the ledger has no
    readings of the clocks there; "boots", likewise, for its ends are of two starts of a machine, or of two machines.
    ``came`` and ``went``: the events at its ends, where the answer tells them.
    """

    born: int
    died: int | None
    born_time: int
    died_time: int | None
    ns: int
    clock: str = "wall"
    came: Cause | None = None
    went: Cause | None = None

    def __repr__(self) -> str:
        return f"[{self.born}, {'...' if self.died is None else self.died}) {span_text(self.ns)}"


class Life(Answer, frozen=True):
    """A life of a fact. ``kind``: edge, session, setting, unit, endpoint, stall, ...; ``name``: what it is about.

    ``owner`` (of an edge) is a session id, None the persistent owner, ``label`` the name of the owner. ``value`` is
    that of a setting, the process of a unit, and so on. ``went`` is None while it lasts, and so is ``ended``: when that
    was (ns), which for a run that was lost is when it was last known to be alive, before the event that says so.
    """

    kind: str
    name: str
    born: int
    died: int | None
    came: Cause
    went: Cause | None
    owner: int | None = None
    label: str | None = None
    value: Any = None
    ended: int | None = None

    @property
    def until(self) -> int:
        """The event by whose reading of the clocks ``ended`` is to be taken; the birth while it lasts."""
        if self.died is None or self.went is None:
            return self.born
        return self.died - 1 if self.ended is not None and self.went.kind == "run lost" else self.died

    def __repr__(self) -> str:
        who = f" held by {self.label}" if self.kind == "edge" else ""
        return f"<{self.kind} {self.name}{who}: {self.came.text}{'; ' + self.went.text if self.went else ''}>"


class Why(Answer, frozen=True):
    """The reason why ``subject`` was there at ``moment``, or was not.

    ``lives``: those that contained the moment, or, when it was not there, the last ones that ended before it. ``next``:
    the event that began it anew afterwards. Both are empty when it never was.
    """

    subject: str
    moment: Moment
    holds: bool
    lives: list[Life]
    next: Cause | None

    def __repr__(self) -> str:
        was = "was there" if self.holds else "was not there" if self.lives else "had never been there"
        causes = [life.came.text if self.holds or life.went is None else life.went.text for life in self.lives]
        return f"<{self.subject} {was} at seq {self.moment.seq}: {'; '.join(causes) or 'nothing began it'}>"


class History(Answer, frozen=True, omit_defaults=True):
    """Every life of ``subject``, by birth, the stretches in which it was there, and how long in all (ns).

    ``left_out``: the number of lives between the first and the last ones that were not asked for.
    """

    subject: str
    lives: list[Life]
    spans: list[Span]
    ns: int
    left_out: int = 0

    def __repr__(self) -> str:
        lives, spans = count(len(self.lives) + self.left_out, "life", "lives"), count(len(self.spans), "span")
        return f"<{self.subject}: {lives}, {spans}, {span_text(self.ns)} in all>"


class When(Answer, frozen=True):
    """The stretches in which ``predicate`` held, up to ``moment``. ``changes``: how often it began to hold, or ceased.

    ``first`` and ``last`` are the seqs of the first and the last change; ``ns``: how long it held in all; ``now``:
    whether it does at the moment. Spans tell the events at their ends if causes were asked for; of many only the first
    and the last ones.
    """

    predicate: str
    moment: Moment
    spans: list[Span]
    changes: int
    first: int | None
    last: int | None
    ns: int
    now: bool

    def __repr__(self) -> str:
        return f"<{self.predicate}: held {count(len(self.spans), 'time')}, {span_text(self.ns)} in all: {self.spans}>"


class Step(Answer, frozen=True):
    """An edge of a path, with the names of its owners: none where the way leads through a unit."""

    from_topic: str
    to_topic: str
    owners: list[str]


class Way(Span, frozen=True):
    """A stretch in which there was a path. ``topics``: the last way that it took, both ends included."""

    topics: list[str] = []


class Path(Answer, frozen=True):
    """The path from ``a`` to ``b`` at ``moment`` (empty: there was none), and when there was one until then.

    ``through_units``: whether the way may lead on from what a unit subscribes to, to what it publishes then.
    ``broken``: how often the last path went; ``ns``: how long there was one in all. ``cut``: the event that
    took the last one away before the moment, when there was none at it; ``cut_edges``: those of its edges that went.
    """

    a: str
    b: str
    moment: Moment
    through_units: bool
    steps: list[Step]
    spans: list[Way]
    broken: int
    ns: int
    cut: Cause | None
    cut_edges: list[str]

    def __repr__(self) -> str:
        way = " -> ".join([self.a, *(step.to_topic for step in self.steps)]) if self.steps else "none"
        return f"<path {self.a} -> {self.b} at seq {self.moment.seq}: {way}; broken {count(self.broken, 'time')}>"


class Likely(Answer, frozen=True):
    """A publisher whose messages reach a unit's settings input, which may have sent a change: the wire does not say.

    ``unit`` is the one that its topic belongs to, where that is known, and ``process`` the id of the one that ran it.
    """

    topic: str
    endpoint: int
    peer: str | None
    unit: str | None
    process: int | None


class SettingChange(Answer, frozen=True):
    """A value that came into force at event ``seq``, in place of ``before``.

    ``fields``: the paths that changed; all of them, when nothing was in force before. ``asked_by``: the session that
    asked for it by ``request``, for one of these fields (``asked_field``) and the value that it has now, or became on
    the way: ``asked`` is what the session wanted, ``answered`` what the process said that it sent on to the unit (null
    where the answer was not kept); else ``likely`` names who may have asked. ``how``: earlier, initial, updated (it was
    reported on arrival: the unit may have refused it), observed, fell back. ``until``: the event that ended it, if any
    did; ``came`` and ``went``: the events at both ends.
    """

    seq: int
    time: int
    until: int | None
    how: str
    value: Any
    before: Any
    fields: list["FieldChange"]
    process: int | None
    request: int | None
    asked_by: int | None
    label: str | None
    likely: list[Likely]
    came: Cause
    went: Cause | None
    asked_field: str | None = None
    asked: Any = None
    answered: Any = None

    def __repr__(self) -> str:
        what = ", ".join(map(repr, self.fields)) or repr(self.value)
        who = f" asked by {self.label}" if self.asked_by is not None else ""
        return f"<seq {self.seq} {self.how}{who}: {what}>"


class FieldChange(Answer, frozen=True):
    """A field of a setting; ``path`` is "" for a value without fields.

    ``missing``: ``before`` or ``after`` when it was not there on that side. ``note``: what differs, in words, where the
    two forms do not show it: which elements of an array, or that it cannot be told.
    """

    path: str
    before: Any
    after: Any
    missing: str | None = None
    note: str | None = None

    def __repr__(self) -> str:
        return f"{self.path}: {self.note or f'{self.before!r} -> {self.after!r}'}"


class SettingHistory(Answer, frozen=True):
    """The settings in force for ``unit`` up to ``moment`` (changes of ``field`` alone, if asked). ``current``: then."""

    unit: str
    field: str | None
    moment: Moment
    current: SettingChange | None
    changes: list[SettingChange]

    def __repr__(self) -> str:
        name = self.unit if self.field is None else f"{self.unit}.{self.field}"
        changes = count(len(self.changes), "change")
        return f"<setting {name}: {changes}, in force at seq {self.moment.seq}: {self.current}>"


class SettingsOver(Answer, frozen=True):
    """The settings that stood after the events ``first`` to ``last``.

    ``constant``: by unit, the values that never changed; ``before``: by unit, those of the others after ``first``.
    ``changes``: by event, with the unit: values that came, or went without another one in their place. ``owners``: by
    unit, the session that registered it last.
    """

    first: int
    last: int
    constant: dict[str, Any]
    before: dict[str, Any]
    changes: list[tuple[str, SettingChange]]
    owners: dict[str, int | None]


class WiringSpan(Answer, frozen=True):
    """The edges that stood unchanged after the events ``born`` to ``last``: how many, and what was other before.

    ``came`` and ``went`` are edges with the names of those who held them; the first span of an answer tells all edges
    that stood then as ``stood``. ``cause``: the event that made it so, None of the first.
    """

    born: int
    last: int
    edges: int
    came: list["HeldEdge"]
    went: list["HeldEdge"]
    stood: list["HeldEdge"]
    cause: Cause | None

    def __repr__(self) -> str:
        news = "".join(f", {len(each)} {word}" for each, word in ((self.came, "came"), (self.went, "went")) if each)
        return f"<seqs {self.born} to {self.last}: {count(self.edges, 'edge')}{news}>"


class HeldEdge(Answer, frozen=True):
    """An edge, and the names of those who hold it, or held it."""

    from_topic: str
    to_topic: str
    owners: list[str]


class SettingDoubt(Answer, frozen=True):
    """A place where what a ledger says of a setting is not what a unit is known to have. ``field`` is a dotted path.

    ``kind``: misfit (the schema cannot mean the value), refused, changed (asked and answered are not the same), other
    (answered and reported are not), not reported. ``asked``, ``answered``, ``reported``: the values, as far as known.
    """

    seq: int
    time: int
    unit: str
    field: str
    kind: str
    text: str
    asked: Any
    answered: Any
    reported: Any

    def __repr__(self) -> str:
        return f"<seq {self.seq} {self.kind}: {self.unit}.{self.field} {self.text}>"


class Stay(Answer, frozen=True):
    """A unit in a process, for a while."""

    process: int
    pid: int | None
    host: str | None
    born: int
    died: int | None
    came: Cause
    went: Cause | None

    def __repr__(self) -> str:
        return f"<process {self.process} (pid {self.pid} on {self.host}) [{self.born}, {self.died or '...'})>"


class Placement(Answer, frozen=True):
    """The processes in which ``unit`` ran: each stay, by birth; ``moves``: how often it came to another process."""

    unit: str
    stays: list[Stay]
    moves: int
    current: Stay | None

    def __repr__(self) -> str:
        return f"<{self.unit}: {count(self.moves, 'move')}; {self.stays}>"


class Upstream(Answer, frozen=True):
    """A topic from which a path led to the one asked about. ``since``/``until``: the last stretch of that path.

    ``publishers`` are ids of endpoints there at the moment, ``published``: whether there ever was one.
    """

    topic: str
    reaches: bool
    publishers: list[int]
    published: bool
    since: int | None
    until: int | None
    cut: Cause | None
    cut_edges: list[str]


class Explanation(Answer, frozen=True):
    """The reasons why a subscriber of ``topic`` gets nothing at ``moment``, the likeliest first.

    There are none when nothing in the graph is in the way. ``stalled``: subscribers that did not apply a routing
    update, and since when. ``loops``: the ways through relays on which what is sent comes back, as topics; the topic
    is on them, or gets messages from them.
    """

    topic: str
    moment: Moment
    subscribers: list[int]
    upstream: list[Upstream]
    stalled: list[Life]
    paused: Life | None
    reasons: list[str]
    loops: list[list[str]] = []

    def __repr__(self) -> str:
        return f"<{self.topic} at seq {self.moment.seq}: {'; '.join(self.reasons) or 'nothing is in the way'}>"


class Doubt(Answer, frozen=True):
    """An event that a session may have brought about, and that might have gone otherwise without it."""

    seq: int
    time: int
    kind: str
    text: str

    def __repr__(self) -> str:
        return f"<seq {self.seq}: {self.text}>"


class Without(Answer, frozen=True):
    """The state at ``moment`` less the facts whose actor is ``session``; nothing is decided anew.

    ``gone_edges`` and so on are what the state at that moment has and this one has not; ``doubts``: what might have
    gone otherwise. ``state`` is the state itself, which ``to_dict`` leaves out.
    """

    session: int
    label: str
    moment: Moment
    events: int
    gone_edges: list[tuple[str, str]]
    gone_topics: list[str]
    gone_components: list[str]
    gone_settings: list[str]
    doubts: list[Doubt]
    state: GraphState

    def to_dict(self) -> dict[str, Any]:
        names = (name for name in self.__struct_fields__ if name != "state")
        return {name: msgspec.to_builtins(getattr(self, name)) for name in names}

    def __repr__(self) -> str:
        return (
            f"<seq {self.moment.seq} without {self.label}: {count(len(self.gone_edges), 'edge')} less, "
            f"{count(len(self.doubts), 'doubt')}>"
        )
