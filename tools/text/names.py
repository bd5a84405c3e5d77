"""The names of sessions, processes, endpoints and owners in sentences and tables."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner, in_order
from ezmsg.ledger.projections.graph.records import EndpointRecord, ProcessRecord, SessionRecord, SettingRecord
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark

PERSISTENT = "persistent"


class Names(Protocol):
    """Records of what has a name, by their ids: a graph state, or a whole history."""

    @property
    def runs(self) -> Mapping[int, Any]: ...
    @property
    def sessions(self) -> Mapping[int, Any]: ...
    @property
    def processes(self) -> Mapping[int, Any]: ...
    @property
    def endpoints(self) -> Mapping[int, Any]: ...
    @property
    def run(self) -> tuple[int, Any] | None: ...


def session(state: Names, key: int) -> str:
    """``session 5 "SYSTEM"``, or where it came from while it has no label; the id alone once it is gone."""
    record = state.sessions.get(key)
    return f"session {key}" if record is None else session_of(key, record)


def session_of(key: int, record: SessionRecord | SessionMark) -> str:
    if record.label:
        return f'session {key} "{record.label}"'
    return f"session {key} ({record.peer})" if record.peer else f"session {key}"


def owner(state: Names, key: Owner) -> str:
    """A session, or ezmsg's owner that is none."""
    return PERSISTENT if key is None else session(state, key)


def owners(state: Names, keys: Iterable[Owner]) -> str:
    """Several owners, the persistent one first, then sessions as they came."""
    return ", ".join(owner(state, key) for key in in_order(keys))


def process(state: Names, key: int) -> str:
    """``process 12 (pid 4711)``, with the host where that is not the server's."""
    record = state.processes.get(key)
    return f"process {key}" if record is None else process_of(state, key, record)


def process_of(state: Names, key: int, record: ProcessRecord) -> str:
    if record.pid is None:
        return f"process {key} ({record.peer})" if record.peer else f"process {key}"
    here = state.run[1].host if state.run is not None else None
    host = f" on {record.host}" if record.host is not None and record.host != here else ""
    return f"process {key} (pid {record.pid}{host})"


def endpoint(state: Names, key: int) -> str:
    """``publisher 17 of A/OUT``; for a channel, the publisher that it leads to."""
    record = state.endpoints.get(key)
    return f"endpoint {key}" if record is None else endpoint_of(state, key, record)


def endpoint_of(state: Names, key: int, record: EndpointRecord) -> str:
    topic = topic_of(state, record)
    if record.kind == "channel":
        return f"channel {key} to publisher {record.publisher}" + (f" of {topic}" if topic else "")
    return f"{record.kind} {key} of {topic}"


def topic_of(state: Names, record: EndpointRecord) -> str | None:
    """The topic of an endpoint; a channel's is its publisher's, None once that is gone."""
    if record.publisher is None:
        return record.topic
    publisher = state.endpoints.get(record.publisher)
    return None if publisher is None else publisher.topic


def actor(state: Names, key: int | None, peer: str | None) -> str:
    """The sender of a command: a session, a process, or a connection that is neither."""
    if key is None:
        return peer or "somebody"
    if key in state.processes:
        return process(state, key)
    return session(state, key)


def by_uuid(state: Names, uuid: str) -> str:
    """The name of a session or process that is known by its UUID; ``persistent`` stays as it is."""
    for key, record in state.sessions.items():
        if record.uuid == uuid:
            return session_of(key, record)
    for key, process_record in state.processes.items():
        if process_record.uuid == uuid:
            return process_of(state, key, process_record)
    return uuid


def source(state: Names, setting: SettingRecord) -> str:
    """The origin of a value that is in force: the process that reported it, or the registration of its component."""
    return "initial" if setting.process is None else f"reported by {process(state, setting.process)}"


def edge(key: EdgeKey) -> str:
    return f"{key[0]} -> {key[1]}"


def topic_at(state: Names, key: int) -> str | None:
    """The topic of an endpoint by its id; None when it is gone."""
    record = state.endpoints.get(key)
    return None if record is None else topic_of(state, record)
