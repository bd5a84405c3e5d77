"""The output of a command: lines for people, documents for programs, notes beside both.

Colour only where a person looks (a terminal, without NO_COLOR). Names in a ledger come from other programs: whatever in
them could move the cursor or fake a line is shown as an escape.
"""

import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec

NAME = "ezmsg-ledger"

COMPLETE = "_EZMSG_LEDGER_COMPLETE"
"""The variable in which a shell asks this program for completions."""

Part: TypeAlias = str | tuple[str, str]
"""A piece of a line: plain text, or (style, text)."""

STYLES = {
    "head": "bold",
    "dim": "dim",
    "add": "green",
    "drop": "red",
    "change": "yellow",
    "warn": "yellow",
    "bad": "bold red",
    "gone": "magenta",
    "name": "cyan",
}

INDENT = 4
"""Columns by which the rest of a long line stands further in than its beginning."""

CELL_MAX = 56
"""Columns of a cell that others in its column are aligned with."""

LIST_MAX = 240
"""Characters of a list in a sentence: two lines of most terminals."""

PASSED_OVER = "events of unknown types were passed over"
UPGRADE = "Upgrade ezmsg-ledger"

DOCUMENT_PIECE = 3000
"""Parts of a long document that are printed at once."""

PATIENCE_S = 1.0
"""How long somebody waits without being told what for."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """``text`` on one line: control characters, and those that turn the direction of writing, as escapes."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


class Page:
    """Writes to stdout, and notes to stderr."""

    def __init__(self) -> None:
        self._waits_since: float | None = None

    def line(self, *parts: Part, indent: int | None = None) -> None:
        """Print one line. On a terminal what does not fit goes on below, ``indent`` columns from the left: by default
        a little more than the line itself. Elsewhere nothing is wrapped, and nothing is ever cut."""
        text = clean("".join(part if isinstance(part, str) else part[1] for part in parts))
        if indent is None:
            indent = len(text) - len(text.lstrip(" ")) + INDENT
        breaks = places_to_break(text, self._columns, indent) if self._columns else []
        if not self._coloured:
            between = "\n" + " " * indent
            pieces = (text[a:b] for a, b in pairwise([0, *breaks, len(text)]))
            sys.stdout.write(between.join(piece.rstrip(" ") if breaks else piece for piece in pieces) + "\n")
            return
        from rich.text import Text

        styled = [clean(part) if isinstance(part, str) else (clean(part[1]), STYLES[part[0]]) for part in parts]
        for number, piece in enumerate(Text.assemble(*styled, overflow="ignore").divide(breaks)):
            if breaks:
                piece.rstrip()
            self._console.print(Text(" " * indent if number else "").append_text(piece), soft_wrap=True)

    def some(self, lines: Sequence[Part], most: int | None, more: str) -> None:
        """Print lines, a little further in; of more than ``most`` (None: all) the first ones, and how to get ``more``:
        ``... 7 more lines (--full)``. One that is left over is printed, too."""
        shown = lines if most is None or len(lines) <= most + 1 else lines[:most]
        for line in shown:
            self.line("  ", line)
        if len(shown) < len(lines):
            self.line(("dim", f"  ... {len(lines) - len(shown)} {more}"))

    def document(self, value: Any) -> None:
        """Print one JSON document."""
        self.data(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    def document_in_turn(self, before: dict[str, Any], name: str, items: Iterable[Any], after: dict[str, Any]) -> None:
        """Print one JSON document, of which ``items``, a list of that ``name``, need not be in memory together.

        It is the one that ``document`` would print of ``{**before, name: [*items], **after}``.
        """
        head = msgspec.json.format(msgspec.json.encode({**before, name: []}), indent=2)
        tail = msgspec.json.format(msgspec.json.encode({name: [], **after}), indent=2)
        empty = msgspec.json.format(msgspec.json.encode({name: []}), indent=2)
        waiting, between = [head.removesuffix(b"]\n}")], b""
        for item in items:
            waiting += [
                between,
                b"\n    ",
                msgspec.json.format(msgspec.json.encode(item), indent=2).replace(b"\n", b"\n    "),
            ]
            between = b","
            if len(waiting) > DOCUMENT_PIECE:
                self.data(b"".join(waiting))
                waiting = []
        waiting += [b"\n  " if between else b"", tail.removeprefix(empty.removesuffix(b"]\n}")), b"\n"]
        self.data(b"".join(waiting))

    def json_line(self, value: Any) -> None:
        """Print one document on a line of its own, and hand it on at once."""
        self.data(msgspec.json.encode(value) + b"\n")

    def data(self, lines: bytes) -> None:
        """Print bytes as they are: JSON is UTF-8, whatever the terminal speaks."""
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:  # a stream in memory stands in for stdout
            sys.stdout.write(lines.decode("utf-8"))
        else:
            buffer.write(lines)
            buffer.flush()

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        sys.stdout.flush()
        _say(f"{NAME}: {clean(text)}")

    def note_unknown(self, unknown: bool) -> None:
        """Say, where it is so, that an answer passed over events of a newer version."""
        if unknown:
            self.note(f"{PASSED_OVER}: this may be incomplete. {UPGRADE}")

    def progress(self, seq: int, head: int) -> None:
        """Tell a person who waits what for, once: what Timeline calls while it reads a ledger."""
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        elif now - self._waits_since > PATIENCE_S:
            self._waits_since = math.inf
            if sys.stderr.isatty():
                self.note(f"reading {head:,} events; what is found is kept, so that the next answer comes at once")

    def flush(self) -> None:
        """Let a reader at the other end of a pipe see what there is."""
        sys.stdout.flush()

    @cached_property
    def _coloured(self) -> bool:
        if os.environ.get("NO_COLOR"):
            return False
        if os.environ.get("FORCE_COLOR"):
            return True
        return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @cached_property
    def _columns(self) -> int:
        """How many columns a line has; 0 where nobody looks, and where the terminal does not say."""
        return _columns_of(sys.stdout)

    @cached_property
    def _console(self) -> Any:
        from rich.console import Console  # a quarter of the start-up time, and only needed here

        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, force_terminal=True)


