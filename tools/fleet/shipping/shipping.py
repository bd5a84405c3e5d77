"""A ledger that is shipped from here on: the loop around a Shipper, which runs until all is shipped, or for ever.

Started as a process of its own beside a recording by ``run --ship`` and ``serve --ship``: recording never waits for a
network.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ezmsg.ledger.audit.note import SigningKey
from ezmsg.ledger.errors import LedgerError, LogError
from ezmsg.ledger.lock.followed import set_at_end
from ezmsg.ledger.runtime.recorder import shipped as note
from ezmsg.ledger.runtime.recorder.shipped import Shipped
from ezmsg.ledger.stores.addresses import without_secret
from ezmsg.ledger.tools.exits import OK, code_of
from ezmsg.ledger.tools.fleet.errors import NoStream, Refused, Unreachable
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import Place, parse
from ezmsg.ledger.tools.fleet.jetstream.stream import check, ready
from ezmsg.ledger.tools.fleet.message import PIECE_MAX
from ezmsg.ledger.tools.fleet.shipping.receipts import Receipts
from ezmsg.ledger.tools.fleet.shipping.shipper import BACKOFF_MAX_S, Reached, Shipper
from ezmsg.ledger.tools.fleet.shipping.source import Source
from ezmsg.ledger.tools.input.key_file import read_key
from ezmsg.ledger.tools.output import Page, report

ADDRESS_ENV = "EZMSG_LEDGER_SHIP_TO"
"""The variable that has the address, with user and password, for a shipper that is a process of its own."""

POLL_S = 0.05
"""How often the file is looked at for more when all is shipped."""

NOTE_S = 1.0
"""How often the note beside the ledger is written while nothing but its place changes."""

CHECK_S = 300.0
"""How often the stream is looked at again: its configuration, and whether it still has what it had."""

PAYLOAD_MIN = 1024
"""Bytes of a payload below which a server's limit cannot be lived with."""


class Aim(NamedTuple):
    """The place that a ledger is shipped to, and how: ``replicas`` as for ``ready``, ``key`` for receipts."""

    place: Place
    name: str
    replicas: int | None = None
    key: SigningKey | None = None


def rig_name() -> str:
    """The name of a rig that was given none: this machine's."""
    return socket.gethostname().partition(".")[0][:60] or "rig"


