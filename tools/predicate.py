"""Sentences about a graph that are true of a state or not: ``A -> B and not session viewer``.

    EDGE        A/OUT -> B/IN                      the edge is there (also: edge A/OUT -> B/IN)
    PATH        path A/OUT -> C/IN                 messages get from one to the other over edges
    THERE       topic, component, unit, session, publisher, subscriber or stalled, and a name
    PAUSED      paused
    SETTING     SYSTEM/AMP.gain > 2                the value in force; = != < <= > >= (also: setting SYSTEM/AMP...)
    NUMBER      edges >= 7                         also topics, sessions, processes, components, publishers, subscribers
    TOGETHER    not X, X and Y, X or Y, ( X )

A name with spaces or signs in it stands in quotes.
"""

import json
import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ezmsg.ledger.projections.ownership import OUT
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.reach import route
from ezmsg.ledger.tools.wording import settings_fields
from ezmsg.ledger.values import thaw

Test = Callable[[GraphState], bool]

FORMS = (
    "Forms are: A -> B, path A -> B, topic T, component C, unit U, session S, publisher T, subscriber T, stalled T, "
    "paused, C.field > 2, edges >= 7; and, or, not, ( )."
)

_TOKEN = re.compile(
    r"""\s*(?:(?P<arrow>->)|(?P<sign><=|>=|==|!=|=|<|>)|(?P<bracket>[()])"""
    r"""|(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<word>(?:(?!->)[^\s()<>=!"'])+))"""
)
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS: dict[str, Callable[[GraphState], int]] = {
    "edges": lambda state: sum(len(node[OUT]) for node in state.ownership.nodes.values()),
    "topics": lambda state: len(state.ownership.nodes),
    "sessions": lambda state: len(state.sessions),
    "processes": lambda state: len(state.processes),
    "components": lambda state: len(state.components),
    "publishers": lambda state: _endpoints(state, "publisher"),
    "subscribers": lambda state: _endpoints(state, "subscriber"),
}


class Unparsable(Misuse):
    """A predicate cannot be read. ``lines`` show it, with a caret below the place."""

    def __init__(self, text: str, place: int, wanted: str) -> None:
        super().__init__(f"{wanted} is needed {'here' if place < len(text) else 'at the end'}", hint=FORMS)
        self.lines = (text, " " * place + "^")


class Token(NamedTuple):
    kind: str
    text: str
    place: int


