"""Ending a session or a process that will not end by itself, because a person asked for it."""

from typing import Any, Protocol

from ezmsg.ledger.runtime.live import LiveGraph


class Member(Protocol):
    """The connection of a session or a process."""

    def evict(self, detail: str) -> None:
        """End it now; ``detail`` is recorded."""


class NotFound(Exception):
    """A request names no session or process, or more than one. The text says what there is."""


def evict(live: LiveGraph, members: dict[str, Member], wanted: str, by: str) -> dict[str, Any]:
    """End the session (its id, label, or the beginning of its UUID) or process (also its pid) that is ``wanted``.

    Returns what it was. Raises NotFound.
    """
    state = live.state
    found: list[tuple[str, int, str, str | None, str | None]] = []
    for key, session in state.sessions.items():
        if wanted in (str(key), session.label) or _begins(session.uuid, wanted):
            found.append(("session", key, session.uuid, session.label, session.peer))
    for key, process in state.processes.items():
        if wanted in (str(key), str(process.pid)) or _begins(process.uuid, wanted):
            found.append(("process", key, process.uuid, f"pid {process.pid}", process.peer))
    exact = [each for each in found if str(each[1]) == wanted]
    found = exact or found
    if not found:
        there = [f"session {key} {record.label or ''}".strip() for key, record in state.sessions.items()]
        there += [f"process {key} (pid {record.pid})" for key, record in state.processes.items()]
        raise NotFound(f"there is no session or process {wanted!r}; there is {', '.join(there) or 'nobody'}")
    if len(found) > 1:
        raise NotFound(f"{wanted!r} can be {' or '.join(f'{kind} {key}' for kind, key, *_ in found)}: name its id")
    kind, key, uuid, label, peer = found[0]
    if uuid not in members:
        raise NotFound(f"{kind} {key} has no connection of this server")
    members[uuid].evict(f"evicted by {by}")
    return {"kind": kind, "id": key, "uuid": uuid, "label": label, "peer": peer}


UUID_MIN = 4
"""Characters of a UUID that name somebody."""


def _begins(uuid: str, wanted: str) -> bool:
    return len(wanted) >= UUID_MIN and uuid.startswith(wanted)
