"""``restore``: the demonstration's system runs, its graph and settings are changed, and brought back."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphserver import GraphServer as StockServer
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Address

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.client.look import look
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server.wire.protocol import Command
from ezmsg.ledger.tools.demo.recording import GAINS, OWN, SHARED, TUNED, UNITS

DEMO = Path(__file__).parents[2] / "tools" / "demo"
IDS_AND_TIMES = re.compile(r"seq \d+|[\d.]+ m?s after its start|T?[\d:.]+\+\d\d:\d\d|127\.0\.0\.1:\d+")


@dataclass
class Lab:
    """The demonstration's system on a recorder, with a mark at which all is as it should be."""

    desk: Any
    address: str
    ledger: Path
    system: Any

    def until(self, wanted: Any) -> None:
        """Wait for an event in the ledger."""
        with Ledger.open(self.ledger, "r") as ledger:
            for batch in ledger.tail(0):
                if any(map(wanted, batch)):
                    return

    def restore(self, *words: Any) -> Any:
        return self.desk.do("ezmsg-ledger", "restore", self.ledger, *words, "--to", self.address)

    def state(self, moment: str) -> Any:
        with Ledger.open(self.ledger, "r") as ledger:
            return Timeline(ledger).at(moment)

    def shown(self, moment: str) -> list[str]:
        """What ``show`` says, without seqs, times and ports; units of one process in any."""
        told = self.desk.do("ezmsg-ledger", "show", self.ledger, "--at", moment)
        assert told.code == 0, told.err
        lines = [IDS_AND_TIMES.sub("-", line) for line in told.out.splitlines()[1:]]
        return [" ".join(line.split()) for line in lines]


