"""What is said of settings is what is known: a real unit that refuses, beside each release of ezmsg.

Both report a settings message when it arrives, whatever the unit makes of it (seen with 3.9.0 and 3.10.0b5), show
arrays of more than 1,000 elements abbreviated and numpy's scalars as texts. 3.10 refuses bad values beside pydantic,
and then one field that pydantic cannot dump changes how all are shown.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.projections.copies.digests import Salt
from ezmsg.ledger.projections.copies.redact import compare_redacted, redact

from .suite.environments import COMING, STABLE, Environment
from .test_versions import PROGRAMS

pytestmark = pytest.mark.environments

UNIT = "SYSTEM/AMP"


@pytest.fixture(scope="module", params=[STABLE, COMING], ids=lambda side: side.ezmsg)
def side(request: pytest.FixtureRequest) -> Environment:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def recorded(desk: Any, side: Environment) -> Any:
    """The ledger of one run, and what the client of it said."""
    path = desk.folder / "one.ledger"
    return path, record(desk, side, path)


def record(desk: Any, side: Environment, path: Any) -> list[str]:
    command = ("-m", "ezmsg.ledger.tools.cli", "run", "--ledger", path, PROGRAMS / "tuned.py")
    told = desk.do(side.python(), *command, EZMSG_GRAPHSERVER_ADDR=desk.free)
    assert "too loud" in told.err, told.err  # the unit did refuse; how ezmsg then shuts down is not looked at
    return [line for line in told.out.splitlines() if line.startswith(("answered", "refused", "reported"))]


def test_each_change_is_told_as_what_it_is(recorded: Any, side: Environment) -> None:
    path, said = recorded
    strict = side is COMING
    assert said[0] == "answered gain 900.0"  # which the unit refused
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger)
        told = [change for change in timeline.setting(UNIT).changes if change.how == "updated" and change.fields]
        notes = {each.path: each.note for each in told[0].fields}
        assert notes == {"gain": None, "weights": "1 of 2,000 elements differs: [1500] 0.0 -> 0.25"}
        changed = {each.path: (each.before, each.after) for each in told[1].fields}
        assert changed == {"mode": (1, 5), "name": ("left", "right"), "count": (5, 6), "rate": (40, 8.0)}
        assert [(each.asked_field, each.asked, each.answered) for each in told if each.asked_by is not None] == [
            ("gain", 900.0, 900.0),
            *([] if strict else [("gain", "loud", "loud")]),
            ("on", "yes", True if strict else "yes"),
        ]
        for predicate, ever in {
            "count == 5": 1, "count == 6": 1, "mode == 1": 1, 'name == "right"': 1, "window == [1, 2]": 1,
            "rate == 8": 1, "rate < 40": 1, "rate == true": 0, 'count == "5"': 0, 'span == "slice(1, 4, None)"': 1,
        }.items():  # fmt: skip
            assert bool(timeline.when(f"{UNIT}.{predicate}").spans) == bool(ever), predicate
        found = timeline.setting_doubts()
        doubts = [(each.field, each.kind, each.asked, each.answered, each.reported) for each in found]
        refused = [each.text for each in timeline.setting_doubts(UNIT) if each.kind == "refused"]
    assert ("rate", "misfit", None, None, 8.0) in doubts
    assert ("no_such_field", "refused", 1, None, None) in doubts
    assert (("gain", "misfit", None, None, "loud") in doubts) != strict
    assert (("gain", "refused", "loud", None, None) in doubts) == strict
    assert (("on", "changed", "yes", True, None) in doubts) == strict
    assert "HANDLER_ERROR: Failed to patch settings field: Settings field 'no_such_field'" in refused[-1]


def test_what_is_no_settings_object_is_told_as_what_it_is(recorded: Any, side: Environment) -> None:
    """``update_settings()`` takes a dict and a 7. Both are reported, without a schema, and are what is in force then.

    With 3.9.0 a unit often hears of nothing more once a publisher of its settings has come and gone: then not of the 7.
    """
    path, said = recorded
    odd = [{"gain": 3.0}, 7]
    reported = [line for line in said if line.startswith("reported")]
    if side is not COMING and len(reported) == 1:
        odd.pop()
    assert reported == [f"reported {each}" for each in odd]
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger)
        doubts = [each for each in timeline.setting_doubts(UNIT) if each.kind == "misfit" and not each.field]
        texts = {"{'gain': 3.0}": "a dict in place of Tuning", "7": "an integer in place of Tuning"}
        told = list(dict.fromkeys((str(each.reported), each.text) for each in doubts))
        assert told == [(str(each), texts[str(each)]) for each in odd]
        changes = {change.seq: change for change in timeline.setting(UNIT).changes}
        first = changes[doubts[0].seq]
        gone = {each.path for each in first.fields if each.missing == "after"}
        assert {"rate", "weights"} <= gone
        assert [(each.path, each.after) for each in first.fields if each.missing is None] == [("gain", 3.0)]
        assert first.likely, "the publisher that sent it is named"
        assert timeline.when(f"{UNIT}.gain == 3").spans
        if len(odd) > 1:
            last = changes[doubts[-1].seq]
            [now] = [each for each in last.fields if each.missing == "before"]
            assert (now.path, now.after) == ("", 7)
            assert timeline.at(last.seq).settings[UNIT].value.repr_value == "7"


def test_the_reason_and_the_answer_are_in_the_ledger(recorded: Any) -> None:
    with Ledger.open(recorded[0], "r") as ledger:
        answers = [event for event in ledger.entries() if isinstance(event, ev.RequestAnswered)]
    assert [event.ok for event in answers][0::3] == [True, False]
    assert "no_such_field" in str(answers[-1].error)
    assert all(event.size == len(event.payload or b"") > 0 for event in answers if event.ok)


def test_two_runs_of_one_script_do_not_differ(desk: Any, side: Environment, recorded: Any) -> None:
    """The address of a function, the order of a set and the schema's defaults are others in each run."""
    other = desk.folder / "other.ledger"
    record(desk, side, other)
    with Ledger.open(recorded[0], "r") as one, Ledger.open(other, "r") as two:
        first, second = Timeline(one), Timeline(two)
        raw = [set(map(str, line.at("end").registrations)) for line in (first, second)]
        assert raw == [set(), set()]
        at = [last_built(line) for line in (first, second)]
        found = first.compare(at[0], at[1], second)
        assert [change for change in found.changes if change.group in ("settings", "components")] == []
        values = [line.at(seq).settings[UNIT].value.repr_value for line, seq in zip((first, second), at, strict=True)]
        assert json.dumps(values[0]) != json.dumps(values[1])  # they are shown differently


