"""Clients of two releases of ezmsg on one server, which runs beside either of them: real processes of both."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev

from .suite.environments import COMING, STABLE, Environment

pytestmark = pytest.mark.environments

PROGRAMS = Path(__file__).parent / "programs"
MESSAGES = "200"

SIDES = [pytest.param(side, id=f"server-{side.ezmsg}") for side in (STABLE, COMING)]


@dataclass
class Served:
    """A server that runs beside one of the releases, and what it records."""

    program: Any
    ledger: Path
    here: dict[str, str]
    ezmsg: str

    def stop(self, desk: Any) -> Any:
        """Stop it; what its ledger tells."""
        self.program.interrupt()
        told = self.program.end()
        assert told.code == 0, told.err
        return desk.account(self.ledger)


@pytest.fixture(params=SIDES)
def served(request: pytest.FixtureRequest, desk: Any) -> Served:
    side: Environment = request.param
    ledger = desk.folder / "x.ledger"
    serve = ("-m", "ezmsg.ledger.tools.cli", "serve", ledger, "--address", desk.free)
    server = desk.start(side.python(), *serve)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    return Served(server, ledger, {"EZMSG_GRAPHSERVER_ADDR": address}, side.ezmsg)


@pytest.mark.parametrize("way", ["SHM", "TCP"])
@pytest.mark.parametrize("publisher", [STABLE, COMING], ids=lambda side: f"publisher-{side.ezmsg}")
def test_messages_pass_between_the_releases(desk: Any, served: Served, publisher: Environment, way: str) -> None:
    subscriber = COMING if publisher is STABLE else STABLE
    variables = served.here | ({"EZMSG_FORCE_TCP": "1"} if way == "TCP" else {})
    client = PROGRAMS / "client.py"
    hearing = desk.start(subscriber.python(), client, "subscribe", "A/OUT", "B/IN", MESSAGES, **variables)
    hearing.until("listening")
    sending = desk.start(publisher.python(), client, "publish", "A/OUT", MESSAGES, **variables)
    heard, sent = hearing.end(), sending.end()
    assert (heard.code, sent.code) == (0, 0), heard.err + sent.err
    assert json.loads(heard.out.splitlines()[-1]) == {"heard": MESSAGES, "ways": [way]}
    said = served.stop(desk)
    assert list(said.edges) == [("A/OUT", "B/IN")]
    assert said.endpoints == [*[("channel", "A/OUT")] * 2, ("publisher", "A/OUT"), ("subscriber", "B/IN")]
    assert (said.refused, said.torn) == ([], set())


def test_what_the_newer_one_registers_is_kept_whole_and_shown_to_both(desk: Any, served: Served) -> None:
    pipeline = desk.start(COMING.python(), PROGRAMS / "relays.py", **served.here)
    pipeline.until("heard 20")
    seen = {side.ezmsg: look(desk, side, served) for side in (STABLE, COMING)}
    pipeline.interrupt()
    assert pipeline.end().took_ctrl_c
    served.stop(desk)

    kept = registered(served.ledger)
    relay = kept["SYSTEM/SECOND"]["relays"]["MID"]
    assert relay["$"] == "RelayMetadata"
    assert relay["relay_group"] == "SYSTEM/SECOND/__relays__/MID"
    assert kept["SYSTEM/FIRST"]["relays"]["IN"]["relay_input_topic"] == "SYSTEM/FIRST/__relays__/IN/INPUT"
    assert kept["SYSTEM/SINK"]["settings_schema"]["json_schema"]["title"] == "SinkSettings"
    for ezmsg, told in seen.items():
        [metadata] = told["metadata"]
        components = metadata["components"]
        assert list(components) == list(kept)
        old_relay, schema = components["SYSTEM/FIRST"]["relays"]["IN"], components["SYSTEM/SINK"]["settings_schema"]
        new_relays = components["SYSTEM/SECOND"]["relays"]
        assert old_relay["max_queue"] == 7
        if served.ezmsg == STABLE.ezmsg:  # what its ezmsg does not know is not handed out
            assert new_relays == {}
            assert "relay_group" not in old_relay
            assert "json_schema" not in schema
        else:
            assert old_relay["relay_group"] == "SYSTEM/FIRST/__relays__/IN"
            assert schema["json_schema"]["title"] == "SinkSettings"
            # a class that the client lacks is the nearest one that it has, with all that it holds
            expected = "TopicMetadata" if ezmsg == STABLE.ezmsg else "RelayMetadata"
            shown = {name: value for name, value in relay.items() if name != "$"}
            assert new_relays == {"MID": {"class": expected, **shown}}
        assert told["settings"]["SYSTEM/SINK"]["structured_value"] == {"gain": 2.5, "label": "changed"}
        assert [value["structured_value"] for value in told["events"]][-1] == {"gain": 2.5, "label": "changed"}


def test_what_the_older_one_registers_is_shown_to_both(desk: Any, served: Served) -> None:
    pipeline = desk.start(STABLE.python(), PROGRAMS / "relays.py", **served.here)
    pipeline.until("heard 20")
    seen = {side.ezmsg: look(desk, side, served) for side in (STABLE, COMING)}
    pipeline.interrupt()
    assert pipeline.end().took_ctrl_c
    served.stop(desk)
    assert seen[STABLE.ezmsg] == seen[COMING.ezmsg]
    relay = seen[COMING.ezmsg]["metadata"][0]["components"]["SYSTEM/FIRST"]["relays"]["IN"]
    assert relay["class"] == "InputRelayMetadata"
    assert relay.get("relay_group", "lacking") == ("lacking" if served.ezmsg == STABLE.ezmsg else None)
    assert "relay_group" not in registered(served.ledger)["SYSTEM/FIRST"]["relays"]["IN"]


def test_the_fields_of_a_reported_value_are_those_that_an_event_has() -> None:
    """A release whose settings have a further field needs room for it in ``settings.updated``."""
    fields = "from ezmsg.core import graphmeta as g; print(*g.SettingsSnapshotValue.__dataclass_fields__)"
    for side in (STABLE, COMING):
        said = subprocess.run([side.python(), "-c", fields], check=True, capture_output=True, text=True, timeout=60)
        assert tuple(said.stdout.split()) == ev.SettingsValue.__struct_fields__


def look(desk: Any, side: Environment, served: Served) -> Any:
    """What a client of one release is told of the graph."""
    told = desk.do(side.python(), PROGRAMS / "client.py", "look", **served.here)
    assert told.code == 0, told.err
    return json.loads(told.out)


def registered(path: Path) -> Any:
    """The components in a ledger, as the form that they have there."""
    with Ledger.open(path, "r") as ledger:
        [event] = [event for event in ledger.entries() if isinstance(event, ev.MetadataRegistered)]
    return event.metadata["components"]
