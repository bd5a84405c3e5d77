"""What made the samples of a recording, beside a ledger whose clock tests move: every change lies where it was made."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as times
from hypothesis import strategies as st
from msgspec.structs import replace

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.recordings.answer import InForce
from ezmsg.ledger.tools.recordings.clocks.axis import Axis, Piece
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.recording import Marker, Recording
from ezmsg.ledger.tools.recordings.stretch import answer
from tests.fake_clock import SECOND, FakeClock

from .rig import Rig, metadata, settings

FORMS = ("NWB", "XDF", "FIF")


def asked(
    rig: Rig, recording: Recording, begin: float | None = None, end: float | None = None, **options: Any
) -> InForce:
    with Ledger.open(rig.path, "r") as ledger:
        return answer(Laid(recording, Timeline(ledger)), begin, end, **options)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A minute of samples; the gain changes at seconds 10, 20, ... 50 of it."""
    found = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    for gain in range(2, 7):
        found.clock.run(10)
        found.set_gain(gain)
    found.clock.run(20)
    found.close()
    return found


def gains(found: InForce) -> list[tuple[Any, float, float]]:
    """The gain's spans: value, begin, end; seconds to the microsecond."""
    return [(s.value, round(s.begin, 6), round(s.end, 6)) for s in found.changed if s.field == "gain"]


@pytest.mark.parametrize("form", FORMS)
def test_each_value_stands_from_its_change_to_the_next(rig: Rig, form: str) -> None:
    found = asked(rig, rig.recording(form))
    assert gains(found) == [(gain, 10.0 * (gain - 1), 10.0 * gain) for gain in range(1, 7)]
    assert found.sureness == ("as the wall clock said" if form == "FIF" else "exact")
    assert found.constant["S/CLOCK.dispatch_rate"] == 50.0
    assert found.constant["S/AMP.unit"] == "uV"
    assert "S/AMP.gain" not in found.constant
    assert (found.block, found.block_of) == (0.02, "S/CLOCK.dispatch_rate = 50")
    assert found.covered == [(1, 0.0, 60.0)]
    named = {"NWB": "S/SINK", "XDF": "S/OUTLET", "FIF": "S/SINK"}[form]
    assert [link.unit for link in found.named_by] == [named] or form == "XDF"
    assert found.owners["S/AMP"] == '3 "S"'
    assert [(span.edges, len(span.stood)) for span in found.wiring] == [(1, 1)]


def test_some_seconds_are_cut_out_of_it(rig: Rig) -> None:
    found = asked(rig, rig.recording("NWB"), 15, 25)
    assert gains(found) == [(2, 15.0, 20.0), (3, 20.0, 25.0)]
    assert [(span.began_before, span.went_on_after) for span in found.changed] == [(True, False), (False, True)]
    assert found.uncertain == []
    steady = asked(rig, rig.recording("NWB"), 11, 19)
    assert (gains(steady), steady.constant["S/AMP.gain"]) == ([], 2)


def test_a_change_near_an_edge_may_count_or_not(rig: Rig) -> None:
    for begin, end in ((10.01, 15), (9.99, 15), (5, 9.99), (5, 10.01)):
        found = asked(rig, rig.recording("NWB"), begin, end)
        [near] = found.uncertain
        assert (near.value, near.earliest < 10 < near.latest) == (2, True)
    assert asked(rig, rig.recording("NWB"), 10.1, 15).uncertain == []
    assert len(asked(rig, rig.recording("NWB"), 10.1, 15, block=0.2).uncertain) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [-3600.0, -0.5, 0.25, 7200.0])
def test_a_wall_clock_that_is_set_moves_nothing(tmp_path: Path, form: str, step: float) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    recording = rig.recording(form)
    rig.clock.run(10)
    rig.set_gain(2)
    rig.clock.run(5)
    rig.clock.step(step)
    rig.clock.run(5)
    rig.set_gain(3)
    rig.clock.run(45)
    rig.close()
    assert gains(asked(rig, recording)) == [(1, 0, 10), (2, 10, 20), (3, 20, 60)]


