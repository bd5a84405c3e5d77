"""A rig whose gain shows in its samples, recorded in data files, and what is said of them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from tests.ezmsg.suite.environments import RECORDINGS
from tests.ezmsg.test_packages import LSL_HERE

PROGRAMS = Path(__file__).parents[1] / "programs"
RIG = PROGRAMS / "recorded_rig.py"


class Recorded:
    """A recorded rig: its folder, the ledger, and by how much its latest block was late (s)."""

    def __init__(self, desk: Any, latest: float) -> None:
        self.desk, self.folder, self.latest = desk, desk.folder, latest
        self.ledger = self.folder / "rig.ledger"

    def ask(self, *command: object, code: int = 0) -> Any:
        """What a command of ours says, as a document."""
        told = self.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *command, "--json")
        assert told.code == code, told.err
        return json.loads(told.out)

    def in_force(self, name: str, *options: object) -> Any:
        return self.ask("in-force", self.folder / name, self.ledger, *options)

    def seen(self, name: str, *answers: Any) -> Any:
        """What the samples say, and what of the answers is right."""
        files = []
        for number, answer in enumerate(answers):
            files.append(self.folder / f"answer-{number}.json")
            files[-1].write_text(json.dumps(answer))
        told = self.desk.do(RECORDINGS.python(), PROGRAMS / "change_points.py", self.folder / name, *files)
        assert told.code == 0, told.err
        return json.loads(told.out)

    def off(self, name: str) -> Any:
        """By how much the mapping of a file is off at most, and what its error is told to be (s)."""
        command = (PROGRAMS / "mapping_errors.py", self.folder / name, self.ledger, self.folder / "ticks.json")
        told = self.desk.do(RECORDINGS.python(), *command)
        assert told.code == 0, told.err
        return json.loads(told.out)


def record(desk: Any, rate: int, gains: int, every: float, *kinds: str, address: str | None = None) -> Recorded:
    (desk.folder / "lsl.cfg").write_text(LSL_HERE)
    variables = {"LSLAPICFG": str(desk.folder / "lsl.cfg")}
    script = [RIG, desk.folder, str(rate), str(gains), str(every), *kinds]
    if address is None:
        before = ["-m", "ezmsg.ledger.tools.cli", "run", "--ledger", desk.folder / "rig.ledger", "--address", desk.free]
    else:
        before, variables = [], {**variables, "EZMSG_GRAPHSERVER_ADDR": address}
    program = desk.start(RECORDINGS.python(), *before, *script, **variables)
    latest = json.loads(program.until(r'^\{"latest_ms":.*').string)["latest_ms"] / 1000
    if "killed" in kinds:
        with Ledger.open(desk.folder / "rig.ledger", "r") as ledger:
            [pid] = {event.pid for event in ledger.entries() if isinstance(event, ev.ProcessRegistered)}
        os.kill(int(pid or 0), signal.SIGKILL)
        program.end()
        return Recorded(desk, latest)
    told = program.end()
    assert told.code == 0, told.err
    return Recorded(desk, latest)


def check(rig: Recorded, name: str, gains: int, block: float) -> Any:
    """Every change of the samples lies within what is said of it. Returns the answer."""
    answer = rig.in_force(name)
    seen = rig.seen(name, answer)
    assert [value for _, value in seen["changes"]] == list(range(2, gains + 1)), seen
    told = {span["value"]: span for span in answer["changed"] if span["field"] == "gain" and not span["began_before"]}
    late = max(0.0, rig.latest - block)  # a machine that is busy with something else gave blocks late
    sample = 1.5 / 1000  # LSL stamps one sample late
    for second, value in seen["changes"]:
        span = told[value]
        assert span["earliest"] - late <= second <= span["latest"] + sample, (second, span, rig.latest)
        assert span["asked_by"] is not None
    return {**answer, "seen": seen}
