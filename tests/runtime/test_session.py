"""Sessions of this process: what an ezmsg client does over a socket, without one."""

from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import AddressCollision, CycleError, InvalidValue, LedgerClosed
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import Edge, GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime.live import LiveGraph


@pytest.fixture
def live() -> LiveGraph:
    return LiveGraph(Ledger.memory())


def graph(*addresses: str, gain: Any = 1.0) -> GraphMetadata:
    units = {address: UnitMetadata(address=address, initial_settings=(b"p", {"gain": gain})) for address in addresses}
    return GraphMetadata(root_name="SYS", components=units)


def types(live: LiveGraph, after: int = 0) -> list[str]:
    """Of what was decided: not the readings of clocks that begin and end a run."""
    found = live.ledger.entries(after=after)
    return [ev.type_of(event) for event in found if not isinstance(event, ev.ClockRead)]


def test_it_reads_like_ezmsg(live: LiveGraph) -> None:
    with live.session() as session:
        assert session.connect("SYS/SOURCE/OUT", "SYS/GAIN/IN")
        assert not session.connect("SYS/SOURCE/OUT", "SYS/GAIN/IN")
        session.register(graph("SYS/GAIN"))
        snapshot = session.snapshot()
        assert snapshot.graph == {"SYS/SOURCE/OUT": ["SYS/GAIN/IN"], "SYS/GAIN/IN": []}
        assert snapshot.sessions[session.uuid].metadata == graph("SYS/GAIN")
        assert session.edges == [Edge("SYS/SOURCE/OUT", "SYS/GAIN/IN")]
        assert isinstance(session.edges[0], Edge)
        assert live.state.sessions[session.id].label == "SYS"
    assert types(live) == [
        "server.started",
        "session.opened",
        "edge.connected",
        "metadata.registered",
        "session.cleared",
        "session.closed",
    ]
    (*_, closed) = live.ledger.entries()
    assert isinstance(closed, ev.SessionClosed)
    assert closed.reason == "closed"
    assert live.state.ownership.graph() == {}
    assert live.state.digest() == fold(live.ledger.read(), GraphState()).digest()
    live.check()


def test_connect_and_disconnect_say_whether_the_graph_changed(live: LiveGraph) -> None:
    with live.session("one") as one, live.session("two") as two:
        assert live.state.sessions[one.id].label == "one"
        assert one.connect("A", "B")
        assert not two.connect("A", "B")
        assert not one.disconnect("A", "B")
        assert not one.disconnect("A", "B")
        assert one.edges == []
        assert two.disconnect("A", "B")


def test_a_session_that_owns_nothing_is_not_cleared(live: LiveGraph) -> None:
    with live.session():
        pass
    assert types(live, after=3) == ["session.closed"]


def test_clear_gives_up_everything_and_the_session_goes_on(live: LiveGraph) -> None:
    with live.session() as session:
        session.connect("A", "B")
        session.register(graph("U"))
        session.clear()
        assert session.edges == []
        assert live.state.settings == {}
        assert session.connect("A", "B")


def test_refusals_leave_the_session_as_it_was(live: LiveGraph) -> None:
    with live.session() as one, live.session() as two:
        one.connect("A", "B")
        one.register(graph("U"))
        two.register(graph("V"))
        with pytest.raises(CycleError):
            two.connect("B", "A")
        with pytest.raises(AddressCollision):
            two.register(graph("U", "W"))
        assert live.state.components == {"U": one.id, "V": two.id}
        two.connect("B", "C")
        assert two.edges == [("B", "C")]


def test_metadata_without_a_form_is_refused(live: LiveGraph) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with live.session() as session:
        head = live.ledger.head
        with pytest.raises(InvalidValue):
            session.register(graph("U", gain=endless))
        assert live.ledger.head == head


def test_what_was_registered_does_not_change_with_what_the_caller_has(live: LiveGraph) -> None:
    settings = {"gain": [1.0]}
    metadata = GraphMetadata(components={"U": UnitMetadata(address="U", initial_settings=(None, settings))})
    with live.session() as session:
        session.register(metadata)
        settings["gain"].append(2.0)
        metadata.components.clear()
        assert live.state.settings["U"].value.repr_value == {"gain": [1.0]}
        assert live.state.digest() == fold(live.ledger.read(), GraphState()).digest()


class OddError(Exception):
    def __repr__(self) -> str:
        return "odd: \ud800" + "x" * 1000


@pytest.mark.parametrize("error", [ValueError("no such file"), OddError()], ids=["plain", "odd"])
def test_an_exception_closes_it_with_what_it_held(live: LiveGraph, error: Exception) -> None:
    def fail() -> None:
        with live.session() as session:
            session.connect("A", "B")
            raise error

    with pytest.raises(type(error)):
        fail()
    (*_, closed) = live.ledger.entries()
    assert isinstance(closed, ev.SessionClosed)
    assert closed.reason == "error"
    assert closed.detail is not None
    assert len(closed.detail) < 600
    assert closed.detail.startswith("odd: \\ud800" if isinstance(error, OddError) else "ValueError('no such file')")
    assert live.state.ownership.graph() == {}


def test_close_says_lost_when_it_still_held_something(live: LiveGraph) -> None:
    for register, connect, expected in ((False, False, "closed"), (True, False, "lost"), (False, True, "lost")):
        session = live.session()
        if register:
            session.register(graph("U"))
        if connect:
            session.connect("A", "B")
        session.close(detail="eof")
        head = live.ledger.head
        session.close()
        assert live.ledger.head == head
        (*_, closed) = live.ledger.entries()
        assert isinstance(closed, ev.SessionClosed)
        assert (closed.reason, closed.detail) == (expected, "eof")


def test_nothing_can_be_done_with_a_session_that_has_ended(live: LiveGraph) -> None:
    by_close, by_run = live.session(), live.session()
    by_close.close()
    live.close()
    head = live.ledger.head
    for session in (by_close, by_run):
        commands: list[Any] = [
            lambda session=session: session.connect("A", "B"),
            lambda session=session: session.disconnect("A", "B"),
            lambda session=session: session.register(graph("U")),
            session.clear,
            session.snapshot,
            lambda session=session: session.edges,
        ]
        for command in commands:
            with pytest.raises(LedgerClosed, match=session.uuid) as caught:
                command()
            assert caught.value.hint
        session.close()
    assert live.ledger.head == head


def test_the_end_of_the_run_within_a_session_is_no_error(live: LiveGraph) -> None:
    with live.session() as session:
        session.connect("A", "B")
        live.close()
    assert types(live, after=4) == ["session.closed", "server.stopped"]


def test_a_session_closed_within_its_block_stays_closed(live: LiveGraph) -> None:
    with live.session() as session:
        session.close("closed")

    def fail() -> None:
        with live.session() as session:
            session.close("closed")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert types(live, after=2) == ["session.opened", "session.closed"] * 2
