"""Predicates about a moment: ``edge A -> B and not (session viewer or setting SYS/FILTER.cutoff == 30.0)``.

    any    = all { "or" all }
    all    = one { "and" one }
    one    = "not" one | "(" any ")" | fact
    fact   = "edge" NAME "->" NAME                    someone holds the edge
           | "path" NAME "->" NAME                    edges lead from the one topic to the other
           | "session" NAME                           a session of this label, id or UUID is open
           | "setting" UNIT { "." NAME } SIGN JSON    the value in force compares so

Beyond these, for short:

           | NAME "->" NAME                           as with "edge"
           | UNIT "." NAME { "." NAME } SIGN JSON     as with "setting"
           | "paused"                                 the graph is paused
           | KIND NAME                                topic, component, unit, publisher, subscriber or stalled
           | NOUN SIGN NUMBER                         edges, topics, sessions, processes, components, publishers or
                                                      subscribers: how many there are

SIGN is ``==``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``. Values are compared as what they are: 2 is 2.0, a member of an
enum is the number or text that it holds, a tuple is a list; but true is not 1, and a text is never a number. The order
is that of numbers, of whichever type, or of texts; of anything else neither is more. Where a unit has no such field, or
no settings, no sign holds.

A NAME is a word without spaces, quotes, parentheses or signs, or stands in double quotes, with JSON's escapes. In a
setting the first dot after the last slash begins the field: quote a unit whose name has one (``"SYS/U.1".gain == 2``).
"""

import json
import re
from typing import NamedTuple, NoReturn, TypeAlias

import msgspec

from ezmsg.ledger.errors import InvalidValue, PredicateError
from ezmsg.ledger.projections.questions.name_hints import number
from ezmsg.ledger.values import TAG, Form, freeze

SIGNS = ("==", "!=", "<", "<=", ">", ">=")
KINDS = ("topic", "component", "unit", "publisher", "subscriber", "stalled")
NOUNS = ("edges", "topics", "sessions", "processes", "components", "publishers", "subscribers")

FORMS = (
    "Predicates are: edge A -> B, path A -> B, session LABEL, setting UNIT.field == VALUE (also != < <= > >=), "
    "topic T, component C, unit U, publisher T, subscriber T, stalled T, paused, edges >= 7; and, or, not, ( )."
)

DEPTH_MAX = 100
"""Levels of parentheses and ``not``: more than anyone writes, and far fewer than the stack holds."""


class Edge(msgspec.Struct, frozen=True):
    """An edge is there: someone holds it."""

    from_topic: str
    to_topic: str

    def __str__(self) -> str:
        return f"edge {_name(self.from_topic)} -> {_name(self.to_topic)}"


class Reaches(msgspec.Struct, frozen=True):
    """Edges lead from the one topic to the other."""

    from_topic: str
    to_topic: str

    def __str__(self) -> str:
        return f"path {_name(self.from_topic)} -> {_name(self.to_topic)}"


class Session(msgspec.Struct, frozen=True):
    """A session of this label, id or UUID is open."""

    name: str

    def __str__(self) -> str:
        return f"session {_name(self.name)}"


class Setting(msgspec.Struct, frozen=True):
    """The unit's settings (their ``field``, if any) compare so with this value: 1 is 1.0, but not true."""

    unit: str
    field: tuple[str, ...]
    value: Form
    sign: str = "=="

    def __str__(self) -> str:
        unit = json.dumps(self.unit) if "." in self.unit.rpartition("/")[2] else _name(self.unit)
        names = [json.dumps(name) if {".", "/"} & set(name) else _name(name) for name in self.field]
        return f"setting {'.'.join((unit, *names))} {self.sign} {json.dumps(self.value)}"


