"""The catalogue: every kind of event that can stand in a ledger.

One frozen Struct per type, tagged by ``type``. ``seq`` (dense, from 1) and ``time`` (int, ns since the epoch, UTC) are
0 until ``append`` stamps a copy. A thing's id is the seq of the event that brought it into being. ``owner: None`` is
ezmsg's persistent owner. ``peer`` and ``by`` are ``host:port`` texts. An event says what was decided; what follows from
it is derived by the fold. Fields are only ever added, with defaults. See docs/FORMAT.md.

>>> from ezmsg.ledger import Ledger, events
>>> [stored] = Ledger.memory().append([events.EdgeConnected(from_topic="A/OUT", to_topic="B/IN", owner=None)])
>>> stored.seq, stored.from_topic
(1, 'A/OUT')
"""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from ezmsg.ledger.values import Form

RULES = 2
"""The rules that today's folds apply; `server.started` carries those in force when it was written."""


INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""The range of a 64-bit integer. Python has no bound, and msgspec writes what it is given; other readers fail there."""

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=INT_MIN, le=INT_MAX)]
"""The bound beyond which a line is malformed already: folds keep seqs and times in columns of so many bits."""


class Event(msgspec.Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    """Base of all events."""

    seq: Int64 = 0
    time: Int64 = 0


# --- runs ------------------------------------------------------------------------------------------------------------


class ServerStarted(Event, frozen=True, gc=False, kw_only=True, tag="server.started"):
    """A run begins. ``kind``: server, embedded or observer.

    ``unseen``: what of the graph an observer, beside a server that is not ours, does not see; it is in no event.
    """

    uuid: str
    kind: str
    name: str
    host: str
    pid: int
    address: str | None = None
    versions: dict[str, str] = {}
    rules: int = 1  # not RULES: a default is left out of the line, so it must never change
    durability: str | None = None
    unseen: tuple[str, ...] = ()


class ServerStopped(Event, frozen=True, gc=False, kw_only=True, tag="server.stopped"):
    """The run ended in good order. ``reason``: stopped, shutdown, signal, orphaned, ...; ``by``: the peer that asked.

    ``ended`` (ns) is when, where the run could not write this itself and the next start did it. ``exit_code`` and
    ``signal``: how the script ended that was run recorded, where its runner tells; one of both.
    """

    server: int
    reason: str
    by: str | None = None
    ended: int | None = None
    exit_code: int | None = None
    signal: str | None = None


class ServerLost(Event, frozen=True, gc=False, kw_only=True, tag="server.lost"):
    """The run before ended without a ``server.stopped``, killed perhaps; found by the next start.

    ``last_seen``: ns, from the lock file's time. ``untold``: the lock file does not tell whether there were events that
    the run could not write: what it lost, if anything, has left no trace.
    """

    server: int
    last_seen: int | None = None
    untold: bool = False


# --- sessions and edges ----------------------------------------------------------------------------------------------


class SessionOpened(Event, frozen=True, gc=False, kw_only=True, tag="session.opened"):
    """A session connected. ``label`` is set when it is known at once; else registration gives one."""

    uuid: str
    peer: str | None = None
    label: str | None = None
    observed: bool = False


class SessionCleared(Event, frozen=True, gc=False, kw_only=True, tag="session.cleared"):
    """A session gave up all it owned, at once: edges, metadata, initial settings."""

    session: int


class SessionClosed(Event, frozen=True, gc=False, kw_only=True, tag="session.closed"):
    """A session ended and all it owned with it.

    ``reason``: closed (it held nothing), lost (it held something), server_stopped, error, unseen.
    """

    session: int
    reason: str
    detail: str | None = None


class EdgeConnected(Event, frozen=True, gc=False, kw_only=True, tag="edge.connected"):
    """An owner gained an edge."""

    from_topic: str
    to_topic: str
    owner: int | None
    by: str | None = None
    observed: bool = False


class EdgeDisconnected(Event, frozen=True, gc=False, kw_only=True, tag="edge.disconnected"):
    """An owner gave up an edge."""

    from_topic: str
    to_topic: str
    owner: int | None
    by: str | None = None
    reason: str | None = None


class GraphCleared(Event, frozen=True, gc=False, kw_only=True, tag="graph.cleared"):
    """All persistent edges were dropped at once."""

    by: str | None = None


class MetadataRegistered(Event, frozen=True, gc=False, kw_only=True, tag="metadata.registered"):
    """A session registered its components, in place of what it had registered before.

    ``metadata`` is the form of a GraphMetadata; ``raw`` the pickle as it came, only where the form cannot give it back
    exactly.
    """

    session: int
    metadata: Form
    raw: bytes | None = None
    observed: bool = False


# --- processes and settings ------------------------------------------------------------------------------------------


class ProcessOpened(Event, frozen=True, gc=False, kw_only=True, tag="process.opened"):
    """A backend process connected."""

    uuid: str
    peer: str | None = None
    observed: bool = False


class ProcessRegistered(Event, frozen=True, gc=False, kw_only=True, tag="process.registered"):
    """A process said who it is and which units it runs; the whole unit set is replaced."""

    process: int
    pid: int | None
    host: str | None
    units: tuple[str, ...]


class ProcessOwnershipChanged(Event, frozen=True, gc=False, kw_only=True, tag="process.ownership_changed"):
    """A process added, then removed units."""

    process: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


class ProcessClosed(Event, frozen=True, gc=False, kw_only=True, tag="process.closed"):
    """A process ended; its units are free and the settings it had reported fall back."""

    process: int
    reason: str
    detail: str | None = None


class SettingsValue(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A reported settings value. ``repr_value``, ``structured_value`` and ``settings_schema`` are value forms.

    ``settings_schema`` is absent when it is the one already in force for the component.
    """

    serialized: bytes | None
    repr_value: Form
    structured_value: Form = None
    settings_schema: Form | UnsetType = UNSET


