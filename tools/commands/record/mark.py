"""``mark``: a person's bookmark in a recording that is going on."""

import getpass
from datetime import timedelta
from typing import Any

from ezmsg.ledger.projections.questions.moments import times
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input.address import address_or_default, recorder_address
from ezmsg.ledger.tools.input.options import argument, option
from ezmsg.ledger.tools.output import Page


@argument("name", "[NAME]", "What to call this moment.")
@option("--note", "-n", help="What you saw.")
@option("--author", help="Who says so; you, by default.")
@option("--happened", metavar="TIME", help="When it was: 14:03:20, a date and time, -30s, or ns since 1970.")
@option("--source", metavar="TEXT", help="Where the mark comes from, such as another program.")
@option("--from-lsl", "stream", metavar="STREAM", help="Each marker of this LSL stream is a mark, until Ctrl-C.")
@recorder_address
def mark(
    name: str | None,
    note: str | None,
    author: str | None,
    happened: str | None,
    source: str | None,
    stream: str | None,
    address: str | None,
) -> int:
    """Puts a mark into the ledger that is being written, so that you find this moment again: every command takes
    mark:NAME where it takes a moment. The exit code is 7 while the mark is only in the recorder's memory, because the
    ledger cannot be written.

    A mark of something that was earlier says so with --happened, by the wall clock of the recorder's machine: it is
    recorded now, and mark:NAME means then.

    With --from-lsl, the markers of another program's stream of LabStreamingLayer become marks which happened then, as
    they come, until Ctrl-C (extra: lsl).

    Examples:
      ezmsg-ledger mark electrode-fell-off
      ezmsg-ledger mark glitch --note "audible click"
      ezmsg-ledger mark blink --happened -30s --source "video"
      ezmsg-ledger mark --from-lsl PsychoPyMarkers
    """
    where = address_or_default(address)
    if stream is not None:
        if name is not None or happened is not None or source is not None:
            raise Misuse("--from-lsl has names, times and a source of its own", hint="Leave the others out.")
        return _from_lsl(stream, where, note, author or me())
    if name is None:
        raise Misuse("a mark needs a name", hint="ezmsg-ledger mark NAME")
    then = None if happened is None else _instant(happened.strip(), where)
    answer = ask(where, "mark", name=name, note=note, author=author or me(), happened=then, source=source)
    when = "" if then is None else f", which happened at {times.time_text(then, digits=9)}"
    print(f"marked seq {answer['seq']} of {answer['ledger']} as mark:{name}{when}")
    return _written(answer)


def _from_lsl(stream: str, where: str, note: str | None, author: str | None) -> int:
    """Mark each marker of a stream, until Ctrl-C; its name is the marker's text."""
    from ezmsg.ledger.tools.lsl.marker_inlet import MarkerInlet  # of which hardly anybody has need

    ask(where, "status")  # before the stream is looked for: no recorder, no marks
    inlet = MarkerInlet(stream)
    Page().note(f"marking what the LSL stream {stream} of {inlet.host} says, until Ctrl-C")
    worst = exits.OK
    for heard in inlet.markers():
        answer = ask(
            where, "mark", name=heard.text, note=note, author=author, happened=heard.happened, source=f"lsl:{stream}"
        )
        when = times.time_text(heard.happened, digits=9)
        print(f"marked seq {answer['seq']} as mark:{heard.text}, which happened at {when}", flush=True)
        worst = max(worst, _written(answer))
    return worst


def _written(answer: dict[str, Any]) -> int:
    """The exit code for an answer; a note says what is not on the disk."""
    unwritten = answer["unwritten"]
    if unwritten is None:
        return exits.OK
    since = times.time_text(unwritten["since"])
    Page().note(
        f"the mark is NOT ON THE DISK: the recorder cannot write since {since} ({unwritten['error']}). It is written "
        "when there is room again, and lost if the recorder ends before."
    )
    return exits.UNWRITTEN


def _instant(text: str, address: str) -> int:
    """The time (ns) that is meant, by the recorder's clock. Raises Misuse; and what ``ask`` does."""
    if text.isascii() and text.isdigit():
        return int(text)
    now = int(ask(address, "status")["now"])
    if text.startswith("-") and (length := times.span(text[1:])) is not None:
        return now - length[0]
    try:
        written = times.parse(text)
        if written is not None:
            today = times.local(now, written.zone).replace(hour=0, minute=0, second=0, tzinfo=None)
            instants = written.instants(None, today)
            if written.day is None and instants[0] > now:
                instants = written.instants(None, today - timedelta(days=1))
            past = [each for each in instants if each <= now]
            if len(past) > 1:
                both = " or ".join(times.time_text(each, written.zone, len(written.fraction)) for each in past)
                raise Misuse(f"{text} was there twice, for clocks were put back", hint=f"Say which: {both}.")
            return (past or instants)[0]
    except (ValueError, OverflowError) as error:
        raise Misuse(f"{text} is not a time: {error}", hint=_TIMES) from error
    raise Misuse(f"{text!r} is not a time", hint=_TIMES)


_TIMES = "Times are: 14:03:20, 2026-11-24T14:03:20.5+01:00, -30s (ago), or ns since 1970."


def me() -> str | None:
    """The name of the user who asks; None where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user, as in some containers
        return None
