"""``serve``: a recording graph server in the foreground."""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ezmsg.ledger.runtime.address import ADDRESS_ENV, EVERYWHERE, PORT_MAX, CannotListen
from ezmsg.ledger.runtime.recorder.followers import Followers
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options, sizes
from ezmsg.ledger.tools.input.address import address_or_default, listening_address, no_listening
from ezmsg.ledger.tools.input.new_ledger import give_back, unnamed
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.input.rotation import rotation_of
from ezmsg.ledger.tools.output import NAME
from ezmsg.ledger.tools.service_log import service_log
from ezmsg.ledger.tools.text.run_summary import summarise

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.server.server import GraphServer
    from ezmsg.ledger.tools.input.past import Past

NOTHING_OF_ANYONE = "  Programs come here when EZMSG_GRAPHSERVER_ADDR, or the graph_address they name, is this address."


@argument("ledger", "[LEDGER]", "Where to record; serve-DATE-TIME.ledger by default.", type=FILE)
@listening_address
@options.durability
@flag("--fresh", help="Drop the persistent edges that the ledger brings.")
@option(
    "--from",
    "past",
    metavar="LEDGER@MOMENT",
    help="Begin a new ledger with the persistent edges as they stood in another one; at its end without @MOMENT.",
)
@flag("--hold", help="With --from: all other edges too, held by a session of the server's own until it is evicted.")
@option(
    "--allow",
    metavar="CIDR",
    multiple=True,
    help="Let in this network or host, and this machine, alone; can be given more than once.",
)
@flag("--remote-shutdown", help="Obey `ezmsg shutdown` from other machines too.")
@option(
    "--metrics",
    metavar="PORT",
    type=click.IntRange(0, PORT_MAX),
    help="Tell Prometheus how the server is, at this port of 127.0.0.1; port 0 takes a free one.",
)
@options.rotate
@options.keep
@options.compress
@options.no_index
@options.min_free
@option(
    "--log-file",
    metavar="FILE",
    envvar="EZMSG_LOG_FILE",
    type=FILE,
    help="Note there too what the server says, as `ezmsg serve` does; $EZMSG_LOG_FILE by default.",
)
@options.debug
@options.ship
@options.ship_key
@options.lsl
def serve(
    ledger: Path | None,
    address: str | None,
    durability: Durability,
    fresh: bool,
    past: str | None,
    hold: bool,
    allow: Sequence[str],
    remote_shutdown: bool,
    metrics: int | None,
    rotate: Sequence[str],
    keep: str | None,
    compress: bool,
    no_index: bool,
    min_free: str | None,
    log_file: Path | None,
    debug: bool,
    ship: str | None,
    ship_key: Path | None,
    lsl: bool,
) -> int:
    """Takes the place of `ezmsg serve`: several programs share one graph, and what becomes of it is recorded. Ends at
    Ctrl-C, SIGTERM, or `ezmsg shutdown`.

    A ledger that exists is continued: its persistent edges stand, and what the last run left behind is ended. With
    --from it must not exist: it begins with the wiring that another one had at a moment, and names that one.

    Examples:
      ezmsg-ledger serve rig.ledger
      ezmsg-ledger serve rig.ledger --address 127.0.0.1:10000 --durability commit
      ezmsg-ledger serve rig.ledger --fresh
      ezmsg-ledger serve rig.ledger --address 0.0.0.0:25978 --allow 192.168.1.0/24
      ezmsg-ledger serve rig.ledger --rotate 256MB --keep 30d
      ezmsg-ledger serve rig.ledger --min-free 5GB
      ezmsg-ledger serve again.ledger --from rig.ledger@mark:baseline --hold
    """
    rotation = rotation_of(rotate, keep, compress)
    least = sizes.size_of_option(min_free, "--min-free")
    wanted = address_or_default(address)
    begun_from = _past(ledger, past, fresh, hold)
    followers = Followers(options.followers(no_index, debug, ship, ship_key, lsl))
    os.environ[ADDRESS_ENV] = wanted  # which ezmsg reads as soon as it is imported, and fails over when it is malformed
    from ezmsg.ledger.runtime.server.health.metrics import NoMetrics
    from ezmsg.ledger.runtime.server.server import GraphServer
    from ezmsg.ledger.runtime.server.wire.admission import raise_descriptor_limit

    logging.getLogger("ezmsg.ledger").setLevel(logging.WARNING)
    logging.getLogger("ezmsg.ledger.proven").setLevel(logging.INFO)  # what a start may have to wait for
    networks = _networks(allow)
    raise_descriptor_limit()
    with service_log(log_file) as say:
        location = ledger or unnamed("serve", folder=rotation is not None)
        begun = False
        wiring = None
        try:
            if begun_from is not None:
                wiring = begun_from.begin(location, hold)
            server = GraphServer(
                location,
                name="serve",
                durability=durability,
                fresh=fresh,
                allow=networks,
                remote_shutdown=remote_shutdown,
                metrics_port=metrics,
                rotation=rotation,
                min_free=least,
                wiring=wiring,
            )
            server.start_at(wanted)
            begun = True
            if begun_from is not None and wiring is not None:
                say(f"restored {wiring.text}, as at {begun_from.text}")
        except CannotListen as error:
            raise no_listening(error, address) from error
        except NoMetrics as error:
            raise exits.Misuse(str(error), hint=error.hint) from error
        finally:
            if ledger is None and not begun:
                give_back(location)
            if begun_from is not None and wiring is not None and not begun:
                begun_from.undo(location)
        return _attend(server, followers, say)


