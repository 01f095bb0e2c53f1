"""What tasks will come to hold: of kinds of which little is known, and after a lack of memory."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Decision, Ended, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.kinds import BINS, LIFE, Kind

GB = 1e9
TOTAL, RESERVE, THEIRS = 64 * GB, 3.2 * GB, 4 * GB
Curve = Callable[[float], float]
"""Bytes that a task holds at an age."""
OVER = math.inf


def plateau(age: float) -> float:
    return (0.2 + 1.8 * min(1.0, age / 40)) * GB


def late(age: float) -> float:
    """Flat for a minute, then without end."""
    return (1.0 + 0.02 * max(0.0, age - 60)) * GB


def steady(age: float) -> float:
    return (0.5 + 0.05 * age) * GB


def hump(age: float) -> float:
    return (2.0 + 1.5 * max(0.0, 1 - abs(age - 30) / 30)) * GB


class Cohort:
    """Tasks of one kind that follow a curve, on a machine of 64 GB; a governor that looks at them once a second."""

    def __init__(self, curve: Curve) -> None:
        self.curve, self.at, self.state = curve, 0.0, State()

    def look(self, starts: list[float], **facts: object) -> Decision:
        """One look at the tasks that were started then; those are over for which it says `OVER`."""
        self.at += 1.0
        tasks = tuple(
            Running(task=f"1.{n}.1", kind="k#1", age=self.at - start, cpu=0.1, memory=self.curve(self.at - start))
            for n, start in enumerate(starts) if start < self.at
        )
        free = TOTAL - THEIRS - sum(task.memory for task in tasks)
        plain: dict[str, object] = {
            "at": self.at, "cores": 8.0, "cpu_total": 0.1 * len(tasks), "cpu_ours": 0.1 * len(tasks),
            "memory_total": TOTAL, "memory_available": free, "busy": float(len(tasks)), "running": tasks,
            "waiting": (Waiting(kind="k#1", count=1000),),
        }
        told = Reading(**{**plain, **facts})  # type: ignore[arg-type]  # a test's free hand
        self.state, decision = governor.decide(told, self.state)
        return decision

    def until(self, at: float, *starts: float) -> Decision:
        """The decision at that second."""
        while self.at < at:
            decision = self.look(list(starts))
        return decision

    @property
    def kind(self) -> Kind:
        return self.state.kinds["k#1"]


def forecast(decision: Decision) -> float:
    """Bytes that all that runs is taken to come to hold."""
    return TOTAL - THEIRS - RESERVE - decision.fits["k#1"].room


# ── a kind of which none has ended ────────────────────────────────────────────────────────────────────────────────


def test_the_younger_are_taken_to_grow_as_far_as_the_oldest_did_however_fast_they_do_so() -> None:
    cohort = Cohort(plateau)
    decision = cohort.until(100.0, 0.0, *([80.0] * 12))
    assert cohort.curve(20.0) == 1.1 * GB, "each grows by 45 MB a second"
    assert forecast(decision) == pytest.approx(13 * 2 * GB, rel=0.05)
    assert decision.admits("k#1", {"k#1": 13})
    assert decision.admits("k#1", {"k#1": 22})


def test_where_the_oldest_still_grows_so_will_the_younger_though_they_do_not_yet() -> None:
    cohort = Cohort(late)
    decision = cohort.until(120.0, 0.0, 90.0, 90.0)
    oldest = cohort.curve(120.0) + 120 * 0.02 * GB  # for as long again
    younger = cohort.curve(115.0) + 100 * 0.02 * GB
    assert forecast(decision) == pytest.approx(oldest + 2 * younger, rel=0.03)


def test_a_canary_alone_is_taken_to_grow_on_as_it_does() -> None:
    decision = Cohort(steady).until(30.0, 0.0)
    assert forecast(decision) == pytest.approx((2.0 + 100 * 0.05) * GB)
    assert decision.fits["k#1"].need == pytest.approx(4 * GB), "the next may double as well"
    assert decision.admits("k#1", {"k#1": 1})


def test_a_canary_whose_growth_fills_the_machine_stays_alone() -> None:
    decision = Cohort(lambda age: (1.0 + 0.6 * age) * GB).until(20.0, 0.0)
    assert forecast(decision) == pytest.approx((13 + 60) * GB)
    assert not decision.admits("k#1", {"k#1": 1})


def test_hardly_younger_than_the_oldest_a_task_goes_by_its_own_growth() -> None:
    """Both are two minutes old, give or take some; what the oldest did in its last seconds tells nothing yet."""
    cohort = Cohort(lambda age: (1.0 + 0.05 * min(110.0, age)) * GB)
    decision = cohort.until(134.0, 0.0, 24.0)
    assert forecast(decision) == pytest.approx((6.5 + 6.5 + 110 * 0.05) * GB)


@pytest.mark.parametrize("ends", [0, 1])
@pytest.mark.parametrize("again", [False, True])
def test_when_the_oldest_is_over_the_younger_are_still_taken_to_grow_as_it_did(ends: int, again: bool) -> None:
    """It ended, or failed; and the daemon may have been started again, which all that ran is queued for anew."""
    cohort = Cohort(plateau)
    cohort.until(100.0, 0.0, *([80.0] * 12))
    one = Ended(kind="k#1", wall=100.0, cpu=10.0, peak=2 * GB, busy=13.0)
    starts = [OVER, *([80.0] * 12)]
    if again:
        cohort.state, starts = governor.lasting(cohort.state), [OVER, *([100.0] * 12)]
    cohort.look(starts, ended=(one,) * ends)
    for _ in range(60):
        decision = cohort.look(starts)
        if cohort.at - starts[1] > 2:  # what takes no time at first tells little of what comes
            assert forecast(decision) == pytest.approx(12 * 2 * GB, rel=0.15)


# ── a kind becomes known ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("curve", [plateau, steady, hump])
@pytest.mark.parametrize("wall", [20.0, 60.0, 240.0])
def test_what_was_seen_by_age_is_known_by_point_of_life_as_soon_as_three_have_ended(curve: Curve, wall: float) -> None:
    def stretched(age: float) -> float:
        return curve(60 * age / wall)

    cohort = Cohort(stretched)
    starts = [0.0, *(wall * part / 8 for part in range(2, 12))]
    ends = 0
    while ends < 3:
        over = [start for start in starts if cohort.at + 1.0 - start >= wall]
        starts = [OVER if start in over else start for start in starts]
        ends += len(over)
        peak = max(stretched(age) for age in range(int(wall)))
        ended = (Ended(kind="k#1", count=len(over), wall=wall, cpu=1.0, peak=peak, busy=8.0),) if over else ()
        cohort.look(starts, ended=ended)
    assert cohort.kind.known
    assert cohort.kind.youth == (), "it is needed no longer"
    for point in range(BINS - 1):  # of the last the middle lies beyond the end
        age = (point + 0.5) / BINS * LIFE * wall
        assert cohort.kind.memory_at(age) == pytest.approx(stretched(age), rel=0.1), f"at {age:.1f} s"
    cohort.look(starts)
    assert cohort.kind.youth == ()


def test_a_known_kind_is_forecast_by_what_was_seen_before_it_was_known() -> None:
    """Those that run will have ended when those to come hold most: by their peaks alone, two fewer would be let in."""
    cohort = Cohort(steady)
    cohort.until(59.0, 0.0, 0.0, 0.0, *([30.0] * 8))
    ended = (Ended(kind="k#1", count=3, wall=60.0, cpu=6.0, peak=steady(60.0), busy=11.0),)
    decision = cohort.look([OVER, OVER, OVER, *([30.0] * 8)], ended=ended)
    assert cohort.kind.known
    assert decision.admits("k#1", {"k#1": 8 + 11})
    assert not decision.admits("k#1", {"k#1": 8 + 12})


# ── after a lack of memory ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wall", [4.0, 20.0])
@pytest.mark.parametrize(
    ("ends", "raised", "need"),
    [
        (0, 6.0, 6.0), (2, 6.0, 6.0), (3, 6.0, 6.0), (7, 6.0, 6.0), (8, 6.0, 3.0), (40, 6.0, 3.0), (8, 2.5, 2.5),
        (8, 0.0, 2.0),
    ],
)
def test_a_raised_need_holds_until_eight_have_ended_then_no_more_than_the_largest_seen(
    ends: int, raised: float, need: float, wall: float
) -> None:
    one = Ended(kind="k#1", count=ends, wall=wall, cpu=1.0, peak=2 * GB, largest=3 * GB, busy=1.0)
    lines = (Waiting(kind="k#1", count=9, raised=raised * GB),)
    told = Reading(
        at=1.0, cores=8.0, cpu_total=0.0, cpu_ours=0.0, memory_total=TOTAL, memory_available=60 * GB, waiting=lines,
        ended=(one,) if ends else (),
    )
    _, decision = governor.decide(told, State())
    assert decision.fits["k#1"].need == pytest.approx(need * GB)
