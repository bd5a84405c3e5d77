"""Publishers, subscribers and channels: each lives exactly as long as its connection."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid1

from ezmsg.ledger.events import ChannelOpened, PublisherOpened, SubscriberOpened
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.publisher_notices import PublisherLink, SubscriberLink
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import ADDRESS, TEXT, UUID_TEXT, Command, encode_str

logger = logging.getLogger("ezmsg.ledger")

ADDRESS_TIMEOUT_S = 10.0
"""Time that a publisher has to open its own socket and say where; it scans ports for a free one."""


async def serve_subscriber(hub: Hub, connection: Connection) -> None:
    """SUBSCRIBE: tell it its publishers, acknowledge once it has applied that, and keep it told until it leaves."""
    [topic] = await connection.reader.arguments(TEXT)
    uuid = str(uuid1())
    endpoint = hub.live.open_endpoint(SubscriberOpened(uuid=uuid, topic=topic, peer=connection.peer))
    link = SubscriberLink(hub.notices, connection, endpoint, topic)
    with _open(hub, endpoint):
        try:
            await hub.durable()
            connection.write(encode_str(uuid))
            hub.notices.add_subscriber(link)  # not before: an update would be read as its UUID
            await _follow(connection, link, link.update(), lambda: connection.write(Command.COMPLETE))
        except ConnectionResetError:
            if not link.is_behind:  # else it may have left in good order: a system resets what has something unread
                raise
        finally:
            hub.notices.remove_subscriber(link)


async def serve_publisher(hub: Hub, connection: Connection) -> None:
    """PUBLISH: name it, learn its address, tell those downstream, acknowledge; then pass SYNC, PAUSE, RESUME to it."""
    [topic] = await connection.reader.arguments(TEXT)
    uuid = str(uuid1())
    await connection.send(encode_str(uuid))
    [(declared_host, port)] = await connection.reader.arguments(ADDRESS, timeout=ADDRESS_TIMEOUT_S)
    address = f"{connection.host}:{port}"
    endpoint = hub.live.open_endpoint(
        PublisherOpened(
            uuid=uuid, topic=topic, declared=f"{declared_host}:{port}", advertised=address, peer=connection.peer
        )
    )
    link = PublisherLink(connection, endpoint, uuid, topic, address)
    with _open(hub, endpoint):
        hub.notices.add_publisher(link)
        try:
            await hub.durable()
            await _follow(connection, link, hub.notices.notify((topic,)), link.ready)
        finally:
            hub.notices.remove_publisher(link)
            if hub.live.is_open(endpoint):  # else it ended with the run, and no subscriber is left
                hub.notices.tell_later(topic)


async def serve_channel(hub: Hub, connection: Connection) -> None:
    """CHANNEL: say where a publisher is; an end of file for an unknown UUID. The channel ends with its client."""
    wanted = str((await connection.reader.arguments(UUID_TEXT))[0])
    publisher = hub.notices.publishers.get(wanted)
    address = hub.notices.departed(wanted) if publisher is None else publisher.address
    if address is None:
        hub.reject(None, connection.peer, Command.CHANNEL, "unknown_publisher", wanted)
        return
    uuid = str(uuid1())
    reply = Command.COMPLETE + encode_str(uuid) + encode_str(address)
    if publisher is None:  # it left a moment ago: the client will find its port closed, and survive that
        await connection.send(reply)
        await connection.reader.until_gone()
        return
    endpoint = hub.live.open_endpoint(
        ChannelOpened(uuid=uuid, publisher=publisher.endpoint, peer=connection.peer)
    )
    with _open(hub, endpoint):
        await hub.reply(connection, reply)
        await connection.reader.until_gone()


@contextmanager
def _open(hub: Hub, endpoint: int) -> Iterator[None]:
    """An endpoint is open as long as the block runs. It is lost when its connection is, or was cut off; else closed."""
    reason = "closed"
    try:
        yield
    except ConnectionError as error:
        reason = "lost"
        logger.debug("endpoint %d is lost: %r", endpoint, error)
    except Exception:  # a fault of the server's
        reason = "lost"
        raise
    finally:
        if hub.live.is_open(endpoint):
            hub.live.close_endpoint(endpoint, reason)


async def _follow(
    connection: Connection,
    link: PublisherLink | SubscriberLink,
    applied: Coroutine[Any, Any, None],
    acknowledge: Callable[[], None],
) -> None:
    """Acknowledge a link's creation once that is ``applied``, and take its own acknowledgements until it leaves."""
    ready = asyncio.create_task(_acknowledge(connection, applied, acknowledge))
    try:
        while (command := await connection.reader.command()) is not None:
            if command == Command.COMPLETE:
                link.acknowledged()
    finally:
        ready.cancel()


async def _acknowledge(
    connection: Connection, applied: Coroutine[Any, Any, None], acknowledge: Callable[[], None]
) -> None:
    """Acknowledge once that is ``applied``; the connection ends when it fails, for the reader cannot see that."""
    try:
        await applied
        acknowledge()
    except ConnectionError as error:
        logger.debug("%s left before it was acknowledged: %r", connection.peer, error)
    except Exception:
        logger.exception("%s could not be acknowledged and was cut off", connection.peer)
        connection.cut_off("a fault of the server")
