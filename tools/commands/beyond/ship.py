"""``ship``: a ledger's bytes to a stream of NATS JetStream."""

import threading
from pathlib import Path

import click

from ezmsg.ledger.stores.addresses import refuse_address
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import require_extra
from ezmsg.ledger.tools.fleet.jetstream.place import STREAM, Place, parse, safe_name
from ezmsg.ledger.tools.fleet.jetstream.stream import REPLICAS_MAX, synced_always
from ezmsg.ledger.tools.fleet.shipping.shipping import Aim, Shipping, rig_name
from ezmsg.ledger.tools.input.key_file import read_key
from ezmsg.ledger.tools.input.location import locate, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.wording import size_text

UNSEEN = (
    "whether the server syncs each message before it says yes cannot be seen from here (`sync_interval: always`; by "
    "default it syncs every two minutes): name its monitoring port to be told, --monitor http://HOST:8222"
)
SLOW = (
    "THE SERVER SAYS YES BEFORE IT HAS SYNCED: a power cut there loses what it had acknowledged, up to its "
    "sync_interval (two minutes by default). Set `sync_interval: always` in its `jetstream` block."
)


@argument("ledger", "LEDGER", "The ledger to ship: a file, or a folder of segments.", type=FILE, required=True)
@argument("address", "nats://HOST:PORT", "The broker; several servers of one as nats://A:4222,B:4222.", required=True)
@option("--stream", metavar="NAME", help=f"The stream; {STREAM} by default. It is made when it is missing.")
@option("--name", metavar="RIG", help="What the rig is called in the stream; this machine's name by default.")
@option("--replicas", metavar="N", type=click.IntRange(1, REPLICAS_MAX), help="Copies that a new stream has; else 1.")
@option("--monitor", metavar="URL", help="The server's monitoring port, to be told how it syncs: http://HOST:8222.")
@option("--key", metavar="FILE", type=FILE, help="Leave receipts in the stream, signed with this key (extra: sign).")
@flag("--follow", help="Go on when all is shipped, for what is recorded later; Ctrl-C ends.")
def ship(
    ledger: Path,
    address: str,
    stream: str | None,
    name: str | None,
    replicas: int | None,
    monitor: str | None,
    key: Path | None,
    follow: bool,
) -> int:
    """Follows a ledger, while it is recorded or afterwards, and ships the bytes of its file to a stream of NATS
    JetStream (extra: fleet), from where it can be read, fetched and checked. Ends when all is shipped and nobody writes
    the ledger any more. What is shipped is never shipped again: it goes on where the stream ends.

    The file stays the truth. The exit code is 4 when the stream holds another history of this ledger, 5 when another
    program ships one there at the same time, and 2 when there is no such broker, or it does not let us in.

    Examples:
      ezmsg-ledger ship run.ledger nats://127.0.0.1:4222
      ezmsg-ledger ship rig.ledger nats://10.0.0.7:4222 --name rig-3 --follow
      ezmsg-ledger ship rig.ledger nats://a:4222,b:4222,c:4222 --replicas 3
    """
    page = Page()
    require_extra()
    refuse_address(str(ledger), "ship")
    path = locate(ledger, page)
    place = parse(address, stream)
    if place.ledger:
        raise Misuse(f"{place.shown} names a ledger", hint="A ledger is shipped under its own id: leave that out.")
    rig = safe_name(name) if name is not None else rig_name()
    aim = Aim(place, rig, replicas, None if key is None else read_key(key.expanduser(), rig))
    shipping = Shipping(str(path), aim, page.note, threading.Event())
    shipping.attended = True
    try:
        shipping.prepare()
        _tell_syncs(page, monitor)
        return _shipped(page, shipping, place, follow)
    finally:
        shipping.close()


def _tell_syncs(page: Page, monitor: str | None) -> None:
    if monitor is None:
        page.note(UNSEEN)
        return
    always = synced_always(monitor)
    if always is None:
        page.note(f"{monitor} is a server without JetStream: it tells nothing of how the stream is synced")
    elif not always:
        page.note(SLOW)


def _shipped(page: Page, shipping: Shipping, place: Place, follow: bool) -> int:
    try:
        shipping.run(follow=follow)
    except KeyboardInterrupt:
        missing = shipping.missing
        if missing:
            page.note(f"{size_text(missing)} of {shortened(shipping.location)} are not shipped yet")
        _tell(page, shipping, place)
        return exits.OK if follow and not missing else exits.INTERRUPTED
    _tell(page, shipping, place)
    return exits.OK


def _tell(page: Page, shipping: Shipping, place: Place) -> None:
    reached = shipping.shipper.reached
    if reached is None:
        page.line(f"nothing of {shortened(shipping.location)} is in the stream")
        return
    there = Place(place.servers, place.stream, shipping.source.id).shown
    page.line(f"{there} has {shortened(shipping.location)} up to seq {reached.upto}")
