"""Makes a golden ledger and what is expected of it: ``python tests/golden/make.py tests/golden/v1``.

No test runs this. A golden ledger is made once, before the format it shows is published, and from then on it stands:
whatever the code becomes, it must read these bytes and come to these digests. New types of events go into another one.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.events import UNSET, stamped
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import (
    CollectionMetadata,
    DynamicSettingsMetadata,
    GraphMetadata,
    GraphSnapshot,
    InputRelayMetadata,
    InputStreamMetadata,
    OutputStreamMetadata,
    OutputTopicMetadata,
    SettingsFieldMetadata,
    SettingsSchemaMetadata,
    TaskMetadata,
    UnitMetadata,
)
from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.storage.header import first_bytes
from ezmsg.ledger.structural import FORMAT, Header, Recovered, encode_commit
from ezmsg.ledger.values import Opaque, freeze

BEGIN = 1_800_000_000_000_000_000
LEDGER_ID = "9a0c6f0e-6c1e-4a57-8c36-5d0c4f2b7e01"
DIGESTS = 12
"""Moments whose digests are kept, spread over the history."""


def uuid(number: int) -> str:
    return f"6ba7b810-9dad-11d1-80b4-00c04fd4{number:04x}"


class Unknown:
    """A line of a type that no version knows."""

    def __init__(self, tag: str, **fields: Any) -> None:
        self.tag, self.fields = tag, fields


class Pen:
    """Writes a ledger file: each call is one commit; time goes back once, as clocks do."""

    def __init__(self) -> None:
        self.data = first_bytes(Header(format=FORMAT, id=LEDGER_ID, created=BEGIN))
        self.seq = 0
        self.clock = BEGIN
        self.synced = 0

    def __call__(self, *events: Any) -> int:
        """The seq of the last event."""
        self.clock += 1_000_003
        count = 0
        for event in events:
            if isinstance(event, Recovered):
                self.data += msgspec.json.encode(event) + b"\n"
                continue
            count += 1
            self.seq = event.last + 1 if isinstance(event, ev.Gap) and event.lost else self.seq + 1
            if isinstance(event, Unknown):
                line = {"type": event.tag, "seq": self.seq, "time": self.clock, **event.fields}
                self.data += json.dumps(line, separators=(",", ":")).encode() + b"\n"
            else:
                self.data += codec.encode([stamped(event, self.seq, self.clock)])
        self.commit(count)
        return self.seq

    def commit(self, count: int) -> None:
        at = len(self.data)
        self.data += encode_commit(self.seq, count, at, self.synced, sha256(self.data).hexdigest())
        self.synced = len(self.data)

    def seal(self) -> bytes:
        at = len(self.data)
        return self.data + encode_commit(self.seq, 0, at, at, sha256(self.data).hexdigest())


# --- what is registered ----------------------------------------------------------------------------------------------

GAIN_SCHEMA = SettingsSchemaMetadata(
    provider="msgspec",
    settings_type="lab.filters:GainSettings",
    fields=[
        SettingsFieldMetadata(name="gain", field_type="float", default=1.0, bounds=(0.0, None), widget_hint="slider"),
        SettingsFieldMetadata(name="mode", field_type="Mode", required=True, choices=["soft", "hard"]),
    ],
)
SOURCE = UnitMetadata(
    address="SYS/SOURCE",
    name="SOURCE",
    component_type="lab.devices:Amplifier",
    initial_settings=(b"\x80\x04K\x01.", {"rate": 1000.0, "channels": 64, "range": float("inf"), "seed": 2**60}),
    streams={"OUT": OutputStreamMetadata(name="OUT", address="SYS/SOURCE/OUT", msg_type="AxisArray", num_buffers=32)},
    tasks=[TaskMetadata(name="read", publishes=["SYS/SOURCE/OUT"])],
)
GAIN = UnitMetadata(
    address="SYS/GAIN",
    name="GAIN",
    component_type="lab.filters:Gain",
    settings_type="lab.filters:GainSettings",
    initial_settings=(
        b"\x80\x04K\x02.",
        {"gain": 1.0, "mode": Opaque("lab.filters:Mode", b"\x80\x04.", "soft"), "taps": (1, -0.0, float("nan"))},
    ),
    dynamic_settings=DynamicSettingsMetadata(enabled=True, input_topic="SYS/GAIN/INPUT_SETTINGS"),
    settings_schema=GAIN_SCHEMA,
    streams={
        "IN": InputStreamMetadata(name="IN", address="SYS/GAIN/IN", msg_type="AxisArray", leaky=True, max_queue=4)
    },
)
SYSTEM = CollectionMetadata(
    address="SYS",
    name="SYS",
    component_type="lab.system:System",
    initial_settings=(None, "Settings(note='µV, 日本')"),
    topics={"OUT": OutputTopicMetadata(name="OUT", address="SYS/OUT", msg_type="AxisArray")},
    relays={"IN": InputRelayMetadata(name="IN", address="SYS/IN", max_queue=2)},
    children=["SYS/SOURCE", "SYS/GAIN"],
)
VIEWER = UnitMetadata(address="VIEW/PLOT", name="PLOT", initial_settings=(None, {"odd \ud800 key": b"\x00\xff"}))


def graph(*components: Any, root: str | None = None, keys: tuple[str, ...] = ()) -> Any:
    names = keys or tuple(component.address for component in components)
    return freeze(GraphMetadata(root_name=root, components=dict(zip(names, components, strict=True))))


def reported(gain: float, schema: Any = UNSET) -> ev.SettingsValue:
    shown = freeze({"gain": gain, "mode": "hard"})
    return ev.SettingsValue(b"\x80\x04K\x05.", shown, shown, schema if schema is UNSET else freeze(schema))


def connect(a: str, b: str, owner: int | None, **fields: Any) -> ev.EdgeConnected:
    return ev.EdgeConnected(from_topic=a, to_topic=b, owner=owner, **fields)


def disconnect(a: str, b: str, owner: int | None, **fields: Any) -> ev.EdgeDisconnected:
    return ev.EdgeDisconnected(from_topic=a, to_topic=b, owner=owner, **fields)


# --- the history -----------------------------------------------------------------------------------------------------


def history() -> bytes:
    pen = Pen()
    first_run(pen)
    observed_run(pen)
    last_run(pen)
    return pen.seal()


def history_of_rules_2() -> bytes:
    """The same life under rules 1, and again under 2, which tell of metadata that comes and goes."""
    pen = Pen()
    one_life(pen, 40, rules=1)
    pen(
        ev.ServerLost(server=1, last_seen=BEGIN),
        ev.ServerStarted(uuid=uuid(50), kind="server", name="rig", host="lab-4", pid=51, rules=2),
    )
    one_life(pen, 50, rules=2)
    return pen.seal()


def one_life(pen: Pen, number: int, rules: int) -> None:
    if rules == 1:
        pen(ev.ServerStarted(uuid=uuid(number), kind="server", name="rig", host="lab-4", pid=number))
    one = pen(ev.SessionOpened(uuid=uuid(number + 1)))
    two = pen(ev.SessionOpened(uuid=uuid(number + 2)))
    pen(connect("A", "B", one), connect("A", "B", two), connect("B", "C", one))
    pen(ev.MetadataRegistered(session=one, metadata=graph(GAIN, SOURCE, root="SYS")))
    pen(ev.MetadataRegistered(session=one, metadata=graph(GAIN, root="SYS")))
    pen(ev.MetadataRegistered(session=two, metadata=graph(VIEWER)))
    worker = pen(ev.ProcessOpened(uuid=uuid(number + 3)))
    pen(ev.ProcessRegistered(process=worker, pid=78, host="lab-4", units=("SYS/GAIN",)))
    pen(ev.SettingsUpdated(process=worker, component="SYS/GAIN", value=reported(2.0)))
    pen(Unknown("lab.note", text="what no version knows"))
    pen(ev.SessionCleared(session=two))  # its edge has another owner: nothing but its metadata goes
    pen(ev.MetadataRegistered(session=two, metadata=graph(VIEWER)))
    pen(ev.SessionClosed(session=one, reason="lost"))
    pen(ev.ProcessClosed(process=worker, reason="closed"))
    three = pen(ev.SessionOpened(uuid=uuid(number + 4)))
    pen(ev.MetadataRegistered(session=three, metadata=graph(GAIN)))
    pen(ev.SessionClosed(session=three, reason="closed"))


def first_run(pen: Pen) -> None:
    run = pen(
        ev.ServerStarted(
            uuid=uuid(1),
            kind="server",
            name="rig 3",
            host="lab-3",
            pid=4242,
            address="127.0.0.1:25978",
            versions={"ezmsg": "3.9.0", "ezmsg-ledger": "0.1.0"},
            durability="interval",
        )
    )
    pen(connect("SYNC/CLOCK", "SYS/SOURCE/TRIGGER", None, by="127.0.0.1:50001"))
    one = pen(ev.SessionOpened(uuid=uuid(2), peer="127.0.0.1:50002"))
    pen(connect("SYS/SOURCE/OUT", "SYS/GAIN/IN", one), connect("SYS/GAIN/OUT", "SYS/OUT", one))
    pen(ev.MetadataRegistered(session=one, metadata=graph(SYSTEM, GAIN, SOURCE, root="SYS"), raw=b"\x80\x05raw."))
    worker = pen(ev.ProcessOpened(uuid=uuid(3), peer="127.0.0.1:50003"))
    pen(ev.ProcessRegistered(process=worker, pid=4243, host="lab-3", units=("SYS/SOURCE", "SYS/GAIN")))
    publisher = pen(
        ev.PublisherOpened(
            uuid=uuid(4),
            topic="SYS/SOURCE/OUT",
            declared="127.0.0.1:25980",
            advertised="10.0.0.3:25980",
            peer="10.0.0.3:50004",
        )
    )
    subscriber = pen(ev.SubscriberOpened(uuid=uuid(5), topic="SYS/GAIN/IN", peer="127.0.0.1:50005"))
    channel = pen(ev.ChannelOpened(uuid=uuid(6), publisher=publisher, peer="127.0.0.1:50005"))
    pen(ev.Mark(name="block 1", note="eyes open", author="kim"))

    two = pen(ev.SessionOpened(uuid=uuid(7), peer="127.0.0.1:50007", label="viewer"))
    pen(
        connect("SYS/GAIN/OUT", "SYS/OUT", two),
        connect("SYS/GAIN/OUT", "VIEW/PLOT/IN", two),
        connect("SYNC/CLOCK", "VIEW/PLOT/CLOCK", two),
    )
    pen(ev.MetadataRegistered(session=two, metadata=graph(VIEWER, keys=("VIEW/KEY",))))
    collision = {"addresses": ["SYS/GAIN"], "sessions": [uuid(2)]}
    pen(
        ev.CommandRejected(
            actor=two,
            peer="127.0.0.1:50007",
            command="register",
            arguments={"root_name": "SYS", "components": 3},
            reason="collision",
            cause=collision,
        ),
        ev.CommandRejected(actor=None, command="opener ff", reason="unknown_command", repeated=12),
    )
    cycle = {"path": ["SYS/SOURCE/OUT", "SYS/GAIN/IN"], "owners": [[uuid(2)]]}
    edge = ["SYS/GAIN/IN", "SYS/SOURCE/OUT"]
    pen(ev.CommandRejected(actor=two, command="connect", arguments=edge, reason="cycle", cause=cycle))

    pen(ev.SettingsUpdated(process=worker, component="SYS/GAIN", value=reported(2.0), reported_at=BEGIN + 5))
    other = SettingsSchemaMetadata(provider="dataclass", settings_type="lab.filters:GainSettings")
    pen(ev.SettingsUpdated(process=worker, component="SYS/GAIN", value=reported(2.5, other)))
    asked = pen(
        ev.RequestRouted(
            uuid=uuid(8),
            session=two,
            unit="SYS/GAIN",
            operation="UPDATE_SETTING_FIELD",
            process=worker,
            payload=b"gain",
            size=4,
        )
    )
    pen(Unknown("graph.annotated", topic="SYS/OUT", colour="#77aadd"))
    pen(ev.RequestAnswered(request=asked, ok=True, took=1_500_000))
    unroutable = ev.RequestRouted(uuid=uuid(9), session=two, unit="NOBODY", operation="PING", process=None)
    answer = ev.RequestAnswered(request=pen.seq + 1, ok=False, error_code="UNROUTABLE_UNIT")
    pen(unroutable, answer)

    pen(ev.SubscriberStalled(endpoint=subscriber, topic="SYS/GAIN/IN"))
    pen(ev.GraphPaused(by="127.0.0.1:50010"))
    pen(ev.GraphSynced(by="127.0.0.1:50010", outcome="timeout", took=2_000_000_000, silent=(publisher,)))
    pen(ev.GraphResumed(by="127.0.0.1:50010"))
    pen.clock -= 3_600_000_000_000  # somebody set the clock
    pen(ev.SubscriberRecovered(endpoint=subscriber, topic="SYS/GAIN/IN"))

    second = pen(ev.ProcessOpened(uuid=uuid(11)))
    pen(ev.ProcessOwnershipChanged(process=worker, added=("SYS/LATE",), removed=("SYS/SOURCE",)))
    pen(ev.ProcessOwnershipChanged(process=second, added=("SYS/SOURCE",), removed=()))
    pen(ev.SettingsUpdated(process=second, component="SYS/SOURCE", value=reported(9.0)))
    pen(ev.ProcessClosed(process=worker, reason="lost", detail="reset"))
    pen(ev.MetadataRegistered(session=one, metadata=graph(SOURCE, GAIN, root="SYS 2")))

    pen(ev.SessionCleared(session=one))
    pen(connect("SYS/SOURCE/OUT", "SYS/GAIN/IN", one), disconnect("SYS/GAIN/OUT", "SYS/OUT", two))
    pen(ev.EndpointClosed(endpoint=publisher, reason="lost"), ev.EndpointClosed(endpoint=channel, reason="closed"))
    pen(ev.SessionClosed(session=one, reason="lost", detail="eof"))
    # a disk that was full for a while, and one that was for too long
    pen(ev.Gap(first=pen.seq - 1, last=pen.seq, lost=0, late=2, reason="no space left"))
    pen(
        ev.Gap(first=pen.seq + 1, last=pen.seq + 40, lost=40, late=0, reason="no space left", topology=30, settings=20),
        ev.SessionClosed(session=two, reason="unseen"),
        connect("SYS/SOURCE/OUT", "SYS/GAIN/IN", None, observed=True),
    )
    pen(disconnect("SYNC/CLOCK", "SYS/SOURCE/TRIGGER", None, by="127.0.0.1:50012", reason="unseen"))
    three = pen(ev.SessionOpened(uuid=uuid(12), peer="127.0.0.1:50012"))
    pen(connect("SYS/SOURCE/OUT", "SYS/GAIN/IN", three), connect("A", "B", three), connect("C", "B", three))
    pen.commit(0)
    pen(
        Recovered(at=len(pen.data), bytes=77, saved=f"golden.ledger.tail-{len(pen.data)}", time=pen.clock),
        ev.ServerLost(server=run, last_seen=pen.clock),
    )


def observed_run(pen: Pen) -> None:
    """A recorder that joined a graph server of ezmsg's own."""
    run = pen(ev.ServerStarted(uuid=uuid(20), kind="observer", name="observer", host="lab-3", pid=4300))
    one = pen(ev.SessionOpened(uuid=uuid(21), observed=True))
    worker = pen(ev.ProcessOpened(uuid=uuid(22), observed=True))
    seen = pen(
        connect("SYS/GAIN/OUT", "SYS/SINK/IN", one, observed=True),
        ev.MetadataRegistered(session=one, metadata=graph(GAIN, root="SYS"), observed=True),
        ev.ProcessRegistered(process=worker, pid=None, host=None, units=("SYS/GAIN",)),
        ev.SettingsUpdated(process=worker, component="SYS/GAIN", value=reported(4.0), observed=True),
        ev.PublisherOpened(uuid=uuid(23), topic="SYS/GAIN/OUT", observed=True),
    )
    pen(
        ev.SubscriberOpened(uuid=uuid(24), topic="SYS/SINK/IN", observed=True),
        ev.ChannelOpened(uuid=uuid(25), publisher=seen, observed=True),
    )
    pen(ev.GraphCleared(by="127.0.0.1:50020"))
    pen(connect("KEPT/OUT", "KEPT/IN", None))
    pen(ev.ServerStopped(server=run, reason="signal", by="127.0.0.1:50021"))


