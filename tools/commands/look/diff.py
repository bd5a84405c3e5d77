"""``diff``: what changed between two moments."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import is_ledger, taken_apart
from ezmsg.ledger.tools.input.live_ledger import is_recorder, ledger_of
from ezmsg.ledger.tools.input.location import opened, shortened
from ezmsg.ledger.tools.input.options import FILE, flag, option
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.comparison import ROWS_MAX, Changes, Comparison, NamedComparison, print_changes
from ezmsg.ledger.tools.text.documents import Document, ledger_document, moment_document
from ezmsg.ledger.tools.text.phrases import how_text


@options.words(
    "[LEDGER|HOST:PORT] A B",
    "The ledger to read, or the recorder that writes it, and two moments of it; with --declared one, or none.",
)
@option("--with", "other", metavar="LEDGER", type=FILE, help="Take B from this ledger, and compare by names.")
@flag("--by-name", help="Compare names, not ids: for two runs of the same system.")
@option("--declared", metavar="FILE", type=FILE, help="Compare what this program declares, with what came up.")
@flag("--run", help="With --declared: also a program that begins something when it is imported.")
@flag("--full", help="Every line of every group, values and lists uncut, and all nanoseconds.")
@options.json
def diff(
    words: Sequence[str],
    other: Path | None,
    by_name: bool,
    declared: Path | None,
    run: bool,
    full: bool,
    json: bool,
) -> int:
    """Lists what came (+), what went (-) and what changed (~) from moment A to moment B: edges with their owners,
    sessions, components, settings field by field, processes, endpoints. B may be before A; then it tells the way back.

    Two runs never share a session or a process. With --by-name sessions are compared by label, processes by the units
    they run, endpoints by topic; so are two ledgers, with --with.

    With --declared a program is asked by `ezmsg inspect` (ezmsg 3.10) what it declares, which imports it: what of that
    never registered, what registered and runs in no process, and which settings are not the declared defaults.

    Moments are those of `ezmsg-ledger show --help`.

    Examples:
      ezmsg-ledger diff -5m end
      ezmsg-ledger diff worked.ledger mark:steady mark:steady --with failed.ledger
      ezmsg-ledger diff run.ledger mark:before mark:after
      ezmsg-ledger diff run.ledger 42 57 --json
      ezmsg-ledger diff 127.0.0.1:25978 --declared pipeline.py
    """
    page = Page()
    path: Path | None
    moments: Sequence[str]
    if declared is not None:
        from ezmsg.ledger.tools.commands.look.declared import compare_declared

        if other is not None or by_name:
            raise Misuse("--declared is compared with one moment", hint="Leave --with and --by-name out.")
        if len(words) == 1 and is_recorder(words[0]):
            path, moments = Path(words[0]), []
        else:
            path, moments = taken_apart(words, 0, 1, "one moment at most is needed", _DECLARED_USAGE)
        return compare_declared(page, ledger_of(path), moments, declared, run, full, json)
    if other is None:
        _refuse_two_ledgers(words)
    path, (a_text, b_text) = taken_apart(words, 2, 2, "two moments are needed", _USAGE)
    with opened(ledger_of(path), page) as timeline, _second(other, timeline, page) as there:
        a, b = timeline.moment(a_text), there.moment(b_text)
        before, after = timeline.at(a), there.at(b)
        second = there if other is not None else None
        comparison: Changes
        if by_name or other is not None:
            comparison = NamedComparison(timeline.compare(a, b, second), full)
        else:
            comparison = Comparison(before, after, full)
        if json:
            page.document(_document(timeline, second, a, b, comparison))
        else:
            page.line(("head", f"from {_moment(a, before, timeline, full)}"))
            where = "" if other is None else f" of {shortened(there.ledger.location)}"
            page.line(("head", f"  to {_moment(b, after, there, full)}{where}"))
            print_changes(page, comparison, None if full else ROWS_MAX, "--full")
            if not comparison:
                page.line()
                page.line("no difference")
        page.note_unknown(before.unknown or after.unknown)
    return exits.OK


def diff_document(timeline: Timeline, other: Timeline | None, a: str, b: str, by_name: bool = False) -> Document:
    """The document of ``diff --json``; with ``other``, ``b`` is a moment of that ledger. Raises as ``compare`` does."""
    first, second = timeline.moment(a), (other or timeline).moment(b)
    if by_name or other is not None:
        return _document(timeline, other, first, second, NamedComparison(timeline.compare(first, second, other)))
    return _document(timeline, None, first, second, Comparison(timeline.at(first), timeline.at(second)))


def _document(
    timeline: Timeline, other: Timeline | None, a: Moment, b: Moment, comparison: Changes
) -> Document:
    return {
        **ledger_document(timeline),
        "with": None if other is None else ledger_document(other),
        "by_name": isinstance(comparison, NamedComparison),
        "a": moment_document(a),
        "b": moment_document(b),
        "same": not comparison,
        **comparison.document(),
    }


_USAGE = "ezmsg-ledger diff [LEDGER|HOST:PORT] A B, such as: ezmsg-ledger diff run.ledger -5m end"
_DECLARED_USAGE = "ezmsg-ledger diff [LEDGER|HOST:PORT] [MOMENT] --declared pipeline.py"


def _refuse_two_ledgers(words: Sequence[str]) -> None:
    """Raise Misuse, with what was probably meant, when two ledgers are named where one is expected."""
    ledgers = [word for word in words if is_ledger(word)]
    if len(ledgers) > 1:
        a, b = [*(word for word in words if word not in ledgers), "end", "end"][:2]
        command = shlex.join(["ezmsg-ledger", "diff", ledgers[0], a, b, "--with", ledgers[1]])
        raise Misuse("two ledgers are compared with --with, at a moment of each", hint=command)


def _moment(moment: Moment, state: GraphState, timeline: Timeline, full: bool) -> str:
    when = f", {time_text(state.time, timeline.zone, 9 if full else 3)}" if state.seq else ""
    return f"seq {moment.seq}{when}{how_text(moment)}"


@contextmanager
def _second(path: Path | None, first: Timeline, page: Page) -> Iterator[Timeline]:
    """The history that B is a moment of."""
    if path is None:
        yield first
    else:
        with opened(path, page) as timeline:
            yield timeline
