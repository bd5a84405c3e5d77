"""The signal monitor of ezmsg-tools, unmodified and without a screen: it shows what it shows with ezmsg's own server.

A person's clicks upon the picture of the graph make it subscribe to one topic after the other; all of it is on record.
"""

from __future__ import annotations

import json
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from tests.ezmsg.suite.environments import MONITOR

PROGRAMS = Path(__file__).parents[1] / "programs"
DRIVERS = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d")
MISSING = [name for name in ("EGL", "GL", "xkbcommon") if find_library(name) is None]
MISSING += [] if any(any(Path(folder).glob("*.json")) for folder in DRIVERS) else ["a driver of Vulkan"]

pytestmark = [
    pytest.mark.environments,
    pytest.mark.timeout(600),  # a gigabyte is installed the first time
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{', '.join(MISSING)} missing: apt-get install libegl1 libgl1 libxkbcommon0 mesa-vulkan-drivers",
    ),
]

CLICKED = ("SYSTEM/DOUBLE/INPUT", "SYSTEM/SINK/INPUT")
EXPECTED = {
    "topics": ["SYSTEM/DOUBLE/INPUT", "SYSTEM/DOUBLE/OUTPUT", "SYSTEM/SINK/INPUT", "SYSTEM/SOURCE/OUTPUT"],
    "shown": [
        {"clicked": CLICKED[0], "shows": "SYSTEM/SOURCE/OUTPUT", "as": "ScatterWidget", "shape": [4], "grows": 1.0},
        {"clicked": CLICKED[1], "shows": "SYSTEM/DOUBLE/OUTPUT", "as": "ScatterWidget", "shape": [4], "grows": 2.0},
    ],
}


def look(desk: Any, address: str) -> Any:
    """What the monitor shows of a pipeline on the server there."""
    here = {"EZMSG_GRAPHSERVER_ADDR": address}
    pipeline = desk.start(MONITOR.python(), PROGRAMS / "montage.py", **here)
    pipeline.until("heard 20")
    monitor = desk.start(
        MONITOR.python(), PROGRAMS / "monitor.py", *address.split(":"), *CLICKED, QT_QPA_PLATFORM="offscreen", **here
    )
    shown = json.loads(monitor.until(r'^{"topics"').string)
    told = monitor.end()
    assert told.code == 0, told.err
    # while it closes, a last picture may come for a widget that Qt has taken away already: that is told, and no more
    assert told.err.count("Traceback") == told.err.count("(QRenderWidget) already deleted"), told.err
    pipeline.until("heard")  # it goes on
    pipeline.interrupt()
    assert pipeline.end().took_ctrl_c
    return shown


def test_the_monitor_shows_what_it_shows_with_stock(desk: Any, stock: str, ours: str) -> None:
    assert look(desk, ours) == look(desk, stock) == EXPECTED
    with Ledger.open(desk.folder / "x.ledger", "r") as ledger:
        events = list(ledger.entries())
    assert [event for event in events if isinstance(event, ev.CommandRejected)] == []
    opened = {event.seq: event.topic for event in events if isinstance(event, ev.SubscriberOpened)}
    watched = [seq for seq, topic in opened.items() if topic.endswith("/OUTPUT")]
    assert [opened[seq] for seq in watched] == ["SYSTEM/SOURCE/OUTPUT", "SYSTEM/DOUBLE/OUTPUT"]
    ends = {event.endpoint: event for event in events if isinstance(event, ev.EndpointClosed)}
    assert [ends[seq].reason for seq in watched] == ["closed", "closed"]
    assert ends[watched[0]].seq < ends[watched[1]].seq
    assert [event.reason for event in events if isinstance(event, ev.SessionClosed)] == ["closed", "closed"]
