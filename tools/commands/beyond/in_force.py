"""``in-force``: which settings and wiring made these seconds of a data file."""

import math
import re
from pathlib import Path

from ezmsg.ledger.projections.questions.answers import HeldEdge
from ezmsg.ledger.projections.questions.moments import times
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import opened, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.recordings.answer import EdgeChange, FieldSpan, InForce
from ezmsg.ledger.tools.recordings.clocks.clock_mapping import LINK, UNCOVERED
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.recording import read
from ezmsg.ledger.tools.recordings.stretch import answer
from ezmsg.ledger.tools.text.phrases import EVERYTHING
from ezmsg.ledger.tools.text.value_text import value_text
from ezmsg.ledger.wording import count

_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d|(?<!:)\d+):([0-5]?\d(?:\.\d+)?)")
"""Hours, minutes and seconds, the hours left out or not."""

SHOWN_MAX = 20
"""Spans of one field, or of the wiring, that are listed; ``--full`` and ``--json`` have all."""

LIKELY_MAX = 2
"""Topics whose publishers may have sent a change, in a line."""


@argument("data", "DATA", "The data file: .nwb, .xdf or raw .fif.", required=True, type=FILE)
@options.ledger
@option(
    "--from",
    "begin",
    metavar="SECOND",
    help="From this second of the file on, counted from its first sample: 90.5, or 1:30.5.",
)
@option("--to", "end", metavar="SECOND", help="Up to this second.")
@option("--series", metavar="NAME", help="Which series or stream of the file; the longest by default.")
@option(
    "--block", metavar="SPAN", help="The length of a block of samples, such as 20ms, where the settings do not tell."
)
@flag("--full", help="All spans, the constant settings with their values, and all edges.")
@options.json
def in_force(
    data: Path,
    ledger: Path | None,
    begin: str | None,
    end: str | None,
    series: str | None,
    block: str | None,
    full: bool,
    json: bool,
) -> int:
    """Says which settings and which wiring made the samples of a data file, or of some seconds of it: who asked for a
    change, when it came to within a block of samples, how the clock of the file was recognised, how sure all that is,
    and what is not known. NWB needs the extra `nwb`, XDF `xdf`, FIF `mne`.

    Seconds count from the first sample of the file. The exit code is 1 when the ledger recorded nothing while
    the samples were made.

    Examples:
      ezmsg-ledger in-force monday.nwb --from 120 --to 180
      ezmsg-ledger in-force monday.nwb --from 1:02:00 --to 1:03:30
      ezmsg-ledger in-force monday.xdf monday.ledger --json
    """
    page = Page()
    stretch = second_of(begin, "--from"), second_of(end, "--to")
    length = block_seconds(block)
    recording = read(data, series)
    with opened(ledger, page) as timeline:
        found = answer(Laid(recording, timeline), *stretch, length)
        if json:
            page.document(found.to_dict())
        else:
            _print(page, found, full)
    return exits.NO if found.sureness == UNCOVERED else exits.OK


def second_of(text: str | None, name: str) -> float | None:
    """``90.5``, ``1:30.5`` or ``0:01:30.5``, a place in a file, in seconds; None for None. Raises Misuse."""
    if text is None:
        return None
    if (parts := _CLOCK.fullmatch(text.strip())) is not None:
        hours, minutes, seconds = (float(part or 0) for part in parts.groups())
        return hours * 3600 + minutes * 60 + seconds
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise Misuse(
            f"{name} {text}: not a place in a file",
            hint="It is told in seconds from the first sample, as 90.5, or as 1:30.5 or 0:01:30.5.",
        )
    return found


def block_seconds(text: str | None) -> float | None:
    """``20ms`` in seconds; None for None. Raises Misuse."""
    if text is None:
        return None
    found = times.span(text.strip())
    if found is None or found[0] <= 0:
        raise Misuse(f"--block {text}: not a length of time", hint="It is written like 20ms or 0.2s.")
    return found[0] / times.SECOND


