"""Events for BIDS: no text breaks a row, and nothing in them tells when it was."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.tools.recordings.annotation import NotOfThisLedger
from ezmsg.ledger.tools.recordings.formats.bids_events import COLUMNS, events_of, table
from ezmsg.ledger.tools.recordings.laid import Laid
from tests.fake_clock import FakeClock
from tests.tools.recordings.rig import Rig


@given(st.dictionaries(st.sampled_from(list(COLUMNS)), st.text(), min_size=1))
def test_whatever_stands_in_a_cell_a_row_has_its_columns(cells: dict[str, str]) -> None:
    row = dict.fromkeys(COLUMNS, "") | cells
    text = table([row, row]).decode()
    lines = text.split("\n")
    assert (len(lines), lines[-1]) == (4, "")
    assert all(line.count("\t") == len(COLUMNS) - 1 for line in lines[:-1])
    assert all(cell for line in lines[:-1] for cell in line.split("\t"))


def test_rows_are_what_was_set_wired_and_marked(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    rig.clock.run(10)
    rig.set_gain(2)
    rig.clock.run(5)
    rig.live.note(ev.Mark(name="blink\tor\nnot"))
    rig.clock.run(5)
    rig.live.connect("S/AMP/OUT", "SCOPE", rig.session)
    rig.clock.run(60)
    rig.close()
    with Ledger.open(rig.path, "r") as ledger:
        rows, beside = events_of(Laid(rig.recording("NWB"), Timeline(ledger)))
        walled, _ = events_of(Laid(rig.recording("NWB"), Timeline(ledger)), wall=True)
        name = ledger.id
    shown = [(round(float(row["onset"]), 3), row["trial_type"], row["before"], row["after"]) for row in rows]
    assert shown == [
        (0.0, "setting", "", "1"),
        (10.0, "setting", "1", "2"),
        (15.0, "mark", "", ""),
        (20.0, "wiring", "[]", '["S/AMP/OUT -> SCOPE"]'),
    ]
    text = table(rows).decode()
    assert "\tblink or not\t" in text
    assert "wall_ns" in walled[0]
    for secret in (name, "wall_ns", str(rig.began_wall)[:10]):
        assert secret not in text + beside.decode()


def test_a_file_that_cannot_be_placed_has_no_events(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig.ledger", tmp_path / "rig.nwb", FakeClock())
    recording = rig.recording("FIF")
    rig.close()
    import msgspec

    later = msgspec.structs.replace(recording, origin=rig.began_wall + 10**15)
    with Ledger.open(rig.path, "r") as ledger, pytest.raises(NotOfThisLedger, match="cannot be laid beside"):
        events_of(Laid(later, Timeline(ledger)))
