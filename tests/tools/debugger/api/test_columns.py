"""The octets of lifetimes, read as docs/debugger/API.md says: every moment masked from them is the lifetimes'."""

import json
import struct
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.lifetimes import archive
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.debugger.api import columns
from ezmsg.ledger.tools.debugger.api.columns import LASTS, Columns

STEPS = 500


class Read:
    """Octets taken apart, as a stranger to this code would from the description alone."""

    def __init__(self, octets: bytes) -> None:
        magic, version, size = struct.unpack_from("<4sII", octets)
        assert (magic, version) == (b"EZML", 1)
        self.head: dict[str, Any] = json.loads(octets[12 : 12 + size])
        assert (12 + size) % 8 == 0
        self.column: dict[str, list[int]] = {}
        for name, place in self.head["columns"].items():
            begin = 12 + size + place["offset"]
            assert begin % 8 == 0
            letter = {"u32": "I", "i64": "q"}[place["type"]]
            self.column[name] = list(struct.unpack_from(f"<{place['length']}{letter}", octets, begin))


class Page:
    """What a page keeps: it takes in answers one after the other."""

    def __init__(self) -> None:
        self.head = 0
        self.rows: dict[str, list[int]] = {}
        self.topics: list[str] = []
        self.keys: list[Any] = []
        self.values: list[Any] = []

    def take(self, octets: bytes) -> None:
        read = Read(octets)
        if read.head["after"] == 0:
            self.__init__()  # type: ignore[misc]
        assert read.head["after"] == self.head
        for table, fields in (("ended", ["died"]), ("fact.ended", ["died", "value"]), ("setting.ended", ["died"])):
            of = "hold" if table == "ended" else table.partition(".")[0]
            for place, row in enumerate(read.column.get(f"{table}.row", [])):
                for field in fields:
                    self.rows[f"{of}.{field}"][row] = read.column[f"{table}.{field}"][place]
        for name, column in read.column.items():
            if "ended" not in name:
                self.rows.setdefault(name, []).extend(column)
        self.topics += read.head["topics"]
        self.keys += [tuple(key) for key in read.head["keys"]]
        self.values += read.head["values"]
        self.head = read.head["head"]

    def edges(self, seq: int) -> dict[tuple[str, str], list[int]]:
        out: dict[tuple[str, str], list[int]] = {}
        rows = zip(*(self.rows[f"hold.{name}"] for name in ("born", "died", "edge", "owner")), strict=True)
        for born, died, edge, owner in rows:
            if born <= seq < died:
                key = self.topics[self.rows["edge.from"][edge]], self.topics[self.rows["edge.to"][edge]]
                out.setdefault(key, []).append(owner)
        return {edge: sorted(owners) for edge, owners in out.items()}

    def facts(self, seq: int) -> set[Any]:
        rows = zip(*(self.rows[f"fact.{name}"] for name in ("key", "value", "born", "died")), strict=True)
        return {
            (*self.keys[key], json.dumps(self.values[value])) for key, value, born, died in rows if born <= seq < died
        }

    def settings(self, seq: int) -> set[str]:
        rows = zip(*(self.rows[f"setting.{name}"] for name in ("key", "born", "died")), strict=True)
        return {self.keys[key][1] for key, born, died in rows if born <= seq < died}


def said_by_lifetimes(timeline: Timeline, seq: int) -> dict[tuple[str, str], list[int]]:
    return {
        edge: sorted(owner or 0 for owner in owners) for edge, owners in timeline.lifetimes.edges_at(seq).items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_any_moment_is_a_mask_over_the_columns(long_history: Callable[..., Path], tmp_path: Path, seed: int) -> None:
    path = long_history(tmp_path / "random.ledger", seed, STEPS)
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger, index=False)
        page = Page()
        page.take(Columns().octets(timeline.lifetimes))
        assert page.head == ledger.head
        random = Random(seed)
        for seq in [0, ledger.head, *(random.randrange(ledger.head) for _ in range(60))]:
            assert page.edges(seq) == said_by_lifetimes(timeline, seq)
            state = timeline.at(seq)
            assert page.settings(seq) == set(state.settings)
            shown = page.facts(seq)
            assert {name for kind, name, _ in shown if kind == "session"} == set(state.sessions)
            assert {name for kind, name, _ in shown if kind == "component"} == set(state.components)
            assert {name for kind, name, _ in shown if kind == "endpoint"} == set(state.endpoints)
        assert page.rows["time.ns"] == list(timeline.lifetimes.column("time.ns"))


