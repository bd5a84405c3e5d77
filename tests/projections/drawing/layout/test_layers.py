"""Layers lead to the right, and little leads back."""

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.drawing.layout.layers import layers

Arrows = list[tuple[int, int, bool]]


def of(number: int, arrows: Arrows, size: tuple[int, int] = (100, 50)) -> dict[int, int]:
    return layers(range(number), arrows, dict.fromkeys(range(number), size))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=30))
def test_what_has_no_cycle_leads_to_the_right(arrows: Arrows) -> None:
    forward = [(min(a, b), max(a, b), kind) for a, b, kind in arrows if a != b]
    found = of(10, forward)
    assert all(found[source] < found[target] for source, target, _ in forward)
    assert min(found.values()) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=30))
def test_at_most_half_of_the_arrows_lead_back(arrows: Arrows) -> None:
    distinct = list({(a, b): (a, b, False) for a, b, _ in arrows if a != b}.values())
    found = of(10, distinct)
    assert 2 * sum(found[source] >= found[target] for source, target, _ in distinct) <= len(distinct)


def test_banks_stay_side_by_side_when_one_line_closes_their_loop() -> None:
    """0 feeds the banks 1 to 4, 5 merges them, and tells each bank what to do."""
    banks = range(1, 5)
    arrows = [*((0, bank, False) for bank in banks), *((bank, 5, False) for bank in banks), (5, 6, False)]
    arrows += [(6, bank, False) for bank in banks]
    found = of(7, arrows)
    assert len({found[bank] for bank in banks}) == 1


def test_settings_lead_back_rather_than_data() -> None:
    found = of(3, [(0, 1, False), (1, 2, False), (2, 0, True)])
    assert (found[0], found[1], found[2]) == (1, 2, 3)


def test_a_source_stands_beside_what_it_feeds() -> None:
    found = of(5, [(0, 1, False), (1, 2, False), (2, 3, False), (4, 3, False)])
    assert found[4] == found[3] - 1


def test_many_ends_of_ways_stand_in_several_layers() -> None:
    found = of(41, [(0, end, False) for end in range(1, 41)], (80, 270))
    counts = [list(found.values()).count(layer) for layer in range(2, max(found.values()) + 1)]
    assert len(counts) > 1
    assert max(counts) - min(counts) <= 1
    assert [found[end] for end in range(1, 41)] == sorted(found[end] for end in range(1, 41))
