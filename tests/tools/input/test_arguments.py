"""Which of the words behind a command is the ledger."""

from pathlib import Path

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input.arguments import taken_apart


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, segmented in (("a file", False), ("rig", True)):
        with Ledger.open(name, segmented=segmented) as ledger:
            ledger.append([ev.Mark(name="x")])
    Path("SYSTEM").mkdir()


@pytest.mark.parametrize(
    ("words", "ledger", "rest"),
    [
        (["viewer"], None, ["viewer"]),
        (["SYSTEM"], None, ["SYSTEM"]),
        (["not there.ledger"], "not there.ledger", []),
        (["a file"], "a file", []),
        (["rig"], "rig", []),
        (["rig", "viewer"], "rig", ["viewer"]),
        (["nothing", "viewer"], "nothing", ["viewer"]),
        (["x" * 300], None, ["x" * 300]),
    ],
)
def test_it_is_the_first_when_it_can_be_one(words: list[str], ledger: str | None, rest: list[str]) -> None:
    assert taken_apart(words, 0, 1, "one at most", "") == (ledger and Path(ledger), rest)


@pytest.mark.parametrize("words", [[""], ["a file", ""], ["", "viewer"]])
def test_an_empty_word_is_refused(words: list[str]) -> None:
    with pytest.raises(Misuse, match="one of the words is empty"):
        taken_apart(words, 0, 1, "one at most", "usage")


@pytest.mark.parametrize("words", [[], ["a file"], ["a", "b", "c"]])
def test_too_few_or_too_many_are_refused_with_the_usage(words: list[str]) -> None:
    with pytest.raises(Misuse, match="a topic is needed") as refused:
        taken_apart(words, 1, 1, "a topic is needed", "explain [LEDGER] TOPIC")
    assert refused.value.hint == "explain [LEDGER] TOPIC"
