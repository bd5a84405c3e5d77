"""``check``: whether a session is wired and set as the one that was validated."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ezmsg.ledger.projections.questions.baselines.baseline import Baseline, read, write
from ezmsg.ledger.projections.questions.baselines.differences import (
    CHANGED,
    EXTRA,
    MISSING,
    Difference,
    Likeness,
    unmatched,
)
from ezmsg.ledger.projections.questions.moments.last_built import WIRES, last_built
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.live_ledger import ledger_of
from ezmsg.ledger.tools.input.location import asked_moment, opened, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text.documents import ledger_document
from ezmsg.ledger.tools.text.event_words import Recollection
from ezmsg.ledger.tools.text.phrases import how_text, loop_text
from ezmsg.ledger.tools.text.value_text import value_text, values_text
from ezmsg.ledger.wording import count

LOOK_S = 0.2
"""How often ``--wait`` looks."""

UNITS_MAX = 5
"""Units of one process that a line names."""

_TONES = {MISSING: "drop", EXTRA: "add", CHANGED: "change"}
_SIGNS = {MISSING: "-", EXTRA: "+", CHANGED: "~"}


@argument("ledger", "[LEDGER|HOST:PORT]", "The ledger to check, or the recorder that writes it.", type=FILE)
@option("--like", metavar="FILE", type=FILE, help="The validated session: its ledger, or a baseline of it.")
@option("--write", "target", metavar="FILE", type=FILE, help="Write a baseline of this session instead.")
@options.at("The moment to check; when the recording has ended, the last one before it was torn down.", None)
@option("--like-at", metavar="MOMENT", help="The moment of the validated ledger; by default as with --at.")
@option(
    "--ignore",
    metavar="PATTERN",
    multiple=True,
    help="Pass over a group, a name or UNIT.field, such as 'processes' or 'SYS/LOG*'. With --write it is kept.",
)
@option("--wait", metavar="SECONDS", type=click.FloatRange(min=0), help="Look again for so long until it is alike.")
@flag("--full", help="Whole values, and all nanoseconds.")
@options.json
def check(
    ledger: Path | None,
    like: Path | None,
    target: Path | None,
    at: str | None,
    like_at: str | None,
    ignore: Sequence[str],
    wait: float | None,
    full: bool,
    json: bool,
) -> int:
    """Compares edges with their owners, components, settings in force, and which units share a process; by names alone,
    and free of what differs between two runs of an unchanged program: ids, addresses of objects, the order of sets.
    Each difference takes a line, with the event that made it so. The exit code is 0 when there is none, else 1.

    A baseline is a file for version control: sorted, without ids and times, a line for each value. Groups are edges,
    components, settings, processes, loops.

    Examples:
      ezmsg-ledger check validated.ledger --write rig.json
      ezmsg-ledger check 127.0.0.1:25978 --like rig.json --wait 20 || exit 1
      ezmsg-ledger check run.ledger --like validated.ledger --ignore 'SYSTEM/LOG*' --ignore SYSTEM/AMP.gain
    """
    page = Page()
    if (like is None) == (target is None):
        raise Misuse("either --like or --write is needed, and only one of them", hint=_USAGE)
    if target is not None and _is_ledger(target):
        raise Misuse(f"{target} is a ledger, or called like one", hint="Name a file for the baseline: rig.json")
    with opened(ledger_of(ledger), page) as timeline:
        if target is not None:
            return _write(page, timeline, _moment(timeline, at), target, ignore)
        assert like is not None
        with _validated(like, like_at, page) as expected:
            found = _checked(timeline, expected, at, ignore, wait)
        if json:
            page.document({**ledger_document(timeline), "like": str(like), "same": found.same, **found.to_dict()})
        else:
            _print(page, timeline, found, like, full)
        _tell_unmatched(page, found.unmatched)
        page.note_unknown(timeline.at(found.moment).unknown)
        return exits.OK if found.same else exits.NO


_USAGE = "ezmsg-ledger check [LEDGER|HOST:PORT] --like VALIDATED, or: ezmsg-ledger check VALIDATED.ledger --write FILE"


def _moment(timeline: Timeline, at: str | None) -> Moment:
    """The moment that was asked for; else the end, or of a recording that has ended, the last one at which it stood."""
    if at is not None:
        return asked_moment(timeline, at)
    end = asked_moment(timeline, "end")
    if timeline.ledger.being_written:
        return end
    return timeline.moment(last_built(timeline.ledger, end.seq, WIRES)) if end.seq else end


def _write(page: Page, timeline: Timeline, moment: Moment, target: Path, ignore: Sequence[str]) -> int:
    baseline = timeline.baseline(moment, ignore)
    if baseline.empty:
        page.note(
            f"nothing is wired at seq {moment.seq}{how_text(moment)}: a baseline of it would say nothing. "
            "Name a moment at which the system stood: --at MOMENT"
        )
        return exits.NO  # and where the ledger is damaged, that is said
    _tell_unmatched(page, unmatched(ignore, baseline))
    write(target, baseline)
    page.line(f"wrote {target}: {_contents(baseline)}, as of seq {moment.seq}{how_text(moment)}")
    page.line(f"  ezmsg-ledger check --like {target}")
    return exits.OK


def _tell_unmatched(page: Page, patterns: Sequence[str]) -> None:
    """Say which patterns pass over nothing, whatever differs: a misspelled one would not show otherwise."""
    if patterns:
        called = ", ".join(map(repr, patterns))
        page.note(f"nothing is called like {called}, so that --ignore passes over nothing by it")


def _contents(baseline: Baseline) -> str:
    edges = sum(map(len, baseline.edges.values()))
    units = sum(map(len, baseline.processes))
    return (
        f"{count(edges, 'edge')}, {count(len(baseline.components), 'component')}, settings of "
        f"{len(baseline.settings)}, {count(units, 'unit')} in {count(len(baseline.processes), 'process', 'processes')}"
    )


@contextmanager
def _validated(like: Path, like_at: str | None, page: Page) -> Iterator[Baseline]:
    """The baseline to check against, from a file of it or from a ledger."""
    if like.is_file() and not _is_ledger(like):
        if like_at is not None:
            raise Misuse("a baseline has no moments", hint="Leave --like-at out, or name the validated ledger.")
        yield read(like)
        return
    with opened(like, page) as there:
        moment = _moment(there, like_at)
        expected = there.baseline(moment)
        if expected.empty:
            raise Misuse(
                f"nothing is wired in {shortened(there.ledger.location)} at seq {moment.seq}{how_text(moment)}",
                hint="Name a moment at which the validated session stood: --like-at MOMENT",
            )
        yield expected


def _is_ledger(path: Path) -> bool:
    """Whether a ledger has this name, or what is there begins as one: compressed ones with the bytes of zstd."""
    if path.name.endswith(".ledger") or path.is_dir():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(64).startswith((b'{"type":"ledger.', b"\x28\xb5\x2f\xfd"))


def _checked(
    timeline: Timeline, expected: Baseline, at: str | None, ignore: Sequence[str], wait: float | None
) -> Likeness:
    """The likeness, looked for again while ``wait`` lasts and the ledger is being written."""
    deadline = time.monotonic() + (wait or 0.0)
    found = timeline.check(expected, _moment(timeline, at), ignore)
    while not found.same and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        if timeline.ledger.head != found.moment.seq:
            found = timeline.check(expected, _moment(timeline, at), ignore)
    return found


# --- lines ------------------------------------------------------------------------------------------------------------


def _print(page: Page, timeline: Timeline, found: Likeness, like: Path, full: bool) -> None:
    moment = found.moment
    number = len(found.differences)
    said = "as validated" if found.same else f"NOT as validated: {count(number, 'difference')}"
    passed = f", {count(found.ignored, 'difference')} ignored" if found.ignored else ""
    page.line(("head", said), f" at seq {moment.seq}{how_text(moment)}, beside {like}{passed}")
    past = Recollection(timeline, whole=full)
    for each in found.differences:
        tone = _TONES[each.change]
        page.line("  ", (tone, f"{_SIGNS[each.change]} {_what(each, full)}"), _why(timeline, past, each, full))
    known = [each.names for each in found.differences if each.group == "loops"]
    for loop in found.loops:
        if loop not in known:
            page.line(("warn", f"  {loop_text(loop)}; it did so when it was validated"))


def _why(timeline: Timeline, past: Recollection, each: Difference, full: bool) -> str:
    if each.why is None:
        return "; it never was there" if each.change == MISSING else ""
    when = time_text(each.why.time, timeline.zone, 9 if full else 3)
    asked = f", asked for by session {each.asked_by}" if each.asked_by else ""
    return f"; seq {each.why.seq}, {when}: {past.tell(each.why)}{asked}"


def _what(each: Difference, full: bool) -> str:
    """A difference in words: what is expected, what is there."""
    match each.group:
        case "edges":
            return f"edge {each.name} {_edge(each)}"
        case "processes":
            return _process(each)
        case "loops":
            if each.change == MISSING:
                return f"{each.name} no longer feeds itself"
            return loop_text(each.names)
        case _:
            kind = "setting" if each.group == "settings" else "component"
            return _entry(each, kind, full)


def _edge(each: Difference) -> str:
    old, new = (", ".join(owners or []) for owners in (each.expected, each.found))
    if each.change == MISSING:
        return f"is missing (was held by {old})"
    return f"was not there (held by {new})" if each.change == EXTRA else f"is held by {new}, was by {old}"


def _process(each: Difference) -> str:
    if each.change == CHANGED:
        was, now = (f"with {listed(units, UNITS_MAX)}" if units else "alone" for units in (each.expected, each.found))
        return f"unit {each.name} runs {now} in its process, validated was {was}"
    return f"unit {each.name} {'runs in no process' if each.change == MISSING else 'was not run'}"


def _entry(each: Difference, kind: str, full: bool) -> str:
    if not each.field:
        return f"{kind} {each.name} {'is missing' if each.change == MISSING else 'was not there'}"
    name = f"{kind} {each.name}.{each.field}"
    if each.expected is None or each.found is None:
        old, new = (value_text(form, whole=full) for form in (each.expected, each.found))
        return f"{name} {old} -> {new}"
    return f"{name} {values_text(each.expected, each.found, whole=full)}"
