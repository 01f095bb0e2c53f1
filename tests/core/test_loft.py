"""The order in which jobs come down from the loft, as sorting would have it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.loft import Loft


@given(st.dictionaries(st.integers(1, 1000), st.integers(-3, 3)), st.integers(1, 20))
def test_all_come_down_by_priority_then_age(jobs: dict[int, int], most: int) -> None:
    loft = Loft()
    for number, priority in jobs.items():
        loft.add(priority, number)
    assert len(loft) == len(jobs)
    assert loft.numbers() == frozenset(jobs)
    assert loft.newest == max(jobs, default=None)
    order = []
    while some := loft.first(most):
        assert len(some) <= most
        assert {jobs[number] for number in some} == {loft.highest}
        for number in some:
            assert number in loft
            assert loft.discard(number)
            assert number not in loft
        order += some
    assert order == sorted(jobs, key=lambda number: (-jobs[number], number))
    assert loft.highest is None


def test_what_is_not_there_is_not_taken() -> None:
    loft = Loft()
    loft.add(0, 7)
    assert not loft.discard(8)
    assert 8 not in loft
    assert loft.first(9) == [7]
