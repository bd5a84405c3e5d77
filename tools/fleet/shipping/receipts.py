"""Receipts in a stream: what a ledger held when, signed by its rig, kept beside the bytes that they speak of."""

import time
from collections.abc import Callable

from ezmsg.ledger.audit.note import SigningKey
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.fleet.errors import NoStream, Refused, Unreachable
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import Place, parse
from ezmsg.ledger.tools.fleet.message import MESSAGE_ID
from ezmsg.ledger.tools.fleet.reading.reader import resolved
from ezmsg.ledger.tools.fleet.shipping.shipper import Reached
from ezmsg.ledger.tools.fleet.shipping.source import Source

EVERY_S = 3600.0
"""How often a receipt is left while a ledger grows; one is left at each seal as well."""

RETRY_S = 10.0
"""How long to wait after a receipt that the broker did not take."""


class Receipts:
    """Leaves receipts of what was shipped, signed with ``key``. ``say`` is told when one is not taken."""

    def __init__(self, source: Source, broker: NatsBroker, key: SigningKey, say: Callable[[str], object]) -> None:
        self._source = source
        self._broker = broker
        self._key = key
        self._say = say
        self._last = (0, 0)
        self._next = self._retry = 0.0
        self._failing = False

    def look(self, reached: Reached | None) -> None:
        """Leave one when it is time: at a seal, or an hour after the last one. Why one is not taken is said once."""
        now = time.monotonic()
        if reached is None or (reached.segment, reached.offset) == self._last or now < self._retry:
            return
        found = self._source.receipt(reached.segment, reached.offset, time.time_ns())
        if found is None or (now < self._next and not found[1]):
            return
        receipt, _ = found
        identity = f"receipt:{receipt.id}:{receipt.segment}:{receipt.size}"
        try:
            self._broker.append_receipt(receipt.id, self._key.sign(receipt.text), {MESSAGE_ID: identity})
        except (Unreachable, Refused, NoStream) as error:  # NoStream: without the right to, say
            if not self._failing:
                self._say(f"a receipt could not be left in the stream: {error}. Shipping goes on; it is tried again")
            self._failing, self._retry = True, now + RETRY_S
            return
        if self._failing:
            self._say("the stream takes receipts again")
        self._failing = False
        self._last, self._next = (reached.segment, reached.offset), now + EVERY_S


def kept(address: str) -> list[tuple[str, bytes]]:
    """The receipts that a stream keeps for the ledger at an address, each with a name for people. Raises Misuse."""
    place = parse(address, ledger=True)
    with NatsBroker(place) as broker:
        ledger = resolved(broker, place.ledger)
        named = Place(place.servers, place.stream, ledger).shown
        found = [(f"{named} receipt {each.sequence}", each.data) for each in broker.receipts(ledger)]
    if not found:
        raise Misuse(f"{named} has no receipts", hint=_KEY_HINT)
    return found


_KEY_HINT = "`ship --key KEY` leaves one at each seal, and every hour; so do `run` and `serve` with --ship-key KEY."
