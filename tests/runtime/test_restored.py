"""The wiring of a past moment, in a new run."""

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.restored import Wiring


def past() -> LiveGraph:
    """A persistent edge, one of a session, one of both; the topics came in another order than their namess."""
    live = LiveGraph(Ledger.memory())
    rig = live.open_session(label="rig")
    live.connect("Z", "Y", rig)
    live.connect("B", "C")
    live.connect("A", "B", rig)
    live.connect("A", "B")
    return live


def test_persistent_edges_alone() -> None:
    live = LiveGraph(Ledger.memory())
    wiring = Wiring.of(past().state, "x:7", hold=False)
    assert wiring.begin(live) is None
    assert dict(live.state.ownership.edges()) == {("B", "C"): {None}, ("A", "B"): {None}}
    connected = [event for event in live.ledger.entries() if isinstance(event, ev.EdgeConnected)]
    assert {event.by for event in connected} == {"restored from x:7"}
    live.check()


def test_all_others_too() -> None:
    before, live = past(), LiveGraph(Ledger.memory())
    session = Wiring.of(before.state, "x:7", hold=True).begin(live)
    assert session is not None
    assert live.state.sessions[session].label == "restored"
    assert dict(live.state.ownership.edges()) == {("Z", "Y"): {session}, ("B", "C"): {None}, ("A", "B"): {None}}
    assert list(live.state.ownership.nodes) == list(before.state.ownership.nodes)
    [mark] = [event for event in live.ledger.entries() if isinstance(event, ev.Mark)]
    assert (mark.name, mark.source, mark.note) == (
        "restored",
        "x:7",
        '2 persistent edges, and 1 edge that session "restored" holds',
    )
    live.check()


def test_a_graph_without_edges() -> None:
    live = LiveGraph(Ledger.memory())
    assert Wiring.of(LiveGraph(Ledger.memory()).state, "x:2", hold=True).begin(live) is None
    assert not list(live.state.ownership.edges())
