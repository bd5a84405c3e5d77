"""A ledger as a night in a lab leaves it, made of real decisions at known times."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import AddressCollision, CycleError, OwnershipConflict
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import CollectionMetadata, GraphMetadata, UnitMetadata
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.demo.recording import record_demo
from ezmsg.ledger.values import freeze

START = 1_795_525_400 * 10**9
"""2026-11-24 13:03:20 UTC."""

MS = 10**6
SECOND = 10**9

EDGES = [
    ("SYSTEM/SOURCE/OUT", "SYSTEM/AMP/IN"),
    ("SYSTEM/AMP/OUT", "SYSTEM/FILTER/IN"),
    ("SYSTEM/FILTER/OUT", "SYSTEM/DECODER/IN"),
    ("SYSTEM/DECODER/OUT", "SYSTEM/SINK/IN"),
    ("SYSTEM/SOURCE/OUT", "SYSTEM/LOG/IN"),
    ("SYSTEM/AMP/OUT", "SYSTEM/LOG/IN"),
]
UNITS = ("AMP", "DECODER", "FILTER", "LOG", "SINK", "SOURCE")


class Clock:
    """Stands still until it is moved."""

    def __init__(self, time: int = START) -> None:
        self.time = time

    def __call__(self) -> int:
        return self.time

    def after(self, ns: int) -> None:
        self.time += ns


def settings(**fields: Any) -> ev.SettingsValue:
    return ev.SettingsValue(serialized=b"never opened", repr_value=fields, structured_value=fields)


def metadata(root: str = "SYSTEM", units: tuple[str, ...] = UNITS) -> Any:
    """What a system of one collection registers, as a value form."""
    components: dict[str, Any] = {
        root: CollectionMetadata(
            address=root,
            name=root,
            component_type="lab.System",
            initial_settings=(None, {}),
            children=[f"{root}/{unit}" for unit in units],
        )
    }
    for unit in units:
        fields = {"gain": 1.0, "mode": "fast"} if unit == "AMP" else {}
        components[f"{root}/{unit}"] = UnitMetadata(
            address=f"{root}/{unit}",
            name=unit,
            component_type=f"lab.{unit.title()}",
            initial_settings=(b"pickle", fields),
        )
    return freeze(GraphMetadata(root_name=root, components=components))


class Night:
    """The story, and the seqs at which its parts happened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.seqs: dict[str, int] = {}
        with Ledger.open(path, clock=self.clock) as ledger:
            self._first_run(LiveGraph(ledger, kind="server", name="rig 3", address="127.0.0.1:25978"))
        self.clock.after(40 * SECOND)
        os.utime(f"{path}.lock", ns=(self.clock.time - 35 * SECOND,) * 2)  # when the first was last alive
        with Ledger.open(path, clock=self.clock) as ledger:
            self._second_run(LiveGraph(ledger, kind="server", name="rig 3", address="127.0.0.1:25978"))

    def _note(self, name: str, live: LiveGraph) -> None:
        self.seqs[name] = live.ledger.head

    def _first_run(self, live: LiveGraph) -> None:
        self.clock.after(150 * MS)
        self.system = live.open_session(peer="127.0.0.1:40122")
        for edge in EDGES:
            self.clock.after(MS)
            live.connect(*edge, owner=self.system)
        live.register(self.system, metadata())
        self._endpoints(live)
        self.process = live.open_process(peer="127.0.0.1:40200")
        live.register_process(self.process, 4711, "lab-3", [f"SYSTEM/{unit}" for unit in UNITS])
        self._note("wired", live)
        self.clock.after(10 * SECOND)
        live.note(ev.Mark(name="baseline", note="subject sits still", author="ada"))
        self._note("baseline", live)
        self.clock.after(2 * SECOND)
        live.update_settings(self.process, "SYSTEM/AMP", settings(gain=2.0, mode="fast"))
        self._note("gain", live)
        self._visit(live)
        self.clock.after(SECOND)
        live.close_endpoint(self.publisher, "lost")
        self._note("first run", live)

    def _endpoints(self, live: LiveGraph) -> None:
        self.publisher = live.open_endpoint(
            ev.PublisherOpened(
                uuid="p1", topic="SYSTEM/SOURCE/OUT", advertised="127.0.0.1:5555", peer="127.0.0.1:40123"
            )
        )
        self.subscriber = live.open_endpoint(
            ev.SubscriberOpened(uuid="s1", topic="SYSTEM/AMP/IN", peer="127.0.0.1:40124")
        )
        for number in range(4):
            peer = f"127.0.0.1:4013{number}"
            live.open_endpoint(ev.ChannelOpened(uuid=f"c{number}", publisher=self.publisher, peer=peer))

    def _visit(self, live: LiveGraph) -> None:
        """A second program comes, is refused a few things, and is killed."""
        self.clock.after(5 * SECOND)
        live.connect("SYSTEM/AMP/OUT", "SCOPE", by="127.0.0.1:40300")
        self.visitor = live.open_session(peer="127.0.0.1:40301", label="viewer")
        live.connect("SYSTEM/AMP/OUT", "SCOPE", owner=self.visitor)
        live.connect("SYSTEM/FILTER/OUT", "VIEWER/IN", owner=self.visitor)
        live.connect(*EDGES[0], owner=self.visitor)
        live.connect("SCOPE", "SCOPE/COPY", by="127.0.0.1:40300")
        with pytest.raises(CycleError):
            live.connect("SCOPE/COPY", "SYSTEM/AMP/OUT", owner=self.visitor)
        with pytest.raises(AddressCollision):
            live.register(self.visitor, metadata(units=("AMP",)))
        thief = live.open_process(peer="127.0.0.1:40302")
        with pytest.raises(OwnershipConflict):
            live.register_process(thief, 99, "elsewhere", ["SYSTEM/AMP"])
        live.close_process(thief)
        live.route_request(self.visitor, "r1", "SYSTEM/AMP", "UPDATE_SETTING_FIELD", b"x")
        live.answer_request(live.ledger.head, True, None, 12 * MS)
        live.route_request(self.visitor, "r2", "NOBODY", "GET_PROFILING_SNAPSHOT", None)
        live.set_stalled(self.subscriber, True)
        live.set_stalled(self.subscriber, False)
        live.note(ev.GraphPaused(by="127.0.0.1:40300"))
        live.note(ev.GraphSynced(by="127.0.0.1:40300", outcome="timeout", took=5 * SECOND, silent=(self.publisher,)))
        live.note(ev.GraphResumed(by="127.0.0.1:40300"))
        self._note("visited", live)
        self.clock.after(SECOND)
        live.close_session(self.visitor, detail="reset")
        self._note("visitor lost", live)

    def _second_run(self, live: LiveGraph) -> None:
        self._note("second start", live)
        self.clock.after(100 * MS)
        again = live.open_session(peer="127.0.0.1:40500")
        live.connect(*EDGES[0], owner=again)
        live.register(again, metadata(units=("AMP", "SOURCE")))
        self._note("second wired", live)
        self.clock.after(3 * SECOND)
        live.clear(again)
        live.close_session(again, detail="eof")
        self.clock.after(50 * MS)
        live.close()
        self._note("end", live)


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The ledger of the night, and where what is in it. Nobody writes to it."""
    return Night(tmp_path_factory.mktemp("night") / "night.ledger")


class Recorded:
    """One recording of the demonstration: real processes, a session that is killed. ``said``: while it went on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self.moments = record_demo(path, self.said.append)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The ledger of the demonstration, recorded once for all who look at it."""
    return Recorded(tmp_path_factory.mktemp("demo") / "demo.ledger")


class Answer:
    """What a command printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}{self.err}"


@pytest.fixture(scope="session")
def far_away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder so deep that every path from there is longer than in full: commands print the shorter of the two."""
    folder = tmp_path_factory.mktemp("far").joinpath(*"x" * 64)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, far_away: Path
) -> Iterator[Callable[..., Answer]]:
    """Runs one command line through the program's entry point, in this process, far away and as seen from UTC."""
    monkeypatch.chdir(far_away)
    monkeypatch.setenv("TZ", "UTC")
    for name in ("EZMSG_LEDGER", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if hasattr(time, "tzset"):
        time.tzset()

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    yield run
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()
