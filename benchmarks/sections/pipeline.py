"""Pipeline: what recording costs the messages of a real pipeline."""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import Section, Setting, Spread, count, ratios, say, seconds, times
from benchmarks.programs.peers import ROOT, STOCK, Peer
from ezmsg.ledger.log import Ledger

ABOUT = """\
A pipeline of three processes (source, middle, sink) runs under `ezmsg-ledger run`, which keeps the index as well, and
with ezmsg's own server in a process of its own; the two take turns. The time of a message is from sending to hearing,
through the middle one, of messages that are sent one every two milliseconds; the rate is that of many sent as fast as
the pipeline takes them. The first four seconds do not count, in which messages wait for processes that still come up,
and either server and its company load what they need. No message passes the server, and none is recorded: what may
show is the company. While messages flow, recorder and index keeper took 20 ms of processor time in ten seconds. Three
processes share two cores, so that whatever else runs shows most in the 99th of a hundred."""

COLUMNS = ("what", "ezmsg-ledger run", "ezmsg's own server", "ratio")

MESSAGES, QUICK_MESSAGES = 1_500, 20
BURST, QUICK_BURST = 8_000, 40

PAIRS = 9
"""Turns of each, whatever was asked for: less does not show five hundredths."""

VARIABLE = "EZMSG_GRAPHSERVER_ADDR"


class Figures(NamedTuple):
    """What one run gave: messages a second, and the time under way of the median and the 99th of a hundred."""

    rate: float
    p50: float
    p99: float


def run(setting: Setting) -> Section:
    """Let the pipeline run on either server, in turns."""
    section = Section("Pipeline", ABOUT, COLUMNS)
    sizes = (QUICK_MESSAGES, QUICK_BURST) if setting.quick else (MESSAGES, BURST)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name).resolve()
        recorded: list[Figures] = []
        plain: list[Figures] = []
        for number in range(1, (setting.rounds if setting.quick else PAIRS) + 1):
            say(f"pipeline: pair {number}")
            turns = [(recorded, _under_run), (plain, _beside_stock)]
            for into, start in turns if number % 2 else reversed(turns):
                into.append(_figures(folder, sizes, start))
    rows: list[tuple[str, Callable[[float], str]]] = [
        ("messages per second", count), ("a message, p50", seconds), ("a message, p99", seconds)
    ]  # fmt: skip
    for place, (what, form) in enumerate(rows):
        ours, others = ([each[place] for each in side] for side in (recorded, plain))
        ratio = Spread.of([statistics.median(ours) / statistics.median(others)])
        pairs = ratios(ours, others)
        shown = f"{times(ratio.median)} of medians; pairs {pairs.written(times)}"
        section.rows.append((what, Spread.of(ours).written(form), Spread.of(others).written(form), shown))
        more = place == 0
        name = f"{what}, of three processes under `run`, beside ezmsg's own server"
        section.aim(name, ratio, 0.95 if more else 1.05, at_most=not more)
    return section


def _figures(folder: Path, sizes: tuple[int, int], start: Callable[[Path, list[str]], None]) -> Figures:
    path = folder / "figures.json"
    start(folder, ["-m", "benchmarks.programs.pipeline_script", str(path), *map(str, sizes)])
    found = json.loads(path.read_text(encoding="ascii"))
    path.unlink()
    took = found["took"]
    return Figures(found["rate"], statistics.median(took), statistics.quantiles(took, n=100)[98])


def _under_run(folder: Path, script: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ledger = folder / "pipeline.ledger"
    ours = str(Path(sys.executable).with_name("ezmsg-ledger"))
    command = [ours, "run", "--address", address, "--ledger", str(ledger)]
    _run([*command, *script], os.environ.copy())
    with Ledger.open(ledger, "r") as reader:
        if not reader.verify().sealed:
            raise RuntimeError("the recording of the pipeline did not end well")
    for each in folder.glob("pipeline.ledger*"):
        each.unlink()


def _beside_stock(folder: Path, script: list[str]) -> None:
    with Peer(STOCK) as peer:
        _run([sys.executable, *script], {**os.environ, VARIABLE: peer.address})


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"the pipeline ended with {done.returncode}: {done.stderr[-2000:]}")
