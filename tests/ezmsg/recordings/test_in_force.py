"""What made the samples of real recordings, by ezmsg-nwb, LSL to XDF, and mne, of a rig whose gain shows in them.

Each change shows in the samples where ``in-force`` says that it may: with blocks of 20 and 200 ms, in a process that is
held up, with a wall clock that is set meanwhile, and for a rig that is killed.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from tests.ezmsg.suite.environments import RECORDINGS

from .recorded import PROGRAMS, Recorded, check, record

pytestmark = pytest.mark.environments


@pytest.mark.parametrize(
    ("name", "sureness", "named"),
    [
        ("rig.nwb", "exact", ["SYSTEM/SINK", "filepath", "the path"]),
        ("rig.xdf", "exact", ["SYSTEM/OUTLET", "stream_name", "the stream"]),
        ("rig_raw.fif", "as the wall clock said", ["SYSTEM/WRITER", "filepath", "the path"]),
    ],
)
def test_each_change_shows_where_it_may_with_blocks_of_20_ms(
    fast: Recorded, name: str, sureness: str, named: list[str]
) -> None:
    answer = check(fast, name, 6, 0.02)
    assert answer["sureness"] == sureness
    assert answer["error"] < (1e-3 if name == "rig.xdf" else 1e-5)
    assert [[link["unit"], link["field"], link["what"]] for link in answer["named_by"]] == [named]
    assert answer["block"] == 0.02
    assert answer["constant"]["SYSTEM/CLOCK.dispatch_rate"] == 50.0
    [right] = answer["seen"]["answers"]
    assert right["right"] >= 0.99
    assert right["latest"] <= 0.02 + max(0.0, fast.latest - 0.02) + 0.002, "a wrong sample lies within a block after"


@pytest.mark.parametrize("name", ["rig.nwb", "rig.xdf", "rig_raw.fif"])
def test_samples_lie_within_the_error_that_is_told(fast: Recorded, name: str) -> None:
    off = fast.off(name)
    assert off["largest"] <= off["error"]


def test_some_seconds_and_what_a_person_reads(fast: Recorded) -> None:
    told = fast.desk.do(
        RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", "in-force", fast.folder / "rig.nwb", fast.ledger,
    )  # fmt: skip
    assert told.code == 0, told.err
    assert "clock     exact: its stamps are CLOCK_MONOTONIC less the session start" in told.out
    assert "named by  SYSTEM/SINK.filepath (the path)" in told.out
    assert re.search(r"shown from between \d+\.\d+ and \d+\.\d+, updated \(seq \d+\), asked for by session", told.out)
    assert re.search(r"wrong with the file's clock: its stamps lie \d+\.\d years before the session start", told.out)


def test_blocks_of_200_ms_and_the_sink_that_is_told_its_clock(desk: Any) -> None:
    rig = record(desk, 5, 5, 1.7, "nwb", "monotonic", "fif")
    answer = check(rig, "rig.nwb", 5, 0.2)
    assert (answer["sureness"], answer["kind"], answer["block"]) == ("exact", "moved", 0.2)
    assert answer["clock_wrong"] == []
    off = rig.off("rig.nwb")
    assert off["largest"] <= off["error"]
    check(rig, "rig_raw.fif", 5, 0.2)


def test_a_process_that_is_held_up(desk: Any) -> None:
    rig = record(desk, 50, 40, 0.1, "nwb", "stall")
    answer = check(rig, "rig.nwb", 40, 1.0)
    assert any("was held up between seconds" in doubt for doubt in answer["doubts"])


@pytest.mark.parametrize("by", [3600, -90])
def test_a_wall_clock_that_is_set_meanwhile(desk: Any, by: int) -> None:
    server = desk.start(
        RECORDINGS.python(),
        PROGRAMS / "stepped_server.py",
        desk.folder / "rig.ledger",
        desk.free,
        "12",
        str(by),
    )
    address = server.until(r"listening on (\S+)")[1]
    rig = record(desk, 50, 9, 1.5, "nwb", address=address)
    server.process.terminate()
    server.end()
    with Ledger.open(rig.ledger, "r") as ledger:
        assert "step" in [event.reason for event in ledger.entries() if isinstance(event, ev.ClockRead)]
    assert check(rig, "rig.nwb", 9, 0.02)["sureness"] == "exact"


def test_a_rig_that_is_killed_leaves_its_settings_alone(desk: Any) -> None:
    """ezmsg-nwb's file then holds no sample that can be read; the ledger holds all that was in force."""
    rig = record(desk, 50, 3, 0.5, "killed")
    told = desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", "in-force", rig.folder / "rig.nwb", rig.ledger)
    assert told.code in (1, 3), told.err
    assert "killed" in told.err
    assert "ezmsg-ledger settings" in told.err
    told = rig.ask("settings", rig.ledger, "SYSTEM/AMP.gain")
    assert [change["fields"][0]["after"] for change in told["history"]["changes"]][:3] == [1, 2, 3]


def test_a_cropped_and_a_concatenated_file(fast: Recorded) -> None:
    """A cropped file is the same stretch; one that was put together is right up to its seam, and says where that is."""
    code = (
        "import mne, sys; from pathlib import Path; folder = Path(sys.argv[1]);"
        "raw = mne.io.read_raw_fif(folder / 'rig_raw.fif', verbose='error', preload=True);"
        "raw.copy().crop(5, 12).save(folder / 'crop_raw.fif', verbose='error', fmt='double');"
        "mne.concatenate_raws([raw.copy().crop(0, 4), raw.copy().crop(8, 12)]).save("
        "folder / 'both_raw.fif', verbose='error', fmt='double')"
    )
    told = fast.desk.do(RECORDINGS.python(), "-c", code, fast.folder)
    assert told.code == 0, told.err
    whole, crop = fast.in_force("rig_raw.fif"), fast.in_force("crop_raw.fif")
    begins = {span["value"]: span["begin"] for span in whole["changed"] if span["field"] == "gain"}
    for span in crop["changed"]:
        if not span["began_before"]:
            assert span["begin"] + 5 == pytest.approx(begins[span["value"]], abs=1e-4)
    assert any(
        "put together of several: what comes after second 4.0" in each
        for each in fast.in_force("both_raw.fif")["clock_wrong"]
    )
