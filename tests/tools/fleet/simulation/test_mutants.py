"""A test of the tests: with each of these faults in shipper or reader, the check that is named with it fails."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.tools.fleet import message
from ezmsg.ledger.tools.fleet.errors import Forked
from ezmsg.ledger.tools.fleet.message import MESSAGE_ID, Message, Piece
from ezmsg.ledger.tools.fleet.reading import mirror
from ezmsg.ledger.tools.fleet.reading.mirror import Mirror
from ezmsg.ledger.tools.fleet.shipping import shipper, source
from ezmsg.ledger.tools.fleet.shipping.shipper import Shipper
from ezmsg.ledger.tools.fleet.shipping.source import Source
from tests.faults.test_mutants import Patch, mutated

from .world import Kept, SimulatedBroker, Wrong, play

SEEDS = range(300)


class Mutant(NamedTuple):
    """A fault, and the check that finds it."""

    name: str
    check: Callable[[Path], object]
    patches: tuple[Patch, ...]


def seeds(folder: Path) -> None:
    """Stories, until one goes wrong."""
    for seed in SEEDS:
        play(seed, folder)
        (folder / f"{seed}.ledger").unlink()


def shipped(folder: Path, change: Callable[[Path], object] = lambda path: None) -> tuple[Path, SimulatedBroker]:
    """A ledger that was shipped in small pieces to a broker with which all is well; ``change`` is done to it before."""
    path = folder / "rig.ledger"
    with Ledger.open(path, durability="none") as ledger:
        for number in range(12):
            ledger.append([Mark(name=f"number {number}")])
    change(path)
    broker = SimulatedBroker(random.Random(1), 1)
    with Source(str(path), 500) as here:
        _all(Shipper(here, broker, "rig", "a", lambda text: None))
    return path, broker


def _all(shipper: Shipper) -> None:
    while shipper.step() is not None:
        pass


def read(path: Path, messages: list[Message]) -> bytes:
    kept = Kept()
    with Ledger.open(path, "r") as ledger:
        found = Mirror(ledger.id, "the stream", kept)
    for each in messages:
        found.take(each)
    return bytes(kept.data)


def changed_message(folder: Path) -> None:
    """A letter of a message was changed, its headers were not."""
    path, broker = shipped(folder)
    at = next(n for n, each in enumerate(broker.messages) if b"number 7" in each.data)
    broker.messages[at] = broker.messages[at]._replace(data=broker.messages[at].data.replace(b"number 7", b"number 9"))
    _refused(path, broker.messages)


def lossy_consumer(folder: Path) -> None:
    """What is delivered lacks messages, as an ordered consumer does when the application is slow."""
    path, broker = shipped(folder)
    _refused(path, [each for number, each in enumerate(broker.messages) if number != 3])


def _refused(path: Path, messages: list[Message]) -> None:
    try:
        read(path, messages)
    except DamagedLedger:
        return
    raise Wrong("a stream that was tampered with is taken for the ledger")


def damaged_file(folder: Path) -> None:
    """Bytes of the rig's file have changed before they were shipped."""
    try:
        shipped(folder, lambda path: path.write_bytes(path.read_bytes().replace(b"number 7", b"number 9")))
    except DamagedLedger:
        return
    raise Wrong("damage was shipped")


def forked(folder: Path) -> None:
    """The rig goes on from an older copy of its ledger."""
    path, broker = shipped(folder)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'{"type":"mark","seq":10')])
    with Ledger.open(path, durability="none") as ledger:
        for _ in range(9):
            ledger.append([Mark(name="of another life")])
    try:
        with Source(str(path), 500) as here:
            _all(Shipper(here, broker, "rig", "a", lambda text: None))
    except Forked:
        return
    raise Wrong("two histories were shipped as one")


def went_back(folder: Path) -> None:
    """The stream comes back from an older copy: nothing is put after what it has lost."""
    path, _ = shipped(folder)
    broker = SimulatedBroker(random.Random(1), 1)
    with Source(str(path), 500) as here:
        shipper = Shipper(here, broker, "rig", "a", lambda text: None)
        shipper.step()
        broker.snapshot()
        shipper.step()
        broker.restore()
        _all(shipper)
    assert len(broker.messages) > 2
    if read(path, broker.messages) != path.read_bytes():
        raise Wrong("the stream does not hold what the file does")


def named_appends(folder: Path) -> None:
    """An append that is repeated must be known by its id."""
    headers = message.headers_of("a-ledger", Piece(1, 77, b"x", 3, "none"), 4, "rig", "here:1")
    if headers.get(MESSAGE_ID) != "a-ledger:77":
        raise Wrong("the broker cannot know a repeated append")


MUTANTS = (
    Mutant("no fence", went_back, (Patch(message, "        FENCE: str(fence),\n", ""),)),
    Mutant("no message id", named_appends, (Patch(message, "        MESSAGE_ID: message_id(ledger, piece),\n", ""),)),
    Mutant(
        "the chain is not checked",
        changed_message,
        (Patch(mirror, "if ahead.hexdigest() != commit.sha256:", "if False:"),),
    ),
    Mutant(
        "it goes on after what was asked for, not after what is stored",
        seeds,
        (
            Patch(
                shipper,
                "        if sequence is None:\n            return",
                "        if sequence is None:\n            sequence = fence + 1",
            ),
        ),
    ),
    Mutant(
        "a time-out is a failure",
        seeds,
        (Patch(shipper, "self._certain = False  # until", "self._certain = True  # until"),),
    ),
    Mutant(
        "any refusal is a lost fence",
        seeds,
        (
            Patch(
                shipper, "it decides nothing\n                raise", "it\n                raise FenceLost(str(error))"
            ),
        ),
    ),
    Mutant(
        "damage is shipped",
        damaged_file,
        (Patch(source, "if self._digest.hexdigest() != commit.sha256:", "if False:"),),
    ),
    Mutant(
        "a fork is gone on with",
        forked,
        (Patch(shipper, "if not self.source.agrees(last.piece):", "if not self.source:"),),
    ),
    Mutant(
        "a place is good for all offsets before it",
        seeds,
        (Patch(source, "if self._since <= offset < self._ready.offset", "if offset < self._ready.offset"),),
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.name))
def test_a_mutant_is_found(mutant: Mutant, tmp_path: Path) -> None:
    with mutated(mutant.patches), pytest.raises((Wrong, LedgerError, AssertionError)):
        mutant.check(tmp_path)


@pytest.mark.parametrize(
    "check",
    [changed_message, lossy_consumer, damaged_file, forked, went_back, named_appends],
    ids=lambda check: str(check.__name__),
)
def test_the_checks_pass_without_a_mutant(check: Callable[[Path], object], tmp_path: Path) -> None:
    check(tmp_path)
