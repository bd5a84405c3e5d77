"""Files that are something else, damaged, or not as their format has them: one message, or an answer with a doubt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ezmsg.ledger.tools.recordings.formats.fif_tags import chain
from tests.ezmsg.suite.environments import RECORDINGS

from .recorded import Recorded

pytestmark = pytest.mark.environments


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
        what = "is empty" if name.startswith("empty") else "is not read as"
        assert told.err.startswith(f"ezmsg-ledger: {name} {what}"), told.err
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


def test_an_xdf_file_without_its_end_or_its_offsets(fast: Recorded, tmp_path: Path) -> None:
    """What its reader met in it is said with the answer, which is right for what is there."""
    whole = (fast.folder / "rig.xdf").read_bytes()
    (tmp_path / "cut.xdf").write_bytes(whole[: len(whole) // 2])
    kept, at = bytearray(whole[:4]), 4
    while at < len(whole):  # chunks: the length of their length, their length, their tag; 4 is an offset
        width = whole[at]
        head, end = at + 1 + width, at + 1 + width + int.from_bytes(whole[at + 1 : at + 1 + width], "little")
        if int.from_bytes(whole[head : head + 2], "little") != 4:
            kept += whole[at:end]
        at = end
    (tmp_path / "bare.xdf").write_bytes(kept)
    gains = [(span["value"], span["seq"]) for span in fast.in_force("rig.xdf")["changed"]]
    cut, bare = (fast.ask("in-force", tmp_path / name, fast.ledger) for name in ("cut.xdf", "bare.xdf"))
    assert (cut["sureness"], bare["sureness"]) == ("exact", "exact"), "its host is that of the ledger"
    assert [(span["value"], span["seq"]) for span in cut["changed"]] == gains[: len(cut["changed"])]
    assert [(span["value"], span["seq"]) for span in bare["changed"]] == gains
    assert any(doubt.startswith("its recorder did not end it") for doubt in cut["doubts"])
    assert not any("did not end it" in doubt for doubt in bare["doubts"])


def test_a_fif_file_that_was_cut_off(fast: Recorded, tmp_path: Path) -> None:
    """mne reads what is left: that it is not all is said here."""
    whole = (fast.folder / "rig_raw.fif").read_bytes()
    with open(fast.folder / "rig_raw.fif", "rb") as file:
        between = [tag.place for tag in chain(file)]
    for cut in (between[len(between) // 2], len(whole) // 2):  # between two tags, and within one
        (tmp_path / "cut_raw.fif").write_bytes(whole[:cut])
        answer = fast.ask("in-force", tmp_path / "cut_raw.fif", fast.ledger)
        assert answer["length"] < fast.in_force("rig_raw.fif")["length"]
        assert [doubt.startswith("it is cut off or damaged") for doubt in answer["doubts"]].count(True) == 1
    assert not any("cut off" in doubt for doubt in fast.in_force("rig_raw.fif")["doubts"])
    out = tmp_path / "out_raw.fif"
    command = ("annotate", tmp_path / "cut_raw.fif", fast.ledger, "--force", "-o", out)
    told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
    assert (told.code, told.out, out.exists()) == (3, "", False)
    assert "takes no annotations" in told.err


ODD = """
import h5py, numpy, shutil, sys
from pathlib import Path
folder = Path(sys.argv[2])
for name in ("rate", "still", "textual", "single", "nameless"):
    shutil.copy(sys.argv[1], folder / f"{name}.nwb")
    with h5py.File(folder / f"{name}.nwb", "a") as file:
        series = file["acquisition/signal"]
        if name in ("rate", "still"):
            start = series.create_dataset("starting_time", data=0.5)
            start.attrs.update({"rate": 1000.0 if name == "rate" else 0.0, "unit": "seconds"})
            del series["timestamps"]
        elif name == "textual":
            del series["timestamps"]
            series["timestamps"] = numpy.array([b"now"] * len(series["data"]))
        elif name == "single":
            del series["data"]
            series["data"] = 0.5
        else:
            del file["identifier"]
"""
"""Files that are not as NWB has them, but for the first: samples at a rate, without stamps."""


def test_files_that_are_not_as_nwb_has_them(fast: Recorded, tmp_path: Path) -> None:
    told = fast.desk.do(RECORDINGS.python(), "-c", ODD, fast.folder / "rig.nwb", tmp_path)
    assert told.code == 0, told.err
    answer = fast.ask("in-force", tmp_path / "rate.nwb", fast.ledger)
    assert (answer["sureness"], answer["kind"]) == ("as the wall clock said", "counted")
    gains = [span["value"] for span in answer["changed"] if span["field"] == "gain"]
    assert gains[:6] == [1, 2, 3, 4, 5, 6]  # what ends when the rig does may follow: its samples began a little later
    assert any("whether the device kept that rate" in doubt for doubt in answer["doubts"])
    for name, code, said in (
        ("still", 3, "has neither stamps nor a rate"),
        ("textual", 3, "its stamps are not numbers"),
        ("single", 1, "holds no sample"),
        ("nameless", 3, "is HDF5 that pynwb does not read"),
    ):
        command = ("annotate", tmp_path / f"{name}.nwb", fast.ledger, "--force", "-o", tmp_path / "out.nwb")
        told = fast.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command)
        assert (told.code, told.out) == (code, ""), told
        assert re.match(rf"ezmsg-ledger: {name}.nwb:? .*{said}|ezmsg-ledger: {name}.nwb:? {said}", told.err), told.err
        assert "Traceback" not in told.err
    assert [each.name for each in tmp_path.iterdir() if "out" in each.name] == []
