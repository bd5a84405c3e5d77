"""Baselines: what a graph is wired and set like, by names alone, in a file that is kept under version control.

A baseline holds no id, no UUID, no pid and no time, its names are sorted, and each value stands on a line of its own:
an unchanged program gives the same file, and what ``git diff`` shows is what was changed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger.errors import LedgerError, NewerFormat
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.pickles.stand_ins import Inert, class_of
from ezmsg.ledger.projections.graph.records import initial_settings
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.projections.questions.baselines.plain_form import digest, plain_form, plain_of_form
from ezmsg.ledger.projections.questions.named_diff import NAMELESS
from ezmsg.ledger.projections.questions.paths.relays import loops_in
from ezmsg.ledger.projections.questions.settings.components import with_sets
from ezmsg.ledger.projections.questions.settings.stored_value import Kept, attributes, kept, leaves, parts
from ezmsg.ledger.storage.file_access import replacing
from ezmsg.ledger.values import Form

VERSION = 1
"""The version of the file that is written, and the newest one that can be read."""


class MalformedBaseline(LedgerError):
    """A file is not a baseline."""


class Baseline(msgspec.Struct, frozen=True, omit_defaults=False):
    """A graph by names. Two baselines are compared with ``differences``, and kept as files with ``encode``.

    ``edges``: by the topic that each leaves and the one that it leads to, the labels of its owners. ``components``: the
    metadata of each that is registered, by its address. ``settings``: in force, by component: the class, the fields by
    their dotted paths, and a digest of what no field shows. ``processes``: the units of each process. ``loops``: the
    topics of each way on which a relay gets back what it sends. ``ignore``: patterns of what is not to be compared.
    """

    edges: dict[str, dict[str, list[str]]]
    components: dict[str, dict[str, Form]]
    settings: dict[str, dict[str, Form]]
    processes: list[list[str]]
    loops: list[list[str]]
    ignore: list[str] = []
    baseline: int = VERSION

    @property
    def empty(self) -> bool:
        """Whether nothing was there: no edge, no component, no unit."""
        return not (self.edges or self.components or self.processes)


def baseline_of(state: GraphState, ignore: Iterable[str] = ()) -> Baseline:
    """The baseline of a state. Cost: O(state), and the pickles of its settings are read.

    >>> from ezmsg.ledger import events
    >>> from ezmsg.ledger.projections import GraphState
    >>> state = GraphState()
    >>> state.apply(events.EdgeConnected(seq=1, time=1, from_topic="A", to_topic="B", owner=None))
    >>> baseline_of(state).edges
    {'A': {'B': ['persistent']}}
    """
    edges: dict[str, dict[str, list[str]]] = {}
    for (from_topic, to_topic), owners in state.ownership.edges():
        names = [PERSISTENT if owner is None else state.sessions[owner].label or NAMELESS for owner in owners]
        edges.setdefault(from_topic, {})[to_topic] = sorted(names)
    components = {
        address: _component(component)
        for registration in state.registrations.values()
        for address, component in registration.components.items()
    }
    return Baseline(
        edges=edges,
        components=components,
        settings={address: settings_entry(setting.value) for address, setting in state.settings.items()},
        processes=sorted(list(process.units) for process in state.processes.values() if process.units),
        loops=loops_in(state),
        ignore=sorted(set(ignore)),
    )


def _component(form: Form) -> dict[str, Form]:
    found = {name: plain_of_form(with_sets(each)) for name, each in form.items() if name != "initial_settings"}
    found["initial_settings"] = settings_entry(initial_settings(form))
    return found


def settings_entry(value: SettingsValue) -> dict[str, Form]:
    """The class of a settings value, its fields, and ``rest``, a digest of what they do not show, where there is any.

    Cost: O(bytes of its pickle).
    """
    whole = kept(value)
    entry: dict[str, Form] = {
        "fields": {
            path: plain_form(each.held) if each.is_known else plain_of_form(each.shown)
            for path, each in leaves(whole).items()
        }
    }
    if type(whole.held) is Inert:
        entry["class"] = class_of(whole.held).ref
    if whole.is_known and _hides(whole):
        entry["rest"] = digest(plain_form(whole.held))
    return entry


def _hides(value: Kept) -> bool:
    """Whether the pickle of a value has more than its fields show."""
    inner = parts(value)
    if inner:
        return not attributes(value.held).keys() <= inner.keys() or any(map(_hides, inner.values()))
    if value.shown in (None, {}) and type(value.held) is Inert:  # no field at all stands for it
        return bool(value.held.steps or not value.held.new)
    return not value.is_known


# --- as a file --------------------------------------------------------------------------------------------------------


def encode(baseline: Baseline) -> bytes:
    """The file of a baseline: JSON with sorted names, two columns of indent, one line for each value."""
    found = msgspec.to_builtins(baseline)
    ordered = {name: _sorted(found[name]) for name in ("baseline", *found)}
    return msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n"


def _sorted(form: Form) -> Form:
    if type(form) is dict:
        return {name: _sorted(form[name]) for name in sorted(form)}
    return [_sorted(each) for each in form] if type(form) is list else form


def decode(data: bytes, name: str = "the file") -> Baseline:
    """The baseline that a file holds. Raises NewerFormat for one of a newer version, else MalformedBaseline."""
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBaseline(f"{name} is not a baseline: {error}", hint=_HINT) from error
    version = found.get("baseline") if type(found) is dict else None
    if type(version) is not int or version < 1:
        raise MalformedBaseline(f"{name} is not a baseline: it has no version", hint=_HINT)
    if version > VERSION:
        raise NewerFormat(
            f"{name} is a baseline of version {version}; this program reads versions up to {VERSION}",
            hint="Upgrade ezmsg-ledger, or write the baseline anew with this version.",
        )
    try:
        return msgspec.convert(found, Baseline)
    except msgspec.ValidationError as error:
        raise MalformedBaseline(f"{name} is not a sound baseline: {error}", hint=_HINT) from error


_HINT = "Write one from a validated session: ezmsg-ledger check VALIDATED.ledger --write BASELINE.json"


def read(path: str | Path) -> Baseline:
    """The baseline in a file. Raises as ``decode`` does, and OSError."""
    return decode(Path(path).read_bytes(), str(path))


def write(path: str | Path, baseline: Baseline) -> None:
    """Write a baseline to a file, in place of one that is there: whole, or not at all. Raises OSError."""
    with replacing(str(path)) as beside:
        Path(beside).write_bytes(encode(baseline))
