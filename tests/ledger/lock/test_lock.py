"""One writer: in this process, in another one, and in a forked child."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import ForkedWriter, LedgerLocked
from ezmsg.ledger.events import Mark
from ezmsg.ledger.lock import lock
from ezmsg.ledger.lock.lock import is_written, network_file_system
from ezmsg.ledger.storage.disk import OS_DISK, Disk

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

WRITER = """
import sys
from ezmsg.ledger import Ledger, events
with Ledger.open(sys.argv[1], durability="none") as ledger:
    ledger.append([events.Mark(name="theirs")])
    print("open", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the ledger until it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        out: IO[str] = process.stdout  # type: ignore[assignment]
        assert out.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_writer_in_this_process(path: Path) -> None:
    with Ledger.open(path) as first:
        with pytest.raises(LedgerLocked) as info:
            Ledger.open(path)
        assert f"{path} is being written by process {os.getpid()} on " in str(info.value)
        assert "(this process)" in str(info.value)
        assert info.value.holder is not None
        assert info.value.holder.pid == os.getpid()
        assert abs(info.value.holder.start - time.time_ns()) < 60e9
        first.append([Mark(name="still mine")])
    with Ledger.open(path) as again:
        assert again.head == 1


def test_a_second_name_is_the_same_ledger(path: Path) -> None:
    with Ledger.open(path):
        link = path.with_name("link")
        link.symlink_to(path)
        with pytest.raises(LedgerLocked):
            Ledger.open(link)


def test_a_writer_in_another_process(path: Path) -> None:
    with other_process(path) as process:
        with pytest.raises(LedgerLocked) as info:
            Ledger.open(path)
        assert f"process {process.pid} on " in str(info.value)
        assert "this process" not in str(info.value)
        with Ledger.open(path, "r") as reader:
            assert reader.head == 1
            assert reader.being_written
        process.communicate("\n", timeout=10)
        assert not is_written(OS_DISK, str(path), str(path))
    Ledger.open(path).close()


def test_a_killed_writer_frees_the_lock_and_tells_when_it_lived(path: Path) -> None:
    begin = time.time_ns()
    with other_process(path) as process:
        process.kill()
        process.wait()
        assert not is_written(OS_DISK, str(path), str(path)), "its name is still in the lock file, but it is gone"
        with Ledger.open(path) as ledger:
            assert ledger.previous_writer_seen is not None
            assert begin - 1e9 < ledger.previous_writer_seen < time.time_ns()
            assert ledger.head == 1


def test_the_first_writer_has_none_before_it(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.previous_writer_seen is None
    with Ledger.open(path) as ledger:
        assert ledger.previous_writer_seen is not None


def test_last_life_is_the_time_of_the_lock_file(path: Path) -> None:
    lock = Path(f"{path}.lock")
    Ledger.open(path).close()
    os.utime(lock, ns=(5, 5_000_000_000))
    with Ledger.open(path) as ledger:
        assert ledger.previous_writer_seen == 5_000_000_000
        os.utime(lock, ns=(5, 5))
        ledger.append([Mark(name="x")])
        assert lock.stat().st_mtime_ns > 1e18, "renewed while it writes"
        os.utime(lock, ns=(5, 5))
        ledger.touch()
        assert lock.stat().st_mtime_ns > 1e18


def test_a_refused_writer_leaves_the_time_alone(path: Path) -> None:
    lock = Path(f"{path}.lock")
    with Ledger.open(path):
        os.utime(lock, ns=(5, 5))
        with pytest.raises(LedgerLocked):
            Ledger.open(path)
        assert lock.stat().st_mtime_ns == 5


def test_a_lock_file_that_somebody_removed(path: Path) -> None:
    """The file is locked as well: to delete the sidecar does not make room for a second writer."""
    with Ledger.open(path) as first:
        Path(f"{path}.lock").unlink()
        with pytest.raises(LedgerLocked, match="lock file was removed"):
            Ledger.open(path)
        first.append([Mark(name="x")])
    with Ledger.open(path) as ledger:
        assert ledger.verify().sound


def child_of_fork(do: Callable[[], None]) -> int:
    """Fork; ``do`` in the child; returns the child's exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_fork
@pytest.mark.parametrize("level", ["commit", "interval", "none"])
def test_a_forked_child_cannot_write(path: Path, level: str) -> None:
    with Ledger.open(path, durability=level) as ledger:  # type: ignore[arg-type]
        ledger.append([Mark(name="a")])
        size = path.stat().st_size

        def in_the_child() -> None:
            for call in (
                lambda: ledger.append([Mark(name="b")]),
                ledger.sync,
                lambda: ledger.wait_durable(1),
                lambda: list(ledger.read()),
                ledger.verify,
            ):
                with pytest.raises(ForkedWriter):
                    call()
            ledger.close()
            with pytest.raises(LedgerLocked):
                Ledger.open(path)
            with Ledger.open(path, "r") as reader:
                assert len(list(reader.entries())) == 1

        assert child_of_fork(in_the_child) == 0
        assert path.stat().st_size == size
        ledger.append([Mark(name="c")])
        ledger.check()


@needs_fork
def test_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    """The child outlives its parent, and yet the ledger can be opened: it closed what it inherited."""
    (read_end, write_end), (gate, gate_opener) = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            ledger = Ledger.open(path, durability="none")
            ledger.append([Mark(name="of the parent")])
            tail = ledger.tail()
            next(tail)  # has a handle of its own, which the child inherits
            if os.fork() == 0:
                os.close(gate_opener)
                os.write(write_end, str(os.getpid()).encode())
                os.read(gate, 1)  # until the test lets it go
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(parent, 0)
    child = int(os.read(read_end, 16))
    os.kill(child, 0)  # it lives
    with Ledger.open(path) as ledger:
        assert ledger.head == 1
    os.kill(child, 0)
    for end in (read_end, write_end, gate, gate_opener):
        os.close(end)


SLOW_CHILD = """
import os, sys, time
os.register_at_fork(after_in_child=lambda: time.sleep(0.3))  # before ours, as on a machine that is busy
from ezmsg.ledger import Ledger, events
ledger = Ledger.open(sys.argv[1], durability="none")
ledger.append([events.Mark(name="of the parent")])
if os.fork() == 0:
    sys.stdin.readline()
    os._exit(0)
os.kill(os.getpid(), 9)
"""


@needs_fork
@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "not waited for"])
def test_a_successor_waits_for_the_child_that_a_killed_writer_was_starting(path: Path, reaped: bool) -> None:
    """The child has the lock until it has closed what it inherited: nobody is refused because of that."""
    with subprocess.Popen([sys.executable, "-c", SLOW_CHILD, str(path)], stdin=subprocess.PIPE) as parent:
        os.waitid(os.P_PID, parent.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
        with Ledger.open(path) as ledger:
            assert ledger.head == 1


@needs_fork
def test_a_lock_that_outlives_its_writer_is_refused_in_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(lock, "LET_GO_S", 0.1)
    Ledger.open(path).close()
    with open(f"{path}.lock", "r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(LedgerLocked, match="is being written by another process"):
            Ledger.open(path)
        assert time.monotonic() - began >= 0.1


@needs_fork
def test_an_exit_of_a_forked_child_does_not_seal(path: Path) -> None:
    code = """
import os, sys
from ezmsg.ledger import Ledger, events
ledger = Ledger.open(sys.argv[1])
ledger.append([events.Mark(name="a")])
size = os.path.getsize(sys.argv[1])
child = os.fork()
if child == 0:
    sys.exit(0)  # runs what atexit and __del__ would do
assert os.waitpid(child, 0)[1] == 0
assert os.path.getsize(sys.argv[1]) == size
ledger.append([events.Mark(name="b")])
ledger.check()
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert Ledger.open(path, "r").verify().sealed


class Mounted(Disk):
    """A disk on which other file systems are mounted."""

    def mounts(self) -> str:
        return (
            "/dev/vda / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/vdb /data/local ext4 rw 0 0\n"
            "me@there: /home/me/far\\040away fuse.sshfs rw 0 0\n"
        )


def test_network_file_systems_are_told_by_the_mounts() -> None:
    assert network_file_system(Mounted(), "/data/x.ledger") == "nfs4"
    assert network_file_system(Mounted(), "/data/local/x.ledger") is None
    assert network_file_system(Mounted(), "/database/x.ledger") is None
    assert network_file_system(Mounted(), "/home/me/far away/x.ledger") == "fuse.sshfs"
    assert network_file_system(OS_DISK, "/x.ledger") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 512,
        b"\xff\xfe",
        b'{"pid":99999999999999999999,"host":"here","start":1}',
        b'{"pid":-1,"host":"here","start":1}',
        b'{"pid":1,"host":"here","start":99999999999999999999}',
        b'{"pid":1,"host":"here","start":-1}',
        b"[" * 5000,
    ],
    ids=repr,
)
def test_whatever_a_power_cut_left_in_the_lock_file(path: Path, content: bytes) -> None:
    Ledger.open(path).close()
    lock = Path(f"{path}.lock")
    lock.write_bytes(content.replace(b"here", socket.gethostname().encode()))
    assert not is_written(OS_DISK, str(path), str(path))
    with Ledger.open(path, "r") as reader:
        assert reader.verify().sound
    with Ledger.open(path) as ledger:
        assert ledger.being_written
        lock.write_bytes(content)
        with pytest.raises(LedgerLocked, match="another process"):
            Ledger.open(path)


def test_a_stale_lock_file_whose_number_is_somebody_elses_now(path: Path) -> None:
    """The name in it is for people: what counts is the lock, and that went with its holder."""
    Ledger.open(path).close()
    Path(f"{path}.lock").write_text(f'{{"pid":{os.getppid()},"host":"{socket.gethostname()}","start":1}}')
    with Ledger.open(path) as ledger:
        ledger.append([Mark(name="x")])
        with pytest.raises(LedgerLocked) as refused:
            Ledger.open(path)
        assert refused.value.holder is not None
        assert refused.value.holder.pid == os.getpid()
