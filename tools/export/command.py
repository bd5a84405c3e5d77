"""``export``: a state or all events, for other programs."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.projections.drawing.figure import drawn_at
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.storage.file_access import replacing
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.export import flat, json_lines, tables
from ezmsg.ledger.tools.export.dot import to_dot
from ezmsg.ledger.tools.export.graph_document import graph_document, to_graph_document
from ezmsg.ledger.tools.export.graphml import to_graphml
from ezmsg.ledger.tools.export.mermaid import EDGES_MAX, TEXT_MAX, to_mermaid
from ezmsg.ledger.tools.export.narrowing import Narrowing
from ezmsg.ledger.tools.export.rows import Row, state_rows
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import asked_moment, opened, shortened
from ezmsg.ledger.tools.input.options import FILE, flag, option
from ezmsg.ledger.tools.input.span import span
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.documents import state_document
from ezmsg.ledger.wording import count

BIDS = "bids-events"
"""The one format that is of a data file, and not of the ledger by itself."""


class Format(NamedTuple):
    """A format: the ends of names that mean it, and what writes a state, events or a graph in it, where it has these.

    ``whole``: a state in it is all there is, and is not narrowed. ``binary``: it needs a file that can be sought in.
    """

    suffixes: tuple[str, ...] = ()
    state: Callable[[Iterator[Row], BinaryIO], None] | None = None
    events: Callable[[Iterable[list[AnyEvent]], BinaryIO], None] | None = None
    graph: Callable[[GraphState, str, Narrowing], str] | None = None
    whole: bool = False
    binary: bool = False


def _table(suffixes: tuple[str, ...], what: str) -> Format:
    state, events = partial(tables.write_state, what=what), partial(tables.write_events, what=what)
    return Format(suffixes, state, events, binary=True)


FORMATS = {
    "json": Format((".json",), events=json_lines.write_events_json, whole=True),
    "jsonl": Format((".jsonl", ".ndjson"), json_lines.write_state_lines, json_lines.write_events_lines),
    "flat": Format(events=flat.write_lines),
    "csv": Format((".csv",), events=flat.write_csv),
    "parquet": _table((".parquet",), tables.PARQUET),
    "arrow": _table((".arrow", ".feather"), tables.ARROW),
    "graphml": Format((".graphml",), graph=to_graphml),
    "dot": Format((".dot", ".gv"), graph=to_dot),
    "mermaid": Format((".mmd", ".mermaid"), graph=to_mermaid),
    "graph-document": Format(graph=to_graph_document),
    "svg": Format((".svg",), whole=True),
    BIDS: Format(whole=True),
}
SUFFIXES = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}


@options.ledger
@option(
    "--format",
    "-f",
    "format_",
    type=click.Choice(list(FORMATS)),
    help="By default what the name of the output says, else json.",
)
@option("--output", "-o", metavar="FILE", type=FILE, help="Where to write; stdout by default.")
@options.at("The state at this moment; end by default.", default=None)
@flag("--events", help="The events rather than a state.")
@option("--since", metavar="MOMENT", help="Only events from this moment on.")
@option("--until", metavar="MOMENT", help="Only events up to this moment.")
@option("--below", metavar="COMPONENT", help="Only what concerns this component, and what is inside it.")
@option("--topic", metavar="TEXT", help="Only what concerns topics or components with TEXT in their name.")
@option("--data", metavar="FILE", type=FILE, help="Of bids-events: the data file that the events are of.")
@flag("--wall", help="Of bids-events: with wall times, which tools that shift dates would leave as they are.")
def export(
    ledger: Path | None,
    format_: str | None,
    output: Path | None,
    at: str | None,
    events: bool,
    since: str | None,
    until: str | None,
    below: str | None,
    topic: str | None,
    data: Path | None,
    wall: bool,
) -> None:
    """Writes the state at a moment, or with --events all that happened, for other programs: json, jsonl, and with the
    extra `frames` parquet and arrow; events also as flat (JSON Lines with every key in every line) and csv; a state
    also as graphml, dot (Graphviz) and mermaid, and as a picture (svg) of all that ever lived, faint where it is not
    there at the moment; and as a graph document, which the builder of ezmsg-dashboard opens. --below and --topic narrow
    it.

    With --data, bids-events is a table of what changed while the samples of a data file were made, as BIDS has it
    (events.tsv), and a file beside it that says what its columns are.

    Examples:
      ezmsg-ledger export run.ledger --at mark:baseline -o graph.dot
      ezmsg-ledger export run.ledger --events -o run.parquet
      ezmsg-ledger export run.ledger --events -o run.csv
      ezmsg-ledger export run.ledger --at 14:03:20 --below SYSTEM/AMP --format mermaid
      ezmsg-ledger export run.ledger -o graph.svg
      ezmsg-ledger export run.ledger -f bids-events --data sub-01_task-rest_ieeg.nwb -o sub-01_task-rest_events.tsv
      ezmsg-ledger export run.ledger --at mark:baseline --format graph-document -o graph.json
    """
    page = Page()
    chosen = _format(format_, output)
    form = FORMATS[chosen]
    only = Narrowing(below, topic)
    if chosen == BIDS or data is not None or wall:
        _write_bids(page, ledger, chosen, output, data, wall, bool(at or events or since or until or only))
        return
    _check(chosen, output, at, events, since, until)
    if only and not events and form.whole:
        raise Misuse(f"{chosen} is of all there is", hint="With --below or --topic, choose jsonl, dot, ...")
    with opened(ledger, page) as timeline:
        source = timeline.ledger
        if output is not None and output.exists() and os.path.samefile(output, source.location):
            raise Misuse(f"{output} is the ledger itself", hint="Write to another file.")
        only.check(timeline)
        if events and form.events is not None:
            first, last = span(timeline, since, until)
            written: list[int] = []
            with _out(output) as out:
                form.events(_counted(only.events(timeline, first, last), written), out)
            _say(page, output, f"{count(sum(written), 'event')} as {chosen}")
            return
        moment = asked_moment(timeline, at or "end")
        state = timeline.at(moment)
        with _out(output) as out:
            text = _write_state(chosen, timeline, moment, state, only, out)
        edges = sum(only.wants(edge) for edge, _ in state.ownership.edges())
        _say(page, output, f"{count(edges, 'edge')} at seq {state.seq} as {chosen}")
        if not edges and only:
            page.note("nothing that is wanted is connected at this moment")
        elif not edges:
            page.note("nothing is connected at this moment; `ezmsg-ledger show` tells where more was")
        page.note_unknown(state.unknown)
        if chosen == "graph-document":
            for what in graph_document(state, only).left_out:
                page.note(what)
        if chosen == "mermaid" and (edges > EDGES_MAX or len(text) > TEXT_MAX):
            page.note(
                f"Mermaid does not draw this: it takes {EDGES_MAX} edges and {TEXT_MAX:,} characters, and here are "
                f"{edges:,} and {len(text):,}. Narrow it with --below or --topic, or raise its maxEdges and maxTextSize"
            )


def _write_bids(
    page: Page, ledger: Path | None, chosen: str, output: Path | None, data: Path | None, wall: bool, others: bool
) -> None:
    from ezmsg.ledger.tools.recordings.formats.bids_events import events_of, table  # of which hardly anybody has need
    from ezmsg.ledger.tools.recordings.laid import Laid
    from ezmsg.ledger.tools.recordings.recording import read

    if chosen == BIDS and data is None:
        raise Misuse(f"{BIDS} needs the data file that the events are of", hint="--data FILE -o sub-01_events.tsv")
    if chosen != BIDS or data is None or others:
        raise Misuse(f"{BIDS} takes --data, --wall and -o alone", hint=f"-f {BIDS} --data FILE -o sub-01_events.tsv")
    if output is None or output.suffix != ".tsv":
        raise Misuse(f"{BIDS} needs a file that ends in .tsv: another one lies beside it", hint="-o sub-01_events.tsv")
    if output.exists() and os.path.samefile(output, data):
        raise Misuse(f"{output} is the data file itself", hint="Write to another file.")
    recording = read(data)
    with opened(ledger, page) as timeline:
        rows, beside = events_of(Laid(recording, timeline), wall=wall)
        with _out(output) as out, _out(output.with_suffix(".json")) as sidecar:
            out.write(table(rows))
            out.flush()  # a disk that is full says so while neither has its name
            sidecar.write(beside)
            sidecar.flush()
    _say(page, output, f"{count(len(rows), 'row')} as {chosen}, and what its columns are beside it,")


def _counted(batches: Iterable[list[AnyEvent]], counts: list[int]) -> Iterator[list[AnyEvent]]:
    """The batches; how many events each has is added to ``counts``: seqs can be lost, and segments removed."""
    for batch in batches:
        counts.append(len(batch))
        yield batch


def _format(given: str | None, output: Path | None) -> str:
    if given is not None:
        return given
    if output is None:
        return "json"
    known = SUFFIXES.get(output.suffix.lower())
    if known is None:
        raise Misuse(
            f"{output.name} does not say which format is meant",
            hint=f"Give --format, or a name that ends in one of {', '.join(SUFFIXES)}.",
        )
    return known


def _check(
    chosen: str, output: Path | None, at: str | None, events: bool, since: str | None, until: str | None
) -> None:
    form = FORMATS[chosen]
    if events and form.events is None:
        raise Misuse(f"{chosen} is for graphs, and --events is a list", hint="Leave one of them out.")
    if events and at is not None:
        raise Misuse("--at is for a state, and --events has none", hint="Use --since and --until with --events.")
    if not events and (since is not None or until is not None):
        raise Misuse("--since and --until are for --events", hint="Use --at for the state at a moment.")
    if not events and not (form.state or form.graph or form.whole):
        raise Misuse(f"{chosen} is for events", hint="Add --events, or choose jsonl or parquet for a state.")
    if form.binary and output is None:
        raise Misuse(f"{chosen} is binary: it needs a file", hint=f"Name one: -o run.{chosen}")


@contextmanager
def _out(output: Path | None) -> Iterator[BinaryIO]:
    """The place to write to: a file takes its name only when it is whole."""
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with replacing(str(output)) as beside, open(beside, "wb") as out:
        yield out


def _say(page: Page, output: Path | None, what: str) -> None:
    if output is not None:
        page.note(f"wrote {what} to {shortened(str(output.absolute()))}")


def _write_state(
    chosen: str, timeline: Timeline, moment: Moment, state: GraphState, only: Narrowing, out: BinaryIO
) -> str:
    """Write a state; returns the text that was written of a format for graphs, "" otherwise."""
    form, text = FORMATS[chosen], ""
    title = f"{shortened(timeline.ledger.location)} at seq {state.seq}"
    if form.state is not None:
        form.state(only.rows(state_rows(state)), out)
    elif chosen == "json":
        json_lines.write_json(state_document(timeline, moment, state), out)
    else:
        text = drawn_at(timeline, state, title) if form.graph is None else form.graph(state, title, only)
        out.write(text.encode("utf-8"))
    return text