def last_built(timeline: Any) -> int:
    """The last report of settings, for the program sends other things after these; what it falls back to at the end is
    told in one run, and in another its session went first."""
    changes = timeline.setting(UNIT).changes
    return max(each.seq for each in changes if each.how == "updated" and "labels" in str(each.value))


def test_what_names_people_can_be_taken_out_of_a_real_recording(recorded: Any, side: Environment) -> None:
    """Requests of a real client, answers and refusals, pickles of a real unit: no trace is left of what is named."""
    path, _ = recorded
    public = path.with_name("public.ledger")
    with Ledger.open(path, "r") as ledger:
        made = redact(ledger, [f"{UNIT}.where", f"{UNIT}.labels", f"{UNIT}.gain"], public, Salt.make())
    assert made.changed > 5
    for name in (b"a/b", b"epsilon", b"900.0", b"loud"):
        assert name in path.read_bytes(), name
        assert name not in public.read_bytes(), name
    kept = re.findall(rb"[A-Za-z0-9+/]{24,}={0,2}", public.read_bytes())
    assert not any(b"epsilon" in base64.b64decode(each) for each in kept if len(each) % 4 == 0)
    with Ledger.open(public, "r") as ours, Ledger.open(path, "r") as theirs:
        assert compare_redacted(ours, theirs).changed == made.changed
        assert not [each for each in Timeline(ours).setting_doubts() if each.field == "gain" and each.kind == "misfit"]
