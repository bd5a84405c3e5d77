"""The shipper as a process of its own, beside a recording."""

from ezmsg.ledger.runtime.recorder.followers import Follower
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import require_extra
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.shipping.shipping import ADDRESS_ENV, rig_name


def shipper(address: str) -> Follower:
    """The shipper of a ledger that is being recorded: recording never waits for a network.

    Raises MissingExtra when the extra is not installed, NoStream when ``address`` is not one.
    """
    require_extra()
    shown = parse(address).shown
    return Follower(
        name="the shipper",
        module="ezmsg.ledger.tools.fleet.shipping.shipping",
        arguments=(shown, rig_name()),
        environment={ADDRESS_ENV: address},  # nobody but its user sees that
        without="ezmsg-ledger ship goes on where it stopped",
    )
