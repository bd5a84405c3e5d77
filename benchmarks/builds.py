"""Builds of this project to measure beside each other: the checkout as it is, and any commit of its history.

Each has an environment of its own below ``.cache/builds``, made from scratch with the versions of its dependencies that
this environment has: what differs is the code.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from time import perf_counter

from benchmarks.harness import say

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".cache" / "builds"
OURS = "ezmsg-ledger"


@dataclass(frozen=True)
class Took:
    """What a command took, in seconds: ``wall`` from its start to its end; ``processor``, its children's too."""

    wall: float
    processor: float
    out: str


@dataclass(frozen=True)
class Build:
    """One build: its name for people, and its environment."""

    name: str
    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def command(self) -> str:
        """The path of ``ezmsg-ledger``."""
        return str(self.folder / "bin" / OURS)

    def run(self, *arguments: str | Path, cwd: Path, variables: dict[str, str] | None = None) -> Took:
        """Run a command to its end. Raises RuntimeError when it fails."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | (variables or {})
        start = perf_counter()
        process = subprocess.Popen(
            [str(each) for each in arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            out = process.stdout.read()
            err = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            wall = perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments[0]} ended with {process.returncode}: {err}")
        return Took(wall, usage.ru_utime + usage.ru_stime, out)


def this() -> Build:
    """The checkout as it is, also what is not committed."""
    names = _git("ls-files", "-co", "--exclude-standard", "-z").split("\0")
    found = [name for name in names if name and (ROOT / name).is_file() and not name.startswith(("tests/", "docs/"))]
    digest = sha256()
    for name in sorted(found):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())

    def fill(source: Path) -> None:
        for name in found:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)

    return _made("this", digest.hexdigest()[:12], fill)


def of(revision: str) -> Build:
    """A commit of the checkout's history. Raises ValueError when there is none of that name, or no git."""
    try:
        commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except subprocess.CalledProcessError as error:
        raise ValueError(f"{revision} names no commit of this checkout") from error

    def fill(source: Path) -> None:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)

    return _made(commit[:12], commit[:12], fill)


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        raise ValueError("git is not installed, and it knows the earlier builds: apt-get install git") from error


def _made(name: str, key: str, fill: Callable[[Path], None]) -> Build:
    build = Build(name, KEPT / f"{key}-{sys.version_info.major}.{sys.version_info.minor}")
    if not (build.folder / ".made").exists():
        say(f"making the environment of {name}")
        source = build.folder / "source"
        shutil.rmtree(build.folder, ignore_errors=True)
        source.mkdir(parents=True)
        fill(source)
        venv.create(build.folder, with_pip=True)
        same = build.folder / "constraints.txt"
        same.write_text(
            "".join(f"{each.name}=={each.version}\n" for each in distributions() if each.name.lower() != OURS)
        )
        pip = [build.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--constraint", same, source], check=True)
        shutil.rmtree(source)
        (build.folder / ".made").touch()
    return build
