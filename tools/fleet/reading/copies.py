"""Copies of the ledgers of a stream in a folder on this machine: each is fetched, and gone on with the next time."""

from pathlib import Path

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.stores.addresses import address_of
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.reading.fetching import fetch, file_name
from ezmsg.ledger.tools.fleet.reading.rigs import Rig, rigs_at


def copied(where: str, folder: Path) -> tuple[list[Rig], list[str]]:
    """The ledgers at ``where``, those of a stream as copies in ``folder``; and what could not be fetched, in words.

    Raises Misuse without any, NoStream, Unreachable. Cost: that of what is new in the stream.
    """
    rigs = rigs_at(where)
    if address_of(where) is None:
        return rigs, []
    found: list[Rig] = []
    trouble: list[str] = []
    with NatsBroker(parse(where)) as broker:
        for rig in rigs:
            path = folder / file_name(rig.name, rig.id)
            try:
                fetch(broker, rig.id, str(path))
            except DamagedLedger as error:  # what is sound before it is there
                trouble.append(f"{rig.name}: {error}")
            except LedgerError as error:
                trouble.append(f"{rig.name}: {error}")
                continue
            if path.exists():
                found.append(rig._replace(location=str(path)))
    return found, trouble
