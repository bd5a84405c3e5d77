from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer
from .conftest import recorded, all_of
from .raw import *

def test_smoke(server: GraphServer) -> None:
    s = RawSession(server.address)
    assert s.connect("A","B") == COMPLETE
    sub = RawSubscriber(server.address, "B")
    pub = RawPublisher(server.address, "A", wait=False)
    assert sub.update() == [pub.uuid]
    assert pub.byte() == COMPLETE
    c = Raw(server.address, Command.SHM_CREATE, u64(4), u64(1000))
    assert c.byte() == COMPLETE
    recorded(server, ev.EdgeConnected, from_topic="A")
    s.end()
    print(all_of(server, ev.Event))
