"""The shipper as a process of its own, beside a recording."""

from ezmsg.ledger.runtime.recorder.followers import Follower
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import require_extra
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.shipping.shipping import rig_name


def shipper(address: str) -> Follower:
    """The shipper of a ledger that is being recorded: recording never waits for a network.

    Raises MissingExtra when the extra is not installed, NoStream when ``address`` is not one.
    """
    require_extra()
    parse(address)
    return Follower(
        name="the shipper",
        module="ezmsg.ledger.tools.fleet.shipping.shipping",
        arguments=(address, rig_name()),
        without="ezmsg-ledger ship goes on where it stopped",
    )
