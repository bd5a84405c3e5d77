"""Thousands of stories of a rig, a broker and a reader: a twentieth of them each time, all by ``make test-long``."""

from pathlib import Path

import pytest

from .world import play

SEEDS = 10_000
SHARE = 20


def test_a_twentieth_of_all_seeds(tmp_path: Path) -> None:
    for seed in range(0, SEEDS, SHARE):
        play(seed, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_all_seeds(tmp_path: Path) -> None:
    for seed in range(SEEDS):
        play(seed, tmp_path)
        (tmp_path / f"{seed}.ledger").unlink()
