"""Long levels go on in the next row."""

from ezmsg.ledger.projections.drawing.layout.rows import LAYERS_OVER, breaks


def test_short_or_high_levels_stay_in_one_row() -> None:
    assert breaks([100] * (LAYERS_OVER + 2), 50, [1] * (LAYERS_OVER + 1)) == []
    assert breaks([100] * 40, 2000, [1] * 39) == []
    assert breaks([0, 0], 0, [0]) == []


def test_a_chain_is_folded_to_about_the_shape_of_a_screen() -> None:
    found = breaks([0, *[140] * 60, 0], 50, [1] * 61)
    rows = len(found) + 1
    width, height = 60 * 140 / rows, rows * 80
    assert 1.2 < width / height < 3
    assert found == sorted(set(found))


def test_rows_end_where_few_lines_run() -> None:
    strands = [9] * 21
    strands[9] = strands[10] = strands[11] = 9
    strands[8] = 1
    [middle] = breaks([0, *[100] * 20, 0], 250, strands)
    assert middle == 9
