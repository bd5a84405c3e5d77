"""Routing: subscribers are told which publishers are upstream of them, and say when they have applied it."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterable

from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server.joining import Joining, Turns
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import Command, encode_str
from ezmsg.ledger.runtime.server.wire.waiters import Waiters

logger = logging.getLogger("ezmsg.ledger")

UPDATE_TIMEOUT_S = float(os.environ.get("EZMSG_SUBSCRIBER_UPDATE_TIMEOUT_SEC", "1.0"))
"""Time that a command waits for a subscriber to apply its update; ezmsg's variable and default."""

TURN_S = UPDATE_TIMEOUT_S / 4
"""Time after which a subscriber that has not applied a new publisher is no longer waited for by others of its host."""

DEPARTURE_S = 1.0
"""Time after which the subscribers of a publisher that left are told. When a whole pipeline ends they are gone by then.
One that is itself about to end, and gets an update in that moment, can hang in ezmsg 3.9: at the demo's Ctrl-C 2 of 70
times, and not once in 70 without."""

DEPARTED_MAX = 1024
"""Publishers remembered after they left, so that a channel asked for a moment too late meets a refused connection,
which a subscriber survives, rather than an end of file, which kills it."""


class PublisherLink:
    """A connected publisher. ``address`` is what its channels are told: the host seen here, the port it declared."""

    def __init__(self, connection: Connection, endpoint: int, uuid: str, topic: str, address: str) -> None:
        self.connection = connection
        self.endpoint = endpoint
        self.uuid = uuid
        self.topic = topic
        self.address = address
        self._ready = False
        self._early = b""
        self._syncs = Waiters()
        self._asked = self._answered = 0

    def tell(self, command: bytes) -> None:
        """Pass SYNC, PAUSE or RESUME on. Until ``ready`` it is kept: the publisher would take it for its own answer."""
        if not self._ready:
            self._early += command
            return
        try:
            self.connection.write(command)
        except ConnectionError as error:  # its own fault: the others are told all the same
            logger.warning("publisher of %s is lost: %s", self.topic, error)
            self.gone()

    def ready(self) -> None:
        """Acknowledge its creation: those downstream know of it."""
        self._ready = True
        self.connection.write(Command.COMPLETE + self._early)

    def sync(self) -> "asyncio.Future[None]":
        """Ask it to pause and release its buffers; the future is done when it has, or is gone."""
        self._asked += 1
        answer = self._syncs.until(self._asked)
        self.tell(Command.SYNC)
        return answer

    def acknowledged(self) -> None:
        """The publisher answered the oldest SYNC."""
        self._answered = min(self._answered + 1, self._asked)
        self._syncs.reached(self._answered)

    def gone(self) -> None:
        """The publisher will not answer any more."""
        self._syncs.release()


class SubscriberLink:
    """A connected subscriber and its routing updates.

    Acknowledgements carry no number, but each update gets exactly one, in order: they are counted, so a late one can
    never pass for a later update. At most one update is on its way; what changes meanwhile goes into the next, whose
    list is made when it is written. One with a publisher that is new to it waits for its turn.
    """

    def __init__(self, notices: "PublisherNotices", connection: Connection, endpoint: int, topic: str) -> None:
        self.topic = topic
        self.endpoint = endpoint
        self._notices = notices
        self._connection = connection
        self._wanted = 0
        self._written = 0
        self._applied = 0
        self._sent: deque[tuple[int, float]] = deque()
        self._waiters = Waiters()
        self._closed = False
        self._told: list[str] | None = None
        self._joining: list[Joining] = []
        self._queued = False
        self.slowest_ack_s = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether there is an update that it has not answered."""
        return bool(self._sent)

    async def update(self) -> None:
        """Have the subscriber apply today's list; returns when it has, is gone, or UPDATE_TIMEOUT_S is over."""
        if self._closed:
            return
        self._wanted += 1
        waiter = self._waiters.until(self._wanted)
        self._send_when_free()
        try:
            async with asyncio.timeout(UPDATE_TIMEOUT_S):
                await waiter
        except TimeoutError:
            self._stall()
        finally:
            if waiter.cancelled():
                self._waiters.forget(waiter)

    def tell(self) -> None:
        """Have it apply today's list without waiting for that; one that does not in time is stalled all the same.

        What is to be written anyway will say it: a hundred departures at once cost an update or two. One that has been
        told already, or never heard the publisher that left, is told nothing.
        """
        if self._closed or self._wanted > self._written or self._list() == self._told:
            return
        self._wanted += 1
        asyncio.get_running_loop().call_later(UPDATE_TIMEOUT_S, self._look, self._wanted)
        self._send_when_free()

    def _look(self, number: int) -> None:
        if not self._closed and self._applied < number:
            self._stall()

    def _stall(self) -> None:
        if self._queued and not self._sent:  # it was told nothing yet
            return
        logger.warning("subscriber of %s did not apply its routing update within %g s", self.topic, UPDATE_TIMEOUT_S)
        self._notices.live.set_stalled(self.endpoint, True)
        self._send_when_free()

    def _send_when_free(self) -> None:
        if self._closed or self._queued or self._written == self._wanted:
            return
        now = asyncio.get_running_loop().time()
        if self._sent and now - self._sent[-1][1] < UPDATE_TIMEOUT_S:
            return
        uuids = self._list()
        new = set(uuids).difference(self._told or ())
        joining = [(self._connection.host, uuid) for uuid in uuids if uuid in new]
        self._joined()
        if joining:
            self._queued = not self._notices.turns.take(joining, self._try_again)
            if self._queued:
                return
            self._joining = joining
            asyncio.get_running_loop().call_later(TURN_S, self._joined)
        self._written = self._wanted
        self._sent.append((self._written, now))
        self._told = uuids
        try:
            self._connection.write(Command.UPDATE + encode_str(",".join(uuids)))
        except ConnectionError as error:  # its own fault: the command that changed the graph must not fail
            logger.warning("subscriber of %s is lost: %s", self.topic, error)
            self.gone()

    def _list(self) -> list[str]:
        return self._notices.upstream(self.topic)

    def _try_again(self) -> None:
        self._queued = False
        self._send_when_free()

    def _joined(self) -> None:
        """Let the others of its host go on that wait to join the same publishers."""
        joined, self._joining = self._joining, []
        self._notices.turns.give_back(joined)

    def acknowledged(self) -> None:
        """The subscriber applied the oldest update that it had not answered yet."""
        if not self._sent:
            return
        self._joined()
        self._applied, sent = self._sent.popleft()
        self.slowest_ack_s = max(self.slowest_ack_s, asyncio.get_running_loop().time() - sent)
        self._waiters.reached(self._applied)
        self._send_when_free()
        if not self._sent:
            self._notices.live.set_stalled(self.endpoint, False)

    def gone(self) -> None:
        """The subscriber will not answer any more; those who wait for it go on."""
        self._closed = True
        self._joined()
        self._waiters.release()


