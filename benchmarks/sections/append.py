"""Append: how fast events become durable."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.harness import Section, Setting, Spread, count, ratios, take_turns, times
from benchmarks.tables import Table
from benchmarks.workload import batches, events
from ezmsg.ledger.events import Event
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.structural import COMMIT_PREFIX

ABOUT = """\
The same events go to a ledger file, to SQLite, and, already encoded, to a bare file. Stamping, encoding, commit lines
and their SHA-256 are part of our time; stamping, encoding and the transaction are part of SQLite's (write-ahead log,
one row per event: seq, time, type, JSON). The bare file gets exactly the bytes that the ledger holds, with one write
per commit: it is the limit. Opening and closing are not counted. After each run the ledger is verified from its first
byte to its last, outside the measured time.

Level `commit` has the disk confirm every commit (`fdatasync`; SQLite: `synchronous=FULL`) before it is acknowledged;
level `none` leaves that to the system (`synchronous=OFF`).

Where the time goes, of an event in commits of 1,000 on the machine of the figures: the bare file and its sync take
310 ns, stamped copies 105 ns, encoding 93 ns, the check that each event reads back as it was given 156 ns, SHA-256 73
ns. Half the speed of the bare file would leave 310 ns for the last four. Converting the fields alone, as it is done,
costs half of reading lines back; a commit cannot be encoded while the one before it is synced, since who appends
waits for that."""

COLUMNS = ("level", "events per commit", "writer", "events/s", "bytes per event", "our speed beside it")


class Case(NamedTuple):
    """One row group of the table."""

    level: Durability
    size: int
    events: int
    quick_events: int


CASES = (
    Case("commit", 1000, 200_000, 2_000),
    Case("commit", 1, 2_000, 20),
    Case("none", 1000, 200_000, 2_000),
    Case("none", 1, 20_000, 200),
)


def run(setting: Setting) -> Section:
    """Measure every case."""
    section = Section("Append", ABOUT, COLUMNS)
    workload = events(max(case.quick_events if setting.quick else case.events for case in CASES))
    for case in CASES:
        number = case.quick_events if setting.quick else case.events
        _measure(case, batches(workload[:number], case.size), number, setting, section)
    return section


def _measure(case: Case, commits: Sequence[list[Event]], number: int, setting: Setting, section: Section) -> None:
    synchronous = "FULL" if case.level == "commit" else "OFF"
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        ours, table, bare = folder / "ours.ledger", folder / "table.sqlite", folder / "bare"
        _append(ours, commits, case.level)
        blocks = _blocks(ours.read_bytes())
        figures = take_turns(
            f"append at level {case.level}, {case.size} per commit",
            {
                "ours": lambda: _append(ours, commits, case.level),
                "bare": lambda: _write(bare, blocks, sync=case.level == "commit"),
                "table": lambda: _insert(table, commits, synchronous, number),
            },
            setting.rounds,
        )
        sizes = {"ours": ours.stat().st_size, "bare": bare.stat().st_size, "table": table.stat().st_size}
    names = {
        "ours": "ezmsg-ledger",
        "bare": "bare file" + (", fdatasync" if case.level == "commit" else ""),
        "table": f"SQLite, {synchronous}",
    }
    for key, label in names.items():
        speed = Spread.of([number / took for took in figures[key]]).written(count)
        ratio = "" if key == "ours" else ratios(figures[key], figures["ours"]).written(times)
        section.rows.append((case.level, f"{case.size:,}", label, speed, f"{sizes[key] / number:.0f}", ratio))
    _judge(case, figures, section)


def _judge(case: Case, figures: dict[str, list[float]], section: Section) -> None:
    if case.level != "commit":
        return
    what = f"durable, {case.size:,} per commit"
    beside_table = ratios(figures["table"], figures["ours"])
    if case.size == 1:
        section.aim(f"{what}: speed beside SQLite FULL", beside_table, 1.0)
    else:
        section.aim(f"{what}: speed beside the bare file", ratios(figures["bare"], figures["ours"]), 0.5)
        section.aim(f"{what}: speed beside SQLite FULL", beside_table, 3.0)


# --- the writers -----------------------------------------------------------------------------------------------------


def _append(path: Path, commits: Sequence[list[Event]], level: Durability) -> float:
    path.unlink(missing_ok=True)
    with Ledger.open(path, durability=level) as ledger:
        start = perf_counter()
        for commit in commits:
            ledger.append(commit)
        took = perf_counter() - start
    with Ledger.open(path, "r") as ledger:
        found = ledger.verify()
        if not found.sound or ledger.head != sum(map(len, commits)):
            raise RuntimeError(f"what was measured is no sound ledger: {found}")
    return took


def _blocks(data: bytes) -> list[bytes]:
    """What a ledger's file holds, as it was written: one block per commit. The seal was written by closing."""
    blocks, begin = [], data.index(b"\n") + 1
    while (line := data.find(COMMIT_PREFIX, begin)) >= 0:
        end = data.index(b"\n", line) + 1
        blocks.append(data[begin:end])
        begin = end
    return blocks[:-1]


def _write(path: Path, blocks: Sequence[bytes], sync: bool) -> float:
    path.unlink(missing_ok=True)
    handle = OS_DISK.create(str(path))
    try:
        offset = 0
        start = perf_counter()
        for block in blocks:
            offset += OS_DISK.write(handle, block, offset)
            if sync:
                OS_DISK.sync(handle)
        took = perf_counter() - start
    finally:
        os.close(handle)
    if offset != sum(map(len, blocks)):
        raise RuntimeError("the bare file is incomplete")
    return took


def _insert(path: Path, commits: Sequence[list[Event]], synchronous: str, number: int) -> float:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with Table(path, synchronous) as table:
        start = perf_counter()
        for commit in commits:
            table.append(commit)
        took = perf_counter() - start
        if table.count() != number:
            raise RuntimeError("the table is incomplete")
    return took