def last_run(pen: Pen) -> None:
    """What is still open at the end of the file."""
    pen(ev.ServerStarted(uuid=uuid(30), kind="embedded", name="bench", host="lab-4", pid=77, durability="commit"))
    one = pen(ev.SessionOpened(uuid=uuid(31), peer="127.0.0.1:50031"))
    two = pen(ev.SessionOpened(uuid=uuid(32), label="viewer"))
    pen(
        connect("Z/OUT", "KEPT/OUT", two),
        connect("KEPT/OUT", "KEPT/IN", one),
        connect("KEPT/OUT", "KEPT/IN", two),
        connect("KEPT/IN", "A/IN", one),
    )
    pen(
        ev.MetadataRegistered(
            session=one, metadata=graph(GAIN, SOURCE, VIEWER, root="SYS", keys=("SYS/GAIN", "$", "X"))
        )
    )
    worker = pen(ev.ProcessOpened(uuid=uuid(33), peer="127.0.0.1:50033"))
    pen(ev.ProcessRegistered(process=worker, pid=78, host="lab-4", units=("X", "SYS/GAIN")))
    pen(
        ev.SettingsUpdated(process=worker, component="X", value=reported(1.0)),
        ev.SettingsUpdated(process=worker, component="SYS/GAIN", value=reported(7.0, None)),
    )
    publisher = pen(ev.PublisherOpened(uuid=uuid(34), topic="Z/OUT", declared="127.0.0.1:25981"))
    subscriber = pen(ev.SubscriberOpened(uuid=uuid(35), topic="KEPT/IN"))
    pen(
        ev.ChannelOpened(uuid=uuid(36), publisher=publisher), ev.SubscriberStalled(endpoint=subscriber, topic="KEPT/IN")
    )
    pen(ev.RequestRouted(uuid=uuid(37), session=two, unit="X", operation="PING", process=worker), ev.GraphPaused())
    pen(ev.Mark(name="the end"))