class PublisherNotices:
    """The connected publishers and subscribers, and what the graph means for them."""

    def __init__(self, live: LiveGraph) -> None:
        self.live = live
        self.publishers: dict[str, PublisherLink] = {}
        self.subscribers: dict[str, set[SubscriberLink]] = {}
        self.turns = Turns()
        self._departed: dict[str, str] = {}
        self._untold: set[str] = set()

    def upstream(self, topic: str) -> list[str]:
        """The UUIDs of the publishers on ``topic`` or upstream of it, in the order they came."""
        topics = self.live.dag.upstream(topic)
        return [link.uuid for link in self.publishers.values() if link.topic in topics]

    def downstream(self, topics: Iterable[str]) -> set[SubscriberLink]:
        """The subscribers on any of ``topics`` or downstream of them."""
        if not self.subscribers:  # as while a pipeline is wired up: no need to walk a graph that grows with each edge
            return set()
        reached: set[str] = set()
        for topic in topics:
            if topic not in reached:
                reached |= self.live.dag.downstream(topic)
        return {link for topic in reached for link in self.subscribers.get(topic, ())}

    async def notify(self, topics: Iterable[str]) -> None:
        """Update every subscriber that ``topics`` concern, at once but for turns; returns when each is done."""
        links = self.downstream(topics)
        if len(links) == 1:
            await links.pop().update()
        elif links:
            await asyncio.gather(*(link.update() for link in links))

    def tell_later(self, topic: str) -> None:
        """Update every subscriber that ``topic`` concerns when DEPARTURE_S have passed, without waiting for any."""
        if not self._untold:
            asyncio.get_running_loop().call_later(DEPARTURE_S, self._tell)
        self._untold.add(topic)

    def _tell(self) -> None:
        topics, self._untold = self._untold, set()
        for link in self.downstream(topics):
            link.tell()

    def add_publisher(self, link: PublisherLink) -> None:
        """A publisher can be heard from now on."""
        self.publishers[link.uuid] = link

    def remove_publisher(self, link: PublisherLink) -> None:
        """A publisher is gone; it is listed no more."""
        link.gone()
        self.publishers.pop(link.uuid, None)
        if len(self._departed) >= DEPARTED_MAX:
            del self._departed[next(iter(self._departed))]
        self._departed[link.uuid] = link.address

    def departed(self, uuid: str) -> str | None:
        """The address that a publisher had which left a while ago."""
        return self._departed.get(uuid)

    def add_subscriber(self, link: SubscriberLink) -> None:
        """A subscriber is there."""
        self.subscribers.setdefault(link.topic, set()).add(link)

    def remove_subscriber(self, link: SubscriberLink) -> None:
        """A subscriber is gone, perhaps before it was there."""
        link.gone()
        links = self.subscribers.get(link.topic, set())
        links.discard(link)
        if not links:
            self.subscribers.pop(link.topic, None)
