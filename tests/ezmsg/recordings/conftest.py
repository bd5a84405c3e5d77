"""A recording of one rig in all three formats, and its copy with the ledger's tables."""

from __future__ import annotations

from typing import Any

import pytest

from .recorded import Recorded, record


@pytest.fixture(scope="session")
def fast(new_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Blocks of 20 ms, three seconds apart, in all three formats."""
    return record(new_desk(tmp_path_factory.mktemp("fast")), 50, 6, 3, "nwb", "lsl", "fif", "marked")


@pytest.fixture(scope="session")
def annotated(fast: Recorded) -> Any:
    """What ``annotate`` said of the NWB file."""
    return fast.ask("annotate", fast.folder / "rig.nwb", fast.ledger, "-o", fast.folder / "annotated.nwb")
