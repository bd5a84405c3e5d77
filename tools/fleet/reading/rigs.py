"""The ledgers of all rigs, wherever they are together: a stream of a broker, or a folder of files."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.folder.segments import number_of
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.name_hints import did_you_mean
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.stores.addresses import address_of, without_secret
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import Place, parse
from ezmsg.ledger.tools.fleet.message import Malformed, stored

PATTERN = "*.ledger"


class Rig(NamedTuple):
    """A ledger among others: its rig's ``name`` (of a file: its own), its ``id`` ("" when it cannot be read), and where
    it is to be read from; ``time``: when something of it last came to the stream (ns since the epoch, UTC), else 0.
    """

    name: str
    id: str
    location: str
    time: int = 0

    @property
    def document(self) -> dict[str, Any]:
        """The document that ``--json`` shows: without a password that the location may have."""
        return {**self._asdict(), "location": without_secret(self.location)}


def rigs_at(where: str) -> list[Rig]:
    """All ledgers at ``where``, by name and age. Raises Misuse without any, NoStream, Unreachable."""
    found = _in_stream(where) if address_of(where) is not None else _in_folder(Path(where).expanduser())
    if not found:
        raise Misuse(
            f"there is no ledger in {without_secret(where)}",
            hint="Name a stream, nats://HOST:PORT/STREAM, or a folder.",
        )
    return sorted(found, key=lambda rig: (rig.name, rig.time, rig.location))


def _in_stream(where: str) -> list[Rig]:
    place = parse(where)
    if place.ledger:
        raise Misuse(f"{place.shown} is one ledger", hint="A fleet is a stream: leave the ledger's name out.")
    found = []
    with NatsBroker(place) as broker:
        for identity, message in broker.ledgers().items():
            name = identity
            with suppress(Malformed):
                name = stored(message).name or identity
            found.append(Rig(name, identity, Place(place.servers, place.stream, identity).address, message.time))
    return found


def _in_folder(folder: Path) -> list[Rig]:
    if not folder.is_dir():
        raise Misuse(
            f"{folder} is not a folder", hint="Name a stream, nats://HOST:PORT/STREAM, or a folder of ledgers."
        )
    return [Rig(path.stem, "", str(path)) for path in folder.glob(PATTERN) if number_of(path.name) is None]


def newest(rigs: list[Rig], name: str) -> Rig:
    """The ledger that is called ``name``, or has this id; of several the one that came last. Raises Misuse."""
    named = [rig for rig in rigs if name in (rig.name, rig.id)]
    if not named:
        names = sorted({rig.name for rig in rigs})
        raise Misuse(f"there is no rig {name}", hint=did_you_mean(name, names) or f"There are {', '.join(names[:8])}.")
    return named[-1]


@contextmanager
def history(rig: Rig) -> Iterator[Timeline]:
    """The history of a rig. Raises as ``Ledger.open`` does."""
    with Ledger.open(rig.location, "r") as ledger:
        yield Timeline(ledger)


class Standing(NamedTuple):
    """The state of a rig: its last event, whether it records now, what runs there, or why it cannot be read."""

    rig: Rig
    seq: int = 0
    time: int = 0
    recording: bool = False
    run: str = ""
    sessions: int = 0
    edges: int = 0
    trouble: str = ""


def standing(rig: Rig) -> Standing:
    """Tell how a rig is by its ledger, which is read to its end. What keeps it from being read is told."""
    try:
        with history(rig) as timeline:
            state = timeline.at("end")
            on = state.run is not None
            run = state.run[1].name if state.run is not None else ""
            return Standing(
                rig._replace(id=timeline.ledger.id),
                state.seq,
                state.time,
                on and timeline.ledger.being_written,
                run,
                len(state.sessions),
                sum(1 for _ in state.ownership.edges()),
                str(timeline.damage or ""),
            )
    except LedgerError as error:
        return Standing(rig, trouble=str(error))