class SettingsUpdated(Event, frozen=True, gc=False, kw_only=True, tag="settings.updated"):
    """A process reported settings that arrived for a component. ``reported_at``: ns, by the client's clock.

    ezmsg reports a settings message when it arrives, before the unit has looked at it, which may refuse or ignore it.
    """

    process: int
    component: str
    value: SettingsValue
    reported_at: int | None = None
    observed: bool = False


class RequestRouted(Event, frozen=True, gc=False, kw_only=True, tag="request.routed"):
    """A session asked something of the process that runs a unit.

    ``payload`` is cut at a bound, ``size`` its full length in bytes; ``process`` is None when nobody owns the unit.
    """

    uuid: str
    session: int
    unit: str
    operation: str
    process: int | None
    payload: bytes | None = None
    size: int = 0


class RequestAnswered(Event, frozen=True, gc=False, kw_only=True, tag="request.answered"):
    """A routed request ended. ``took``: ns from routed to answered.

    ``error``: the reason in words, as the process gave it, cut at a bound. ``payload``: the answer to a request to
    change a setting, a pickle cut at a bound, ``size`` its full length in bytes. What is answered is what the process
    sent on to the unit, not what the unit made of it.
    """

    request: int
    ok: bool
    error_code: str | None = None
    took: int = 0
    error: str | None = None
    payload: bytes | None = None
    size: int = 0


# --- endpoints -------------------------------------------------------------------------------------------------------


class PublisherOpened(Event, frozen=True, gc=False, kw_only=True, tag="publisher.opened"):
    """A publisher is ready: ``declared`` is the address it gave, ``advertised`` the one its channels are told."""

    uuid: str
    topic: str
    declared: str | None = None
    advertised: str | None = None
    peer: str | None = None
    observed: bool = False


class SubscriberOpened(Event, frozen=True, gc=False, kw_only=True, tag="subscriber.opened"):
    """A subscriber connected."""

    uuid: str
    topic: str
    peer: str | None = None
    observed: bool = False


class ChannelOpened(Event, frozen=True, gc=False, kw_only=True, tag="channel.opened"):
    """A process opened its channel to a publisher."""

    uuid: str
    publisher: int
    peer: str | None = None
    observed: bool = False


class EndpointClosed(Event, frozen=True, gc=False, kw_only=True, tag="endpoint.closed"):
    """A publisher, subscriber or channel ended."""

    endpoint: int
    reason: str


class SubscriberStalled(Event, frozen=True, gc=False, kw_only=True, tag="subscriber.stalled"):
    """A subscriber did not apply a routing update in time."""

    endpoint: int
    topic: str


class SubscriberRecovered(Event, frozen=True, gc=False, kw_only=True, tag="subscriber.recovered"):
    """A stalled subscriber has applied its newest routing update."""

    endpoint: int
    topic: str


# --- commands --------------------------------------------------------------------------------------------------------


