"""Readings say what the machine did, as well as a real sampler could; starts keep to the decision."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.governor.decision import Binding, Decision, Fit
from gristmill.supervisor.core.governor.reading import Reading
from tests.simulator.run import Course, run
from tests.simulator.world import GB, MB, NICED, Hardware, Kind, Memory, Neighbour, Scenario

SMALL = Memory(50 * MB, spread=0.0)


class Scribe:
    """Decides always the same, and keeps what it was told."""

    settled: Decision | None = None

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self.readings: list[Reading] = []

    def decide(self, reading: Reading) -> Decision:
        self.readings.append(reading)
        return self._decision

    def glance(self, at: float, available: float) -> tuple[str, ...]:
        return ()


def told(
    *kinds: Kind, limit: int = 4, fits: dict[str, Fit] | None = None, **more: object
) -> tuple[Course, list[Reading]]:
    scribe = Scribe(Decision(limit=limit, binding=Binding.USER, reason="", fits=fits or {}))
    scenario = Scenario("one", Hardware(8, 16 * GB), kinds, 200, **more)  # type: ignore[arg-type]
    return run(scenario, [scribe]), scribe.readings


def test_cpu_is_told_as_it_was_used_of_ours_of_others_and_of_batch_work() -> None:
    neighbours = (Neighbour(0, 1e9, threads=2), Neighbour(0, 1e9, threads=1, niced=True))
    course, readings = told(Kind("burn", 20, SMALL), neighbours=neighbours, weight=NICED)
    last = readings[50:]

    def mean(name: str) -> float:
        return float(sum(getattr(one, name) for one in last) / len(last))

    assert mean("cpu_ours") == pytest.approx(4, rel=0.02)
    assert mean("cpu_nice") == pytest.approx(1, rel=0.1)
    assert mean("cpu_total") == pytest.approx(7.04, rel=0.03)
    assert {one.batch_users for one in last} == {1}
    assert sum(task.cpu for one in last for task in one.running) / len(last) == pytest.approx(4, rel=0.06)
    assert course.harm() < 0.02


def test_what_ended_is_told_once_with_its_figures() -> None:
    course, readings = told(Kind("burn", 10, SMALL, sigma=0.0), Kind("rest", 5, SMALL, sigma=0.0, share=0.1, cycle=1))
    ended = [one for reading in readings for one in reading.ended]
    burns = [one for one in ended if one.kind == "burn"]
    assert {round(one.wall, 1) for one in burns} == {10.0}
    assert all(one.cpu == pytest.approx(10, rel=0.02) and one.peak == pytest.approx(50 * MB) for one in burns)
    assert all(one.busy == pytest.approx(4, abs=0.1) for one in ended[4:])
    done = sum(one.count * one.wall for one in ended)
    assert done == pytest.approx(4 * 200, rel=0.06)
    assert course.ooms == 0


def test_the_cpu_of_short_tasks_is_theirs_to_the_end() -> None:
    _, readings = told(Kind("short", 0.9, SMALL, sigma=0.0))
    cpu = [one.cpu for reading in readings[5:] for one in reading.ended]
    assert sum(cpu) / len(cpu) == pytest.approx(0.9, rel=0.02)


def test_tiny_tasks_are_told_in_sum_and_not_one_by_one() -> None:
    _, readings = told(Kind("tiny", 0.02, SMALL, share=0.9))
    assert not any(one.running for one in readings)
    count = sum(one.count for reading in readings[1:] for one in reading.ended)
    assert count == pytest.approx(4 / 0.02 * 200, rel=0.03)
    walls = [one.wall for reading in readings[1:] for one in reading.ended]
    assert walls[50] == pytest.approx(0.02, rel=0.1)


def test_age_memory_and_progress_of_what_runs() -> None:
    kinds = (Kind("tells", 50, Memory(1 * GB, spread=0.0, floor=0.0, ramp=1.0), sigma=0.0, reports=True),
             Kind("silent", 50, SMALL, sigma=0.0))
    _, readings = told(*kinds)
    reading = readings[30]
    for task in reading.running:
        assert task.age == pytest.approx(reading.at, abs=1.1)
        if task.kind == "tells":
            assert task.progress == pytest.approx(task.age / 50, abs=0.03)
            assert task.memory == pytest.approx(task.age / 50 * GB, rel=0.15)
        else:
            assert task.progress is None
    assert reading.memory_available == pytest.approx(16 * GB * 0.96 - sum(t.memory for t in reading.running), rel=0.03)


def test_what_waits_is_told_until_nothing_waits() -> None:
    _, readings = told(Kind("few", 10, SMALL, arrivals=((0.0, 6), (100.0, 3))))
    assert readings[0].waiting[0].count == 6
    assert readings[5].waiting[0].count == 2
    assert not readings[60].waiting and not readings[60].running
    assert any(one.running for one in readings if one.at > 101)


def test_no_more_starts_than_the_decision_lets() -> None:
    course, _ = told(Kind("burn", 10, SMALL), limit=3)
    assert course.busy.max() <= 3
    course, _ = told(Kind("burn", 10, SMALL), limit=8, fits={"burn": Fit(need=1.0, room=1e12, most=2)})
    assert course.busy.max() <= 2
    course, _ = told(Kind("burn", 10, SMALL), limit=8, fits={"burn": Fit(need=1 * GB, room=3.5 * GB)})
    assert course.busy.max() == 3


def test_of_two_kinds_that_with_fewer_running_starts_next() -> None:
    _, readings = told(Kind("long", 40, SMALL), Kind("short", 3, SMALL), limit=8)
    mixes = [sorted(task.kind for task in one.running) for one in readings[60:]]
    assert all(3 <= mix.count("long") <= 5 for mix in mixes)


@pytest.mark.parametrize(("share", "threads"), [(1.0, 1), (0.5, 1), (0.5, 2)])
def test_on_a_machine_full_of_others_work_it_is_told_what_tasks_would_use(share: float, threads: int) -> None:
    kind = Kind("some", 100, SMALL, share=share, threads=threads, cycle=0.5)
    _, readings = told(kind, neighbours=(Neighbour(60, 1e9, threads=12),))
    assert {task.wanted for one in readings[:50] for task in one.running} == {None}
    late = [task for one in readings[80:180] for task in one.running]
    known = [task.wanted for task in late if task.wanted is not None]
    assert len(known) > 0.9 * len(late)
    assert sum(known) / len(known) == pytest.approx(share * threads, rel=0.1)
    assert sum(task.cpu for task in late) / len(late) < 0.8 * share * threads
