"""A pattern for many texts finds what trying one after the other finds, and not slower the more there are."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.copies.word_search import alternation

TEXTS = st.lists(st.text("ab.*é", min_size=1, max_size=20), min_size=1, max_size=12)


@given(TEXTS, st.text("ab.*éx", max_size=60))
def test_it_finds_the_longest_at_the_first_place(texts: list[str], where: str) -> None:
    plain = re.compile("|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)))
    assert re.compile(alternation(texts)).findall(where) == plain.findall(where)


@given(TEXTS)
def test_each_is_found_by_itself(texts: list[str]) -> None:
    pattern = re.compile(alternation(texts))
    assert all(pattern.fullmatch(text) for text in texts)


def test_many_texts_take_no_longer() -> None:
    """Measured as a ratio, by the time of the processor: an alternation of as many takes thousands of times longer."""
    line = "session 12 of the rig reported its settings to everybody who asked for them " * 20

    def spent(count: int) -> float:
        pattern = re.compile(alternation(f"subject {number} of {number * 7}" for number in range(count)))
        begin = time.process_time()
        for _ in range(50):
            assert pattern.search(line) is None
        return time.process_time() - begin

    spent(10)
    assert min(spent(10_000) for _ in range(3)) < 20 * min(spent(10) for _ in range(3)) + 0.05
