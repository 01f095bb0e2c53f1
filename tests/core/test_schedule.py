"""Which job comes next, and why another waits."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.cards import Card, Cards
from gristmill.supervisor.core.footprint import Footprint
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.schedule import (
    PATIENCE_LENGTHS,
    PATIENCE_S,
    Room,
    charge,
    charge_behind,
    choose,
    keep_room,
    patience,
    width,
)
from gristmill.supervisor.core.spec import Items, Resources, Spec
from gristmill.supervisor.core.task import Task, TaskState, advance

GB = 1e9
KEPT = "turn: room is kept for job 1 (j1), which others have passed for long"


def job(number: int, total: int = 100, priority: int = 0, **resources: object) -> Job:
    spec = Spec(name=f"j{number}", kind="command", command="true", cwd="/", items=Items(total=total),
                priority=priority, resources=Resources(**resources))  # type: ignore[arg-type]  # a test's free hand
    made = Job(id=number, spec=spec, file="", submitted_at=float(number))
    made.footprint = Footprint(ends=3, wall_s=1.0, memory_bytes=int(0.1 * GB))
    return made


def tiny(number: int, total: int = 10_000, priority: int = 0) -> Job:
    """A job whose tasks are sent ahead, 24 to a worker."""
    made = job(number, total, priority)
    made.footprint = Footprint(ends=50, wall_s=0.001, memory_bytes=1000)
    return made


def room(memory: float = 10 * GB, cpus: float = 8.0) -> Room:
    return Room(memory_bytes=memory, cpus=cpus, unknown_bytes=0.1 * GB, total_memory_bytes=16 * GB, cores=8.0)


def start(jobs: list[Job], times: int, space: Room | None = None, limit: int = 100) -> list[int]:
    """Ids of the jobs chosen, one after another, each with its task started."""
    space = space or room()
    chosen = []
    for _ in range(times):
        best = choose(jobs, space, 0.0, width(jobs), limit)
        if best is None:
            break
        charge(best, space)
        best.take(0.0)
        chosen.append(best.id)
    return chosen


def test_a_small_job_gets_its_turn_beside_a_long_one() -> None:
    jobs = [job(1, total=10_000), job(2, total=3)]
    assert start(jobs, 6) == [1, 2, 1, 2, 1, 2]


def test_on_a_single_worker_every_job_has_its_turn_and_a_later_one_at_once() -> None:
    jobs = [job(1, total=10_000), job(2, total=10_000)]
    turns = []
    for now in range(1, 8):
        if now == 5:
            jobs.append(job(3, total=2))
        best = choose(jobs, room(), float(now), width(jobs), 1)
        assert best is not None
        best.settle(advance(best.take(float(now)), TaskState.DONE))
        turns.append(best.id)
    assert turns == [1, 2, 1, 2, 3, 1, 2]


def test_priority_comes_before_fairness() -> None:
    jobs = [job(2, total=2, priority=5), job(1)]
    assert start(jobs, 4) == [2, 2, 1, 1]


def test_the_limit_is_never_passed() -> None:
    assert start([job(1), job(2)], 9, limit=3) == [1, 2, 1]


@pytest.mark.parametrize(("limit", "sent"), [(3, True), (2, False), (0, False)])
def test_workers_beyond_a_limit_that_fell_run_dry(limit: int, sent: bool) -> None:
    """Tiny tasks are sent ahead to busy workers as long as those may all be busy."""
    flood = tiny(1)
    start([flood], 2 * 24 + 1, limit=3)
    busy = width([flood])
    assert busy == 3
    assert (choose([flood], room(), 0.0, busy, limit) is flood) is sent


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_job_says_what_holds_it_also_while_more_are_busy_than_may_be(limit: int) -> None:
    waits, space = job(1), room()
    space.held = "polite hours at all times: nothing is started"
    start([waits], 2)
    assert choose([waits], space, 0.0, 2, limit) is None
    assert waits.waits == space.held


def test_a_task_that_fits_passes_one_that_does_not_which_is_told_why() -> None:
    big, small = job(1, memory_bytes=int(8 * GB)), job(2)
    assert start([big, small], 3, room(memory=9 * GB)) == [1, 2, 2]
    assert choose([big], room(memory=1 * GB), 0.0, 1, 9) is None
    assert big.waits == "memory: a task needs 8.0 GB, 1.0 GB are free for it"


def squeeze(seconds: int, late: Job, *jobs: Job, memory: float = 10 * GB) -> tuple[list[int], list[Job]]:
    """Ids of the jobs whose tasks were started, by second, 0 for none: one may start each second, lasts 10 s, and holds
    what it needs of `memory`. `late` is dropped in the tenth second."""
    running: list[tuple[Job, Task, float]] = []
    begun = []
    for now in range(seconds):
        there = sorted([*jobs, *([late] if now >= 10 else [])], key=lambda one: (-one.spec.priority, one.id))
        for job, task, until in [one for one in running if one[2] <= now]:
            job.settle(advance(task, TaskState.DONE, started_at=until - 10, ended_at=until))
            running.remove((job, task, until))
        held = sum(job.memory_need or 0.0 for job, _, _ in running)
        space = room(memory=memory - held)
        space.ours_bytes, space.patience_s = held, patience(there)
        keep_room(there, space, float(now))
        best = choose(there, space, float(now), width(there), 100)
        begun.append(0 if best is None else best.id)
        if best is not None:
            running.append((best, best.take(float(now)), now + 10.0))
    return begun, [late, *jobs]


def memory_job(number: int, memory: float, wall_s: float = 10.0, **more: int) -> Job:
    made = job(number, total=10_000, **more)
    made.footprint = Footprint(ends=3, wall_s=wall_s, memory_bytes=int(memory))
    return made


def test_a_job_that_lacks_room_is_passed_for_a_while_and_then_room_is_kept_for_it() -> None:
    begun, jobs = squeeze(120, memory_job(1, 8 * GB), memory_job(2, 1 * GB))
    first = begun.index(1)
    assert 10 + PATIENCE_S < first <= 10 + PATIENCE_S + 12  # about one length of what ran
    assert begun[10:70].count(2) >= 50 and 2 not in begun[72:first]
    assert 2 in begun[first:] and portray(jobs[1]).reason != KEPT  # beside it again


def test_who_waits_for_room_that_is_kept_for_another_is_told_so() -> None:
    _, (large, small) = squeeze(75, memory_job(1, 8 * GB), memory_job(2, 1 * GB))
    assert portray(small).reason == KEPT
    assert portray(large).reason.startswith("memory: a task needs 8.8 GB, ")


@pytest.mark.parametrize(("large", "small", "kept"), [(0, 3, False), (3, 0, True)])
def test_room_is_kept_for_nobody_of_lower_priority(large: int, small: int, kept: bool) -> None:
    begun, _ = squeeze(200, memory_job(1, 8 * GB, priority=large), memory_job(2, 1 * GB, priority=small))
    assert (1 in begun) is kept


def test_jobs_that_are_dropped_later_pass_no_longer_than_those_that_were_there() -> None:
    late = memory_job(1, 8 * GB)
    late.served_at = 5.0  # it has run before: those that never did would have their turn first
    begun, _ = squeeze(100, late, *(memory_job(number, 1 * GB) for number in range(2, 100)))
    assert 1 in begun[:82]


def test_no_room_is_kept_for_what_would_not_fit_though_all_of_ours_ended() -> None:
    begun, _ = squeeze(200, memory_job(1, 12 * GB), memory_job(2, 1 * GB))
    assert 1 not in begun and begun.count(2) > 150


def test_a_job_with_a_task_at_work_is_passed_for_any_time() -> None:
    large = memory_job(1, 6 * GB)
    start([large], 1)  # it never ends here
    begun, _ = squeeze(200, large, memory_job(2, 1 * GB), memory=7 * GB)
    assert 1 not in begun and begun.count(2) > 75


def test_cores_that_are_claimed_are_kept_likewise() -> None:
    wide, narrow = job(1, cpus=8.0), job(2, total=10_000, cpus=1.0)
    start([narrow], 8)
    wide.passed_at = 0.0
    for now, chosen in ((PATIENCE_S - 1, narrow), (PATIENCE_S, None)):
        space = room(cpus=1.0)
        keep_room([wide, narrow], space, now)
        assert choose([wide, narrow], space, now, 8, 100) is chosen
    assert wide.waits == "cpu: a task claims 8 cores, 1 are unclaimed"


def test_what_is_kept_is_kept_from_those_who_would_use_it_and_from_no_other() -> None:
    wide, narrow, free = job(1, cpus=8.0), job(2, total=10_000, cpus=1.0), job(3, total=10_000)
    wide.passed_at = 0.0
    space = room(cpus=1.0)
    keep_room([wide, narrow, free], space, PATIENCE_S)
    assert choose([wide, narrow, free], space, PATIENCE_S, 8, 100) is free
    assert narrow.behind is wide and free.behind is None


def counted(number: int, count: float, name: str = "licenses") -> Job:
    return job(number, total=100, counters={name: count})


def test_no_more_is_taken_of_what_is_counted_than_there_is() -> None:
    space = room()
    space.counters, space.totals = {"licenses": 3.0}, {"licenses": 3.0}
    wants = counted(1, 2.0)
    assert start([wants, job(2, total=2)], 9, space) == [1, 2, 2]
    assert wants.waits == "licenses: a task takes 2, 1 of 3 are free"
    assert start([counted(3, 1.0)], 9, space) == [3]
    unknown = counted(4, 1.5, "seats")
    assert choose([unknown], space, 0.0, 1, 9) is None
    assert unknown.waits == "seats: the settings have no such counter – add counters = { seats = 1.5 }"


def test_a_task_with_a_card_waits_for_one_and_others_do_not() -> None:
    space = room()
    space.cards = Cards((Card(uuid="GPU-a", index=0, total_bytes=16),))
    with_card, without = job(1, total=9, gpus=1), job(2, total=2)
    assert choose([with_card, without], space, 0.0, 1, 9) is with_card
    space.cards.take(with_card.spec.resources)
    assert choose([with_card, without], space, 0.0, 1, 9) is without
    assert with_card.waits == "gpu: a task needs a card, 0 of 1 are free"


def test_long_tasks_are_let_pass_for_longer() -> None:
    assert patience([]) == patience([memory_job(1, GB)]) == PATIENCE_S
    assert patience([memory_job(1, GB), memory_job(2, GB, wall_s=600.0)]) == PATIENCE_LENGTHS * 600


def test_on_an_idle_machine_one_task_gets_its_chance_however_large() -> None:
    learned = job(1)
    learned.footprint = Footprint(ends=3, memory_bytes=int(14 * GB))
    assert start([learned], 5, room(memory=2 * GB)) == [1]


def test_a_claim_beyond_the_machine_waits_for_ever_and_says_so() -> None:
    huge = job(1, memory_bytes=int(99 * GB))
    assert start([huge], 1) == []
    assert huge.waits == "memory: a task claims 99.0 GB, the machine has 16.0 GB"


def test_claimed_cores_are_not_given_twice() -> None:
    assert start([job(1, cpus=3.0)], 9, room(cpus=8.0)) == [1, 1]


def test_tasks_sent_ahead_share_a_worker() -> None:
    flood = tiny(1)
    assert len(start([flood], 1000, limit=2)) == 48
    assert width([flood]) == 2


@pytest.mark.parametrize("wall_s", [1.0, 0.03, 0.01, 0.00417, 0.0041, 0.0])
def test_one_more_task_keeps_as_many_workers_more_busy_as_is_said(wall_s: float) -> None:
    jobs, space = [job(1, total=1000), job(2, total=1000)], room(memory=1e15)
    jobs[0].footprint = Footprint(ends=50, wall_s=wall_s, memory_bytes=1000)
    for number in range(120):
        before, more = width(jobs), charge(jobs[number % 3 % 2], space)
        jobs[number % 3 % 2].take(0.0)
        assert width(jobs) == before + more == sum(space.running.values())


def test_a_long_line_of_jobs_is_not_searched_through() -> None:
    jobs = [job(number, total=1) for number in range(1, 5000)]
    assert start(jobs, 4, limit=4) == [1, 2, 3, 4]


@pytest.mark.parametrize("priority", [0, 5])
def test_tasks_are_not_sent_ahead_past_a_job_that_waits_for_a_worker(priority: int) -> None:
    flood, late = tiny(1), job(2, total=2, priority=priority)
    assert len(start([flood], 1000, limit=2)) == 48
    jobs = sorted([flood, late], key=lambda one: -one.spec.priority)
    turns = []
    for _ in range(48):  # tasks of the flood end one by one; whenever there is room, somebody is chosen
        flood.settle(advance(next(iter(flood.live.values())), TaskState.DONE, started_at=0.0, ended_at=0.001))
        best = choose(jobs, room(), 0.0, width(jobs), 2)
        if best is not None:
            best.take(0.0)
            turns.append(best.id)
    assert turns[0] == 2, "the job that came late has not had its turn"
    assert len(late.live) == (2 if priority else 1), "of equal jobs each has its worker; more priority has both"


def test_tiny_jobs_share_the_workers() -> None:
    flood, late = tiny(1), tiny(2)
    start([flood], 1000, limit=2)
    for number in range(24):
        flood.settle(advance(flood.live[number], TaskState.DONE, started_at=0.0, ended_at=0.001))
    assert set(start([flood, late], 1000, limit=2)) == {2}
    assert (len(flood.live), len(late.live)) == (24, 24)


def test_what_is_sent_ahead_to_one_worker_takes_as_much_in_one_go_as_one_by_one() -> None:
    one, other = room(), room()
    jobs = [job(number, total=1000, cpus=2.0, memory_bytes=int(GB)) for number in (1, 2)]
    for each in jobs:
        each.footprint = Footprint(ends=100, wall_s=0.001, memory_bytes=int(0.1 * GB))
        each.take(0.0)
    ahead = jobs[0].ahead
    for _ in range(ahead - 1):
        assert charge(jobs[0], one) == 0
        jobs[0].take(0.0)
    charge_behind(jobs[1], other, ahead - 1)
    assert (one.extra, one.cpus) == pytest.approx((other.extra, other.cpus))
    assert other.extra == pytest.approx((ahead - 1) / ahead * GB)
