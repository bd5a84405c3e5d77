"""A graph server that is killed while a pipeline of several processes uses it: the next start needs no hand."""

import random
import time
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev


@pytest.mark.parametrize("rounds", [1, pytest.param(15, marks=pytest.mark.long)])
def test_a_killed_server(desk: Any, rounds: int) -> None:
    ledger = desk.folder / "x.ledger"
    dice = random.Random(rounds)
    for number in range(rounds):
        server, address = _served(desk, ledger)
        pipeline = desk.start(
            "python", desk.program("endless.py"), "--root", f"R{number}", "--split", "fork",
            EZMSG_GRAPHSERVER_ADDR=address,
        )  # fmt: skip
        if number % 2 == 0:
            pipeline.until("heard 20")
        else:
            time.sleep(dice.random())  # anywhere in its start: what is random here is the moment of the blow
        with Ledger.open(ledger, "r") as reader:
            shown = list(reader.entries())
        server.process.kill()
        server.process.wait()
        pipeline.clear()
        with Ledger.open(ledger, "r") as reader:
            assert list(reader.entries())[: len(shown)] == shown, "a killed process takes nothing along"
    server, _ = _served(desk, ledger)
    server.interrupt()
    assert server.end().code == 0
    said = desk.account(ledger)
    assert said.runs == ["lost"] * rounds + ["signal"]
    with Ledger.open(ledger, "r") as reader:
        times = [event for event in reader.entries() if isinstance(event, ev.ServerLost)]
    assert len(times) == rounds
    assert all(event.last_seen <= event.time for event in times)


def _served(desk: Any, ledger: Any) -> tuple[Any, str]:
    server = desk.start("ezmsg-ledger", "serve", ledger, "--address", desk.free)
    return server, server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
