"""The frozen records of a graph state, one for each thing that it knows: an event replaces a record, never edits it."""

import msgspec

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.values import Form, is_map, items_of, text_map, thaw


class RunRecord(msgspec.Struct, frozen=True):
    """A run of the server. ``topology_start`` and ``settings_start``: the feed numbers given out before it began."""

    uuid: str
    kind: str
    name: str
    host: str
    pid: int
    address: str | None
    versions: dict[str, str]
    rules: int
    durability: str | None
    started: int
    topology_start: int
    settings_start: int


class SessionRecord(msgspec.Struct, frozen=True):
    """A session. ``opened``: ns. ``label`` is None until one is given or registered."""

    uuid: str
    peer: str | None
    label: str | None
    opened: int

    @property
    def name(self) -> str:
        """A name for the session: its label, else where it came from, else its UUID."""
        return self.label or self.peer or self.uuid


class ProcessRecord(msgspec.Struct, frozen=True):
    """A backend process. ``units`` are sorted; pid and host are None until it registered."""

    uuid: str
    peer: str | None
    pid: int | None
    host: str | None
    units: tuple[str, ...]
    opened: int


class EndpointRecord(msgspec.Struct, frozen=True):
    """A publisher, subscriber or channel (``kind``). ``publisher``: the id that a channel leads to."""

    kind: str
    uuid: str
    topic: str | None
    publisher: int | None
    declared: str | None
    advertised: str | None
    peer: str | None
    stalled: bool
    opened: int


class SettingRecord(msgspec.Struct, frozen=True):
    """The settings in force for a component.

    ``session`` registered the component, ``process`` reported the value (None: it is the initial one); ``since`` is the
    seq of the event that set the value; ``rank`` places it in ezmsg's order: (seq, index) of its first appearance.
    """

    value: SettingsValue
    session: int | None
    process: int | None
    since: int
    rank: tuple[int, int]


class RequestRecord(msgspec.Struct, frozen=True):
    """A routed request that is not answered yet. ``routed``: ns."""

    uuid: str
    session: int
    unit: str
    operation: str
    process: int | None
    routed: int


class Registration(msgspec.Struct, frozen=True):
    """The registration of a session: the value form of its GraphMetadata, and the raw pickle where that was kept."""

    metadata: Form
    raw: bytes | None

    @property
    def components(self) -> dict[str, Form]:
        """The forms of its components by key, in their order.

        Raises TypeError when they are not a map with texts as keys. Cost: O(1), or O(n) when a key is ``"$"``.
        """
        return text_map(self.metadata.get("components", {}))

    @property
    def label(self) -> str | None:
        """A name for the session: that of the root, else of the first component; None when it has neither."""
        root = self.metadata.get("root_name")
        return root if type(root) is str and root else next(iter(self.components), None)

    def settings(self) -> list[tuple[str, SettingsValue]]:
        """The address and the initial settings of each component, in their order.

        Raises KeyError, TypeError, ValueError or InvalidValue when the metadata is not what a GraphMetadata gives.
        """
        return [(_address(component), initial_settings(component)) for component in self.components.values()]


def _address(component: Form) -> str:
    address = component["address"]
    if type(address) is not str:
        raise TypeError(f"the address of a component is not a text: {address!r}")
    return address


def initial_settings(component: Form) -> SettingsValue:
    """The settings that a component's metadata begins with: a tuple (or list) of serialized and readable."""
    serialized, shown = items_of(component["initial_settings"])
    serialized = thaw(serialized)
    if serialized is not None and type(serialized) is not bytes:
        raise TypeError(f"serialized initial settings are {type(serialized).__name__}, not bytes")
    return SettingsValue(
        serialized=serialized,
        repr_value=shown,
        structured_value=shown if is_map(shown) else None,
        settings_schema=component.get("settings_schema"),
    )
