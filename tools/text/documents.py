"""The JSON documents of the commands that look. docs/cli.md describes each; names are ezmsg's where ezmsg has one."""

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET
from msgspec.structs import asdict

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.records import EndpointRecord, ProcessRecord, SessionRecord, SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.snapshot import edge_owners, owner_names
from ezmsg.ledger.projections.lifetimes.landmarks import Run
from ezmsg.ledger.projections.questions.answers import Answer, Life, SettingChange, SettingDoubt
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.paths.relays import loops_in
from ezmsg.ledger.projections.questions.timeline import Timeline

Document = dict[str, Any]


def ledger_document(timeline: Timeline) -> Document:
    """The ledger, by its place and its id: every document begins so."""
    return {"ledger": timeline.ledger.location, "id": timeline.ledger.id}


def moment_document(moment: Moment) -> Document:
    return {"text": moment.text, "how": moment.how, "seq": moment.seq, "time": moment.time}


def run_document(run: Run) -> Document:
    return {
        "number": run.number,
        "id": run.start,
        "name": run.name,
        "started": run.began,
        "last_seq": run.end,
        "ended": run.ended,
        "reason": run.ending,
    }


def state_document(timeline: Timeline, moment: Moment, state: GraphState) -> Document:
    """The document of ``show --json``. Cost: O(state log state)."""
    run = timeline.landmarks.run_at(state.seq)
    return {
        **ledger_document(timeline),
        "moment": moment_document(moment),
        "seq": state.seq,
        "time": state.time,
        "run": None if run is None else run_document(run),
        "paused": state.paused,
        "unknown": state.unknown,
        "graph": state.ownership.graph(),
        "edge_owners": [
            {"from_topic": edge.from_topic, "to_topic": edge.to_topic, "owners": owners}
            for edge, owners in edge_owners(state).items()
        ],
        "sessions": {
            record.uuid: {
                **session_document(key, record),
                "edges": [edge_document(edge) for edge in state.ownership.held(key)],
                "metadata": state.registrations[key].metadata if key in state.registrations else None,
            }
            for key, record in state.sessions.items()
        },
        "processes": {record.uuid: process_document(key, record) for key, record in state.processes.items()},
        "settings": {address: setting_document(state, setting) for address, setting in state.settings.items()},
        "endpoints": [endpoint_document(key, record) for key, record in state.endpoints.items()],
        "loops": loops_in(state),
        "requests": [
            {
                "id": key,
                **asdict(record),
                "session": _uuid(state.sessions, record.session),
                "process": _uuid(state.processes, record.process),
            }
            for key, record in state.requests.items()
        ],
    }


def edge_document(edge: EdgeKey) -> Document:
    return {"from_topic": edge[0], "to_topic": edge[1]}


def session_document(key: int, record: SessionRecord) -> Document:
    return {
        "id": key,
        "uuid": record.uuid,
        "label": record.label,
        "peer": record.peer,
        "opened": record.opened,
    }


def process_document(key: int, record: ProcessRecord) -> Document:
    return {
        "id": key,
        "process_id": record.uuid,
        "pid": record.pid,
        "host": record.host,
        "units": record.units,
        "peer": record.peer,
        "opened": record.opened,
    }


def endpoint_document(key: int, record: EndpointRecord) -> Document:
    return {"id": key, **asdict(record)}


def setting_document(state: GraphState, setting: SettingRecord) -> Document:
    """A settings value under ezmsg's names, its values in the form of docs/FORMAT.md, and where it comes from."""
    return {
        **value_document(setting.value),
        "session": _uuid(state.sessions, setting.session),
        "process": _uuid(state.processes, setting.process),
        "since": setting.since,
    }


def value_document(value: SettingsValue) -> Document:
    return {**asdict(value), "settings_schema": None if value.settings_schema is UNSET else value.settings_schema}


def owner_documents(state: GraphState, owners: frozenset[Owner]) -> list[str]:
    """Owners as in ezmsg's snapshots: ``persistent``, then UUIDs."""
    return owner_names(owners, {owner: state.sessions[owner].uuid for owner in owners if owner is not None})


def _uuid(records: Any, key: int | None) -> str | None:
    record = None if key is None else records.get(key)
    return None if record is None else str(record.uuid)


# --- answers, as the commands and the debugger give them -------------------------------------------------------------


def answer_document(timeline: Timeline, answer: Answer) -> Document:
    """An answer of the timeline, with the ledger that it is about."""
    return {**ledger_document(timeline), **answer.to_dict()}


def history_document(timeline: Timeline, subject: str, end: Moment) -> Document:
    """The document of ``history --json``, whole."""
    answer = timeline.history(subject)
    return {**answer_document(timeline, answer), "placement": placement_document(timeline, answer.subject, end)}


def history_documents(timeline: Timeline, subject: str, end: Moment) -> tuple[Document, Iterator[Life], Document]:
    """The document of ``history --json`` in parts: what precedes its ``lives``, these in turn, and what follows."""
    answer, lives = timeline.history_in_turn(subject)
    after = answer.to_dict()
    before = {**ledger_document(timeline), "subject": after.pop("subject")}
    del after["lives"]
    return before, lives, {**after, "placement": placement_document(timeline, answer.subject, end)}


def placement_document(timeline: Timeline, subject: str, end: Moment) -> Document | None:
    """The processes that a unit ran in, and what changed in its settings there; None for any other subject."""
    kind, _, unit = subject.partition(" ")
    if kind != "unit":
        return None
    placement = timeline.placement(unit, end).to_dict()
    for stay, changes in zip(placement["stays"], stay_changes(timeline, unit, end), strict=True):
        stay["settings_changes"] = [
            {"seq": each.seq, "time": each.time, "how": each.how, "fields": [one.to_dict() for one in each.fields]}
            for each in changes
        ]
    return placement


def stay_changes(timeline: Timeline, unit: str, end: Moment, *, whole: bool = False) -> list[list[SettingChange]]:
    """The stays of a unit in processes, each with the changes of its settings while it was there."""
    stays = timeline.placement(unit, end).stays
    if unit not in timeline.asked(lambda lifetimes: lifetimes.names("setting")):
        return [[] for _ in stays]
    changes = timeline.setting(unit, None, end, whole=whole).changes
    return [
        [each for each in changes if stay.born < each.seq and (stay.died is None or each.seq < stay.died)]
        for stay in stays
    ]


def doubts_document(timeline: Timeline, moment: Moment, doubts: list[SettingDoubt]) -> Document:
    """The document that ``settings --doubts --json`` prints."""
    found = [doubt.to_dict() for doubt in doubts]
    return {**ledger_document(timeline), "moment": moment_document(moment), "doubts": found}


def settings_document(
    timeline: Timeline, moment: Moment, component: str | None, field: str | None, *, whole: bool = False
) -> Document:
    """The document of ``settings --json``: all that is in force, or one component's, with its changes.

    ``whole``: notes on arrays have every element.
    """
    state = timeline.at(moment)
    answer = None if component is None else timeline.setting(component, field, moment, whole=whole)
    shown = state.settings if component is None else {component: state.settings.get(component)}
    return {
        **ledger_document(timeline),
        "moment": moment_document(moment),
        "in_force": {name: each and setting_document(state, each) for name, each in shown.items()},
        "history": None if answer is None else answer.to_dict(),
    }
