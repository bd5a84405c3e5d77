"""The shapes of the answers, as Structs: the OpenAPI file and the page's types are made of them.

Answers are built by the commands' own functions; tests hold what those give against these.
"""

from typing import Any, Literal

from msgspec import Struct

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.drawing.document import Document
from ezmsg.ledger.projections.graph.records import EndpointRecord, SessionRecord
from ezmsg.ledger.projections.lifetimes.clock_readings import Jump
from ezmsg.ledger.projections.questions import answers
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.tools.debugger.api.clocks import Clock
from ezmsg.ledger.tools.debugger.api.density import Bucket
from ezmsg.ledger.tools.debugger.watched import Trouble
from ezmsg.ledger.tools.text.bursts import Line


class Refusal(Struct):
    """The reason why a request was not answered: the error's class, its message, and what to do next."""

    kind: str
    message: str
    hint: str


class Which(Struct, kw_only=True):
    """The ledger that an answer is about: its path and its id."""

    ledger: str
    id: str


class AskedMoment(Struct):
    """``text`` as it was asked for, and ``how`` that was understood. ``time``: ns since the epoch, UTC."""

    text: str
    how: str
    seq: int
    time: int


class Run(Struct):
    """A run of the server. ``id`` is the seq of its first event; times are ns since the epoch, UTC."""

    number: int
    id: int
    name: str
    started: int
    last_seq: int | None
    ended: int | None
    reason: str | None


class SessionLife(Struct):
    """A session from event ``born`` up to the one before ``died`` (null: it lasts)."""

    id: int
    uuid: str
    label: str | None
    peer: str | None
    run: int
    opened: int
    born: int
    died: int | None


class Other(Which, kw_only=True):
    """The ledger that this one can be compared with."""

    head: int


class Ledger(Which, kw_only=True):
    """``epoch`` goes up when what was read before is no longer so. ``written``: somebody records to it now.
    ``refusals`` and ``losses`` are the seqs of the events that say so; of many the last ones are listed. ``clocks``
    tell how much time really passed between two events, ``jumps`` where wall time was set or stood still."""

    name: str
    version: str
    epoch: int
    created: int
    first: int
    head: int
    written: bool
    runs: list[Run]
    sessions: list[SessionLife]
    sessions_count: int
    marks: list[ev.Mark]
    clocks: list[Clock]
    jumps: list[Jump]
    gaps: list[ev.Gap]
    refusals: list[int]
    refusals_count: int
    losses: list[int]
    losses_count: int
    trouble: Trouble | None
    other: Other | None


Drawing = Document
"""Boxes, lines and the edges that they are of: docs/debugger/DRAWING.md."""


class Edge(Struct, kw_only=True):
    from_topic: str
    to_topic: str


class OwnedEdge(Edge, kw_only=True):
    """``owners``: UUIDs of sessions, and ``persistent``."""

    owners: list[str]


class StateSession(SessionRecord, frozen=True, kw_only=True):
    """A session as the state has it, and what it holds and has registered."""

    id: int
    edges: list[Edge]
    metadata: Any


class StateProcess(Struct):
    id: int
    process_id: str
    pid: int | None
    host: str | None
    units: list[str]
    peer: str | None
    opened: int


class Value(Struct):
    """A settings value under ezmsg's names."""

    serialized: Any
    repr_value: Any
    structured_value: Any
    settings_schema: Any


class InForce(Value):
    """A value that is in force since event ``since``."""

    session: str | None
    process: str | None
    since: int


class Endpoint(EndpointRecord, frozen=True, kw_only=True):
    """A publisher, a subscriber or a channel, as the state has it."""

    id: int


class Request(Struct):
    id: int
    uuid: str
    session: str | None
    unit: str
    operation: str
    process: str | None
    routed: int


class State(Which, kw_only=True):
    """The graph as it was just after a moment."""

    moment: AskedMoment
    seq: int
    time: int
    run: Run | None
    paused: bool
    unknown: Any
    graph: dict[str, list[str]]
    edge_owners: list[OwnedEdge]
    sessions: dict[str, StateSession]
    processes: dict[str, StateProcess]
    settings: dict[str, InForce]
    endpoints: list[Endpoint]
    loops: list[list[str]]
    requests: list[Request]


class Differences(Struct, kw_only=True):
    """Lists by group; each item has a ``change``: + came, - went, ~ changed. By names there are only some groups."""

    edges: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    components: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    processes: list[dict[str, Any]]
    endpoints: list[dict[str, Any]]
    graph: list[dict[str, Any]] = []
    requests: list[dict[str, Any]] = []


class Diff(Differences, kw_only=True, rename={"with_": "with"}):
    """``with``: the ledger that ``b`` is of, when it is another one."""

    ledger: str
    id: str
    with_: Which | None
    by_name: bool
    a: AskedMoment
    b: AskedMoment
    same: bool


class Events(Which, kw_only=True):
    """The events after ``after`` up to ``upto``, as they stand in the ledger, and the ``lines`` that tell them, bursts
    in one. ``next``: what to give as ``after`` to go on."""

    after: int
    upto: int
    next: int | None
    events: list[dict[str, Any]]
    lines: list[Line]


class Density(Which, kw_only=True, rename={"from_": "from"}):
    from_: AskedMoment
    to: AskedMoment
    by: Literal["seq", "time"]
    buckets: list[Bucket]


class Why(answers.Why, frozen=True, kw_only=True):
    ledger: str
    id: str


class History(answers.History, frozen=True, kw_only=True):
    ledger: str
    id: str
    placement: answers.Placement | None


class When(answers.When, frozen=True, kw_only=True):
    ledger: str
    id: str


class Path(answers.Path, frozen=True, kw_only=True):
    ledger: str
    id: str


class Explanation(answers.Explanation, frozen=True, kw_only=True):
    ledger: str
    id: str


class Settings(Which, kw_only=True):
    """Settings in force, by component; of one component also its ``history``."""

    moment: AskedMoment
    in_force: dict[str, InForce | None]
    history: answers.SettingHistory | None


class Doubts(Which, kw_only=True):
    """Places where what the ledger says of settings is not what a unit is known to have, up to ``moment``."""

    moment: AskedMoment
    doubts: list[answers.SettingDoubt]


class WhatIf(Which, kw_only=True):
    """Things that the state at ``moment`` would lack without ``session``; ``doubts``: what is not decided anew."""

    session: int
    label: str
    moment: Moment
    events: int
    gone_edges: list[tuple[str, str]]
    gone_topics: list[str]
    gone_components: list[str]
    gone_settings: list[str]
    doubts: list[answers.Doubt]
    differences: Differences


class Status(Struct):
    """Facts that a page needs beside the events: the message ``status`` of ``live``."""

    epoch: int
    head: int
    written: bool
    trouble: Trouble | None
