"""``debug``: look at the graph in a browser, and move through its history."""

import gc
import ipaddress
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import click

from ezmsg.ledger.lock.followed import set_at_end
from ezmsg.ledger.tools.debugger.server import LOOPBACK, CannotServe, require, serving
from ezmsg.ledger.tools.debugger.watched import Watched
from ezmsg.ledger.tools.exits import OK
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import locate, shortened, tell_beginning
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import NAME, Page

PORT_MAX = 65535

COLLECTED_AFTER = (50_000, 20, 20)
"""A drawing is hundreds of thousands of objects without a cycle: looking for one among them takes as long as making
them."""

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@argument("ledger", "[LEDGER]", "The ledger to look at.", type=FILE)
@options.at("Open at this moment; by default at the last event.", default=None)
@option("--with", "with_", metavar="OTHER", type=FILE, help="A ledger to compare with, by names.")
@option("--port", metavar="N", type=click.IntRange(0, PORT_MAX), default=0, help="Where to listen; 0 takes a free one.")
@option("--host", metavar="H", default=LOOPBACK, help="On which address; others need --allow.")
@option(
    "--allow",
    metavar="CIDR",
    multiple=True,
    help="Let in this network or host, beside this machine; can be given more than once.",
)
@flag("--no-open", help="Open no browser; the address is printed.")
@option("--until-closed", is_flag=True, hidden=True)
def debug(
    ledger: Path | None,
    at: str | None,
    with_: Path | None,
    port: int,
    host: str,
    allow: Sequence[str],
    no_open: bool,
    until_closed: bool,
) -> int:
    """Opens a page that draws the pipeline as it was at any moment. Drag the time line to move; pin a moment to see
    what changed since; click on an edge, a unit or a session to be told why it is as it is. While somebody records, the
    page follows.

    Nothing leaves this machine, and nothing is written to the ledger. The address has a random token, so that other
    users of the machine cannot look; a person who is to look needs the whole of it. Ctrl-C ends.

    Examples:
      ezmsg-ledger debug
      ezmsg-ledger debug run.ledger --at mark:baseline
      ezmsg-ledger debug failed.ledger --with worked.ledger
    """
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    page = Page()
    networks = _networks(host, allow)
    require()
    path = locate(ledger, page)
    watched = Watched(path, None if with_ is None else locate(with_, page))
    try:
        tell_beginning(watched.ledger, page)
        seq = None if at is None else watched.timeline.moment(at).seq
    except BaseException:
        watched.close()
        raise
    with serving(watched, host=host, port=port, networks=networks) as server:
        address = server.address + ("" if seq is None else f"?{urlencode({'at': seq})}")
        ended = _until_signalled()
        if until_closed:
            set_at_end(ended, str(path))
        print(address, flush=True)
        ends = "it ends with the recording" if until_closed else "Ctrl-C ends"
        print(f"{NAME}: showing {shortened(watched.ledger.location)} at this address; {ends}", file=sys.stderr)
        if not no_open:
            threading.Thread(target=_open, args=(address, page), daemon=True).start()
        while server.is_alive() and not ended.wait(0.5):
            pass
        if server.fault is not None:
            raise server.fault
    return OK


def _until_signalled() -> threading.Event:
    """An event that is set by Ctrl-C, or when the process is told to end."""
    ended = threading.Event()
    for name in SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as after nohup
            signal.signal(number, lambda number, frame: ended.set())
    return ended


def _open(address: str, page: Page) -> None:
    """Open a browser where there is a screen for one: in a bare terminal one would take the terminal."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    if (screen or sys.platform in ("darwin", "win32")) and webbrowser.open(address):
        return
    page.note("no browser could be opened: open the address above in one")


def _networks(host: str, allow: Sequence[str]) -> list[ipaddress.IPv4Network]:
    if host == LOOPBACK and not allow:
        return []  # as nearly always: what follows imports half of the recorder
    from ezmsg.ledger.runtime.address import is_loopback
    from ezmsg.ledger.runtime.server.wire.admission import NoNetwork, parse_network

    if not is_loopback(host) and host != "localhost" and not allow:
        raise CannotServe(
            f"--host {host} would let other machines in",
            hint="Say which: --allow 192.168.1.0/24. Anyone who has the address can read the whole ledger.",
        )
    try:
        return [parse_network(text) for text in allow]
    except NoNetwork as error:
        raise CannotServe(f"--allow: {error}", hint=error.hint) from error
