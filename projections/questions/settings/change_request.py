"""Requests that are to change one field of a unit's settings, read from their payloads, and the answers to them.

Ezmsg's clients send a pickle of an object with a field's path and a value, and get one of the settings as the process
sent them on to the unit. A ledger comes from anywhere: pickles are read as data, and no class is ever looked up.
"""

from typing import Any, NamedTuple

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.pickles import UnsoundPickle, loads
from ezmsg.ledger.pickles.stand_ins import Global, Inert
from ezmsg.ledger.projections.questions.moments.times import SECOND
from ezmsg.ledger.projections.questions.settings.stored_value import form_of
from ezmsg.ledger.values import Form

UPDATE = "UPDATE_SETTING_FIELD"
"""The operation with which a session asks a process to change one field."""

GRACE = 2 * SECOND
"""The time (ns) by which a report of a new value may follow the answer to its request: they go different ways."""

_MODULE = "ezmsg.core.graphmeta"
_REQUEST = "SettingsFieldUpdateRequest"


class Wish(NamedTuple):
    """A request that ``field`` (a dotted path) be ``value``."""

    field: str
    value: Form


def wish(payload: bytes | None) -> Wish | None:
    """The change that a payload asks for; None for one that ezmsg's clients do not send, or without a plain value.

    Cost: O(size), in Python.
    """
    state = _state(payload, _REQUEST)
    if state is None or type(state.get("field_path")) is not str:
        return None
    try:
        return Wish(state["field_path"], form_of(state.get("value")))
    except InvalidValue:
        return None


def request_for(field: str, value: str) -> bytes:
    """The payload that asks for ``field`` to be the text ``value``: what ``wish`` reads. No class is needed for it."""
    name = f"c{_MODULE}\n{_REQUEST}\n".encode()
    parts = b"".join(_unicode(text) for text in ("field_path", field, "value", value))
    return b"\x80\x02" + name + b")\x81}(" + parts + b"ub."


def _unicode(text: str) -> bytes:
    data = text.encode("utf-8")
    return b"X" + len(data).to_bytes(4, "little") + data


def answered(payload: bytes | None) -> SettingsValue | None:
    """The settings that an answer holds: what the process sent on to the unit; None where it holds none that is whole.

    Cost: O(size), in Python.
    """
    state = _state(payload, "SettingsSnapshotValue")
    if state is None:
        return None
    serialized = state.get("serialized")
    try:
        shown, structured = form_of(state.get("repr_value")), form_of(state.get("structured_value"))
    except InvalidValue:
        return None
    return SettingsValue(serialized if type(serialized) is bytes else None, shown, structured)


def _state(payload: bytes | None, name: str) -> dict[str, Any] | None:
    """The attributes of an object of one of ezmsg's classes; None for bytes that are something else."""
    if payload is None:
        return None
    try:
        found = loads(payload)
    except UnsoundPickle:
        return None  # cut at its bound, or another program's
    if type(found) is not Inert or found.maker != Global(_MODULE, name) or found.args or len(found.steps) > 1:
        return None
    return found.state if type(found.state) is dict else None
