"""``fetch``: a shipped ledger as a file again."""

import os
from pathlib import Path

from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker, require_extra
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.message import Malformed, stored
from ezmsg.ledger.tools.fleet.reading.fetching import fetch as fetched
from ezmsg.ledger.tools.fleet.reading.fetching import file_name
from ezmsg.ledger.tools.fleet.reading.reader import resolved
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import shortened
from ezmsg.ledger.tools.input.options import FILE, argument
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.wording import size_text


@argument(
    "address",
    "ADDRESS",
    "nats://HOST:PORT/STREAM/LEDGER; the ledger by its id, or by the name of its rig.",
    required=True,
)
@argument("file", "[FILE]", "Where to; by default RIG-ID.ledger, with the beginning of the id.", type=FILE)
@options.json
def fetch(address: str, file: Path | None, json: bool) -> int:
    """Brings all that a stream holds of a ledger into a file: the same bytes as on the rig, each checked on its way
    against the digests that the ledger states itself (extra: fleet). A ledger of several segments becomes a folder.

    A file that holds the beginning is continued: after a fetch that was interrupted, or when more has been shipped.
    The exit code is 4 when messages are missing, changed, doubled or in another order: what is sound before them is in
    the file then.

    Examples:
      ezmsg-ledger fetch nats://127.0.0.1:4222/LEDGERS/rig-3
      ezmsg-ledger fetch nats://127.0.0.1:4222/LEDGERS/rig-3 rig-3.ledger
    """
    page = Page()
    require_extra()
    place = parse(address, ledger=True)
    with NatsBroker(place) as broker:
        ledger = resolved(broker, place.ledger)
        path = os.path.realpath((file or _named(broker, ledger)).expanduser())
        found = fetched(broker, ledger, path)
    if json:
        page.document(found._asdict())
        return exits.OK
    new = size_text(found.bytes) if found.bytes else "nothing"
    page.line(f"{shortened(path)} holds {found.id} up to seq {found.seq}, {size_text(found.size)}; {new} of it is new")
    return exits.OK


def _named(broker: NatsBroker, ledger: str) -> Path:
    """A name for a ledger that is given none."""
    message = broker.last(ledger)
    name = ""
    if message is not None:
        try:
            name = stored(message).name
        except Malformed:  # what it is in the stream is told when it is read
            name = ""
    return Path(file_name(name, ledger))
