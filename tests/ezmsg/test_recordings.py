"""What made the samples of real recordings, by ezmsg-nwb, LSL to XDF, and mne, of a rig whose gain shows in them.

Each change shows in the samples where ``in-force`` says that it may: with blocks of 20 and 200 ms, in a process that is
held up, with a wall clock that is set meanwhile, and for a rig that is killed.
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev

from .suite.environments import RECORDINGS
from .test_packages import LSL_HERE

pytestmark = pytest.mark.environments

PROGRAMS = Path(__file__).parent / "programs"
RIG = PROGRAMS / "recorded_rig.py"


class Recorded:
    """A recorded rig: its folder, the ledger, and by how much its latest block was late (s)."""

    def __init__(self, desk: Any, latest: float) -> None:
        self.desk, self.folder, self.latest = desk, desk.folder, latest
        self.ledger = self.folder / "rig.ledger"

    def ask(self, *command: object, code: int = 0) -> Any:
        """What a command of ours says, as a document."""
        told = self.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command, "--json")
        assert told.code == code, told.err
        return json.loads(told.out)

    def in_force(self, name: str, *options: object) -> Any:
        return self.ask("in-force", self.folder / name, self.ledger, *options)

    def seen(self, name: str, *answers: Any) -> Any:
        """What the samples say, and what of the answers is right."""
        files = []
        for number, answer in enumerate(answers):
            files.append(self.folder / f"answer-{number}.json")
            files[-1].write_text(json.dumps(answer))
        told = self.desk.do(RECORDINGS.python(), PROGRAMS / "change_points.py", self.folder / name, *files)
        assert told.code == 0, told.err
        return json.loads(told.out)


def record(desk: Any, rate: int, gains: int, every: float, *kinds: str, address: str | None = None) -> Recorded:
    (desk.folder / "lsl.cfg").write_text(LSL_HERE)
    variables = {"LSLAPICFG": str(desk.folder / "lsl.cfg")}
    script = [RIG, desk.folder, str(rate), str(gains), str(every), *kinds]
    if address is None:
        before = ["-m", "ezmsg.ledger.tools.cli", "run", "--ledger", desk.folder / "rig.ledger", "--address", desk.free]
    else:
        before, variables = [], {**variables, "EZMSG_GRAPHSERVER_ADDR": address}
    program = desk.start(RECORDINGS.python(), *before, *script, **variables)
    latest = json.loads(program.until(r'^\{"latest_ms":.*').string)["latest_ms"] / 1000
    if "killed" in kinds:
        with Ledger.open(desk.folder / "rig.ledger", "r") as ledger:
            [pid] = {event.pid for event in ledger.entries() if isinstance(event, ev.ProcessRegistered)}
        os.kill(int(pid or 0), signal.SIGKILL)
        program.end()
        return Recorded(desk, latest)
    told = program.end()
    assert told.code == 0, told.err
    return Recorded(desk, latest)


def check(rig: Recorded, name: str, gains: int, block: float) -> Any:
    """Every change of the samples lies within what is said of it. Returns the answer."""
    answer = rig.in_force(name)
    seen = rig.seen(name, answer)
    assert [value for _, value in seen["changes"]] == list(range(2, gains + 1)), seen
    told = {span["value"]: span for span in answer["changed"] if span["field"] == "gain" and not span["began_before"]}
    late = max(0.0, rig.latest - block)  # a machine that is busy with something else gave blocks late
    sample = 1.5 / 1000  # LSL stamps one sample late
    for second, value in seen["changes"]:
        span = told[value]
        assert span["earliest"] - late <= second <= span["latest"] + sample, (second, span, rig.latest)
        assert span["asked_by"] is not None
    return {**answer, "seen": seen}


@pytest.fixture(scope="module")
def fast(new_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Blocks of 20 ms, three seconds apart, in all three formats."""
    return record(new_desk(tmp_path_factory.mktemp("fast")), 50, 6, 3, "nwb", "lsl", "fif")


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
    assert answer["error"] < 1e-5
    assert [[link["unit"], link["field"], link["what"]] for link in answer["named_by"]] == [named]
    assert answer["block"] == 0.02
    assert answer["constant"]["SYSTEM/CLOCK.dispatch_rate"] == 50.0
    [right] = answer["seen"]["answers"]
    assert right["right"] >= 0.99
    assert right["latest"] <= 0.02 + max(0.0, fast.latest - 0.02) + 0.002, "a wrong sample lies within a block after"


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