def test_the_same_octets_whether_the_columns_lie_in_memory_or_in_an_index(
    long_history: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SAVE_EVERY", 20)
    path = long_history(tmp_path / "random.ledger", 4, STEPS)
    with Ledger.open(path, "r") as ledger:
        in_memory = Columns().octets(Timeline(ledger, index=False).lifetimes)
        kept = Timeline(ledger)
        _ = kept.lifetimes
    assert path.with_suffix(".ledger.index").exists()
    with Ledger.open(path, "r") as ledger:
        mapped = Timeline(ledger).lifetimes
        assert isinstance(mapped.column("hold.born").block(0), memoryview)
        assert Columns().octets(mapped) == in_memory


def test_what_is_new_goes_on_where_an_answer_ended(long_history: Callable[..., Path], tmp_path: Path) -> None:
    whole = long_history(tmp_path / "whole.ledger", 5, STEPS)
    growing = tmp_path / "growing.ledger"
    lines = whole.read_bytes().splitlines(keepends=True)
    commits = [place for place, line in enumerate(lines) if b'"ledger.commit"' in line[:40]]
    growing.write_bytes(b"".join(lines[: commits[0] + 1]))
    columns_, page = Columns(), Page()
    random = Random(1)
    with Ledger.open(growing, "r") as ledger, growing.open("ab") as file:
        timeline = Timeline(ledger, index=False)
        page.take(columns_.octets(timeline.lifetimes))
        done = 1
        while done < len(commits):
            more = min(len(commits) - done, random.randrange(1, 40))
            file.write(b"".join(lines[commits[done - 1] + 1 : commits[done + more - 1] + 1]))
            file.flush()
            done += more
            octets = columns_.octets(timeline.lifetimes, page.head)
            assert Read(octets).head["after"] == page.head
            page.take(octets)
            for seq in (page.head, random.randrange(page.head)):
                assert page.edges(seq) == said_by_lifetimes(timeline, seq)
                assert page.settings(seq) == set(timeline.at(seq).settings)
        fresh = Page()
        fresh.take(Columns().octets(timeline.lifetimes))
        assert fresh.rows == page.rows
        assert fresh.facts(fresh.head) == page.facts(page.head)


def test_an_answer_that_nobody_remembers_is_given_in_full(long_history: Callable[..., Path], tmp_path: Path) -> None:
    with Ledger.open(long_history(tmp_path / "random.ledger", 6, 60), "r") as ledger:
        assert Read(Columns().octets(Timeline(ledger, index=False).lifetimes, after=7)).head["after"] == 0


def test_a_window_has_what_stood_in_it(long_history: Callable[..., Path], tmp_path: Path) -> None:
    with Ledger.open(long_history(tmp_path / "random.ledger", 7, STEPS), "r") as ledger:
        timeline = Timeline(ledger, index=False)
        first, last = ledger.head // 3, ledger.head // 2
        page = Page()
        page.take(Columns().octets(timeline.lifetimes, window=(first, last)))
        for seq in range(first, last + 1, 7):
            assert page.edges(seq) == said_by_lifetimes(timeline, seq)
        assert len(page.rows["hold.born"]) < len(timeline.lifetimes.column("hold.born"))


def test_of_too_many_holds_the_last_part_is_given(
    long_history: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "HOLDS_MAX", 20)
    with Ledger.open(long_history(tmp_path / "random.ledger", 8, STEPS), "r") as ledger:
        timeline = Timeline(ledger, index=False)
        octets = Columns().octets(timeline.lifetimes)
        first, last = Read(octets).head["window"]
        page = Page()
        page.take(octets)
        assert 0 < first < last == ledger.head
        for seq in range(first, last + 1):
            assert page.edges(seq) == said_by_lifetimes(timeline, seq)


def test_of_too_many_settings_those_of_one_component_are_given(
    long_history: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "SETTINGS_MAX", 3)
    with Ledger.open(long_history(tmp_path / "random.ledger", 9, STEPS), "r") as ledger:
        timeline = Timeline(ledger, index=False)
        read = Read(Columns().octets(timeline.lifetimes))
        assert "setting.born" not in read.column
        assert read.head["settings_kept"] is False
        for component in timeline.lifetimes.names("setting"):
            one = Read(Columns().settings(timeline.lifetimes, component))
            lives = zip(one.column["setting.born"], one.column["setting.died"], strict=True)
            wanted = [(fact.born, min(fact.died, LASTS)) for fact in timeline.lifetimes.facts("setting", component)]
            assert [life for life in lives if life[0] < life[1]] == wanted


def test_seqs_that_do_not_fit_are_refused(long_history: Callable[..., Path], tmp_path: Path) -> None:
    with Ledger.open(long_history(tmp_path / "random.ledger", 1, 30), "r") as ledger:
        lifetimes = Timeline(ledger, index=False).lifetimes
        lifetimes.seq = 2**32
        with pytest.raises(columns.TooLong):
            Columns().octets(lifetimes)


def test_what_lasts_is_the_largest_number_of_four_bytes() -> None:
    column = array("q", [1, 77, 2**63 - 1, 2**32 - 2])
    here = columns._low(column, 1)
    assert list(struct.unpack("<3I", here)) == [77, LASTS, 2**32 - 2]
