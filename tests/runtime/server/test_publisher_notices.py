"""What subscribers are told, when, and how long one that does not answer can delay the others."""

import select
import time

import pytest
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server import publisher_notices
from ezmsg.ledger.runtime.server.server import GraphServer

from .conftest import all_of, recorded
from .examined import in_loop
from .raw import COMPLETE, TIMEOUT_S, Raw, RawPublisher, RawSession, RawSubscriber, text


@pytest.fixture
def session(server: GraphServer) -> RawSession:
    return RawSession(server.address)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Nobody waits long for a subscriber in these tests."""
    monkeypatch.setattr(publisher_notices, "UPDATE_TIMEOUT_S", 0.2)
    return 0.2


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[publisher_notices.SubscriberLink]:
    """The server's own ends of the subscribers, in the order in which they come."""
    links: list[publisher_notices.SubscriberLink] = []
    add = publisher_notices.PublisherNotices.add_subscriber

    def noted(self: publisher_notices.PublisherNotices, link: publisher_notices.SubscriberLink) -> None:
        links.append(link)
        add(self, link)

    monkeypatch.setattr(publisher_notices.PublisherNotices, "add_subscriber", noted)
    return links


# --- the table of triggers -------------------------------------------------------------------------------------------


def test_the_list_is_whole_and_in_the_order_in_which_the_publishers_came(
    server: GraphServer, session: RawSession
) -> None:
    publishers = [RawPublisher(server.address, topic) for topic in ("C", "A", "B", "A", "X")]
    session.connect("A", "B")
    session.connect("B", "C")
    uuids = [publisher.uuid for publisher in publishers]
    assert RawSubscriber(server.address, "C").first == uuids[:4]
    assert RawSubscriber(server.address, "B").first == uuids[1:4]
    assert RawSubscriber(server.address, "A").first == [uuids[1], uuids[3]]
    assert RawSubscriber(server.address, "nothing").first == []


@pytest.mark.parametrize("by", ["one-shot", "session"])
def test_edges_are_told_at_and_downstream_of_their_end(server: GraphServer, session: RawSession, by: str) -> None:
    def change(connect: bool, a: str, b: str) -> None:
        if by == "session":
            command = Command.SESSION_CONNECT if connect else Command.SESSION_DISCONNECT
            session.send(command, text(a), text(b))
        else:
            Raw(server.address, Command.CONNECT if connect else Command.DISCONNECT, text(a), text(b))

    publisher = RawPublisher(server.address, "A")
    change(True, "B", "C")
    if by == "session":
        assert session.byte() == COMPLETE
    recorded(server, ev.EdgeConnected)
    subscribers = {topic: RawSubscriber(server.address, topic) for topic in ("A", "B", "C", "X")}
    for connect, heard in ((True, [publisher.uuid]), (False, [])):
        change(connect, "A", "B")
        assert subscribers["B"].update() == heard
        assert subscribers["C"].update() == heard
        if by == "session":
            assert session.byte() == COMPLETE
    assert subscribers["A"].is_silent()
    assert subscribers["X"].is_silent()


def test_what_changes_no_topology_is_told_to_nobody(server: GraphServer, session: RawSession) -> None:
    other = RawSession(server.address)
    session.connect("A", "B")
    subscriber = RawSubscriber(server.address, "B")
    assert other.connect("A", "B") == COMPLETE
    assert session.connect("A", "B") == COMPLETE
    assert session.disconnect("A", "B") == COMPLETE
    assert session.disconnect("A", "B") == COMPLETE
    assert session.connect("B", "A") != COMPLETE
    assert subscriber.is_silent()


def test_clearing_tells_a_subscriber_once_whatever_goes(server: GraphServer, session: RawSession) -> None:
    publisher = RawPublisher(server.address, "A")
    session.connect("A", "B")
    session.connect("B", "C")
    session.connect("A", "C")
    subscriber = RawSubscriber(server.address, "C")
    assert subscriber.first == [publisher.uuid]
    session.send(Command.SESSION_CLEAR)
    assert subscriber.update(acknowledge=False) == []
    assert session.is_silent()
    subscriber.acknowledge()
    assert session.byte() == COMPLETE
    assert subscriber.is_silent()


def test_a_publisher_is_told_at_and_downstream_of_its_topic(server: GraphServer, session: RawSession) -> None:
    session.connect("A", "B")
    subscribers = [RawSubscriber(server.address, topic) for topic in ("A", "B", "B", "C")]
    publisher = RawPublisher(server.address, "A", wait=False)
    for subscriber in subscribers[:3]:
        assert subscriber.update() == [publisher.uuid]
    assert publisher.byte() == COMPLETE
    assert subscribers[3].is_silent()