def history_with_clocks() -> bytes:
    """A rig whose clock was set twice, that slept, and was started anew; and a marker that came in late."""
    pen = Pen()
    behind = {"mono": BEGIN - 5_000_000_000, "boot": BEGIN - 5_000_000_000}  # by how much less than wall time they are

    def read(reason: str, **named: str) -> ev.ClockRead:
        now = pen.clock + 1_000_003  # that of the commit which it begins
        mono, boot = now - behind["mono"], now - behind["boot"]
        return ev.ClockRead(real=now, mono=mono, boot=boot, width=640, reason=reason, **named)

    def passed(ns: int, *, asleep: int = 0, step: int = 0) -> None:
        pen.clock += ns + asleep + step
        behind["mono"] += asleep + step
        behind["boot"] += step

    def started(seq: int) -> ev.ServerStarted:
        return ev.ServerStarted(
            uuid=uuid(seq), kind="server", name="rig 3", host="lab-3", pid=4242, versions={"ezmsg": "3.9.0"}, rules=2
        )

    first = {"boot_id": "7d1c1f58-3ad8-4b2a-9a3c-6a1f2f0c9d11", "time_namespace": "time:[4026531834]", "host": "lab-3"}
    run = pen(read("start", **first), started(50))
    one = pen(ev.SessionOpened(uuid=uuid(51), peer="127.0.0.1:50122"))
    pen(connect("SYS/SOURCE/OUT", "SYS/GAIN/IN", one))
    passed(120_000_000_000, step=-3_600_000_000_000)
    pen(read("step"))
    pen(disconnect("SYS/SOURCE/OUT", "SYS/GAIN/IN", one))
    passed(5_000_000_000)
    pen(ev.Mark(name="blink", source="LSL", happened=pen.clock - 2_000_000_000))
    passed(60_000_000_000)
    pen(read("idle"))
    passed(1_000_000_000, asleep=900_000_000_000)
    pen(read("suspend"))
    pen(connect("SYS/SOURCE/OUT", "SYS/GAIN/IN", one), connect("A", "B", None, by="127.0.0.1:50123"))
    pen(ev.Gap(first=pen.seq + 1, last=pen.seq + 9, lost=9, late=0, reason="no space left"), read("gap", **first))
    passed(2_000_000_000, step=1_796_000_000_000_000_000)
    pen(read("step"))
    pen(ev.Mark(name="a day that never was"))
    passed(1_500_000_000, step=-1_796_000_000_000_000_000)
    pen(read("step"))
    pen(ev.SessionClosed(session=one, reason="lost", detail="eof"))
    pen(read("stop"), ev.ServerStopped(server=run, reason="signal"))
    pen.commit(0)
    pen.clock += 40_000_000_000
    behind["mono"] = behind["boot"] = pen.clock - 21_000_000_000
    second = {**first, "boot_id": "f0d1e6c2-70f5-4a38-8f0e-0f4f2f7b5c02"}
    run = pen(read("start", **second), started(52))
    pen(Unknown("weather.read", degrees=21))
    pen(ev.MetadataRegistered(session=pen(ev.SessionOpened(uuid=uuid(53))), metadata=graph(SOURCE, root="SYS")))
    passed(30_000_000_000)
    pen(ev.Mark(name="the end", happened=pen.clock))
    return pen.seal()


