"""Settings of classes that only one program has: it registers, the server never imports them, others read them plain.

Three real processes: a laboratory with enums, numbers of numpy and a class of its own; the server, this one; and
a dashboard that has neither the laboratory's modules nor numpy.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.conftest import BY_NAME, all_of

LAB = '''
import enum
from dataclasses import dataclass, field
import numpy as np

class Level(enum.IntEnum):
    LOW = 1
    HIGH = 7

class Mode(enum.StrEnum):
    FAST = "fast"

class Colour(enum.Enum):
    RED = "red"

@dataclass
class Settings:
    level: Level = Level.HIGH
    mode: Mode = Mode.FAST
    rate: float = np.float64(0.25)
    count: int = np.int16(-3)
    on: bool = np.bool_(True)
    taps: list = field(default_factory=lambda: [np.float32(0.5), Level.LOW])
'''

REGISTERS = '''
import asyncio, dataclasses, pickle, sys
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import *
from ezmsg.core.processclient import ProcessControlClient
import lab

def component(address, value):
    shown = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    fields = [SettingsFieldMetadata(name, "any", True, each, None, None, None, None) for name, each in shown.items()]
    return ComponentMetadata(address, address, "lab.Unit", "lab.Settings", (pickle.dumps(value), shown),
        DynamicSettingsMetadata(False, None, None), SettingsSchemaMetadata("dataclass", "lab.Settings", fields))

async def main():
    host, _, port = sys.argv[1].partition(":")
    async with GraphContext((host, int(port)), auto_start=False) as context:
        await context.connect("A", "B")
        value = lab.Settings()
        await context.register_metadata(GraphMetadata(1, "LAB", {"LAB/U": component("LAB/U", value)}))
        process = ProcessControlClient((host, int(port)))
        await process.register(["LAB/U"])
        shown = {"level": lab.Level.LOW, "mode": lab.Mode.FAST, "colour": lab.Colour.RED, "whole": value}
        await process.report_settings_update("LAB/U", SettingsSnapshotValue(pickle.dumps(shown), shown, shown))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await process.close()

asyncio.run(main())
'''

LOOKS = '''
import asyncio, json, sys
sys.modules["numpy"] = sys.modules["lab"] = None    # neither is here
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphserver import GraphService

def plain(value):
    assert type(value) in (int, float, bool, str, list, dict, type(None)), type(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value

async def main():
    host, _, port = sys.argv[1].partition(":")
    async with GraphContext((host, int(port)), auto_start=False) as context:
        [component] = [
            each for session in (await context.snapshot()).sessions.values() if session.metadata
            for each in session.metadata.components.values()
        ]
        now = (await context.settings_snapshot())["LAB/U"]
        events = await context.settings_events()
        stream = context.subscribe_settings_events(after_seq=0)
        first = await anext(stream)
        await stream.aclose()
        await GraphService((host, int(port))).dag()
    print(json.dumps({
        "registered": plain(component.initial_settings[1]),
        "schema": {field.name: plain(field.default) for field in component.settings_schema.fields},
        "now": plain(now.repr_value),
        "events": [plain(event.value.repr_value) for event in events],
        "stream": plain(first.value.repr_value),
        "opaque": isinstance(component.initial_settings[0], bytes) and isinstance(now.serialized, bytes),
    }))

asyncio.run(main())
'''

HIGH, LOW, FAST = ("lab:Level.HIGH", "lab:Level.LOW", "lab:Mode.FAST") if BY_NAME else (7, 1, "fast")
WRITTEN = {"level": HIGH, "mode": FAST, "rate": 0.25, "count": -3, "on": True, "taps": [0.5, LOW]}


def test_foreign_classes_register_and_others_read_them_without_having_them(
    server: GraphServer, tmp_path: Path
) -> None:
    (tmp_path / "lab.py").write_text(LAB)
    told: dict[str, Any]
    with _program(REGISTERS, server, PYTHONPATH=str(tmp_path)) as laboratory:
        assert laboratory.stdout is not None
        assert laboratory.stdout.readline() == "ready\n"
        with _program(LOOKS, server) as dashboard:
            out, _ = dashboard.communicate(timeout=20)
        told = json.loads(out)
        laboratory.communicate("\n", timeout=20)
    assert laboratory.returncode == dashboard.returncode == 0
    assert "lab" not in sys.modules, "the server had no need of it"
    assert told["registered"] == told["schema"] == told["stream"] == told["events"][0] == WRITTEN
    assert told["opaque"]
    assert told["now"] == told["events"][-1]
    now = told["now"]
    assert (now["level"], now["mode"]) == (LOW, FAST)
    assert "RED" in now["colour"] or now["colour"] == "red"
    assert isinstance(now["whole"], str)
    assert all_of(server, ev.CommandRejected) == []
    [registered] = all_of(server, ev.MetadataRegistered)
    [updated] = all_of(server, ev.SettingsUpdated)
    assert "lab:Level" in repr(updated) or "lab:Level" in repr(registered), "the ledger keeps what it was"


def _program(text: str, server: GraphServer, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", text, str(server.address)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
