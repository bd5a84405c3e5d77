"""Differences planted in a recording: its events once more, with one thing changed, and what a check has to name."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.moments.last_built import WIRES, last_built
from ezmsg.ledger.projections.questions.settings.stored_value import kept, parts, shown_form
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.values import fields_of

Named = tuple[str, str, str]
"""The group, the name and the field of a difference."""


class Planted:
    """A recording up to the moment at which it stood, and ways to change one thing of it."""

    def __init__(self, ledger: LedgerReader) -> None:
        self.until = last_built(ledger, ledger.head, WIRES)
        self.events = list(ledger.entries(until=self.until))
        self.state = fold(ledger.read(until=self.until), GraphState())
        self.validated = Timeline(ledger, index=False).baseline(self.until)

    def again(self, events: list[Any]) -> Timeline:
        """These events as a ledger of their own."""
        ledger = Ledger.memory()
        for event in events:
            ledger.append([replace(event, seq=0, time=0)])
        return Timeline(ledger)

    def differences(self, events: list[Any]) -> list[Named]:
        """What a check names in these events."""
        found = self.again(events).check(self.validated).differences
        assert all(each.why is not None for each in found if each.change != "missing"), found
        return [(each.group, each.name, each.field) for each in found]

    def plant(self, seed: int) -> tuple[list[Any], Named]:
        """The events with one change, and the difference that this is."""
        chance = random.Random(seed)
        ways: list[Callable[[random.Random], Iterator[tuple[list[Any], Named]]]] = [
            self.edge_lost, self.edge_more, self.owner, self.setting, self.component, self.unit_moved, self.unit_lost,
        ]  # fmt: skip
        return next(ways[seed % len(ways)](chance))

    def with_more(self, *more: Any) -> list[Any]:
        return [*self.events, *more]

    def edge_lost(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        edge, owners = chance.choice(sorted(self.state.ownership.edges()))
        gone = [ev.EdgeDisconnected(from_topic=edge[0], to_topic=edge[1], owner=owner) for owner in owners]
        yield self.with_more(*gone), ("edges", " -> ".join(edge), "")

    def edge_more(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        topic = chance.choice(sorted(self.state.ownership.nodes))
        new = ev.EdgeConnected(from_topic=topic, to_topic=f"PLANTED/{chance.random()}", owner=None)
        yield self.with_more(new), ("edges", f"{topic} -> {new.to_topic}", "")

    def owner(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        edge, _ = chance.choice(sorted(each for each in self.state.ownership.edges() if None not in each[1]))
        new = ev.EdgeConnected(from_topic=edge[0], to_topic=edge[1], owner=None)
        yield self.with_more(new), ("edges", " -> ".join(edge), "")

    def setting(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        """Another value of one field, reported by the process of the unit: shown, and in the pickle where it can be."""
        fields = [
            (unit, name)
            for unit in sorted(self.state.units)
            if unit in self.state.settings
            for name, each in parts(kept(self.state.settings[unit].value)).items()
            if type(each.form) in (bool, int, float, str)
        ]
        unit, name = chance.choice(fields)
        value = self.state.settings[unit].value
        old = parts(kept(value))[name].form
        new: Any = not old if type(old) is bool else f"{old} planted" if type(old) is str else old + 0.5
        shown = {**fields_of(shown_form(value)), name: new}
        # without the pickle, every field is what the shown form says, as of an object that cannot be pickled
        told = replace(value, repr_value=shown, structured_value=shown, serialized=None)
        event = ev.SettingsUpdated(process=self.state.units[unit], component=unit, value=told)
        yield self.with_more(event), ("settings", unit, name)

    def component(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        place = chance.choice([n for n, each in enumerate(self.events) if type(each) is ev.MetadataRegistered])
        event = self.events[place]
        key = chance.choice(sorted(event.metadata["components"]))
        changed = {**event.metadata["components"][key], "component_type": "planted.Type"}
        metadata = {**event.metadata, "components": {**event.metadata["components"], key: changed}}
        events = [*self.events[:place], replace(event, metadata=metadata, raw=None), *self.events[place + 1 :]]
        yield events, ("components", key, "component_type")

    def unit_moved(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        """A unit that shared its process gets one of its own. Its settings are reported anew, as they were."""
        shared = [each.units for each in self.state.processes.values() if len(each.units) > 1]
        unit = max(chance.choice(sorted(shared)))  # of two that part, the first one is taken to stay
        process = self.state.units[unit]
        opened = ev.ProcessOpened(uuid="planted")
        lost = ev.ProcessOwnershipChanged(process=process, added=(), removed=(unit,))
        seq = len(self.events) + 2
        claimed = ev.ProcessRegistered(process=seq, pid=1, host="h", units=(unit,))
        yield self.with_more(lost, opened, claimed), ("processes", unit, "")

    def unit_lost(self, chance: random.Random) -> Iterator[tuple[list[Any], Named]]:
        unit = chance.choice(sorted(self.state.units))
        lost = ev.ProcessOwnershipChanged(process=self.state.units[unit], added=(), removed=(unit,))
        yield self.with_more(lost), ("processes", unit, "")

