"""Opening a folder for append proves every byte of it, each once: the note of what was hashed is derived."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.folder import proven
from ezmsg.ledger.folder.proven import NOTE
from ezmsg.ledger.storage.reading.scan import hash_file

pytest.importorskip("zstandard")


@pytest.fixture(params=["plain", "packed"])
def folder(request: pytest.FixtureRequest, path: Path) -> Path:
    """Three segments with some 80 KB each; in one of the forms the first two are compressed."""
    with Ledger.open(path, durability="none", segmented=True) as ledger:
        for number in range(3):
            for _ in range(20):
                ledger.append([Mark(name="n", note=os.urandom(2000).hex())])
            if number < 2:
                ledger.rotate([b"{}"])
        if request.param == "packed":
            ledger.pack()
    return path


def hashed(folder: Path) -> int:
    """How many sealed segments an opening for append hashed."""
    number = 0

    def counted(*arguments: Any) -> Any:
        nonlocal number
        number += 1
        return hash_file(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proven, "hash_file", counted)
        Ledger.open(folder).close()
    return number


def sealed(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name < "000003")


def test_what_this_writer_sealed_is_not_hashed_again(folder: Path) -> None:
    assert hashed(folder) == 0


def test_without_the_note_all_is_hashed_and_noted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for text in (None, "", "{}", '{"files":{},"proof":"x"}', "\0" * 100):
        note = Path(f"{folder}{NOTE}")
        before = note.read_text()
        note.unlink() if text is None else note.write_text(text)
        with caplog.at_level(logging.INFO):
            assert hashed(folder) == 2
        assert "verifying 2 sealed segments" in caplog.text
        assert note.read_text() == before, "made anew"
        assert hashed(folder) == 0


def test_half_a_note_is_none(folder: Path) -> None:
    note = Path(f"{folder}{NOTE}")
    note.write_text(note.read_text().replace('"size":', '"size":1', 1))
    assert hashed(folder) == 2


def test_a_file_that_was_touched_is_hashed_again(folder: Path) -> None:
    first = sealed(folder)[0]
    os.utime(first)
    assert hashed(folder) == 1
    assert hashed(folder) == 0


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.999])
def test_a_changed_byte_of_a_sealed_segment_is_damage(folder: Path, noted: bool, number: int, share: float) -> None:
    """A writer hashed the last one alone, and recorded on over damage; its times are set back, as a copy does."""
    file = sealed(folder)[number]
    times = file.stat()
    data = bytearray(file.read_bytes())
    data[int(share * len(data))] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    if not noted:
        os.unlink(f"{folder}{NOTE}")
    with pytest.raises(DamagedLedger):
        Ledger.open(folder)
    assert file.read_bytes() == data, "nothing was cut"
    with pytest.raises(DamagedLedger):  # and it is not noted as sound
        Ledger.open(folder)


def test_it_is_never_in_the_way(folder: Path) -> None:
    """A note that cannot be written costs time, and nothing else."""
    os.unlink(f"{folder}{NOTE}")
    os.mkdir(f"{folder}{NOTE}")
    with Ledger.open(folder) as ledger:
        ledger.append([Mark(name="x")])
        assert ledger.rotate([b"{}"])
    with Ledger.open(folder, "r") as reader:
        assert reader.verify().sound


def test_serve_tells_when_it_verifies(folder: Path, desk: Any) -> None:
    os.unlink(f"{folder}{NOTE}")
    served = desk.start("ezmsg-ledger", "serve", folder, "--address", "127.0.0.1:0")
    served.until("recording to")
    served.interrupt()
    assert "verifying 2 sealed segments" in served.end().err
