"""A timeline: any past state of a ledger, what lies between two, and why.

A question is imported when it is asked: a program that only wants a state, as most commands do, waits for no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ezmsg.ledger.errors import DamagedLedger, NothingInCommon
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.diff import Diff, diff
from ezmsg.ledger.projections.lifetimes.archive import Archive, Progress
from ezmsg.ledger.projections.lifetimes.clock_readings import Elapsed
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives
from ezmsg.ledger.projections.questions.moments.moments import Moment, Moments
from ezmsg.ledger.reader import POLL_S, LedgerReader

if TYPE_CHECKING:
    from ezmsg.ledger.projections.drawing.births import Lived
    from ezmsg.ledger.projections.drawing.drawing import Drawing
    from ezmsg.ledger.projections.questions.answers import (
        Explanation,
        History,
        Life,
        Path,
        Placement,
        SettingDoubt,
        SettingHistory,
        SettingsOver,
        When,
        Why,
        WiringSpan,
        Without,
    )
    from ezmsg.ledger.projections.questions.baselines.baseline import Baseline
    from ezmsg.ledger.projections.questions.baselines.differences import Likeness
    from ezmsg.ledger.projections.questions.evidence import Evidence
    from ezmsg.ledger.projections.questions.named_diff import NamedDiff
    from ezmsg.ledger.projections.questions.predicates import Predicate
    from ezmsg.ledger.projections.questions.subjects import Subject, Subjects
    from ezmsg.ledger.projections.questions.watching.watch import Watch, Words

T = TypeVar("T")

Named: TypeAlias = Moment | str | int
"""A moment, the text that names one, or a seq."""


class Timeline:
    """The history of one ledger: its state at a moment, what changed between two, and why.

    Answers come from the ledger's lifetimes. They are read from its index; where there is none they are made in one
    pass, and kept for the next time when the ledger is long (``NAME.index``, or in the user's cache where the
    folder cannot be written). ``index=False`` looks for no file and leaves none. ``progress`` is called with
    (seq, head) while a ledger is read. An index that is deleted or damaged changes no answer.

    ``zone`` is the viewer's time zone (None: the system's): times without one are meant there. ``now`` gives ns since
    the epoch, UTC, while a writer is at work, and None when there is none.

    Subjects are texts: ``A -> B`` (an edge), ``topic T``, ``session NAME``, ``setting UNIT``, ``unit UNIT`` (its
    process), ``process ID``, ``endpoint ID``, or a bare name. A subject that was never there raises UnknownSubject, a
    moment that is not there UnknownMoment.

    >>> from ezmsg.ledger import Ledger, events
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    >>> _ = ledger.append([events.Mark(name="baseline")])
    >>> Timeline(ledger).at("mark:baseline").snapshot().graph
    {'A': ['B'], 'B': []}
    >>> Timeline(ledger).why("A -> B")
    <A -> B was there at seq 2: connected by persistent>
    """

    def __init__(
        self,
        ledger: LedgerReader,
        *,
        zone: tzinfo | None = None,
        now: Callable[[], int | None] | None = None,
        index: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.ledger = ledger
        self.zone = zone
        self._archive = Archive(ledger, index, progress)
        now = now or (lambda: time.time_ns() if ledger.being_written else None)
        self._moments = Moments(self._archive, zone, now)

    @property
    def landmarks(self) -> Landmarks:
        """Runs, sessions and marks as of now; up to the damage, kept as ``damage``, when the ledger is damaged.

        Cost: those of the index, then one pass over what is new.
        """
        return self._archive.landmarks

    @property
    def session_lives(self) -> SessionLives:
        """All sessions and runs as of now, from beginning to end; up to the damage, when the ledger is damaged.

        Cost: those of the index, then one pass over what is new.
        """
        return self._archive.session_lives

    @property
    def damage(self) -> DamagedLedger | None:
        """The damage that an answer came upon, or that shows at the end of the ledger; None as long as none does."""
        return self._archive.damage or self.ledger.damage

    @damage.setter
    def damage(self, damage: DamagedLedger | None) -> None:
        self._archive.damage = damage

    @property
    def lifetimes(self) -> Lifetimes:
        """Every fact as a stretch of seqs. Cost: a pass over what is not in the index, and all bytes of that, which is
        checked: see ``asked``."""
        return self._archive.asked(lambda: self._archive.lifetimes().checked())

    def asked(self, question: Callable[[Lifetimes], T]) -> T:
        """The answer to a question about the lifetimes. Of the index only what it reads is looked at, and checked.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).asked(lambda lifetimes: lifetimes.edge_spans(("A", "B"))[0][0])
        1
        """
        return self._archive.asked(lambda: question(self._archive.lifetimes()))

    @property
    def subjects(self) -> Subjects:
        """All names in the ledger, and what each of them means. Cost: that of ``lifetimes``."""
        from ezmsg.ledger.projections.questions.subjects import Subjects

        return self._archive.asked(lambda: Subjects(self._archive.lifetimes()))

    def moment(self, text: Named, *, clamp: bool = False) -> Moment:
        """The moment that ``text`` names: see docs/cli.md for the forms. A Moment is returned as it is.

        With ``clamp``, a time outside the ledger means its nearer end. Raises UnknownMoment.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.Mark(name="steady")])
        >>> Timeline(ledger).moment("mark:steady").how
        'mark "steady"'
        """
        return text if isinstance(text, Moment) else self._moments.resolve(str(text), clamp=clamp)

    def elapsed(self, seq_a: int, seq_b: int) -> Elapsed:
        """The time that passed from event ``seq_a`` to event ``seq_b``, and how that is known: see ``Readings``.

        By a clock that nobody sets where the recorder read one at both, else by wall time. Cost: that of both events.

        >>> from ezmsg.ledger import Ledger, events
        >>> wall = iter((0, 10, 25))
        >>> ledger = Ledger.memory(clock=lambda: next(wall))
        >>> _ = ledger.append([events.Mark(name="a")]), ledger.append([events.Mark(name="b")])
        >>> Timeline(ledger).elapsed(1, 2)
        Elapsed(ns=15, clock='wall')
        """
        a, b = self.moment(seq_a), self.moment(seq_b)
        return self.landmarks.readings.elapsed(a.seq, a.time, b.seq, b.time)

    # --- states ------------------------------------------------------------------------------------------------------

    def at(self, moment: Named = "end") -> GraphState:
        """The state as it was at ``moment``: that of a replay, to the digest. Raises UnknownMoment, DamagedLedger.

        Cost: a checkpoint, and the events since; without an index one pass over the ledger makes it.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> _ = ledger.append([events.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).at(1).ownership.graph()
        {'A': ['B'], 'B': []}
        """
        return self._archive.state_at(self.moment(moment).seq)

    def diff(self, a: Named, b: Named) -> Diff:
        """The changes from the state at ``a`` to the one at ``b``, whichever came first. Cost: that of both states.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> _ = ledger.append([events.Mark(name="steady")])
        >>> len(Timeline(ledger).diff("start", "end").changes)
        0
        """
        return diff(self.at(a), self.at(b))

    def compare(self, a: Named, b: Named = "end", other: Timeline | None = None) -> NamedDiff:
        """The differences by names from the state at ``a`` to the one at ``b`` of this ledger, or of the ``other`` one.

        For two runs of a system: they share no session and no process. Raises NothingInCommon when no topic, component
        or label of the one ledger was ever in the other. Cost: that of both states, and of both indexes.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.SessionOpened(uuid="u", label="viewer")])
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        >>> Timeline(ledger).compare("start", "end").of("edges")
        [<edges ('A', 'B'): None -> ['"viewer"']>]
        """
        there = self if other is None else other
        before, after = self.at(a), there.at(b)
        if other is not None and set(self.subjects.names()).isdisjoint(other.subjects.names()):
            raise NothingInCommon(
                f"{self.ledger.location} and {other.ledger.location} have no topic, component or label in common",
                hint="Compare recordings of the same system, or look at each of them by itself.",
            )
        from ezmsg.ledger.projections.questions.named_diff import compare

        return compare(before, after)

    def baseline(self, moment: Named = "end", ignore: Sequence[str] = ()) -> Baseline:
        """The graph at ``moment`` by names alone, to be kept and compared with later ones: see ``Baseline``.

        ``ignore``: patterns of what later checks are to pass over. Cost: O(state).

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).baseline().edges
        {'A': {'B': ['persistent']}}
        """
        from ezmsg.ledger.projections.questions.baselines.baseline import baseline_of

        return baseline_of(self.at(moment), ignore)

    def check(self, baseline: Baseline, moment: Named = "end", ignore: Sequence[str] = ()) -> Likeness:
        """The differences of the graph at ``moment`` from a baseline, each with the event that made it so.

        ``ignore``: patterns (as those of file names) of groups, names or ``UNIT.field`` that are not compared, beside
        those of the baseline itself. Cost: O(both), and for each difference a piece of the ledger.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> validated = Timeline(ledger).baseline()
        >>> _ = ledger.append([events.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).check(validated).differences
        [<edges A -> B missing: ['persistent'], here None>]
        """
        from ezmsg.ledger.projections.questions.baselines.differences import check

        return self._ask(lambda evidence, at: check(evidence, baseline, at, ignore), moment)

    def without(self, session: int | str, moment: Named = "end") -> Without:
        """The state at ``moment`` had a session's facts been left out; ``session``: an id, a label, a UUID.

        Of several of a name the last one is meant. Nothing is decided anew: what might have gone otherwise is listed.
        Cost: the events since the session opened.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.SessionOpened(uuid="u", label="viewer")])
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        >>> Timeline(ledger).without("viewer")
        <seq 2 without 1 "viewer": 1 edge less, 0 doubts>
        """
        from ezmsg.ledger.projections.questions.what_if import without

        return self._ask(
            lambda evidence, at: without(evidence, evidence.subjects.session_mark(str(session)), at),
            moment,
        )

    # --- facts -------------------------------------------------------------------------------------------------------

    def why(self, subject: str | Subject, moment: Named = "end") -> Why:
        """The events that brought ``subject`` about as it was at ``moment``, or took it away before.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> _ = ledger.append([events.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).why("A -> B")
        <A -> B was not there at seq 2: disconnected by persistent>
        """
        from ezmsg.ledger.projections.questions.why import why

        return self._ask(lambda evidence, at: why(evidence, _subject(evidence, subject), at), moment)

    def history(self, subject: str | Subject, most: int | None = None) -> History:
        """Every life of ``subject``; of a session also its registrations and holds, of a topic its edges and endpoints.

        With ``most``, of more lives than that only the first and the last ones; ``left_out`` counts the others.
        Cost: O(lives), and a piece of the ledger for each end that is told.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> _ = ledger.append([events.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).history("A -> B").lives
        [<edge A -> B held by persistent: connected by persistent; disconnected by persistent>]
        """
        from ezmsg.ledger.projections.questions.why import history

        return self._ask(lambda evidence, at: history(evidence, _subject(evidence, subject), most), "end")

    def history_in_turn(self, subject: str | Subject) -> tuple[History, Iterator[Life]]:
        """Give ``history`` with its lives one after the other, beside an answer that has none of them.

        So an answer of any length needs no memory for all of it. Cost: that of ``history``.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> answer, lives = Timeline(ledger).history_in_turn("A -> B")
        >>> answer.subject, [life.born for life in lives]
        ('A -> B', [1])
        """
        from ezmsg.ledger.projections.questions.why import history_in_turn

        return self._ask(lambda evidence, at: history_in_turn(evidence, _subject(evidence, subject)), "end")

    def when(self, predicate: str | Predicate, moment: Named = "end", *, causes: bool = False) -> When:
        """The stretches in which ``predicate`` held up to ``moment``: see ``predicates`` for how one is written.

        With ``causes``, spans also tell the events at their ends. Raises PredicateError, which points at the place.
        Cost: O(lives of what it names); of a path also O(edges); for each cause a piece of the ledger.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> _ = ledger.append([events.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        >>> [(span.born, span.died) for span in Timeline(ledger).when("A -> B").spans]
        [(1, 2)]
        """
        from ezmsg.ledger.projections.questions.predicate_spans import when
        from ezmsg.ledger.projections.questions.predicates import parse

        parsed = parse(predicate) if isinstance(predicate, str) else predicate
        return self._ask(lambda evidence, at: when(evidence, parsed, at, causes), moment)

    def watch(
        self,
        predicate: str | Predicate,
        moment: Named = "end",
        *,
        poll: float = POLL_S,
        timeout: float | None = None,
        words: Words | None = None,
    ) -> Watch:
        """A standing question: each turn of ``predicate`` after ``moment``, with its cause, as the ledger grows.

        Iterate over it with ``for`` or ``async for``; ``now`` says how it is. ``poll``: seconds between two looks at
        the file; ``timeout``: seconds after which iteration ends; ``words`` says an event in other words. See
        ``predicates`` for how one is written. Raises PredicateError. Cost: the state at ``moment``, then for each event
        what it touches.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> [(turn.seq, turn.now, turn.cause.kind) for turn in Timeline(ledger).watch("A -> B", "0", timeout=0.1)]
        [(1, True, 'connected')]
        """
        from ezmsg.ledger.projections.questions.predicates import parse
        from ezmsg.ledger.projections.questions.watching.watch import Watch

        parsed = parse(predicate) if isinstance(predicate, str) else predicate
        at = self.moment(moment)
        ever = [mark for mark in self.landmarks.sessions.values() if mark.seq <= at.seq]
        return Watch(self.ledger, parsed, self.at(at), ever, poll=poll, timeout=timeout, words=words)

    def path(self, a: str, b: str, moment: Named = "end", *, through_units: bool = False) -> Path:
        """A shortest path from ``a`` to ``b`` at ``moment``, and when there was one until then; also what cut it last.

        Edges end where a unit subscribes. With ``through_units`` the way goes on to what its registered tasks publish
        then. Cost: O(edges that ever were), and a search for each that took a path away or completed one; through units
        also a piece of the ledger for each registration.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).path("A", "B")
        <path A -> B at seq 1: A -> B; broken 0 times>
        """
        from ezmsg.ledger.projections.questions.paths.connectivity import path

        return self._ask(lambda evidence, at: path(evidence, a, b, at, through_units), moment)

    def setting(
        self, unit: str, field: str | None = None, moment: Named = "end", *, whole: bool = False
    ) -> SettingHistory:
        """Every value that came into force for ``unit`` up to ``moment``, and who asked for it.

        With ``field``, a dotted path, only changes of that. With ``whole``, notes on arrays have every element. A
        session is known to have asked when its request was for one of the changed fields and its new value. A change
        that came through the unit's settings input has no asker on the wire: ``likely`` names the publishers there and
        upstream. Cost: O(n log n) in the holds of the history, and O(edges) whenever the graph changed between two
        such changes.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.ProcessOpened(uuid="u")])
        >>> _ = ledger.append([events.ProcessRegistered(process=1, pid=7, host="lab", units=("AMP",))])
        >>> value = events.SettingsValue(None, {"gain": 2.0}, {"gain": 2.0})
        >>> _ = ledger.append([events.SettingsUpdated(process=1, component="AMP", value=value)])
        >>> Timeline(ledger).setting("AMP", "gain").changes
        [<seq 3 updated: gain: None -> 2.0>]
        """
        from ezmsg.ledger.projections.questions.settings.history import setting

        return self._ask(lambda evidence, at: setting(evidence, unit, field, at, whole), moment)

    def setting_doubts(self, unit: str | None = None, moment: Named = "end") -> list[SettingDoubt]:
        """The places up to ``moment`` where asked, answered and reported settings are not the same, or do not fit.

        Of all units, or one. What a unit makes of settings that arrive is told by nobody: no doubt does not mean that
        it took them. Cost: a pass over the ledger, and the pickles of all settings in it.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.SessionOpened(uuid="s")])
        >>> asked = {"unit": "AMP", "operation": "UPDATE_SETTING_FIELD", "process": None}
        >>> _ = ledger.append([events.RequestRouted(uuid="r", session=1, **asked)])
        >>> _ = ledger.append([events.RequestAnswered(request=2, ok=False, error_code="UNROUTABLE_UNIT")])
        >>> Timeline(ledger).setting_doubts()
        [<seq 3 refused: AMP. UNROUTABLE_UNIT>]
        """
        from ezmsg.ledger.projections.questions.settings.doubts import doubts

        return self._ask(lambda evidence, at: doubts(evidence, unit, at), moment)

    def settings_over(self, first: int, last: int) -> SettingsOver:
        """The settings that stood after any of the events ``first`` to ``last``: those that never changed, and the
        changes of the others, with who asked.

        Cost: the state at the first of them, a look at each settings value that ever was, and a piece of the ledger for
        each change.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.ProcessOpened(uuid="p")])
        >>> Timeline(ledger).settings_over(0, 1).changes
        []
        """
        from ezmsg.ledger.projections.questions.settings.stretch import settings_over

        return self._ask(lambda evidence, at: settings_over(evidence, first, last), last)

    def wiring_over(self, first: int, last: int) -> list[WiringSpan]:
        """The stretches of unchanged edges after the events ``first`` to ``last``. Cost: O(holds that ever were).

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).wiring_over(0, 1)
        [<seqs 0 to 0: 0 edges>, <seqs 1 to 1: 1 edge, 1 came>]
        """
        from ezmsg.ledger.projections.questions.wiring import wiring_over

        return self._ask(lambda evidence, at: wiring_over(evidence, first, last), last)

    def placement(self, unit: str, moment: Named = "end") -> Placement:
        """The processes in which ``unit`` ran, on which host, and how often it moved.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.ProcessOpened(uuid="u")])
        >>> _ = ledger.append([events.ProcessRegistered(process=1, pid=7, host="lab", units=("AMP",))])
        >>> Timeline(ledger).placement("AMP")
        <AMP: 0 moves; [<process 1 (pid 7 on lab) [2, ...)>]>
        """
        from ezmsg.ledger.projections.questions.settings.history import placement

        return self._ask(lambda evidence, at: placement(evidence, unit, at), moment)

    def explain(self, topic: str, moment: Named = "end") -> Explanation:
        """The reasons why a subscriber of ``topic`` may get nothing at ``moment``, the likeliest first.

        They are told from who publishes upstream, what cut the path, stalled subscribers and a paused graph.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> _ = ledger.append([events.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        >>> Timeline(ledger).explain("B").reasons[0]
        'the path from A was cut by seq 2: disconnected by persistent (A -> B went)'
        """
        from ezmsg.ledger.projections.questions.paths.connectivity import explain

        return self._ask(lambda evidence, at: explain(evidence, topic, at), moment)

    def _repr_html_(self) -> str:
        """A picture for notebooks of all that ever lived, faint where it is not there at the end."""
        from ezmsg.ledger.projections.drawing.figure import timeline_html  # it is rarely asked for

        return timeline_html(self)

    def drawing(self, known: Drawing | None = None, other: Timeline | None = None) -> Drawing:
        """The drawing of all that ever lived: what is there at a moment, or differs between two, is a mask over it.

        With ``other``, also all that lived in that ledger, by names: two ledgers are compared on one drawing.

        One that is ``known`` is given back, grown by what was born since: see ``Drawing.grow``. Cost: that of the union
        (a piece of the ledger for each registration) and of the layout: see Drawing.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A/OUT", to_topic="B/IN", owner=None)])
        >>> timeline = Timeline(ledger)
        >>> drawing = timeline.drawing()
        >>> [(box.name, box.x, box.y, box.w, box.h) for box in drawing.document().boxes]
        [('A', 30, 16, 72, 46), ('B', 132, 16, 72, 46)]
        >>> _ = ledger.append([events.EdgeConnected(from_topic="B/OUT", to_topic="C/IN", owner=None)])
        >>> [box.name for box in timeline.drawing(drawing).document().boxes]
        ['A', 'B', 'C']
        """
        from ezmsg.ledger.projections.drawing.births import drawn, grown, lived
        from ezmsg.ledger.projections.questions.evidence import Evidence

        def beside(archive: Archive) -> Lived:
            evidence = Evidence(archive)
            return lived(evidence.lifetimes, evidence.registration)

        def draw() -> Drawing:
            evidence = Evidence(self._archive)
            if known is None:
                there = None if other is None else other._archive.asked(lambda: beside(other._archive))
                return drawn(evidence.lifetimes, evidence.registration, there)
            return grown(known, evidence.lifetimes, evidence.registration)

        return self._archive.asked(draw)  # of a damaged ledger, what came before the damage

    def _ask(self, question: Callable[[Evidence, Moment], T], moment: Named) -> T:
        from ezmsg.ledger.projections.questions.evidence import Evidence

        at = self.moment(moment)
        return self._archive.asked(lambda: question(Evidence(self._archive), at))


def _subject(evidence: Evidence, subject: str | Subject) -> Subject:
    return evidence.subjects.find(subject) if isinstance(subject, str) else subject
