"""Every topic, component and unit that a ledger ever speaks of: what a name that is not there is compared with."""

from collections.abc import Sequence
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.log import LedgerReader
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.questions.name_hints import near
from ezmsg.ledger.tools.exits import Misuse


class Known:
    """The names, each in the order in which they first came up; up to the ``damage`` of a ledger that has one."""

    def __init__(self) -> None:
        self.damage: DamagedLedger | None = None
        self._topics: dict[str, None] = {}
        self._components: dict[str, None] = {}

    @property
    def topics(self) -> list[str]:
        """Topics of edges and endpoints."""
        return list(self._topics)

    @property
    def components(self) -> list[str]:
        """Components that were registered, run, or reported settings of."""
        return list(self._components)

    def missing(self, what: str, name: str, names: list[str]) -> LedgerError:
        """What to raise when there is no ``what`` (topic, component, ...) of that name; the damage, where there is one:
        it may be behind that."""
        return self.damage or Misuse(f"there is no {what} {name!r}", hint=near(name, names))

    def add(self, events: Sequence[Any]) -> None:
        """Note the names of some events."""
        for event in events:
            cls = type(event)
            if cls is ev.EdgeConnected:
                self._topics[event.from_topic] = self._topics[event.to_topic] = None
            elif cls is ev.PublisherOpened or cls is ev.SubscriberOpened:
                self._topics[event.topic] = None
            elif cls is ev.MetadataRegistered:
                self._components.update(dict.fromkeys(Registration(event.metadata, event.raw).components))
            elif cls is ev.ProcessRegistered:
                self._components.update(dict.fromkeys(event.units))
            elif cls is ev.ProcessOwnershipChanged:
                self._components.update(dict.fromkeys(event.added))
            elif cls is ev.SettingsUpdated:
                self._components[event.component] = None


def known(ledger: LedgerReader) -> Known:
    """The names of the sound part of a ledger. Cost: O(events)."""
    names = Known()
    try:
        for batch in ledger.read():
            names.add(batch)
    except DamagedLedger as error:
        names.damage = error
    return names
