"""Taking the values of named settings out of the lines of a ledger, wherever they stand in it.

The idea: two passes. The first one learns the values: from reported and initial settings, their pickles, and requests
to change them. The second one writes every line anew in which one of them stands. In the place of a named field stands
its digest; pickles that hold it are left out, since nobody can tell what else is in them; and wherever the text of a
value stands inside another text (a mark, an error, the name of a topic) its digest stands there. Lines without any of
this stay as they are, to the byte.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidValue, UnknownEvents
from ezmsg.ledger.events import AnyEvent, SettingsValue
from ezmsg.ledger.pickles import UnsoundPickle, loads
from ezmsg.ledger.pickles.stand_ins import Inert
from ezmsg.ledger.projections.copies.digests import MARKER, Salt, is_marker
from ezmsg.ledger.projections.copies.setting_names import SettingNames
from ezmsg.ledger.projections.copies.word_search import alternation
from ezmsg.ledger.projections.graph.checkpoint import decode, encode
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE, answered, request_for, wish
from ezmsg.ledger.projections.questions.settings.stored_value import attributes, form_of
from ezmsg.ledger.values import DEPTH_MAX, TAG, Form, fields_of, items_of, text_map

ANYWHERE_MIN = 4
"""Characters of a text from which on it is looked for inside of words too; a shorter one counts as a word by itself."""

WORD_MIN = 2
"""Characters of the shortest text that is looked for outside of its own setting."""

NUMBER_MIN = 5
"""Characters of the shortest number that is looked for outside of its own setting: 37 stands for much else."""

OWN_WORDS = frozenset(
    {TAG, "type", "uuid", "kind", "durability", "outcome", "operation", "command", "error_code", "seq", "time", "class"}
)
"""Keys whose texts are this format's or ezmsg's own words, and not anybody's values."""

FREE = frozenset({"metadata", "arguments", "repr_value", "structured_value", "settings_schema"})
"""Keys of an event, or of a record of a state, below which maps have keys that programs have chosen."""


def texts_in(held: Any, depth: int = DEPTH_MAX) -> Iterator[str]:
    """The texts inside a value that a pickle describes: in lists, maps, and the attributes of objects."""
    if depth == 0:
        return
    if type(held) is str:
        yield held
    elif isinstance(held, list | tuple | set | frozenset):
        for item in held:
            yield from texts_in(item, depth - 1)
    elif type(held) is dict:
        yield from texts_in(list(held.values()), depth - 1)
    elif isinstance(held, Inert):
        yield from texts_in([held.args, *attributes(held).values()], depth - 1)


