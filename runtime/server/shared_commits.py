"""Commands that come in one turn of the event loop share a commit, when several clients send at the same time.

A commit line takes as many bytes as an edge event, and a write and a hash as long as all else that a command costs. A
client waits for the answer to each command, so its own commands cannot share one; but when fifty wire up at once, what
the loop reads in one turn is of many. Their events are numbered, checked and applied as ever, and *held*; when the turn
is over they are written as one commit, and then all are answered. Nobody is told anything before it is written.

A client that is alone pays nothing for it: a command is held only when one of another client came within CROWD_S.
"""

import asyncio
import logging
from time import monotonic

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server.wire.connection import Connection

logger = logging.getLogger("ezmsg.ledger")

CROWD_S = 0.001
"""Time within which commands of two clients count as sent at once: a client that waits for each answer sends the next
command a tenth of that later."""


class SharedCommits:
    """The answers that wait for the commit of this turn. Used in the event loop only."""

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._last: Connection | None = None
        self._since = 0.0  # when the last connection sent its first command after another one's
        self._open = False
        self._answers: list[tuple[Connection, bytes]] = []

    def join(self, connection: Connection) -> bool:
        """Whether the command that ``connection`` has sent is to share a commit: it is decided with ``live.holding``.

        Its answer then goes through ``send``. Cost: nothing for a client that is alone.
        """
        if connection is self._last:
            return self._open
        now = monotonic()
        crowded = self._open or now - self._since < CROWD_S
        self._last, self._since = connection, now
        if crowded and not self._open:
            self._open = True
            self._loop.call_soon(self._settle)
        return crowded

    def send(self, connection: Connection, answer: bytes) -> None:
        """Send an answer when all that was decided before it is written. Raises CutOff."""
        if self._open:
            self._answers.append((connection, answer))
        else:
            connection.write(answer)

    def _settle(self) -> None:
        self._open = False
        answers, self._answers = self._answers, []
        try:
            self._live.settle()
        except LedgerError:  # not for the disk's sake: with that the graph goes on
            logger.exception("%d commands could not be recorded; the clients that sent them were cut off", len(answers))
            for connection, _ in answers:
                connection.cut_off("a fault of the server")
            return
        for connection, answer in answers:
            try:
                connection.write(answer)
            except ConnectionError as error:  # its own task is told when it reads on
                logger.debug("%s left before it was answered: %r", connection.peer, error)
