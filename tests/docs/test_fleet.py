"""docs/FLEET.md: its server starts as it is written there, and the commands beside it do what they say."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from tests.brokers import SERVER, Node, running
from tests.tools.fleet.jetstream.authority import Authority

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "FLEET.md").read_text(encoding="utf-8")
OTHER = ROOT / "tests" / "golden" / "endings.ledger"
LEDGER = ROOT / "tests" / "tools" / "documents" / "demo.ledger"


def test_the_commands_for_one_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not SERVER.exists():
        pytest.skip("nats-server is not installed")
    monkeypatch.chdir(tmp_path)
    shutil.copy(LEDGER, "run.ledger")
    place = Node(tmp_path)  # for its free ports
    config = re.findall(r"```text\n(server_name.*?)```", PAGE, re.DOTALL)[0]
    for said, here in (("4222", place.port), ("8222", place.monitor_port), ("/var/lib/nats", tmp_path / "store")):
        config = config.replace(said, str(here))
    Path("ledgers.conf").write_text(config)
    console = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)[0]
    first, *commands = [line.removeprefix("$ ") for line in console.splitlines()]
    assert first == "nats-server -c ledgers.conf"
    assert len(commands) == 4
    with open(os.devnull, "wb") as nothing:
        server = subprocess.Popen([str(SERVER), "-c", "ledgers.conf"], stdout=nothing, stderr=nothing)
    try:
        place.await_ready()
        for command in commands:
            words = shlex.split(command.replace("4222", str(place.port)).replace("8222", str(place.monitor_port)))
            assert main(words[1:]) == exits.OK, command
            assert "SYNCED" not in capsys.readouterr().err, "the page's server syncs each message"
    finally:
        server.kill()
        server.wait(30)
    assert Path("copy.ledger").read_bytes() == LEDGER.read_bytes()


def test_questions_in_sql_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    place_fleet(tmp_path / "fleet")
    block = re.findall(r"print this -->\n```console\n(.*?)```", PAGE, re.DOTALL)[0]
    shown = re.findall(r"^\$ (ezmsg-ledger .*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(shown) == 4
    for command, answer in shown:
        assert main(shlex.split(command)[1:]) == exits.OK
        assert capsys.readouterr().out.replace("\r\n", "\n") == answer, command


def place_fleet(folder: Path) -> None:
    """The two ledgers that the page asks."""
    folder.mkdir()
    shutil.copy(LEDGER, folder / "rig-3.ledger")
    shutil.copy(OTHER, folder / "rig-4.ledger")


def test_users_and_tls_as_the_page_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rig can make the stream and ship, and not read; the auditor can read, and not ship."""
    authority = Authority(tmp_path)
    authority.pair("server")
    lines = re.findall(r"```text\n(tls \{.*?)```", PAGE, re.DOTALL)[0].replace("/etc/nats", str(tmp_path))
    [context] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    fields = {**json.loads(context), "ca": str(authority.certificate)}
    for node in running(Node(tmp_path, more=lines)):
        address = node.url.replace("nats", "tls")
        for user, password, may_ship, may_read in (
            ("rig-3", "a long one", exits.OK, exits.USAGE),
            ("auditor", "another one", exits.USAGE, exits.OK),
        ):
            path = tmp_path / f"{user}.json"
            path.write_text(json.dumps({**fields, "user": user, "password": password}))
            monkeypatch.setenv("NATS_CONTEXT", str(path))
            ledger = shutil.copy(LEDGER if user == "rig-3" else OTHER, tmp_path / f"{user}.ledger")
            assert main(["ship", str(ledger), address, "--name", user]) == may_ship, capsys.readouterr().err
            assert main(["verify", f"{address}/LEDGERS/rig-3"]) == may_read, capsys.readouterr().err
            assert password not in "".join(capsys.readouterr())


def test_the_commands_for_three_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(LEDGER, "run.ledger")
    if not SERVER.exists():
        pytest.skip("nats-server is not installed")
    nodes = [Node(tmp_path, name=f"lab-{number}") for number in (1, 2, 3)]  # for their free ports
    routes = ", ".join(f'"nats://127.0.0.1:{node.monitor_port}"' for node in nodes)
    config = re.findall(r"```text\n(server_name.*?)```", PAGE, re.DOTALL)[1]
    [command] = re.findall(r"^(ezmsg-ledger ship .* --replicas 3)$", PAGE, re.MULTILINE)
    servers = []
    try:
        for node in nodes:
            mine = config.replace("lab-1", node.name, 1).replace("0.0.0.0:4222", f"127.0.0.1:{node.port}")
            mine = mine.replace("0.0.0.0:6222", f"127.0.0.1:{node.monitor_port}")
            mine = re.sub(r"routes: \[.*\]", f"routes: [{routes}]", mine)
            Path(f"{node.name}.conf").write_text(mine.replace("/var/lib/nats", str(tmp_path / node.name)))
            command = command.replace(f"{node.name}:4222", f"127.0.0.1:{node.port}")
            log = subprocess.DEVNULL
            servers.append(subprocess.Popen([str(SERVER), "-c", f"{node.name}.conf"], stdout=log, stderr=log))
        for node in nodes:
            node.await_ready()
        deadline = time.monotonic() + 60
        while (code := main(shlex.split(command)[1:])) != exits.OK:  # until they have agreed on a leader
            assert time.monotonic() < deadline, (code, capsys.readouterr().err)
            time.sleep(0.2)
        address = shlex.split(command)[3]
        with Ledger.open(LEDGER, "r") as ledger:
            assert main(["verify", f"{address}/LEDGERS/{ledger.id}"]) == exits.OK
        assert "3 replicas" in capsys.readouterr().err
    finally:
        for server in servers:
            server.kill()
            server.wait(30)


def test_three_nodes_have_the_line_that_matters() -> None:
    blocks = re.findall(r"```text\n(server_name.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    assert all("sync_interval: always" in block for block in blocks)
