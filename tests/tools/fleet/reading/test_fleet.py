"""Questions to the ledgers of several rigs, in a stream and in a folder: the answers are the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected, Mark, ServerStarted, ServerStopped, SessionOpened
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from tests.brokers import Node

Ask = Callable[..., Any]
SECOND = 10**9
BEGIN = 1_795_525_400 * SECOND


def record(path: Path, clock_ahead: int, edges: list[tuple[str, str]], ended: bool = True) -> None:
    """A rig whose clock is ahead of that of others by so many seconds."""
    times = iter(BEGIN + (clock_ahead + number) * SECOND for number in range(99))
    with Ledger.open(path, durability="none", clock=times.__next__) as ledger:
        run = ledger.append([ServerStarted(uuid=path.stem, kind="server", name=path.stem, host="lab", pid=1)])[0].seq
        [session] = ledger.append([SessionOpened(uuid=f"s-{path.stem}", label="RIG")])
        for source, target in edges:
            ledger.append([EdgeConnected(from_topic=source, to_topic=target, owner=session.seq)])
        if ended:
            ledger.append([EdgeDisconnected(from_topic="A", to_topic="B", owner=session.seq)])
            ledger.append([ServerStopped(server=run, reason="stopped")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "fleet"
    found.mkdir()
    record(found / "one.ledger", 0, [("A", "B"), ("B", "C")])
    record(found / "two.ledger", 2, [("A", "B"), ("C", "D")], ended=False)
    record(found / "three.ledger", 5000, [("X", "Y")], ended=False)
    return found


@pytest.fixture(params=["folder", "stream"])
def where(request: pytest.FixtureRequest, folder: Path, node: Node, stream: str) -> str:
    if request.param == "folder":
        return str(folder)
    for path in folder.glob("*.ledger"):
        assert main(["ship", str(path), node.url, "--stream", stream, "--name", path.stem]) == exits.OK
    return f"{node.url}/{stream}"


@pytest.fixture
def ask(where: str, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(what: str, *words: str, code: int = exits.OK, json_: bool = True) -> Any:
        capsys.readouterr()
        assert main(["fleet", what, where, *words, *(["--json"] if json_ else [])]) == code
        out = capsys.readouterr()
        return json.loads(out.out) if json_ else out.out + out.err

    return asked


def test_list_tells_of_each_rig(ask: Ask) -> None:
    found = {each["rig"]["name"]: each for each in ask("list")}
    assert {name: (each["seq"], each["edges"], each["run"]) for name, each in found.items()} == {
        "one": (6, 0, ""),
        "two": (4, 2, "two"),
        "three": (3, 1, "three"),
    }
    text = ask("list", json_=False)
    assert [line.split()[0] for line in text.splitlines()] == ["one", "three", "two"]


def test_when_finds_the_rigs_that_ever_had_an_edge(ask: Ask) -> None:
    found = {each["name"]: each for each in ask("when", "edge A -> B")}
    assert {name: (len(each["spans"]), each["now"]) for name, each in found.items()} == {
        "one": (1, False),
        "two": (1, True),
        "three": (0, False),
    }
    text = ask("when", "edge A -> B", json_=False)
    assert "never" in next(line for line in text.splitlines() if line.startswith("three"))
    assert "now too" in next(line for line in text.splitlines() if line.startswith("two"))


def test_show_gives_all_rigs_at_one_time_though_their_clocks_disagree(ask: Ask) -> None:
    found = {each["name"]: each for each in ask("show", "--at", "2026-11-24T13:03:25Z")}
    assert len(found["one"]["edges"]) == 1, "A -> B has ended"
    assert found["two"]["edges"] == [{"from_topic": "A", "to_topic": "B"}]
    assert (found["three"]["moment"], found["three"]["edges"]) == (None, []), "it was not recorded then"
    assert "A -> B" in ask("show", "--at", "2026-11-24T13:03:25Z", json_=False)


def test_diff_compares_by_names(ask: Ask) -> None:
    found = ask("diff", "one", "two", "--at", "4")
    assert not found["same"]
    assert found["edges"]
    assert "C -> D" in ask("diff", "one", "two", "--at", "4", json_=False)
    assert ask("diff", "two", "two")["same"]
    assert "no difference" in ask("diff", "two", "two", json_=False)


def test_a_rig_that_is_not_there(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "diff", where, "one", "twoo"]) == exits.USAGE
    assert "Did you mean two" in capsys.readouterr().err
    assert main(["fleet", "when", where]) == exits.USAGE
    assert main(["fleet", "list", where, "more"]) == exits.USAGE


def test_a_ledger_that_is_damaged_is_named_and_the_others_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.ledger").write_bytes(b"not a ledger\n")
    assert main(["fleet", "list", str(folder)]) == exits.DAMAGED
    told = capsys.readouterr()
    assert "broken" in told.err
    assert "one" in told.out
    assert main(["fleet", "when", str(folder), "edge A -> B"]) == exits.DAMAGED


def test_nothing_to_ask(tmp_path: Path, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "list", str(tmp_path)]) == exits.USAGE
    assert main(["fleet", "list", str(tmp_path / "nowhere")]) == exits.USAGE
    assert main(["fleet", "list", f"{node.url}/NOWHERE"]) == exits.USAGE
    capsys.readouterr()


def test_a_torn_end_is_no_damage(folder: Path, ask: Ask) -> None:
    with (folder / "two.ledger").open("ab") as file:
        file.write(b'{"type":"mark","seq":5')
    assert {each["rig"]["name"] for each in ask("list")} == {"one", "two", "three"}


def test_marks_are_events_like_others(folder: Path) -> None:
    with Ledger.open(folder / "one.ledger", durability="none") as ledger:
        ledger.append([Mark(name="later")])
    assert main(["fleet", "show", str(folder), "--full"]) == exits.OK