# --- what is expected of it ------------------------------------------------------------------------------------------


def expected(path: Path) -> dict[str, Any]:
    with Ledger.open(path, "r") as ledger:
        assert ledger.verify().sound, ledger.verify()
        events = list(ledger.entries())
    moments = sorted({events[place * (len(events) - 1) // (DIGESTS - 1)].seq for place in range(DIGESTS)})
    state, digests = GraphState(), {}
    for event in events:
        state.apply(event)
        state.check()
        if event.seq in moments:
            digests[str(event.seq)] = state.digest(allow_unknown=True)
    whole = fold([events], GraphState())
    return {
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "events": len(events),
        "head": whole.seq,
        "digest": whole.digest(allow_unknown=True),
        "shape": whole.shape_digest(),
        "digests": digests,
        "feed": [{"entry": type(entry).__name__, **msgspec.to_builtins(entry)} for entry in feed([events])],
        "snapshot": as_json(whole.snapshot()),
    }


def as_json(snapshot: GraphSnapshot) -> dict[str, Any]:
    """A snapshot in lists where order counts, metadata by its form."""
    return {
        "graph": [list(item) for item in snapshot.graph.items()],
        "edge_owners": [[list(edge), owners] for edge, owners in snapshot.edge_owners.items()],
        "sessions": [
            [uuid, [list(edge) for edge in session.edges], freeze(session.metadata)]
            for uuid, session in snapshot.sessions.items()
        ],
        "processes": [msgspec.to_builtins(process) for process in snapshot.processes.values()],
    }


def history_of_endings() -> bytes:
    """Runs that end in every way, and answers of a process that refuses a change and makes another."""
    pen = Pen()

    def started(number: int) -> ev.ServerStarted:
        return ev.ServerStarted(uuid=uuid(number), kind="server", name="rig", host="lab-5", pid=number, rules=2)

    run = pen(started(60))
    one = pen(ev.SessionOpened(uuid=uuid(61), peer="127.0.0.1:50161"))
    worker = pen(ev.ProcessOpened(uuid=uuid(62)))
    pen(ev.ProcessRegistered(process=worker, pid=78, host="lab-5", units=("SYS/GAIN",)))
    for number, answer in (
        (63, {"ok": False, "error_code": "HANDLER_ERROR", "error": "gain: a number is needed, not 'much'"}),
        (64, {"ok": True, "payload": b"2.5", "size": 3}),
        (65, {"ok": True, "payload": b"a part", "size": 70_000}),
    ):
        asked = pen(
            ev.RequestRouted(
                uuid=uuid(number), session=one, unit="SYS/GAIN", operation="UPDATE_SETTING_FIELD", process=worker
            )
        )
        pen(ev.RequestAnswered(request=asked, took=1_500_000, **answer))
    pen(ev.ProcessClosed(process=worker, reason="closed"), ev.SessionClosed(session=one, reason="closed"))
    pen(ev.ServerStopped(server=run, reason="stopped", exit_code=3))
    run = pen(started(66))
    pen(ev.ServerStopped(server=run, reason="orphaned", signal="SIGKILL"))
    run = pen(started(67))
    pen(connect("A", "B", None, by="127.0.0.1:50162"))
    pen(
        ev.Gap(first=pen.seq + 1, last=pen.seq + 4, lost=4, late=0, reason="no space left"),
        ev.ServerStopped(server=run, reason="signal", by="SIGTERM", ended=pen.clock + 500_000),
        started(68),
    )
    pen(ev.ServerLost(server=pen.seq, last_seen=pen.clock, untold=True), started(69))
    pen(Unknown("lab.note", text="what no version knows"))
    return pen.seal()


def history_of_an_observer() -> bytes:
    """A recorder beside a graph server that is not ours: what stood, what was told, and what was not seen."""
    pen = Pen()
    unseen = ("peers", "endpoints", "requests", "refusals", "pauses", "ends", "between")

    def started(number: int) -> ev.ServerStarted:
        return ev.ServerStarted(
            uuid=uuid(number),
            kind="observer",
            name="attach",
            host="lab-6",
            pid=number,
            address="127.0.0.1:25978",
            rules=2,
            unseen=unseen,
        )

    run = pen(started(70))
    one = pen(ev.SessionOpened(uuid=uuid(71), observed=True), ev.ProcessOpened(uuid=uuid(72), observed=True)) - 1
    pen(
        connect("SYS/GAIN/OUT", "SYS/SINK/IN", one, observed=True),
        connect("KEPT/OUT", "KEPT/IN", None, observed=True),
        ev.ProcessRegistered(process=one + 1, pid=79, host="lab-6", units=("SYS/GAIN",)),
        ev.MetadataRegistered(session=one, metadata=graph(GAIN, root="SYS"), observed=True),
    )
    pen(ev.SettingsUpdated(process=one + 1, component="SYS/GAIN", value=reported(4.0), observed=True))
    two = pen(ev.SessionOpened(uuid=uuid(73), observed=True))
    pen(connect("A", "B", two), connect("KEPT/OUT", "KEPT/IN", two, observed=True))
    pen(ev.Gap(first=pen.seq + 1, last=pen.seq, lost=0, late=0, reason="between two looks", unseen=2))
    pen(disconnect("KEPT/OUT", "KEPT/IN", None, reason="unseen"))
    pen(ev.SessionCleared(session=one))
    pen(ev.SessionClosed(session=two, reason="unseen", detail="how is not seen from outside"))
    pen(ev.SettingsUpdated(process=one + 1, component="SYS/GAIN", value=reported(5.0), reported_at=pen.clock))
    pen(
        ev.SessionClosed(session=one, reason="unseen", detail="the server was gone"),
        ev.ProcessClosed(process=one + 1, reason="unseen", detail="the server was gone"),
        ev.ServerStopped(server=run, reason="server_gone"),
    )
    pen(started(74))
    pen(connect("C", "D", None))
    pen(Unknown("lab.note", text="what no version knows"))
    return pen.seal()


HISTORIES = {
    "v1": history,
    "rules-2": history_of_rules_2,
    "clocks": history_with_clocks,
    "endings": history_of_endings,
    "observer": history_of_an_observer,
}


def main(stem: str) -> None:
    path = Path(stem).with_suffix(".ledger")
    with path.open("xb") as file:  # an existing one stands
        file.write(HISTORIES[path.stem]())
    text = json.dumps(expected(path), indent=1, ensure_ascii=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
