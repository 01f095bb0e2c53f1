"""The governor decides by numbers alone, so tests are readings in and decisions out."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.governor import (
    GB,
    Decision,
    Load,
    Reading,
    State,
    cpu_ceiling,
    decide,
    expected_smaller,
    memory_alarm,
)


def reading(**facts: object) -> Reading:
    """An eight-core machine with 16 GB, all of it free, and much to do."""
    plain = {
        "cores": 8.0, "cpu_total": 0.0, "cpu_ours": 0.0, "cpu_workers": 0.0, "memory_total": 16 * GB,
        "memory_available": 15 * GB, "busy": 0, "waiting": True, "waiting_bytes": 0.1 * GB,
    }
    return msgspec.convert({**plain, **facts}, Reading)


def play(use: float, periods: int, cores: float = 8.0, others: float = 0.0) -> list[int]:
    """Limits over time on a machine where each worker uses `use` cores, until the cores are full."""
    state, limits, limit = State(), [], 0
    for _ in range(periods):
        ours = min(limit * use, cores - others)
        state, decision = decide(
            reading(cores=cores, cpu_total=ours + others, cpu_ours=ours, cpu_workers=ours, busy=limit), state
        )
        limit = decision.limit
        limits.append(limit)
    return limits


def test_it_starts_slowly_with_a_quarter_of_the_cores_and_at_least_one_worker() -> None:
    assert play(1.0, 1)[0] == 2
    assert play(1.0, 1, cores=2.0)[0] == 1
    assert play(1.0, 1, cores=64.0)[0] == 4


def test_busy_workers_end_up_at_the_number_of_cores() -> None:
    limits = play(1.0, 30)
    assert limits[-1] == 8
    assert max(limits) == 8


def test_workers_that_wait_half_of_their_time_get_more_than_one_for_each_core() -> None:
    assert 16 <= play(0.5, 60)[-1] <= 24


def test_sleepers_are_bounded_by_memory_alone() -> None:
    assert play(0.0, 40)[-1] > 100


def test_the_limit_yields_to_other_people_and_comes_back() -> None:
    state, limit = State(), 0
    seen = []
    for second in range(80):
        others = 4.0 if 30 <= second < 55 else 0.0
        ours = min(float(limit), 8.0 - others)
        state, decision = decide(
            reading(cpu_total=ours + others, cpu_ours=ours, cpu_workers=ours, busy=limit), state
        )
        limit = decision.limit
        seen.append(limit)
        if second == 50:
            assert decision.binding == "others"
            assert "are used by others" in decision.reason
    assert seen[28] == 8
    assert seen[35] <= 5
    assert seen[-1] == 8


def test_memory_stops_starts_with_the_numbers_in_the_reason() -> None:
    loads = (Load(3 * GB, 4 * GB), Load(3 * GB, 4 * GB))
    state = State(limit=8, searching=False, per_worker=0.5)
    _, decision = decide(
        reading(memory_available=6 * GB, busy=2, loads=loads, waiting_bytes=4 * GB, cpu_total=1, cpu_ours=1,
                cpu_workers=1),
        state,
    )
    # 6 GB free, less 0.8 in reserve, less 2 that the two are still expected to grow by: 3.2, and 4 are needed
    assert decision.limit == 2
    assert decision.binding == "memory"
    assert "3.2 GB free" in decision.reason
    assert "needs 4.0 GB" in decision.reason


def test_a_class_never_seen_is_taken_to_need_more_than_the_largest_that_runs() -> None:
    _, decision = decide(reading(busy=1, loads=(Load(2 * GB, None),), waiting_bytes=None), State(limit=4))
    assert decision.unknown_bytes == pytest.approx(2.5 * GB)


def test_with_nothing_running_a_task_of_an_unknown_class_needs_a_twelfth_of_memory() -> None:
    _, decision = decide(reading(waiting_bytes=None), State())
    assert decision.unknown_bytes == pytest.approx(0.08 * 16 * GB)


def test_state_survives_being_written_down() -> None:
    state, _ = decide(reading(busy=1, cpu_ours=0.7, cpu_workers=0.7, cpu_total=0.9), State())
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state


def test_expected_smaller_agrees_with_integration() -> None:
    mean, deviation, bound = 7.2, 1.3, 8.0
    steps = 20_000
    total = 0.0
    for step in range(steps):
        x = mean + deviation * (-8 + 16 * (step + 0.5) / steps)
        density = math.exp(-((x - mean) ** 2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))
        total += min(x, bound) * density * deviation * 16 / steps
    assert expected_smaller(mean, deviation, bound) == pytest.approx(total, abs=1e-4)


@given(use=st.floats(0.03, 4.0), cores=st.floats(1.0, 128.0))
def test_the_ceiling_keeps_the_cores_busy_and_is_never_far_beyond(use: float, cores: float) -> None:
    ceiling = cpu_ceiling(cores, use, shared=False)
    assert ceiling is not None
    assert ceiling * use >= 0.9 * cores or ceiling == 1024
    assert ceiling <= 6 * cores / use + 8


numbers = st.floats(0, 200, allow_nan=False)


@given(
    cores=st.floats(0.5, 256), total=numbers, ours=numbers, available=st.floats(0, 64e9), busy=st.integers(0, 400),
    waiting=st.booleans(), limit=st.integers(0, 1024), searching=st.booleans(),
    loads=st.lists(st.builds(Load, st.floats(0, 9e9), st.none() | st.floats(0, 9e9)), max_size=5).map(tuple),
)
def test_any_reading_gives_a_sane_decision_with_a_reason(
    cores: float, total: float, ours: float, available: float, busy: int, waiting: bool, limit: int, searching: bool,
    loads: tuple[Load, ...],
) -> None:
    decision: Decision
    _, decision = decide(
        reading(cores=cores, cpu_total=total, cpu_ours=ours, cpu_workers=ours, memory_available=available, busy=busy,
                waiting=waiting, loads=loads),
        State(limit=limit, searching=searching),
    )
    assert 1 <= decision.limit <= 2048
    assert decision.reason
    assert decision.binding in {"memory", "others", "cpu", "ramp", "work"}


@pytest.mark.parametrize(
    ("available", "said", "held"),
    [(8 * GB, False, False), (0.8 * GB, False, False), (0.79 * GB, True, False), (0.39 * GB, True, True)],
)
def test_memory_below_the_reserve_is_said_and_below_half_of_it_nothing_is_started(
    available: float, said: bool, held: bool
) -> None:
    words, holds = memory_alarm(16 * GB, available)
    assert (bool(words), holds) == (said, held)
    assert words == (f"memory: {available / GB:.1f} GB of 16.0 GB are available, 0.8 GB are kept in reserve" * said)
