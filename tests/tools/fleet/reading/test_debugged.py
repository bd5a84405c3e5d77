"""The debugger, in a process of its own, on a ledger in a stream: what it answers, and that it follows."""

import json
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from tests.brokers import Node

ADDRESS = r"^(http://127\.0\.0\.1:\d+/[\w-]{24}/)$"
DEMO = Path(__file__).parents[2] / "documents" / "demo.ledger"
PATIENCE_S = 60


def asked(address: str, what: str) -> Any:
    """The document, but for where the ledger is."""
    with urlopen(f"{address}api/v1/{what}", timeout=PATIENCE_S) as answer:
        found = json.load(answer)
        found.pop("ledger", None)
        return found


def test_it_answers_as_of_the_file_and_follows(desk: Any, node: Node, stream: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(DEMO, tmp_path / "rig-3.ledger"))
    shipping = ["ship", str(path), node.url, "--stream", stream, "--name", "rig-3"]
    assert main(shipping) == exits.OK
    here = desk.start("ezmsg-ledger", "debug", path, "--no-open")
    there = desk.start("ezmsg-ledger", "debug", f"{node.url}/{stream}/rig-3", "--no-open")
    file, shipped = here.until(ADDRESS)[1], there.until(ADDRESS)[1]
    for what in ("state?at=30", "diff?from=10&to=40", "events?after=30", "why?subject=topic+RIG/AMP/OUTPUT", "density"):
        assert asked(shipped, what) == asked(file, what), what
    assert (asked(file, "ledger")["name"], asked(shipped, "ledger")["name"]) == ("rig-3.ledger", "rig-3")
    with Ledger.open(path) as ledger:
        ledger.append([Mark(name="later")])
    assert main(shipping) == exits.OK
    deadline = time.monotonic() + PATIENCE_S
    while asked(shipped, "ledger")["head"] < 57:
        assert time.monotonic() < deadline, "it does not follow the stream"
        time.sleep(0.05)
    for program in (here, there):
        program.interrupt()
        assert program.end().code == 0


SECRET = "nats://lab:se-cret@127.0.0.1:1/LEDGERS/rig-3"


@pytest.mark.parametrize(
    "command",
    [
        *(["status", SECRET], ["evict", SECRET, "2"], ["attach", SECRET], ["mark", "a", "--to", SECRET]),
        *(["log", SECRET], ["debug", SECRET, "--no-open"], ["receipt", SECRET], ["fetch", SECRET]),
    ],
    ids=lambda command: str(command[0]),
)
def test_an_address_in_the_wrong_place_is_told_without_its_password(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) not in (exits.OK, exits.FAULT)
    told = "".join(capsys.readouterr())
    assert "se-cret" not in told
    assert told.count("ezmsg-ledger: ") == 1