def test_what_is_no_recording_is_said_in_one_message(fast: Recorded) -> None:
    folder = fast.folder
    whole = (folder / "rig.nwb").read_bytes()
    (folder / "cut.nwb").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.xdf").write_bytes(bytes(range(256)) * 40)
    (folder / "text_raw.fif").write_text("Dear diary,\n")
    (folder / "empty.nwb").write_bytes(b"")
    for name in ("cut.nwb", "noise.xdf", "text_raw.fif", "empty.nwb"):
        told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", "in-force", folder / name, fast.ledger)
        assert (told.code, told.out) == (3, ""), name
        assert told.err.startswith(f"ezmsg-ledger: {name} is not read as"), told.err
        assert "Traceback" not in told.err


def test_what_is_packed_or_encrypted_is_said_in_one_message(fast: Recorded, tmp_path: Path) -> None:
    """A filter that nobody has here; an archive; bytes of gpg; stamps that were never written: none is a fault."""
    code = (
        "import h5py, numpy, shutil, sys; from pathlib import Path; folder = Path(sys.argv[2]);"
        "shutil.copy(sys.argv[1], folder / 'filter.nwb');"
        "file = h5py.File(folder / 'filter.nwb', 'a'); series = file['acquisition/signal'];"
        "stamps = series['timestamps'][:]; del series['timestamps'];"
        "series.create_dataset('timestamps', data=stamps, chunks=(500,), compression='lzf'); file.close();"
        "packed = (folder / 'filter.nwb').read_bytes(); lzf = bytes.fromhex('007d0800'); assert lzf in packed;"
        "(folder / 'filter.nwb').write_bytes(packed.replace(lzf, bytes.fromhex('e7800800')));"
        "shutil.copy(sys.argv[1], folder / 'unwritten.nwb');"
        "file = h5py.File(folder / 'unwritten.nwb', 'a');"
        "file['acquisition/signal/timestamps'][-3000:] = numpy.nan; file.close()"
    )
    told = fast.desk.do(RECORDINGS.python(), "-c", code, fast.folder / "rig.nwb", tmp_path)
    assert told.code == 0, told.err
    (tmp_path / "zip.nwb").write_bytes(b"PK\x03\x04" + bytes(5000))
    (tmp_path / "gpg.xdf").write_bytes(b"\x85\x02\x0c\x03" + bytes(range(256)) * 20)
    (tmp_path / "gpg_raw.fif").write_bytes(b"\x85\x02\x0c\x03" + bytes(range(256)) * 20)
    for name, said in (
        ("filter.nwb", "is HDF5 that is not read: .*\n.*filter that is not installed"),
        ("unwritten.nwb", "its stamp [0-9,]+ is not a number"),
        ("zip.nwb", "is not read as HDF5"),
        ("gpg.xdf", "is not read as XDF"),
        ("gpg_raw.fif", "is not read as raw FIF"),
    ):
        command = ("-m", "ezmsg.ledger.tools.cli", "in-force", tmp_path / name, fast.ledger)
        told = fast.desk.do(RECORDINGS.python(), *command)
        assert (told.code, told.out) == (3, ""), name
        assert re.search(said, told.err), told.err
        assert "Traceback" not in told.err
        assert told.err.count("ezmsg-ledger: ") == 1


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


# --- written into the files ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def annotated(fast: Recorded) -> Any:
    """What ``annotate`` said of the NWB file."""
    return fast.ask("annotate", fast.folder / "rig.nwb", fast.ledger, "-o", fast.folder / "annotated.nwb")


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


def test_a_file_that_nothing_names_is_refused_unless_forced(fast: Recorded, tmp_path: Path) -> None:
    (tmp_path / "moved.nwb").write_bytes((fast.folder / "rig.nwb").read_bytes())
    command = ["annotate", tmp_path / "moved.nwb", fast.ledger, "-o", tmp_path / "out.nwb"]
    told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
    assert (told.code, told.out) == (1, "")
    assert "nothing in the ledger names moved.nwb" in told.err
    assert not (tmp_path / "out.nwb").exists()
    assert fast.ask(*command, "--force")["sureness"] == "exact"


