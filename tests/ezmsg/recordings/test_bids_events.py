"""Events of a recording as BIDS has them, and what its validator says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ezmsg.suite.environments import RECORDINGS

from .recorded import Recorded

pytestmark = pytest.mark.environments


def test_a_disk_that_is_full_has_neither_the_events_nor_what_their_columns_are(fast: Recorded, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from ezmsg.ledger.tools.cli import main; size = int(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); sys.exit(main(sys.argv[2:]))"
    )
    for size in (300, 600):  # for neither; for the events, and not for the sidecar
        command = ("export", fast.ledger, "-f", "bids-events", "--data", fast.folder / "rig.nwb", "-o")
        told = fast.desk.do(RECORDINGS.python(), "-B", "-c", code, str(size), *command, tmp_path / "out.tsv")
        assert (told.code, told.out) == (6, ""), told
        assert "File too large" in told.err
        assert list(tmp_path.iterdir()) == []


def test_events_for_bids_pass_its_validator(fast: Recorded, tmp_path: Path) -> None:
    place = tmp_path / "sub-01" / "ieeg"
    place.mkdir(parents=True)
    stem = "sub-01_task-rest"
    (place / f"{stem}_ieeg.nwb").write_bytes((fast.folder / "rig.nwb").read_bytes())
    about = {"Name": "rig", "BIDSVersion": "1.10.0", "DatasetType": "raw", "Authors": ["A"], "License": "CC0"}
    (tmp_path / "dataset_description.json").write_text(json.dumps(about))
    (tmp_path / "README.md").write_text("A rig whose gain was changed while it was recorded. " * 5)
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n")
    measured = {"TaskName": "rest", "SamplingFrequency": 1000, "PowerLineFrequency": 50, "SoftwareFilters": "n/a"}
    (place / f"{stem}_ieeg.json").write_text(json.dumps({**measured, "iEEGReference": "none"}))
    (place / f"{stem}_channels.tsv").write_text("name\ttype\tunits\tlow_cutoff\thigh_cutoff\nx\tSEEG\tuV\tn/a\tn/a\n")
    (place / "sub-01_electrodes.tsv").write_text("name\tx\ty\tz\tsize\nx\t1\t2\t3\t4\n")
    space = {"iEEGCoordinateSystem": "Other", "iEEGCoordinateUnits": "mm", "iEEGCoordinateSystemDescription": "a box"}
    (place / "sub-01_coordsystem.json").write_text(json.dumps(space))
    out = place / f"{stem}_events.tsv"
    command = ("-m", "ezmsg.ledger.tools.cli", "export", fast.ledger, "-f", "bids-events", "--data")
    told = fast.desk.do(RECORDINGS.python(), *command, fast.folder / "rig.nwb", "-o", out)
    assert told.code == 0, told.err
    told = fast.desk.do(RECORDINGS.python().with_name("bids-validator-deno"), tmp_path, "--json")
    issues = json.loads(told.out)["issues"]["issues"]
    assert [each for each in issues if each["severity"] == "error"] == []
    ours = [each for each in issues if "events" in str(each.get("location"))]
    assert {each["subCode"] for each in ours} <= {"StimulusPresentation"}, ours
    heading, *rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert heading == [
        *("onset", "duration", "trial_type", "component", "field", "before", "after", "mark", "ledger_seq")
    ]
    answer = fast.in_force("rig.nwb")
    gains = [span for span in answer["changed"] if span["field"] == "gain"]
    [mark] = answer["marks"]
    assert [row[7] for row in rows if row[2] == "mark"] == ["blink"]
    assert [row[5:7] for row in rows if row[4] == "gain"] == [
        ["n/a" if number == 0 else str(gains[number - 1]["value"]), str(span["value"])]
        for number, span in enumerate(gains)
    ]
    told = fast.desk.do(RECORDINGS.python(), *command, fast.folder / "rig.nwb", "-o", tmp_path / "wall.tsv", "--wall")
    assert told.code == 0, told.err
    walls = [line.split("\t")[-1] for line in (tmp_path / "wall.tsv").read_text().splitlines()]
    assert walls == ["wall_ns", *map(str, sorted([mark["wall_ns"], *(span["wall_ns"] for span in gains)], key=int))]