def test_a_wall_clock_that_is_set_before_the_first_sample(tmp_path: Path) -> None:
    """The file says by the clock as it was that it was begun: the first sample seems to be long before, or after."""
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    recording = rig.recording("NWB")
    rig.clock.step(-7200)
    rig.clock.run(10)
    rig.set_gain(2)
    rig.clock.run(60)
    rig.close()
    found = asked(rig, recording)
    assert (found.sureness, gains(found)) == ("exact", [(1, 0, 10), (2, 10, 60)])


@pytest.mark.parametrize("moved", [True, False])
def test_an_axis_that_jumps_as_the_wall_clock_was_set_is_mended(tmp_path: Path, moved: bool) -> None:
    """ezmsg-nwb moves the axis of all series when another begins after the clock was set; wall time jumps itself."""
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock(), "monotonic" if moved else "system")
    rig.clock.run(10)
    rig.set_gain(2)
    rig.clock.run(5)
    rig.clock.step(100)
    rig.clock.run(5)
    rig.set_gain(3)
    rig.clock.run(45)
    rig.close()
    pieces = [Piece(0, 14_999, 1.0, 15.999), Piece(15_000, 59_999, 116.0, 160.999)]
    start = rig.began_wall - SECOND
    recording = Recording(rig.file, "NWB", "signal", Axis(pieces, 0.001, 60_000), start, start)
    found = asked(rig, recording)
    assert gains(found) == [(1, 0, 10), (2, 10, 120), (3, 120, 160)]
    assert found.sureness == ("exact" if moved else "as the wall clock said")
    assert any("jumps by +100.000 s after second 14.999" in doubt for doubt in found.doubts)
    assert found.clock_wrong == []


def test_a_jump_that_nothing_explains_is_wrong(rig: Rig) -> None:
    whole = rig.recording("NWB")
    begin = whole.axis.begin
    pieces = [Piece(0, 9_999, begin, begin + 9.999), Piece(10_000, 19_999, begin + 30, begin + 39.999)]
    found = asked(rig, replace(whole, axis=Axis(pieces, 0.001, 20_000)))
    assert any("jumps ahead by 20.000 s after second 9.999" in each for each in found.clock_wrong)
    assert any("57.1 years before the session start" in each for each in found.clock_wrong)


