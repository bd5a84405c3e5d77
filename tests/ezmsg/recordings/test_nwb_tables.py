"""What ``annotate`` writes into a copy of a NWB file: sound for others, as the ledger says, or nothing at all."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ezmsg.suite.environments import RECORDINGS

from .recorded import PROGRAMS, Recorded

pytestmark = pytest.mark.environments


def test_tables_in_nwb_are_sound_and_say_what_in_force_does(fast: Recorded, annotated: Any) -> None:
    assert any("before the session start" in each for each in annotated["clock_wrong"])
    told = fast.desk.do(
        RECORDINGS.python(), PROGRAMS / "sound_nwb.py", fast.folder / "rig.nwb", fast.folder / "annotated.nwb"
    )
    assert told.code == 0, told.err
    found = json.loads(told.out.splitlines()[-1])
    assert (found["errors"], found["worse"]) == ([], [])
    assert found["generated"][0][0] == "ezmsg-ledger"
    answer = fast.in_force("rig.nwb")
    rows = [(row["component"], row["field"], row["value"], row["seq"]) for row in found["tables"]["ledger_settings"]]
    spans = sorted(answer["changed"], key=lambda span: (span["begin"], span["unit"]))
    assert rows == [(span["unit"], span["field"], json.dumps(span["value"]), span["seq"]) for span in spans]
    for row, span in zip(found["tables"]["ledger_settings"], spans, strict=True):
        assert row["start_time"] - answer["first_stamp"] == pytest.approx(span["begin"], abs=1e-6)
        assert row["wall_ns"] == str(span["wall_ns"])
    constant = {f"{row['component']}.{row['field']}" for row in found["tables"]["ledger_settings_constant"]}
    assert constant == set(answer["constant"])
    assert [row["edges"] for row in found["tables"]["ledger_wiring"]] == [span["edges"] for span in answer["wiring"]]
    assert fast.in_force("annotated.nwb")["changed"] == answer["changed"] or answer["named_by"]


def test_a_file_is_not_touched_and_a_place_that_is_taken_is_refused(fast: Recorded, annotated: Any) -> None:
    before = (fast.folder / "rig.nwb").read_bytes()
    for out in ("rig.nwb", "annotated.nwb", "other.xdf", "nowhere/x.nwb"):
        command = ("annotate", fast.folder / "rig.nwb", fast.ledger, "-o", fast.folder / out)
        told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
        assert (told.code, told.out) == (2, ""), out
    assert (fast.folder / "rig.nwb").read_bytes() == before
    assert [each.name for each in fast.folder.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize("more", [-10_000, 20_000, 120_000])
def test_a_disk_that_takes_no_more_is_said_and_leaves_nothing(fast: Recorded, tmp_path: Path, more: int) -> None:
    """HDF5 goes down with the process when the disk is full: so the room for the tables is set aside before."""
    code = (
        "import resource, sys; from ezmsg.ledger.tools.cli import main; size = int(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); sys.exit(main(sys.argv[2:]))"
    )
    size = (fast.folder / "rig.nwb").stat().st_size + more
    command = ("annotate", fast.folder / "rig.nwb", fast.ledger, "-o", tmp_path / "out.nwb")
    told = fast.desk.do(RECORDINGS.python(), "-B", "-c", code, str(size), *command)
    assert (told.code, told.out) == (6, ""), told
    assert re.fullmatch(r"ezmsg-ledger: the system refused: .*out.nwb: File too large\n", told.err), told.err
    assert list(tmp_path.iterdir()) == []


def test_annotate_that_is_interrupted_leaves_nothing(fast: Recorded, tmp_path: Path) -> None:
    """Ctrl-C at some moments of the second in which the copy and the tables are made."""
    for delay in (0.0, 0.2, 0.5):
        command = ("annotate", fast.folder / "rig.nwb", fast.ledger, "-o", tmp_path / "out.nwb")
        program = fast.desk.start(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
        fast.desk.poll(lambda: list(tmp_path.iterdir()), "the copy is begun")
        time.sleep(delay)
        program.process.send_signal(signal.SIGINT)
        told = program.end()
        # Python ends itself by the signal, which shells call 130 too, where it came in code that was made of a text
        assert told.code in (130, -signal.SIGINT, 0), told
        left = [each.name for each in tmp_path.iterdir()]
        assert left == (["out.nwb"] if told.out else []), (told, left)
        (tmp_path / "out.nwb").unlink(missing_ok=True)


def test_a_file_that_nothing_names_is_refused_unless_forced(fast: Recorded, tmp_path: Path) -> None:
    (tmp_path / "moved.nwb").write_bytes((fast.folder / "rig.nwb").read_bytes())
    command = ["annotate", tmp_path / "moved.nwb", fast.ledger, "-o", tmp_path / "out.nwb"]
    told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
    assert (told.code, told.out) == (1, "")
    assert "nothing in the ledger names moved.nwb" in told.err
    assert not (tmp_path / "out.nwb").exists()
    assert fast.ask(*command, "--force")["sureness"] == "exact"


FORGE = """
import h5py, sys
with h5py.File(sys.argv[1], "a") as file:
    place, _, item = sys.argv[2].partition("=")
    group, _, name = place.rpartition("/")
    table = file[group]
    if name == "rows":  # the last one goes
        for column in table.values():
            column.resize(len(column) - 1, axis=0)
    elif name == "gone":
        del file[group]
    elif name == "short":  # the last two cells of a column go
        table[item].resize(len(table[item]) - 2, axis=0)
    elif name == "added":  # a column of references, which is how NWB points at rows of other tables
        table.create_dataset(item, data=[file.ref] * 3, dtype=h5py.ref_dtype)
    elif name == "without":
        del table[item]
    elif name == "flat":
        del file[group]
        file[group] = 5
    else:
        column = table[name]
        row = list(table["item"].asstr()[:]).index(item) if item else len(column) - 1
        value = column[row]
        column[row] = b"forged" if isinstance(value, bytes) else not value if value.dtype.kind == "b" else value + 1
