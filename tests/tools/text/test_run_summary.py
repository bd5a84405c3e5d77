"""The few lines that end a recording."""

import io
from pathlib import Path

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools.text.run_summary import summarise


def recorded(path: Path, *edges: str) -> int:
    """One run, of one session that connects A to each of ``edges``; the seq with which the run began."""
    with Ledger.open(path) as ledger:
        live = LiveGraph(ledger)
        with live.session("me") as session:
            for to_topic in edges:
                session.connect("A", to_topic)
        live.close()
        return live.run


def said(path: Path, run: int) -> str:
    out = io.StringIO()
    summarise(str(path), run, out, "NOBODY")
    return out.getvalue()


def test_it_is_that_of_the_last_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only that is read: a ledger may be as long as it likes."""
    path = tmp_path / "x.ledger"
    recorded(path, "B", "C", "D")
    run = recorded(path, "E")
    read = []
    entries = LedgerReader.entries

    def noted(ledger: LedgerReader, after: int = 0, until: int | None = None) -> object:
        read.append(after)
        return entries(ledger, after, until)

    monkeypatch.setattr(LedgerReader, "entries", noted)
    assert "recorded 1 session, 1 edge, 0 processes," in said(path, run)
    assert read == [run - 1]


def test_nobody_came(tmp_path: Path) -> None:
    recorded(tmp_path / "x.ledger", "B")
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        live = LiveGraph(ledger)
        live.close()
    text = said(tmp_path / "x.ledger", live.run)
    assert "NOTHING WAS RECORDED" in text
    assert text.endswith("NOBODY\n")


def test_of_a_ledger_that_was_made_anew_all_is_read(tmp_path: Path) -> None:
    recorded(tmp_path / "x.ledger", "B")
    assert "recorded 1 session, 1 edge," in said(tmp_path / "x.ledger", 1000)


def test_of_a_run_whose_beginning_is_gone_what_is_left_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, segmented=True) as ledger:
        live = LiveGraph(ledger)
        live.connect("A", "B")
        rotate(ledger)
        with live.session("me") as session:
            session.connect("A", "C")
        live.close()
    (path / "000001.ledger").unlink()
    assert "recorded 1 session, 1 edge," in said(path, live.run)
