"""Whatever is in the queue: nobody starves, nothing is given twice, and all of it ends."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core.footprint import Footprint
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.schedule import (
    PATIENCE_LENGTHS,
    PATIENCE_S,
    Room,
    charge,
    choose,
    keep_room,
    patience,
    width,
)
from gristmill.supervisor.core.spec import Items, Resources, Spec
from gristmill.supervisor.core.task import Task, TaskState, advance

MEMORY, CORES = 16, 8


@dataclass(frozen=True)
class Wish:
    """A job of so many tasks, each `wall` s long, that hold `memory` and claim `cpus`."""

    tasks: int
    wall: int
    memory: int
    cpus: int | None
    priority: int
    dropped: int


WISHES = st.builds(
    Wish, tasks=st.integers(1, 12), wall=st.integers(1, 40), memory=st.integers(0, MEMORY),
    cpus=st.none() | st.integers(1, CORES), priority=st.integers(0, 1), dropped=st.integers(0, 60),
)


def job(number: int, wish: Wish) -> Job:
    resources = Resources(memory_bytes=wish.memory or None, cpus=None if wish.cpus is None else float(wish.cpus))
    spec = Spec(name=f"j{number}", kind="command", command=f"true {number}", cwd="/", items=Items(total=wish.tasks),
                priority=wish.priority, resources=resources)
    made = Job(id=number, spec=spec, file="", submitted_at=float(wish.dropped))
    made.footprint = Footprint(ends=3, wall_s=float(wish.wall))
    return made


class Queue:
    """Is worked off, second by second, on a machine with so much memory and so many cores."""

    def __init__(self, wishes: list[Wish], limit: int) -> None:
        self.wishes, self.limit, self.now = wishes, limit, 0
        self.jobs = [job(number, wish) for number, wish in enumerate(wishes, start=1)]
        self.running: list[tuple[float, int, Job, Task]] = []
        self.first: dict[int, int] = {}  # when the first task of each job was started
        self.turns = itertools.count()

    def there(self) -> list[Job]:
        """The jobs that were dropped by now and are not over, in the dispatcher's order."""
        waiting = [one for one in self.jobs if one.submitted_at <= self.now and (one.ready(0.0) or one.live)]
        return sorted(waiting, key=lambda one: (-one.spec.priority, one.id))

    def claims(self) -> tuple[float, float]:
        """(memory, cores) that running tasks have."""
        taken = [one.spec.resources for _, _, one, _ in self.running]
        return sum(one.memory_bytes or 0 for one in taken), sum(one.cpus or 0.0 for one in taken)

    def second(self) -> None:
        while self.running and self.running[0][0] <= self.now:
            until, _, one, task = heapq.heappop(self.running)
            began = until - self.wishes[one.id - 1].wall
            one.settle(advance(task, TaskState.DONE, started_at=began, ended_at=until))
        memory, cores = self.claims()
        room = Room(memory_bytes=MEMORY - memory, cpus=CORES - cores, unknown_bytes=0.0, total_memory_bytes=MEMORY,
                    cores=CORES, ours_bytes=memory, patience_s=patience(one for one in self.jobs if one.live))
        keep_room(self.there(), room, float(self.now))
        while best := choose(self.there(), room, float(self.now), width(self.jobs), self.limit):
            charge(best, room)
            end = float(self.now + self.wishes[best.id - 1].wall)
            heapq.heappush(self.running, (end, next(self.turns), best, best.take(float(self.now))))
            self.first.setdefault(best.id, self.now)
            memory, cores = self.claims()
            assert memory <= MEMORY and cores <= CORES, "given twice"
            assert len(self.running) <= self.limit
        self.now += 1


@settings(max_examples=150)
@given(st.lists(WISHES, min_size=1, max_size=8), st.integers(1, 20))
def test_every_job_starts_in_bounded_time_and_all_of_them_end(wishes: list[Wish], limit: int) -> None:
    queue = Queue(wishes, limit)
    longest = max(one.wall for one in wishes)
    work = sum(one.tasks * one.wall for one in wishes)
    most = 60 + work + len(wishes) * (PATIENCE_S + PATIENCE_LENGTHS * longest + longest)
    while queue.there() or queue.now <= 60:
        queue.second()
        assert queue.now <= most, "something waits for ever"
    assert all(one.items_done == wish.tasks for one, wish in zip(queue.jobs, wishes, strict=True))


@settings(max_examples=150)
@given(st.lists(WISHES, min_size=1, max_size=5), WISHES, st.integers(1, 20))
@example(  # of five that need more than half of the memory each has its turn
    [Wish(7, 32, 14, 1, 0, 14), Wish(10, 23, 1, 1, 0, 15), Wish(3, 13, 13, 2, 0, 47), Wish(7, 26, 11, 1, 0, 2),
     Wish(9, 30, 11, 4, 0, 44)],
    Wish(6, 22, 11, None, 0, 59), 4,
)
def test_a_job_beside_endless_ones_starts_in_bounded_time(floods: list[Wish], late: Wish, limit: int) -> None:
    """Of the same priority; each that is there may have a turn before it, and room is kept for it after a while."""
    endless = [Wish(10**6, one.wall, one.memory, one.cpus, 0, one.dropped) for one in floods]
    queue = Queue([*endless, Wish(late.tasks, late.wall, late.memory, late.cpus, 0, 100)], limit)
    longest = max(one.wall for one in [*endless, late])
    turn = PATIENCE_S + PATIENCE_LENGTHS * longest + longest
    while len(queue.jobs) not in queue.first:
        queue.second()
        assert queue.now <= 100 + (len(endless) + 1) * turn, "it starves"
