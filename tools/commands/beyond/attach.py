"""``attach``: a recorder beside a graph server that is not ours."""

import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.address import ADDRESS_ENV
from ezmsg.ledger.runtime.recorder.followers import Followers
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.address import ADDRESS_DEFAULT, address_or_default
from ezmsg.ledger.tools.input.new_ledger import give_back, unnamed
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.input.rotation import rotation_of
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text.run_summary import summarise
from ezmsg.ledger.tools.text.unseen import unseen_words
from ezmsg.ledger.wording import count

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.observer.observer import Observer
    from ezmsg.ledger.runtime.rotation import Rotator

WAIT_S = 0.5
"""Time between two attempts to find a server, with ``--wait``."""

NOTHING = "  Nothing was connected while it looked, or the server was empty."

Stopped = Callable[[], bool]


@argument("address", "[HOST:PORT]", f"Where the graph server listens; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}.")
@option("--ledger", "-l", metavar="FILE", type=FILE, help="Where to record; attach-DATE-TIME.ledger by default.")
@flag("--wait", help="Wait for a server to be there, and for the next one when it ends, until Ctrl-C.")
@options.durability
@options.rotate
@options.keep
@options.compress
@options.no_index
@options.debug
def attach(
    address: str | None,
    ledger: Path | None,
    wait: bool,
    durability: Durability,
    rotate: Sequence[str],
    keep: str | None,
    compress: bool,
    no_index: bool,
    debug: bool,
) -> int:
    """Records beside ezmsg's own graph server (3.9 or 3.10), which goes on as it is: nothing is started anew, and
    nothing of its graph changes. It looks at what stands, listens to the streams of changes, and looks again when
    something has changed, for a twentieth of the server's time at most. Every command that looks works on the result.

    An observer knows less than a server: neither where connections come from, nor publishers and subscribers, refusals,
    requests, nor how a session ended. What came and went between two looks is counted. The ledger says all of that.

    It ends at Ctrl-C, and when the server does, unless --wait.

    Examples:
      ezmsg-ledger attach
      ezmsg-ledger attach 127.0.0.1:25978 --ledger lab.ledger
      ezmsg-ledger attach --wait
      ezmsg-ledger attach --wait --ledger lab.ledger --rotate 256MB --keep 30d
    """
    where = address_or_default(address)
    rotation = rotation_of(rotate, keep, compress)
    os.environ[ADDRESS_ENV] = where  # which ezmsg reads as soon as it is imported
    followers = Followers(options.followers(no_index, debug))
    from ezmsg.ledger.runtime.client.line import Line, NoServer
    from ezmsg.ledger.runtime.observer.observer import Observer
    from ezmsg.ledger.runtime.rotation import Rotator

    rotator = None if rotation is None else Rotator(rotation)
    logging.getLogger("ezmsg.ledger").setLevel(logging.WARNING)
    page = Page()
    stopped = _stopped_by_signals()
    recorded: Ledger | None = None
    run = 0
    with followers:
        try:
            while not stopped():
                try:
                    Line(where, b"").close()
                except NoServer:
                    if not wait:
                        raise
                    time.sleep(WAIT_S)
                    continue
                if recorded is None:
                    recorded = _opened(ledger, durability, segmented=rotator is not None)
                    followers.start(recorded.location)
                observer = Observer(recorded, where)
                run = observer.run
                _tell_start(page, observer, recorded.location)
                there = _observe(observer, stopped, rotator)
                recorded = observer.ledger  # another one than at the start, if the disk failed in between
                _tell_end(page, observer, there, where)
                if not wait:
                    break
        finally:
            if rotator is not None:
                rotator.close()
            if recorded is not None:
                recorded.close()
    if recorded is not None:
        _summarise(page, recorded.location, run)
    return exits.OK


def _opened(ledger: Path | None, durability: Durability, segmented: bool) -> Ledger:
    location = ledger or unnamed("attach", folder=segmented)
    try:
        return Ledger.open(location, durability=durability, segmented=segmented)
    except LedgerError:
        if ledger is None:
            give_back(location)
        raise


def _observe(observer: "Observer", stopped: Stopped, rotator: "Rotator | None") -> bool:
    """Record until a signal comes or the server ends; whether that is still there."""
    from ezmsg.ledger.runtime.client.line import TooLarge

    reason = "server_gone"
    try:
        there = observer.attend(stopped, rotator)
        if there:
            reason = "signal"
    except TooLarge:
        reason = "reply_too_large"
        raise
    finally:
        observer.leave(reason, None)
    return there


def _tell_start(page: Page, observer: "Observer", location: str) -> None:
    address = observer.state.runs[observer.run].address
    page.note(f"beside the graph server at {address} (ezmsg {observer.version}), recording to {location}")
    page.note(f"an observer does not see {listed(unseen_words(observer.blind), 9, '; ')}. Ctrl-C stops")


def _tell_end(page: Page, observer: "Observer", there: bool, address: str) -> None:
    if observer.unseen:
        page.note(f"{count(observer.unseen, 'change')} came and went between two looks, unseen")
    if not there:
        page.note(f"the graph server at {address} has ended")


def _stopped_by_signals() -> Stopped:
    """Whether one of the signals that end a program has come; from now on they do nothing else."""
    came: list[int] = []
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as after nohup
            signal.signal(number, lambda number, frame: came.append(number))
    return lambda: bool(came)


def _summarise(page: Page, location: str, run: int) -> None:
    summary = io.StringIO()
    summarise(location, run, summary, NOTHING)
    sys.stdout.flush()
    print(summary.getvalue(), end="", file=sys.stderr)