class Shipping:
    """Ships the ledger at ``location``. Raises as Source does, MissingExtra."""

    def __init__(self, location: str, aim: Aim, say: Callable[[str], object], stop: threading.Event) -> None:
        self.location = os.path.realpath(location)
        self.stop = stop
        self._aim = aim
        self._say = say
        self.source = Source(self.location)
        self.broker = NatsBroker(aim.place)
        before = note.read(self.location)
        known, taken, harm = None, 0, ""
        if before is not None and (before.ledger, before.to) == (self.source.id, self._to) and before.sequence:
            known = Reached(before.sequence, before.segment, before.offset, before.seq)
            taken, harm = before.messages, before.harm
        host = socket.gethostname()[:60]
        self.shipper = Shipper(self.source, self.broker, aim.name, f"{host}:{os.getpid()}", say, known, taken)
        self.shipper.harm = harm
        self._receipts = None if aim.key is None else Receipts(self.source, self.broker, aim.key, say)
        self._note = Shipped(to=self._to, ledger=self.source.id, name=aim.name)
        self._noted = self._checked = 0.0
        self._ready = False
        self.attended = False
        """Whether a person waits for it: what they must put right before anything is taken is raised then."""

    @property
    def _to(self) -> str:
        place = self._aim.place
        return Place(place.servers, place.stream, self.source.id).shown

    def prepare(self) -> None:
        """See that the broker and its stream are there and as they must be. Raises NoStream, Unreachable."""
        ready(self.broker, self._aim.replicas, self._say)
        most = self.broker.payload_max
        if most < PAYLOAD_MIN:
            raise NoStream(
                f"{self._aim.place.shown} takes messages of {most} bytes beside our headers, which is too little",
                hint=f"Set max_payload of the server to {PIECE_MAX}, its default, or more.",
            )
        self.source.piece_max = min(PIECE_MAX, most)
        self._ready, self._checked = True, time.monotonic()

    def run(self, *, follow: bool) -> bool:
        """Ship until all of it is there; with ``follow`` until ``stop`` is set. Returns whether all is there then.

        Where the broker does not take it, this waits, and says so. Raises Forked, FenceLost, DamagedLedger, LogError;
        when it is ``attended`` also NoStream.
        """
        try:
            while True:
                wait = self._step()
                if self._receipts is not None and not self.shipper.waits:
                    self._receipts.look(self.shipper.reached)
                self._keep_note(wait)
                if wait is None:
                    if self.stop.is_set() or (not follow and self._is_over()):
                        return True
                    self.stop.wait(POLL_S)
                elif wait:
                    if self.stop.wait(wait):
                        return False
                elif follow and self.missing < self.source.piece_max:
                    self.stop.wait(POLL_S)  # commits come one by one: a message of each would cost the rig's processor
        except LedgerError as error:
            self._note.stopped = True
            self._note.trouble = str(error)
            self._keep_note(None, at_once=True)
            raise

    def _step(self) -> float | None:
        try:
            if not self._ready or self.shipper.has_no_stream:
                self.prepare()
            elif time.monotonic() - self._checked > CHECK_S:
                self._check()
            elif self.broker.lost:  # while there is nothing to ship, nothing else would notice
                self.shipper.doubt()
            return self.shipper.step()
        except NoStream as error:
            if self.attended and not self.shipper.acknowledged:
                raise
            # somebody may put it right, and what is recorded waits on the disk
            self.shipper.wait(f"{error}. {error.hint}")
            return BACKOFF_MAX_S
        except (Unreachable, Refused) as error:
            return self.shipper.wait(str(error))

    def _check(self) -> None:
        """Look at the stream again; one that was removed is made anew. Raises NoStream, Unreachable."""
        info = self.broker.info()
        if info is None:
            self.prepare()
        else:
            check(info, self._aim.place)
        self.shipper.doubt()
        self._checked = time.monotonic()

    def _is_over(self) -> bool:
        """Whether nobody writes the ledger, and nothing has come since the last look."""
        if self.source.being_written:
            return False
        reached = self.shipper.reached
        return reached is None or self.source.piece(reached.segment, reached.offset) is None

    @property
    def missing(self) -> int:
        """Bytes of the ledger that the stream is not known to have."""
        reached = self.shipper.reached
        with suppress(LogError):  # it was taken away: then nothing can be told
            return self.source.after(reached.segment, reached.offset) if reached else self.source.after(0, 0)
        return 0

    def _keep_note(self, wait: float | None, at_once: bool = False) -> None:
        """Leave word of how far it is, when that is due: at once when trouble comes or goes."""
        found = self._note
        trouble = found.trouble if found.stopped else self.shipper.waits
        news = trouble != found.trouble or self.shipper.harm != found.harm
        if not (at_once or news or self._note_is_due(wait)):
            return
        reached, sequence = self.shipper.reached, self._sequence
        if reached is not None:
            found.segment, found.offset, found.seq = reached.segment, reached.offset, reached.upto
            found.messages = self.shipper.taken
            if sequence != found.sequence:
                found.acknowledged = time.time_ns()
        found.sequence = sequence
        found.trouble, found.harm, found.missing = trouble, self.shipper.harm, self.missing
        self._noted = time.monotonic()
        try:
            note.write(self.location, found)
        except OSError as error:
            if not found.stopped:
                self._say(f"how far it is cannot be noted beside the ledger: {error}")
                self._noted += CHECK_S

    def _note_is_due(self, wait: float | None) -> bool:
        """Whether there is news: when all is shipped, that the stream has more than is noted; before, each NOTE_S."""
        if wait is None:
            return not self._noted or self._sequence != self._note.sequence
        return time.monotonic() - self._noted >= NOTE_S

    @property
    def _sequence(self) -> int:
        """The last message that the stream is known to have; 0 without one."""
        return 0 if self.shipper.reached is None else self.shipper.reached.sequence

    def close(self) -> None:
        """Let the file and the connection go."""
        self.source.close()
        self.broker.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Ship the ledger of a recording, beside it: ``ADDRESS NAME KEY LEDGER``, until standard input ends. An exit code.

    An address with a password comes in the variable ADDRESS_ENV: arguments can be seen by everybody on the machine.
    KEY is the file of the key that signs receipts, or empty.
    """
    shown, name, key, location = sys.argv[1:] if arguments is None else arguments
    address = os.environ.pop(ADDRESS_ENV, shown)
    stop = threading.Event()
    set_at_end(stop, location)
    try:
        signer = read_key(Path(key), name) if key else None
        shipping = Shipping(location, Aim(parse(address), name, key=signer), Page().note, stop)
        try:
            if not shipping.run(follow=True):
                again = f"ezmsg-ledger ship {location} {without_secret(address)}"
                Page().note(f"{shipping.missing:,} bytes are not shipped yet: {again}")
        finally:
            shipping.close()
    except LedgerError as error:
        report(str(error), error.hint)
        return code_of(error)
    return OK


if __name__ == "__main__":
    sys.exit(main())
