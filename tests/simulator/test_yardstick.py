"""The best constant number agrees with what theory says where theory says anything, and with trying every number."""

from __future__ import annotations

import pytest

from tests.simulator import chance, scenarios, yardstick
from tests.simulator.controllers import Constant
from tests.simulator.run import run
from tests.simulator.score import judge
from tests.simulator.world import GB, MB, Hardware, Kind, Memory, Neighbour, Scenario


def world(kind: Kind, hardware: Hardware | None = None, **more: object) -> Scenario:
    return Scenario("one", hardware or Hardware(8, 16 * GB), (kind,), 300, **more)  # type: ignore[arg-type]


def test_burners_as_many_as_cores() -> None:
    best = yardstick.search(world(Kind("burn", 10, Memory(50 * MB))))
    assert best.workers == 8 and best.rate == pytest.approx(8, rel=0.01)


def test_sleepers_as_many_as_memory_holds() -> None:
    best = yardstick.search(world(Kind("sleep", 10, Memory(0.1 * GB, spread=0.0), share=0.001)))
    assert 150 <= best.workers <= 153  # (16 - 0.64) / 0.1


def test_hogs_as_many_as_memory_holds_and_none_where_none_fits() -> None:
    assert yardstick.search(world(Kind("hog", 40, Memory(3 * GB, spread=0.0)))).workers == 5
    assert yardstick.search(world(Kind("hog", 40, Memory(17 * GB)))).workers == 0


def test_up_to_the_cliff_and_no_further() -> None:
    best = yardstick.search(world(Kind("cube", 10, Memory(50 * MB)), Hardware(32, 64 * GB, cliff=13, steepness=2)))
    assert best.workers == 13


def test_others_are_left_what_they_want() -> None:
    best = yardstick.search(world(Kind("burn", 10, Memory(50 * MB)), neighbours=(Neighbour(-1e6, 1e9, threads=5),)))
    assert best.workers == 3


@pytest.mark.parametrize("name", ["feed-forward", "four threads", "container with 4"])
def test_trying_every_number_finds_nothing_better(name: str) -> None:
    scenario = next(one for one in scenarios.NAMED if name in one.name)
    held = yardstick.held(scenario, scenario.segments[0])
    trials = [yardstick.attempt(held, workers) for workers in range(1, 14)]
    assert yardstick.best(scenario, scenario.segments[0]).rate >= 0.99 * max(one.rate for one in trials if one.fits)


def test_what_is_kept_is_what_the_simulator_says_now() -> None:
    """After a change of the simulator or of a scenario: `python tests/bench/simulate.py --keep named`, and `random`."""
    kept = yardstick._kept()
    for one in scenarios.ALL:
        for segment in one.segments:
            assert yardstick._key(yardstick.held(one, segment)) in kept, one.name
    one = next(one for one in scenarios.ALL if one.name == "mixed classes")
    assert yardstick.search(yardstick.held(one, one.segments[0])) == yardstick.best(one, one.segments[0])


@pytest.mark.parametrize("scenario", [one for one in scenarios.ALL if one.best_near], ids=lambda one: one.name)
def test_the_best_number_lies_near_that_of_the_table(scenario: Scenario) -> None:
    assert scenario.best_near is not None
    found = yardstick.best(scenario, scenario.segments[0]).workers
    assert abs(found - scenario.best_near) <= max(1, 0.12 * scenario.best_near)


def test_the_best_constant_scores_a_hundred_and_half_of_it_about_fifty() -> None:
    scenario = next(one for one in scenarios.NAMED if one.name.startswith("I/O"))
    best = yardstick.best(scenario, scenario.segments[0])
    full = judge(run(scenario, [Constant(best.workers)]), "constant")
    half = judge(run(scenario, [Constant(best.workers // 2)]), "constant")
    assert full.steady == pytest.approx(1, abs=0.02) and full.reached < 20
    assert 0.48 < half.steady < 0.56 and half.reached == float("inf")


def test_random_scenarios_are_many_and_the_same_each_time() -> None:
    drawn = [chance.draw(seed) for seed in chance.JUDGING[:200]]
    assert drawn[:5] == [chance.draw(seed) for seed in chance.JUDGING[:5]]
    assert len({one.hardware.cores for one in drawn}) > 8
    assert sum(len(one.kinds) > 1 for one in drawn) > 30
    assert sum(bool(one.neighbours) for one in drawn) > 40
    assert not set(chance.TUNING) & set(chance.JUDGING)


def test_the_winners_luck_is_not_part_of_the_yardstick() -> None:
    """Tasks that wait half of the time, on two cores: one run differs from the next by several per cent."""
    luck = world(Kind("half", 5, Memory(50 * MB), share=0.5, cycle=5), Hardware(2, 8 * GB))
    held = yardstick.held(luck, luck.segments[0])
    best = yardstick.search(held)
    fresh = [yardstick.attempt(held, best.workers, seed).rate for seed in range(20, 32)]
    assert best.rate == pytest.approx(sum(fresh) / len(fresh), rel=0.04)
