"""Real ezmsg programs, started as a person starts them, and what a ledger says of them.

Nothing here stands in for anything: the command is the installed one, the programs are processes, the signals come from
outside. Whatever is waited for has a deadline, and no program outlives its test.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import GraphState, fold

PROGRAMS = Path(__file__).parent / "pipelines" / "programs"
CONSOLE = Path(sys.executable).with_name("ezmsg-ledger")
COMMAND = [str(CONSOLE)] if CONSOLE.exists() else [sys.executable, "-m", "ezmsg.ledger.tools.cli"]
FREE = "127.0.0.1:0"

# How long an example takes tells how busy the machine is, and nothing about what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """What a test logged may hold names that are no text; several processes can only exchange what is one."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say whole how a test failed that passed when it was run again (``--reruns``): it is still a fault to mend."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed once: {report.nodeid}", sep="_")
        report.toterminal(terminalreporter._tw)


LIMITS_S = {"environments": 1500, "ezmsg_suite": 1500, "long": 3600}
"""How long a test with such a marker may take, set-up included."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        limits = [limit for marker, limit in LIMITS_S.items() if item.get_closest_marker(marker)]
        if limits and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(max(limits)))


PATIENCE_S = 40.0
"""For any one thing that is waited for: a machine that is busy with something else takes its time."""


@dataclass
class Told:
    """A program that has ended: its exit code and all that it said."""

    code: int
    out: str
    err: str

    @property
    def took_ctrl_c(self) -> bool:
        """Whether a pipeline ended as ezmsg ends one at Ctrl-C: with 0, or by the signal where it says why.

        On a busy machine ezmsg 3.10 can come to the end of its event loop before the thread that cancels its tasks has
        run: it cancels them itself, calls that not clean, and takes the signal. That is so without a recorder, too. 3.9
        can close the channel of a publisher before the task that publishes is cancelled, which then fails.
        """
        unclean = any(
            words in self.out + self.err for words in ("Shutdown was NOT clean", "cannot put_local without access")
        )
        return self.code == 0 or (unclean and self.code in (130, -signal.SIGINT))


class Program:
    """A program that runs, in a process group of its own; what it says is read line by line as it comes."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], stdin: str | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._said: queue.Queue[tuple[str, str]] = queue.Queue()
        self._kept: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            threading.Thread(target=self._read, args=("out", self.process.stdout), daemon=True),
            threading.Thread(target=self._read, args=("err", self.process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        if self.process.stdin is not None:
            self.process.stdin.write(stdin or "")
            self.process.stdin.close()

    def _read(self, name: str, stream: Any) -> None:
        for line in stream:
            self._kept[name].append(line)
            self._said.put((name, line))
        stream.close()

    def until(self, pattern: str) -> "re.Match[str]":
        """Wait for the next line, of either stream, in which ``pattern`` is found."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                _, line = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never said {pattern!r}, but: {self._kept}") from None
            if (match := re.search(pattern, line)) is not None:
                return match

    def interrupt(self) -> None:
        """Ctrl-C: the terminal sends it to every process of the group."""
        os.killpg(self.pid, signal.SIGINT)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long at most for everybody who holds its output to end; whether they have."""
        deadline = time.monotonic() + seconds
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))
        return not any(reader.is_alive() for reader in self._readers)

    def end(self) -> Told:
        """Wait for its end, and for that of everybody who holds its output."""
        assert self.ends_within(PATIENCE_S), f"it goes on, or somebody still holds its output: {self._kept}"
        code = self.process.wait(PATIENCE_S)
        return Told(code, "".join(self._kept["out"]), "".join(self._kept["err"]))

    def clear(self) -> None:
        """End it and its group, if that was not waited for: only until then is the number surely still its own."""
        if self.process.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


@dataclass
class Account:
    """What a ledger says, in names: two recordings of the same thing give the same account.

    ``runs``: the reason of each end. ``sessions``: label and reason of the end. ``edges``: who ever held each edge.
    ``processes``: units and reason of the end. ``settings``: reported updates in order. ``endpoints``: kind and topic
    of each. ``pids``: of the processes that registered.
    """

    runs: list[str] = field(default_factory=list)
    sessions: list[tuple[str | None, str]] = field(default_factory=list)
    edges: dict[tuple[str, str], list[str | None]] = field(default_factory=dict)
    processes: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    settings: list[tuple[str, Any]] = field(default_factory=list)
    endpoints: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    pids: set[int | None] = field(default_factory=set)
    torn: set[str] = field(default_factory=set)


def account(path: Path, sealed: bool = True) -> Account:
    """Check that the ledger is whole, and replays to a state of which only persistent edges are left; tell of it."""
    with Ledger.open(path, "r") as ledger:
        report = ledger.verify()
        assert report.sound, report.problems
        assert report.sealed == sealed
        events: list[Any] = list(ledger.entries())
        state = fold(ledger.read(), GraphState())
    state.check()
    again = GraphState()
    for event in events:
        again.apply(event)
    for digest, once_more in ((state.digest(), again.digest()), (state.shape_digest(), again.shape_digest())):
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert digest == once_more
    if sealed:
        assert {} == state.sessions == state.processes == state.endpoints == state.runs
        assert all(owners == {None} for _, owners in state.ownership.edges())
    return _told(events)


