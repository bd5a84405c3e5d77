"""Subscribers, publishers and channels: how each is made, what is recorded of it, and how it ends."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID, uuid1

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.netprotocol import Command
from ezmsg.core.pubclient import Publisher
from ezmsg.core.subclient import Subscriber

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server import publisher_notices
from ezmsg.ledger.runtime.server import server as server_module
from ezmsg.ledger.runtime.server.clients import endpoints
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire.connection import Connection
from tests.runtime.server.conftest import Serve, all_of, recorded
from tests.runtime.server.examined import Examined, in_loop
from tests.runtime.server.raw import COMPLETE, Raw, RawProcess, RawPublisher, RawSession, RawSubscriber, blob, text, u64

# --- subscribers -----------------------------------------------------------------------------------------------------


def test_a_subscriber_gets_its_name_its_list_and_then_complete(server: GraphServer) -> None:
    publisher = RawPublisher(server.address, "A")
    subscriber = RawSubscriber(server.address, "A", acknowledge=False)
    assert str(UUID(subscriber.uuid)) == subscriber.uuid
    assert subscriber.update(acknowledge=False) == [publisher.uuid]
    assert subscriber.is_silent()
    subscriber.acknowledge()
    assert subscriber.byte() == COMPLETE
    event = recorded(server, ev.SubscriberOpened)
    assert (event.uuid, event.topic, event.peer) == (subscriber.uuid, "A", subscriber.peer)


def test_an_empty_list_is_told_as_well(server: GraphServer) -> None:
    raw = Raw(server.address, Command.SUBSCRIBE, text("A"))
    raw.text()
    assert raw.read(9) == Command.UPDATE.value + u64(0)


def test_after_the_answer_there_is_silence(server: GraphServer) -> None:
    """Nothing is said twice: neither the list nor the acknowledgement."""
    subscriber = RawSubscriber(server.address, "A")
    publisher = RawPublisher(server.address, "A", wait=False)
    assert subscriber.update() == [publisher.uuid]
    assert publisher.byte() == COMPLETE
    subscriber.acknowledge()
    publisher.send(COMPLETE, b"\x07", b"anything")
    assert subscriber.is_silent()
    assert publisher.is_silent()


@pytest.mark.parametrize(("how", "reason"), [("end", "closed"), ("reset", "lost")])
def test_a_subscriber_ends_with_its_connection(server: GraphServer, how: str, reason: str) -> None:
    subscriber = RawSubscriber(server.address, "A")
    getattr(subscriber, how)()
    assert recorded(server, ev.EndpointClosed).reason == reason
    assert RawPublisher(server.address, "A").uuid, "nobody is waited for"


def test_a_subscriber_that_leaves_before_it_is_acknowledged(server: GraphServer) -> None:
    subscriber = RawSubscriber(server.address, "A", acknowledge=False)
    subscriber.update(acknowledge=False)
    subscriber.end()
    assert recorded(server, ev.EndpointClosed).endpoint == recorded(server, ev.SubscriberOpened).seq


# --- publishers ------------------------------------------------------------------------------------------------------


def test_a_publisher_is_recorded_when_its_address_has_come(server: GraphServer) -> None:
    publisher = RawPublisher(server.address, "A", port=None)
    assert str(UUID(publisher.uuid)) == publisher.uuid
    assert RawSubscriber(server.address, "A").first == []
    assert all_of(server, ev.PublisherOpened) == []
    publisher.send(text("10.1.2.3:40001"))
    event = recorded(server, ev.PublisherOpened)
    assert (event.uuid, event.topic, event.peer) == (publisher.uuid, "A", publisher.peer)
    assert (event.declared, event.advertised) == ("10.1.2.3:40001", "127.0.0.1:40001")


def test_a_publisher_is_acknowledged_when_those_downstream_have_applied_it(server: GraphServer) -> None:
    RawSession(server.address).connect("A", "B")
    subscriber = RawSubscriber(server.address, "B")
    publisher = RawPublisher(server.address, "A", wait=False)
    assert subscriber.update(acknowledge=False) == [publisher.uuid]
    assert publisher.is_silent()
    subscriber.acknowledge()
    assert publisher.byte() == COMPLETE


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:", "127.0.0.1:99999", ":1", "::1:40000", "h:1:2"])
def test_a_wrong_address_ends_the_publisher(server: GraphServer, address: str) -> None:
    publisher = RawPublisher(server.address, "A", port=None)
    publisher.send(text(address))
    publisher.expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command) == ("malformed", "PUBLISH")
    assert all_of(server, ev.PublisherOpened) == []


def test_a_withheld_address_is_waited_for_a_while_and_by_nobody_else(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "ADDRESS_TIMEOUT_S", 0.1)
    publisher = RawPublisher(server.address, "A", port=None)
    assert RawSession(server.address).connect("A", "B") == COMPLETE
    assert RawSubscriber(server.address, "B").first == []
    publisher.expect_eof()
    assert recorded(server, ev.CommandRejected).command == "PUBLISH"


@pytest.mark.parametrize(("how", "reason"), [("end", "closed"), ("reset", "lost")])
def test_the_departure_of_a_publisher_is_told_to_those_who_heard_it(
    server: GraphServer, how: str, reason: str
) -> None:
    publisher, stays = RawPublisher(server.address, "A"), RawPublisher(server.address, "A")
    session = RawSession(server.address)
    session.connect("A", "B")
    hears = [RawSubscriber(server.address, topic) for topic in ("A", "B")]
    other = RawSubscriber(server.address, "X")
    getattr(publisher, how)()
    assert recorded(server, ev.EndpointClosed).reason == reason
    assert [subscriber.update() for subscriber in hears] == [[stays.uuid]] * 2
    assert other.is_silent()
    assert RawSubscriber(server.address, "A").first == [stays.uuid]


def test_nobody_waits_for_those_who_are_told_of_a_departure(server: GraphServer) -> None:
    publisher = RawPublisher(server.address, "A")
    subscriber = RawSubscriber(server.address, "B")
    session = RawSession(server.address)
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    assert subscriber.update() == [publisher.uuid]
    assert session.byte() == COMPLETE
    publisher.end()
    assert subscriber.update(acknowledge=False) == []
    began = time.monotonic()
    assert session.connect("A", "C") == COMPLETE
    assert RawPublisher(server.address, "X").uuid
    assert time.monotonic() - began < publisher_notices.UPDATE_TIMEOUT_S / 2
    assert recorded(server, ev.SubscriberStalled).topic == "B"
    subscriber.acknowledge()
    assert recorded(server, ev.SubscriberRecovered).topic == "B"


def test_many_departures_cost_a_subscriber_that_is_busy_one_update(server: GraphServer) -> None:
    publishers = [RawPublisher(server.address, "A") for _ in range(20)]
    subscriber = RawSubscriber(server.address, "A")
    publishers[0].end()
    assert subscriber.update(acknowledge=False) == [publisher.uuid for publisher in publishers[1:]]
    for publisher in publishers[1:]:
        publisher.end()
    subscriber.acknowledge()
    assert subscriber.update() == []
    assert subscriber.is_silent()


def test_a_departure_is_told_to_nobody_who_knows(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Because it came later, or was told for another reason: an update at the wrong moment can do harm."""
    monkeypatch.setattr(publisher_notices, "DEPARTURE_S", 0.1)
    publisher = RawPublisher(server.address, "A")
    hears, told = RawSubscriber(server.address, "A"), RawSubscriber(server.address, "B")
    session = RawSession(server.address)
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    assert told.update() == [publisher.uuid]
    assert session.byte() == COMPLETE
    publisher.end()
    session.send(Command.SESSION_CLEAR)
    assert told.update() == []
    late = RawSubscriber(server.address, "A")
    assert late.first == []
    assert hears.update() == []
    assert late.is_silent()
    assert told.is_silent()


