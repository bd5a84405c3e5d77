"""Tests see the installed package, whose files are links to those here: one that is new needs a link first."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
ROOMS = {"ledger": ".", "projections": "projections", "runtime": "runtime", "tools": "tools"}


def pytest_configure(config: pytest.Config) -> None:
    """Stop before anything is imported when the links are older than the list of files."""
    links = [Path(entry, "ezmsg", "ledger") for entry in sys.path if "__editable__" in entry]
    if hasattr(config, "workerinput") or not links:
        return
    missing = [
        path.relative_to(ROOT).as_posix()
        for room, place in ROOMS.items()
        for path in (ROOT / room).rglob("*.py")
        if not (links[0] / place / path.relative_to(ROOT / room)).exists()
    ]
    if missing:
        raise pytest.UsageError(f"not installed yet: {', '.join(missing)}\nRun `make install` first.")
