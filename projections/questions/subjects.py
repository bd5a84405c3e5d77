"""The subjects of questions, as people name them: ``A -> B``, ``session viewer``, ``setting SYS/FILTER``, a topic."""

from collections.abc import Iterable

import msgspec

from ezmsg.ledger.errors import UnknownSubject
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.questions import predicates
from ezmsg.ledger.projections.questions.moments.moments import sessions_named
from ezmsg.ledger.projections.questions.name_hints import near, number, some_of

KINDS = ("edge", "topic", "session", "setting", "unit", "process", "endpoint")
"""Words with which a subject may begin."""

_EVER = {
    "setting": ("unit", "ever had settings"),
    "unit": ("unit", "ever ran in a process"),
    "component": ("component", "was ever registered"),
}


_MANY = {"process": "processes", "endpoint": "endpoints"}
"""Kinds whose names are ids."""


class Subject(msgspec.Struct, frozen=True):
    """The thing that a question is about. ``kind`` is one of KINDS.

    ``names``: both topics of an edge, all ids that are meant of a session, else one name or id.
    """

    kind: str
    names: tuple[str | int, ...]
    text: str

    def __str__(self) -> str:
        return self.text


class Subjects:
    """All names in one ledger, and which of them a text means."""

    def __init__(self, lifetimes: Lifetimes) -> None:
        self._lifetimes = lifetimes

    def find(self, text: str) -> Subject:
        """The subject of a text: ``A -> B``, ``KIND NAME``, or a bare name of a topic, else a unit, else a session.

        Raises UnknownSubject, with names that are near. Cost: O(names).
        """
        kind, _, rest = text.strip().partition(" ")
        if kind not in KINDS or not rest.strip():
            kind, rest = "", text
        rest = rest.strip()
        pair = predicates.pair(rest)
        if pair is not None and kind in ("", "edge"):
            return self.edge(*pair)
        name = rest[1:-1] if len(rest) > 1 and rest[0] == rest[-1] == '"' else rest
        if kind == "edge":
            raise UnknownSubject(f"{rest!r} is not an edge", hint='An edge is named "A -> B".')
        if kind:
            return self._named(kind, name)
        for guess in ("topic", "setting", "unit", "session"):
            try:
                return self._named(guess, name)
            except UnknownSubject:
                continue
        raise UnknownSubject(f"nothing here was ever called {name!r}", hint=near(name, self.names(), "names"))

    def _named(self, kind: str, name: str) -> Subject:
        if kind == "topic":
            return Subject(kind, (self.topic(name),), f"topic {name}")
        if kind == "session":
            return Subject(kind, tuple(self.session(name)), f"session {name}")
        if kind in ("setting", "unit"):
            return Subject(kind, (self.unit(name, kind),), f"{kind} {name}")
        names = self._lifetimes.names(kind)
        key = number(name)
        if key is None or key not in names:
            raise UnknownSubject(f"there is no {kind} {name}", hint=near(name, map(str, names), _MANY[kind]))
        return Subject(kind, (key,), f"{kind} {name}")

    def edge(self, from_topic: str, to_topic: str) -> Subject:
        """An edge between two topics that there ever were."""
        return Subject("edge", (self.topic(from_topic), self.topic(to_topic)), f"{from_topic} -> {to_topic}")

    def names(self) -> list[str]:
        """Every topic, every component and every label of a session that this ledger ever spoke of."""
        return [*self.topics(), *self.components(), *(mark.label for mark in self._sessions() if mark.label)]

    def components(self) -> list[str]:
        """Every component that was ever registered, ran in a process, or had settings."""
        names = self._lifetimes.names
        return list(dict.fromkeys([*names("component"), *names("unit"), *names("setting")]))

    def topics(self) -> list[str]:
        """Every topic that ever had an edge, a publisher or a subscriber."""
        ends = [fact.value[1] for fact in self._lifetimes.facts("endpoint") if fact.value[1] is not None]
        return list(dict.fromkeys([*self._lifetimes.topics, *ends]))

    def topic(self, name: str) -> str:
        """The name itself, if it was ever a topic."""
        if not self._lifetimes.is_topic(name) and name not in (known := self.topics()):
            inside = [each for each in known if each.startswith(f"{name}/")]
            if inside:
                hint = f"The topics inside it are: {some_of(inside)}."
                raise UnknownSubject(f"{name} is not a topic, but has some inside it", hint=hint)
            raise UnknownSubject(f"there never was a topic {name!r}", hint=near(name, known, "topics"))
        return name

    def session(self, name: str) -> list[int]:
        """The ids of all sessions of this label, of this id, or of a UUID that begins so."""
        found = sessions_named(self._lifetimes.landmarks.sessions, name)
        if not found:
            names = (mark.label or str(mark.seq) for mark in self._sessions())
            raise UnknownSubject(f"there never was a session {name!r}", hint=near(name, names, "sessions"))
        return [mark.seq for mark in found]

    def session_mark(self, name: str) -> SessionMark:
        """The last session that ``name`` means."""
        return self._lifetimes.landmarks.sessions[self.session(name)[-1]]

    def unit(self, name: str, kind: str = "setting") -> str:
        """The name itself, if a component of it ever had settings, ran in a process or was registered.

        ``kind`` says which: setting, unit or component.
        """
        names = self._lifetimes.names(kind)
        if name not in names:
            what, ever = _EVER[kind]
            raise UnknownSubject(f"no {what} {name!r} {ever}", hint=near(name, names, f"{what}s that {ever}"))
        return name

    def _sessions(self) -> Iterable[SessionMark]:
        return self._lifetimes.landmarks.sessions.values()
