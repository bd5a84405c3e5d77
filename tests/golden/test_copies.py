"""Ledgers that an earlier version made of the golden ones: they read as they did, and still come from these."""

import json
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.copies.descent import check_descent
from ezmsg.ledger.projections.graph.replay import beginning, state_at

HERE = Path(__file__).parent
CUTS = sorted((HERE / "copies").glob("*-to-*.ledger"))
"""Made once, by ``cut``, from the golden ledger that their names begin with."""


@pytest.mark.parametrize("path", CUTS, ids=lambda path: path.stem)
def test_a_cut_reads_as_it_did(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert sha256(path.read_bytes()).hexdigest() == expected["sha256"]
    with Ledger.open(path, "r") as ledger:
        found = ledger.verify()
        assert (found.sound, found.sealed, found.events) == (True, True, expected["events"])
        assert ledger.first == expected["first"]
        [origin] = ledger.origins
        assert json.loads(msgspec.json.encode(msgspec.structs.asdict(origin))) == expected["origin"]
        assert beginning(ledger).digest(allow_unknown=True) == expected["beginning"]
        assert state_at(ledger).digest(allow_unknown=True) == expected["digest"]
        with Ledger.open(HERE / f"{path.stem.split('-')[0]}.ledger", "r") as original:
            descent = check_descent(ledger, original)
            assert (descent.events, descent.state) == (expected["events"], True)


def test_there_is_one() -> None:
    assert CUTS
