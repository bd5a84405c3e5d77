"""``ezmsg-ledger demo`` beside each release of ezmsg, and beside one that cannot pass messages between processes."""

from __future__ import annotations

from typing import Any

import pytest

from .suite.environments import BARE, COMING, STABLE, Environment

pytestmark = pytest.mark.environments

DEMO = ("-m", "ezmsg.ledger.tools.cli", "demo")


@pytest.mark.parametrize("side", [STABLE, COMING], ids=lambda side: side.ezmsg)
def test_what_is_recorded_is_what_was_done(desk: Any, side: Environment) -> None:
    told = desk.do(side.python(), *DEMO, desk.folder / "demo.ledger")
    assert told.code == 0, told.out + told.err
    assert "  Yes: edges, owners, processes, settings and the reason of the loss are all as they were." in told.out
    assert f"ezmsg {side.ezmsg}" in told.out


def test_without_numpy_it_says_at_once_what_is_missing(desk: Any) -> None:
    """ezmsg 3.10.0b5 without it starts all processes, and none ever hears another one."""
    told = desk.do(BARE.python(), *DEMO, desk.folder / "demo.ledger")
    assert told.code == 2
    assert told.err == (
        "ezmsg-ledger: ezmsg 3.10.0b5, with a system in several processes, needs numpy, which is not installed\n"
        "  hint: Install it: pip install 'ezmsg[axisarray]'\n"
    )
    assert list(desk.folder.iterdir()) == []