def test_a_waiting_command_does_not_keep_channels_and_segments_waiting(
    server: GraphServer, session: RawSession
) -> None:
    """The subscriber needs both before it can answer."""
    publisher = RawPublisher(server.address, "A")
    subscriber = RawSubscriber(server.address, "B")
    segment = Raw(server.address, Command.SHM_CREATE, b"\x01" + b"\x00" * 7 + b"\x40" + b"\x00" * 7)
    assert segment.byte() == COMPLETE
    name = segment.text()
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    [uuid] = subscriber.update(acknowledge=False)
    assert uuid == publisher.uuid
    assert Raw(server.address, Command.CHANNEL, text(uuid)).byte() == COMPLETE
    assert Raw(server.address, Command.SHM_ATTACH, text(name)).byte() == COMPLETE
    assert session.is_silent()
    subscriber.acknowledge()
    assert session.byte() == COMPLETE


# --- one that does not answer ----------------------------------------------------------------------------------------


def test_a_subscriber_that_never_answers_delays_a_command_by_a_second_at_most(
    server: GraphServer, session: RawSession
) -> None:
    """However many there are: they are waited for at the same time. Stock waits for one after the other."""
    silent = [RawSubscriber(server.address, "B") for _ in range(3)]
    bystander = RawSession(server.address)
    began = time.monotonic()
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    assert bystander.connect("X", "Y") == COMPLETE
    assert bystander.snapshot().graph["A"] == ["B"]
    assert RawSubscriber(server.address, "Y").first == []
    assert time.monotonic() - began < 0.9, "nobody else waits"
    assert session.byte() == COMPLETE
    assert 0.9 < time.monotonic() - began < 2.5
    stalled = all_of(server, ev.SubscriberStalled)
    assert {event.endpoint for event in stalled} == {event.seq for event in all_of(server, ev.SubscriberOpened)[:3]}
    assert {event.topic for event in stalled} == {"B"}
    assert len(silent) == 3


