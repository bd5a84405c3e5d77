"""Names in the order in which people count, wherever a command lists them."""


from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.natural_order import natural, natural_edge


@given(st.lists(st.text("A1029/_é", max_size=6), max_size=6))
def test_any_names_have_one_order(names: list[str]) -> None:
    """And a name never stands among others of its own: keys differ where names do."""
    assert sorted(sorted(names), key=natural) == sorted(sorted(names, reverse=True), key=natural)
    assert len({natural(name) for name in names}) == len(set(names))


@given(st.text("ABC/", max_size=4), st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_numbers_count(before: str, a: int, b: int) -> None:
    assert (natural(f"{before}{a}") < natural(f"{before}{b}")) == (a < b)


def test_an_edge_goes_by_its_first_topic() -> None:
    edges = [("A10", "A"), ("A9", "B10"), ("A9", "B9")]
    assert sorted(edges, key=natural_edge) == [("A9", "B9"), ("A9", "B10"), ("A10", "A")]
