"""Whoever waits for a beat wakes with all others."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.beat import NEAR, until, within

PERIODS = st.sampled_from([1.0, 2.0, 5.0, 10.0])


@given(PERIODS, st.floats(0, 1e6), st.sampled_from([0.0, 0.5]))
def test_all_wake_at_whole_multiples_and_none_twice_in_a_row(period: float, now: float, off: float) -> None:
    woken = now + until(period, now, off)
    assert (woken - off) / period == pytest.approx(round((woken - off) / period), abs=1e-6)
    assert NEAR * period <= woken - now <= (1 + NEAR) * period + 1e-6
    for early in (0.0, 1e-3):  # a loop may wake a millisecond before it is time
        assert until(period, woken - early, off) == pytest.approx(period + early, abs=1e-6)


async def test_an_event_is_waited_for_until_it_comes_or_the_time_is_over() -> None:
    event = asyncio.Event()
    assert not await within(event, 0.01)
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert await within(event, None)
    assert await within(event, 0.0)


async def test_who_is_not_waited_for_any_more_leaves_nothing_that_waits() -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(within(asyncio.Event(), 60.0), name="waiting")
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert asyncio.all_tasks() == before
