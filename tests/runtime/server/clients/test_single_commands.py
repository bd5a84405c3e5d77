"""Connections that ask for one thing: persistent edges, the graph as a whole, pause, resume and sync."""

import asyncio
import time
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.dag import DAG, CyclicException
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Command
from ezmsg.core.pubclient import Publisher

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.clients import single_commands
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.conftest import all_of, recorded
from tests.runtime.server.raw import COMPLETE, CYCLIC, ERROR, Raw, RawPublisher, RawSession, RawSubscriber, text

EdgeOwners = dict[tuple[str, str], list[str]]


def one_shot(server: GraphServer, command: Command, *topics: str) -> bytes:
    """The answer to a one-shot command, behind which the server closes."""
    raw = Raw(server.address, command, *map(text, topics))
    answer = raw.byte()
    raw.expect_eof()
    return answer


def owners(session: RawSession) -> EdgeOwners:
    return {tuple(edge): held for edge, held in session.snapshot().edge_owners.items()}  # type: ignore[misc]


# --- CONNECT, DISCONNECT ---------------------------------------------------------------------------------------------


def test_an_edge_belongs_to_the_persistent_owner(server: GraphServer) -> None:
    session = RawSession(server.address)
    raw = Raw(server.address, Command.CONNECT, text("A"), text("B"))
    assert raw.byte() == COMPLETE
    raw.expect_eof()
    assert owners(session) == {("A", "B"): ["persistent"]}
    event = recorded(server, ev.EdgeConnected)
    assert (event.owner, event.by) == (None, raw.peer)


