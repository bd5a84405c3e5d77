"""``ezmsg-ledger debug``, ``run --debug`` and ``serve --debug`` as people start them."""

import os
import socket
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ezmsg.ledger.extras import install_command
from ezmsg.ledger.log import Ledger

ADDRESS = r"^(http://127\.0\.0\.1:\d+/[\w-]{24}/)(\?at=(\d+))?$"

PATIENCE_S = 30


def test_it_prints_its_address_on_one_line_and_ends_with_ctrl_c(desk: Any, night: Any) -> None:
    program = desk.start("ezmsg-ledger", "debug", night.path, "--no-open")
    address = program.until(ADDRESS)[1]
    with urlopen(f"{address}api/v1/ledger", timeout=PATIENCE_S) as answer:
        assert answer.status == 200
    program.interrupt()
    told = program.end()
    assert (told.code, told.out) == (0, f"{address}\n")
    assert "Ctrl-C ends" in told.err


def test_an_open_stream_is_ended_without_a_word(desk: Any, night: Any) -> None:
    program = desk.start("ezmsg-ledger", "debug", night.path, "--no-open")
    address = program.until(ADDRESS)[1]
    with urlopen(f"{address}api/v1/live", timeout=PATIENCE_S) as stream:
        assert stream.readline().startswith(b"event: status")
        program.interrupt()
        told = program.end()
    assert told.code == 0
    assert "Traceback" not in told.err
    assert "Cancel" not in told.err


def test_it_opens_at_a_moment(desk: Any, night: Any) -> None:
    program = desk.start("ezmsg-ledger", "debug", night.path, "--no-open", "--at", "session:2")
    assert program.until(ADDRESS)[3] == "2"
    program.interrupt()
    assert program.end().code == 0


def test_without_a_screen_the_address_is_enough(desk: Any, night: Any) -> None:
    program = desk.start("ezmsg-ledger", "debug", night.path, DISPLAY="", WAYLAND_DISPLAY="", BROWSER="")
    program.until("no browser could be opened")
    program.interrupt()
    assert program.end().code == 0


def test_a_browser_is_given_the_address(desk: Any, night: Any, tmp_path: Path) -> None:
    browser, said = tmp_path / "browser", tmp_path / "said"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{said}.new"; mv "{said}.new" "{said}"\n')
    browser.chmod(0o755)
    program = desk.start("ezmsg-ledger", "debug", night.path, BROWSER=f"{browser} %s")
    address = program.until(ADDRESS)[1]
    desk.poll(said.exists, "the browser is started")
    assert said.read_text().strip() == address
    program.interrupt()
    assert program.end().code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--at", "mark:nothing"], 2, "there is no mark 'nothing'"),
        (["--at", "999999"], 2, "hint: The ledger holds seq 1"),
        (["--with", "nothing.ledger"], 2, "there is no file"),
        (["--host", "0.0.0.0"], 2, "hint: Say which: --allow"),
        (["--host", "192.0.2.1", "--allow", "192.0.2.0/24"], 2, "this machine does not have that address"),
        (["--host", "nowhere.invalid", "--allow", "192.0.2.0/24"], 2, "nowhere.invalid is not an address of this"),
        (["--allow", "everybody"], 2, "is neither a network"),
        (["--port", "70000"], 2, "65535"),
    ],
)
def test_what_cannot_be_is_said(desk: Any, night: Any, arguments: list[str], code: int, said: str) -> None:
    told = desk.do("ezmsg-ledger", "debug", night.path, "--no-open", *arguments)
    assert told.code == code
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_port_that_is_taken_is_said(desk: Any, night: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = desk.do("ezmsg-ledger", "debug", night.path, "--no-open", "--port", port)
    assert told.code == 2
    assert f"cannot listen on 127.0.0.1:{port}: another program has it" in told.err
    assert "hint: Give another --port" in told.err


def test_what_is_no_ledger_is_said(desk: Any, tmp_path: Path) -> None:
    (tmp_path / "text.ledger").write_text("not a ledger\n")
    told = desk.do("ezmsg-ledger", "debug", tmp_path / "text.ledger", "--no-open")
    assert told.code == 3
    assert "Traceback" not in told.err


WITHOUT = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("starlette", "uvicorn"):
            raise ModuleNotFoundError(name)
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("starlette", "uvicorn") else found(name, package)
sys.meta_path.insert(0, Missing())
from ezmsg.ledger.tools.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", [["debug", "{ledger}"], ["run", "--debug", "script.py"], ["serve", "--debug"]])
def test_without_the_extra_the_way_to_install_it_is_said(
    desk: Any, night: Any, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "script.py").write_text("print('ran')\n")
    arguments = [word.format(ledger=night.path) for word in command]
    told = desk.do("python", "-c", WITHOUT, *arguments, EZMSG_GRAPHSERVER_ADDR=desk.free)
    assert told.code == 2
    assert install_command("ezmsg-ledger[debugger]") in told.err
    assert "ran" not in told.out
    assert [path.name for path in tmp_path.glob("*.ledger")] == []


def test_a_run_is_shown_while_it_goes_on(desk: Any, tmp_path: Path) -> None:
    script, go = tmp_path / "waits.py", tmp_path / "go"
    script.write_text("import os, sys, time\nwhile not os.path.exists(sys.argv[1]):\n    time.sleep(0.01)\n")
    command = ("ezmsg-ledger", "run", "--debug", "--address", desk.free, "--ledger", "now.ledger", script, go)
    program = desk.start(*command)
    address = program.until(ADDRESS)[1]
    with urlopen(f"{address}api/v1/ledger", timeout=PATIENCE_S) as answer:
        assert b'"written":true' in answer.read()
    go.touch()
    assert program.end().code == 0
    with Ledger.open(tmp_path / "now.ledger", "r") as ledger:
        assert ledger.verify().sealed
    with pytest.raises(OSError):
        urlopen(address, timeout=PATIENCE_S)


def test_a_served_graph_is_shown_while_it_goes_on(desk: Any) -> None:
    program = desk.start("ezmsg-ledger", "serve", "now.ledger", "--debug", "--address", desk.free)
    address = program.until(ADDRESS)[1]
    with urlopen(f"{address}api/v1/ledger", timeout=PATIENCE_S) as answer:
        assert b'"written":true' in answer.read()
    os.kill(program.pid, 15)
    assert program.end().code == 0
    with pytest.raises(OSError):
        urlopen(address, timeout=PATIENCE_S)

