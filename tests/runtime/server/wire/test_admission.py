"""Who is let in: networks are read strictly, places are counted, and this machine can always ask its own server."""

import resource
from collections.abc import Iterator
from typing import Any

import pytest
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire import admission as admission_module
from ezmsg.ledger.runtime.server.wire.admission import (
    CONNECTIONS_MIN,
    DESCRIPTORS_KEPT,
    Admission,
    Limits,
    NoNetwork,
    TurnedAway,
    is_loopback,
    parse_network,
    raise_descriptor_limit,
)
from tests.runtime.server.conftest import Serve, all_of, recorded
from tests.runtime.server.raw import COMPLETE, Raw, RawSession

HERE, OWN, FAR = "127.0.0.1", "10.0.0.1", "10.0.0.7"


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "network"),
    [("10.1.2.0/24", "10.1.2.0/24"), (" 10.1.2.3\n", "10.1.2.3/32"), ("0.0.0.0/0", "0.0.0.0/0")],
)
def test_a_network(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("10.1.2.3/24", "is an address within a network", "The network is 10.1.2.0/24, the host 10.1.2.3."),
        ("fe80::/10", "is IPv6", "192.168.1.0/24"),
        ("::1", "is IPv6", "192.168.1.0/24"),
        *(
            (text, "is neither a network nor an address", "192.168.1.0/24")
            for text in ("", "rig", "10.1.2.0/33", "10.1.2")
        ),
    ],
)
def test_no_network(text: str, says: str, hint: str) -> None:
    with pytest.raises(NoNetwork, match=says) as refused:
        parse_network(text)
    assert repr(text) in str(refused.value)
    assert hint in refused.value.hint


def test_a_server_is_not_made_with_what_is_no_network() -> None:
    with pytest.raises(NoNetwork):
        GraphServer(allow=["10.0.0.0/8", "rig"])


# --- places ----------------------------------------------------------------------------------------------------------


def refused(admission: Admission, host: str) -> str:
    with pytest.raises(TurnedAway) as turned:
        admission.admit(host, OWN)
    return turned.value.reason


def test_only_hosts_of_the_networks_are_let_in_and_this_machine() -> None:
    admission = Admission(Limits(), [parse_network("192.168.1.0/24"), parse_network("10.9.9.9")])
    assert not admission.is_local(OWN), "nobody has come from there yet"
    for host in (HERE, "127.3.3.3", OWN, "192.168.1.200", "10.9.9.9"):
        admission.admit(host, OWN)
    for host in (FAR, "192.168.2.1", "10.9.9.8"):
        assert refused(admission, host) == "host_not_allowed"
    assert len(admission) == 5
    assert admission.is_local(OWN)
    assert not admission.is_local("192.168.1.200")
    assert admission.turned_away == {"host_not_allowed": 3}


def test_the_places_of_another_host_are_fewer_than_those_of_all() -> None:
    admission = Admission(Limits(connections=6, connections_per_host=2))
    places = [admission.admit(FAR, OWN) for _ in range(2)]
    assert refused(admission, FAR) == "too_many_from_host"
    for _ in range(3):
        admission.admit(HERE, HERE)
    admission.admit("10.0.0.8", OWN)
    assert refused(admission, "10.0.0.8") == "too_many_connections"
    assert refused(admission, HERE) == "too_many_connections"
    places[0].leave()
    places[0].leave()
    assert len(admission) == 5
    places.append(admission.admit(FAR, OWN))
    assert len(admission) == 6


def test_a_host_that_left_is_forgotten() -> None:
    admission = Admission(Limits())
    for number in range(100):
        admission.admit(f"10.0.0.{number}", OWN).leave()
    assert not admission._hosts


