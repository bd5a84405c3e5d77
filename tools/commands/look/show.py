"""``show``: the graph as it was at a moment."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner, in_order
from ezmsg.ledger.projections.graph.records import SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.natural_order import natural, natural_edge
from ezmsg.ledger.projections.questions.moments.last_built import last_built
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.moments.times import length_text, time_text
from ezmsg.ledger.projections.questions.paths.relays import has_bridges, loops_in
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import asked_moment, opened, shortened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, listed, table
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.documents import state_document
from ezmsg.ledger.tools.text.event_words import OBSERVER
from ezmsg.ledger.tools.text.phrases import breaks_off, how_text, loop_text
from ezmsg.ledger.tools.text.value_text import misfit_text, settings_text
from ezmsg.ledger.values import tag_of
from ezmsg.ledger.wording import count

BESIDE = "recorded by an observer: publishers and subscribers, and where connections come from, are not seen"
"""Said of a state that was recorded beside a server which is not ours."""

EDGES_MAX = 60
"""Edges that are shown one per line; of a larger graph, one line per source topic."""

ROWS_MAX = 60
"""Lines of one section, unless all are wanted: more than two screens are not read, they are searched."""

TARGETS_MAX = 4
"""Targets of one source topic that a line of a large graph names."""

OWNERS_MAX = 2
"""And owners of its edges."""


@options.ledger
@options.at("The moment to look at.")
@flag("--full", help="Every edge, every field, every endpoint, and all nanoseconds.")
@flag("--json", help="One JSON document, under ezmsg's own names.")
def show(ledger: Path | None, at: str, full: bool, json: bool) -> None:
    """Shows sessions and what they hold, the edges with their owners, components with the process that ran them, the
    settings in force, and the endpoints, as they were just after a moment.

    A moment is a seq (42), a time (14:03:20, 2026-11-24T14:03:20+01:00), an age (-5m, from now while somebody records,
    else from the last event), start, end, mark:NAME, session:ID, run:N or run:last.

    Examples:
      ezmsg-ledger show
      ezmsg-ledger show run.ledger --at 14:03:20
      ezmsg-ledger show --at mark:baseline --full
      ezmsg-ledger show --at 42 --json | jq .settings
    """
    page = Page()
    with opened(ledger, page) as timeline:
        moment = asked_moment(timeline, at)
        state = timeline.at(moment)
        if json:
            page.document(state_document(timeline, moment, state))
        else:
            Picture(page, timeline, state, full).draw(moment)
        page.note_unknown(state.unknown)


class Picture:
    """A state, section by section."""

    def __init__(self, page: Page, timeline: Timeline, state: GraphState, full: bool) -> None:
        self._page = page
        self._timeline = timeline
        self._state = state
        self._full = full

    def draw(self, moment: Moment) -> None:
        """Print all that there is; sections without anything are left out."""
        self._head(moment)
        self._sessions()
        self._edges()
        self._components()
        self._settings()
        self._endpoints()
        self._requests()
        if self._state.run is None or not self._state.ownership.nodes:
            self._before()

    def _head(self, moment: Moment) -> None:
        state, timeline = self._state, self._timeline
        when = f", {self._time(state.time)}" if state.seq else ""
        self._page.line(("head", f"{shortened(timeline.ledger.location)} at seq {state.seq}{when}"), how_text(moment))
        run = timeline.landmarks.run_at(state.seq)
        if run is None:
            return
        if state.run is None:
            how = "was lost" if run.ending == "lost" else "had ended"
            self._page.line(f"run {run.number} {how}")
            return
        record = state.run[1]
        at = f", at {record.address}" if record.address else ""
        passed = timeline.landmarks.readings.elapsed(run.start, record.started, state.seq, state.time)
        since = f"{length_text(*passed)} after its start" if state.seq != run.start else "just begun"
        self._page.line(f'run {run.number}: "{record.name}" on {record.host} (pid {record.pid}){at}, {since}')
        if record.kind == OBSERVER:
            self._page.line(("dim", BESIDE))
        if state.paused:
            self._page.line(("warn", "the graph was paused"))
        if state.seq == timeline.ledger.head and timeline.damage is None:
            goes_on = timeline.ledger.being_written
            ends = breaks_off(run.number, timeline.ledger)
            self._page.line(("dim", "the recording goes on") if goes_on else ("warn", ends))

    def _section(self, title: str, rows: Iterable[str], more: str = "") -> None:
        lines = list(rows)
        if not lines:
            return
        self._page.line()
        self._page.line(("head", title))
        self._page.some(lines, None if self._full else ROWS_MAX, "more lines (--full)")
        if more:
            self._page.line(("dim", f"  {more}"))

    # --- sections ----------------------------------------------------------------------------------------------------

    def _sessions(self) -> None:
        state = self._state
        rows = []
        for key, record in state.sessions.items():
            registration = state.registrations.get(key)
            held = [count(len(state.ownership.held(key)), "edge")]
            held += [count(len(registration.components), "component")] if registration is not None else []
            label = f'"{record.label}"' if record.label else ""
            rows.append([str(key), label, record.peer or "", f"since {self._since(record.opened)}", ", ".join(held)])
        self._section(count(len(rows), "session"), table(rows))

    def _edges(self) -> None:
        state = self._state
        edges = dict(sorted(state.ownership.edges(), key=lambda item: natural_edge(item[0])))
        sole = set(edges.values())
        title = f"{count(len(edges), 'edge')}, {count(len(state.ownership.nodes), 'topic')}"
        if len(sole) == 1:
            title += f", all held by {names.owners(state, next(iter(sole)))}"
        one_by_one = self._full or len(edges) <= EDGES_MAX
        rows = self._edge_rows(edges, len(sole) > 1) if one_by_one else self._source_rows(edges, len(sole) > 1)
        self._section(title, rows)
        for loop in loops_in(state):
            self._page.line("  ", ("warn", loop_text(loop)))

    def _edge_rows(self, edges: dict[EdgeKey, frozenset[Owner]], owned: bool) -> list[str]:
        """One line per edge, below the component that it comes from."""
        rows = []
        width = max((len(_leaf(edge[0])) + len(edge[1]) for edge in edges), default=0)
        before = None
        for from_topic, to_topic in sorted(edges, key=lambda edge: natural(_component(edge[0]))):
            component = _component(from_topic)
            if component != before:
                rows.append(component)
                before = component
            arrow = f"  {_leaf(from_topic)} -> {to_topic}"
            owners = names.owners(self._state, edges[from_topic, to_topic])
            rows.append(f"{arrow:<{width + 6}}  {owners}" if owned else arrow)
        return rows

    def _source_rows(self, edges: dict[EdgeKey, frozenset[Owner]], owned: bool) -> list[str]:
        """One line per source topic, for graphs that would not fit otherwise."""
        targets: dict[str, list[str]] = {}
        owners: dict[str, set[Owner]] = {}
        for (from_topic, to_topic), holders in edges.items():
            targets.setdefault(from_topic, []).append(to_topic)
            owners.setdefault(from_topic, set()).update(holders)
        return [
            f"{topic} -> {listed(found, TARGETS_MAX)}" + (f"  [{self._some_owners(owners[topic])}]" if owned else "")
            for topic, found in targets.items()
        ]

    def _some_owners(self, owners: set[Owner]) -> str:
        return listed([names.owner(self._state, owner) for owner in in_order(owners)], OWNERS_MAX)

    def _components(self) -> None:
        state = self._state
        rows = []
        for registration in state.registrations.values():
            for key, component in registration.components.items():
                process = state.units.get(component["address"])
                kind = str(component.get("component_type", "")).rpartition(".")[2]
                what = "unit" if tag_of(component) == "UnitMetadata" else "collection"
                where = names.process(state, process) if process is not None else "no process" if what == "unit" else ""
                rows.append([key, f"{kind} ({what})", where])
        known = {row[0] for row in rows}
        rows += [[unit, "(not registered)", names.process(state, process)] for unit, process in state.units.items()
                 if unit not in known]  # fmt: skip
        idle = [names.process(state, key) for key, record in state.processes.items() if not record.units]
        what = "only relays" if has_bridges(state) else "without units"
        more = f"{what}: {', '.join(idle)}" if idle else ""
        self._section(
            f"{count(len(rows), 'component')}, {count(len(state.processes), 'process', 'processes')}", table(rows), more
        )
        if more and not rows:
            self._section(count(len(idle), "process", "processes"), idle)

    def _settings(self) -> None:
        rows = []
        plain = 0
        for address, setting in self._state.settings.items():
            text = settings_text(setting.value, None if self._full else 6, whole=self._full)
            text += misfit_text(setting.value)
            if text or self._full:
                rows.append([address, self._source(setting), text or "none"])
            else:
                plain += 1
        more = f"{count(plain, 'component')} without settings" if plain and rows else ""
        self._section("settings in force", table(rows), more)

    def _source(self, setting: SettingRecord) -> str:
        return f"{names.source(self._state, setting)}{',' if setting.process is None else ' at'} seq {setting.since}"

    def _endpoints(self) -> None:
        state = self._state
        kinds: dict[str, int] = {}
        for record in state.endpoints.values():
            kinds[record.kind] = kinds.get(record.kind, 0) + 1
        title = ", ".join(count(number, kind) for kind, number in sorted(kinds.items(), key=_kind_order))
        rows = []
        for key, record in state.endpoints.items():
            if self._full or record.stalled or record.kind == "publisher":
                stalled = "STALLED: did not take a change of its publishers" if record.stalled else ""
                at = record.advertised or record.declared or record.peer or ""
                rows.append([names.endpoint_of(state, key, record), at, stalled])
        self._section(title, table(rows) or ([""] if kinds else []))

    def _requests(self) -> None:
        rows = [
            f"{record.operation} on {record.unit} for {names.session(self._state, record.session)}, "
            f"since {self._since(record.routed)}"
            for record in self._state.requests.values()
        ]
        self._section("requests without an answer", rows)

    def _before(self) -> None:
        """Say where more was: after a teardown little is left, and that is rarely what somebody wanted to see."""
        ledger, state = self._timeline.ledger, self._state
        built = last_built(ledger, state.seq)
        now = sum(1 for _ in state.ownership.edges())
        then = sum(1 for _ in self._timeline.at(built).ownership.edges())
        if not now:
            self._page.line()
            self._page.line("nothing is connected at this moment" + ("" if then else ", and nothing was before"))
        if then > now:
            self._page.line()
            self._page.line(f"before it was torn down, the graph had {count(then, 'edge')}:")
            self._page.line(f"  ezmsg-ledger show {shlex.quote(shortened(ledger.location))} --at {built}")

    def _time(self, time: int) -> str:
        return time_text(time, self._timeline.zone, 9 if self._full else 3)

    def _since(self, time: int) -> str:
        """The time of day with its offset, where the day is the one that the head names."""
        text, head = self._time(time), self._time(self._state.time)
        return text[11:] if text[:10] == head[:10] else text


def _component(topic: str) -> str:
    return topic.rpartition("/")[0] or topic


def _leaf(topic: str) -> str:
    return topic.rpartition("/")[2]


def _kind_order(item: tuple[str, int]) -> int:
    return ("publisher", "subscriber", "channel").index(item[0])
