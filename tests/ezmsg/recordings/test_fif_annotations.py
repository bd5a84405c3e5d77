"""What ``annotate`` writes into a copy of a raw FIF file, as mne reads it; the samples stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ezmsg.suite.environments import RECORDINGS

from .recorded import Recorded

pytestmark = pytest.mark.environments


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


def test_annotations_late_in_a_night_are_where_they_belong(fast: Recorded, tmp_path: Path) -> None:
    """mne writes their times as 32-bit floats, 4 ms apart after ten hours, and reads those of 64 bits."""
    code = (
        "import mne, sys; from datetime import timedelta; from pathlib import Path; folder = Path(sys.argv[2]);"
        "raw = mne.io.read_raw_fif(sys.argv[1], verbose='error', preload=True);"
        "late = mne.io.RawArray(raw.get_data(), raw.info.copy(), first_samp=36_000_000, verbose='error');"
        "late.set_meas_date(raw.info['meas_date'] - timedelta(hours=10));"
        "late.save(folder / 'late_raw.fif', fmt='double', verbose='error');"
        "late.save(folder / 'late_raw.fif.gz', fmt='double', verbose='error')"
    )
    told = fast.desk.do(RECORDINGS.python(), "-c", code, fast.folder / "rig_raw.fif", tmp_path)
    assert told.code == 0, told.err
    spans = [span for span in fast.in_force("rig_raw.fif")["changed"] if span["field"] == "gain"]
    code = (
        "import json, mne, sys; raw = mne.io.read_raw_fif(sys.argv[1], verbose='error'); print(json.dumps("
        "[float(a['onset']) - raw.first_time for a in raw.annotations if 'gain' in a['description']]))"
    )
    for name, near, note in (
        ("late_raw.fif", 2e-6, "once it saves this file, they are up to 2.0 ms off"),
        ("late_raw.fif.gz", 2e-3, "here they are up to 2.0 ms off"),
    ):
        made = fast.ask("annotate", tmp_path / name, fast.ledger, "-o", tmp_path / f"out-{name}", "--force")
        assert [note in each for each in made["notes"]] == [True], made["notes"]
        told = fast.desk.do(RECORDINGS.python(), "-c", code, tmp_path / f"out-{name}")
        assert json.loads(told.out) == pytest.approx([span["begin"] for span in spans], abs=near), name


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