def test_the_tables_are_verified_against_the_ledger(fast: Recorded, annotated: Any, tmp_path: Path) -> None:
    held = fast.ask("verify", fast.folder / "annotated.nwb", "--ledger", fast.ledger)
    assert (held["holds"], held["differ"]) == (True, [])
    forged = tmp_path / "forged.nwb"
    forged.write_bytes((fast.folder / "annotated.nwb").read_bytes())
    code = (
        "import h5py, sys; file = h5py.File(sys.argv[1], 'a');"
        "file['intervals/ledger_settings/value'][2] = '77'; file.close()"
    )
    assert fast.desk.do(RECORDINGS.python(), "-c", code, forged).code == 0
    told = fast.ask("verify", forged, "--ledger", fast.ledger, code=4)
    assert ["ledger_settings, row 3: value is" in each for each in told["differ"]] == [True]
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


def test_annotations_in_fif_survive_crop_and_save(fast: Recorded) -> None:
    out = fast.folder / "annotated_raw.fif"
    made = fast.ask("annotate", fast.folder / "rig_raw.fif", fast.ledger, "-o", out)
    assert made["rows"]["ledger_settings"] == 6
    code = (
        "import json, mne, sys; from pathlib import Path; out = Path(sys.argv[1]);"
        "was = mne.io.read_raw_fif(out.with_name('rig_raw.fif'), verbose='error');"
        "raw = mne.io.read_raw_fif(out, verbose='error', preload=True);"
        "raw.copy().crop(5, 15).save(out.with_name('short_raw.fif'), verbose='error', fmt='double');"
        "short = mne.io.read_raw_fif(out.with_name('short_raw.fif'), verbose='error');"
        "tell = lambda raw: [[float(a['onset']) - raw.first_time, a['description'], a['extras'].get('seq')]"
        " for a in raw.annotations];"
        "print(json.dumps({'same': bool((was.get_data() == raw.get_data()).all()), 'whole': tell(raw),"
        " 'short': tell(short)}))"
    )
    told = fast.desk.do(RECORDINGS.python(), "-c", code, out)
    assert told.code == 0, told.err
    found = json.loads(told.out.splitlines()[-1])
    assert found["same"]
    spans = [span for span in fast.in_force("rig_raw.fif")["changed"] if span["field"] == "gain"]
    gains = [each for each in found["whole"] if "gain" in each[1]]
    assert [each[1:] for each in gains] == [[f"ledger/SYSTEM/AMP.gain={s['value']}", s["seq"]] for s in spans]
    assert [each[0] for each in gains] == pytest.approx([span["begin"] for span in spans], abs=5e-6)
    known = {each[1]: each[0] for each in gains}
    for begin, text, _ in found["short"]:
        if text in known and begin > 0:
            assert begin + 5 == pytest.approx(known[text], abs=1e-3)


