"""Every example in the help of a command that looks or keeps works as it stands there."""

import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime import GraphServer
from ezmsg.ledger.tools import cli, exits
from tests.brokers import Node, running

Run = Callable[..., Any]

ENDLESS = ("--follow", "--hold", " debug", " watch", " attach")
"""Examples with one of these go on until Ctrl-C."""

LONG = ("selftest",)
"""Commands that take their time; their own tests run them shortened."""

OF_A_RECORDING = (" check 127.", " --declared", " restore ", " graph-document")
"""Examples that need a pipeline beside the ledger: the tests of their commands have one."""

OF_DATA = (".nwb", ".xdf", ".fif")
"""Examples that need a data file: tests/ezmsg/recordings records some."""

ADDRESS = "127.0.0.1:25978"
"""Where the examples have a graph server; the test's own is elsewhere."""

LATER_NS = 245 * 10**9
"""So long after the night the marks are set: an example that looks five minutes back finds a part of it."""

MARKS = ("before", "after", "steady", "more", "and", "so", "on", "until", "there", "are", "sixty")


def examples() -> Iterator[str]:
    for command in cli.COMMANDS:
        if command.group == cli.RECORD:
            continue
        found = re.findall(r"^ +(ezmsg-ledger .*)$", command.load().__doc__ or "", re.MULTILINE)
        assert found, f"{command.name} has no example"
        yield from found


@pytest.fixture(scope="module")
def desk(night: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledgers that the examples speak of."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("worked.ledger", "failed.ledger", "run.ledger", "rig.ledger", "validated.ledger"):
        shutil.copy(night.path, folder / name)
        later = type(night.clock)(night.clock.time + LATER_NS)
        with Ledger.open(folder / name, clock=later) as ledger:
            for mark in MARKS:
                ledger.append([ev.Mark(name=mark)])
    return folder


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Node]:
    yield from running(Node(tmp_path))


@pytest.mark.parametrize("line", list(examples()))
def test_an_example_works(
    run: Run, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, request: pytest.FixtureRequest
) -> None:
    if any(option in line for option in ENDLESS):
        pytest.skip("goes on until Ctrl-C")
    if any(option in line for option in OF_A_RECORDING):
        pytest.skip("needs a pipeline")
    if any(kind in line for kind in OF_DATA):
        pytest.skip("needs a data file")
    if any(f" {command}" in line for command in LONG):
        pytest.skip("takes its time")
    shutil.copytree(desk, tmp_path / "desk")
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.setenv("TZ", "Europe/Berlin")  # the night began at 14:03:20 there
    if hasattr(time, "tzset"):
        time.tzset()
    monkeypatch.setenv("HOME", str(tmp_path / "desk"))
    command = re.split(r" \| | > (?=\S+$)(?!.*')", line)[0]
    words = [os.path.expanduser(word) for word in shlex.split(command)[1:]]
    if "--receipt" in words:
        Path("run.receipt").write_text(run("receipt", "run.ledger").out, encoding="utf-8")
    if "--origin" in words:
        run("cut", "run.ledger", "2", "9", "-o", "part.ledger")
    if "--check" in words:
        run("redact", "run.ledger", "-o", "public.ledger", "--setting", "*.gain")
    if "--key" in words:
        run("receipt", "--new-key", "lab.key", "--name", "lab-3")
    if ADDRESS in words:
        server = GraphServer(None)
        server.start(("127.0.0.1", 0))
        words[words.index(ADDRESS)] = str(server.address)
    if "nats://" in line:
        broker: Node = request.getfixturevalue("broker")
        words = [re.sub(r"nats://[^/ ]+", broker.url, word) for word in words]
        words = [("1" if before == "--replicas" else word) for before, word in zip(["", *words], words, strict=False)]
        if words[0] != "ship":
            run("ship", "rig.ledger", broker.url, "--name", "rig-3")
    try:
        answer = run(*words)
    finally:
        if ADDRESS in line:
            server.stop()
    assert answer.code == exits.OK, answer
    assert answer.out or "wrote" in answer.err
