"""Lines, tables and lists."""

from types import SimpleNamespace

import pytest

from ezmsg.ledger.tools.page import Page, clean, count, listed, table


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


def test_a_list_is_cut_only_when_that_makes_it_shorter() -> None:
    assert listed(["a", "b", "c"], 2) == "a, b, c"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed([], 2) == ""


def test_one_is_one() -> None:
    assert [count(n, "edge") for n in (0, 1, 2)] == ["0 edges", "1 edge", "2 edges"]
    assert count(2, "process", "processes") == "2 processes"


def test_columns_are_aligned_also_where_something_is_escaped() -> None:
    assert table([["a", "b", ""], ["aaa\n", "bb", "c"]]) == ["a      b", "aaa\\n  bb  c"]
    assert table([]) == []


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
    monkeypatch.setattr("ezmsg.ledger.tools.page.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    page = Page()
    told = []
    for seq in range(5):
        page.progress(seq * 1000, 1_002_043)
        told.append(capsys.readouterr().err)
    assert "reading 1,002,043 events" in told[2]
    assert [bool(text) for text in told] == [False, False, True, False, False]