def report(message: str, hint: str, lines: Iterable[str] = ()) -> None:
    """Say on stderr what went wrong, and what to do next ("": nothing to add); ``lines`` show the place."""
    try:
        sys.stdout.flush()
    except OSError:  # it may be what is being reported
        give_up_stdout()
    _say(f"{NAME}: {clean(message)}")
    for line in lines:
        print(f"  {clean(line)}", file=sys.stderr)
    if hint:
        _say(f"  hint: {clean(hint)}")


def _say(text: str) -> None:
    """Print one line on stderr; on a terminal what does not fit goes on below, further in."""
    indent = len(text) - len(text.lstrip(" ")) + INDENT
    columns = _columns_of(sys.stderr)
    breaks = places_to_break(text, columns, indent) if columns else []
    pieces = [text[a:b].rstrip(" ") if breaks else text for a, b in pairwise([0, *breaks, len(text)])]
    print(("\n" + " " * indent).join(pieces), file=sys.stderr, flush=True)


def _columns_of(stream: Any) -> int:
    """How many columns a line has; 0 where nobody looks, and where the terminal does not say."""
    if not stream.isatty():
        return 0
    if (told := os.environ.get("COLUMNS", "")).isdecimal():
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # a stream that stands in for a terminal
        return 0


def give_up_stdout() -> None:
    """Let what is still buffered go nowhere: Python would complain at its own end otherwise."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # stdout is no file here
        pass


@contextmanager
def bar(title: str, total: float, worth: bool = True) -> Iterator[Callable[..., object]]:
    """A function to call with how much of ``total`` is done, and a new title perhaps: ``tell(done, description=...)``.

    It draws a bar on stderr while a person waits; not where nobody looks, nor for what is not ``worth`` it.
    """
    if not worth or not sys.stderr.isatty():
        yield lambda done, **title: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield partial(_advance, progress, progress.add_task(title, total=total))


def _advance(progress: Any, task: Any, done: float, **title: str) -> None:
    progress.update(task, completed=done, **title)


def table(rows: list[list[str]], gap: int = 2) -> list[str]:
    """Rows as lines, their columns aligned: wide characters take two places on a terminal, and a cell that is longer
    than CELL_MAX pushes its own row alone. Cost: O(cells)."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if not rows:
        return []
    sizes = [[width(cell) for cell in row] for row in rows]
    widest = [max((size for size in column if size <= CELL_MAX), default=0) for column in zip(*sizes, strict=True)]
    return [
        (" " * gap)
        .join(cell + " " * (most - size) for cell, size, most in zip(row, row_sizes, widest, strict=True))
        .rstrip()
        for row, row_sizes in zip(rows, sizes, strict=True)
    ]


def width(text: str) -> int:
    """The columns of a terminal that a text takes. Cost: O(text), 50 ns a character beyond ASCII."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def places_to_break(text: str, columns: int, indent: int) -> list[int]:
    """The places at which a line is broken to fit: always after a space, so that a name longer than a line stays whole.

    All but the first piece begin at column ``indent``. Cost: O(text).
    """
    if width(text) <= columns:
        return []
    found: list[int] = []
    place = start = len(text) - len(text.lstrip(" "))
    used = start
    for word in _words(text[start:], columns - indent):
        if used + width(word.rstrip(" ")) > columns and place > start:
            found.append(place)
            start, used = place, indent
        used += width(word)
        place += len(word)
    return found


_WORD = re.compile(r"[^ ]+ *")
_TOGETHER = re.compile(
    r"(?:(?:\(?pid|process|session|seq|seqs|->|[-+~]|[^ ]+ =) |\d[\d.,]* (?=(?:ms|s|min|h|d|B|kB|MB|GB|TB)\b))*[^ ]+ *"
)
"""Words that a line is not broken between: a number and its unit, ``(pid 4711)``, ``-> A/IN``, ``gain = 2.0``."""


def _words(text: str, most: int) -> Iterator[str]:
    """The pieces of a text between which a line may be broken, each with the spaces after it."""
    for piece in _TOGETHER.findall(text):
        yield from [piece] if width(piece) <= most else _WORD.findall(piece)


def listed(items: list[str], most: int, joint: str = ", ") -> str:
    """``a, b, c and 4 more``: at most ``most`` of the items by name, and fewer when they are long: of what takes more
    than LIST_MAX characters only the first ones."""
    shown = len(items) if len(items) <= most + 1 else most  # "and 1 more" is no shorter than the one
    if most < LIST_MAX:  # else all are wanted
        length = 0
        for number, item in enumerate(items[:shown]):
            length += len(item) + len(joint)
            if length > LIST_MAX and number:
                shown = number
                break
    if shown == len(items):
        return joint.join(items)
    return f"{joint.join(items[:shown])} and {len(items) - shown} more"
