"""The shipper as a process of its own, beside a recording."""

from pathlib import Path

from ezmsg.ledger.runtime.recorder.followers import Follower
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import require_extra
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.shipping.shipping import ADDRESS_ENV, rig_name
from ezmsg.ledger.tools.input.key_file import read_key


def shipper(address: str, key: Path | None = None) -> Follower:
    """The shipper of a ledger that is being recorded: recording never waits for a network.

    ``key``: a file with the key that signs receipts of it. Raises MissingExtra when an extra is not installed,
    NoStream when ``address`` is not one, Misuse or MalformedKey when ``key`` is not one.
    """
    require_extra()
    shown = parse(address).shown
    if key is not None:
        read_key(key.expanduser(), rig_name())
    return Follower(
        name="the shipper",
        module="ezmsg.ledger.tools.fleet.shipping.shipping",
        arguments=(shown, rig_name(), "" if key is None else str(key.expanduser().resolve())),
        environment={ADDRESS_ENV: address},  # nobody but its user sees that
        without="ezmsg-ledger ship goes on where it stopped",
    )
