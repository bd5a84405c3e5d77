"""Docstrings stand alone, and messages and pages are plain English.

A docstring that begins with "What" or "It" has no subject that a stranger understands. The phrases below were taken
from other languages or other centuries; each has an everyday word in its place.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ledger", "projections", "runtime", "tools")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")

NO_SUBJECT = re.compile(
    r"(It|Its|They|Their|He|She|We|You|This|That|These|Those|What|Whatever|Who|Whoever|Whose|Which|Where|There"
    r"|Nobody|Somebody|Everybody|Both)\b"
)
VAGUE = re.compile(
    r"(One|Another|Any|Anything|Everything|Something|Nothing|Each|Such|None|As|By|Of|Without|Since"
    r"|The same|All (?:that|of|was|were|is|it|to|parts))\b"
)
"""Beginnings of a public docstring that leave its reader to guess what is spoken of."""

QUESTION = re.compile(r"(How|Why|When)\b")
"""Of a constant it says what the number is: ``POLL_S``: "How often ..."; of all else that is public it is a riddle."""

INSTEAD = {
    r"(?<!\bthere )\b(?:is|are|was|were) no\b(?! (?:longer|more)\b|[,.;:)])": '"is not a", "cannot"',
    r"\bwhoever\b": '"a program that", "people who", the thing itself',
    r"\bnobody who\b": '"no client that"',
    r"\bwithout a word\b": '"without a server.stopped", "killed perhaps"',
    r"\ba word (?:about|of)\b": '"anything about"',
    r"\b(?:just |close )?behind\b": '"after"',
}
"""A phrase, and what stands in its place."""

ALLOWED = (
    r"\b(?:left|leaves?|leaving)\b[^.]{0,60}\bbehind\b",  # what a session left behind
    r"\b(?:falls?|fell|falling|lags?|lagging|far|is|are|was|were) behind\b",  # a slow reader
)
"""Where one of the phrases is everyday English."""


class Text(NamedTuple):
    """A text of the project: where it stands, and what it documents: "" for other texts than docstrings."""

    place: str
    text: str
    documents: str
    is_constant: bool = False

    @property
    def is_vague(self) -> bool:
        """Whether it is a docstring whose beginning has no subject."""
        if not self.documents:
            return False
        forbidden = [NO_SUBJECT]
        if not re.search(r"\b_(?!_)", self.documents):
            forbidden += [VAGUE] if self.is_constant else [VAGUE, QUESTION]
        return any(each.match(self.text) for each in forbidden)


def texts(path: Path) -> Iterator[Text]:
    """Every docstring and every other text of a module. Comments are between us."""
    yield from texts_in(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())


def texts_in(code: str, name: str) -> Iterator[Text]:
    tree = ast.parse(code)
    documented = {id(text): (what, constant) for text, what, constant in docstrings(tree, "module")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Text(f"{name}:{node.lineno}", node.value, *documented.get(id(node), ("",)))


def docstrings(node: ast.AST, name: str) -> Iterator[tuple[ast.Constant, str, bool]]:
    """The docstrings in ``node``, what each documents, as ``module.Class.method``, and whether that is a constant."""
    before: ast.AST = node
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                if before is node:
                    yield text, name, False
                elif isinstance(before, ast.Assign | ast.AnnAssign):
                    target = before.targets[0] if isinstance(before, ast.Assign) else before.target
                    yield text, f"{name}.{ast.unparse(target)}", True
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from docstrings(child, f"{name}.{child.name}")
        if isinstance(child, ast.stmt):
            before = child


MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
DOCUMENTS = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def odd(text: str) -> Iterator[str]:
    """The phrases of ``text`` that have a plainer word, each with it. Names in backticks may say what they like."""
    plain = " ".join(re.sub(r"`[^`\n]*`", "``", text).split())
    for phrase in ALLOWED:
        plain = re.sub(phrase, "", plain, flags=re.IGNORECASE)
    for phrase, better in INSTEAD.items():
        for found in re.finditer(phrase, plain, re.IGNORECASE):
            yield f"... {plain[max(0, found.start() - 30) : found.end() + 30]} ...: rather {better}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_docstring_begins_with_its_subject(room: str) -> None:
    found = [
        f"{text.place}: {text.text.splitlines()[0]}"
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == room
        for text in texts(path)
        if text.is_vague
    ]
    assert not found, "\n".join(["a stranger does not know what is meant:", *found])


@pytest.mark.parametrize("room", ROOMS)
def test_messages_and_docstrings_are_plain(room: str) -> None:
    found = [
        f"{text.place}: {phrase}"
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == room
        for text in texts(path)
        for phrase in odd(text.text)
    ]
    assert not found, "\n".join(["there is a plainer word:", *found])


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.name)
def test_pages_are_plain(page: Path) -> None:
    found = list(odd(page.read_text(encoding="utf-8")))
    assert not found, "\n".join(["there is a plainer word:", *found])


@pytest.mark.parametrize(
    "text",
    [
        "x.txt is no ledger",
        "what stands behind seq 4",
        "Whoever reads it",
        "the run died without a word",
        "nobody who waits",
        "these are no names",
    ],
)
def test_an_odd_phrase_is_found(text: str) -> None:
    assert list(odd(text))


@pytest.mark.parametrize(
    "text",
    [
        "there is no mark 'x'",
        "it is no longer there",
        "the answer is no.",
        "what did it leave behind?",
        "a stream whose readers are behind",
        "`test_a_cut_behind_a_seal`",
    ],
)
def test_plain_english_is_let_alone(text: str) -> None:
    assert not list(odd(text))


@pytest.mark.parametrize(
    "code",
    [
        '"""What a module does."""',
        'def f():\n    """One address: what it takes."""',
        'class A:\n    def f(self):\n        """How far it goes."""',
        'X = 1\n"""What a key begins with."""',
        'class A:\n    def __init__(self):\n        self.x: int = 0\n        """All that was seen."""',
        'def _f():\n    """It does so."""',
    ],
)
def test_a_docstring_without_a_subject_is_found(code: str) -> None:
    assert [text.is_vague for text in texts_in(code, "a.py")] == [True]


@pytest.mark.parametrize(
    "code",
    [
        '"""The sizes of boxes."""',
        'def f():\n    """All clocks, read together."""',
        'POLL_S = 1.0\n"""How often a tail looks."""',
        'def f():\n    "a docstring of its own"\n    "What is no docstring"',
    ],
)
def test_a_docstring_with_a_subject_is_let_alone(code: str) -> None:
    assert not any(text.is_vague for text in texts_in(code, "a.py"))
