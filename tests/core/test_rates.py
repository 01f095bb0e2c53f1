"""The table of measured rates: what a number of workers is known to get done, and how surely."""

from __future__ import annotations

import math

import pytest

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Claim, Ended, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.kinds import Kind
from gristmill.supervisor.core.governor.rates import Rates
from gristmill.supervisor.core.governor.search import Search


def table(*seen: tuple[float, float, int]) -> Rates:
    """(workers, ln cost among them, how many tasks): a little noisy, as tasks are."""
    rates = Rates()
    for workers, cost, count in seen:
        for number in range(count):
            rates = rates.charge(workers, cost + (0.1 if number % 2 else -0.1), 1.0)
    return rates


def test_an_hour_at_one_number_does_not_speak_for_a_minute_at_the_next() -> None:
    rates = table((64, 0.0, 2000), (72, 0.4, 30))
    assert rates.cost(72).value == pytest.approx(0.4, abs=0.05)
    assert rates.cost(64).value == pytest.approx(0.0, abs=0.02)


def test_what_was_seen_nearby_tells_something_and_what_was_seen_far_off_hardly_anything() -> None:
    rates = table((64, 0.5, 200), (8, 0.0, 200))
    near, far = rates.cost(68), rates.cost(30)
    assert near.value == pytest.approx(0.48, abs=0.05)
    assert near.error < 0.15 < far.error


def test_of_two_tasks_that_cost_the_same_nothing_is_known_yet() -> None:
    two, many = Rates().charge(8, 0.2, 2.0), table((8, 0.2, 50))
    assert two.cost(8).error > 0.1
    assert many.cost(8).error < 0.05


def test_a_cost_is_counted_as_dear_as_it_is() -> None:
    """Sixty times as dear is not the same as eight times."""
    crowd = Rates().charge(120, math.log(60), 50.0)
    assert crowd.cost(120).value > math.log(40)


def waiting(*seen: tuple[float, float], seconds: float = 60.0) -> Rates:
    """(workers, share of the time that each runs rather than waits), for so long."""
    rates = Rates()
    for workers, share in seen:
        rates = rates.progress(workers, workers * share, seconds)
        rates = rates.watch(workers, math.log(share / (1 - share)), seconds)
    return rates


def test_those_who_run_for_longer_between_two_waits_get_less_of_them_done() -> None:
    """Each waits as long as ever for a piece of work, so the time waited tells how many pieces there were."""
    eased = waiting((40, 0.4), (60, 0.64)).eased(60, 40)
    assert eased is not None
    assert eased.value == pytest.approx(math.log(60 * 0.36 / (40 * 0.6)))
    assert eased.error < 0.12
    few = waiting((4, 0.4), (6, 0.64)).eased(6, 4)
    assert few is not None and few.error > 2 * eased.error, "of few it may be chance"


def test_where_all_run_and_wait_as_ever_twice_as_many_get_twice_as_much_done() -> None:
    eased = waiting((20, 0.4), (40, 0.4)).eased(40, 20)
    assert eased is not None and eased.value == pytest.approx(math.log(2))


def test_a_few_seconds_tell_nothing_of_how_tasks_run_and_wait() -> None:
    assert waiting((40, 0.4), (60, 0.64), seconds=4.0).eased(60, 40) is None
    assert waiting((40, 0.4)).eased(60, 40) is None


class Machine:
    """Sixteen cores; tasks have cost one CPU second so far, and take a second."""

    def __init__(self, number: int) -> None:
        self.at = 0.0
        known = Kind(ends=50, wall=1.0, cpu=1.0, use=1.0, costed=40.0, cost=0.0, claim=1e7)
        self.state = State(
            limit=number, kinds={"k#1": known}, mix={"k#1": 1.0}, prevailing="k#1",
            search=Search(number=number, ramping=False, due={"up": 1e9, "down": 1e9, "trim": 1e9}),
        )

    def second(self, spent: float, ended: int) -> None:
        self.at += 1.0
        count = self.state.search.number
        tasks = tuple(
            Running(task=f"1.{n}.1", kind="k#1", age=10.0, cpu=16 / count, memory=1e7, spent=spent)
            for n in range(count)
        )
        ends = (Ended(kind="k#1", count=ended, wall=1.0, cpu=1.0, peak=1e7, busy=float(count)),) if ended else ()
        self.state, _ = governor.decide(
            Reading(
                at=self.at, cores=16.0, cpu_total=16.0, cpu_ours=16.0, memory_total=64e9, memory_available=60e9,
                busy=float(count), running=tasks, ended=ends,
                waiting=(Waiting(kind="k#1", count=999, claim=Claim(memory=1e7)),),
            ),
            self.state,
        )

    @property
    def cost(self) -> float:
        return self.state.rates["k#1"].cost(self.state.search.number).value


def test_tasks_that_cost_far_more_than_usual_and_still_run_are_counted() -> None:
    """Among too many workers the few that end are the cheap ones: they alone would tell that all is well."""
    machine = Machine(16)
    for second in range(20):
        machine.second(spent=3.0 + second, ended=1)
    assert machine.cost > 0.5


def test_tasks_that_cost_as_usual_are_counted_once_they_end() -> None:
    machine = Machine(16)
    for _ in range(20):
        machine.second(spent=0.8, ended=14)
    assert machine.cost == pytest.approx(0.0, abs=0.05)
