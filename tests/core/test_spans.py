"""Sets of items as ranges: always the fewest, and always the same numbers as a plain set has."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.spans import Spans

STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "take"]), st.integers(0, 40), st.integers(0, 12)))


@given(STEPS)
def test_it_holds_what_a_plain_set_holds_in_the_fewest_ranges(steps: list[tuple[str, int, int]]) -> None:
    spans, plain = Spans(), set[int]()
    for what, start, count in steps:
        if what == "add":
            spans.add(start, start + count)
            plain |= set(range(start, start + count))
        elif what == "remove":
            spans.remove(start, start + count)
            plain -= set(range(start, start + count))
        elif plain:
            low, high = spans.take(count + 1)
            assert low == min(plain)
            assert 1 <= high - low <= count + 1
            assert set(range(low, high)) <= plain
            plain -= set(range(low, high))
        ranges = list(spans)
        assert {number for low, high in ranges for number in range(low, high)} == plain
        assert spans.total == len(plain)
        assert all(one[1] < other[0] for one, other in pairwise(ranges)), "none touches the next"
        assert len(spans) == len(ranges)


def test_ten_million_are_one_pair() -> None:
    spans = Spans([(0, 10_000_000)])
    assert spans.take(1000) == (0, 1000)
    assert list(spans) == [(1000, 10_000_000)]


def test_there_is_nothing_to_take_from_an_empty_one() -> None:
    with pytest.raises(IndexError):
        Spans().take(1)
