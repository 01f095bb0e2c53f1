"""The simulated machine obeys what real ones obey: no CPU second is made or lost, and memory ends where it ends."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simulator.contention import grants, met, worth
from tests.simulator.controllers import Constant
from tests.simulator.machine import STEP, Machine
from tests.simulator.rows import Row
from tests.simulator.run import Course, run
from tests.simulator.world import GB, MB, NICED, Hardware, Kind, Memory, Neighbour, Scenario

SMALL = Memory(20 * MB)


def course(kind: Kind, workers: int, *, cores: float = 8, duration: float = 400, **more: object) -> Course:
    hardware = Hardware(cores, 16 * GB, **{k: v for k, v in more.items() if k in Hardware.__slots__})  # type: ignore[arg-type]
    rest = {k: v for k, v in more.items() if k not in Hardware.__slots__}
    return run(Scenario("one", hardware, (kind,), duration, **rest), [Constant(workers)])  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_up_to_the_cores_a_burner_works_as_if_alone(workers: int) -> None:
    got = course(Kind("burn", 7, SMALL), workers)
    assert got.rate(20, 400) == pytest.approx(workers, rel=0.01)
    assert got.cpu[20:].sum() / 380 == pytest.approx(workers, rel=0.01)


def test_beyond_the_cores_burners_share_them_and_pay_for_it() -> None:
    got = course(Kind("burn", 7, SMALL), 24)
    assert got.cpu.sum(axis=1).max() <= 8 + 1e-9
    assert 7.2 < got.rate(20, 400) < 7.95


@pytest.mark.parametrize(("share", "threads", "workers"), [(0.05, 1, 60), (0.3, 1, 20), (0.5, 1, 30), (0.9, 2, 4)])
def test_a_task_takes_the_cpu_that_its_work_takes_however_full_the_machine(
    share: float, threads: int, workers: int
) -> None:
    got = course(Kind("waits", 300, SMALL, share=share, threads=threads, cycle=1.5), workers, duration=1200)
    spent = got.cpu.sum() / got.useful.sum()
    assert spent == pytest.approx(share * threads, rel=0.07)  # caches go cold for up to 6 %
    assert spent > 0.97 * share * threads


def test_what_waits_overlaps_by_chance_and_fills_the_cores_only_with_more_of_them() -> None:
    kind = Kind("waits", 20, SMALL, share=0.5)
    just, more = course(kind, 16).rate(50, 400), course(kind, 24).rate(50, 400)
    assert 0.8 * 16 < just < 0.95 * 16
    assert more > 1.03 * just


def test_short_and_tiny_tasks_are_done_at_the_rate_of_their_length() -> None:
    short = course(Kind("short", 1, SMALL, share=0.02, sigma=0.0), 100)
    assert short.rate(20, 400) == pytest.approx(100, rel=0.01)
    tiny = course(Kind("tiny", 0.02, SMALL), 4)
    assert tiny.rate(20, 400) == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize(("wall", "share", "threads"), [(0.35, 0.1, 1), (0.6, 0.5, 1), (0.5, 0.7, 2), (2.0, 0.3, 1)])
@pytest.mark.parametrize("crowd", [0.7, 1.5, 3.0])
def test_short_tasks_that_wait_get_no_more_done_than_the_machine_has(
    wall: float, share: float, threads: int, crowd: float
) -> None:
    kinds = (Kind("short", wall, SMALL, share=share, threads=threads, cycle=1.0),
             Kind("other", 2 * wall, SMALL, share=share, threads=threads, cycle=1.0))
    workers = round(crowd * 16 / share / threads)
    for some in (kinds[:1], kinds):
        got = run(Scenario("one", Hardware(16, 64 * GB), some, 150), [Constant(workers)])
        needed = share * threads * got.rate(20, 150)
        assert needed <= 16
        assert needed == pytest.approx(got.cpu[20:].sum() / 130, rel=0.08)  # caches go cold for up to 6 %
        assert needed > 0.9 * min(16, crowd * 16)


def test_memory_ends_where_it_ends() -> None:
    kind = Kind("big", 30, Memory(1 * GB, spread=0.0))
    assert course(kind, 15).ooms == 0  # 0.64 GB are the system's
    assert course(kind, 16).ooms > 0


def test_the_kernel_takes_the_largest_and_its_work_is_lost() -> None:
    scenario = Scenario("one", Hardware(4, 4 * GB), (Kind("grows", 100, Memory(2 * GB, ramp=1.0)),), 100)
    machine = Machine(scenario)
    machine.start(0, 1)
    for _ in range(40):
        machine.advance()
    machine.start(0, 2)
    while not machine.ooms:
        machine.advance()
    assert 0 not in machine.row(Row.ITEM)
    assert machine.wasted[0] > 20
    assert machine.queues[0].again == [0]


def test_memory_follows_life() -> None:
    memory = Memory(1 * GB, spread=0.0, floor=0.1, ramp=0.2, creep=0.3, spike=0.4)
    machine = Machine(Scenario("one", Hardware(4, 16 * GB), (Kind("grows", 100, memory, sigma=0.0),), 200))
    machine.start(0, 1)
    held = []
    for _ in range(398):
        machine.advance()
        held.append(float(machine.row(Row.MEMORY)[0]) / GB)
    assert held[1] < 0.12
    assert held[79] == pytest.approx(0.1 + 0.2 + 0.3 * 0.2, abs=0.01)
    assert held[355] == pytest.approx(0.3 + 0.3 * 0.9, abs=0.02)
    assert held[-1] == pytest.approx(1.0, abs=0.03)


def test_one_seed_one_course_another_seed_another() -> None:
    def busy(seed: int) -> Course:
        kinds = (Kind("a", 5, SMALL, share=0.4), Kind("b", 9, SMALL, sigma=0.4))
        neighbours = (Neighbour(10, 90, threads=3, on=5, off=5),)
        return run(Scenario("one", Hardware(4, 8 * GB), kinds, 120, neighbours, seed=seed), [Constant(9)])

    one, again, other = busy(1), busy(1), busy(2)
    assert np.array_equal(one.useful, again.useful) and np.array_equal(one.lost, again.lost)
    assert not np.array_equal(one.useful, other.useful)


def test_cpu_goes_by_weight_and_nobody_gets_more_than_a_core_a_thread() -> None:
    assert grants(8, ((1.0, 3), (NICED, 5))) == [1.0, 1.0]
    theirs, ours = grants(8, ((1.0, 8), (1.0, 8)))
    assert theirs == ours == 0.5
    theirs, ours = grants(8, ((1.0, 8), (NICED, 8)))
    assert theirs / ours == pytest.approx(9.3) and 8 * theirs + 8 * ours == pytest.approx(8)
    theirs, ours = grants(8, ((1.0, 4), (NICED, 16)))  # they have all they want, we the rest
    assert theirs == 1.0 and ours == pytest.approx(0.25)
    least, half, most = grants(8, ((NICED, 10), (0.5, 1), (1.0, 4)))
    assert (half, most) == (1.0, 1.0) and least == pytest.approx(0.3)


def test_others_lose_by_our_number_and_less_to_niced_tasks() -> None:
    neighbours = (Neighbour(0, 1e9, threads=4),)
    polite = course(Kind("burn", 9, SMALL), 4, neighbours=neighbours)
    equal = course(Kind("burn", 9, SMALL), 16, neighbours=neighbours)
    niced = course(Kind("burn", 9, SMALL), 16, neighbours=neighbours, weight=NICED)
    assert polite.harm() < 0.02
    assert equal.harm() == pytest.approx(0.6, abs=0.03)
    assert 0.05 < niced.harm() < 0.12
    assert met(8, 8, 1.0) == 0.0


def test_batch_work_of_another_user_is_owed_a_half_by_batch_work() -> None:
    batch = (Neighbour(0, 1e9, threads=20, niced=True),)
    assert course(Kind("burn", 9, SMALL), 16, neighbours=batch, weight=NICED).harm() < 0.01
    assert course(Kind("burn", 9, SMALL), 60, neighbours=batch, weight=NICED).harm() == pytest.approx(0.5, abs=0.02)
    assert course(Kind("burn", 9, SMALL), 60, neighbours=batch, weight=1.0).harm() < 0.01


def test_second_threads_do_a_third() -> None:
    hardware = Hardware(8, GB, physical=4)
    assert worth(hardware, 4) == 1.0
    assert 8 * worth(hardware, 8) == pytest.approx(4 + 4 / 3)


def test_contention_shows_in_the_work_and_not_in_the_cpu() -> None:
    free, full = course(Kind("cube", 10, SMALL), 8), course(Kind("cube", 10, SMALL), 8, cliff=4.0, steepness=2.0)
    assert full.cpu.sum() == pytest.approx(free.cpu.sum(), rel=0.01)
    assert full.rate(30, 400) == pytest.approx(free.rate(30, 400) / 4, rel=0.05)
    kind = Kind("wide", 10, SMALL, bandwidth=1.0)
    assert course(kind, 8, bandwidth=3.0).rate(30, 400) == pytest.approx(3, rel=0.06)


def test_the_disk_serves_so_many_and_stalls() -> None:
    kind = Kind("files", 10, SMALL, share=0.01, disk=True)
    assert course(kind, 40, disk=10.0).rate(30, 400) == pytest.approx(10, rel=0.05)
    stalled = course(kind, 10, disk=10.0, stalls=((100.0, 200.0),))
    assert stalled.rate(101, 199) < 0.1 * stalled.rate(201, 399)


def test_stopped_tasks_keep_their_memory_and_do_nothing() -> None:
    machine = Machine(Scenario("one", Hardware(4, 16 * GB), (Kind("grows", 100, Memory(2 * GB, ramp=1.0)),), 100))
    machine.start(0, 2)
    for _ in range(20):
        machine.advance()
    machine.stop([(0, 1)], True)
    held, spent = machine.row(Row.MEMORY)[1], machine.row(Row.CPU)[1]
    for _ in range(20):
        machine.advance()
    assert machine.row(Row.MEMORY)[1] == held and machine.row(Row.CPU)[1] == spent
    assert machine.row(Row.HELD)[1] == 20 * STEP
    machine.stop([(0, 1)], False)
    machine.advance()
    assert machine.row(Row.CPU)[1] > spent


def test_a_killed_task_frees_its_memory_a_step_later_and_comes_again() -> None:
    machine = Machine(Scenario("one", Hardware(4, 16 * GB), (Kind("big", 100, Memory(4 * GB, floor=1.0)),), 100))
    machine.start(0, 2)
    machine.advance()
    before = machine.available
    machine.kill([(0, 0)])
    machine.advance()
    assert machine.available == pytest.approx(before, abs=0.1 * GB)
    machine.advance()
    assert machine.available > before + 3.5 * GB
    assert machine.queues[0].raised > 4 * GB
    machine.start(0, 1)
    assert set(machine.row(Row.ITEM)) == {0, 1}
