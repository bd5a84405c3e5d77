"""``reenact``: a recorded graph, issued once more against a live graph server."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from ezmsg.ledger.errors import HistoryDropped
from ezmsg.ledger.projections.questions.moments.last_built import last_built_of_runs
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.server.wire.protocol import Command
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import opened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.reenact.likeness import Difference, differences, recorded_shape, server_shape
from ezmsg.ledger.tools.reenact.stage import Stage
from ezmsg.ledger.tools.text.documents import ledger_document, moment_document
from ezmsg.ledger.tools.text.value_text import value_text
from ezmsg.ledger.wording import count

PAUSE_MAX_S = 0.2
"""Pauses are slept through in pieces, so that Ctrl-C is heard in time on every system."""

SHOWN_MAX = 20
"""Differences that are listed; ``--json`` has all."""


_ONE = {"topics": "topic", "edges": "edge", "sessions": "session", "processes": "process", "settings": "setting"}
"""The name of one thing of each group that is compared."""


class NotEmpty(exits.Misuse):
    """The server has a graph already."""


class Likeness(msgspec.Struct, frozen=True):
    """The result of a comparison at event ``seq``: how many things of each group, and which are not the same."""

    seq: int
    compared: dict[str, int]
    differences: list[Difference]


@argument("ledger", "LEDGER", "The recording.", type=FILE, required=True)
@option("--to", metavar="HOST:PORT", required=True, help="Where an ezmsg graph server listens.")
@option("--until", metavar="MOMENT", default="end", help="Up to this moment, that one included.")
@option("--speed", metavar="X", type=click.FloatRange(min=0.001), help="1: as long as it took; 10: ten times as fast.")
@flag("--hold", help="Keep the graph up afterwards, until Ctrl-C.")
@options.json
def reenact(ledger: Path, to: str, until: str, speed: float | None, hold: bool, json: bool) -> int:
    """Issues every recorded connect, register, settings report and disconnect again, each session and each process as a
    connection of its own, in the recorded order; then compares what the server shows with what was recorded. Any ezmsg
    graph server will do, ezmsg's own too. It must have no graph yet. Only the graph is issued: no data, no publishers
    and subscribers.

    Compared is the snapshot without UUIDs, pids and times: when the graph of each run was last whole, and at the end.
    The exit code is 1 when something differs. Without --speed nothing is waited for.

    Examples:
      ezmsg-ledger reenact run.ledger --to 127.0.0.1:25978
      ezmsg-ledger reenact run.ledger --to 127.0.0.1:25978 --until mark:baseline --hold
    """
    page = Page()
    with opened(ledger, page) as timeline, Line(to, Command.SESSION) as observer:
        source = timeline.ledger
        if source.first > 1:
            raise HistoryDropped(f"{ledger} begins with seq {source.first}, and a graph is issued from its first event")
        end = timeline.moment(until)
        _refuse_unless_empty(observer, to)
        looks = {*last_built_of_runs(source, end.seq), end.seq}
        stage = Stage(to, observer)
        found: list[Likeness] = []
        began = time.monotonic()
        try:
            for event in _paced(timeline, end.seq, speed):
                stage.play(event)
                if event.seq in looks:
                    found.append(_compare(stage, observer))
            same = not any(each.differences for each in found) and not stage.refused
            if json:
                page.document(_document(timeline, end, to, stage, found, same))
            else:
                _print(page, to, stage, found, time.monotonic() - began)
            if hold:
                _hold(page, to)
        finally:
            stage.leave()
    return exits.OK if same else exits.NO


def _refuse_unless_empty(observer: Line, address: str) -> None:
    seen = observer.ask(Command.SESSION_SNAPSHOT)
    held = [uuid for uuid, session in seen.sessions.items() if session.metadata is not None]
    if seen.edge_owners or held or seen.processes:
        there = ", ".join(
            (
                count(len(seen.edge_owners), "edge"),
                count(len(held), "registered session"),
                count(len(seen.processes), "process", "processes"),
            )
        )
        raise NotEmpty(
            f"the server at {address} has a graph already: {there}",
            hint="Use one of its own: ezmsg-ledger serve --address 127.0.0.1:0",
        )


def _paced(timeline: Timeline, until: int, speed: float | None) -> Iterator[Any]:
    """The events, each not before its time: what really passed, where the recorder's clocks tell. Else a clock that was
    set, or a night between two runs, is waited for as it stands in the ledger: forward only."""
    began: tuple[float, int, int] | None = None
    readings = None if speed is None else timeline.landmarks.readings
    for event in timeline.ledger.entries(until=until):
        if speed is not None and readings is not None:
            began = began or (time.monotonic(), event.seq, event.time)
            due = began[0] + readings.elapsed(*began[1:], event.seq, event.time).ns / 1e9 / speed
            while (left := due - time.monotonic()) > 0:
                time.sleep(min(left, PAUSE_MAX_S))
        yield event


def _compare(stage: Stage, observer: Line) -> Likeness:
    sessions = {line.id: key for key, line in stage.sessions.items()}
    processes = {line.id: key for key, line in stage.processes.items()}
    shown = server_shape(
        observer.ask(Command.SESSION_SNAPSHOT), observer.ask(Command.SESSION_SETTINGS_SNAPSHOT), sessions, processes
    )
    recorded = recorded_shape(stage.state)
    compared = {group: len(things) for group, things in recorded.items()}
    return Likeness(stage.state.seq, compared, differences(recorded, shown))


def _print(page: Page, address: str, stage: Stage, found: list[Likeness], took: float) -> None:
    page.line(("head", f"{count(stage.state.seq, 'event')} issued to {address} in {span_text(int(took * 1e9))}"))
    if stage.passed:
        kinds = [f"{kind} ({number})" for kind, number in stage.passed.most_common()]
        page.line(("dim", f"  left out, since they belong to programs that run: {listed(kinds, 5)}"))
    for seq in stage.refused:
        page.line("  ", ("bad", f"seq {seq} was refused by the server"))
    for likeness in found:
        what = ", ".join(count(number, _ONE[group], group) for group, number in likeness.compared.items())
        if not likeness.differences:
            page.line("  ", ("add", "the same"), f" at seq {likeness.seq}: {what}")
            continue
        page.line("  ", ("bad", f"{count(len(likeness.differences), 'difference')} at seq {likeness.seq}"), f": {what}")
        for each in likeness.differences[:SHOWN_MAX]:
            page.line(f"    {each.group}: {each.name}")
            page.line(f"      recorded {value_text(each.recorded)}")
            page.line(f"      server   {value_text(each.server)}")
        if len(likeness.differences) > SHOWN_MAX:
            page.line(("dim", f"    ... {len(likeness.differences) - SHOWN_MAX} more (--json)"))


def _document(
    timeline: Timeline, end: Moment, address: str, stage: Stage, found: list[Likeness], same: bool
) -> dict[str, Any]:
    return {
        **ledger_document(timeline),
        "to": address,
        "until": moment_document(end),
        "same": same,
        "refused": stage.refused,
        "left_out": dict(stage.passed),
        "comparisons": found,
    }


def _hold(page: Page, address: str) -> None:
    page.note(f"the graph is up at {address}; Ctrl-C takes it down")
    while True:
        time.sleep(PAUSE_MAX_S)
