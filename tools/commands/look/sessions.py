"""``sessions``: everybody who was ever connected."""

from collections.abc import Callable, Sequence

from ezmsg.ledger.projections.lifetimes.session_lives import RunLife, SessionLife, SessionLives
from ezmsg.ledger.projections.questions.moments.times import elapsed_text, time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, table
from ezmsg.ledger.tools.text.documents import ledger_document
from ezmsg.ledger.tools.text.event_words import end_text
from ezmsg.ledger.tools.text.phrases import EVERYTHING, LISTED_MAX
from ezmsg.ledger.tools.text.session_story import SessionStory, find_session, print_session, session_document

_USAGE = "ezmsg-ledger sessions [LEDGER] [ID], such as: ezmsg-ledger sessions run.ledger 21"


@options.words("[LEDGER] [ID]", "The ledger to read, and one session of it.")
@flag("--full", help="With an ID: everything by name, however much it is, and all nanoseconds.")
@options.json
def sessions(words: Sequence[str], full: bool, json: bool) -> None:
    """Lists all sessions of a ledger, run by run: where each came from, when it opened and how it ended, how many edges
    and components it held at most and when it ended, and how many of its commands were refused.

    With an ID (its id, label, or the beginning of its UUID): what that one did, in order, what went with it, and what
    it left behind.

    Times count from the start of the run, those of one session from its opening. The id can be given to `log --session`
    and as the moment session:ID.

    Examples:
      ezmsg-ledger sessions
      ezmsg-ledger sessions run.ledger viewer
      ezmsg-ledger sessions run.ledger 21 --json
    """
    page = Page()
    path, named = taken_apart(words, 0, 1, "one session at most", _USAGE)
    with opened(path, page) as timeline:
        wanted = find_session(timeline, named[0]).seq if named else None
        found = timeline.session_lives
        if wanted is not None:
            story = SessionStory(timeline, wanted, EVERYTHING if full else LISTED_MAX)
            if json:
                document = {"session": found.lives[wanted], **session_document(story)}
                page.document({**ledger_document(timeline), **document})
            else:
                life = found.lives[wanted]
                print_session(page, timeline, story, life.ended, _how(life), full)
        elif json:
            lives = list(found.lives.values())
            page.document({**ledger_document(timeline), "runs": list(found.runs.values()), "sessions": lives})
        else:
            _print(page, timeline, found)


def _print(page: Page, timeline: Timeline, found: SessionLives) -> None:
    runs: list[tuple[int, RunLife | None]] = [(0, None), *found.runs.items()]
    ends = ["" if run is None else _run_end(timeline, start, run) for start, run in runs]
    told = {life.run for life in found.lives.values()} | {number for number, end in enumerate(ends) if end}
    if not told:
        page.line("no session ever connected")
    for place, number in enumerate(sorted(told)):
        start, run = runs[number]
        began = None if run is None else run.started
        if place:
            page.line()
        if run is not None:
            page.line(("head", f"run {number}, {time_text(run.started, timeline.zone)}{ends[number]}"))
        lives = [life for life in found.lives.values() if life.run == number]
        if not lives:
            page.line("no session connected")
            continue

        def when(seq: int, time: int, began: int | None = began, start: int = start) -> str:
            if began is None:
                return time_text(time, timeline.zone)
            return elapsed_text(timeline.landmarks.readings.elapsed(start, began, seq, time).ns)

        lines = table(_without_empty_columns([_TITLES, *(_row(life, when) for life in lives)]))
        page.line(("dim", lines[0]))
        for life, line in zip(lives, lines[1:], strict=True):
            page.line(("bad", line) if life.reason in ("lost", "error", "server_lost") else line)


def _run_end(timeline: Timeline, start: int, run: RunLife) -> str:
    """How a run ended, as its heading says it: nothing when there is nothing to remark."""
    if run.ended is None or (run.reason == "stopped" and run.exit_code in (None, 0) and run.signal is None):
        return ""
    how = {"stopped": "stopped", "lost": "was lost"}.get(run.reason or "", f"stopped ({run.reason})")
    known = timeline.landmarks.run_at(start)
    last = start if known is None or known.end is None else known.end
    after = elapsed_text(timeline.landmarks.readings.elapsed(start, run.started, last, run.ended).ns)
    script = "" if run.exit_code is None else f"; the script ended with exit code {run.exit_code}"
    if run.signal is not None:
        script = f"; the script was ended by {run.signal}"
    return f", {how} at {after}{script}"


_TITLES = ["id", "label", "from", "opened", "ended", "how", "edges", "components", "refused"]


def _row(life: SessionLife, when: Callable[[int, int], str]) -> list[str]:
    return [
        str(life.id),
        life.label or "",
        life.peer or "",
        when(life.id, life.opened),
        "" if life.ended is None else when(life.last_seq, life.ended),
        _how(life),
        _held(life.edges_max, life.edges, life),
        _held(life.components_max, life.components, life),
        str(life.refusals) if life.refusals else "",
    ]


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """The rows without the columns that have a title and nothing else: nobody has a label, no command was refused."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return [list(row) for row in zip(*columns, strict=True)]


def _how(life: SessionLife) -> str:
    return "still open" if life.reason is None else end_text(life.reason, life.detail).removeprefix("was ")


def _held(most: int, last: int, life: SessionLife) -> str:
    """``14``, or ``14, 3 at its end`` when that differs."""
    if most == last:
        return str(most)
    return f"{most}, {last} {'now' if life.ended is None else 'at its end'}"
