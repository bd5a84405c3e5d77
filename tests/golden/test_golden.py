"""Ledgers of earlier versions, byte for byte: they read as they did, and fold to what they folded to."""

import json
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import UnknownEvents
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import GraphSnapshot
from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.diff import diff
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.values import freeze

HERE = Path(__file__).parent
GOLDEN = sorted(path.stem for path in HERE.glob("*.ledger"))


class Golden:
    """A golden ledger and what is expected of it."""

    def __init__(self, name: str) -> None:
        self.path = HERE / f"{name}.ledger"
        self.expected: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
        with Ledger.open(self.path, "r") as ledger:
            self.verified = ledger.verify()
            self.events: list[Any] = list(ledger.entries())


@pytest.fixture(scope="module", params=GOLDEN)
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.param)


def as_json(snapshot: GraphSnapshot) -> dict[str, Any]:
    """A snapshot in lists where order counts, metadata by its form."""
    return {
        "graph": [list(item) for item in snapshot.graph.items()],
        "edge_owners": [[list(edge), owners] for edge, owners in snapshot.edge_owners.items()],
        "sessions": [
            [uuid, [list(edge) for edge in session.edges], freeze(session.metadata)]
            for uuid, session in snapshot.sessions.items()
        ],
        "processes": [msgspec.to_builtins(process) for process in snapshot.processes.values()],
    }


def test_there_is_one() -> None:
    assert {"v1", "rules-2"} <= set(GOLDEN)


def test_the_file_is_the_one_that_was_made(golden: Golden) -> None:
    assert sha256(golden.path.read_bytes()).hexdigest() == golden.expected["sha256"]


def test_it_verifies(golden: Golden) -> None:
    assert golden.verified.sound, golden.verified.problems
    assert golden.verified.sealed
    assert golden.verified.sha256 == golden.expected["sha256"]
    assert len(golden.events) == golden.verified.events == golden.expected["events"]


def test_an_event_is_still_written_as_it_was(golden: Golden) -> None:
    lines = [line for line in golden.path.read_bytes().splitlines() if not line.startswith(b'{"type":"ledger.')]
    assert [codec.encode([event]) for event in golden.events] == [line + b"\n" for line in lines]


def test_it_folds_to_the_same_state(golden: Golden) -> None:
    state = fold([golden.events], GraphState())
    state.check()
    assert state.seq == golden.expected["head"]
    assert state.digest(allow_unknown=True) == golden.expected["digest"]
    assert state.shape_digest() == golden.expected["shape"]


def test_it_folds_to_the_same_states_on_the_way(golden: Golden) -> None:
    state = GraphState()
    digests = {}
    for event in golden.events:
        state.apply(event)
        state.check()
        if str(event.seq) in golden.expected["digests"]:
            digests[str(event.seq)] = state.digest(allow_unknown=True)
    assert digests == golden.expected["digests"]
    assert len(digests) >= 10


def test_it_gives_the_same_feeds(golden: Golden) -> None:
    entries = [{"entry": type(entry).__name__, **msgspec.to_builtins(entry)} for entry in feed([golden.events])]
    assert entries == golden.expected["feed"]


def test_it_gives_the_same_snapshot(golden: Golden) -> None:
    found = as_json(fold([golden.events], GraphState()).snapshot())
    assert json.loads(json.dumps(found)) == golden.expected["snapshot"]
    # equality of dicts is blind to order
    assert json.dumps(found) == json.dumps(golden.expected["snapshot"])


def test_an_unknown_event_makes_results_doubtful(golden: Golden) -> None:
    assert any(type(event) is ev.UnknownEvent for event in golden.events)
    with pytest.raises(UnknownEvents):
        fold([golden.events], GraphState()).digest()


@given(cuts=st.sets(st.integers(0, 200)))
def test_batches_do_not_matter(golden: Golden, cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(golden.events)]
    parts = [golden.events[a:b] for a, b in pairwise(places)]
    assert fold(parts, GraphState()).digest(allow_unknown=True) == golden.expected["digest"]


def test_differences_lead_through_it(golden: Golden) -> None:
    states = [
        fold([[event for event in golden.events if event.seq <= int(seq)]], GraphState())
        for seq in golden.expected["digests"]
    ]
    for before, after in pairwise(states):
        assert diff(before, after).apply(before).digest(allow_unknown=True) == after.digest(allow_unknown=True)
        assert diff(after, before).apply(after).digest(allow_unknown=True) == before.digest(allow_unknown=True)


def test_every_type_and_every_field_is_in_one_of_them() -> None:
    seen: dict[str, set[str]] = {}
    for name in GOLDEN:
        for event in Golden(name).events:
            fields = json.loads(codec.encode([event])).keys()
            seen.setdefault(ev.type_of(event), set()).update(fields)
    for tag, cls in ev.EVENT_TYPES.items():
        written = set(cls.__struct_fields__)
        assert written <= seen.get(tag, set()), f"{tag}: add a golden ledger that has {written - seen.get(tag, set())}"