class Redaction:
    """The values of the settings that ``names`` mean, taken out of the lines of one ledger.

    ``learn`` is to be told of the state before the first line and of every event; after that ``line`` gives each line
    as it is to stand. ``replaced`` counts the fields and texts in whose place a digest stands, and the pickles that are
    left out.
    """

    def __init__(self, names: SettingNames, salt: Salt) -> None:
        self.names = names
        self.salt = salt
        self.replaced = 0
        self.known: set[str] = set()  # the names of all settings that were met
        self._texts: dict[str, Form] = {}
        self._numbers: dict[str, Form] = {}
        self._shapes: dict[str, Form] = {}  # the values by the texts that are looked for
        self._units: dict[int, tuple[str, bool]] = {}  # by request: its unit, and whether it is about a named field
        self._search: re.Pattern[str] | None = None
        self._search_bytes: re.Pattern[bytes] | None = None

    # --- the first pass ----------------------------------------------------------------------------------------------

    def learn_state(self, state: GraphState) -> None:
        """Learn the values that a state holds: of settings in force, and those that were registered."""
        for address, record in state.settings.items():
            self._learn_settings(address, record.value)
        for registration in state.registrations.values():
            for address, value in registration.settings():
                self._learn_settings(address, value)
        for key, request in state.requests.items():
            self._units[key] = request.unit, self.names.concern(request.unit)

    def learn(self, event: AnyEvent) -> None:
        """Learn the values that an event tells. Raises UnknownEvents for one of a newer version."""
        if isinstance(event, ev.UnknownEvent):
            raise UnknownEvents(
                f"seq {event.seq} is an event of a type that this version does not know ({event.tag})",
                hint="Upgrade ezmsg-ledger: what is in it cannot be told.",
            )
        if isinstance(event, ev.SettingsUpdated):
            self._learn_settings(event.component, event.value)
        elif isinstance(event, ev.MetadataRegistered):
            for address, value in Registration(event.metadata, None).settings():
                self._learn_settings(address, value)
        elif isinstance(event, ev.RequestRouted):
            self._units[event.seq] = event.unit, self._learn_request(event)
        elif isinstance(event, ev.RequestAnswered) and event.request in self._units:
            said = answered(event.payload)
            if said is not None:
                self._learn_settings(self._units[event.request][0], said)

    def _learn_settings(self, address: str, value: SettingsValue) -> None:
        for shown in (value.repr_value, value.structured_value):
            self.known.update(f"{address}.{name}" for name in fields_of(shown))
            if type(shown) is str:
                self.names.may_be_in(address, shown)
            for _, field in self.names.found(address, shown):
                self._learn_value(field)
        for name, held in self._pickled(value.serialized).items():
            if self.names.covers(address, name):
                with suppress(InvalidValue):
                    self._learn_value(form_of(held))
                for text in texts_in(held):
                    self._learn_value(text)
        if value.settings_schema is not msgspec.UNSET:
            self._described(address, value.settings_schema)

    def _learn_request(self, event: ev.RequestRouted) -> bool:
        """Whether a request is, or may be, to change a setting that is named."""
        if event.operation != UPDATE or not self.names.concern(event.unit):
            return False
        wanted = wish(event.payload)
        if wanted is None:
            return True
        named = self.names.covers(event.unit, wanted.field)
        if named:
            self._learn_value(wanted.value)
        return named

    def _learn_value(self, form: Form) -> None:
        """Note the texts by which a value, or a part of it, can stand anywhere else."""
        if type(form) is str:
            if not is_marker(form):
                self._texts.setdefault(form, form)
        elif type(form) in (int, float):
            self._numbers.setdefault(repr(form), form)
        elif type(form) is list:
            for item in form:
                self._learn_value(item)
        elif type(form) is dict:
            if type(form.get("v")) is str and form.get(TAG) in ("b", "o"):
                self._texts.setdefault(form["v"], form)
            if form.get(TAG) == "i":
                self._numbers.setdefault(str(int(form["v"], 16)), form)
            if form.get(TAG) == "b":
                with suppress(UnicodeDecodeError):
                    self._texts.setdefault(base64.b64decode(form["v"]).decode("utf-8"), form)
            for name, item in form.items():
                if TAG not in form and not name.isidentifier():  # one that is, is the name of a field
                    self._learn_value(name)
                if TAG not in form or (name != TAG and type(item) is not str) or name == "as":
                    self._learn_value(item)

    @staticmethod
    def _pickled(data: bytes | None) -> dict[str, Any]:
        """The attributes of pickled settings, as far as they can be read."""
        if data is None:
            return {}
        try:
            return attributes(loads(data))
        except UnsoundPickle:
            return {}

    def _described(self, address: str, schema: Form) -> list[dict[str, Any]]:
        """The fields of a schema that describe a setting which is named."""
        fields = fields_of(schema).get("fields")
        described = [each for each in fields if type(each) is dict] if type(fields) is list else []
        named = [(each, each.get("name")) for each in described]
        self.known.update(f"{address}.{name}" for _, name in named if name)
        return [each for each, name in named if type(name) is str and self.names.covers(address, name)]

    # --- the second pass ---------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """End the learning: what follows looks for all that was learned."""
        anywhere: list[str] = []
        words: list[str] = []
        numbers: list[str] = []
        for text, form in self._texts.items():
            in_a_line = msgspec.json.encode(text)[1:-1].decode()
            if len(text) >= WORD_MIN:
                shapes = {text, in_a_line, repr(text)[1:-1], ascii(text)[1:-1], json.dumps(text)[1:-1]}
                (anywhere if len(text) >= ANYWHERE_MIN else words).extend(shapes)
                self._shapes.update(dict.fromkeys(shapes, form))
        for text, form in self._numbers.items():
            if len(text) >= NUMBER_MIN:
                numbers.append(text)
                self._shapes.setdefault(text, form)
        if self._shapes:
            patterns = [MARKER.pattern.decode()]
            patterns += [alternation(anywhere)] if anywhere else []
            patterns += [rf"(?<!\w){alternation(words)}(?!\w)"] if words else []
            patterns += [rf"(?<![\w.]){alternation(numbers)}(?![\w.])"] if numbers else []
            self._search = re.compile("|".join(patterns))
            in_bytes = alternation(shape.encode().decode("latin-1") for shape in self._shapes)
            self._search_bytes = re.compile(in_bytes.encode("latin-1"))

    def line(self, event: AnyEvent, raw: bytes) -> bytes:
        """The line that is to stand in place of ``raw``, that of ``event``: the same where nothing is in it.

        Cost: about 20 us where settings, requests or refusals are told; else a search in C.
        """
        if type(event) not in _HOLDERS and not self._is_in(raw):
            return raw
        entry = msgspec.json.decode(raw)
        before = self.replaced
        match event:
            case ev.SettingsUpdated():
                self._in_settings(event.component, entry["value"])
            case ev.MetadataRegistered():
                if self._in_metadata(entry["metadata"]) | self._is_in_base64(entry.get("raw")):
                    self._drop(entry, "raw")
            case ev.RequestRouted():
                asked = wish(event.payload) if self._units[event.seq][1] else None
                if asked is not None and not self._is_in(asked.field.encode()):
                    payload = request_for(asked.field, self._marker(asked.value))
                    entry |= {"payload": base64.b64encode(payload).decode("ascii"), "size": len(payload)}
                elif self._units[event.seq][1] or self._is_in_base64(entry.get("payload")):
                    self._drop(entry, "payload", "size")
            case ev.RequestAnswered():
                unit, named = self._units.get(event.request, ("", False))
                if (unit and self.names.concern(unit)) or self._is_in_base64(entry.get("payload")):
                    self._drop(entry, "payload", "size")
                if named and entry.get("error"):
                    entry["error"] = self._marker(entry["error"])
        kept = {name: entry.pop(name) for name in ("raw", "payload") if name in entry}
        entry = self._scrubbed(entry, OWN_WORDS if isinstance(event, ev.Gap) else _OWN_WORDS)
        return raw if self.replaced == before else msgspec.json.encode(entry | kept)

    def state(self, state: GraphState) -> GraphState:
        """A state without the values: what a replay of the new lines is to begin with."""
        kept = msgspec.json.decode(encode(state))
        for address, record in kept["settings"]:
            self._in_settings(address, record["value"])
        for registration in kept["registrations"].values():
            if self._in_metadata(registration["metadata"]) | self._is_in_base64(registration["raw"]):
                registration["raw"] = None
        return decode(msgspec.json.encode(self._scrubbed(kept, _OWN_WORDS)))

    def _in_settings(self, address: str, value: dict[str, Any]) -> None:
        """Take what is named out of a settings value, in place."""
        hit = False
        for key in ("repr_value", "structured_value"):
            if key in value:
                value[key], found = self._shown(address, value[key])
                hit |= found
        if value.get("serialized") and (hit or self._is_in_pickle(address, value["serialized"])):
            value["serialized"] = None
            self.replaced += 1
        self._in_schema(address, value.get("settings_schema"))

    def _in_metadata(self, metadata: dict[str, Any]) -> bool:
        """Take what is named out of the components of a GraphMetadata, in place; whether there was anything."""
        before = self.replaced
        for component in text_map(metadata.get("components", {})).values():
            address, pair = component["address"], items_of(component["initial_settings"])
            pair[1], hit = self._shown(address, pair[1])
            if pair[0] is not None and (hit or self._is_in_pickle(address, pair[0]["v"])):
                pair[0] = None
                self.replaced += 1
            self._in_schema(address, component.get("settings_schema"))
        return self.replaced > before

    def _in_schema(self, address: str, schema: Form) -> None:
        """Take out the defaults, choices and bounds of the fields that are named, in place."""
        for field in self._described(address, schema):
            for key in ("default", "choices", "bounds"):
                if field.get(key) is not None:
                    field[key] = self._marker(field[key]) if key == "default" else None
                    self.replaced += key != "default"
            if schema.get("json_schema") is not None:
                schema["json_schema"] = None
                self.replaced += 1

    def _shown(self, address: str, shown: Form) -> tuple[Form, bool]:
        """The shown form of settings without what is named, and whether there was anything."""
        if type(shown) is str:
            whole = shown != "" and self.names.may_be_in(address, shown)
        else:
            whole = shown not in (None, {}) and not (type(shown) is dict and TAG not in shown)
            whole = whole and self.names.concern(address)
        if whole:
            return self._marker(shown), True
        found = list(self.names.found(address, shown))
        for path, value in found:
            inner = shown
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = self._marker(value)
        return shown, bool(found)

    def _is_in_pickle(self, address: str, data: str) -> bool:
        """Whether pickled settings, as base64, hold what is named, or a text of it; or nobody can tell."""
        content = base64.b64decode(data)
        try:
            fields = attributes(loads(content))
        except UnsoundPickle:
            return self.names.concern(address)
        return any(self.names.covers(address, name) for name in fields) or self._is_in(content)

    def _is_in(self, content: bytes) -> bool:
        return self._search_bytes is not None and self._search_bytes.search(content) is not None

    def _is_in_base64(self, data: str | None) -> bool:
        return bool(data) and self._is_in(base64.b64decode(data or ""))

    def _drop(self, entry: dict[str, Any], *names: str) -> None:
        if entry.get(names[0]) is not None:
            self.replaced += 1
            for name in names:
                entry.pop(name, None)

    def _marker(self, value: Form) -> str:
        self.replaced += 1
        return self.salt.marker(value)

    def _scrubbed(self, node: Any, own: frozenset[str], key: str = "", *, free: bool = False) -> Any:
        """``node`` with digests for the texts that were learned, wherever these stand in its texts.

        In its keys too where these are ``free``, as in settings and in a map of components: not names of this format.
        """
        kind = type(node)
        if kind is str:
            return node if key in own else self._replaced_in(node)
        if kind is list:
            return [self._scrubbed(item, own, key, free=free) for item in node]
        if kind is not dict:
            return node
        if node.get(TAG) in ("b", "s", "o") and type(node.get("v")) is str:
            if self._is_in_base64(node["v"]):
                return self._marker(node)
            return node if node[TAG] != "o" else {**node, "as": self._scrubbed(node.get("as"), own)}
        named = free and TAG not in node
        return {
            (self._replaced_in(name) if named else name): self._scrubbed(
                item, own, "" if named else name, free=free or name in FREE
            )
            for name, item in node.items()
        }

    def _replaced_in(self, text: str) -> str:
        if self._search is None or len(text) < WORD_MIN:
            return text

        def digest(match: re.Match[str]) -> str:
            found = match[0]
            return found if is_marker(found) else self._marker(self._shapes[found])

        return self._search.sub(digest, text)


_OWN_WORDS = OWN_WORDS | {"reason"}
"""The keys of OWN_WORDS, and the reason: a gap has the sentence of a system there, other events have words of ours."""

_HOLDERS = frozenset(
    {ev.SettingsUpdated, ev.MetadataRegistered, ev.RequestRouted, ev.RequestAnswered, ev.CommandRejected}
)
"""The events that hold values in pickles, and in forms."""
