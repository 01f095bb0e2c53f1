"""How many items the next range gets, played through on workers that start a task in so long and need so long an
item."""

from __future__ import annotations

import heapq
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.pace import Pace


class Played:
    """A whole job: the ranges in the order in which they were handed out, and when each worker was done."""

    def __init__(
        self, total: int, workers: int, start_s: float, item_s: float, spread: float = 0.0, noise: float = 0.0,
        seed: int = 1,
    ) -> None:
        """Items differ by a share `spread`; with `noise` a range as a whole takes more or less, as a logarithm."""
        chance = random.Random(seed)
        self.pace = Pace()
        self.ranges: list[int] = []
        left, self.ends = total, [0.0] * workers
        running: list[tuple[float, int, float]] = []
        now, idle = 0.0, workers
        while left or running:
            while left and idle:
                count = self.pace.size(left, workers, None)
                self.ranges.append(count)
                left, idle = left - count, idle - 1
                wall = start_s + sum(item_s * (1 + spread * chance.uniform(-1, 1)) for _ in range(min(count, 1000))) * (
                    count / min(count, 1000))  # fmt: skip
                wall *= chance.lognormvariate(0.0, noise) if noise else 1.0
                heapq.heappush(running, (now + wall, count, wall))
            now, count, wall = heapq.heappop(running)
            idle += 1
            self.pace.learn(count, wall)
            self.ends = [*self.ends[1:], now]
        self.work_s = total * item_s / workers
        self.wall_s = now

    @property
    def tail_s(self) -> float:
        """From the time that the first worker found nothing more to do to the end."""
        return self.ends[-1] - self.ends[0]


def test_the_first_range_is_one_item() -> None:
    assert Pace().size(10**9, 64, None) == 1


@pytest.mark.parametrize("item_s", [1e-6, 1e-4, 0.003, 0.05])
def test_ranges_come_to_a_second_of_work_in_a_few_steps(item_s: float) -> None:
    played = Played(round(200 * 4 / item_s), 4, 0.002, item_s)
    grown = next(at for at, count in enumerate(played.ranges) if count * item_s > 0.7)
    assert grown < 100
    middle = played.ranges[grown : len(played.ranges) // 2]
    assert all(0.5 < count * item_s < 1.5 for count in middle)


@pytest.mark.parametrize("spread", [0.0, 0.9])
@pytest.mark.parametrize("workers", [1, 2, 16, 64])
def test_towards_the_end_ranges_shrink_so_that_nobody_waits_for_one(workers: int, spread: float) -> None:
    played = Played(60_000 * workers, workers, 0.002, 0.001, spread)
    assert played.tail_s < 0.2, "the last ranges were too long"
    assert played.wall_s < 1.02 * played.work_s


def test_where_starting_costs_much_ranges_are_longer() -> None:
    played = Played(4_000_000, 4, 5.0, 0.001)
    assert 30_000 < max(played.ranges) < 90_000, "nine times as long as its start, about"
    assert played.wall_s < 1.2 * played.work_s
    assert played.ranges[-1] * 0.001 > 1.0, "no start for a handful of items at the end"


def test_items_that_take_their_time_come_one_by_one() -> None:
    assert set(Played(100, 4, 0.01, 30.0).ranges) == {1}


def test_a_first_item_that_took_long_is_not_taken_for_the_cost_of_a_start() -> None:
    pace = Pace()
    pace.learn(1, 20.0)
    for _ in range(40):
        count = pace.size(1_000_000, 2, None)
        pace.learn(count, 0.002 + 0.001 * count)
    assert pace.start_s < 0.05
    assert 500 < pace.size(1_000_000, 2, None) < 1500


def test_a_costly_start_is_found_on_a_machine_that_is_busy_with_other_things() -> None:
    """A start takes 1.1 s, an item 0.05, and a range as a whole half or twice as long; starts alone were 990 s."""
    took = sorted(Played(1800, 2, 1.1, 0.05, noise=0.5, seed=seed).wall_s for seed in range(16))
    assert took[8] < 200, "most starts are for a single item"
    assert took[-1] < 450


def test_what_items_differ_by_is_hardly_ever_taken_for_the_cost_of_a_start() -> None:
    for seed in range(16):
        ranges = Played(300, 8, 0.05, 10.0, noise=0.5, seed=seed).ranges
        assert sum(count > 2 for count in ranges) < 20
        assert max(ranges) < 12


def test_a_timeout_is_kept_away_from() -> None:
    pace = Pace()
    for _ in range(40):
        count = pace.size(10**9, 2, 2.0)
        pace.learn(count, 0.01 * count)
    assert 0.4 < 0.01 * pace.size(10**9, 2, 2.0) <= 0.51


def test_nothing_is_tried_that_the_timeout_would_end() -> None:
    pace = Pace()
    for _ in range(200):
        count = pace.size(10**9, 2, 15.0)
        assert count == 1
        pace.learn(count, 10.0)


def test_it_is_kept_as_json() -> None:
    pace = Played(1000, 2, 0.01, 0.01).pace
    assert msgspec.json.decode(msgspec.json.encode(pace), type=Pace) == pace
    assert msgspec.json.decode(msgspec.json.encode(Pace()), type=Pace) == Pace()


def test_what_a_range_took_is_compared_as_one_of_the_usual_size() -> None:
    pace = Played(500_000, 4, 0.1, 0.001).pace
    usual = pace.as_usual_s(pace.unit, 0.1 + 0.001 * pace.unit)
    assert usual == pytest.approx(0.1 + 0.001 * pace.unit, rel=0.01)
    assert pace.as_usual_s(10, 0.1 + 0.010) == pytest.approx(usual, rel=0.1), "a small one tells the same"
    assert pace.as_usual_s(100, 0.1 + 2 * 0.1) == pytest.approx(0.1 + 2 * 0.001 * pace.unit, rel=0.1), "twice as slow"


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1e4)), max_size=30), st.integers(1, 10**9),
    st.integers(0, 5000), st.none() | st.floats(1e-3, 1e6),
)
def test_a_size_is_always_one_that_can_be_handed_out(
    ends: list[tuple[int, float]], left: int, workers: int, timeout_s: float | None
) -> None:
    pace = Pace()
    for count, wall_s in ends:
        pace.learn(count, wall_s)
    assert 1 <= pace.size(left, workers, timeout_s) <= left
    assert pace.start_s >= 0
    assert pace.item_s >= 0
