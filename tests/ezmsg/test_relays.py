"""Questions pass through the relays of collections: units before ezmsg 3.10, run beside the units since."""

from __future__ import annotations

from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline

from .suite.environments import COMING, STABLE, Environment
from .test_versions import PROGRAMS

pytestmark = pytest.mark.environments


@pytest.mark.parametrize("side", [STABLE, COMING], ids=lambda side: side.ezmsg)
def test_a_way_and_an_explanation_lead_through_a_relay(desk: Any, side: Environment) -> None:
    """``ez.Relay`` of 3.10.0b5 receives what it sends: both its edges are on one topic."""
    path = desk.folder / "x.ledger"
    command = ("-m", "ezmsg.ledger.tools.cli", "run", "--ledger", path, PROGRAMS / "relays.py", "apart")
    running = desk.start(side.python(), *command, EZMSG_GRAPHSERVER_ADDR=desk.free)
    running.until("heard 20")
    running.interrupt()
    running.end()
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger)
        moment = max(event.seq for event in ledger.entries() if isinstance(event, ev.SettingsUpdated))
        way = timeline.path("SYSTEM/SOURCE/OUTPUT", "SYSTEM/SINK/INPUT", moment, through_units=True)
        relay = "SYSTEM/FIRST/__relay_in_IN" if side is STABLE else "SYSTEM/FIRST/__relays__/IN"
        steps = [(step.from_topic, step.to_topic) for step in way.steps]
        assert (f"{relay}/INPUT", f"{relay}/OUTPUT") in steps
        assert way.broken == 0
        found = timeline.explain("SYSTEM/SINK/INPUT", moment)
        assert ("SYSTEM/SOURCE/OUTPUT", True) in [(each.topic, each.reaches) for each in found.upstream]
        mid = "SYSTEM/SECOND/__relays__/MID"
        loop = [f"{mid}/INPUT", f"{mid}/OUTPUT", "SYSTEM/SECOND/MID", f"{mid}/INPUT"]
        assert found.loops == ([] if side is STABLE else [loop])
        gone = timeline.explain("SYSTEM/SINK/INPUT")
        assert "SYSTEM/SOURCE/OUTPUT" in [each.topic for each in gone.upstream if each.cut is not None]
    text = desk.do(side.python(), "-m", "ezmsg.ledger.tools.cli", "show", path, "--at", str(moment)).out
    log = desk.do(side.python(), "-m", "ezmsg.ledger.tools.cli", "log", path).out
    assert ("feeds itself" in text) == (side is COMING)
    assert ("runs no unit, only relays of collections" in log) == (side is COMING)
    assert ("only relays: process" in text) == (side is COMING)
