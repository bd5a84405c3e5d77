"""What follows a recording: started beside it, told to end with it, and never in its way."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder import followers
from ezmsg.ledger.runtime.recorder.followers import Follower, Followers

FOLLOWER = """
import os, sys
what, folder, ledger = sys.argv[1:]
told = os.path.join(folder, "told")
with open(told + ".new", "w") as file:
    file.write(f"{os.getpid()} {ledger}")
os.rename(told + ".new", told)
if what == "fail":
    sys.exit(3)
if what == "stay":
    from ezmsg.ledger.lock.followed import wait_for_end
    wait_for_end(ledger)
while sys.stdin.buffer.read(1):
    pass
with open(os.path.join(folder, "ended"), "w"):
    pass
if what == "hang":
    import time
    time.sleep(100)
"""

PATIENCE_S = 30.0


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follower:
    (tmp_path / "a_follower.py").write_text(FOLLOWER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)  # a child writes to it: it has to be a file
    return Follower("the follower", "a_follower", "nobody is told", ("follow", str(tmp_path)))


def told(folder: Path) -> list[str]:
    """What the follower said of itself: its pid and its ledger."""
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "told").exists():
        assert time.monotonic() < deadline, "it was not started"
        time.sleep(0.01)
    return (folder / "told").read_text().split()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_is_started_on_the_ledger_and_ends_with_the_recording(follower: Follower, tmp_path: Path) -> None:
    with Followers([follower]) as running:
        running.start("x.ledger")
        pid, ledger = told(tmp_path)
        assert ledger == "x.ledger"
    assert (tmp_path / "ended").exists()
    assert not alive(int(pid))


@pytest.mark.skipif(sys.platform == "win32", reason="no niceness there")
def test_it_gives_way(follower: Follower, tmp_path: Path) -> None:
    with Followers([follower._replace(nice=7)]) as running:
        running.start("x.ledger")
        pid = int(told(tmp_path)[0])
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.nice(0) + 7)


def test_one_that_does_not_end_is_killed_in_time(
    follower: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "END_TIMEOUT_S", 0.3)
    hangs = follower._replace(arguments=("hang", str(tmp_path)))
    with Followers([hangs, hangs]) as running:
        running.start("x.ledger")
        pid = int(told(tmp_path)[0])
        running.end()
        begun = time.monotonic()
    assert time.monotonic() - begun < 5.0, "one limit for all of them"
    assert (tmp_path / "ended").exists(), "it was told before"
    assert not alive(pid)


def test_one_that_dies_is_said_once(
    follower: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = follower._replace(arguments=("fail", str(tmp_path)))
    with Followers([fails]) as running:
        running.start("x.ledger")
        told(tmp_path)
        said = ""
        deadline = time.monotonic() + PATIENCE_S
        while "\n" not in said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            said += capfd.readouterr().err
    said += capfd.readouterr().err
    assert said == "ezmsg-ledger: the follower has ended (exit code 3): recording goes on; nobody is told\n"


def test_one_that_ends_when_it_is_told_is_not_said(
    follower: Follower, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Followers([follower]) as running:
        running.start("x.ledger")
        told(tmp_path)
    assert capfd.readouterr().err == ""


def test_one_that_cannot_be_started_is_said(
    follower: Follower, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Followers([follower]) as running:
        running.start("x.ledger")
        running._running[0]._thread.join(PATIENCE_S)  # type: ignore[union-attr]
    assert capfd.readouterr().err.startswith("ezmsg-ledger: the follower could not be started (")


def test_a_short_recording_does_without_one_that_comes_later(follower: Follower, tmp_path: Path) -> None:
    with Followers([follower._replace(after_s=PATIENCE_S)]) as running:
        running.start("x.ledger")
    assert not (tmp_path / "told").exists()


def test_recordings_that_never_begin_need_none(follower: Follower, tmp_path: Path) -> None:
    with Followers([follower]):
        pass
    assert not (tmp_path / "told").exists()


PARENT = """
import sys, time
from ezmsg.ledger.runtime.recorder.followers import Follower, Followers
running = Followers([Follower("the follower", "a_follower", "", ("follow", sys.argv[1]))])
running.start("x.ledger")
print("started", flush=True)
time.sleep(100)
"""


def test_one_whose_recorder_is_killed_ends(follower: Follower, tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        told(tmp_path)
        parent.kill()
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "ended").exists():
            assert time.monotonic() < deadline, "it went on without its recorder"
            time.sleep(0.01)
    finally:
        parent.kill()
        parent.communicate()


STARTER = """
import sys, time
from ezmsg.ledger.runtime.recorder.followers import Follower, Followers
running = Followers([Follower("the follower", "a_follower", "", ("stay", sys.argv[1]))])
running.start(sys.argv[2])
time.sleep(100)
"""


@pytest.mark.parametrize("segmented", [False, True])
def test_one_whose_command_is_killed_stays_with_the_recorder(
    segmented: bool, follower: Follower, tmp_path: Path
) -> None:
    ledger = Ledger.open(tmp_path / "x.ledger", segmented=segmented)  # as a recorder that is left alone
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path), ledger.location])
    try:
        pid = int(told(tmp_path)[0])
        starter.kill()
        starter.wait()
        for _ in range(20):  # each look of the follower finds that the ledger is written
            time.sleep(0.05)
            assert alive(pid)
        assert not (tmp_path / "ended").exists()
        ledger.close()
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "ended").exists():
            assert time.monotonic() < deadline, "it went on after the recorder"
            time.sleep(0.01)
    finally:
        starter.kill()
        starter.wait()
        ledger.close()


def test_one_that_is_told_ends_though_the_ledger_is_still_open(follower: Follower, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        with Followers([follower._replace(arguments=("stay", str(tmp_path)))]) as running:
            running.start(ledger.location)
            told(tmp_path)
        assert (tmp_path / "ended").exists()