def test_a_duplicate_and_an_edge_of_somebody_else_are_complete(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    assert one_shot(server, Command.CONNECT, "A", "B") == COMPLETE
    assert one_shot(server, Command.CONNECT, "A", "B") == COMPLETE
    assert owners(session) == {("A", "B"): ["persistent", session.uuid]}
    assert len(all_of(server, ev.EdgeConnected)) == 2


def test_cycles_are_refused_and_recorded_with_their_path(server: GraphServer) -> None:
    session = RawSession(server.address)
    assert one_shot(server, Command.CONNECT, "A", "A") == CYCLIC
    assert one_shot(server, Command.CONNECT, "A", "B") == COMPLETE
    assert one_shot(server, Command.CONNECT, "B", "C") == COMPLETE
    assert one_shot(server, Command.CONNECT, "C", "A") == CYCLIC
    assert list(owners(session)) == [("A", "B"), ("B", "C")]
    itself, cycle = all_of(server, ev.CommandRejected)
    assert (itself.reason, cycle.reason) == ("cycle", "cycle")
    assert cycle.cause["path"] == ["A", "B", "C"]
    assert cycle.cause["owners"] == [["persistent"], ["persistent"]]


def test_disconnect_takes_the_persistent_ownership_alone(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    assert one_shot(server, Command.DISCONNECT, "X", "Y") == COMPLETE
    assert one_shot(server, Command.DISCONNECT, "A", "B") == COMPLETE
    assert owners(session) == {("A", "B"): [session.uuid]}
    one_shot(server, Command.CONNECT, "A", "B")
    assert one_shot(server, Command.DISCONNECT, "A", "B") == COMPLETE
    assert owners(session) == {("A", "B"): [session.uuid]}
    session.disconnect("A", "B")
    one_shot(server, Command.CONNECT, "A", "B")
    assert one_shot(server, Command.DISCONNECT, "A", "B") == COMPLETE
    assert owners(session) == {}


def test_they_are_answered_once_the_subscribers_have_applied_them(server: GraphServer) -> None:
    """Stock answers before: its one-shot clients cannot know when an edge carries."""
    subscriber = RawSubscriber(server.address, "B")
    publisher = RawPublisher(server.address, "A")
    for command, heard in ((Command.CONNECT, [publisher.uuid]), (Command.DISCONNECT, [])):
        raw = Raw(server.address, command, text("A"), text("B"))
        assert subscriber.update(acknowledge=False) == heard
        assert raw.is_silent()
        subscriber.acknowledge()
        assert raw.byte() == COMPLETE
        raw.expect_eof()


def test_topics_may_be_empty_or_of_any_letters(server: GraphServer) -> None:
    session = RawSession(server.address)
    assert one_shot(server, Command.CONNECT, "", "ключ/出口") == COMPLETE
    assert list(owners(session)) == [("", "ключ/出口")]


def test_with_ezmsgs_client(server: GraphServer) -> None:
    service = GraphService(server.address)

    async def run() -> None:
        await service.connect("A", "B")
        await service.connect("B", "C")
        with pytest.raises(CyclicException):
            await service.connect("C", "A")
        await service.disconnect("B", "C")
        await service.disconnect("B", "C")

    asyncio.run(run())
    assert owners(RawSession(server.address)) == {("A", "B"): ["persistent"]}


# --- DAG -------------------------------------------------------------------------------------------------------------


def test_the_graph_as_ezmsgs_class(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    one_shot(server, Command.CONNECT, "A", "B")
    one_shot(server, Command.CONNECT, "A", "C")
    raw = Raw(server.address, Command.DAG)
    assert raw.byte() == Command.DAG.value
    dag = raw.reply()
    raw.expect_eof()
    assert type(dag) is DAG
    assert dag.graph == {"A": {"B", "C"}, "B": set(), "C": set()}
    assert dag.edge_owners == {("A", "B"): {None, UUID(session.uuid)}, ("A", "C"): {None}}
    assert dag.graph["unknown"] == set(), "a plain dict raises KeyError here"
    assert dag.add_edge("C", "D") is True


def test_the_empty_graph(server: GraphServer) -> None:
    raw = Raw(server.address, Command.DAG)
    assert raw.byte() == Command.DAG.value
    dag = raw.reply()
    assert (dag.graph, dag.edge_owners) == ({}, {})


def test_ezmsgs_formatted_graph(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    one_shot(server, Command.CONNECT, "SYS/A/OUT", "SYS/B/IN")
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: sleep(0))  # its client waits a second before it reads
    drawn = asyncio.run(GraphService(server.address).get_formatted_graph("graphviz"))
    assert "OUT" in drawn
    assert "->" in drawn


# --- PAUSE, RESUME, SYNC ---------------------------------------------------------------------------------------------


def test_pause_and_resume_are_passed_to_every_publisher(server: GraphServer) -> None:
    publishers = [RawPublisher(server.address, topic) for topic in ("A", "A", "B")]
    kinds: list[tuple[Command, type[ev.Event]]] = [
        (Command.PAUSE, ev.GraphPaused),
        (Command.RESUME, ev.GraphResumed),
    ]
    for command, kind in kinds:
        raw = Raw(server.address, command)
        raw.expect_eof()
        assert [publisher.byte() for publisher in publishers] == [command.value] * 3
        event: Any = recorded(server, kind)
        assert event.by == raw.peer


def test_sync_is_complete_once_every_publisher_has_answered(server: GraphServer) -> None:
    publishers = [RawPublisher(server.address, "A") for _ in range(2)]
    raw = Raw(server.address, Command.SYNC)
    assert [publisher.byte() for publisher in publishers] == [Command.SYNC.value] * 2
    publishers[1].send(COMPLETE)
    assert raw.is_silent()
    publishers[0].send(COMPLETE)
    assert raw.byte() == COMPLETE
    raw.expect_eof()
    event = recorded(server, ev.GraphSynced)
    assert (event.by, event.outcome, event.silent) == (raw.peer, "complete", ())
    assert event.took > 0


def test_sync_without_publishers(server: GraphServer) -> None:
    assert one_shot(server, Command.SYNC) == COMPLETE


def test_a_publisher_that_leaves_counts_as_synced(server: GraphServer) -> None:
    publisher = RawPublisher(server.address, "A")
    raw = Raw(server.address, Command.SYNC)
    assert publisher.byte() == Command.SYNC.value
    publisher.end()
    assert raw.byte() == COMPLETE


def test_a_publisher_that_never_answers_sync_blocks_nobody_else(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = RawPublisher(server.address, "A")
    first = Raw(server.address, Command.SYNC)
    assert publisher.byte() == Command.SYNC.value
    session = RawSession(server.address)
    assert session.connect("A", "B") == COMPLETE
    assert one_shot(server, Command.CONNECT, "B", "C") == COMPLETE
    first.end()
    event = recorded(server, ev.GraphSynced)
    [endpoint] = all_of(server, ev.PublisherOpened)
    assert (event.outcome, event.silent) == ("asker_left", (endpoint.seq,))

    monkeypatch.setattr(single_commands, "SYNC_TIMEOUT_S", 0.05)
    assert one_shot(server, Command.SYNC) == ERROR
    assert recorded(server, ev.GraphSynced, outcome="timeout").silent == (endpoint.seq,)


def test_late_answers_do_not_release_a_later_sync(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_commands, "SYNC_TIMEOUT_S", 0.05)
    publisher = RawPublisher(server.address, "A")
    assert one_shot(server, Command.SYNC) == ERROR
    monkeypatch.setattr(single_commands, "SYNC_TIMEOUT_S", 5.0)
    raw = Raw(server.address, Command.SYNC)
    assert publisher.read(2) == Command.SYNC.value * 2
    publisher.send(COMPLETE)  # for the first one
    assert raw.is_silent()
    publisher.send(COMPLETE)
    assert raw.byte() == COMPLETE


def test_a_publisher_hears_nothing_else_before_it_is_acknowledged(server: GraphServer) -> None:
    """Its client takes the next byte for the acknowledgement, whatever it is."""
    subscriber = RawSubscriber(server.address, "A")
    publisher = RawPublisher(server.address, "A", wait=False)
    assert subscriber.update(acknowledge=False) == [publisher.uuid]
    raw = Raw(server.address, Command.SYNC)
    Raw(server.address, Command.PAUSE).expect_eof()
    Raw(server.address, Command.RESUME).expect_eof()
    assert publisher.is_silent()
    subscriber.acknowledge()
    assert publisher.read(4) == COMPLETE + Command.SYNC.value + Command.PAUSE.value + Command.RESUME.value
    publisher.send(COMPLETE)
    assert raw.byte() == COMPLETE


def test_with_ezmsgs_publisher(server: GraphServer) -> None:
    async def run() -> None:
        service = GraphService(server.address)
        publisher = await Publisher.create("A", server.address)
        await service.sync(timeout=5.0)
        assert not publisher._running.is_set(), "it stays paused until it is resumed"
        await service.resume()
        await asyncio.wait_for(publisher._running.wait(), 5.0)
        publisher.close()
        await publisher.wait_closed()

    asyncio.run(run())
    assert recorded(server, ev.GraphSynced).outcome == "complete"


def test_a_connect_takes_no_second_although_the_graph_is_large(server: GraphServer) -> None:
    """ezmsg copies its graph for every new edge."""
    session = RawSession(server.address)
    for start in range(0, 2000, 200):
        for number in range(start, start + 200):
            session.send(Command.SESSION_CONNECT, text(f"{number}"), text(f"{number + 1}"))
        assert session.read(200) == COMPLETE * 200
    began = time.process_time()  # the server is a thread of this process
    assert one_shot(server, Command.CONNECT, "2000", "2001") == COMPLETE
    assert one_shot(server, Command.CONNECT, "2001", "0") == CYCLIC
    assert time.process_time() - began < 0.5
