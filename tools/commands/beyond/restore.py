"""``restore``: a live graph and its settings, brought back to a past moment."""

from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.address import ADDRESS_ENV
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.client.look import look
from ezmsg.ledger.runtime.client.restoration import Plan, plan
from ezmsg.ledger.runtime.client.restore import is_recorder, settled
from ezmsg.ledger.runtime.client.restore import restore as carry_out
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server.wire.protocol import Command
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.record.mark import me
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.address import ADDRESS_DEFAULT, address_or_default
from ezmsg.ledger.tools.input.location import asked_moment, opened, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.documents import ledger_document, moment_document
from ezmsg.ledger.tools.text.phrases import how_text
from ezmsg.ledger.tools.text.value_text import value_text
from ezmsg.ledger.wording import count


@argument("ledger", "LEDGER", "The recording.", type=FILE, required=True)
@argument("moment", "MOMENT", "The moment to go back to.", required=True)
@option("--to", metavar="HOST:PORT", help=f"The live server; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}, by default.")
@flag("--dry-run", help="Show the commands, and give none of them.")
@flag("--partial", help="Do what can be done, where not all of it can.")
@option("--author", help="Who asks; you, by default.")
@options.json
def restore(
    ledger: Path, moment: str, to: str | None, dry_run: bool, partial: bool, author: str | None, json: bool
) -> int:
    """Brings the graph and the settings of a live server back to what they were at a moment, by the smallest set of
    commands: edges come and go for the sessions that had them, and units are asked for the settings that they had. The
    commands are shown first. Then the server is looked at again, and what differs still is told.

    Programs cannot be brought back: what needs a unit that does not run, or settings that cannot be sent, is named, and
    nothing is done then, unless --partial. On ezmsg's own server only persistent edges, and settings, can be changed.
    All of it is on record where the server is a recorder, with who asked.

    The exit code is 1 when not all of it could be brought back.

    Examples:
      ezmsg-ledger restore run.ledger mark:baseline --dry-run
      ezmsg-ledger restore run.ledger 14:03:20 --to 127.0.0.1:10000
    """
    page = Page()
    where = address_or_default(to)
    with opened(ledger, page) as timeline, Line(where, Command.SESSION) as line:
        past = asked_moment(timeline, moment)
        state = timeline.at(past)
        recorder = is_recorder(where)
        wanted = plan(state, look(line), recorder=recorder)
        source = f"{timeline.ledger.id}:{past.seq}"
        if not json:
            _show(page, timeline, past, where, wanted)
        refused: list[str] = []
        left: Plan | None = None
        if not dry_run and wanted.commands and (partial or not wanted.cannot):
            who = author or me()
            note = f"{count(wanted.commands, 'command')} to go back to seq {past.seq} of {timeline.ledger.id}"
            _mark(where, recorder, "restore", note, who, source)
            refused = carry_out(where, line, wanted, recorder=recorder, source=source, author=who)
            left = settled(lambda: plan(state, look(line), recorder=recorder), refused)
            line.close()  # before the mark: its moment is then one at which nobody is there who was not
            told = "as it was" if not left.commands else f"{count(left.commands, 'difference')} left"
            _mark(where, recorder, "restored", told, who, source)
        if json:
            page.document(_document(timeline, past, where, recorder, wanted, refused, left))
        else:
            _tell(page, wanted, refused, left, dry_run)
    done = not wanted.cannot and not refused and (dry_run or left is None or not left.commands)
    return exits.OK if done else exits.NO


def _mark(address: str, recorder: bool, name: str, note: str, author: str | None, source: str) -> None:
    if recorder:
        ask(address, "mark", name=name, note=note, author=author, source=source)


def _show(page: Page, timeline: Timeline, past: Moment, where: str, wanted: Plan) -> None:
    """Print the commands, and what no command brings back."""
    head = f"{where} back to {shortened(timeline.ledger.location)} at seq {past.seq}"
    page.line(("head", head), how_text(past))
    for each in wanted.rewirings:
        tone, sign = ("add", "+") if each.connect else ("drop", "-")
        page.line("  ", (tone, f"{sign} {each.from_topic} -> {each.to_topic}"), f"  {each.name}")
    for setting in wanted.settings:
        name = f"{setting.unit}.{setting.field}"
        page.line("  ", ("change", f"~ {name} = {value_text(setting.then)}"), f"  now {value_text(setting.now)}")
    for note in wanted.notes:
        page.line(("dim", f"  {note}"))
    for what in wanted.cannot:
        page.line("  ", ("warn", f"cannot: {what}"))


def _tell(page: Page, wanted: Plan, refused: list[str], left: Plan | None, dry_run: bool) -> None:
    """Print what became of it."""
    for why in refused:
        page.line("  ", ("bad", f"refused: {why}"))
    if not wanted.commands:
        page.line("nothing to do" + (", beside what cannot be done" if wanted.cannot else ": it is so already"))
    elif dry_run:
        page.line(f"{count(wanted.commands, 'command')}; nothing was done")
    elif left is None:
        what = "that" if len(wanted.cannot) == 1 else "those"
        page.line(("bad", "nothing was done"), f": {what} cannot be brought back; --partial does the rest")
    elif left.commands:
        page.line(("bad", f"{count(left.commands, 'difference')} left"), f" after {count(wanted.commands, 'command')}")
    else:
        page.line(("add", "done"), f": {count(wanted.commands, 'command')}; all is as it was, but for ids and times")


def _document(
    timeline: Timeline,
    past: Moment,
    where: str,
    recorder: bool,
    wanted: Plan,
    refused: list[str],
    left: Plan | None,
) -> dict[str, Any]:
    return {
        **ledger_document(timeline),
        "moment": moment_document(past),
        "to": where,
        "recorder": recorder,
        **msgspec.structs.asdict(wanted),
        "done": left is not None,
        "refused": refused,
        "left": None if left is None else msgspec.structs.asdict(left),
    }
