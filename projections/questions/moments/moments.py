"""Moments of a ledger as people name them: ``42``, ``14:03:20``, ``-5m``, ``mark:NAME``."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

import msgspec

from ezmsg.ledger.errors import UnknownMoment
from ezmsg.ledger.events import AnyEvent, Gap, Mark
from ezmsg.ledger.projections.lifetimes.archive import Archive
from ezmsg.ledger.projections.lifetimes.landmarks import Run, SessionMark
from ezmsg.ledger.projections.questions.moments.times import SECOND, UNITS, ClockTime, local, parse, span, time_text
from ezmsg.ledger.projections.questions.moments.wall_times import WallTimes
from ezmsg.ledger.projections.questions.name_hints import NAMED_MAX, did_you_mean, near, number
from ezmsg.ledger.wording import seqs_text

FORMS = (
    "Moments are: a seq (42), a time (14:03:20, 2026-11-24T14:03:20+01:00), -5m, start, end, mark:NAME, session:ID, "
    "run:N, run:last."
)
_WORDS = ("start", "end", "mark:", "session:", "run:", "run:last")


class Moment(msgspec.Struct, frozen=True):
    """A place in a ledger: the state as it is after event ``seq``.

    ``text`` is what was asked and ``how`` what it was understood to mean; ``time`` (ns since the epoch, UTC) is the
    instant that was asked for, else that of the event. ``since``: the first seq that belongs to "since this moment".

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import Timeline
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.Mark(name="baseline")])
    >>> moment = Timeline(ledger).moment("mark:baseline")
    >>> moment.seq, moment.how
    (1, 'mark "baseline"')
    """

    text: str
    seq: int
    time: int
    how: str
    since: int


def is_ago(text: str) -> bool:
    """Whether ``text`` is a moment such as ``-5m``, which a command line would take for an option."""
    return text.startswith("-") and span(text[1:]) is not None


def looks_like_moment(text: str) -> bool:
    """Whether ``text`` is written as a time or the name of a moment: ``12:30`` and ``mark:7`` are, ``rig:7`` is not."""
    try:
        return text.startswith(("mark:", "session:", "run:")) or parse(text) is not None
    except (ValueError, OverflowError):  # a time that there is not
        return True


class Moments:
    """The moments of one ledger, found by their texts.

    ``zone`` is the viewer's (None: the system's). ``now`` tells the time (ns since the epoch, UTC) while a writer is at
    work, and None when there is none.
    """

    def __init__(
        self, archive: Archive, zone: tzinfo | None = None, now: Callable[[], int | None] = lambda: None
    ) -> None:
        self._archive = archive
        self._ledger = archive.ledger
        self._zone = zone
        self._now = now

    def resolve(self, text: str, *, clamp: bool = False) -> Moment:
        """The moment that ``text`` names. With ``clamp``, a time outside the ledger means its nearer end.

        Raises UnknownMoment, with a hint of what there is. Cost: O(log n) for a seq, ``start`` and ``end``; else one
        pass over the ledger the first time.
        """
        asked = text.strip()
        if (seq := number(asked)) is not None:
            return self._at_seq(text, seq)
        if asked in ("start", "end"):
            return self._at_end(text, asked == "start")
        for kind, find in (("mark", self._at_mark), ("session", self._at_session), ("run", self._at_run)):
            if asked.startswith(f"{kind}:"):
                return find(text, asked.removeprefix(f"{kind}:"))
        if is_ago(asked):
            return self._ago(text, asked, clamp)
        try:
            written = parse(asked)
            if written is not None:
                return self._at_time(text, written, clamp)
        except (ValueError, OverflowError) as error:
            raise UnknownMoment(f"{asked} is not a moment: {error}", hint=FORMS) from error
        raise UnknownMoment(f"{asked!r} is not a moment", hint=f"{did_you_mean(asked, _WORDS)} {FORMS}".lstrip())

    # --- seqs and ends -----------------------------------------------------------------------------------------------

    def _at_seq(self, text: str, seq: int) -> Moment:
        if seq < self._ledger.first - 1:
            raise UnknownMoment(f"seq {seq} is no longer in {self._ledger.location}", hint=self._extent())
        if seq == 0:
            return Moment(text, 0, self._ledger.created, "before the first event", 1)
        if seq > self._ledger.head:
            raise UnknownMoment(f"there is no seq {seq} in {self._ledger.location}", hint=self._extent())
        if seq < self._ledger.first:
            time = self._event(seq + 1).time if seq < self._ledger.head else self._ledger.created
            return Moment(text, seq, time, f"seq {seq}, before the first event that is left", seq + 1)
        event = self._event(seq)
        if event.seq == seq:
            return Moment(text, seq, event.time, f"seq {seq}", seq)
        assert type(event) is Gap, f"seq {event.seq} stands in the place of {seq}"
        how = f"seq {seq} was lost ({seqs_text(event.first, event.last)}: {event.reason}); the last one before"
        return Moment(text, event.first - 1, event.time, how, event.seq)

    def _at_end(self, text: str, start: bool) -> Moment:
        head = self._ledger.head
        if head < self._ledger.first:
            return Moment(text, head, self._ledger.created, "a ledger without events", head + 1)
        event = self._event(self._ledger.first if start else head)
        return Moment(text, event.seq, event.time, f"the {'first' if start else 'last'} event", event.seq)

    def _event(self, seq: int) -> AnyEvent:
        """Event ``seq``; the gap that names it when it was lost. Cost: O(log n)."""
        return next(iter(self._ledger.read(seq - 1)))[0]

    def _extent(self) -> str:
        head = self._ledger.head
        if head < self._ledger.first:
            return "The ledger holds no events yet."
        first, last = self._event(self._ledger.first), self._event(head)
        return (
            f"The ledger holds seq {first.seq} ({self._show(first.time)}) to seq {last.seq} ({self._show(last.time)})."
        )

    def _show(self, time: int) -> str:
        return time_text(time, self._zone)

    # --- names -------------------------------------------------------------------------------------------------------

    def _at_mark(self, text: str, name: str) -> Moment:
        marks = self._archive.landmarks.marks
        found = [mark for mark in marks if mark.name == name]
        if not found:
            raise UnknownMoment(f"there is no mark {name!r}", hint=near(name, (mark.name for mark in marks), "marks"))
        mark = found[-1]
        by = f" by {mark.author}" if mark.author else ""
        how = f'mark "{mark.name}"{by}{_which(found)}'
        if mark.happened is None:
            return Moment(text, mark.seq, mark.time, how, mark.seq)
        return self._when_it_happened(text, mark, f"{how}, which happened at {self._show(mark.happened)}")

    def _when_it_happened(self, text: str, mark: Mark, how: str) -> Moment:
        """The moment of a mark that was appended later: as the recorder's clock ran when the mark came, or before."""
        happened = mark.happened
        assert happened is not None, mark
        times = self._times()
        meant = [each for each in times.containing(happened) if each.first <= mark.seq]
        found = times.find(happened, happened, meant[-1] if times.went_back and meant else None)
        before = self._ledger.first - 1
        return Moment(text, max(before, found.seq), happened, how, max(before + 1, found.since))

    def _at_session(self, text: str, name: str) -> Moment:
        sessions = self._archive.landmarks.sessions
        found = sessions_named(sessions, name)
        if not found:
            names = (session.label or str(session.seq) for session in sessions.values())
            raise UnknownMoment(f"there is no session {name!r}", hint=near(name, names, "sessions"))
        session = found[-1]
        label = f' "{session.label}"' if session.label else ""
        if session.seq < self._ledger.first - 1:
            problem = f"session {session.seq}{label} opened before all that is left in {self._ledger.location}"
            raise UnknownMoment(problem, hint=self._extent())
        how = f"session {session.seq}{label}, just after it opened{_which(found)}"
        return Moment(text, session.seq, session.time, how, session.seq)

    def _at_run(self, text: str, name: str) -> Moment:
        landmarks = self._archive.landmarks
        runs = landmarks.runs
        place = len(runs) if name == "last" else number(name) or 0
        if not 1 <= place <= len(runs):
            there = f"{len(runs)} runs: run:1 to run:{len(runs)}" if len(runs) > 1 else "one run: run:1"
            there = f"The ledger holds {there}; run:last is the last one." if runs else "The ledger holds no run yet."
            raise UnknownMoment(f"there is no run {name!r}", hint=there)
        run = runs[place - 1]
        seq = run.end if run.end is not None else landmarks.seq
        return Moment(text, seq, self._event(seq).time, _run_end(run), run.start)

    # --- times -------------------------------------------------------------------------------------------------------

    def _ago(self, text: str, asked: str, clamp: bool) -> Moment:
        length = span(asked[1:])
        assert length is not None, asked
        now = self._now()
        landmarks = self._archive.landmarks
        seq, last = landmarks.last
        last = last if now is None else now
        times = self._times()
        found = times.ago(seq, last, length[0]) if times.was_set else last - length[0]
        time = found if isinstance(found, int) else found.time
        how = f"{length[1]} before {'the last event' if now is None else 'now'} ({self._show(time)})"
        if not isinstance(found, int):
            return Moment(text, found.seq, time, how, found.since)
        return self._at_instant(text, time, time, how, now, clamp)

    def _at_time(self, text: str, written: ClockTime, clamp: bool) -> Moment:
        now = self._now()
        instants = written.instants(self._zone) if written.day else self._on_a_day(written, now)
        if written.width == UNITS["d"]:
            del instants[1:]  # a day begins once, also where its midnight was there twice
        # A time is as exact as it is written: one that was copied from what we print was cut, and means all that was
        # cut.
        times = [(begin, written.end(begin, self._zone)) for begin in instants]
        there = [each for each in times if not self._is_outside(*each, now)]
        if len(there) == 2:
            return self._of_two(text, [self._at_one(text, written, *each, now, clamp) for each in there])
        return self._at_one(text, written, *(there or times)[0], now, clamp)

    def _at_one(self, text: str, written: ClockTime, begin: int, end: int, now: int | None, clamp: bool) -> Moment:
        shown = time_text(begin, written.zone or self._zone, len(written.fraction))
        if written.width > SECOND:
            shown += f" and the {'day' if written.width == UNITS['d'] else 'minute'} after it"
        return self._at_instant(text, begin, end, shown, now, clamp)

    def _of_two(self, text: str, moments: list[Moment]) -> Moment:
        """The moment of a time of day that was there twice, unless that leads to different events."""
        first, again = moments
        if first.seq == again.seq:  # nothing happened between the two
            return first
        raise UnknownMoment(
            f"{text.strip()} was there twice, for clocks were put back: seq {first.seq} ({first.how}) and "
            f"seq {again.seq} ({again.how}) are meant",
            hint=f"Give the offset with it, or the seq, such as --at {again.seq}.",
        )

    def _on_a_day(self, written: ClockTime, now: int | None) -> list[int]:
        """The instants of a time without a date: on the last day of the ledger on which it is not in the future.

        Where the wall clock is known to have been set back, that is the day on which the ledger ends: a clock that ran
        ahead for a while had days that never were.
        """
        landmarks = self._archive.landmarks
        times = self._times()
        latest = max(landmarks.last[1] if times.went_back else landmarks.latest, now or 0)
        last = local(latest, written.zone or self._zone)
        today = datetime(last.year, last.month, last.day)
        begins = written.instants(self._zone, today)
        if begins[0] > latest:
            before = written.instants(self._zone, today - timedelta(days=1))
            yesterday = before[-1]
            if times.went_back:
                there = any(each.begin < yesterday + written.width and yesterday < each.end for each in times.stretches)
            else:
                there = yesterday + written.width > landmarks.earliest
            if there:
                return before
        return begins

    def _at_instant(self, text: str, begin: int, end: int, how: str, now: int | None, clamp: bool) -> Moment:
        """The moment from ``begin`` to ``end``, ns: the state has all up to ``end``; "since" it begins at ``begin``."""
        times = self._times()
        outside = self._is_outside(begin, end, now)
        if outside and not clamp:
            raise UnknownMoment(f"{how} is {outside}", hint=self._extent())
        said = times.containing(end) or times.containing(begin) if times.went_back else []
        if len(said) > 1:
            raise _said_twice(how, [times.find(begin, end, each).seq for each in said])
        found = times.find(begin, end, said[0] if said else None)
        before = self._ledger.first - 1
        return Moment(text, max(before, found.seq), begin, how, max(before + 1, found.since))

    def _is_outside(self, begin: int, end: int, now: int | None) -> str:
        """The place of a time outside the ledger, in words; "" when the ledger reaches it."""
        landmarks = self._archive.landmarks
        if landmarks.seq == 0 or end < landmarks.earliest:
            return "before the first event"
        if begin > max(landmarks.latest, now or 0):
            return "after the last event" if now is None else "in the future"
        return ""

    def _times(self) -> WallTimes:
        return WallTimes(self._archive.landmarks, lambda seq: self._event(seq).time)