def test_a_request_and_a_process_that_was_held_up(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    for gain in (2, 3, 4):
        rig.clock.run(5)
        rig.set_gain(gain, asked=True, took=0.7 if gain == 3 else 0.002)
    rig.clock.run(60)
    rig.close()
    found = asked(rig, rig.recording("NWB"))
    spans = {span.value: span for span in found.changed if not span.began_before}
    assert spans["2"].asked_by == '3 "S"'
    assert 0.04 < spans["2"].latest - spans["2"].earliest < 0.06
    assert spans["3"].earliest < spans["2"].begin, "it was last seen to be well when it had answered before"
    assert any(
        "was held up between seconds 5.002 and 10.702 (a request waited 700 ms)" in each for each in found.doubts
    )


def test_marks_lie_when_they_happened(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    rig.clock.run(10)
    rig.live.note(ev.Mark(name="now"))
    rig.live.note(ev.Mark(name="before", happened=rig.clock.real() - 4 * SECOND))
    rig.clock.run(60)
    rig.close()
    found = asked(rig, rig.recording("NWB"))
    assert [(mark.name, round(mark.time, 6)) for mark in found.marks] == [("before", 6.0), ("now", 10.0)]


def test_the_wiring_that_changes(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    rig.clock.run(10)
    rig.live.connect("S/AMP/OUT", "SCOPE", rig.session)
    rig.live.connect("S/AMP/OUT", "S/SINK/IN")  # a second owner: the edge is there already
    rig.clock.run(10)
    rig.live.clear(rig.session)
    rig.clock.run(60)
    rig.close()
    found = asked(rig, rig.recording("NWB"))
    assert [(round(each.begin, 6), each.edges, len(each.came), len(each.went)) for each in found.wiring] == [
        (0, 1, 0, 0),
        (10, 2, 1, 0),
        (20, 1, 0, 1),
    ]
    assert found.wiring[2].went[0].to_topic == "SCOPE"
    assert "was cleared" in found.wiring[2].cause
    # its components went with the session, and their settings; S/AMP fell back to nothing
    assert {span.unit for span in found.changed} >= {"S/CLOCK", "S/SINK"}
    assert all(round(span.end, 6) == 20 for span in found.changed)


# --- what is not known -----------------------------------------------------------------------------------------------


def test_a_ledger_without_readings(tmp_path: Path) -> None:
    """Wall times can be laid beside it all the same; uptimes cannot: then the link tells what never changed."""
    rig = object.__new__(Rig)
    older = tmp_path / "older.ledger"
    real = FakeClock()
    with Ledger.open(older, clock=real.real) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="S")
        live.register(session, metadata(tmp_path / "rig.nwb", "system"))
        process = live.open_process()
        live.register_process(process, 7, "lab-3", ["S/AMP"])
        real.run(2)
        rig.began, rig.began_wall, rig.file, rig.clock, rig.path = (
            real.mono(),
            real.real(),
            tmp_path / "rig.nwb",
            real,
            older,
        )
        real.run(10)
        live.update_settings(process, "S/AMP", settings(gain=2, unit="uV"))
        real.run(60)
        live.close()
    found = asked(rig, rig.recording("FIF"))
    assert gains(found) == [(1, 0, 10), (2, 10, 60)]
    assert (found.sureness, found.error) == ("as the wall clock said", None)
    found = asked(rig, rig.recording("NWB"))
    assert (found.sureness, found.changed) == ("by the link only", [])
    assert found.constant["S/CLOCK.dispatch_rate"] == 50.0
    assert any("no readings of its clocks" in doubt for doubt in found.doubts)
    assert any("S/AMP" in doubt and "cannot be laid beside" in doubt for doubt in found.doubts)


def test_a_file_of_another_rig(rig: Rig, tmp_path: Path) -> None:
    own = rig.recording("NWB")
    assert own.began is not None
    assert own.origin is not None
    # recorded a month before, on a machine that had been up for as long: its uptimes are those of this ledger
    other = replace(own, path=tmp_path / "other.nwb", began=own.began - 30 * 86400 * SECOND)
    found = asked(rig, other)
    assert found.sureness == "not covered"
    assert any("nothing in the ledger names this file" in doubt for doubt in found.doubts)
    later = replace(rig.recording("FIF"), path=tmp_path / "x_raw.fif", origin=rig.began_wall + 3600 * SECOND)
    found = asked(rig, later)
    assert (found.sureness, found.covered) == ("not covered", [])
    assert any("recorded nothing while these samples were made" in doubt for doubt in found.doubts)


def test_two_runs_that_name_one_file(tmp_path: Path) -> None:
    """The clock tells which of them it was; where it cannot, both are named."""
    clock, path, file = FakeClock(), tmp_path / "rig.ledger", tmp_path / "rig.nwb"
    first = Rig(path, file, clock)
    clock.run(70)
    first.close()
    second = Rig(path, file, clock)
    clock.run(70)
    second.close()
    found = asked(second, second.recording("NWB"))
    assert (len(found.named_by), found.covered) == (1, [(2, 0.0, 60.0)])
    unplaced = replace(
        second.recording("NWB"), began=None, origin=None, axis=Axis([Piece(0, 9, 1e5, 1e5 + 9)], 1.0, 10)
    )
    found = asked(second, unplaced)
    assert found.sureness == "by the link only"
    assert any("it may be either's" in doubt for doubt in found.doubts)


def test_a_ledger_that_covers_a_part(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    rig.clock.run(30)
    rig.close()
    found = asked(rig, rig.recording("NWB"))
    assert [(run, round(a, 6), round(b, 6)) for run, a, b in found.covered] == [(1, 0, 30)]
    assert any("covers only seconds 0.000 to 30.000 of 60.000" in doubt for doubt in found.doubts)
    assert "the ledger does not cover all of these seconds" not in asked(rig, rig.recording("NWB"), 5, 10).doubts


def test_markers_lay_a_file_beside_marks_where_its_clock_cannot(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    for second in (5, 7, 20):
        rig.clock.run(second)
        rig.live.note(ev.Mark(name=f"blink {second % 2}"))
    rig.clock.run(5)
    rig.set_gain(2)
    rig.clock.run(60)
    rig.close()
    markers = [Marker(100 + 5, "blink 1"), Marker(100 + 12.004, "blink 1"), Marker(100 + 32, "blink 0"), Marker(1, "x")]
    axis = Axis([Piece(0, 59_999, 100.0, 159.999)], 0.001, 60_000)
    unknown = replace(rig.recording("XDF"), path=Path("moved.xdf"), axis=axis, markers=markers, began=None, host="far")
    found = asked(rig, unknown)
    assert (found.sureness, found.error) == ("by 3 markers", 0.004)
    assert [(value, round(begin, 2)) for value, begin, _ in gains(found)] == [(1, 0), (2, 37)]


def test_a_file_that_was_put_together_says_so(rig: Rig) -> None:
    found = asked(rig, replace(rig.recording("FIF"), boundary=25.0))
    assert any("put together of several: what comes after second 25.000" in each for each in found.clock_wrong)


def test_other_hosts_and_missing_offsets_are_doubts(rig: Rig) -> None:
    found = asked(rig, replace(rig.recording("XDF"), host="booth", offsets=False))
    assert any("came from the host booth" in doubt for doubt in found.doubts)
    assert any("no clock offsets" in doubt for doubt in found.doubts)


@pytest.mark.parametrize(
    ("begin", "end", "said"), [(5, 5, "not before"), (60.5, 70, "has no seconds"), (-5, 0, "has no")]
)
def test_a_stretch_that_the_file_has_not(rig: Rig, begin: float, end: float, said: str) -> None:
    with pytest.raises(Misuse, match=said) as caught:
        asked(rig, rig.recording("NWB"), begin, end)
    assert "it has seconds 0 to 60.000" in caught.value.hint


# --- what always holds -----------------------------------------------------------------------------------------------

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("gain"), st.floats(0.01, 5)),
        st.tuples(st.just("step"), st.floats(-4000, 4000).filter(lambda by: abs(by) > 0.002)),  # less is not read
        st.tuples(st.just("wire"), st.floats(0.01, 2)),
    ),
    max_size=12,
)


@given(moves=MOVES, ends=st.tuples(st.floats(0, 20), st.floats(0.1, 20)), form=st.sampled_from(["NWB", "XDF"]))
@times(deadline=None, max_examples=60)
def test_whatever_happens_the_spans_are_those_that_were_set(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, float]], ends: tuple[float, float], form: str
) -> None:
    """Steps of the wall clock, wiring and changes in any order: each span begins at the reading at which it was set."""
    folder = tmp_path_factory.mktemp("moves")
    rig = Rig(folder / "rig.ledger", folder / "rig.nwb", FakeClock())
    recording = rig.recording(form)
    gain = 1
    for kind, by in moves:
        if kind == "step":
            rig.clock.step(by)
        else:
            rig.clock.run(by)
        if kind == "gain":
            gain += 1
            rig.set_gain(gain)
        elif kind == "wire":
            rig.live.connect("A", f"B{rig.ledger.head}", rig.session)
    rig.clock.run(65)
    rig.close()
    begin, end = ends[0], ends[0] + ends[1]
    found = asked(rig, recording, begin, end)
    turns = [(place - rig.began) / SECOND for place in rig.changes]
    edges = [0.0, *turns, 1e9]
    expected = [
        (number + 1, max(begin, a), min(end, b))
        for number, (a, b) in enumerate(pairwise(edges))
        if a < end - 1e-6 and b > begin + 1e-6
    ]
    spans = [(s.value, s.begin, s.end) for s in found.changed if s.field == "gain"]
    spans = spans or [(found.constant["S/AMP.gain"], begin, end)]
    spans = [each for each in spans if each[2] - each[1] > 1e-6]
    expected = [each for each in expected if each[2] - each[1] > 1e-6]
    assert [each[0] for each in spans] == [each[0] for each in expected]
    for seen, wanted in zip(spans, expected, strict=True):
        assert seen[1] == pytest.approx(wanted[1], abs=2e-6)
        assert seen[2] == pytest.approx(wanted[2], abs=2e-6)