def test_a_departure_while_an_update_is_awaited_releases_nobody_early(server: GraphServer) -> None:
    publisher, stays = RawPublisher(server.address, "A"), RawPublisher(server.address, "A")
    subscriber = RawSubscriber(server.address, "A")
    publisher.end()
    assert subscriber.update(acknowledge=False) == [stays.uuid]
    joining = RawPublisher(server.address, "A", wait=False)  # waits for the update after the one that is on its way
    assert joining.is_silent()
    subscriber.acknowledge()
    assert subscriber.update(acknowledge=False) == [stays.uuid, joining.uuid]
    assert joining.is_silent()
    subscriber.acknowledge()
    assert joining.byte() == COMPLETE


def test_publishers_are_in_no_snapshot(server: GraphServer) -> None:
    RawPublisher(server.address, "A")
    RawSubscriber(server.address, "B")
    snapshot = RawSession(server.address).snapshot()
    assert snapshot.graph == {}


# --- channels --------------------------------------------------------------------------------------------------------


def test_a_channel_is_told_the_host_seen_and_the_port_declared(server: GraphServer) -> None:
    publisher = RawPublisher(server.address, "A", port=None)
    publisher.send(text("elsewhere.example:40002"))
    assert publisher.byte() == COMPLETE
    channel = Raw(server.address, Command.CHANNEL, text(publisher.uuid))
    assert channel.byte() == COMPLETE
    uuid = channel.text()
    assert channel.text() == "127.0.0.1:40002"
    event = recorded(server, ev.ChannelOpened)
    assert (event.uuid, event.peer) == (uuid, channel.peer)
    assert event.publisher == recorded(server, ev.PublisherOpened).seq
    channel.send(b"whatever it says", COMPLETE)
    assert channel.is_silent()
    channel.end()
    assert recorded(server, ev.EndpointClosed).endpoint == event.seq