def _told(events: list[Any]) -> Account:
    said = Account()
    labels: dict[int | None, str | None] = {None: "persistent"}
    units: dict[int, tuple[str, ...]] = {}
    topics: dict[int, str] = {}
    for event in events:
        match event:
            case ev.ServerStopped():
                said.runs.append(event.reason)
            case ev.ServerLost():
                said.runs.append("lost")
            case ev.MetadataRegistered():
                labels[event.session] = event.metadata["root_name"] or next(iter(event.metadata["components"]))
            case ev.ProcessRegistered():
                units[event.process] = event.units
                said.pids.add(event.pid)
            case ev.SettingsUpdated():
                said.settings.append((event.component, event.value.structured_value))
            case ev.PublisherOpened() | ev.SubscriberOpened():
                topics[event.seq] = event.topic
                said.endpoints.append((str(type(event).__struct_config__.tag).split(".")[0], event.topic))
            case ev.ChannelOpened():
                said.endpoints.append(("channel", topics[event.publisher]))
            case ev.EndpointClosed() if event.reason != "closed":
                said.torn.add(event.reason)
            case ev.CommandRejected():
                said.refused.append(f"{event.command}: {event.reason}")
    # a session is labelled after it has connected, so that owners are named only now
    for event in events:
        match event:
            case ev.SessionClosed():
                said.sessions.append((labels.get(event.session), event.reason))
            case ev.ProcessClosed():
                said.processes.append((units.get(event.process, ()), event.reason))
            case ev.EdgeConnected():
                said.edges.setdefault((event.from_topic, event.to_topic), []).append(labels.get(event.owner))
    said.processes.sort()
    said.endpoints.sort()
    return said


class Desk:
    """A person's place of work: a folder, an environment without a word of ezmsg's, and programs that it starts."""

    free = FREE

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []

    def environment(self, **more: str) -> dict[str, str]:
        """That of this process without ezmsg's variables, without colour, and without the log of ezmsg.

        ezmsg 3.10 logs what is no warning on standard output, between what a program says there.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EZMSG")}
        return {**kept, "EZMSG_LOGLEVEL": "WARNING", "NO_COLOR": "1", "COLUMNS": "200", **more}

    def start(
        self, *command: str | Path, cwd: Path | None = None, stdin: str | None = None, **variables: str
    ) -> Program:
        """Start a command line; ``ezmsg-ledger`` is ours and ``python`` this one."""
        program = Program(self.command(*command), cwd or self.folder, self.environment(**variables), stdin)
        self.programs.append(program)
        return program

    def command(self, *command: str | Path) -> list[str]:
        """A command line with its program named in full."""
        known = {"ezmsg-ledger": COMMAND, "python": [sys.executable]}
        words = [str(word) for word in command]
        return [*known.get(words[0], [words[0]]), *words[1:]]

    def do(self, *command: str | Path, **options: Any) -> Told:
        """Start a command line and wait for its end."""
        return self.start(*command, **options).end()

    def program(self, name: str) -> Path:
        """The path of a program of tests/pipelines/programs."""
        return PROGRAMS / name

    def follow(self, path: Path, wanted: Callable[[Any], bool], after: int = 0) -> Any:
        """The first event of a ledger, which may not be there yet, for which ``wanted`` is true."""
        deadline = time.monotonic() + PATIENCE_S
        self.poll(path.exists, f"{path} comes into being")
        with Ledger.open(path, "r") as ledger:
            for batch in ledger.tail(after, stop=lambda: time.monotonic() > deadline):
                for event in batch:
                    if wanted(event):
                        return event
        raise AssertionError(f"not in {path}: {wanted}")

    def poll(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait for what no event tells of."""
        deadline = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.01)

    def clear(self) -> None:
        """End what was started and still runs."""
        for program in self.programs:
            program.clear()
        self.programs.clear()

    account = staticmethod(account)


@pytest.fixture
def desk(new_desk: Callable[[Path], Desk], tmp_path: Path) -> Iterator[Desk]:
    desk = new_desk(tmp_path)
    yield desk
    desk.clear()


@pytest.fixture(scope="session", autouse=True)
def heeded_signals() -> Iterator[None]:
    """What is ignored here, as in a background job or under nohup, all programs would ignore; what is handled, not."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda number, frame: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def new_desk() -> Iterator[Callable[[Path], Desk]]:
    """Makes desks for what several tests look at."""
    desks: list[Desk] = []

    def make(folder: Path) -> Desk:
        desks.append(Desk(folder))
        return desks[-1]

    yield make
    for desk in desks:
        desk.clear()
