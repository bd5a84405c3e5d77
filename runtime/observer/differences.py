"""From the state that was recorded to what a look shows, by ordinary events: the steps of an observer.

The idea: a look is the truth of its moment, and what was told since the look before says who did it. Whatever differs
and was told is an event like any other. What differs and was not told (a session that came, a second owner) is an event
with ``observed``, or an end with the reason ``unseen``. What was told and does not differ any more was undone before it
could be seen: how much of that there was stands in a ``gap``.
"""

from collections import Counter
from collections.abc import Iterable
from math import inf
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.closings import UNSEEN
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.runtime.client.look import Look, SeenProcess
from ezmsg.ledger.runtime.observer.news import Known, Report, Told
from ezmsg.ledger.values import same

NOT_SEEN = "how is not seen from outside"
"""The detail of an end that an observer records."""

NEVER_SEEN = "it came and went between two looks"
"""The detail of the end of something that no look has shown."""

Steps = list[ev.Event]


class Differences:
    """The steps from ``state`` to ``look``, given what was ``told`` and the ``reports`` of settings since.

    First commit ``openings``, fold them, then what ``changes`` returns, and at last what ``settings`` returns.
    ``first``: it is the first look of a run, and all that it shows was there before. Cost: O(both).
    """

    def __init__(self, state: GraphState, look: Look, told: Told, reports: list[Report], *, first: bool) -> None:
        self._state = state
        self._look = look
        self._told = told
        self._reports = reports
        self._first = first
        self.untold: Counter[Known] = Counter()
        """The changes that ``changes`` has found and nobody had told of: the stream may tell them late."""
        named, running = told.sources()
        known = {record.uuid for record in state.sessions.values()}
        open_processes = {record.uuid for record in state.processes.values()}
        reporting = [each.process for each in reports if each.process is not None]
        self._brief = {uuid for uuid in named if uuid not in known and uuid not in look.sessions}
        self._brief_processes = {
            uuid for uuid in (*running, *reporting) if uuid not in open_processes and uuid not in look.processes
        }
        if first:  # what was told is history, of which nothing is taken over
            self._brief, self._brief_processes = set(), set()

    # --- what has come -----------------------------------------------------------------------------------------------

    def openings(self) -> Steps:
        """The openings of all sessions and processes that are not open yet."""
        known = {record.uuid for record in self._state.sessions.values()}
        running = {record.uuid for record in self._state.processes.values()}
        _, told = self._told.sources()
        return [
            *(ev.SessionOpened(uuid=uuid, observed=True) for uuid in self._look.sessions if uuid not in known),
            *(ev.SessionOpened(uuid=uuid, observed=True) for uuid in sorted(self._brief)),
            *(
                ev.ProcessOpened(uuid=uuid, observed=self._first or uuid not in told)
                for uuid in (*self._look.processes, *sorted(self._brief_processes))
                if uuid not in running
            ),
        ]

    # --- what has changed, once that is open -------------------------------------------------------------------------

    def changes(self) -> Steps:
        """Find the rest, in an order to be folded in; ``state`` has the openings. ``told`` loses what it explains."""
        self._sessions = {record.uuid: key for key, record in self._state.sessions.items()}
        self._processes = {record.uuid: key for key, record in self._state.processes.items()}
        self._told.pass_over_registrations()
        reports = [] if self._first else self._reported(self._reports)
        cleared = self._cleared()
        graph = [*self._closed_sessions(), *((number, event) for number, event in cleared.values())]
        graph += self._edges(set(cleared))
        graph.sort(key=lambda step: step[0])
        return [
            *reports,
            *(event for _, event in graph),
            *self._closed_processes(),
            *self._units(),
            *self._registered(set(cleared)),
        ]

    def _reported(self, reports: Iterable[Report], observed: bool = False) -> Steps:
        steps: Steps = []
        schemas = {name: setting.value.settings_schema for name, setting in self._state.settings.items()}
        for each in reports:
            process = self._processes.get(each.process or "")
            if process is None or each.value is None or each.initial:
                continue
            value = each.value
            if each.component in schemas and same(schemas[each.component], value.settings_schema):
                value = replace(value, settings_schema=UNSET)
            schemas[each.component] = each.value.settings_schema
            steps.append(
                ev.SettingsUpdated(
                    process=process,
                    component=each.component,
                    value=value,
                    reported_at=each.time,
                    observed=observed,
                )
            )
        return steps

    def _closed_sessions(self) -> list[tuple[float, ev.Event]]:
        steps: list[tuple[float, ev.Event]] = []
        there = set(self._look.sessions)
        for uuid, key in self._sessions.items():
            if uuid in there:
                continue
            number = self._told.take_release(uuid, gone=True)
            held = self._state.ownership.held(key) or key in self._state.registrations
            if uuid in self._brief:
                closed = ev.SessionClosed(session=key, reason=UNSEEN, detail=NEVER_SEEN)
            elif held or number is not None:
                closed = ev.SessionClosed(session=key, reason=UNSEEN, detail=NOT_SEEN)
            else:
                closed = ev.SessionClosed(session=key, reason="closed")
            self._count(number, uuid, None)
            steps.append((inf if number is None else number, closed))
        return steps

    def _cleared(self) -> dict[str, tuple[float, ev.Event]]:
        """The sessions that gave up all they held and are still there, by UUID, each with its step."""
        found: dict[str, tuple[float, ev.Event]] = {}
        for uuid in self._look.sessions:
            key = self._sessions[uuid]
            number = self._told.take_release(uuid, gone=False)
            unregistered = key in self._state.registrations and uuid not in self._look.registrations
            held = self._state.ownership.held(key)
            vanished = [edge for edge in held if len(self._state.ownership.owners(edge)) == 1]
            targets = {to_topic for _, to_topic in vanished}
            # Several edges that went and were told as one change: nothing but giving up all does that.
            at_once = len(vanished) > 1 and not any(uuid in self._look.edges.get(edge, ()) for edge in held)
            if number is not None or unregistered or (at_once and len(targets) == 1 and self._told.count(uuid) == 1):
                if number is None and len(targets) == 1:
                    number = self._told.take(uuid, *targets)
                self._count(number, uuid, None)
                found[uuid] = (-1 if number is None else number, ev.SessionCleared(session=key))
        return found

    def _edges(self, cleared: set[str]) -> list[tuple[float, ev.Event]]:
        steps: list[tuple[float, ev.Event]] = []
        uuids = {key: uuid for uuid, key in self._sessions.items()}
        held = {
            (edge, None if owner is None else uuids[owner])
            for edge, owners in self._state.ownership.edges()
            for owner in owners
        }
        held = {hold for hold in held if hold[1] is None or hold[1] in self._look.sessions}
        held = {hold for hold in held if hold[1] not in cleared}
        shown = {(edge, owner) for edge, owners in self._look.edges.items() for owner in owners}
        # The owner may be gone from the list of sessions already: two questions, one after the other.
        shown = {hold for hold in shown if hold[1] is None or hold[1] in self._sessions}
        places = {topic: place for place, topic in enumerate(self._look.nodes)}
        for edge, owner in sorted(held - shown, key=_order):
            number = self._told.take(owner, edge[1])
            key = None if owner is None else self._sessions[owner]
            self._count(number, owner, edge[1])
            why = None if number is not None else UNSEEN
            gone = ev.EdgeDisconnected(from_topic=edge[0], to_topic=edge[1], owner=key, reason=why)
            steps.append((inf if number is None else number, gone))
        came = sorted(shown - held, key=lambda hold: (max(places[topic] for topic in hold[0]), _order(hold)))
        for edge, owner in came:
            number = None if self._first else self._told.take(owner, edge[1])
            key = None if owner is None else self._sessions[owner]
            self._count(number, owner, edge[1])
            come = ev.EdgeConnected(from_topic=edge[0], to_topic=edge[1], owner=key, observed=number is None)
            steps.append((inf if number is None else number, come))
        return steps

    def _count(self, number: int | None, who: str | None, target: str | None) -> None:
        self.untold[who, target] += number is None and not self._first

    # --- processes ---------------------------------------------------------------------------------------------------

    def _closed_processes(self) -> Steps:
        steps: Steps = []
        for uuid, key in self._processes.items():
            if uuid not in self._look.processes:
                self._count(self._told.take_process(uuid), uuid, None)
                detail = NEVER_SEEN if uuid in self._brief_processes else NOT_SEEN
                steps.append(ev.ProcessClosed(process=key, reason=UNSEEN, detail=detail))
        return steps

    def _units(self) -> Steps:
        """First what is let go of: a unit may have moved from one process to another."""
        gone: Steps = []
        come: Steps = []
        for uuid, seen in self._look.processes.items():
            key = self._processes[uuid]
            record = self._state.processes[key]
            before, now = set(record.units), set(seen.units)
            if before != now:
                self._count(self._told.take_process(uuid), uuid, None)
            removed = tuple(sorted(before - now))
            if (record.pid, record.host) != (seen.pid, seen.host):
                if removed:
                    gone.append(ev.ProcessOwnershipChanged(process=key, added=(), removed=removed))
                come.append(_registered(key, seen))
            elif now - before:
                if removed:
                    gone.append(ev.ProcessOwnershipChanged(process=key, added=(), removed=removed))
                added = tuple(sorted(now - before))
                come.append(ev.ProcessOwnershipChanged(process=key, added=added, removed=()))
            elif removed:
                gone.append(ev.ProcessOwnershipChanged(process=key, added=(), removed=removed))
        return [*gone, *come]

    # --- components --------------------------------------------------------------------------------------------------

    def _registered(self, cleared: set[str]) -> Steps:
        """Registrations that are new or another one, in an order in which no two sessions hold one component."""
        told = {each.session for each in self._reports if each.initial}
        staying: dict[str, Registration] = {}
        waiting: dict[str, Registration] = {}
        for uuid in self._look.sessions:
            before = self._state.registrations.get(self._sessions[uuid])
            now = self._look.registrations.get(uuid)
            if before is not None and uuid not in cleared:
                staying[uuid] = before
            if now is not None and (uuid in cleared or before is None or not same(before.metadata, now.metadata)):
                waiting[uuid] = now
        steps: Steps = []
        while waiting:
            held = {key: uuid for uuid, each in staying.items() for key in each.components}
            free = [uuid for uuid, each in waiting.items() if all(held.get(k, uuid) == uuid for k in each.components)]
            if not free:  # two have changed places
                uuid = next(uuid for uuid in waiting if uuid in staying)
                del staying[uuid]
                steps += self._emptied(uuid)
                continue
            uuid = free[0]
            staying[uuid] = waiting.pop(uuid)
            observed = self._first or uuid not in told
            form = staying[uuid].metadata
            steps.append(ev.MetadataRegistered(session=self._sessions[uuid], metadata=form, observed=observed))
        return steps

    def _emptied(self, uuid: str) -> Steps:
        """A registration of nothing, in place of that which a session has."""
        key = self._sessions[uuid]
        form = self._state.registrations[key].metadata
        return [ev.MetadataRegistered(session=key, metadata={**form, "components": {}}, observed=True)]

    # --- settings, once all else is as it was seen -------------------------------------------------------------------

    def settings(self, reporters: dict[str, Report]) -> tuple[Steps, list[str]]:
        """The settings that are in force and not in the state, and the components of which nobody knows who did it.

        ``reporters``: the last report of each component by a process.
        """
        self._processes = {record.uuid: key for key, record in self._state.processes.items()}
        steps: Steps = []
        odd: list[str] = []
        for component, value in self._look.settings.items():
            setting = self._state.settings.get(component)
            report = reporters.get(component)
            reported = report is not None and report.process in self._processes
            if setting is not None and _alike(setting.value, value) and (not reported or setting.process is not None):
                continue
            process = report.process if report is not None and reported else self._look.units.get(component)
            if process is None:
                odd.append(component)
                continue
            time = report.time if report is not None and reported else 0
            made = Report(0, component, value, time, False, None, process)
            steps += [
                replace(step, reported_at=time or None) if isinstance(step, ev.SettingsUpdated) else step
                for step in self._reported([made], observed=True)
            ]
        odd += [component for component in self._state.settings if component not in self._look.settings]
        return steps, odd


def _alike(a: ev.SettingsValue, b: ev.SettingsValue) -> bool:
    schemas = (None if each.settings_schema is UNSET else each.settings_schema for each in (a, b))
    return (
        a.serialized == b.serialized
        and same(a.repr_value, b.repr_value)
        and same(a.structured_value, b.structured_value)
        and same(*schemas)
    )


def _registered(key: int, seen: SeenProcess) -> ev.Event:
    return ev.ProcessRegistered(process=key, pid=seen.pid, host=seen.host, units=seen.units)


def _order(hold: tuple[tuple[str, str], str | None]) -> Any:
    return hold[0], hold[1] or ""