@pytest.mark.parametrize("whose", ["nobody", "session", "subscriber", "pending"])
def test_a_channel_to_what_is_no_publisher_is_an_end(server: GraphServer, whose: str) -> None:
    uuids = {
        "nobody": str(uuid1()),
        "session": RawSession(server.address).uuid,
        "subscriber": RawSubscriber(server.address, "A").uuid,
        "pending": RawPublisher(server.address, "A", port=None).uuid,
    }
    Raw(server.address, Command.CHANNEL, text(uuids[whose])).expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.command, event.reason, event.arguments) == ("CHANNEL", "unknown_publisher", uuids[whose])


@pytest.mark.parametrize("spelling", ["{%s}", "urn:uuid:%s"])
def test_a_uuid_may_be_spelled_as_python_takes_it(server: GraphServer, spelling: str) -> None:
    publisher = RawPublisher(server.address, "A")
    assert Raw(server.address, Command.CHANNEL, text(spelling % publisher.uuid)).byte() == COMPLETE


def test_a_channel_to_a_publisher_that_has_just_left_meets_a_closed_port_and_not_an_end(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end there kills a subscriber's task for good; a refused connection it survives."""
    monkeypatch.setattr(publisher_notices, "DEPARTED_MAX", 2)
    publishers = [RawPublisher(server.address, "A", port=40000 + number) for number in range(3)]
    for publisher in publishers:
        publisher.end()
    channels = [Raw(server.address, Command.CHANNEL, text(publisher.uuid)) for publisher in publishers]
    channels[0].expect_eof()
    for number in (1, 2):
        assert channels[number].byte() == COMPLETE
        UUID(channels[number].text())
        assert channels[number].text() == f"127.0.0.1:{40000 + number}"
        channels[number].end()
    assert all_of(server, ev.ChannelOpened) == []


def test_a_channel_outlives_its_publisher(server: GraphServer) -> None:
    publisher = RawPublisher(server.address, "A")
    channel = Raw(server.address, Command.CHANNEL, text(publisher.uuid))
    assert channel.byte() == COMPLETE
    publisher.end()
    channel.text()
    channel.text()
    assert channel.is_silent()
    channel.end()
    assert len(all_of(server, ev.EndpointClosed)) == 2


def test_a_uuid_that_is_no_text(server: GraphServer) -> None:
    Raw(server.address, Command.CHANNEL, blob(b"\xff" * 36)).expect_eof()
    assert recorded(server, ev.CommandRejected).command == "CHANNEL"


# --- the server ends it ----------------------------------------------------------------------------------------------


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> dict[str, Connection]:
    """The server's side of every connection, by peer."""
    found: dict[str, Connection] = {}

    class Noted(Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            found[self.peer] = self

    monkeypatch.setattr(server_module, "Connection", Noted)
    return found


@pytest.mark.parametrize("kind", ["publisher", "subscriber", "channel", "process", "session"])
def test_whoever_is_cut_off_is_lost(connections: dict[str, Connection], serve: Serve, kind: str) -> None:
    """Whatever it was: that the server ended it is never taken for a wish to leave."""
    server = serve()
    make: dict[str, Callable[[], Raw]] = {
        "publisher": lambda: RawPublisher(server.address, "A"),
        "subscriber": lambda: RawSubscriber(server.address, "A"),
        "channel": lambda: Raw(server.address, Command.CHANNEL, text(RawPublisher(server.address, "A").uuid)),
        "process": lambda: RawProcess(server.address),
        "session": lambda: RawSession(server.address),
    }
    raw = make[kind]()
    if kind == "channel":
        assert raw.byte() == COMPLETE
    in_loop(server, lambda: connections[raw.peer].cut_off("it left too much unread"))
    if kind == "session":
        assert recorded(server, ev.SessionClosed).detail == "cut off: it left too much unread"
    elif kind == "process":
        closed = recorded(server, ev.ProcessClosed)
        assert (closed.reason, closed.detail) == ("lost", "it left too much unread")
    else:
        assert recorded(server, ev.EndpointClosed).reason == "lost"


def test_a_publisher_that_does_not_read_is_cut_off_and_the_others_are_told(
    connections: dict[str, Connection], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    deaf, other = RawPublisher(server.address, "A"), RawPublisher(server.address, "A")
    monkeypatch.setattr(connections[deaf.peer]._transport, "get_write_buffer_size", lambda: 2**30)
    in_loop(server, connections[deaf.peer].pause_writing)
    Raw(server.address, Command.PAUSE)
    assert other.byte() == Command.PAUSE.value
    deaf.expect_eof()
    assert recorded(server, ev.EndpointClosed).reason == "lost"
    assert Raw(server.address, Command.SYNC).is_silent()
    other.send(COMPLETE)


def test_one_that_cannot_be_acknowledged_for_a_fault_of_ours_is_lost(
    server: GraphServer, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined.faults.expected.append("could not be acknowledged")

    async def fail(self: publisher_notices.PublisherNotices, topics: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(publisher_notices.PublisherNotices, "notify", fail)
        RawPublisher(server.address, "A", wait=False).expect_eof()
    assert recorded(server, ev.EndpointClosed).reason == "lost"


# --- ezmsg's own clients ---------------------------------------------------------------------------------------------


def test_messages_flow_between_ezmsgs_clients(server: GraphServer) -> None:
    async def run() -> None:
        async with GraphContext(server.address, auto_start=False) as context:
            publisher = await Publisher.create("A", server.address)
            subscriber = await Subscriber.create("B", server.address)
            await context.connect("A", "B")
            await publisher.broadcast({"hello": 1})
            assert await asyncio.wait_for(subscriber.recv(), 5.0) == {"hello": 1}
            second = await Publisher.create("B", server.address)
            await second.broadcast("direct")
            assert await asyncio.wait_for(subscriber.recv(), 5.0) == "direct"
            await context.disconnect("A", "B")
            assert list(subscriber._channels) == [second.id]
            for client in (publisher, second, subscriber):
                client.close()
                await client.wait_closed()

    asyncio.run(run())
    opened = all_of(server, ev.PublisherOpened, ev.SubscriberOpened, ev.ChannelOpened)
    assert [type(event) for event in opened[:2]] == [ev.PublisherOpened, ev.ChannelOpened]
    for event in opened:
        assert recorded(server, ev.EndpointClosed, endpoint=event.seq).reason in ("closed", "lost")
    assert all_of(server, ev.SubscriberStalled) == []
