"""The ledger of a recorder that is named by its address."""

import os
from pathlib import Path

from ezmsg.ledger.projections.questions.moments.moments import looks_like_moment
from ezmsg.ledger.stores.addresses import address_of
from ezmsg.ledger.tools.exits import Misuse


def ledger_of(word: Path | None) -> Path | None:
    """The ledger that a word means: itself, or of ``HOST:PORT`` the one that the recorder there writes.

    Raises NoAnswer when no recorder answers there, Misuse when its ledger is not a file of this machine.
    """
    if word is None or os.path.lexists(word) or address_of(str(word)) is not None:
        return word
    from ezmsg.ledger.runtime.address import host_and_port  # a command that is given a file need not load it

    address = str(word)
    if host_and_port(address) is None:
        return word
    from ezmsg.ledger.runtime.recorder.control_client import ask

    location = str(ask(address, "status")["ledger"])
    if os.path.lexists(location):
        return Path(location)
    where = "keeps it in memory" if location == "memory" else f"writes {location}, which is not on this machine"
    raise Misuse(
        f"the ledger of the recorder at {address} cannot be read here: it {where}",
        hint="Ask on the machine that records to a file, and name the file.",
    )


def is_recorder(word: str) -> bool:
    """Whether a word is the address of a recorder, where it could be a moment as well: ``12:30`` is a time."""
    from ezmsg.ledger.runtime.address import host_and_port

    return not looks_like_moment(word) and host_and_port(word) is not None