def _print(page: Page, found: InForce, full: bool) -> None:
    name = shortened(str(Path(found.data).absolute()))
    whole = f"{found.format}, {count(found.samples, 'sample')} of {found.series!r} at {found.rate:.4g} Hz"
    page.line(("head", f"{name}, seconds {found.begin:.3f} to {found.end:.3f}"), f" ({whole}, {found.length:.3f} s)")
    tone = "add" if found.sureness not in (LINK, UNCOVERED) else "warn"
    page.line("  clock     ", (tone, found.sureness), f": {found.how}{_error(found)}")
    named = [f"{link.unit}.{link.field} ({link.what})" for link in found.named_by]
    page.line("  named by  ", listed(named, SHOWN_MAX) if named else "nothing in the ledger")
    runs = [f"run {number} from {first:.3f} to {last:.3f} s" for number, first, last in found.covered]
    page.line("  recorded  ", listed(runs, SHOWN_MAX) if runs else "nothing that can be laid beside these samples")
    if found.sureness != UNCOVERED:
        if found.sureness != LINK:
            page.line(
                "  lag       ", f"samples follow a change by up to one block, {_ms(found.block)} ({found.block_of})"
            )
        _print_settings(page, found, full)
        _print_wiring(page, found, full)
        for mark in found.marks:
            note = f': "{mark.note}"' if mark.note else ""
            author = f" by {mark.author}" if mark.author else ""
            page.line(f"  {mark.time:>9.3f} s  mark {mark.name}{author}{note}")
    for wrong in found.clock_wrong:
        page.line(("warn", "  wrong with the file's clock: "), wrong)
    for doubt in found.doubts:
        page.line(("warn", "  not known: "), doubt)


def _error(found: InForce) -> str:
    if found.sureness in (LINK, UNCOVERED):
        return ""
    return ", how exact is not known" if found.error is None else f", within {_ms(found.error)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-3 else f"{seconds * 1e3:.4g} ms"


def _print_settings(page: Page, found: InForce, full: bool) -> None:
    changed = {(span.unit, span.field): None for span in found.changed}
    constant = f"{count(len(found.constant), 'setting')} did not change"
    page.line(("head", constant), f", {len(changed)} did" if found.sureness != LINK else " while it was recorded")
    if full:
        for name, value in found.constant.items():
            page.line(f"  {name} = {value_text(value, whole=True)}")
    for unit, field in changed:
        spans = [span for span in found.changed if (span.unit, span.field) == (unit, field)]
        owner = f", of session {spans[0].owner}" if spans[0].owner else ""
        page.line(("change", f"  {unit}.{field}".rstrip(".")), owner)
        page.some([_span(span, full) for span in spans], None if full else SHOWN_MAX, "more (--full)")
    if found.uncertain:
        page.line("  so near an edge that the samples may show it or not:")
        page.some([_near(span) for span in found.uncertain], None if full else SHOWN_MAX, "more (--full)")


def _span(span: FieldSpan, full: bool) -> str:
    value = span.note or value_text(span.value, whole=full)
    when = f"{span.begin:>9.3f} s and on" if span.went_on_after else f"{span.begin:>9.3f} to {span.end:>9.3f} s"
    text = f"{when:<24}  {value}"
    if span.began_before:
        return f"{text}, as before"
    who = f", asked for by session {span.asked_by}" if span.asked_by else ""
    if not who and span.likely:
        who = f", likely published by {listed(span.likely, EVERYTHING if full else LIKELY_MAX)}"
    return f"{text}, shown from between {span.earliest:.3f} and {span.latest:.3f}, {span.how} (seq {span.seq}){who}"


def _near(span: FieldSpan) -> str:
    value = span.note or value_text(span.value)
    return (
        f"{span.unit}.{span.field} = {value}, from between {span.earliest:.3f} and {span.latest:.3f} s (seq {span.seq})"
    )


def _print_wiring(page: Page, found: InForce, full: bool) -> None:
    if not found.wiring:
        return
    first, turns = found.wiring[0], len(found.wiring) - 1
    owners = sorted({owner for edge in first.stood for owner in edge.owners})
    held = (
        f", held by {listed([f'session {each}' if each[:1].isdigit() else each for each in owners], LIKELY_MAX)}"
        if owners
        else ""
    )
    page.line(
        ("head", f"{count(first.edges, 'edge')} at first{held}"),
        f", {count(turns, 'change')}" if turns else ", which did not change",
    )
    if full:
        for edge in first.stood:
            page.line(f"  {edge.from_topic} -> {edge.to_topic}")
    page.some([_turn(each, full) for each in found.wiring[1:]], None if full else SHOWN_MAX, "more (--full)")


def _turn(change: EdgeChange, full: bool) -> str:
    most = EVERYTHING if full else LIKELY_MAX
    came, went = (listed([_edge(edge) for edge in edges], most) for edges in (change.came, change.went))
    news = [f"{word} {text}" for word, text in (("came", came), ("went", went)) if text]
    return f"{change.begin:>9.3f} s  {'; '.join(news)}: {change.cause}"


def _edge(edge: HeldEdge) -> str:
    return f"{edge.from_topic} -> {edge.to_topic}"