"""
"""Changes the last row of a column, or that of an item, of one of the tables; or rows, columns, tables come and go."""

FORGED = {
    "intervals/ledger_settings/value": "ledger_settings, row 6: value is",
    "intervals/ledger_settings/start_time": "ledger_settings, row 6: start is",
    "intervals/ledger_settings/asked_by": "ledger_settings, row 6: asked_by is",
    "intervals/ledger_settings/gone": "ledger_settings has 0 rows, and the ledger gives 6",
    "intervals/ledger_settings/short=value": 'ledger_settings, row 5: value is null, not "5"',
    "intervals/ledger_settings/without=value": "ledger_settings has no column value",
    "intervals/ledger_settings/added=more": "ledger_settings has a column more, which is not the ledger's",
    "intervals/ledger_settings/flat": "ledger_settings has 0 rows, and the ledger gives 6",
    "intervals/ledger_wiring/edges": "ledger_wiring, row 1: edges is",
    "intervals/ledger_wiring/stood": "ledger_wiring, row 1: stood is",
    "events/ledger_marks/mark": 'ledger_marks, row 1: mark is "forged", not "blink"',
    "events/ledger_marks/timestamp": "ledger_marks, row 1: timestamp is",
    "events/ledger_marks/gone": "ledger_marks has 0 rows, and the ledger gives 1",
    "events/ledger_events/text": r"ledger_events, row \d+: text is",
    "events/ledger_events/seq": r"ledger_events, row \d+: seq is",
    "scratch/ledger_settings_constant/value": r"ledger_settings_constant, row \d+: value is",
    "scratch/ledger_settings_constant/gone": r"ledger_settings_constant has 0 rows",
    "scratch/ledger_provenance/text=clock": 'ledger_provenance: clock is "forged", not "exact"',
    "scratch/ledger_provenance/text=error_s": "ledger_provenance: error_s is",
    "scratch/ledger_provenance/text=block_s": "ledger_provenance: block_s is",
    "scratch/ledger_provenance/text=wrong_in_file": "ledger_provenance: wrong_in_file is",
    "scratch/ledger_provenance/text=receipt": "ledger_provenance: not a receipt of a ledger: it begins with 'forged'",
}
"""What is changed in a file, and what is said of it."""


def test_the_tables_are_verified_against_the_ledger(fast: Recorded, annotated: Any, tmp_path: Path) -> None:
    held = fast.ask("verify", fast.folder / "annotated.nwb", "--ledger", fast.ledger)
    assert (held["holds"], held["differ"]) == (True, [])
    for place, said in FORGED.items():
        forged = tmp_path / "forged.nwb"
        forged.write_bytes((fast.folder / "annotated.nwb").read_bytes())
        assert fast.desk.do(RECORDINGS.python(), "-c", FORGE, forged, place).code == 0, place
        told = fast.ask("verify", forged, "--ledger", fast.ledger, code=4)
        lines = told["differ"][: 1 if "/short=" in place else None]  # one for each row that has no such cell
        assert [bool(re.match(said, each)) for each in lines] == [True], (place, told["differ"])
    altered = tmp_path / "altered.ledger"
    altered.write_bytes(fast.ledger.read_bytes().replace(b'"gain":3', b'"gain":9'))
    told = fast.desk.do(
        RECORDINGS.python(),
        "-m",
        "ezmsg.ledger.tools.cli",
        "verify",
        fast.folder / "annotated.nwb",
        "--ledger",
        altered,
    )
    assert told.code == 4, told
    told = fast.desk.do(
        RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", "verify", fast.folder / "rig.nwb", "--ledger", fast.ledger
    )
    assert (told.code, "has no tables of a ledger" in told.err) == (3, True)
