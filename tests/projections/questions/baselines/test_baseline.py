"""Baselines: equal for two runs of an unchanged program, and different by what was changed."""

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import NewerFormat
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.pickles import loads
from ezmsg.ledger.projections.questions.baselines.baseline import (
    MalformedBaseline,
    decode,
    encode,
    read,
    settings_entry,
    write,
)
from ezmsg.ledger.projections.questions.baselines.plain_form import plain_form, same_plain
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.projections.questions.value_comparison import alike

from .planted import Planted

DEMO = Path(__file__).resolve().parents[3] / "tools" / "documents" / "demo.ledger"

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, width=16) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.frozensets(st.integers(-2, 2) | st.text(max_size=2), max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def planted() -> Planted:
    with Ledger.open(DEMO, "r") as ledger:
        return Planted(ledger)


@given(values, values)
def test_forms_are_the_same_exactly_where_values_are_alike(a: Any, b: Any) -> None:
    one, other = loads(pickle.dumps(a)), loads(pickle.dumps(b))
    assert same_plain(plain_form(one), plain_form(other)) == alike(one, other)
    assert same_plain(plain_form(one), json.loads(json.dumps(plain_form(one))))


@dataclass
class Tuning:
    gain: float = 2.0
    window: Any = field(default_factory=lambda: np.arange(2000.0))
    labels: frozenset[str] = frozenset("abcdef")


def entry(tuning: Tuning, shown: Any) -> Any:
    return settings_entry(ev.SettingsValue(pickle.dumps(tuning), shown, shown))


def test_what_is_not_shown_of_a_setting_counts() -> None:
    shown = {"gain": 2.0, "window": "[0, 1, ..., 1999]"}
    before = entry(Tuning(), shown)
    assert before["class"].endswith(":Tuning")
    assert before["fields"]["gain"] == 2.0
    changed = np.arange(2000.0)
    changed[1000] = -1
    assert entry(Tuning(window=changed), shown)["fields"]["window"] != before["fields"]["window"]
    hidden = entry(Tuning(labels=frozenset("abc")), shown)
    assert hidden["fields"] == before["fields"]
    assert hidden["rest"] != before["rest"]


def test_addresses_and_the_order_of_sets_do_not_count() -> None:
    shown = {"by": "<function f at 0x7f001122aabb>", "labels": ["a", "b"]}
    other = {"by": "<function f at 0x7f99aabbccdd>", "labels": ["a", "b"]}
    told = [settings_entry(ev.SettingsValue(None, form, form)) for form in (shown, other)]
    assert told[0] == told[1]
    sets = [plain_form(loads(pickle.dumps(set(order)))) for order in ("abcdefgh", "hgfedcba")]
    assert sets[0] == sets[1]


def test_a_value_that_holds_itself_has_a_form() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert plain_form(loads(pickle.dumps(loop))) == [1, {"$": "again"}]


def test_a_file_has_no_ids_and_comes_back_as_it_was(planted: Planted, tmp_path: Path) -> None:
    write(tmp_path / "rig.json", planted.validated)
    write(tmp_path / "rig.json", planted.validated)
    assert [path.name for path in tmp_path.iterdir()] == ["rig.json"]
    assert read(tmp_path / "rig.json") == planted.validated
    text = (tmp_path / "rig.json").read_text()
    assert encode(decode(text.encode())).decode() == text
    assert text.splitlines()[1] == '  "baseline": 1,'
    ids = [each.uuid for each in [*planted.state.sessions.values(), *planted.state.processes.values()]]
    assert ids
    assert not any(each in text for each in ids)
    assert '          "gain": 4.0' in text or '        "gain": 4.0' in text


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"baseline": true}', b'{"baseline": 1}', b'{"baseline": 1, "edges": 3}', b"\xff", b"hello"],
)
def test_what_is_not_a_baseline_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedBaseline, match=r"rig\.json is not a"):
        decode(data, "rig.json")


def test_a_newer_baseline_is_refused() -> None:
    with pytest.raises(NewerFormat, match="version 2; this program reads versions up to 1"):
        decode(b'{"baseline": 2, "anything": []}')


def test_an_unchanged_recording_is_as_validated(planted: Planted) -> None:
    assert planted.differences(planted.events) == []


@pytest.mark.parametrize("seed", range(50))
def test_a_planted_difference_is_named_and_no_other(planted: Planted, seed: int) -> None:
    events, expected = planted.plant(seed)
    found = planted.differences(events)
    if expected[0] == "settings":  # a value without its pickle has no class either
        found = [each for each in found if each[2] not in ("class", "rest")]
    assert found == [expected]


def test_a_pattern_passes_over_what_it_names(planted: Planted) -> None:
    events, (_, name, _) = planted.plant(0)
    timeline = planted.again(events)
    for pattern in ("edges", name, name.partition(" -> ")[0], "RIG/*"):
        found = timeline.check(planted.validated, ignore=[pattern])
        assert (found.same, found.ignored) == (True, 1)
    kept = timeline.baseline(planted.until, ["edges"])
    assert timeline.check(kept).ignored == 1
    assert not timeline.check(planted.validated, ignore=["RIG"]).same


def test_a_new_loop_through_a_relay_is_a_difference() -> None:
    ledger = Ledger.memory()
    relay = {"$": "InputRelayMetadata", "relay_input_topic": "IN", "relay_output_topic": "OUT"}
    component = {"$": "CollectionMetadata", "address": "C", "initial_settings": [None, {}], "relays": {"R": relay}}
    ledger.append([ev.SessionOpened(uuid="u")])
    ledger.append([ev.MetadataRegistered(session=1, metadata={"$": "GraphMetadata", "components": {"C": component}})])
    timeline = Timeline(ledger)
    validated = timeline.baseline()
    ledger.append([ev.EdgeConnected(from_topic="OUT", to_topic="IN", owner=1)])
    found = timeline.check(validated)
    assert [(each.group, each.change) for each in found.differences] == [("edges", "extra"), ("loops", "extra")]
    [loop] = found.loops
    assert loop == ["IN", "OUT", "IN"]
    assert found.differences[1].why is not None
    assert found.differences[1].why.seq == 3
