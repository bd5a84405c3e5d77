"""``log``: what happened, told in sentences."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.landmarks import Run
from ezmsg.ledger.projections.questions.moments.moments import sessions_named
from ezmsg.ledger.projections.questions.moments.times import elapsed_text, time_text
from ezmsg.ledger.projections.questions.name_hints import did_you_mean, near
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.input.options import flag, option
from ezmsg.ledger.tools.input.span import span
from ezmsg.ledger.tools.output import PASSED_OVER, UPGRADE, Page
from ezmsg.ledger.tools.text.bursts import Bursts, Line
from ezmsg.ledger.tools.text.phrases import EVERYTHING, LISTED_MAX, breaks_off
from ezmsg.ledger.tools.text.sentences import Sentence, Story

REFUSED = "command.rejected"
CLOCK = "clock.read"

UNKNOWN = "unknown"
"""The name that `--type` has for events that this version does not know."""

WINDOW_MIN, WINDOW_PER_LINE, WINDOW_GROWTH = 1000, 20, 8
"""Events looked at for the last lines: telling takes some microseconds each, so a long ledger is not told in full."""

INDENT_MAX = 40
"""Columns at which the rest of a long line begins, at most."""

JSON_PIECE = 1000
"""Lines of JSON written at a time."""


@options.ledger
@option(
    "--type",
    "-t",
    "type_",
    metavar="TYPE",
    multiple=True,
    help="Only events of this type, such as edge.connected, or edge.",
)
@option("--not", "not_", metavar="TYPE", multiple=True, help="No events of this type, such as request, or subscriber.")
@option("--session", metavar="ID", help="Only what a session did: its id, label, or UUID's beginning.")
@option("--topic", metavar="TEXT", help="Only what concerns topics or components with TEXT in their name.")
@option("--component", metavar="ADDRESS", help="Only what concerns this component, and what is inside it.")
@flag("--refused", help="Only commands that were refused, and why.")
@option("--since", metavar="MOMENT", help="Only from this moment on.")
@option("--until", metavar="MOMENT", help="Only up to this moment.")
@option("-n", "--lines", metavar="N", type=click.IntRange(min=0), help="Only the last N lines.")
@flag("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
@flag("--all", "--no-fold", "-a", "all_", help="Fold nothing, list everything by name, with all nanoseconds.")
@flag("--absolute", help="Times of day rather than since the run began.")
@flag("--json", help="The events themselves, as JSON Lines.")
def log(
    ledger: Path | None,
    type_: Sequence[str],
    not_: Sequence[str],
    session: str | None,
    topic: str | None,
    component: str | None,
    refused: bool,
    since: str | None,
    until: str | None,
    lines: int | None,
    follow: bool,
    all_: bool,
    absolute: bool,
    json: bool,
) -> None:
    """Tells the history in sentences, with what followed from each event: which edges a lost session took along, what
    a setting was before, why a command was refused. Many of a kind in a moment, as at a start-up, become one line.

    Times count from the start of the run, whose heading gives the date; where the wall clock was set they go on, and a
    line says so. The first column has the seq, which every
    --at, --since and --until takes.

    Examples:
      ezmsg-ledger log run.ledger
      ezmsg-ledger log --topic AMP --since -5m
      ezmsg-ledger log --type session --component SYSTEM/AMP
      ezmsg-ledger log --not request --not channel
      ezmsg-ledger log --refused
      ezmsg-ledger log --follow -n 20
    """
    page = Page()
    if follow and until is not None:
        raise Misuse("--follow has no end, so it cannot have --until", hint="Leave one of them out.")
    with opened(ledger, page) as timeline:
        types = [*type_, *([REFUSED] if refused else [])]
        wanted = Filter(timeline, types, not_, session, topic, component, every=all_ or json)
        telling = JsonLines(page) if json else Sentences(page, timeline, not all_, absolute)
        most = EVERYTHING if all_ else LISTED_MAX
        reading = Reading(timeline, wanted, telling, span(timeline, since, until), most)
        try:
            reading.last(lines) if lines is not None else reading.all()
            if follow:
                reading.follow()
        finally:
            telling.end()
        if not reading.matched:
            _refuse_unknown(timeline, topic, component)
        _close(page, timeline, reading, json)
        if until is None and not json:
            _say_open_end(page, timeline)


class Filter:
    """A test for the events that are wanted."""

    def __init__(
        self,
        timeline: Timeline,
        types: Sequence[str],
        not_types: Sequence[str],
        session: str | None,
        topic: str | None,
        component: str | None,
        every: bool = True,
    ) -> None:
        self._types = tuple(types)
        self._not = tuple(not_types)
        self._every = every or bool(types)
        self._component = component
        self._session = session
        self._ids: set[int] = set()
        self._topic = topic.casefold() if topic is not None else None
        self.of_types_alone = session is None and topic is None and component is None and self._every
        """Whether a look at an event's type is enough: no sentence and no state is needed."""
        for each in (*types, *not_types):
            _check_type(each)
        if session is not None:
            found = sessions_named(timeline.landmarks.sessions, session)
            if not found:
                timeline.moment(f"session:{session}")  # raises, and says which sessions there are
            self._ids = {mark.seq for mark in found}

    def __call__(self, sentence: Sentence, state: GraphState) -> bool:
        """Whether this one is wanted; ``state`` is the one after it."""
        told = sentence.told
        if sentence.type == CLOCK and not told.tone and not self._every:
            return False  # one that says that all is as it was
        if not self.wants(sentence.type):
            return False
        if self._session is not None and not self._speaks_of_session(told.sessions, state):
            return False
        if self._component is not None and not any(_is_inside(word, self._component) for word in told.words):
            return False
        return self._topic is None or any(self._topic in word.casefold() for word in told.words)

    def wants(self, kind: str) -> bool:
        """Whether events of this type are wanted at all."""
        if self._types and not any(_is_of(kind, each) for each in self._types):
            return False
        return not any(_is_of(kind, each) for each in self._not)

    def _speaks_of_session(self, keys: tuple[int, ...], state: GraphState) -> bool:
        for key in keys:
            record = state.sessions.get(key)
            if record is not None and record.label == self._session:  # one that came while the ledger was followed
                self._ids.add(key)
        return not self._ids.isdisjoint(keys)