@pytest.fixture
def lab(desk: Any) -> Lab:
    ledger = desk.folder / "x.ledger"
    server = desk.start("ezmsg-ledger", "serve", ledger, "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    system = desk.start("python", DEMO / "system.py", EZMSG_GRAPHSERVER_ADDR=address)
    found = Lab(desk, address, ledger, system)
    missing = set(UNITS)

    def up(event: Any) -> bool:
        missing.difference_update(getattr(event, "units", ()))
        return not missing

    found.until(up)
    found.until(gain_is(GAINS[-1]))
    # A process makes a publisher when it is first asked to change a setting, and keeps it: here before the mark.
    asyncio.run(tune(address, 3.0))
    found.until(gain_is(3.0))
    asyncio.run(tune(address, GAINS[-1]))
    found.until(gain_is(GAINS[-1], after=3.0))
    found.until(closings(2))
    ask(address, "mark", name="baseline")
    return found


def gain_is(gain: float, after: float | None = None) -> Any:
    """Whether an event reports that gain, once ``after`` was reported."""
    seen = after is None

    def wanted(event: Any) -> bool:
        nonlocal seen
        reported = event.value.structured_value if type(event) is ev.SettingsUpdated else None
        seen = seen or reported == {"gain": after}
        return seen and reported == {"gain": gain}

    return wanted


def closings(count: int) -> Any:
    """Whether so many sessions have ended."""
    seen: list[int] = []

    def wanted(event: Any) -> bool:
        seen.extend([event.seq] if type(event) is ev.SessionClosed else [])
        return len(seen) >= count

    return wanted


async def tune(address: str, gain: float) -> None:
    async with GraphContext(Address.from_string(address), auto_start=False) as context:
        await context.update_setting(TUNED, "gain", gain)


async def disturb(address: str) -> None:
    """A persistent edge comes, and somebody changes the gain."""
    await GraphService(Address.from_string(address)).connect("SOMEBODY", "ELSE")
    await tune(address, 9.0)


def rewired(address: str, *holds: tuple[bool, str, str, str]) -> None:
    names = ("connect", "from_topic", "to_topic", "owner")
    ask(address, "rewire", name="test", holds=[dict(zip(names, each, strict=True)) for each in holds])


def test_the_demonstration_is_brought_back(lab: Lab) -> None:
    asyncio.run(disturb(lab.address))
    lab.until(gain_is(9.0))
    [rig] = lab.state("mark:baseline").sessions.values()
    rewired(lab.address, (False, *SHARED, rig.uuid))
    assert SHARED not in lab.state("end").ownership

    dry = lab.restore("mark:baseline", "--dry-run")
    assert dry.code == 0, dry.err
    assert "- SOMEBODY -> ELSE  persistent" in dry.out
    assert f'+ {SHARED[0]} -> {SHARED[1]}  session "RIG"' in dry.out
    assert f"~ {TUNED}.gain = 4.0  now 9.0" in dry.out
    assert "3 commands; nothing was done" in dry.out
    assert SHARED not in lab.state("end").ownership

    told = lab.restore("mark:baseline", "--author", "anna")
    assert (told.code, told.err) == (0, "")
    assert "done: 3 commands; all is as it was, but for ids and times" in told.out
    assert lab.state("end").shape_digest() == lab.state("mark:baseline").shape_digest()
    lab.until(closings(5))  # those that changed the gain, twice before the mark and once after it, and two of `restore`
    for name in ("after", "later"):  # of the last event `show` says that it is the last
        ask(lab.address, "mark", name=name)
    assert lab.shown("mark:after") == lab.shown("mark:baseline")
    assert "nothing to do: it is so already" in lab.restore("mark:baseline").out

    log = lab.desk.do("ezmsg-ledger", "log", lab.ledger).out
    assert re.search(r'session \d+ "RIG" connected .*, for restore of [0-9a-f-]+:\d+ by anna \(127\.0\.0\.1:\d+\)', log)
    assert 'mark "restore": 3 commands to go back to seq' in log
    with Ledger.open(lab.ledger, "r") as ledger:
        asked = [event for event in ledger.entries() if isinstance(event, ev.RequestRouted)]
        assert [(each.unit, each.operation) for each in asked][-1] == (TUNED, "UPDATE_SETTING_FIELD")
    lab.system.interrupt()
    assert lab.system.end().code == 0


def test_edges_of_a_session_that_is_gone_and_units_that_do_not_run(lab: Lab) -> None:
    visitor = lab.desk.start("python", DEMO / "visitor.py", *SHARED, *OWN, EZMSG_GRAPHSERVER_ADDR=lab.address)
    lab.until(lambda each: type(each) is ev.EdgeConnected and (each.from_topic, each.to_topic) == OWN)
    ask(lab.address, "mark", name="visited")
    visitor.process.kill()
    lab.until(lambda each: type(each) is ev.SessionClosed)
    told = lab.restore("mark:visited")
    assert told.code == 0, told.err
    assert f'+ {OWN[0]} -> {OWN[1]}  restored' in told.out
    assert "is not there: an edge that it alone held goes to the session 'restored'" in told.out
    state = lab.state("end")
    [owner] = state.ownership.owners(OWN)
    assert state.sessions[owner].label == "restored"
    assert len(state.ownership.owners(SHARED)) == 1

    lab.system.interrupt()
    lab.system.end()
    refused = lab.restore("mark:baseline")
    assert refused.code == 1
    assert f"cannot: unit {TUNED} ran then and does not run now" in refused.out
    assert "nothing was done" in refused.out
    assert OWN in lab.state("end").ownership
    done = lab.restore("mark:baseline", "--partial", "--json")
    assert done.code == 1
    document = json.loads(done.out)
    assert document["done"]
    assert not document["left"]["rewirings"]
    now = {edge for edge, _ in lab.state("end").ownership.edges()}
    assert now == {edge for edge, _ in lab.state("mark:baseline").ownership.edges()}


def test_ezmsgs_own_server_lets_persistent_edges_and_settings_be_changed(lab: Lab) -> None:
    """Another system of the same kind on a stock server, brought to what the recorded one was."""
    stock = StockServer()
    stock.start(("127.0.0.1", 0))
    address = str(stock.address)
    system = lab.desk.start("python", DEMO / "system.py", EZMSG_GRAPHSERVER_ADDR=address)
    try:
        with Line(address, Command.SESSION) as line:
            while True:
                seen = look(line)
                gain = seen.settings.get(TUNED)
                if seen.units.keys() >= UNITS and gain is not None and gain.structured_value == {"gain": GAINS[-1]}:
                    break
            asyncio.run(disturb(address))
            while look(line).settings[TUNED].structured_value != {"gain": 9.0}:
                pass
            line.say(Command.SESSION_CONNECT, "LINE", "OTHER")
            told = lab.desk.do("ezmsg-ledger", "restore", lab.ledger, "mark:baseline", "--to", address, "--partial")
            assert told.code == 1
            assert "cannot: LINE -> OTHER is held by session" in told.out
            assert "done" in told.out
            now = look(line)
            assert now.settings[TUNED].structured_value == {"gain": GAINS[-1]}
            assert ("SOMEBODY", "ELSE") not in now.edges
    finally:
        system.interrupt()
        system.end()
        stock.stop()


def test_what_cannot_be_asked(lab: Lab) -> None:
    nowhere = lab.desk.do("ezmsg-ledger", "restore", lab.ledger, "end", "--to", "127.0.0.1:1")
    assert (nowhere.code, "no graph server answers at 127.0.0.1:1" in nowhere.err) == (2, True)
    when = lab.restore("mark:never")
    assert (when.code, "there is no mark 'never'" in when.err) == (2, True)


def test_a_rewiring_is_done_whole_or_not_at_all(lab: Lab) -> None:
    before = lab.state("end").ownership
    edges = dict(before.edges())
    for holds, why in (
        ([(True, "NEW", "EDGE", "persistent"), (True, "X", "Y", "nobody")], "session nobody is not there"),
        ([(True, "NEW", "EDGE", "persistent"), (True, "EDGE", "NEW", "restored")], "would close a cycle"),
    ):
        with pytest.raises(Exception, match=why):
            rewired(lab.address, *holds)
    assert dict(lab.state("end").ownership.edges()) == edges
