"""What is told of an XDF file before it is read, and of the clock offsets in it."""

from pathlib import Path

import pytest

from ezmsg.ledger.tools.recordings.formats import xdf
from ezmsg.ledger.tools.recordings.recording import NotARecording


def test_a_file_that_does_not_fit_into_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "night.xdf").open("wb") as file:
        file.truncate(3 * 10**9)
    (tmp_path / "told").write_text("MemTotal: 8000000 kB\nMemAvailable: 5000000 kB\nActive(anon): 1 kB\n")
    monkeypatch.setattr(xdf, "MEMORY", tmp_path / "told")
    said = r"night.xdf takes at least 6\.0 GB of memory, which is more than the 5\.1 GB that are free"
    with pytest.raises(NotARecording, match=said) as caught:
        xdf._must_fit(tmp_path / "night.xdf")
    assert "a part of it in a file of its own" in caught.value.hint
    for told in ("MemAvailable: 7000000 kB\n", "MemTotal: 1 kB\n", "nonsense"):
        (tmp_path / "told").write_text(told)
        xdf._must_fit(tmp_path / "night.xdf")
    (tmp_path / "told").unlink()
    xdf._must_fit(tmp_path / "night.xdf")


@pytest.mark.parametrize(
    ("offsets", "off"),
    [
        ([-22e-6, -26e-6, -14e-6], 38e-6),  # of one machine: they ought to be 0
        ([5.0, 5.00001, 5.00004, 5.00003], 44e-6),  # of two: by how much they leave their line
        ([5.0, 5.1], None),
        ([], None),
    ],
)
def test_by_how_much_clock_offsets_are_off(offsets: list[float], off: float | None) -> None:
    found = xdf._off({"clock_times": [10.0 + 5 * number for number in range(len(offsets))], "clock_values": offsets})
    assert found == (off if off is None else pytest.approx(off))