class GraphPaused(Event, frozen=True, gc=False, kw_only=True, tag="graph.paused"):
    """All publishers were told to pause."""

    by: str | None = None


class GraphResumed(Event, frozen=True, gc=False, kw_only=True, tag="graph.resumed"):
    """All publishers were told to resume."""

    by: str | None = None


class GraphSynced(Event, frozen=True, gc=False, kw_only=True, tag="graph.synced"):
    """All publishers were asked to pause and release their buffers.

    ``outcome``: complete, timeout, or asker_left; ``took``: ns; ``silent``: ids of the publishers that did not answer.
    """

    by: str | None = None
    outcome: str
    took: int = 0
    silent: tuple[int, ...] = ()


class CommandRejected(Event, frozen=True, gc=False, kw_only=True, tag="command.rejected"):
    """A command was refused: a fact too.

    ``actor`` is the session or process id, None for a connection without one; ``command`` is what ezmsg calls it, such
    as SESSION_CONNECT; ``arguments`` and ``cause`` are value forms. ``reason``: cycle (cause: path, owners), collision
    (addresses, session), conflict (units, processes), not_owner, malformed, unknown_command. ``repeated`` counts equal
    refusals folded into this one.
    """

    actor: int | None
    peer: str | None = None
    command: str
    arguments: Form = None
    reason: str
    cause: Form = None
    repeated: int = 1


# --- people and the recorder -----------------------------------------------------------------------------------------


class Mark(Event, frozen=True, gc=False, kw_only=True, tag="mark"):
    """A person's bookmark.

    ``happened``: when that was which it marks (ns, by the recorder's wall clock), where it was not the moment at which
    it was appended: markers that were imported, or came in late. ``source``: where it comes from.
    """

    name: str
    note: str | None = None
    author: str | None = None
    happened: Int64 | None = None
    source: str | None = None


class ClockRead(Event, frozen=True, gc=False, kw_only=True, tag="clock.read"):
    """The clocks of the recorder, read together. It holds for the events after it, by seq, up to the next one.

    ``real`` is wall time (ns since the epoch, UTC), ``mono`` a monotonic clock and ``boot`` one that goes on while the
    machine is suspended (ns), ``width`` how long reading them took (ns). ``reason``: start (of a run), step (wall time
    was set), suspend, idle (a minute of silence after an event), stop (of the run), gap (after events that were lost),
    segment (soon after one began).
    ``boot_id``, ``time_namespace`` and ``host`` tell which monotonic clock it is: in the first one of a run; in
    others they are None, and it is the same one.
    """

    real: Int64
    mono: Int64
    boot: Int64 | None = None
    width: int = 0
    reason: str
    boot_id: str | None = None
    time_namespace: str | None = None
    host: str | None = None


class Gap(Event, frozen=True, gc=False, kw_only=True, tag="gap"):
    """The recorder could not write, or was not there.

    Seqs ``first`` to ``last`` were given out meanwhile; ``lost`` of them are not in the ledger, ``late`` were written
    afterwards. When anything was lost, the gap's own seq is ``last + 1``, the only legal jump. ``topology`` and
    ``settings``: the numbers that the feeds had reached, so that none is given out twice. ``unseen``: how many changes
    of the graph an observer was told of, between two of its looks, without seeing what they were; then ``lost`` and
    ``late`` are 0, and ``last`` is ``first`` - 1.
    """

    first: int
    last: int
    lost: int
    late: int
    reason: str
    topology: int = 0
    settings: int = 0
    unseen: int = 0


class UnknownEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of a type that this version does not know; ``raw`` is its line without the newline."""

    seq: int
    time: int
    tag: str
    raw: bytes


AnyEvent: TypeAlias = Event | UnknownEvent
"""An entry of a ledger: an event of the catalogue, or one that only a newer version knows."""

EVENT_TYPES: dict[str, type[Event]] = {str(cls.__struct_config__.tag): cls for cls in Event.__subclasses__()}
"""Every event class by its type text, in the order in which they stand above."""


def type_of(event: AnyEvent) -> str:
    """The type text of an event, such as ``edge.connected``."""
    return event.tag if isinstance(event, UnknownEvent) else str(type(event).__struct_config__.tag)


def stamped(event: Any, seq: int, time: int) -> Any:
    """A copy of ``event`` with its place in a ledger."""
    return msgspec.structs.replace(event, seq=seq, time=time)
