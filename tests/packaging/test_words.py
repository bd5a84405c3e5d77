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
    """A text of the project: where it stands, and whether it begins a thing of its own, as docstrings do."""

    place: str
    text: str
    begins: bool


def texts(path: Path) -> Iterator[Text]:
    """Every docstring and every other text of a module. Comments are between us."""
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node) is not None and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Text(f"{name}:{node.lineno}", node.value, id(node) in docstrings)


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
        if text.begins and NO_SUBJECT.match(text.text)
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
