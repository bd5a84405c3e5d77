"""A long random life of a graph, made from a seed: which client does what next, with names in the place of UUIDs."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from ezmsg.core.graphmeta import (
    CollectionMetadata,
    ComponentMetadata,
    DynamicSettingsMetadata,
    GraphMetadata,
    InputRelayMetadata,
    InputStreamMetadata,
    OutputStreamMetadata,
    OutputTopicMetadata,
    ProfileChannelType,
    ProfilingTraceSample,
    SettingsFieldMetadata,
    SettingsSchemaMetadata,
    SettingsSnapshotValue,
    TaskMetadata,
    UnitMetadata,
)

Step = tuple[Any, ...]
"""A method of World and its arguments."""

TOPICS = ("A", "B", "C", "D", "SYS/E", "SYS/F", "", "ключ")
UNITS = tuple(f"SYS/U{number}" for number in range(7))
OBSERVER = "session observer"
FLUSH_EVERY = 40

WEIGHTS = {
    "session": 3,
    "end": 5,
    "connect": 22,
    "disconnect": 9,
    "clear": 2,
    "register": 9,
    "snapshot": 8,
    "settings": 5,
    "settings_events": 5,
    "request": 9,
    "process": 3,
    "register_process": 7,
    "own": 7,
    "report": 12,
    "send_nonsense": 3,
    "trace": 2,
    "subscriber": 5,
    "publisher": 5,
    "channel": 4,
    "persist": 9,
    "unpersist": 6,
    "dag": 3,
    "tell_all": 4,
    "segment": 2,
    "attach": 2,
    "topology": 2,
    "changes": 2,
}
AT_MOST = {"session": 5, "process": 4, "subscriber": 5, "publisher": 5, "channel": 4, "segment": 3, "attach": 3}
AT_MOST |= {"topology": 3, "changes": 3}


class Script:
    """Chooses steps. It knows who is there and who runs which unit; all else is for the servers to know."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.alive: dict[str, list[str]] = {kind: [] for kind in AT_MOST}
        self.units: dict[str, str] = {}
        self.leases: dict[str, str] = {}  # who holds one, and on which segment
        self.count = 0

    def steps(self, count: int) -> Iterator[Step]:
        """The observer and the first stream of each kind, then ``count`` steps, the last of which ends everybody."""
        yield "session", OBSERVER
        yield "topology", "topology first", 0
        yield "changes", "changes first", 0, OBSERVER
        yield "traces", "traces"
        for number in range(count):
            step = self._step()
            if step is not None:
                yield step
            if number % FLUSH_EVERY == FLUSH_EVERY - 1:
                yield self._flush(number)
        for kind in ("session", "process", "subscriber", "publisher", "channel", "segment", "attach"):
            for name in list(self.alive[kind]):
                yield self._leave(kind, name)
        yield self._flush(count)
        yield "snapshot", OBSERVER
        yield "settings", OBSERVER
        yield ("dag",)

    def _flush(self, number: int) -> Step:
        return "flush", f"mark {number}", OBSERVER

    def _step(self) -> Step | None:
        [verb] = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        make: Callable[[], Step | None] = getattr(self, f"_{verb}")
        return make()

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _pick(self, kind: str) -> str | None:
        return self.random.choice(self.alive[kind]) if self.alive[kind] else None

    def _new(self, kind: str) -> str | None:
        if len(self.alive[kind]) >= AT_MOST[kind]:
            return None
        self.count += 1
        self.alive[kind].append(name := f"{kind} {self.count}")
        return name

    def _some(self, pool: tuple[str, ...], most: int) -> list[str]:
        return [self.random.choice(pool) for _ in range(self.random.randint(0, most))]

    def _edge(self) -> tuple[str, str]:
        return self.random.choice(TOPICS), self.random.choice(TOPICS)

    def _of(self, kind: str, *args: Callable[[], Any], verb: str) -> Step | None:
        name = self._pick(kind)
        return None if name is None else (verb, name, *(make() for make in args))

    # --- coming and going --------------------------------------------------------------------------------------------

    def _session(self) -> Step | None:
        name = self._new("session")
        return None if name is None else ("session", name)

    def _process(self) -> Step | None:
        name = self._new("process")
        return None if name is None else ("process", name)

    def _subscriber(self) -> Step | None:
        name = self._new("subscriber")
        return None if name is None else ("subscriber", name, self.random.choice(TOPICS))

    def _publisher(self) -> Step | None:
        name = self._new("publisher")
        port = self.random.randint(1024, 65535)
        return None if name is None else ("publisher", name, self.random.choice(TOPICS), port)

    def _channel(self) -> Step | None:
        publisher = self._pick("publisher")
        name = None if publisher is None else self._new("channel")
        return None if name is None else ("channel", name, publisher)

    def _segment(self) -> Step | None:
        name = self._new("segment")
        if name is None:
            return None
        self.leases[name] = name
        return "segment", name, self.random.randint(1, 32), self.random.randint(0, 5000)

    def _attach(self) -> Step | None:
        segments = sorted(set(self.leases.values()))
        name = self._new("attach") if segments else None
        if name is None:
            return None
        self.leases[name] = self.random.choice(segments)
        return "attach", name, self.leases[name]

    def _topology(self) -> Step | None:
        name = self._new("topology")
        return None if name is None else ("topology", name, self._after())

    def _changes(self) -> Step | None:
        name = self._new("changes")
        return None if name is None else ("changes", name, self._after(), OBSERVER)

    def _after(self) -> int:
        return self.random.choice((0, 0, self.random.randint(-2, 60), 5000))

    def _end(self) -> Step | None:
        kind = self.random.choice(list(AT_MOST))
        name = self._pick(kind)
        return None if name is None else self._leave(kind, name)

    def _leave(self, kind: str, name: str) -> Step:
        self.alive[kind].remove(name)
        self.leases.pop(name, None)
        self.units = {unit: owner for unit, owner in self.units.items() if owner != name}
        return "end", name

    # --- edges and the graph as a whole ------------------------------------------------------------------------------

    def _connect(self) -> Step | None:
        return self._edge_of("connect")

    def _disconnect(self) -> Step | None:
        return self._edge_of("disconnect")

    def _edge_of(self, verb: str) -> Step | None:
        name = self._pick("session")
        return None if name is None else (verb, name, *self._edge())

    def _persist(self) -> Step:
        return "persist", *self._edge()

    def _unpersist(self) -> Step:
        return "unpersist", *self._edge()

    def _clear(self) -> Step | None:
        return self._of("session", verb="clear")

    def _dag(self) -> Step:
        return ("dag",)

    def _tell_all(self) -> Step:
        return "tell_all", self.random.choice(("PAUSE", "RESUME", "SYNC"))

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _register(self) -> Step | None:
        return self._of("session", self._metadata, verb="register")

    def _snapshot(self) -> Step | None:
        return self._of("session", verb="snapshot")

    def _settings(self) -> Step | None:
        return self._of("session", verb="settings")

    def _settings_events(self) -> Step | None:
        return self._of("session", self._after, verb="settings_events")

    def _request(self) -> Step | None:
        name = self._pick("session")
        if name is None:
            return None
        unit = self.random.choice(UNITS)
        owner = self.units.get(unit)
        act = self.random.choices(("answer", "refuse", "wait", "end"), (6, 2, 2, 2))[0] if owner else "nobody"
        payload = self.random.randbytes(self.random.choice((0, 1, 5000)))
        if act == "end":
            self._leave("process", str(owner))
        return "request", name, unit, self.random.choice(("PING", "ECHO")), payload, owner, act

    # --- processes ---------------------------------------------------------------------------------------------------

    def _register_process(self) -> Step | None:
        name = self._pick("process")
        if name is None:
            return None
        units = self._some(UNITS, 4)
        if self._free(name, units):
            self.units = {unit: owner for unit, owner in self.units.items() if owner != name}
            self.units |= dict.fromkeys(units, name)
        return "register_process", name, self.random.randint(1, 99999), self.random.choice(("here", "there")), units

    def _own(self) -> Step | None:
        name = self._pick("process")
        if name is None:
            return None
        added, removed = self._some(UNITS, 3), self._some(UNITS, 2)
        if self._free(name, added):
            self.units |= dict.fromkeys(added, name)
            self.units = {unit: owner for unit, owner in self.units.items() if owner != name or unit not in removed}
        return "own", name, added, removed

    def _free(self, name: str, units: list[str]) -> bool:
        return all(self.units.get(unit, name) == name for unit in units)

    def _report(self) -> Step | None:
        name = self._pick("process")
        if name is None:
            return None
        mine = [unit for unit, owner in self.units.items() if owner == name]
        unit = self.random.choice(mine) if mine and self.random.random() < 0.8 else self.random.choice(UNITS)
        return "report", name, unit, self._value(), self.random.uniform(1e9, 2e9)

    def _send_nonsense(self) -> Step | None:
        commands = ("PROCESS_REGISTER", "PROCESS_UPDATE_OWNERSHIP", "PROCESS_SETTINGS_UPDATE")
        return self._of("process", lambda: self.random.choice(commands), verb="send_nonsense")

    def _trace(self) -> Step | None:
        return self._of("process", self._samples, verb="trace")

    def _samples(self) -> list[ProfilingTraceSample]:
        kinds = (None, *ProfileChannelType)
        return [
            ProfilingTraceSample(self.random.random(), "e", "t", "m", 0.5, self.random.choice(kinds), number)
            for number in range(self.random.randint(1, 30))
        ]

    # --- metadata and settings ---------------------------------------------------------------------------------------

    def _readable(self) -> Any:
        deep = {"taps": [1, 2.5, None], "on": True, "more": {"name": "ключ", "pair": (1, "x")}}
        return self.random.choice(("Settings()", {}, {"gain": self.random.random()}, deep))

    def _schema(self) -> SettingsSchemaMetadata | None:
        if self.random.random() < 0.5:
            return None
        choices = [1, "x"] if self.random.random() < 0.5 else None
        field = SettingsFieldMetadata("gain", "float", True, 1.0, "how loud", (0.0, None), choices, None)
        return SettingsSchemaMetadata("dataclass", "Settings", [field])

    def _value(self) -> SettingsSnapshotValue:
        readable = self._readable()
        structured = readable if isinstance(readable, dict) else None
        return SettingsSnapshotValue(self._serialized(), readable, structured, self._schema())

    def _serialized(self) -> bytes | None:
        return self.random.choice((None, b"", bytes(range(256))))

    def _metadata(self) -> GraphMetadata:
        components: dict[str, Any] = {}
        for address in self._some(UNITS, 3):
            components[address] = self._component(address)
        if self.random.random() < 0.1:  # a key that is not the address; no process ever runs a unit of that name
            components[f"KEY/{self.random.randint(0, 2)}"] = self._component(self.random.choice(UNITS))
        return GraphMetadata(1, self.random.choice((None, "SYS")), components)

    def _component(self, address: str) -> ComponentMetadata:
        common: dict[str, Any] = {
            "address": address,
            "name": address[4:],
            "component_type": "tests.Component",
            "settings_type": "tests.Settings",
            "initial_settings": (self._serialized(), self._readable()),
            "dynamic_settings": DynamicSettingsMetadata(True, f"{address}/INPUT_SETTINGS", "tests.Settings"),
            "settings_schema": self._schema(),
        }
        if self.random.random() < 0.3:
            return CollectionMetadata(
                **common,
                topics={"OUT": OutputTopicMetadata("OUT", f"{address}/OUT", "Any")},
                relays={"IN": InputRelayMetadata("IN", f"{address}/IN", "Any", leaky=True)},
                children=[f"{address}/X"],
            )
        return UnitMetadata(
            **common,
            streams={
                "IN": InputStreamMetadata("IN", f"{address}/IN", "Any", max_queue=3),
                "OUT": OutputStreamMetadata("OUT", f"{address}/OUT", "Any", num_buffers=32),
            },
            tasks=[TaskMetadata("on_message", "IN", ["OUT"])],
            main=None,
            threads=["work"],
        )
