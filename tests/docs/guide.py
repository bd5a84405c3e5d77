"""The recording that docs/guide.md speaks of, and the guide itself, made of it.

``python tests/docs/guide.py`` records anew, runs every command of the guide, and puts what they print into it.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.recorder.process import Recorder
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.demo import recording
from ezmsg.ledger.tools.demo.recording import GAINS, OWN, SHARED, Cast, Watch, _all_units, _closed, _connected, _gain_is

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
GUEST = Path(__file__).parent / "programs" / "guest.py"
SYSTEM = Path(recording.__file__).with_name("system.py")
ENDPOINTS = 14
"""Publishers, subscribers and channels of the system when all are open."""

BLOCK = re.compile(r"```console\n\$ (ezmsg-ledger .*)\n((?:.*\n)*?)```\n")


def record_guide(location: Path) -> None:
    """Record the guide's story: an ezmsg system in three processes, a guest, a visitor that is killed.

    A receipt, ``steady.receipt``, was taken of it before the guest came. The system's program lies beside it.
    """
    with Recorder(location) as recorder, Cast(recorder.address) as cast, Ledger.open(location, "r") as ledger:
        watch = Watch(ledger, cast)
        system = cast.start("system.py")
        watch.until(_is_steady(), "the system is up, and its gain where the tuner left it")
        ask(recorder.address, "mark", name="steady", note="gain as it should be", author="ada")
        receipt = printed(f"ezmsg-ledger receipt {location.name}", location.parent)
        location.with_name("steady.receipt").write_text(receipt, encoding="utf-8")
        shutil.copy(SYSTEM, location.parent)
        with _guest(recorder.address):
            ask(recorder.address, "mark", name="guest", note=None, author="ada")
        watch.until(_ended(), "the guest has left")
        visitor = cast.start("visitor.py", *SHARED, *OWN)
        watch.until(_connected(OWN), "the visitor connected")
        session = watch.last_owner
        cast.kill(visitor)
        watch.until(_closed(session), "the visitor's session was lost")
        cast.interrupt(system)


class _guest:
    """The guest, from when it has settled until it has left."""

    def __init__(self, address: str) -> None:
        environment = {**os.environ, "EZMSG_GRAPHSERVER_ADDR": address, "EZMSG_LOGLEVEL": "WARNING"}
        self._program = subprocess.Popen(
            [sys.executable, str(GUEST)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> None:
        assert self._program.stdout is not None
        said = self._program.stdout.readline()
        assert said == "settled\n", said

    def __exit__(self, *error: object) -> None:
        self._program.communicate(timeout=60)
        assert self._program.returncode == 0


def _is_steady() -> Callable[[Any], bool]:
    """All units run, all endpoints are open, and the last gain is reported."""
    has_units, has_gain = _all_units(), _gain_is(GAINS[-1])
    open_ = units = gain = 0

    def seen(event: Any) -> bool:
        nonlocal open_, units, gain
        open_ += isinstance(event, ev.PublisherOpened | ev.SubscriberOpened | ev.ChannelOpened)
        units |= has_units(event)
        gain |= has_gain(event)
        return bool(units and gain and open_ == ENDPOINTS)

    return seen


def _ended() -> Callable[[Any], bool]:
    return lambda event: isinstance(event, ev.SessionClosed)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The commands of the guide, each with what it is shown to print."""
    for match in BLOCK.finditer(text):
        yield match[1], match[2]


def printed(command: str, folder: Path) -> str:
    """What a command of the guide prints in the folder with the recording, seen from UTC: stdout, then stderr."""
    before = os.getcwd(), dict(os.environ)
    os.environ.update(TZ="UTC", NO_COLOR="1")
    os.environ.pop("EZMSG_LEDGER", None)
    os.chdir(folder)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    try:
        _settle_zone()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(shlex.split(command)[1:])
    finally:
        os.chdir(before[0])
        os.environ.clear()
        os.environ.update(before[1])
        _settle_zone()
    said = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]
    assert "Traceback" not in said[1], said[1]
    return "".join(said)


def _settle_zone() -> None:
    if hasattr(time, "tzset"):
        time.tzset()


def make() -> None:
    """Record the story, and put into the guide what its commands print."""
    with tempfile.TemporaryDirectory() as folder:
        record_guide(Path(folder) / "rig.ledger")
        text = GUIDE.read_text(encoding="utf-8")
        made = BLOCK.sub(lambda match: f"```console\n$ {match[1]}\n{printed(match[1], Path(folder))}```\n", text)
        GUIDE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    make()
