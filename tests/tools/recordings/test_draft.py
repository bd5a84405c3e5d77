"""Files that take their places only when they are whole: what ends before that leaves nothing, and nothing is lost."""

from pathlib import Path

import pytest

from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.recordings.draft import drafted


def test_a_file_takes_its_place_with_those_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "rig_raw.fif"
    with drafted(out) as draft:
        draft.write_bytes(b"first")
        draft.with_name("rig_raw-1.fif").write_bytes(b"second")
        assert draft.name == out.name, "formats tell by the name what they are"
        assert not out.exists()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "rig_raw.fif": b"first",
        "rig_raw-1.fif": b"second",
    }


def test_what_ends_before_it_is_whole_leaves_nothing(tmp_path: Path) -> None:
    def half(error: type[BaseException]) -> None:
        with drafted(tmp_path / "rig.nwb") as draft:
            draft.write_bytes(b"half")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            half(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rig_raw.fif", "rig_raw-1.fif"])
def test_a_name_that_was_taken_meanwhile_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    def write() -> None:
        with drafted(tmp_path / "rig_raw.fif") as draft:
            draft.write_bytes(b"first")
            draft.with_name("rig_raw-1.fif").write_bytes(b"second")

    (tmp_path / name).write_bytes(b"somebody's")
    with pytest.raises(Misuse, match=f"{name} exists"):
        write()
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(name, b"somebody's")]
