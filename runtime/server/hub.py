"""The hub of a server: the live graph, the clients, and all else that its connections share."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ezmsg.ledger.codec import excerpt
from ezmsg.ledger.errors import InvalidEvent, InvalidValue, LedgerError
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.refusal_limit import AT_THE_DOOR
from ezmsg.ledger.runtime.server.clients.eviction import Member
from ezmsg.ledger.runtime.server.clients.peer_processes import processes_behind
from ezmsg.ledger.runtime.server.feed_history import History
from ezmsg.ledger.runtime.server.health.disk_room import DiskRoom
from ezmsg.ledger.runtime.server.health.pulse import Pulse, Stream
from ezmsg.ledger.runtime.server.publisher_notices import PublisherNotices
from ezmsg.ledger.runtime.server.routed_requests import Requests
from ezmsg.ledger.runtime.server.shared_commits import SharedCommits
from ezmsg.ledger.runtime.server.shared_memory import Leases
from ezmsg.ledger.runtime.server.snapshots import Snapshots
from ezmsg.ledger.runtime.server.traces import Traces
from ezmsg.ledger.runtime.server.wire.admission import Admission
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.pressure import Pressure
from ezmsg.ledger.runtime.server.wire.protocol import Malformed, command_name
from ezmsg.ledger.runtime.server.wire.waiters import Waiters

logger = logging.getLogger("ezmsg.ledger")

SHOWN_MAX = 200
"""Characters of a refused command's arguments that the log shows; the ledger keeps more."""

VANISHED_S = 1.0
"""Time between two looks for clients that have vanished: about a microsecond for each connection."""

MALFORMED = (Malformed, InvalidEvent, InvalidValue)
"""The errors of a command that makes no sense; it is refused, and the connection goes on where it can."""


class Hub:
    """Shared by all connections of a server; used in its event loop only.

    ``stop`` asks the server to stop: (reason, peer that asked). ``remote_shutdown``: whether other machines may.
    ``min_free``: the free bytes of the disk from which on it warns, see DiskRoom.
    """

    def __init__(
        self,
        live: LiveGraph,
        version: str,
        stop: Callable[[str, str | None], None],
        admission: Admission,
        remote_shutdown: bool,
        min_free: int | None = None,
    ) -> None:
        self.live = live
        self.version = version
        self.stop = stop
        self.notices = PublisherNotices(live)
        self.commits = SharedCommits(live)
        self.admission = admission
        self.remote_shutdown = remote_shutdown
        self.connections: set[Connection] = set()
        self.pressure = Pressure(self.connections, self.admission.limits.pending_bytes)
        self.streams: set[Stream] = set()
        self.pulse = Pulse(live)
        self.disk = DiskRoom(lambda: live.ledger, lambda: self.pulse.bytes_per_hour, min_free)
        self.refused = 0
        self.leases = Leases(self.admission)
        self.requests = Requests(live)
        self.members: dict[str, Member] = {}
        """The sessions and processes that are connected, by UUID."""
        live.who_holds = lambda peer: [msgspec.to_builtins(each) for each in processes_behind(peer)]
        self.traces = Traces()
        self.history = History(live)
        self.snapshots = Snapshots(live)
        self._loop = asyncio.get_running_loop()
        self._looked = self._loop.time()
        self._durable_waiters = Waiters()
        self._waits = live.ledger.durability == "commit"
        if self._waits:
            live.spool.on_durable(
                lambda seq: self._from_any_thread(self._durable_waiters.reached, seq),
                lambda error: self._from_any_thread(self._fail_durable, error),
            )

    def _from_any_thread(self, act: Callable[[Any], None], argument: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(act, argument)
        except RuntimeError:  # the loop is closed: the ledger may outlive the server, which has no client any more
            logger.debug("the ledger reports %r to a server that has stopped", argument)

    @property
    def is_durable(self) -> bool:
        """Whether all that was decided so far is on the disk, as far as the ledger's durability level promises it.

        At the weaker levels that is always so; and while the ledger cannot be written no level is promised, for the
        pipeline goes on.
        """
        if not self._waits:
            return True
        return self.live.degraded is not None or self.live.ledger.durable_seq >= self.live.state.seq

    async def durable(self) -> None:
        """Return when all that was decided so far is written, and durable."""
        self.live.settle()
        if not self.is_durable:
            await self._durable_waiters.until(self.live.state.seq)

    async def reply(self, connection: Connection, answer: bytes, topics: Iterable[str] = ()) -> None:
        """Send an answer that acknowledges or shows state, as every such answer is sent.

        It waits until all that was decided so far is durable, and until the subscribers that ``topics`` concern have
        applied their new list of publishers.
        """
        await self.durable()
        await self.notices.notify(topics)
        await connection.send(answer)

    def _fail_durable(self, error: LedgerError) -> None:
        self.live.tend()  # takes notice
        self._durable_waiters.release()

    @contextmanager
    def reading(self, stream: Stream) -> Iterator[Stream]:
        """Count a stream as read for as long as the block runs; its sender moves ``number`` on."""
        self.streams.add(stream)
        try:
            yield stream
        finally:
            self.streams.discard(stream)

    def tend(self) -> None:
        """Do the regular work that belongs to no connection. Cost: O(connections), see ``Pressure.relieve``."""
        self.pulse.beat()
        self.disk.tend()
        self.pressure.relieve()
        self.traces.tend()
        now = self._loop.time()
        if now - self._looked >= VANISHED_S:
            self._looked = now
            for connection in self.connections:
                connection.end_if_vanished(self.admission.limits.silent_s)

    def turn_away(self, peer: str, reason: str) -> None:
        """Record and log that a connection was not let in."""
        self.reject(None, peer, AT_THE_DOOR, reason)

    def reject(self, actor: int | None, peer: str, command: bytes | str, reason: str, arguments: Any = None) -> None:
        """Record and log that something a client sent was refused. Of many like it, most are only counted."""
        self.refused += 1
        name = command_name(command) if isinstance(command, bytes) else command
        try:
            recorded = self.live.reject(actor, peer, name, arguments, reason)
        except (InvalidEvent, InvalidValue):
            recorded = self.live.reject(actor, peer, name, None, reason)
        if recorded:
            shown = f" ({excerpt(str(arguments), SHOWN_MAX)})" if arguments else ""
            logger.warning("%s from %s refused: %s%s", name, peer, reason, shown)
