"""docs/OPERATE.md and examples/service: systemd and Prometheus take the examples, and the steps lead where they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.health.metrics import GAUGES, PREFIX
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "service"
UNITS = sorted(EXAMPLES.glob("*.service"))
RULES = EXAMPLES / "prometheus-rules.yml"
PAGE = (ROOT / "docs" / "OPERATE.md").read_text(encoding="utf-8")
SECONDS_MAX = 60


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    program = Path(sys.executable).with_name("ezmsg-ledger")
    text = re.sub(r"(?:/opt/ezmsg-ledger|%h/\.venv)/bin/ezmsg-ledger", str(program), unit.read_text("utf-8"))
    (tmp_path / unit.name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True, timeout=SECONDS_MAX
    )
    told = [line for line in done.stderr.splitlines() if unit.name in line or str(tmp_path) in line]
    assert told == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_commands_of_a_unit_have_options_that_there_are(unit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in re.findall(r"^Exec\w+=\S+/ezmsg-ledger (.*)$", unit.read_text("utf-8"), re.MULTILINE):
        command, *words = line.split()
        assert main([command, "--help"]) == exits.OK
        told = capsys.readouterr().out
        assert [word for word in words if word.startswith("--") and word not in told] == []


def test_prometheus_takes_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stderr


def test_every_rule_asks_for_metrics_that_there_are_and_has_its_answer() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
    known = {PREFIX + gauge.name for gauge in GAUGES} | {f"{PREFIX}refused_commands_total"}
    named = {name for rule in rules for name in re.findall(rf"{PREFIX}\w+", rule["expr"])}
    assert named
    assert named <= known
    answers = "\n".join(re.findall(r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \|", PAGE, re.MULTILINE))
    assert [rule["alert"] for rule in rules if rule["alert"] not in answers] == []


def test_a_rig_moves_to_a_new_disk_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, receipt = (tmp_path / name for name in ("old.ledger", "new.ledger", "rig.receipt"))
    with Ledger.open(old, segmented=True) as ledger:
        ledger.append([ev.Mark(name="before")])
        ledger.rotate()
        name = ledger.id
    assert main(["verify", str(old)]) == exits.OK
    capsys.readouterr()
    assert main(["receipt", str(old)]) == exits.OK
    receipt.write_text(capsys.readouterr().out)
    shutil.copytree(old, new)
    assert main(["verify", str(new), "--receipt", str(receipt)]) == exits.OK
    with Ledger.open(new) as ledger:
        ledger.append([ev.Mark(name="after")])
        assert (ledger.id, ledger.head) == (name, 2)
    assert main(["verify", str(new), "--receipt", str(receipt)]) == exits.OK


def test_a_copy_of_what_is_written_is_torn_and_not_damaged(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="a")])
        ledger.append([ev.Mark(name="b")])
        data = Path(ledger.location).read_bytes()
        receipt = tmp_path / "rig.receipt"
        receipt.write_text(ledger.receipt + "\n")
    (tmp_path / "copy.ledger").write_bytes(data[:-30])
    assert main(["verify", str(tmp_path / "copy.ledger")]) == exits.NO
    with Ledger.open(tmp_path / "copy.ledger", "r") as copy:
        assert copy.head == 1
    assert main(["verify", str(tmp_path / "copy.ledger"), "--receipt", str(receipt)]) not in (exits.OK, exits.FAULT)
