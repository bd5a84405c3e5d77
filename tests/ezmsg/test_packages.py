"""Units of ezmsg's own packages, recorded by our server: they hear what they hear with ezmsg's, and are on record.

The same program runs with both servers: ``programs/family.py`` says what each kind of pipeline does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline

from .suite.environments import PACKAGES
from .xdf_file import write_ramp

pytestmark = pytest.mark.environments

PROGRAM = Path(__file__).parent / "programs" / "family.py"
LSL_HERE = "[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n[log]\nlevel = -2\n"
"""LabStreamingLayer asks nobody but this machine."""

RAMP = [["time", "ch"], [150, 4], True]
"""What a player of a whole recording of the ramp is heard to play."""

ROW_SUMS = [1200.0, 3700.0, 6200.0, 8700.0, 11200.0, 13700.0]
"""The sums of the messages of the ramp."""

KINDS: dict[str, tuple[Any, list[tuple[str, str]], dict[str, dict[str, Any]]]] = {
    "lsl": (
        [["time", "ch"], 4, [0, 1, 2, 3, 4, 5]],
        [("CONDUCTOR/OUTPUT", "OUTLET/INPUT_SIGNAL"), ("INLET/OUTPUT_SIGNAL", "CONDUCTOR/INPUT")],
        {"OUTLET": {"stream_type": "EEG"}, "INLET": {"use_arrival_time": False}},
    ),
    "zmq": (
        [[["time", "ch"], [25, 4], total] for total in ROW_SUMS],
        [
            ("CONDUCTOR/OUTPUT", "WRITE/INPUT"),
            ("WRITE/OUTPUT", "SEND/INPUT"),
            ("POLL/OUTPUT", "READ/INPUT"),
            ("READ/OUTPUT_SIGNAL", "CONDUCTOR/INPUT"),
        ],
        {"SEND": {"zmq_topic": "ramp", "multipart": True}, "POLL": {"poll_time": 0.1}},
    ),
    "websocket": (
        [[2000, f"{number:02x}" * 2] for number in range(6)],
        [("CONDUCTOR/OUTPUT", "CLIENT/INPUT"), ("CLIENT/OUTPUT", "CONDUCTOR/INPUT")],
        {"CLIENT": {"host": "127.0.0.1", "cert_path": None}},
    ),
    "xdf": (RAMP, [("PLAYER/OUTPUT_SIGNAL", "CONDUCTOR/INPUT")], {"PLAYER": {"select": "ramp", "chunk_dur": 0.05}}),
    "nwb": (None, [("CONDUCTOR/OUTPUT", "SINK/INPUT_SIGNAL")], {"SINK": {"overwrite_old": True, "split_bytes": 0}}),
    "nwbread": (RAMP, [("PLAYER/OUTPUT_SIGNAL", "CONDUCTOR/INPUT")], {"PLAYER": {"chunk_dur": 0.05}}),
}
"""What is heard, all edges, and some of the settings of its units, all below SYSTEM."""


def play(desk: Any, kind: str, folder: Path, address: str) -> Any:
    """What a pipeline of a kind hears with the server there, and how it ended."""
    folder.mkdir(exist_ok=True)
    write_ramp(folder / "ramp.xdf", "ramp", 150, 4, 500.0)
    (folder / "lsl.cfg").write_text(LSL_HERE)
    variables = {"EZMSG_GRAPHSERVER_ADDR": address, "LSLAPICFG": str(folder / "lsl.cfg")}
    program = desk.start(PACKAGES.python(), PROGRAM, kind, folder, **variables)
    heard = json.loads(program.until(r'^\{"heard":').string)["heard"]
    told = program.end()
    assert told.code == 0, told.err
    assert "Traceback" not in told.out, told.out
    return heard


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nwbread"])
def test_what_is_heard_is_what_is_heard_with_stock(desk: Any, stock: str, ours: str, kind: str) -> None:
    kinds = ("nwb", "nwbread") if kind == "nwb" else (kind,)
    for each in kinds:
        heard = {place: play(desk, each, desk.folder / place, at) for place, at in (("stock", stock), ("ours", ours))}
        assert heard["ours"] == heard["stock"] == KINDS[each][0]
    with Ledger.open(desk.folder / "x.ledger", "r") as ledger:
        assert [event for event in ledger.entries() if isinstance(event, ev.CommandRejected)] == []
        timeline = Timeline(ledger)
        for each, registered in zip(kinds, registrations(ledger), strict=True):
            _, edges, settings = KINDS[each]
            state = timeline.at(str(registered))
            assert {edge for edge, _ in state.ownership.edges()} == {
                (f"SYSTEM/{one}", f"SYSTEM/{other}") for one, other in edges
            }
            for unit, expected in settings.items():
                known = state.settings[f"SYSTEM/{unit}"].value.structured_value
                assert {name: known[name] for name in expected} == expected


def registrations(ledger: Any) -> list[int]:
    """The seq of each registration of a pipeline's processes: by then all its edges are there."""
    return [event.seq for event in ledger.entries() if isinstance(event, ev.ProcessRegistered)]


def test_sigproc_and_what_tells_of_its_settings(desk: Any, stock: str, ours: str) -> None:
    """PipelineSettingsUnit of ezmsg-baseproc tells the same, number by number; the change is on record as reported."""
    heard = {place: play(desk, "sigproc", desk.folder / place, at) for place, at in (("stock", stock), ("ours", ours))}
    assert heard["ours"] == heard["stock"]
    assert heard["ours"]["factors"] == [1.0, 2.0]
    told = heard["ours"]["settings"]
    assert [each[1] for each in told if each[2] == "INITIAL"] == [
        "SYSTEM",
        *(f"SYSTEM/{unit}" for unit in ("CONDUCTOR", "FILTER", "SCALE", "WATCH")),
        "__init_final__",
    ]
    assert told[-1][1:] == ["SYSTEM/SCALE", "UPDATED", {"scale": 2.0}]

    with Ledger.open(desk.folder / "x.ledger", "r") as ledger:
        updates = [event for event in ledger.entries() if isinstance(event, ev.SettingsUpdated)]
        assert [(event.component, event.value.structured_value) for event in updates] == [
            ("SYSTEM/SCALE", {"scale": 2.0})
        ]
        [registered] = registrations(ledger)
        state = Timeline(ledger).at(str(registered))
        kept = {address: record.value.structured_value for address, record in state.settings.items()}
    assert [[address, values] for _, address, kind, values in told[:-2]] == [[key, kept[key]] for key in sorted(kept)]
