"""When queues end: against what can be reckoned by hand, and against a queue that is played out task by task."""

from __future__ import annotations

import heapq
import math
import random

import pytest

from gristmill.supervisor.core.forecast import Error, Line, changed, forecast


def ends(*lines: Line, workers: int = 4) -> dict[int, float]:
    return {number: round(span.end_s, 3) for number, span in forecast(lines, workers).items()}


def test_a_job_alone_takes_its_work_over_the_workers_and_never_less_than_one_task() -> None:
    assert ends(Line(1, 40, 10.0)) == {1: 100.0}
    assert ends(Line(1, 2, 10.0)) == {1: 10.0}
    assert ends(Line(1, 40, 10.0, most=2)) == {1: 200.0}


def test_jobs_of_one_priority_share_and_the_rest_of_the_longer_has_all_workers() -> None:
    assert ends(Line(1, 20, 10.0), Line(2, 40, 10.0)) == {1: 100.0, 2: 150.0}
    assert ends(Line(1, 10, 10.0, most=1), Line(2, 30, 10.0)) == {1: 100.0, 2: 100.0}  # what one can't use others have


def test_a_higher_priority_goes_first() -> None:
    found = forecast([Line(1, 40, 10.0), Line(2, 40, 10.0, priority=1)], 4)
    assert (found[2].begin_s, found[2].end_s) == (0.0, 100.0)
    assert (found[1].begin_s, found[1].end_s) == (100.0, 200.0)


def test_jobs_wait_for_others_and_for_their_time() -> None:
    found = forecast([Line(1, 40, 10.0), Line(2, 4, 10.0, needs=(1,)), Line(3, 4, 5.0, wait_s=500.0)], 4)
    assert [(round(span.begin_s), round(span.end_s)) for _, span in sorted(found.items())] == [
        (0, 100), (100, 110), (500, 505)
    ]


def test_of_what_is_not_known_nothing_is_said_nor_of_what_waits_for_it() -> None:
    assert ends(Line(1, 40, None), Line(2, 4, 1.0, needs=(1,)), Line(3, 4, 10.0)) == {3: 10.0}
    assert ends(Line(1, 4, 1.0, needs=(2,)), Line(2, 4, 1.0, needs=(1,))) == {}
    assert forecast([Line(1, 4, 1.0)], 0) == {}


def played(lines: list[Line], workers: int, spread: float, seed: int) -> dict[int, float]:
    """The queue task by task: who has the fewest running is next, of equals who was served longest ago."""
    chance, now = random.Random(seed), 0.0
    served = dict.fromkeys((line.id for line in lines), 0.0)
    left = {line.id: int(line.tasks) for line in lines}
    live = dict.fromkeys(left, 0)
    heap: list[tuple[float, int]] = []
    ended: dict[int, float] = {}
    while left or heap:
        while left and len(heap) < workers:
            number = min(left, key=lambda one: (live[one], served[one]))
            served[number] = now + 1e-9 * len(heap)
            wall = next(line.wall_s for line in lines if line.id == number) or 0.0
            heapq.heappush(heap, (now + wall * math.exp(chance.gauss(0, spread)), number))
            live[number] += 1
            left[number] -= 1
            if not left[number]:
                del left[number]
        now, number = heapq.heappop(heap)
        live[number] -= 1
        if number not in left and not live[number]:
            ended[number] = now
    return ended


@pytest.mark.parametrize("seed", range(20))
def test_a_queue_that_is_played_out_ends_about_then(seed: int) -> None:
    chance = random.Random(seed)
    workers = chance.randint(2, 16)
    lines = [Line(n, chance.randint(20, 200), chance.uniform(1, 60)) for n in range(1, chance.randint(2, 6))]
    said, was = forecast(lines, workers), played(lines, workers, 0.3, seed)
    last = max(was.values())
    assert max(span.end_s for span in said.values()) == pytest.approx(last, rel=0.2)
    for number, span in said.items():
        assert abs(span.end_s - was[number]) < 0.25 * last


def test_what_if_some_were_not_there_or_faster() -> None:
    lines = [Line(1, 40, 10.0), Line(2, 40, 10.0, needs=(1,))]
    assert ends(*changed(lines, [1], {})) == {2: 100.0}
    assert ends(*changed(lines, [], {1: 2.0})) == {1: 50.0, 2: 150.0}


def test_the_error_is_what_forecasts_were_off_and_sets_the_band() -> None:
    error = Error()
    low, high = error.band(100.0)
    assert low < 70 and high > 140
    for _ in range(60):
        error = error.learn(100.0, 110.0)
    low, high = error.band(100.0)
    assert 85 < low < 95 and 105 < high < 120 and error.count == 60
    assert error.learn(100.0, 1e9).square < 1.0  # one surprise is not the end of it


@pytest.mark.parametrize("off", [0.1, 0.5])
def test_four_of_five_end_within_the_band(off: float) -> None:
    chance, error, within = random.Random(1), Error(), 0
    for number in range(600):
        took = 100.0 * math.exp(chance.gauss(0, off))
        if number >= 100:
            low, high = error.band(100.0)
            within += low <= took <= high
        error = error.learn(100.0, took)
    assert within / 500 == pytest.approx(0.8, abs=0.06)
