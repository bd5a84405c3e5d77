"""``LEDGER@MOMENT``: another ledger's past as a place to begin from."""

import os
from pathlib import Path

import msgspec

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.copies.begin import begin
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.restored import Wiring
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input.location import NoSuchLedger, locate, shortened
from ezmsg.ledger.tools.input.target import new_ledger
from ezmsg.ledger.tools.output import Page


class Past(msgspec.Struct, frozen=True):
    """A moment of a ledger: its place, and the moment as it was named."""

    ledger: Path
    moment: str

    @classmethod
    def named(cls, text: str) -> "Past":
        """The ledger and moment that ``LEDGER@MOMENT`` names; without a moment it is the end. Raises NoSuchLedger.

        Both can have an ``@`` in their names: the shortest beginning that is there is the ledger.
        """
        parts = text.split("@")
        for number in range(1, len(parts) + 1):
            path = Path("@".join(parts[:number])).expanduser()
            if parts[0] and os.path.lexists(path):
                return cls(path, "@".join(parts[number:]).strip() or "end")
        raise NoSuchLedger(
            f"there is no ledger {parts[0]}", hint="Name one and a moment of it: --from old.ledger@mark:baseline"
        )

    @property
    def text(self) -> str:
        return f"{self.moment} of {shortened(os.path.abspath(self.ledger))}"

    def begin(self, target: Path, hold: bool) -> Wiring:
        """Make the ledger ``target``, which names this moment as its origin; returns the edges that stood then.

        Raises Misuse when something has that name, UnknownMoment, DamagedLedger, LogError.
        """
        if os.path.lexists(target):
            raise Misuse(f"{target} exists", hint="--from begins a new ledger: give it another name.")
        page = Page()
        with Ledger.open(locate(self.ledger, page), "r") as ledger:
            timeline = Timeline(ledger, progress=page.progress)
            moment = timeline.moment(self.moment)
            if moment.seq < ledger.first:
                raise Misuse(f"there is no event up to {self.moment} in {ledger.location}", hint="Name a later moment.")
            wiring = Wiring.of(timeline.at(moment), f"{ledger.id}:{moment.seq}", hold=hold)
            begin(ledger, moment.seq, new_ledger(target, ledger.location))
        return wiring

    def undo(self, target: Path) -> None:
        """Remove what ``begin`` has made, if nothing was recorded there."""
        with Ledger.open(target, "r") as ledger:
            empty = not ledger.head
        if empty:
            target.unlink()