def test_samples_in_fif_stay_as_they_are(fast: Recorded, tmp_path: Path) -> None:
    """Read and saved by mne, integers come out one digit off: their bytes are copied, or the file is refused."""
    code = (
        "import mne, numpy, sys; from pathlib import Path; folder = Path(sys.argv[2]);"
        "raw = mne.io.read_raw_fif(sys.argv[1], verbose='error', preload=True);"
        "info = mne.create_info(50, 1000.0, 'eeg'); [each.update(cal=1e-7) for each in info['chs']];"
        "wide = numpy.random.default_rng(1).integers(-2**30, 2**30, (50, raw.n_times)) * 1e-7;"
        "new = mne.io.RawArray(wide, info, first_samp=raw.first_samp, verbose='error');"
        "new.set_meas_date(raw.info['meas_date']);"
        "new.set_annotations(mne.Annotations([1.5], [0.5], ['blink'], orig_time=raw.info['meas_date']));"
        "new.save(folder / 'int_raw.fif', fmt='int', verbose='error');"
        "new.save(folder / 'int_raw.fif.gz', fmt='int', verbose='error');"
        "parts = dict(split_size='2MB', buffer_size_sec=1, verbose='error');"
        "new.save(folder / 'inparts_raw.fif', fmt='int', **parts);"
        "new.save(folder / 'floats_raw.fif', fmt='single', **parts)"
    )
    told = fast.desk.do(RECORDINGS.python(), "-c", code, fast.folder / "rig_raw.fif", tmp_path)
    assert told.code == 0, told.err
    made = fast.ask("annotate", tmp_path / "int_raw.fif", fast.ledger, "-o", tmp_path / "out_raw.fif", "--force")
    was, now = ((tmp_path / name).read_bytes() for name in ("int_raw.fif", "out_raw.fif"))
    assert sum(a != b for a, b in zip(was, now, strict=False)) <= 8, "one link is bent"
    fast.ask("annotate", tmp_path / "floats_raw.fif", fast.ledger, "-o", tmp_path / "new_raw.fif", "--force")
    code = (
        "import json, mne, sys; from pathlib import Path; folder = Path(sys.argv[1]);"
        "read = lambda name: mne.io.read_raw_fif(folder / name, verbose='error');"
        "pairs = [[read(a), read(b)] for a, b in (('int_raw.fif', 'out_raw.fif'), ('floats_raw.fif', 'new_raw.fif'))];"
        "print(json.dumps([[bool((a.get_data() == b.get_data()).all()), len(a.filenames), len(b.filenames),"
        " list(b.annotations.description)] for a, b in pairs]))"
    )
    told = fast.desk.do(RECORDINGS.python(), "-c", code, tmp_path)
    assert told.code == 0, told.err
    found = json.loads(told.out.splitlines()[-1])
    for same, _, after, notes in found:
        assert (same, after) == (True, 1)
        assert notes.count("blink") == 1
        assert sum(note.startswith("ledger/") for note in notes) == sum(made["rows"].values())
    assert found[1][1] > 1
    for name, end in (("int_raw.fif.gz", "_raw.fif.gz"), ("inparts_raw.fif", "_raw.fif")):
        command = ("annotate", tmp_path / name, fast.ledger, "-o", tmp_path / f"refused{end}", "--force")
        told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
        assert (told.code, "one digit off" in told.err) == (3, True), told
    assert [each.name for each in tmp_path.iterdir() if "refused" in each.name or each.name.startswith(".")] == []


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
    gains = [span for span in fast.in_force("rig.nwb")["changed"] if span["field"] == "gain"]
    assert [row[5:7] for row in rows if row[4] == "gain"] == [
        ["n/a" if number == 0 else str(gains[number - 1]["value"]), str(span["value"])]
        for number, span in enumerate(gains)
    ]
    told = fast.desk.do(RECORDINGS.python(), *command, fast.folder / "rig.nwb", "-o", tmp_path / "wall.tsv", "--wall")
    assert told.code == 0, told.err
    walls = [line.split("\t")[-1] for line in (tmp_path / "wall.tsv").read_text().splitlines()]
    assert walls == ["wall_ns", *(str(span["wall_ns"]) for span in gains)]


# --- what the page shows ---------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "DATA.md"


def normal(text: str) -> list[str]:
    """The lines of what a command prints, whatever the numbers in them are."""
    return [
        " ".join(re.sub(r"[-+]?\d[\d.,:]*", "#", line).split()).replace("rows", "row") for line in text.splitlines()
    ]


def test_the_page_shows_what_is_printed(new_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each command of docs/DATA.md, on a recording of the same rig: the same lines, with other numbers."""
    shown: dict[str, list[str]] = {}
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ezmsg-ledger ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            shown[command] = normal(output)
    rig = record(new_desk(tmp_path_factory.mktemp("page")), 50, 6, 1, "nwb", "lsl", "fif")
    [second] = [span["begin"] for span in rig.in_force("rig.nwb")["changed"] if span["value"] == 3]
    for command, expected in shown.items():
        words = command.split()
        if "--from" in words:
            words[-3], words[-1] = f"{second - 0.7:.3f}", f"{second + 0.7:.3f}"
        told = rig.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *words)
        assert told.code == 0, told.err
        assert normal(told.out) == expected, command
