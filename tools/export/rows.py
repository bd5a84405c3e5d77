"""A state, and events, as rows: what JSON Lines and tables are made of."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import in_order
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.text import documents, names

Row = dict[str, Any]

STATE_COLUMNS: dict[str, type] = {
    "what": str,
    "id": int,
    "name": str,
    "from_topic": str,
    "to_topic": str,
    "owners": list,
    "session": int,
    "process": int,
    "label": str,
    "peer": str,
    "host": str,
    "pid": int,
    "since": int,
    "value": str,
}
"""The columns of a state's table, each with the type of its values; any may be missing (None)."""

_SCALARS: dict[Any, type] = {int: int, str: str, bool: bool}


def _event_columns() -> dict[str, type]:
    """Every field that is one number, text or truth value in all event types that have it."""
    found: dict[str, set[type | None]] = {}
    for cls in ev.EVENT_TYPES.values():
        for name, hint in get_type_hints(cls).items():
            kinds = {*(get_args(hint) if isinstance(hint, UnionType) else (hint,))} - {NoneType}
            found.setdefault(name, set()).add(_SCALARS.get(kinds.pop()) if len(kinds) == 1 else None)
    return {name: kind for name, kinds in found.items() if len(kinds) == 1 and (kind := kinds.pop()) is not None}


def event_columns() -> dict[str, type]:
    """The columns of a table of events: type, seq and time; every field of any type that is one plain value; and
    ``event``, the whole of it as it stands in the ledger (JSON)."""
    plain = _event_columns()
    first = {"seq": int, "time": int, "type": str}
    return {**first, **{name: kind for name, kind in sorted(plain.items()) if name not in first}, "event": str}


def state_rows(state: GraphState) -> Iterator[Row]:
    """Yield all that is in a state, a row each: ``what`` is edge, session, component, setting, process, publisher,
    subscriber, channel or request; ids are the seqs of the opening events, ``session`` and ``process`` such ids."""
    for edge, owners in sorted(state.ownership.edges()):
        held = [names.owner(state, owner) for owner in in_order(owners)]
        yield {"what": "edge", "from_topic": edge[0], "to_topic": edge[1], "owners": held}
    for key, record in state.sessions.items():
        yield {"what": "session", "id": key, "name": record.uuid, "label": record.label, "peer": record.peer}
    for address, session in state.components.items():
        form = state.registrations[session].components[address]
        yield {"what": "component", "name": address, "session": session, "value": _json(form)}
    for address, setting in state.settings.items():
        value = documents.value_document(setting.value)
        place = {"session": setting.session, "process": setting.process, "since": setting.since}
        yield {"what": "setting", "name": address, **place, "value": _json(value)}
    for key, process in state.processes.items():
        row: Row = {"what": "process", "id": key, "name": process.uuid, "peer": process.peer}
        yield {**row, "host": process.host, "pid": process.pid, "value": _json(process.units)}
    for key, endpoint in state.endpoints.items():
        topic = names.topic_of(state, endpoint)
        yield {"what": endpoint.kind, "id": key, "name": topic, "label": endpoint.uuid, "peer": endpoint.peer}
    for key, request in state.requests.items():
        place = {"session": request.session, "process": request.process}
        yield {"what": "request", "id": key, "name": request.unit, "label": request.operation, **place}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")