@pytest.mark.parametrize("host", ["unknown", "", "::ffff:10.0.0.1", "10.0.0.7"])
def test_who_is_not_on_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.fixture
def descriptors() -> Iterator[tuple[int, int]]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_there_is_room_for_as_many_as_the_process_may_have_files(descriptors: tuple[int, int]) -> None:
    hard = descriptors[1]
    for soft, room in ((600, 600 - DESCRIPTORS_KEPT), (DESCRIPTORS_KEPT + 8, CONNECTIONS_MIN)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert Admission(Limits()).room == room
        assert Admission(Limits(connections=20)).room == 20


def test_the_limit_of_a_server_that_is_a_process_of_its_own_is_raised(descriptors: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, descriptors[1]))
    raise_descriptor_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == descriptors[1]
    assert soft == min(hard, 2 * Limits().connections + DESCRIPTORS_KEPT)
    raise_descriptor_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_a_system_without_such_limits_is_bound_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "resource", None)
    assert Admission(Limits(connections=7)).room == 7
    raise_descriptor_limit()


# --- at the socket: of the many addresses of the loopback interface, one stands for another machine here -------------


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(admission_module, "is_loopback", lambda host: host == HERE)
    return "127.0.0.2"


def test_who_is_not_let_in_hears_nothing_and_is_counted(serve: Serve, far: str) -> None:
    server = serve(allow=["10.0.0.0/8"])
    for _ in range(20):
        with pytest.raises(EOFError):
            Raw(server.address, source=far)
    assert RawSession(server.address).connect("A", "B") == COMPLETE
    [event] = all_of(server, ev.CommandRejected)
    assert (event.command, event.reason, event.actor, event.repeated) == ("accept", "host_not_allowed", None, 1)
    assert event.peer is not None
    assert event.peer.startswith(f"{far}:")
    assert ask(str(server.address), "status")["turned_away"] == {"host_not_allowed": 20}
    server.stop()
    assert [event.repeated for event in _entries(server) if isinstance(event, ev.CommandRejected)] == [1, 19]


def _entries(server: GraphServer) -> list[Any]:
    """The events of a server that has stopped."""
    assert server.ledger is not None
    with Ledger.open(server.ledger.location, "r") as ledger:
        return list(ledger.entries())


def test_who_is_allowed_is_let_in(serve: Serve, far: str) -> None:
    server = serve(allow=["10.0.0.0/8", "127.0.0.0/30"])
    assert Raw(server.address, source=far).version


def test_too_many_connections_of_one_host_and_of_all(serve: Serve, far: str) -> None:
    server = serve(limits=Limits(connections=5, connections_per_host=2))
    raws = [Raw(server.address, source=far) for _ in range(2)]
    with pytest.raises(EOFError):
        Raw(server.address, source=far)
    raws += [Raw(server.address) for _ in range(3)]
    with pytest.raises(EOFError):
        Raw(server.address)
    raws.pop().end()
    session = RawSession(server.address)
    assert session.connect("A", "B") == COMPLETE
    reasons = [event.reason for event in all_of(server, ev.CommandRejected)]
    assert reasons == ["too_many_from_host", "too_many_connections"]


def test_shutdown_from_another_machine_is_refused(serve: Serve, far: str) -> None:
    server = serve()
    Raw(server.address, Command.SHUTDOWN, source=far).expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.command, event.reason) == ("SHUTDOWN", "not_local")
    assert RawSession(server.address).connect("A", "B") == COMPLETE


def test_shutdown_from_another_machine_can_be_allowed(serve: Serve, far: str) -> None:
    server = serve(remote_shutdown=True)
    Raw(server.address, Command.SHUTDOWN, source=far).expect_eof()
    server.join(5.0)
    stopped = _entries(server)[-1]
    assert isinstance(stopped, ev.ServerStopped)
    assert stopped.reason == "shutdown"
    assert stopped.by is not None
    assert stopped.by.startswith(far)


def test_our_own_questions_are_answered_to_this_machine_only(serve: Serve, far: str) -> None:
    server = serve()
    Raw(server.address, b"\xf0", source=far).expect_eof()
    assert recorded(server, ev.CommandRejected).reason == "not_local"


def test_whoever_comes_from_the_servers_own_address_is_on_this_machine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "is_loopback", lambda host: False)
    server = serve(allow=["10.0.0.0/8"])
    assert ask(str(server.address), "head")["seq"] == 2