class Predicate:
    """A predicate that was read: call it with a state.

    ``topics``, ``components`` and ``sessions`` are the names that it speaks of. A state is looked at in O(1), but for
    ``path`` (O(graph), when it has changed), ``edges`` (O(topics)) and endpoints (O(endpoints)).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.topics: list[str] = []
        self.components: list[str] = []
        self.sessions: list[str] = []
        self._tokens = _tokens(text)
        self._index = 0
        self._test = self._any()
        if self._next.kind != "end":
            raise self._wrong("and, or, or the end")

    def __call__(self, state: GraphState) -> bool:
        """Whether it is true of ``state``."""
        return self._test(state)

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._index]

    def _wrong(self, wanted: str) -> Unparsable:
        return Unparsable(self.text, self._next.place, wanted)

    def _take(self) -> Token:
        token = self._next
        self._index += 1
        return token

    def _word_is(self, *texts: str) -> bool:
        return self._next.kind == "word" and self._next.text in texts

    def _any(self) -> Test:
        tests = [self._all()]
        while self._word_is("or"):
            self._take()
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda state: any(test(state) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._word_is("and"):
            self._take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda state: all(test(state) for test in tests)

    def _one(self) -> Test:
        if self._word_is("not"):
            self._take()
            test = self._one()
            return lambda state: not test(state)
        if self._next.text == "(" and self._next.kind == "bracket":
            self._take()
            test = self._any()
            if self._next.text != ")" or self._next.kind != "bracket":
                raise self._wrong("a closing bracket")
            self._take()
            return test
        return self._atom()

    def _atom(self) -> Test:
        if self._next.kind not in ("word", "quoted"):
            raise self._wrong("a name")
        following = self._tokens[self._index + 1].kind
        word = self._next.text
        if self._next.kind == "word" and following not in ("arrow", "sign"):
            if word == "paused":
                self._take()
                return lambda state: state.paused
            if word == "edge":
                self._take()
                edge_ = self._edge()
                return lambda state: edge_ in state.ownership
            if word == "setting":
                self._take()
                if self._tokens[self._index + 1].kind != "sign":
                    raise self._wrong("a component, a field and a sign, such as SYSTEM/AMP.gain > 2,")
                return self._setting()
            if word == "path":
                self._take()
                return self._path(*self._edge())
            if word in _THERE:
                self._take()
                return self._there(word)
        if self._next.kind == "word" and following == "sign":
            return self._number(word) if word in _NUMBERS else self._setting()
        if following == "arrow":
            edge = self._edge()
            return lambda state: edge in state.ownership
        self._take()
        raise self._wrong("an arrow, or a sign such as >,")

    def _name(self, what: str) -> str:
        if self._next.kind not in ("word", "quoted"):
            raise self._wrong(what)
        return self._take().text

    def _edge(self) -> tuple[str, str]:
        source = self._name("a topic")
        if self._next.kind != "arrow":
            raise self._wrong("an arrow")
        self._take()
        target = self._name("a topic")
        self.topics += source, target
        return source, target

    def _path(self, source: str, target: str) -> Test:
        known: list[Any] = [None, False]

        def there(state: GraphState) -> bool:
            if known[0] != state.topology:
                known[:] = state.topology, route(state, source, target) is not None
            return bool(known[1])

        return there

    def _there(self, kind: str) -> Test:
        name = self._name(f"the name of a {kind}" if kind != "stalled" else "a topic")
        test, names = _THERE[kind]
        getattr(self, names).append(name)
        return lambda state: test(state, name)

    def _number(self, noun: str) -> Test:
        self._take()
        sign = self._take().text
        token = self._next
        if token.kind != "word" or not token.text.isdecimal():
            raise self._wrong("a number")
        self._take()
        count, compare, wanted = _NUMBERS[noun], _SIGNS[sign], int(token.text)
        return lambda state: compare(count(state), wanted)

    def _setting(self) -> Test:
        component, dot, field = self._next.text.rpartition(".")
        if not dot or not component or not field:
            raise self._wrong("a component and a field, such as SYSTEM/AMP.gain,")
        self._take()
        self.components.append(component)
        compare = _SIGNS[self._take().text]
        if self._next.kind not in ("word", "quoted"):
            raise self._wrong("a value")
        token = self._take()
        wanted = token.text if token.kind == "quoted" else _value(token.text)

        def test(state: GraphState) -> bool:
            setting = state.settings.get(component)
            fields = None if setting is None else settings_fields(setting.value)
            if not fields or field not in fields:
                return False
            try:
                return bool(compare(thaw(fields[field]), wanted))
            except TypeError:  # a text is neither more nor less than a number
                return False

        return test


def _tokens(text: str) -> list[Token]:
    found = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            at = place + len(text[place:]) - len(text[place:].lstrip())
            raise Unparsable(text, at, "a name, a sign or a bracket")
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "quoted":
            value = json.loads(value) if value[0] == '"' else value[1:-1]
        found.append(Token(kind, value, match.start(match.lastgroup)))
        place = match.end()
    return [*found, Token("end", "", len(text)), Token("end", "", len(text))]


def _value(text: str) -> Any:
    """A value as people write it: a number, true, false, null, or else a text."""
    plain = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
    if text in plain:
        return plain[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _endpoints(state: GraphState, kind: str, topic: str | None = None) -> int:
    return sum(1 for each in state.endpoints.values() if each.kind == kind and topic in (None, each.topic))


def _session(state: GraphState, name: str) -> bool:
    if name.isdecimal() and int(name) in state.sessions:
        return True
    return any(each.label == name or each.uuid == name for each in state.sessions.values())


def _stalled(state: GraphState, topic: str) -> bool:
    return any(each.stalled and each.topic == topic for each in state.endpoints.values())


_THERE: dict[str, tuple[Callable[[GraphState, str], bool], str]] = {
    "topic": (lambda state, name: name in state.ownership.nodes, "topics"),
    "component": (lambda state, name: name in state.components, "components"),
    "unit": (lambda state, name: name in state.units, "components"),
    "session": (_session, "sessions"),
    "publisher": (lambda state, name: _endpoints(state, "publisher", name) > 0, "topics"),
    "subscriber": (lambda state, name: _endpoints(state, "subscriber", name) > 0, "topics"),
    "stalled": (_stalled, "topics"),
}
