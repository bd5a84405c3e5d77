"""A program that would start when it is imported is told first; what cannot be inspected gets one message."""

from importlib.metadata import version
from pathlib import Path

import pytest

from ezmsg.ledger.tools.input.inspected import CannotInspect, inspected
from ezmsg.ledger.tools.output import Page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import ezmsg.core as ez\nez.run(SYSTEM=1)\n", r"would run it: line 2: ez\.run"),
        ("import asyncio\nfor each in (1,):\n    asyncio.run(each)\n", r"line 3: asyncio\.run"),
        ("def broken(:\n", "is not a program of Python"),
        ("\0", "is not a program of Python"),
    ],
)
def test_a_program_that_may_not_be_imported_is_refused(tmp_path: Path, text: str, said: str) -> None:
    program = tmp_path / "pipeline.py"
    program.write_text(text)
    with pytest.raises(CannotInspect, match=said):
        inspected(program, Page())


def test_a_program_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    program = tmp_path / "pipeline.py"
    program.write_text("import threading\nthreading.Event().wait()\n")
    with pytest.raises(CannotInspect, match=r"was not imported within 0\.5 s|has no `inspect`"):
        inspected(program, Page(), timeout=0.5)


def test_a_program_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    program = tmp_path / "pipeline.py"
    program.write_text("raise ValueError('no amplifier')\n")
    with pytest.raises(CannotInspect, match=r"no amplifier|has no `inspect`"):
        inspected(program, Page())


def test_what_is_not_a_file_is_told_as_that(tmp_path: Path) -> None:
    for program in (tmp_path, tmp_path / "missing.py"):
        with pytest.raises(CannotInspect, match="is not a file"):
            inspected(program, Page())


def test_what_a_program_prints_before_beside_and_after_the_document_is_passed_over(tmp_path: Path) -> None:
    if version("ezmsg").startswith("3.9."):
        pytest.skip("ezmsg 3.9 has no `inspect`")
    program = tmp_path / "pipeline.py"
    program.write_text(
        "import atexit\nimport ezmsg.core as ez\n\n"
        "class Amplifier(ez.Unit):\n    OUTPUT = ez.OutputStream(int)\n\n"
        "print('{\"components\": 1')\nprint('ready: ', end='')\natexit.register(print, 'bye {}')\n"
    )
    assert "Amplifier" in str(inspected(program, Page())["components"])
