"""The structured graph models, under ezmsg's own names and field names.

They are what ``values.thaw`` returns for registered metadata and settings, and what a GraphSnapshot is made of. Fields
that a newer ezmsg adds are kept in ``extra``; a class that is not here is kept as an UnknownModel.
"""

from typing import Any, NamedTuple

import msgspec

from ezmsg.ledger.values import Form, Model, items_of, text_map, thaw


class Edge(NamedTuple):
    """An edge of the graph: messages published on ``from_topic`` reach the subscribers of ``to_topic``."""

    from_topic: str
    to_topic: str


class DynamicSettingsMetadata(Model, frozen=True, kw_only=True):
    """Whether a component takes settings while it runs, on which topic and of which type."""

    enabled: bool = False
    input_topic: str | None = None
    settings_type: str | None = None


class StreamMetadata(Model, frozen=True, kw_only=True):
    """A stream of a unit: its name in the unit, its address (topic) and message type."""

    name: str = ""
    address: str = ""
    msg_type: str = ""


class InputStreamMetadata(StreamMetadata, frozen=True, kw_only=True):
    """A subscribing stream."""

    leaky: bool = False
    max_queue: int | None = None


class OutputStreamMetadata(StreamMetadata, frozen=True, kw_only=True):
    """A publishing stream. ``buf_size`` is in bytes."""

    host: str | None = None
    port: int | None = None
    num_buffers: int | None = None
    buf_size: int | None = None
    force_tcp: bool | None = None


class TopicMetadata(Model, frozen=True, kw_only=True):
    """A topic of a collection: a name under which its inner streams are wired."""

    name: str = ""
    address: str = ""
    msg_type: str = ""


class InputTopicMetadata(TopicMetadata, frozen=True, kw_only=True):
    """A topic through which messages enter a collection."""


class OutputTopicMetadata(TopicMetadata, frozen=True, kw_only=True):
    """A topic through which messages leave a collection."""


class InputRelayMetadata(InputTopicMetadata, frozen=True, kw_only=True):
    """A relay into a collection: messages are received and published anew."""

    leaky: bool = False
    max_queue: int | None = None
    copy_on_forward: bool = True


class OutputRelayMetadata(OutputTopicMetadata, frozen=True, kw_only=True):
    """A relay out of a collection."""

    host: str | None = None
    port: int | None = None
    num_buffers: int | None = None
    buf_size: int | None = None
    force_tcp: bool | None = None
    copy_on_forward: bool = True


class TaskMetadata(Model, frozen=True, kw_only=True):
    """A coroutine of a unit: what it subscribes to and where it publishes."""

    name: str = ""
    subscribes: str | None = None
    publishes: list[str] = []


class SettingsFieldMetadata(Model, frozen=True, kw_only=True):
    """A field of a settings class."""

    name: str = ""
    field_type: str = ""
    required: bool = False
    default: Any = None
    description: str | None = None
    bounds: tuple[float | None, float | None] | None = None
    choices: list[Any] | None = None
    widget_hint: str | None = None


class SettingsSchemaMetadata(Model, frozen=True, kw_only=True):
    """The fields of a settings class and what described them."""

    provider: str = ""
    settings_type: str = ""
    fields: list[SettingsFieldMetadata] = []


class ComponentMetadata(Model, frozen=True, kw_only=True):
    """A component. ``initial_settings`` is (serialized bytes or None, dict or repr text)."""

    address: str = ""
    name: str = ""
    component_type: str = ""
    settings_type: str = ""
    initial_settings: tuple[bytes | None, Any] = (None, "")
    dynamic_settings: DynamicSettingsMetadata | None = None
    settings_schema: SettingsSchemaMetadata | None = None


class CollectionMetadata(ComponentMetadata, frozen=True, kw_only=True):
    """A collection: its topics, relays and children (addresses)."""

    topics: dict[str, Any] = {}
    relays: dict[str, Any] = {}
    children: list[str] = []


class UnitMetadata(ComponentMetadata, frozen=True, kw_only=True):
    """A unit: its streams and tasks."""

    streams: dict[str, Any] = {}
    tasks: list[TaskMetadata] = []
    main: str | None = None
    threads: list[str] = []


class GraphMetadata(Model, frozen=True, kw_only=True):
    """The metadata that a session registers at start-up: every component of its system, by address, in its order."""

    schema_version: int = 1
    root_name: str | None = None
    components: dict[str, Any] = {}


class SettingsSnapshotValue(Model, frozen=True, kw_only=True):
    """A settings value in force: the pickled bytes (never opened), a readable form, fields, schema."""

    serialized: bytes | None = None
    repr_value: Any = ""
    structured_value: dict[str, Any] | None = None
    settings_schema: SettingsSchemaMetadata | None = None


class SnapshotSession(msgspec.Struct, frozen=True):
    """A session in a GraphSnapshot: the edges it holds (sorted) and what it registered."""

    edges: list[Edge]
    metadata: Any


class SnapshotProcess(msgspec.Struct, frozen=True):
    """A process in a GraphSnapshot. ``process_id`` is its UUID as text; pid and host are None until it registered."""

    process_id: str
    pid: int | None
    host: str | None
    units: list[str]


class GraphSnapshot(msgspec.Struct, frozen=True):
    """The graph at one moment, under ezmsg's names and in ezmsg's orders.

    ``graph`` maps each node, in the order of its first appearance, to its sorted successors; ``edge_owners`` each edge,
    sorted, to ``"persistent"`` first and then session UUIDs sorted as text; ``sessions`` and ``processes`` are by UUID.
    """

    graph: dict[str, list[str]]
    edge_owners: dict[Edge, list[str]]
    sessions: dict[str, SnapshotSession]
    processes: dict[str, SnapshotProcess]


def check_registered(metadata: Form) -> None:
    """Raise KeyError, TypeError or ValueError unless a form is that of a GraphMetadata, as far as a fold needs it.

    Needed are a map; in its ``components``, if any, a map for each key; and in each of these a text as ``address`` and
    a pair as ``initial_settings``, whose first item is None or bytes. All else is taken as it is.
    """
    if type(metadata) is not dict:
        raise TypeError(f"the metadata is not a map: {metadata!r:.80}")
    for key, component in text_map(metadata.get("components", {})).items():
        if type(component) is not dict:
            raise TypeError(f"component {key!r} is not a map: {component!r:.80}")
        if type(component["address"]) is not str:
            raise TypeError(f"the address of component {key!r} is not a text: {component['address']!r:.80}")
        serialized = thaw(items_of(component["initial_settings"])[0])
        if len(items_of(component["initial_settings"])) != 2 or not isinstance(serialized, bytes | None):
            raise TypeError(f"the initial settings of component {key!r} are not a pair of bytes or None and a value")
