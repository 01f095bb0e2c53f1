"""Whoever waits for a beat wakes with all others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.beat import NEAR, until

PERIODS = st.sampled_from([1.0, 2.0, 5.0, 10.0])


@given(PERIODS, st.floats(0, 1e6))
def test_all_wake_at_whole_multiples_and_none_twice_in_a_row(period: float, now: float) -> None:
    woken = now + until(period, now)
    assert woken / period == pytest.approx(round(woken / period), abs=1e-6)
    assert NEAR * period <= woken - now <= (1 + NEAR) * period + 1e-6
    for early in (0.0, 1e-3):  # a loop may wake a millisecond before it is time
        assert until(period, woken - early) == pytest.approx(period + early, abs=1e-6)
