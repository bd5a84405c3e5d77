"""What ``run`` and ``serve`` are given and cannot use: an exit code, what is wrong, where, and what to do next.

All command lines are started beside each other, before the first test looks at what became of its own.
"""

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ezmsg.core.graphserver import GraphServer

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark


class Case(NamedTuple):
    """``words``: of the command line; ``{names}`` are what the bench has. ``says`` and ``hint`` are in the answer."""

    words: str
    code: int
    says: str
    hint: str
    address: str | None = None


FREE = "-a 127.0.0.1:0"

SCRIPTS = [
    Case("run nosuch.py", 2, "there is no script nosuch.py", "path of a Python script"),
    Case("run scrpt.py", 2, "there is no script scrpt.py", "Did you mean script.py?"),
    Case("run a_folder", 2, "a_folder is a folder", "path of a Python script"),
    Case("run", 2, "missing argument", "ezmsg-ledger run --help"),
    Case("run --durability strong script.py", 2, "'strong' is not one of", "ezmsg-ledger run --help"),
    Case("run --nosuch script.py", 2, "--nosuch", "ezmsg-ledger run --help"),
    Case("serve --allow 10.0.0.5/8", 2, "'10.0.0.5/8' is an address within a network", "network is 10.0.0.0/8"),
    Case("serve --allow fe80::/10", 2, "--allow: 'fe80::/10' is IPv6", "192.168.1.0/24"),
    Case("serve --metrics 99999", 2, "invalid value for '--metrics'", "ezmsg-ledger serve --help"),
    Case("serve new.ledger -a 127.0.0.1:0 --metrics {taken}", 2, "metrics: cannot listen on {other}", "another port"),
    Case("serve --nosuch", 2, "--nosuch", "ezmsg-ledger serve --help"),
]

ADDRESSES = [
    Case("-a nonsense", 2, "'nonsense' is not an address", "such as 127.0.0.1:25978"),
    Case("-a {ezmsg}", 2, "{ezmsg}: a graph server of ezmsg", "`ezmsg shutdown --address {ezmsg}`"),
    Case(
        "", 2, "'half' is not an address: host, colon, and a port from 0 to 65535 (the address of $EZMSG_", "", "half"
    ),
    Case("", 2, "is there already (the address of $EZMSG_GRAPHSERVER_ADDR)", "another address", "{ezmsg}"),
]

LEDGERS = [
    Case("held.ledger", 5, "held.ledger is being written by process {me}", "record to another file"),
    Case("damaged.ledger", 4, "damaged.ledger is damaged after seq 1 (offset ", "Keep the file as it is"),
    Case("notes.txt", 3, "notes.txt is not a ledger: it begins with 'subject 7'", "Name a file"),
    Case("newer.ledger", 3, "newer.ledger has format 9", "Upgrade ezmsg-ledger"),
    Case("a_folder", 3, "a_folder is a folder", "A ledger is one file"),
    Case("missing/x.ledger", 6, "missing/x.ledger", ""),
    Case("notes.txt/x.ledger", 6, "notes.txt/x.ledger", ""),
]
if os.geteuid() != 0:
    LEDGERS.append(Case("read_only/x.ledger", 6, "read_only/x.ledger", ""))
elif sys.platform.startswith("linux"):  # nobody is kept out by permissions, but nothing can be made there
    LEDGERS.append(Case("/proc/x.ledger", 6, "/proc/x.ledger", ""))

RUN_ONLY = [
    Case("-a 127.0.0.1:99999", 2, "'127.0.0.1:99999' is not an address", "Such as 127.0.0.1:25978"),
    Case("-a 203.0.113.1:0", 2, "203.0.113.1:0: this machine does not have that address", "127.0.0.1"),
    Case("-a {other}", 2, "{other}: another program has it", "another address; port 0 takes a free one"),
]

CASES = [
    *SCRIPTS,
    *(case._replace(words=f"run {case.words} -l new.ledger script.py") for case in (*ADDRESSES, *RUN_ONLY)),
    *(case._replace(words=f"serve new.ledger {case.words}") for case in ADDRESSES),
    *(case._replace(words=f"run {FREE} -l {case.words} script.py") for case in LEDGERS),
    *(case._replace(words=f"serve {FREE} {case.words}") for case in LEDGERS if case.code in (4, 5, 6)),
]


class Bench:
    """A folder with good and bad things in it, two ports that are taken, and the answers to all cases."""

    def __init__(self, desk: Any) -> None:
        folder = desk.folder
        (folder / "a_folder").mkdir()
        (folder / "read_only").mkdir(mode=0o500)
        (folder / "notes.txt").write_text("subject 7\nwas late\n")
        (folder / "script.py").write_text("open('it-ran', 'w')\n")
        good = folder / "good.ledger"
        for names in ("one", "two", "three"), ("four",):
            with Ledger.open(good) as ledger:
                for name in names:
                    ledger.append([Mark(name=name)])
        data = good.read_bytes()
        (folder / "newer.ledger").write_bytes(data.replace(b'"format":1', b'"format":9', 1))
        (folder / "damaged.ledger").write_bytes(data.replace(b'"two"', b'"twa"', 1))
        self.held = Ledger.open(folder / "held.ledger")
        self.server = GraphServer()
        self.server.start(("127.0.0.1", 0))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.names = {
            "ezmsg": str(self.server.address),
            "other": f"127.0.0.1:{self.socket.getsockname()[1]}",
            "taken": str(self.socket.getsockname()[1]),
            "me": str(os.getpid()),
        }
        self.before = _contents(folder)
        with ThreadPoolExecutor(3) as pool:
            self.answers = dict(zip(CASES, pool.map(lambda case: self._ask(desk, case), CASES), strict=True))
        self.after = _contents(folder)

    def _ask(self, desk: Any, case: Case) -> Any:
        variables = {} if case.address is None else {"EZMSG_GRAPHSERVER_ADDR": self.fill(case.address)}
        return desk.do("ezmsg-ledger", *self.fill(case.words).split(), **variables)

    def fill(self, text: str) -> str:
        """``text`` with what the names stand for."""
        return text.format(**self.names)

    def clear(self) -> None:
        """Let go of what it holds."""
        self.held.close()
        self.server.stop()
        self.socket.close()


def _contents(folder: Path) -> dict[str, str]:
    """Every file but lock files, with a digest of what is in it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def bench(new_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(new_desk(tmp_path_factory.mktemp("bench")))
    yield bench
    bench.clear()


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.words}{' ' if case.address else ''}{case.address or ''}"
)
def test_it_is_said_what_is_wrong_and_what_to_do(bench: Bench, case: Case) -> None:
    told = bench.answers[case]
    assert told.code == case.code, told.err
    assert told.out == ""
    assert told.err.startswith("ezmsg-ledger: ")
    assert bench.fill(case.says) in told.err
    assert bench.fill(case.hint).lower() in told.err.lower()
    assert len(told.err.splitlines()) <= 2  # what is wrong, and the hint: no traceback, no log
    assert "Errno" not in told.err


def test_nothing_was_changed_and_nothing_ran(bench: Bench) -> None:
    assert bench.after == bench.before
    assert "it-ran" not in bench.after
