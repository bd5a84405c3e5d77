"""The swap reaches every interpreter, tells the classes apart, and leaves the rest alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .suite_run import STOCK, SWAP_FOLDER, Start, environment, read

Play = Callable[..., list[Start]]

# ezmsg's server under a second name: a class of its own that works, so that starts of either can be told apart.
TWIN = """
import importlib.util, sys
import ezmsg.core.graphserver as stock
spec = importlib.util.spec_from_file_location("ezmsg.core.graphserver_twin", stock.__file__)
twin = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(twin)

class Twin(twin.GraphServer):
    pass
"""

# Inherits the real stock class, which a swap would not see unless it says whose code runs.
HEIR = """
import gc
import ezmsg.core.graphserver
stock = next(
    cls for cls in gc.get_objects()
    if isinstance(cls, type) and (cls.__module__, cls.__name__) == ("ezmsg.core.graphserver", "GraphServer")
    and hasattr(cls, "run")
)

class Heir(stock):
    pass
"""

PROGRAM = """
import multiprocessing, os, subprocess, sys

def serve():
    from ezmsg.core.graphserver import GraphServer
    server = GraphServer()
    server.start(("127.0.0.1", 0))
    server.stop()
    assert isinstance(server, GraphServer)

if __name__ == "__main__":
    os.environ["PYTEST_CURRENT_TEST"] = "tests/test_a.py::test_b[x (y)] (call)"
    serve()
    for method in sys.argv[1:]:
        child = multiprocessing.get_context(method).Process(target=serve)
        child.start()
        child.join()
        assert child.exitcode == 0
"""


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs PROGRAM with a server class from TWIN and HEIR, or the stock one, and gives back the logged starts."""
    (tmp_path / "twin.py").write_text(TWIN)
    (tmp_path / "heir.py").write_text(HEIR)
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(server: str, *methods: str) -> list[Start]:
        env = environment(tmp_path, server)
        env["PYTHONPATH"] += os.pathsep + str(tmp_path)
        command = [sys.executable, str(tmp_path / "program.py"), *methods]
        subprocess.run(command, env=env, check=True, timeout=60)
        return read(tmp_path, server).starts

    return run


def test_without_a_swap_the_stock_server_is_logged(play: Play) -> None:
    assert [(start.server, start.test) for start in play(STOCK)] == [(STOCK, "tests/test_a.py::test_b[x (y)]")]


def test_children_get_the_replacement_and_nobody_the_stock_server(play: Play) -> None:
    methods = ["spawn"] + (["fork", "forkserver"] if os.name == "posix" else [])
    starts = play("twin:Twin", *methods)
    assert [start.server for start in starts] == ["twin:Twin"] * (1 + len(methods))
    assert len({start.pid for start in starts}) == 1 + len(methods)
    assert {start.test for start in starts} == {"tests/test_a.py::test_b[x (y)]"}


def test_a_replacement_that_inherits_the_stock_server_shows_as_stock(play: Play) -> None:
    assert STOCK in [start.server for start in play("heir:Heir")]


def test_a_sitecustomize_that_the_swap_hides_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hidden one')")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SWAP_FOLDER), str(tmp_path)])}
    command = [sys.executable, "-c", "import sys; print(*(type(finder).__name__ for finder in sys.meta_path))"]
    printed = subprocess.run(command, env=env, check=True, timeout=60, capture_output=True, text=True).stdout
    assert printed.startswith("hidden one")
    assert "ServerFinder" not in printed, "the swap acts without its log being asked for"
