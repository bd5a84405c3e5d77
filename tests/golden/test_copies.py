"""Ledgers that an earlier version made of the golden ones: they read as they did, and still come from these."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.copies.descent import check_descent
from ezmsg.ledger.projections.copies.digests import Salt
from ezmsg.ledger.projections.copies.redact import compare_redacted
from ezmsg.ledger.projections.graph.replay import beginning, state_at
from ezmsg.ledger.structural import CUT, REDACTED, SERVED

HERE = Path(__file__).parent
COPIES = sorted((HERE / "copies").glob("*.ledger"))
"""Made once, by ``cut``, ``redact`` and ``serve --from``, of the golden ledger that the file beside each names."""

SALT = Salt(bytes(range(32)))
"""The salt of the redacted one: no secret."""


@pytest.fixture(params=COPIES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def expected(path: Path) -> dict[str, Any]:
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_it_reads_as_it_did(path: Path, expected: dict[str, Any]) -> None:
    assert sha256(path.read_bytes()).hexdigest() == expected["sha256"]
    with Ledger.open(path, "r") as ledger:
        found = ledger.verify()
        assert (found.sound, found.sealed, found.events) == (True, True, expected["events"])
        assert ledger.first == expected["first"]
        origins = [msgspec.structs.asdict(origin) for origin in ledger.origins]
        assert json.loads(msgspec.json.encode(origins)) == expected["origins"]
        assert beginning(ledger).digest(allow_unknown=True) == expected["beginning"]
        assert state_at(ledger).digest(allow_unknown=True) == expected["digest"]


def test_it_comes_from_the_golden_one(path: Path, expected: dict[str, Any]) -> None:
    with Ledger.open(path, "r") as ledger, Ledger.open(HERE / f"{expected['of']}.ledger", "r") as original:
        if ledger.origins[-1].made == CUT:
            descent = check_descent(ledger, original)
            assert (descent.events, descent.state) == (expected["events"], True)
        elif ledger.origins[-1].made == SERVED:
            descent = check_descent(ledger, original)
            assert (descent.events, descent.added) == (0, expected["events"])
        else:
            compared = compare_redacted(ledger, original, SALT)
            assert (compared.events, compared.salted) == (expected["events"], True)
            assert compared.changed > 0


def test_there_is_one_of_each_kind() -> None:
    made = set()
    for path in COPIES:
        with Ledger.open(path, "r") as ledger:
            made.add(ledger.origins[-1].made)
    assert made == {CUT, REDACTED, SERVED}