def test_it_is_stalled_once_and_recovers_once(
    server: GraphServer, session: RawSession, impatient: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber = RawSubscriber(server.address, "B")
    for number in range(3):
        assert session.connect(f"{number}", "B") == COMPLETE
    assert len(all_of(server, ev.SubscriberStalled)) == 1
    while True:
        subscriber.update()
        if all_of(server, ev.SubscriberRecovered) or subscriber.is_silent(impatient):
            break
    assert recorded(server, ev.SubscriberRecovered).endpoint == recorded(server, ev.SubscriberStalled).endpoint
    monkeypatch.setattr(publisher_notices, "UPDATE_TIMEOUT_S", 5.0)
    session.send(Command.SESSION_CONNECT, text("X"), text("B"))
    subscriber.update()
    assert session.byte() == COMPLETE
    assert len(all_of(server, ev.SubscriberStalled)) == 1


def test_a_late_answer_does_not_release_a_later_update(
    server: GraphServer, session: RawSession, impatient: float
) -> None:
    publisher = RawPublisher(server.address, "A")
    subscriber = RawSubscriber(server.address, "B")
    assert session.connect("X", "B") == COMPLETE  # given up
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    assert subscriber.update(acknowledge=False) == []
    assert subscriber.update(acknowledge=False) == [publisher.uuid]
    subscriber.acknowledge()  # the first one, and only that
    assert session.is_silent(impatient / 4)
    subscriber.acknowledge()
    assert session.byte() == COMPLETE
    assert recorded(server, ev.SubscriberRecovered)


def test_answers_that_were_not_asked_for_release_nothing(
    server: GraphServer, session: RawSession, impatient: float
) -> None:
    subscriber = RawSubscriber(server.address, "B")
    subscriber.send(COMPLETE * 5)
    for _ in range(3):  # polled, received, taken
        in_loop(server, lambda: None)
    began = time.monotonic()
    assert session.connect("A", "B") == COMPLETE
    assert time.monotonic() - began > impatient * 0.9
    assert recorded(server, ev.SubscriberStalled)


def test_one_that_leaves_is_waited_for_no_longer(server: GraphServer, session: RawSession) -> None:
    subscriber = RawSubscriber(server.address, "B")
    began = time.monotonic()
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    subscriber.update(acknowledge=False)
    subscriber.close()
    assert session.byte() == COMPLETE
    assert time.monotonic() - began < 0.9
    assert all_of(server, ev.SubscriberStalled) == []


def test_many_changes_meet_in_one_list_that_is_the_newest(server: GraphServer) -> None:
    """At most one update is on its way; the next is made when it is sent: no old list comes after a new one."""
    publishers = [RawPublisher(server.address, f"P{number}") for number in range(8)]
    subscriber = RawSubscriber(server.address, "B")
    sessions = [RawSession(server.address) for _ in publishers]
    for number, session in enumerate(sessions):
        session.send(Command.SESSION_CONNECT, text(f"P{number}"), text("B"))
        recorded(server, ev.EdgeConnected, from_topic=f"P{number}")
    lists = [subscriber.update(acknowledge=False)]
    assert subscriber.is_silent()
    subscriber.acknowledge()
    lists.append(subscriber.update())
    assert [session.byte() for session in sessions] == [COMPLETE] * 8
    assert lists == [[publishers[0].uuid], [publisher.uuid for publisher in publishers]]
    assert subscriber.is_silent()


def test_one_that_leaves_megabytes_unread_is_cut_off_and_nobody_else_suffers(
    server: GraphServer,
    session: RawSession,
    links: list[publisher_notices.SubscriberLink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscriber = RawSubscriber(server.address, "B")
    other = RawSubscriber(server.address, "B")
    connection = links[0]._connection
    monkeypatch.setattr(connection._transport, "get_write_buffer_size", lambda: 2**30)
    in_loop(server, connection.pause_writing)
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    assert other.update() == []
    assert session.byte() == COMPLETE
    subscriber.expect_eof()
    assert recorded(server, ev.EndpointClosed).reason == "lost"
    assert all_of(server, ev.SubscriberStalled) == []


def test_nothing_is_kept_of_a_subscriber_that_is_gone_or_never_answers(
    server: GraphServer,
    session: RawSession,
    links: list[publisher_notices.SubscriberLink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher_notices, "UPDATE_TIMEOUT_S", 0.001)
    subscriber = RawSubscriber(server.address, "B")
    for number in range(50):
        session.connect(f"{number}", "B")
    assert in_loop(server, lambda: len(links[0]._waiters._waiting)) == 0
    notices = links[0]._notices
    assert in_loop(server, lambda: list(notices.subscribers)) == ["B"]
    subscriber.end()
    assert in_loop(server, lambda: notices.subscribers) == {}


# --- turns -----------------------------------------------------------------------------------------------------------


def test_subscribers_of_one_host_hear_of_a_new_publisher_one_after_the_other(server: GraphServer) -> None:
    """Two of a process that hear of it at once open a channel each, and one of these can never be left again."""
    subscribers = [RawSubscriber(server.address, "A") for _ in range(3)]
    publisher = RawPublisher(server.address, "A", wait=False)
    waiting = list(subscribers)
    while waiting:
        told = [each for each in waiting if not each.is_silent(0.02)]
        assert len(told) == 1, "one at a time"
        assert told[0].update() == [publisher.uuid]
        waiting.remove(told[0])
    assert publisher.byte() == COMPLETE


def test_one_that_leaves_or_never_answers_does_not_keep_the_turn(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_notices, "TURN_S", 0.4)
    subscribers = [RawSubscriber(server.address, "A") for _ in range(4)]
    publisher = RawPublisher(server.address, "A", wait=False)
    order: list[RawSubscriber] = []
    began = time.monotonic()
    for acknowledge in (False, False, True, True):
        [told] = _readable([each for each in subscribers if each not in order])
        assert told.update(acknowledge) == [publisher.uuid]
        order.append(told)
        if len(order) == 1:
            told.close()
    assert 0.3 < time.monotonic() - began < TIMEOUT_S
    order[1].acknowledge()
    assert publisher.byte() == COMPLETE


def _readable(subscribers: list[RawSubscriber]) -> list[RawSubscriber]:
    """Those to which something came, once there is any."""
    sockets = select.select([each.socket for each in subscribers], [], [], TIMEOUT_S)[0]
    return [each for each in subscribers if each.socket in sockets]


def test_those_who_know_the_publishers_or_are_of_another_host_are_told_at_once(
    server: GraphServer, session: RawSession
) -> None:
    publisher = RawPublisher(server.address, "A")
    here = [RawSubscriber(server.address, "A") for _ in range(2)]
    session.send(Command.SESSION_CONNECT, text("X"), text("A"))
    assert [each.update(acknowledge=False) for each in here] == [[publisher.uuid]] * 2
    for each in here:
        each.acknowledge()
    assert session.byte() == COMPLETE
    there = RawSubscriber(server.address, "A", source="127.0.0.2")
    second = RawPublisher(server.address, "A", wait=False)
    told = [each for each in here if not each.is_silent(0.05)]
    assert len(told) == 1
    assert there.update() == told[0].update() == [publisher.uuid, second.uuid]
    here.remove(told[0])
    here[0].update()
    assert second.byte() == COMPLETE
