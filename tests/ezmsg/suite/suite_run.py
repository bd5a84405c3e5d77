"""One run of ezmsg's suite in a pytest of its own, with the stock server or with another in its place."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

STOCK = "ezmsg.core.graphserver:GraphServer"
OURS = "ezmsg.ledger.runtime.server.server:GraphServer"

SWAP_FOLDER = Path(__file__).resolve().parent / "swap"

# Exit statuses of pytest, and of swap/suite_report.py, that need an explanation.
TROUBLE = {
    2: "pytest was interrupted",
    5: "pytest found no tests",
    70: "something kept pytest from ending after its last test",
}

# Where ezmsg looks for a running server. Its tests would quietly use one that listens there, whichever class it is.
DEFAULT_ADDRESS = ("127.0.0.1", 25978)

# The slowest test of ezmsg 3.9.0 takes 1.2 s. The longest limit that its tests set for their children is 20 s, and
# they tell more about it when they see it pass themselves.
TEST_SECONDS_MAX = 30
# The whole suite takes 20 s. A server that hangs in every test must not hold up everything else.
RUN_SECONDS_MAX = 180


@dataclass(frozen=True)
class Start:
    """One start of a graph server. `test` is empty outside of tests, `server` is ``module:Class``."""

    server: str
    pid: int
    test: str
    core: str


@dataclass
class SuiteRun:
    """What one run showed.

    `outcomes` maps node ids to passed, failed, skipped or unfinished, `output` to what failing tests printed,
    `seconds` to the time they took. `errors` is what went wrong outside of tests: files that could not be collected,
    the time limit. `cores` names the files that `ezmsg.core` was imported from. `pid` is that of the pytest process,
    `printed` the file with all that it printed.
    """

    server: str
    printed: Path
    pid: int = 0
    took: float = 0.0
    outcomes: dict[str, str] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    starts: list[Start] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    cores: set[str] = field(default_factory=set)

    def passed(self) -> set[str]:
        return {test for test, outcome in self.outcomes.items() if outcome == "passed"}

    def starts_per_test(self, server: str) -> Counter[str]:
        """How often `server` was started in each test, in all processes together."""
        return Counter(start.test for start in self.starts if start.server == server)


def command(python: Path, tree: Path, scratch: Path, tests: Sequence[str], test_seconds: float) -> list[str]:
    """The pytest command for the suite in `tree`, or for the node ids `tests` of it."""
    return [
        str(python),
        *("-m", "pytest", "-v", "-rA"),
        *("--rootdir", str(tree), "-c", str(tree / "pyproject.toml")),
        # Theirs is ["src", "tests"]; without src it is the installed ezmsg that is tested.
        *("-o", "pythonpath=tests"),
        *("-p", "suite_report", "-p", "no:cacheprovider", "--continue-on-collection-errors"),
        # Measuring is not what this is for: the benchmarked functions run once, as tests.
        "--benchmark-disable",
        *("--timeout", str(test_seconds)),
        # Nested runs must not tidy away the temporary folders of the run that they are part of.
        *("--basetemp", str(scratch / "tmp")),
        *(tests or ("tests",)),
    ]


def environment(scratch: Path, server: str) -> dict[str, str]:
    """This process's environment without what would steer ezmsg or the nested pytest, and with the swap."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("EZMSG_", "PYTEST_"))}
    env["PYTHONPATH"] = os.pathsep.join([str(SWAP_FOLDER), *filter(None, [env.get("PYTHONPATH")])])
    env["EZMSG_LEDGER_SUITE_LOG"] = str(scratch / "starts.jsonl")
    env["EZMSG_LEDGER_SUITE_RESULTS"] = str(scratch / "results.jsonl")
    if server != STOCK:
        env["EZMSG_LEDGER_SUITE_SWAP"] = server
    return env


def run(
    tree: Path,
    scratch: Path,
    server: str,
    tests: Sequence[str] = (),
    test_seconds: float = TEST_SECONDS_MAX,
    python: Path = Path(sys.executable),
) -> SuiteRun:
    """Runs the suite in `tree` (or only `tests`) with `server`; `scratch` is a new folder for logs and output.

    `python` is the interpreter of an environment that has the ezmsg of that suite, and us.

    Never raises for what the tests do: failures, a crash of the interpreter and the time limit are all results.
    Raises RuntimeError when a server listens at ezmsg's default address.
    """
    refuse_bystander()
    scratch.mkdir(parents=True)
    began = time.monotonic()
    printed = scratch / "output.txt"
    with printed.open("wb") as output:
        pytest = subprocess.Popen(
            command(python, tree, scratch, tests, test_seconds),
            cwd=tree,
            env=environment(scratch, server),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        trouble = ""
        try:
            # 0: all passed, 1: some failed.
            if (returned := pytest.wait(RUN_SECONDS_MAX)) not in (0, 1):
                trouble = TROUBLE.get(returned, f"pytest ended with {returned}")
        except subprocess.TimeoutExpired:
            trouble = f"stopped after {RUN_SECONDS_MAX} s"
        finally:
            end(pytest)
    result = read(scratch, server)
    result.pid, result.took = pytest.pid, time.monotonic() - began
    if trouble:
        result.errors.append(f"{trouble}, see {printed}:\n{tail(printed)}")
    return result


def refuse_bystander() -> None:
    with socket.socket() as probe:
        if probe.connect_ex(DEFAULT_ADDRESS) == 0:
            raise RuntimeError(
                f"a server listens at {DEFAULT_ADDRESS}, and ezmsg's tests would use it: stop it and run again"
            )


def end(pytest: subprocess.Popen[bytes]) -> None:
    """Ends what is left of a run: usually nothing, else pytest and the children of tests that hung or failed."""
    left = []
    if pytest.poll() is None:
        # Looked up while their parent lives; some have a process group of their own.
        left = psutil.Process(pytest.pid).children(recursive=True)
        pytest.kill()
    for child in left:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    if hasattr(os, "killpg"):
        # Children whose parent is gone. No such group is the usual case; macOS refuses when only the dead are in it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pytest.pid, signal.SIGKILL)
    pytest.wait()


def read(scratch: Path, server: str) -> SuiteRun:
    """What the plugin and the import hook wrote during a run."""
    result = SuiteRun(server, scratch / "output.txt")
    phases: dict[str, dict[str, str]] = {}
    for line in lines(scratch / "results.jsonl"):
        if "core" in line:
            # None when no test of the run imported ezmsg.core.
            result.cores.update(filter(None, [line["core"]]))
            continue
        test, phase = line["test"], line["phase"]
        if phase == "collect":
            result.errors.append(f"{test} could not be collected:\n{line['output']}")
            continue
        phases.setdefault(test, {})[phase] = line["outcome"]
        result.seconds[test] += line["seconds"]
        if line["output"]:
            result.output[test] = result.output.get(test, "") + f"({phase}) {line['output']}\n"
    result.outcomes = {test: outcome(of) for test, of in phases.items()}
    for line in lines(scratch / "starts.jsonl"):
        name = f"{line['module']}:{line['class']}"
        result.starts.append(Start(name, line["pid"], line["test"], line["core"]))
        result.cores.add(str(Path(line["core"]).with_name("__init__.py")))
    return result


def outcome(phases: dict[str, str]) -> str:
    """One word for a test's phases; unfinished when the run ended before the test did."""
    for word in ("failed", "skipped"):
        if word in phases.values():
            return word
    return "passed" if "teardown" in phases else "unfinished"


def lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of `path`, none when nobody wrote it; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def tail(path: Path, count: int = 40) -> str:
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-count:])
