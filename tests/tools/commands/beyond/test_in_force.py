"""``in-force`` as a person meets it first: what it says of files that it cannot read, and of what it lacks."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.extras import install_command
from ezmsg.ledger.tools import exits

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("name", "library", "extra"), [("x.nwb", "h5py", "nwb"), ("x.xdf", "pyxdf", "xdf"), ("x_raw.fif", "mne", "mne")]
)
def test_a_missing_extra_is_named_with_its_command(
    run: Run, tmp_path: Path, night: Any, name: str, library: str, extra: str
) -> None:
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed here")
    (tmp_path / name).write_bytes(b"whatever")
    answer = run("in-force", tmp_path / name, night.path)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert f"needs {library}, which is not installed" in answer.err
    assert f"hint: Install it: {install_command(f'ezmsg-ledger[{extra}]')}" in answer.err


def test_what_is_not_a_data_file(run: Run, tmp_path: Path, night: Any) -> None:
    (tmp_path / "folder.nwb").mkdir()
    (tmp_path / "notes.txt").write_text("Dear diary,\n")
    (tmp_path / "night.xdf").touch()
    for name, code, said, hint in (
        ("nowhere.nwb", exits.USAGE, "there is no file", "Name a data file"),
        ("folder.nwb", exits.NOT_A_LEDGER, "is a folder", "Name a data file"),
        ("night.xdf", exits.NOT_A_LEDGER, "is empty: it has 0 bytes", "Its recorder wrote nothing"),
        ("notes.txt", exits.NOT_A_LEDGER, "does not say which format it has", "These are read"),
    ):
        answer = run("in-force", tmp_path / name, night.path)
        assert (answer.code, answer.out) == (code, ""), answer
        assert said in answer.err
        assert f"hint: {hint}" in answer.err


@pytest.mark.parametrize("block", ["20", "-5ms", "0s", "soon"])
def test_a_block_that_is_not_a_length_of_time(block: str) -> None:
    from ezmsg.ledger.tools.commands.beyond.in_force import block_seconds
    from ezmsg.ledger.tools.exits import Misuse

    with pytest.raises(Misuse, match="not a length of time"):
        block_seconds(block)
    assert (block_seconds("20ms"), block_seconds("0.2s"), block_seconds(None)) == (0.02, 0.2, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90.5", 90.5), ("-5", -5), ("1:30", 90), ("90:00", 5400), ("1:02:03.25", 3723.25), (None, None)],
)
def test_a_place_in_a_file(text: str | None, seconds: float | None) -> None:
    from ezmsg.ledger.tools.commands.beyond.in_force import second_of

    assert second_of(text, "--from") == seconds


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "1:90", "1:90:00", "1:2:3:4", "", "1:-5"])
def test_what_is_not_a_place_in_a_file(run: Run, tmp_path: Path, night: Any, text: str) -> None:
    (tmp_path / "x.nwb").write_bytes(b"whatever")
    answer = run("in-force", tmp_path / "x.nwb", night.path, "--to", text)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert f"--to {text}: not a place in a file" in answer.err