def _is_inside(word: str, component: str) -> bool:
    return word == component or word.startswith(component + "/")


def _is_of(kind: str, wanted: str) -> bool:
    if wanted == UNKNOWN:
        return kind not in ev.EVENT_TYPES
    return kind == wanted or kind.startswith(wanted + ".")


def _check_type(text: str) -> None:
    if text == UNKNOWN or any(_is_of(kind, text) for kind in ev.EVENT_TYPES):
        return
    groups = [kind.partition(".")[0] for kind in ev.EVENT_TYPES]
    hint = did_you_mean(text, [*ev.EVENT_TYPES, *dict.fromkeys(groups)], 2)
    hint = hint or f"Types are: {', '.join(ev.EVENT_TYPES)}, {UNKNOWN}."
    raise Misuse(f"there is no type of events {text!r}", hint=hint)


class Sentences:
    """Shows sentences as lines: seq, time, text, below a heading for each run."""

    def __init__(self, page: Page, timeline: Timeline, fold: bool, absolute: bool) -> None:
        self._page = page
        self._timeline = timeline
        self._landmarks = timeline.landmarks
        self._absolute = absolute
        self._digits = 3 if fold else 9
        self._bursts = Bursts(fold)
        self._run: Run | None = None
        self._width = 2 * len(str(timeline.ledger.head)) + 1

    def add(self, event: ev.AnyEvent, sentence: Sentence) -> list[Line]:
        return self._bursts.add(sentence)

    def flush(self) -> list[Line]:
        return self._bursts.flush()

    def is_due(self) -> bool:
        """Whether what is held back has waited long enough."""
        due = self._bursts.due
        return due is not None and time.time_ns() > due

    def show(self, line: Line) -> None:
        if line.first > self._landmarks.seq:
            self._landmarks = self._timeline.landmarks
        # a run's first reading of the clocks stands before the event that begins it
        run = self._landmarks.run_at(line.first + (line.type == CLOCK))
        if run is not None and run is not self._run:
            if self._run is not None:
                self._page.line()
            self._page.line(("head", f"run {run.number}, {time_text(run.began, self._timeline.zone, self._digits)}"))
            self._run = run
        seqs = str(line.first) if line.first == line.last else f"{line.first}-{line.last}"
        if self._absolute or run is None:
            when = time_text(line.time, self._timeline.zone, self._digits)
        else:
            when = elapsed_text(self._landmarks.readings.elapsed(run.start, run.began, line.first, line.time).ns)
        text = (line.tone, line.text) if line.tone else line.text
        place = f"{seqs:>{self._width}}  {when:>9}  "
        self._page.line(("dim", place), text, indent=min(len(place), INDENT_MAX))

    def hand_over(self) -> None:
        self._page.flush()

    def end(self) -> None:
        for line in self.flush():
            self.show(line)
        self._page.flush()


