"""What the packaging tests start from: the four rooms as they lie on disk."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stated here a second time, apart from setup.py, so that a room lost there is missed here.
ROOMS = {
    "ledger": "ezmsg.ledger",
    "projections": "ezmsg.ledger.projections",
    "runtime": "ezmsg.ledger.runtime",
    "tools": "ezmsg.ledger.tools",
}


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's folder."""
    return ROOT


@pytest.fixture(scope="session")
def sources() -> dict[str, bytes]:
    """Every file of the four rooms that is installed, by its path below the root (``/`` as separator), read once.

    The tree may be edited while the tests run; all of them see this one state of it.
    """
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*"))
        if path.is_file() and not _is_derived(path.relative_to(ROOT)) and not _is_built(path.relative_to(ROOT))
    }


@pytest.fixture(scope="session")
def installed_names(sources: dict[str, bytes]) -> dict[str, str]:
    """Where each source belongs in an installation: ``ledger/log.py`` -> ``ezmsg/ledger/log.py``."""
    return {source: _installed(source) for source in sources}


@pytest.fixture(scope="session")
def modules(installed_names: dict[str, str]) -> dict[str, str]:
    """The dotted name of every module in the rooms -> its source's path below the root."""
    return {
        installed.removesuffix(".py").removesuffix("/__init__").replace("/", "."): source
        for source, installed in installed_names.items()
        if source.endswith(".py")
    }


def _is_derived(path: Path) -> bool:
    """Whether a file is made by Python, an editor or the desktop, and is no source."""
    return path.suffix == ".pyc" or any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def _is_built(path: Path) -> bool:
    """Whether a file is a source of the debugger's page: what is installed is the bundle that was built of it."""
    return path.is_relative_to("tools/debugger/web")


def _installed(source: str) -> str:
    room, _, rest = source.partition("/")
    return f"{ROOMS[room].replace('.', '/')}/{rest}"
