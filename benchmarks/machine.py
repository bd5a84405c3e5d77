"""What the figures were taken on."""

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PEERS = ("ezmsg", "msgspec", "networkx")

BUSY = 0.5
"""Load per core from which on others take part of the machine, and figures are not for keeping."""


def describe(folder: Path) -> list[tuple[str, str]]:
    """(name, value) of what matters to the figures; ``folder`` is where the benchmarks' files are written."""
    return [
        ("processor", _processor()),
        ("cores", str(os.cpu_count())),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("file system", file_system(folder)),
        ("SQLite", sqlite3.sqlite_version),
        *((name, _version(name)) for name in PEERS),
    ]


def load() -> float | None:
    """The load average of the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def busy() -> float | None:
    """The load average of the last minute when it is too high to measure; None when all is quiet, or unknown."""
    found = load()
    return found if found is not None and found > BUSY * (os.cpu_count() or 1) else None


def file_system(folder: Path) -> str:
    """The type of the file system that holds ``folder``, such as ext4; ``unknown`` where the system does not say."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return "unknown"
    found: tuple[int, str] = (0, "unknown")
    for line in mounts:
        _, point, kind, *_ = line.split()
        place = Path(point.replace("\\040", " "))
        if folder.resolve().is_relative_to(place):
            found = max(found, (len(place.parts), kind), key=lambda item: item[0])
    return found[1]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
