"""The requests of a shipper and a reader to a broker: as few as can be, so that its word need not be trusted."""

from collections.abc import Callable
from typing import Protocol

from ezmsg.ledger.tools.fleet.message import Message, Piece


class Broker(Protocol):
    """The messages of one stream. All methods raise Unreachable without an answer in time, Refused for a refusal."""

    def last(self, ledger: str) -> Message | None:
        """The last message of a ledger, by the word of the stream's leader; None when there is none."""

    def append(
        self, ledger: str, piece: Piece, fence: int, name: str, shipper: str, meanwhile: Callable[[], object]
    ) -> int | None:
        """Add a message, unless the ledger's last one has another number than ``fence``; its number.

        None where the broker says that it had this very message before: which number that has is not told.
        ``meanwhile`` is called while the answer is on its way, and must not raise. Raises Disconnected when the
        connection is another one than ``last`` was answered over: a broker that was restored from an older copy gives
        its numbers out again, so ``fence`` may be another message's by now.
        """

    def count(self, ledger: str) -> int:
        """The number of messages of a ledger, by the word of the stream's leader."""

    def after(self, ledger: str, sequence: int) -> list[Message]:
        """The next messages of a ledger after number ``sequence``, in their order, a few MB of them; [] for none now.

        Any replica may answer: of what was added in this moment some may be missing at the end.
        """