class JsonLines:
    """Shows events in the form of the ledger, without fields that this version does not know."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._lines: list[bytes] = []

    def add(self, event: ev.AnyEvent, sentence: Sentence | None) -> list[bytes]:
        return [codec.encode([event])]

    def flush(self) -> list[bytes]:
        return []

    def is_due(self) -> bool:
        return False

    def show(self, line: bytes) -> None:
        self._lines.append(line)
        if len(self._lines) >= JSON_PIECE:
            self.end()

    def hand_over(self) -> None:
        self.end()

    def end(self) -> None:
        lines, self._lines = self._lines, []
        self._page.data(b"".join(lines))


class Reading:
    """Reads a span of a ledger, tells what is wanted of it, and shows that."""

    def __init__(self, timeline: Timeline, wanted: Filter, telling: Any, span: tuple[int, int], most: int) -> None:
        self._timeline = timeline
        self._ledger = timeline.ledger
        self._wanted = wanted
        self._telling = telling
        self._first, self._last = span
        self._most = most
        self._story = self._begin()
        self._plain = isinstance(telling, JsonLines) and wanted.of_types_alone
        """The events themselves are shown, picked by their types: no state is needed, wherever they stand."""
        self._seen = 0
        self.matched = 0
        self.unknown: dict[str, int] = {}

    def _begin(self) -> Story:
        return Story(most=self._most, jumps=lambda seq: self._timeline.landmarks.readings.jumps_at(seq))

    def all(self) -> None:
        """Show all of the span."""
        for line in self._lines(self._first):
            self._telling.show(line)

    def last(self, number: int) -> None:
        """Show the last ``number`` lines. Looks at the last events, and at more of them until that is enough."""
        window = WINDOW_MIN + number * WINDOW_PER_LINE
        damage: DamagedLedger | None = None
        while True:
            first = max(self._first, self._last - window + 1)
            self._story, self.unknown = self._begin(), {}
            kept: deque[Any] = deque(maxlen=number + 1)  # one more: the first may be a part of a burst
            try:
                kept.extend(self._lines(first))
            except DamagedLedger as error:
                if damage is not None:
                    raise
                damage, self._last = error, error.seq  # the last lines are those before the damage
                self._telling.flush()
                continue
            kept.extend(self._telling.flush())
            if len(kept) > number or first <= self._first:
                break
            window *= WINDOW_GROWTH
        for line in list(kept)[max(0, len(kept) - number) :]:
            self._telling.show(line)
        if damage is not None:
            raise damage

    def follow(self) -> None:
        """Show what comes, for ever."""
        self._telling.end()
        for batch in self._ledger.tail(self._seen, stop=self._pause):
            for event in batch:
                for line in self._told(event):
                    self._telling.show(line)
            self._telling.hand_over()  # now: a program at the other end of a pipe waits for it

    def _pause(self) -> bool:
        """Called between two looks at the file: shows what has been held back for long enough. Never ends a tail."""
        if self._telling.is_due():
            self._telling.end()
        return False

    def _lines(self, first: int) -> Iterator[Any]:
        first = max(first, self._ledger.first)
        self._seen = min(first - 1, self._ledger.head)
        if not self._plain:
            self._story.state = self._timeline.at(self._seen)
        for batch in self._ledger.read(first - 1, self._last):
            for event in batch:
                yield from self._told(event)

    def _told(self, event: ev.AnyEvent) -> list[Any]:
        if self._plain:
            sentence = None
            wanted = self._wanted.wants(ev.type_of(event))
        else:
            sentence = self._story.tell(event)
            wanted = self._wanted(sentence, self._story.state)
        self._seen = event.seq
        if isinstance(event, ev.UnknownEvent):
            self.unknown[event.tag] = self.unknown.get(event.tag, 0) + 1
        if not wanted:
            return []
        self.matched += 1
        lines: list[Any] = self._telling.add(event, sentence)
        return lines


def _close(page: Page, timeline: Timeline, reading: Reading, json: bool) -> None:
    """Say what the lines could not."""
    if reading.unknown:
        kinds = ", ".join(f"{tag} ({number})" for tag, number in reading.unknown.items())
        page.note(f"{PASSED_OVER}: {kinds}. {UPGRADE}: what follows may be wrong")
    if not reading.matched and not json and (timeline.ledger.head or timeline.damage is None):
        page.note("no event matches" if timeline.ledger.head else "no events have been recorded yet")


def _refuse_unknown(timeline: Timeline, topic: str | None, component: str | None) -> None:
    """Raise Misuse when nothing matched because there is no such name. Cost: that of ``Timeline.subjects``."""
    if topic is None and component is None:
        return
    subjects = timeline.subjects
    topics, components = subjects.topics(), subjects.components()
    if topic is not None and not any(topic.casefold() in name.casefold() for name in (*topics, *components)):
        raise Misuse(f"no topic or component has {topic!r} in its name", hint=near(topic, topics, "topics"))
    if component is not None and not any(_is_inside(name, component) for name in (*topics, *components)):
        hint = near(component, components, "components")
        raise Misuse(f"there is no component {component!r}, and nothing inside one", hint=hint)


def _say_open_end(page: Page, timeline: Timeline) -> None:
    runs = timeline.landmarks.runs
    if timeline.damage is None and runs and runs[-1].end is None and not timeline.ledger.being_written:
        page.note(breaks_off(runs[-1].number, timeline.ledger))