def sessions_named(sessions: dict[int, SessionMark], name: str) -> list[SessionMark]:
    """The sessions that ``name`` means, in their order: an id, else a label, else the beginning of a UUID.

    Raises UnknownMoment when several UUIDs begin so.
    """
    key = number(name)
    if key in sessions:
        return [sessions[key]]
    labelled = [session for session in sessions.values() if session.label == name]
    if labelled or not name:
        return labelled
    begun = [session for session in sessions.values() if session.uuid.startswith(name.lower())]
    if len(begun) > 1:
        some = ", ".join(f"{session.seq} ({session.uuid})" for session in begun[:NAMED_MAX])
        raise UnknownMoment(f"the UUIDs of {len(begun)} sessions begin with {name}", hint=f"They are {some}.")
    return begun


def _said_twice(how: str, seqs: list[int]) -> UnknownMoment:
    named = " and ".join((", ".join(f"seq {seq}" for seq in seqs[:-1]), f"seq {seqs[-1]}"))
    times = "twice" if len(seqs) == 2 else f"{len(seqs)} times"
    return UnknownMoment(
        f"the wall clock said {how} {times}, for it was set back: {named} are meant",
        hint=f"Give the seq, such as --at {seqs[-1]}; ezmsg-ledger clocks shows where the clock was set.",
    )


def _run_end(run: Run) -> str:
    if run.end is None:
        return f"run {run.number}, which goes on: its last event so far"
    if run.ending == "lost":
        return f"run {run.number}: its last event before it was lost"
    return f"the end of run {run.number}"


def _which(found: list[SessionMark] | list[Mark]) -> str:
    return f", the last of {len(found)} of that name" if len(found) > 1 else ""