def _past(ledger: Path | None, past: str | None, fresh: bool, hold: bool) -> "Past | None":
    """The moment that ``--from`` names, when it is there. Raises Misuse where the options contradict each other."""
    if past is None:
        if hold:
            raise Misuse("--hold is about the edges of another ledger", hint="Add --from LEDGER@MOMENT.")
        return None
    if ledger is None:
        raise Misuse("--from needs the name of the new ledger", hint=f"{NAME} serve NEW.ledger --from {past}")
    if fresh:
        raise Misuse("--fresh drops the edges that --from brings", hint="Leave one of them out.")
    from ezmsg.ledger.tools.input.past import Past

    return Past.named(past)


def _attend(server: "GraphServer", followers: Followers, say: Callable[[str], None]) -> int:
    """Say where it is, wait for its end, and tell what was recorded; the exit code."""
    assert server.ledger is not None
    assert server.live is not None
    run = server.live.run
    stopped = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as after nohup
            signal.signal(number, lambda number, frame: _stop(server, stopped, number, frame))
    say(f"graph server at {server.address}, recording to {server.ledger.location}")
    host, port = server.address
    here = f"{'127.0.0.1' if host == EVERYWHERE else host}:{port}"
    say(f"EZMSG_GRAPHSERVER_ADDR={here} points ezmsg programs here; Ctrl-C stops")
    if server.metrics is not None:
        say(f"metrics at {server.metrics.url}")
    with followers:
        followers.start(server.ledger.location)
        while server.is_alive():
            server.join(0.5)  # a join without a limit would not let Python's signal handlers run on every system
    if server.live.degraded is not None:
        return exits.DISK  # the server has said what is lost; a summary of what is left would sound as if all were well
    summary = io.StringIO()
    summarise(server.ledger.location, run, summary, NOTHING_OF_ANYONE)
    for line in summary.getvalue().splitlines():
        prefix, _, told = line.partition(": ")
        if prefix == NAME:
            say(told)
        else:
            print(line, file=sys.stderr)
    return exits.OK


def _networks(texts: Sequence[str]) -> list[str]:
    """The networks of ``--allow`` as they are understood. Raises Misuse for what is none."""
    from ezmsg.ledger.runtime.server.wire.admission import NoNetwork, parse_network

    try:
        return [str(parse_network(text)) for text in texts]
    except NoNetwork as error:
        raise Misuse(f"--allow: {error}", hint=error.hint) from error


def _stop(server: "GraphServer", stopped: threading.Event, number: int, frame: FrameType | None) -> None:
    if not stopped.is_set():
        stopped.set()
        server.request_stop("signal", signal.Signals(number).name)
