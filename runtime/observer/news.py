"""Changes that a graph server tells between two looks at it, and which of them the difference explains."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.runtime.server.translate import settings_value
from ezmsg.ledger.runtime.server.wire.protocol import Malformed

INITIAL = "INITIAL_SETTINGS"


class Change(msgspec.Struct, frozen=True):
    """An entry of the topology stream: ``topics`` are the targets of edges that came or went; a process that changed
    has none. ``session`` and ``process`` are UUIDs; with neither, the persistent owner did it."""

    number: int
    topics: tuple[str, ...]
    session: str | None
    process: str | None

    @classmethod
    def of(cls, entry: Any) -> "Change":
        """The change that ezmsg's TopologyChangedEvent tells of."""
        process = None if entry.source_process_id is None else str(entry.source_process_id)
        return cls(entry.seq, tuple(entry.changed_topics), entry.source_session_id, process)


class Report(msgspec.Struct, frozen=True):
    """An entry of the settings history: settings that a process reported at ``time`` (ns, by its clock); without a
    process, those that a session registered, or that a component fell back to. ``value`` is None when it is malformed.
    """

    number: int
    component: str
    value: SettingsValue | None
    time: int
    initial: bool
    session: str | None
    process: str | None

    @classmethod
    def of(cls, entry: Any) -> "Report":
        """The report that ezmsg's SettingsChangedEvent is."""
        try:
            value = settings_value(entry.value)
        except Malformed:
            value = None
        process = None if entry.source_process_id is None else str(entry.source_process_id)
        kind = getattr(entry.event_type, "value", entry.event_type)
        time = round(entry.timestamp * 1e9)
        return cls(entry.seq, entry.component_address, value, time, kind == INITIAL, entry.source_session_id, process)


Known: TypeAlias = tuple[str | None, str | None]
"""An owner and the target of one of its edges, as far as an entry of the stream names them: a session or a process that
ended has no target."""


class Told:
    """The changes that were told since the look before, each of which explains one difference at most.

    ``left`` counts those that explain none: something came and went between two looks.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = {change.number: change for change in changes}

    def _of(self, session: str | None, process: str | None) -> Iterator[Change]:
        return (each for each in self._changes.values() if (each.session, each.process) == (session, process))

    def count(self, session: str) -> int:
        """The number of changes that tell of a session."""
        return sum(1 for _ in self._of(session, None))

    def take(self, owner: str | None, topic: str) -> int | None:
        """The number of the first change that told of one edge of ``owner`` to ``topic``; None when none did."""
        found = next((each for each in self._of(owner, None) if each.topics == (topic,)), None)
        return None if found is None else self._taken(found)

    def take_release(self, session: str, *, gone: bool) -> int | None:
        """The number of the change in which a session gave up all that it held; None when none tells of it.

        Of a session that is ``gone`` it is the last one; else one of several topics, which nothing else brings about.
        """
        found = [each for each in self._of(session, None) if gone or len(each.topics) > 1]
        return self._taken(found[-1]) if found else None

    def take_process(self, process: str) -> int | None:
        """The number of the last change that told of a process; None when none did."""
        found = list(self._of(None, process))
        return self._taken(found[-1]) if found else None

    def pass_over_registrations(self) -> None:
        """Take the changes that tell of components: a server of ours has them, and a look shows all that they mean."""
        for each in [change for change in self._changes.values() if change.session is not None and not change.topics]:
            self._taken(each)

    def pass_over_late(self, untold: "Counter[Known]") -> None:
        """Take the changes that the look before has shown already, though nobody had told of them by then: the look and
        the stream come over two connections. ``untold``: what it showed so; it is used up."""
        for each in list(self._changes.values()):
            who = each.session or each.process
            targets: tuple[str | None, ...] = each.topics if len(each.topics) == 1 else (None,)
            known = next((key for key in ((who, targets[0]), (who, None)) if untold[key] > 0), None)
            if known is not None:
                untold[known] -= 1
                self._taken(each)

    def sources(self) -> tuple[list[str], list[str]]:
        """The sessions and the processes that are named, in order."""
        sessions = dict.fromkeys(each.session for each in self._changes.values() if each.session is not None)
        processes = dict.fromkeys(each.process for each in self._changes.values() if each.process is not None)
        return list(sessions), list(processes)

    @property
    def left(self) -> int:
        return len(self._changes)

    def _taken(self, change: Change) -> int:
        del self._changes[change.number]
        return change.number
