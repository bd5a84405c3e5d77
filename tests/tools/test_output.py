"""Lines, tables and lists."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.tools import output
from ezmsg.ledger.tools.output import CELL_MAX, Page, clean, listed, places_to_break, table, width
from ezmsg.ledger.wording import count


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SYSTEM/AMP", "SYSTEM/AMP"),
        ("μV 脳 \U0001f9e0", "μV 脳 \U0001f9e0"),
        ("a\tb\nc\r", "a\\tb\\nc\\r"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("a\u202eb\u2066\u200f", "a\\u202eb\\u2066\\u200f"),
    ],
)
def test_text_that_could_play_tricks_is_shown_as_what_it_is(text: str, shown: str) -> None:
    assert clean(text) == shown


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("a\n\"[]{},\u00b5", max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("ab", max_size=2), part, max_size=3),
    max_leaves=6,
)
_FIELDS = st.dictionaries(st.sampled_from(["a", "b", "c"]), _JSON, max_size=2)


@given(_FIELDS, st.lists(_JSON, max_size=4), st.dictionaries(st.sampled_from(["x", "y"]), _JSON, max_size=2))
def test_a_document_in_turn_is_the_document(before: dict[str, Any], items: list[Any], after: dict[str, Any]) -> None:
    def printed(ask: Callable[[Page], None]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            ask(Page())
        return out.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "DOCUMENT_PIECE", 2)
        in_turn = printed(lambda page: page.document_in_turn(before, "lives", iter(items), after))
    assert in_turn == printed(lambda page: page.document({**before, "lives": items, **after}))


def test_a_list_is_cut_only_when_that_makes_it_shorter() -> None:
    assert listed(["a", "b", "c"], 2) == "a, b, c"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed([], 2) == ""


def test_a_list_of_long_names_ends_early_unless_all_are_wanted() -> None:
    names = [f"SYSTEM/{'A' * 90}/{number}" for number in range(5)]
    assert listed(names, 5) == f"{names[0]}, {names[1]} and 3 more"
    assert listed([name * 3 for name in names], 5) == f"{names[0] * 3} and 4 more"
    assert listed(names, 10**9) == ", ".join(names)


def test_one_is_one() -> None:
    assert [count(n, "edge") for n in (0, 1, 2)] == ["0 edges", "1 edge", "2 edges"]
    assert count(2, "process", "processes") == "2 processes"


def test_columns_are_aligned_also_where_something_is_escaped() -> None:
    assert table([["a", "b", ""], ["aaa\n", "bb", "c"]]) == ["a      b", "aaa\\n  bb  c"]
    assert table([]) == []


def test_columns_are_aligned_as_a_terminal_shows_them() -> None:
    """Chinese, Japanese and Korean characters, and most emojis, are two columns wide."""
    lines = table([["脳波", "x"], ["AMP", "x"], ["한국어", "x"]])
    assert {width(line) for line in lines} == {len("xxxxxx  x")}


def test_one_long_cell_does_not_move_the_others() -> None:
    lines = table([["A", "gain=1.0", "since 1"], ["B", "x" * (CELL_MAX + 1), "since 2"]])
    assert lines == ["A  gain=1.0  since 1", f"B  {'x' * (CELL_MAX + 1)}  since 2"]


WORDS = st.sampled_from(["a", "=", "脳波", "process", "16", "(pid", "4711)", "->", "1.77", "s", "ms,", "", 30 * "x"])


@given(
    st.text(alphabet="ab 脳\u0301", max_size=80) | st.lists(WORDS, max_size=20).map(" ".join),
    st.integers(8, 60),
    st.integers(0, 6),
)
def test_a_line_that_is_broken_fits_and_loses_nothing(text: str, columns: int, indent: int) -> None:
    places = places_to_break(text, columns, indent)
    pieces = [text[a:b] for a, b in pairwise([0, *places, len(text)])]
    assert "".join(pieces) == text
    for number, piece in enumerate(pieces):
        taken = width(piece.rstrip(" ")) + (indent if number else 0)
        assert taken <= columns or " " not in piece.strip(" ")
    assert all(piece.strip(" ") for piece in pieces[:-1])


@pytest.mark.parametrize(
    "kept", ["1.77 s", "16 ms,", "(pid 4711)", "process 16", "-> RIG/AMP/IN", "seqs 3", "gain = 2.0"]
)
def test_a_line_is_not_broken_within_what_belongs_together(kept: str) -> None:
    for before in range(30):
        text = f"{'x' * before} {kept} and more words"
        places = [0, *places_to_break(text, 30, 4), len(text)]
        assert any(kept in text[a:b] for a, b in pairwise(places)), places


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_errors_are_wrapped_as_answers_are(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "log", str(tmp_path / "nothing.ledger")]
    lines = on_a_terminal(command, 60, {})
    assert len(lines) > 2
    assert all(width(line) <= 60 or " " not in line.strip() for line in lines), lines


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("plain", [True, False])
def test_on_a_terminal_a_long_line_goes_on_below_its_text(plain: bool) -> None:
    words = "session 2 connected " + ", ".join(f"SYSTEM/UNIT{number}/OUT -> 脳波{number}" for number in range(9))
    line = f"Page().line(('dim', '  3-8  0.151  '), {words!r}, indent=14)"
    program = f"from ezmsg.ledger.tools.output import Page\n{line}"
    lines = on_a_terminal([sys.executable, "-c", program], 80, {"NO_COLOR": "1"} if plain else {})
    assert len(lines) > 3
    assert all(width(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 14) and line[14] != " " for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == f"3-8  0.151  {words}"


def on_a_terminal(command: list[str], columns: int, environment: dict[str, str]) -> list[str]:
    """The lines that a program prints on a terminal of that width, without its colours."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    subprocess.run(command, stdout=theirs, stderr=theirs, env={**kept, "TERM": "xterm", **environment}, timeout=60)
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:  # all has been read
        pass
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r\n", "\n").removesuffix("\n").split("\n")


def test_a_document_is_json_in_utf8(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Page().document({"μ": [1.0, 1, None]})
    assert capfdbinary.readouterr().out == '{\n  "μ": [\n    1.0,\n    1,\n    null\n  ]\n}\n'.encode()


def test_lines_documents_and_notes_keep_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    page = Page()
    page.line("first ", ("head", "bold"))
    page.data(b"second\n")
    page.line("third")
    page.note("beside\x1b")
    captured = capfd.readouterr()
    assert captured.out == "first bold\nsecond\nthird\n"
    assert captured.err == "ezmsg-ledger: beside\\x1b\n"


def test_who_waits_is_told_once_what_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 1.5, 2.0, 60.0])
    monkeypatch.setattr("ezmsg.ledger.tools.output.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    page = Page()
    told = []
    for seq in range(5):
        page.progress(seq * 1000, 1_002_043)
        told.append(capsys.readouterr().err)
    assert "reading 1,002,043 events" in told[2]
    assert [bool(text) for text in told] == [False, False, True, False, False]