class There(msgspec.Struct, frozen=True):
    """A thing of one of KINDS is there: a topic of an edge, a component that is registered, a unit that a process runs;
    a topic's publisher, subscriber, or subscriber that did not apply a routing update."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {_name(self.name)}"


class Paused(msgspec.Struct, frozen=True):
    """The graph is paused."""

    def __str__(self) -> str:
        return "paused"


class Count(msgspec.Struct, frozen=True):
    """The number of one of NOUNS compares so."""

    noun: str
    sign: str
    number: int

    def __str__(self) -> str:
        return f"{self.noun} {self.sign} {self.number}"


class And(msgspec.Struct, frozen=True):
    """A conjunction: all parts hold."""

    parts: tuple["Predicate", ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


class Or(msgspec.Struct, frozen=True):
    """A disjunction: at least one of the parts holds."""

    parts: tuple["Predicate", ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


class Not(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: "Predicate"

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, And | Or) else f"not {self.part}"


Predicate: TypeAlias = Edge | Reaches | Session | Setting | There | Paused | Count | And | Or | Not

_TOKEN = re.compile(
    r'\s*(?:(?P<mark>->|[=!<>]=|[=<>()])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<word>(?:(?!->|!=)[^\s()"=<>])+))'
)
_MARKS = frozenset({"->", "=", "(", ")", *SIGNS})
_WORDS = frozenset({"and", "or", "not", "edge", "path", "session", "setting"})
_FACTS = frozenset({"edge", "path", "session", "setting", "paused", *KINDS})
_EXPECTED = "edge, path, session, setting or another fact"
_OTHERS = ", ".join(SIGNS[1:])
_json = json.JSONDecoder(parse_constant=lambda name: _no_constant(name))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a value of JSON")


def _name(text: str) -> str:
    match = _TOKEN.fullmatch(text)
    plain = match is not None and match["word"] == text and text not in _WORDS | _FACTS | {*NOUNS}
    return text if plain else json.dumps(text)


class _Token(NamedTuple):
    text: str
    quoted: bool
    begin: int
    end: int


def named_fields(predicate: "Predicate") -> dict[str, set[str]]:
    """The settings fields that a predicate is about, by their units: those at the top; of one about all none is named.

    >>> from ezmsg.ledger.projections.questions.predicates import named_fields, parse
    >>> named_fields(parse("not SYS/U.gain > 2"))
    {'SYS/U': {'gain'}}
    """
    if isinstance(predicate, Setting):
        return {predicate.unit: {predicate.field[0]}} if predicate.field else {}
    found: dict[str, set[str]] = {}
    inner = (predicate.part,) if isinstance(predicate, Not) else getattr(predicate, "parts", ())
    for part in inner:
        for unit, fields in named_fields(part).items():
            found.setdefault(unit, set()).update(fields)
    return found


def parse(text: str) -> Predicate:
    """The predicate that ``text`` is. Raises PredicateError, which points at the place. Cost: O(length)."""
    reading = _Reading(text)
    found = reading.any(0)
    token = reading.next()
    if token is not None:
        reading.fail(token.begin, f"{token.text!r} is one too many: and, or, or the end was expected")
    return found


def pair(text: str) -> tuple[str, str] | None:
    """The topics of ``A -> B``; None when ``text`` is something else."""
    reading = _Reading(text)
    try:
        found = reading.topics()
        return found if reading.next() is None else None
    except PredicateError:
        return None


class _Reading:
    """A text that is read from the left, by recursive descent: a method for each rule of the grammar.

    ``place`` is where the next token begins. Every method raises PredicateError, with the place and what was expected.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def fail(self, place: int, problem: str) -> NoReturn:
        raise PredicateError(self.text, place + 1, problem, hint=FORMS)

    def peek(self) -> _Token | None:
        begin = self.place + len(self.text[self.place :]) - len(self.text[self.place :].lstrip())
        if begin == len(self.text):
            return None
        match = _TOKEN.match(self.text, self.place)
        if match is None:
            self.fail(begin, "this quote is not closed")
        if match["quoted"]:
            try:
                return _Token(json.loads(match["quoted"], strict=False), True, begin, match.end())
            except ValueError:
                self.fail(begin, "this quoted name has an escape that JSON does not know")
        return _Token(match["mark"] or match["word"], False, begin, match.end())

    def next(self) -> _Token | None:
        token = self.peek()
        if token is not None:
            self.place = token.end
        return token

    def take(self, *words: str) -> str | None:
        token = self.peek()
        if token is None or token.quoted or token.text not in words:
            return None
        self.place = token.end
        return token.text

    def expect(self, word: str) -> None:
        token = self.peek()
        if self.take(word) is None:
            found = "the predicate ends" if token is None else f"{token.text!r} stands"
            self.fail(len(self.text) if token is None else token.begin, f"{found} where {word!r} was expected")

    def any(self, depth: int) -> Predicate:
        parts = [self.all(depth)]
        while self.take("or"):
            parts.append(self.all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all(self, depth: int) -> Predicate:
        parts = [self.one(depth)]
        while self.take("and"):
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self, depth: int) -> Predicate:
        if depth > DEPTH_MAX:
            self.fail(self.place, f"more than {DEPTH_MAX} levels")
        if self.take("not"):
            return Not(self.one(depth + 1))
        if self.take("("):
            inner = self.any(depth + 1)
            self.expect(")")
            return inner
        token = self.peek()
        if token is None:
            self.fail(len(self.text), f"the predicate ends where {_EXPECTED} was expected")
        following = self.following(token)
        if not token.quoted and token.text in _FACTS and following not in ("->", *SIGNS):
            self.place = token.end
            return self.fact(token.text)
        if following == "->":
            return Edge(*self.topics())
        if not token.quoted and token.text in NOUNS and following in SIGNS:
            return self.count()
        if not token.quoted and (token.text in _MARKS or ("." not in token.text and following not in SIGNS)):
            self.fail(token.begin, f"{token.text!r} stands where {_EXPECTED} was expected")
        found = self.setting()
        if not found.field:
            self.fail(token.begin, f"{token.text!r} stands where UNIT.field, or {', '.join(NOUNS)}, was expected")
        return found

    def following(self, token: _Token) -> str | None:
        """The mark that follows a token; None when something else, or nothing, does."""
        place, self.place = self.place, token.end
        match = _TOKEN.match(self.text, token.end)
        self.place = place
        return None if match is None else match["mark"]

    def fact(self, kind: str) -> Predicate:
        """The fact of this kind, whose word has been read."""
        match kind:
            case "edge":
                return Edge(*self.topics())
            case "path":
                return Reaches(*self.topics())
            case "session":
                return Session(self.name("a session").text)
            case "setting":
                return self.setting()
            case "paused":
                return Paused()
            case _:
                return There(kind, self.name(f"a {kind}" if kind in ("component", "unit") else "a topic").text)

    def count(self) -> Count:
        token = self.next()
        assert token is not None
        sign, following = self.sign(), self.peek()
        limit = None if following is None or following.quoted else number(following.text)
        if following is None or limit is None:
            self.fail(len(self.text) if following is None else following.begin, "a whole number was expected")
        self.place = following.end
        return Count(token.text, sign, limit)

    def sign(self) -> str:
        token = self.peek()
        sign = self.take(*SIGNS)
        if sign is None:
            found = "the predicate ends" if token is None else f"{token.text!r} stands"
            place = len(self.text) if token is None else token.begin
            self.fail(place, f"{found} where '==' was expected, or {_OTHERS}")
        return sign

    def name(self, what: str) -> _Token:
        token = self.peek()
        if token is None:
            self.fail(len(self.text), f"the predicate ends where the name of {what} was expected")
        if not token.quoted and (token.text in _WORDS or token.text in _MARKS):
            self.fail(token.begin, f"{token.text!r} stands where the name of {what} was expected (is it one? quote it)")
        self.place = token.end
        return token

    def topics(self) -> tuple[str, str]:
        from_topic = self.name("a topic").text
        self.expect("->")
        return from_topic, self.name("a topic").text

    def setting(self) -> Setting:
        token = self.name("a unit")
        unit, field = token.text, ""
        if not token.quoted:
            slash = unit.rfind("/") + 1
            dot = unit.find(".", slash)
            if dot >= 0:
                unit, field = unit[:dot], unit[dot:]
        fields: list[str] = []
        dot = self.feed(token, field, fields, False) if field else False
        while (more := self.peek()) is not None and more.begin == self.place:
            if not more.quoted and more.text in SIGNS:
                break
            self.place = more.end
            dot = self.feed(more, more.text, fields, dot)
        if dot:
            self.fail(self.place, "a dot stands where the field should have a name")
        sign = self.sign()
        return Setting(unit, tuple(fields), self.value(), sign)

    def feed(self, token: _Token, text: str, fields: list[str], dot: bool) -> bool:
        """Add the names of a piece such as ``.a.b``; True when it ends with a dot, as ``dot`` says of the last."""
        pieces = [text] if token.quoted else text.split(".")
        if bool(pieces[0]) != dot or not all(pieces[1:-1]) or (len(pieces) == 1 and not dot):
            self.fail(token.begin, f"{token.text!r} stands where a dot and a field, or '==', was expected")
        fields += [piece for piece in pieces if piece]
        return not pieces[-1]

    def value(self) -> Form:
        rest = self.text[self.place :]
        begin = self.place + len(rest) - len(rest.lstrip())
        try:
            value, self.place = _json.raw_decode(self.text, begin)
            return value if f'"{TAG}"' in self.text[begin : self.place] else freeze(value)
        except RecursionError:
            self.fail(begin, "this value nests too deep")
        except (ValueError, InvalidValue) as error:
            place, why = (error.pos, "") if isinstance(error, json.JSONDecodeError) else (begin, f": {error}")
            self.fail(place, f"a JSON value was expected (a text in double quotes, 1, 1.0, true, null, ...){why}")
