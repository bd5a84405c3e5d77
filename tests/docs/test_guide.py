"""What docs/guide.md shows is what the commands print, on the same story recorded anew; its library calls run."""

import importlib.util
import re
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.tools.demo.recording import DemoFailed

spec = importlib.util.spec_from_file_location("guide", Path(__file__).with_name("guide.py"))
assert spec is not None
assert spec.loader is not None
guide: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guide)

TEXT = guide.GUIDE.read_text(encoding="utf-8")
BLOCKS = list(guide.blocks(TEXT))


VARY = (
    (r"[0-9a-f]{64}", "SHA"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"__relay_in_INPUT|__relays__/INPUT", "RELAY"),  # before ezmsg 3.10, and since
    (r"ezmsg [\d.]+(b\d+)?", "ezmsg N"),
    (r"\d[\d,.:]*\d|\d", "N"),
    (r"N (ms|s)\b|N min N s", "LENGTH"),
    # the unit's report comes before the answer, which then changed nothing more, or after it
    (r"sent on to the unit: (the reported values|gain=N \(was N\))", "sent on to the unit: VALUES"),
    (r" \(reset\)", ""),  # how the end of a killed program is seen
    (r"\bon [\w.-]+(?= \(pid|, for|, so far)", "on HOST"),
    (r"\s+", " "),
)
"""What differs from recording to recording, and what stands for it."""


RELAY_UNIT = re.compile(r"RELAY (_CollectionRelayUnit|initial, seq)|RELAY/(INPUT|OUTPUT) N")
"""Lines about the unit that ezmsg 3.9 makes of a relay. The guide is recorded beside 3.10, which makes none."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the story, recorded just now."""
    folder = tmp_path_factory.mktemp("guide")
    try:
        guide.record_guide(folder / "rig.ledger")
    except DemoFailed as error:  # ezmsg 3.9 can hang at a Ctrl-C, with any server; on a busy machine it sometimes does
        warnings.warn(f"the story was recorded a second time: {error}", stacklevel=1)
        folder = tmp_path_factory.mktemp("guide-again")
        guide.record_guide(folder / "rig.ledger")
    return folder


def normal(text: str) -> Counter[str]:
    """The lines without what no two recordings share: times, UUIDs, pids, ports, seqs, hosts, the order of processes
    that start side by side."""
    lines = []
    for line in text.splitlines():
        for pattern, word in VARY:
            line = re.sub(pattern, word, line)
        lines.append(line.strip())
    if version("ezmsg").startswith("3.9."):
        lines = [line for line in lines if not RELAY_UNIT.search(line)]
    return Counter(lines)


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_command_prints_what_is_shown(desk: Path, command: str, shown: str) -> None:
    assert shown, "nothing is shown: run tests/docs/guide.py"
    if "--declared" in command and version("ezmsg").startswith("3.9."):
        pytest.skip("ezmsg 3.9 cannot say what a program declares")
    printed = guide.printed(command, desk)
    assert normal(printed) == normal(shown), printed


def test_the_library_calls_run(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    names: dict[str, Any] = {}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)):
        exec(compile(block, f"guide.md, block {number}", "exec"), names)
    names["ledger"].close()


def test_all_twelve_questions_are_answered() -> None:
    answers = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    assert [int(answer.split(".")[0]) for answer in answers if answer[0].isdigit()] == list(range(1, 13))
    for answer in answers:
        assert "```console" in answer, answer
        assert "```python" in answer, answer
