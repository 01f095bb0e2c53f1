"""Makes the governor's reading out of a sample of the machine and the accounts of what runs, ended and waits.

Owns what is remembered for that from look to look: where each task's CPU count began, how far it said it was, and how
many workers were busy when. It decides nothing.
"""

from __future__ import annotations

import bisect
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gristmill.supervisor.core import progress, schedule
from gristmill.supervisor.core.governor import Claim, Ended, Reading, Running, Waiting
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import Task, TaskState
from gristmill.supervisor.edge import tail
from gristmill.supervisor.edge.sampler import Sample
from gristmill.supervisor.feed import LogPath
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pool import Pool

KINDS_WAITING = 8
"""So many kinds that wait are told of; of the rest the dispatcher starts one each meanwhile."""
JOBS_SEARCHED = 1000
LOGS_A_LOOK = 64
"""So many logs are looked into for progress at a time, in turn."""
REMEMBERED_S = 7200.0
"""For so long it is known how many workers were busy; a longer task's mean is taken over that."""


class House(NamedTuple):
    """What the user has set: the part of the machine that is ours now and why, the limit, the reserve in bytes, whether
    tasks are niced, how many there are of each thing that is counted."""

    share: float = 1.0
    polite: str = ""
    fixed: int | None = None
    reserve: float | None = None
    niced: bool = True
    counters: Mapping[str, float] = {}


@dataclass(slots=True)
class Course:
    """What is followed of one attempt: the worker's CPU count when it was first seen, and progress."""

    since: float
    progress: float | None = None


class Observer:
    """Takes readings."""

    def __init__(
        self, ledger: Ledger, pool: Pool, log_path: LogPath, chance: Callable[[], float]
    ) -> None:
        self._ledger, self._pool, self._log_path, self._chance = ledger, pool, log_path, chance
        self._courses: dict[str, Course] = {}
        self._worked: deque[tuple[float, float]] = deque([(time.time(), 0.0)])
        """(when, workers busy summed over time up to then), ascending."""
        self._turn = 0

    def read(self, sample: Sample, house: House, dt: float, relieved: dict[str, float]) -> Reading:
        """The reading for a sample; takes what ended since the last one. `relieved` are tasks ended between two."""
        now = time.time()
        running = self._running(sample, now, dt)
        busy = self._busy(now, dt, sum(task.stopped for task in running))
        return Reading(
            at=time.monotonic(), cores=sample.cores, cpu_total=sample.cpu_total,
            cpu_ours=min(sample.cpu_ours, sample.cpu_total), cpu_nice=sample.cpu_nice, batch_users=sample.batch_users,
            runnable=sample.runnable, memory_total=sample.memory_total, memory_available=sample.memory_available,
            pressure_cpu=sample.pressure_cpu, pressure_memory=sample.pressure_memory, pressure_io=sample.pressure_io,
            busy=busy, running=tuple(running), ended=tuple(self._ended(now)), waiting=tuple(self._waiting(now)),
            relieved=relieved, share=house.share, polite=house.polite, reserve=house.reserve, fixed=house.fixed,
            niced=house.niced,
            chance=self._chance(),
        )

    # ── what runs ─────────────────────────────────────────────────────────────────────────────────────────────

    def hands(self) -> Iterable[tuple[int, Task]]:
        """(pid of the worker, or of the task where that has none; the task in hand), of all that run."""
        for slot in self._pool.slots.values():
            if slot.pid and slot.flight:
                yield slot.pid, next(iter(slot.flight.values()))
        for worker, task in self._pool.legacy.workers.values():
            yield worker.pid, task

    def _running(self, sample: Sample, now: float, dt: float) -> list[Running]:
        found, courses = [], {}
        for pid, sent in self.hands():
            job, tree = self._ledger.jobs.get(sent.job), sample.trees.get(pid)
            task = job.live.get(sent.number) if job else None
            if job is None or task is None or tree is None or task.started_at is None:
                continue
            name = str(task.key)
            course = self._courses.get(name) or Course(max(0.0, tree.spent - tree.cpu * dt))
            stopped = task.state is TaskState.PAUSED
            courses[name] = course
            found.append(
                Running(
                    task=name, kind=f"{job.kind} finally" if task.is_finish else job.kind,
                    age=max(0.0, now - task.started_at - self._pool.orders.stopped_s(task.key)),
                    cpu=tree.cpu, memory=float(tree.memory_bytes), spent=max(0.0, tree.spent - course.since),
                    progress=course.progress, stopped=stopped, wanted=tree.wanted,
                    awake=tree.awake,
                )
            )
            self._ledger.seen(job, task.number, tree.memory_bytes)
        self._courses = courses
        return found

    def listen(self) -> None:
        """Looks for how far some of the tasks say they are: in their GRIST_PROGRESS, else in their logs."""
        hands = [self._ledger.in_hand(sent.key) for _, sent in self.hands()]
        tasks = [task for task in hands if task is not None and str(task.key) in self._courses]
        for task in itertools.islice(itertools.cycle(tasks), self._turn, self._turn + min(LOGS_A_LOOK, len(tasks))):
            told = progress.stated(tail.read(self._log_path(task, "progress")))
            if told is None:
                _, told = progress.last_words(tail.read(self._log_path(task)))
            course = self._courses[str(task.key)]
            course.progress = course.progress if told is None else told
        self._turn = (self._turn + LOGS_A_LOOK) % max(1, len(tasks))

    def _busy(self, now: float, dt: float, stopped: int) -> float:
        """The mean number of busy workers: those of now, for a second is short; and its sum over time."""
        busy = float(max(0, schedule.width(self._ledger.live.values()) - stopped))
        self._worked.append((now, self._worked[-1][1] + busy * dt))
        while len(self._worked) > 2 and self._worked[0][0] < now - REMEMBERED_S:
            self._worked.popleft()
        return busy

    # ── what ended, what waits ────────────────────────────────────────────────────────────────────────────────

    def _ended(self, now: float) -> Iterable[Ended]:
        tallies, self._ledger.tallies = self._ledger.tallies, {}
        for kind, tally in tallies.items():
            wall, took, count = tally.wall_s / tally.count, tally.took_s / tally.count, tally.count
            yield Ended(
                kind=kind, count=count, wall=wall, cpu=tally.cpu_s / count, took=took if took != wall else 0.0,
                peak=tally.memory_bytes / count, largest=float(tally.largest_bytes),
                busy=self._mean_busy(now, took), telling=tally.telling,
            )

    def _mean_busy(self, now: float, wall: float) -> float:
        """The time-mean of busy workers over the last `wall` seconds."""
        at, sums = self._worked[-1]
        first = bisect.bisect_left(self._worked, now - wall, key=lambda entry: entry[0])
        then, before = self._worked[max(0, min(first, len(self._worked) - 2))]
        return (sums - before) / (at - then) if at > then else 0.0

    def _waiting(self, now: float) -> Iterable[Waiting]:
        counts: dict[str, int] = {}
        first: dict[str, Job] = {}
        for job in itertools.islice(self._ledger.in_order(), JOBS_SEARCHED):
            if not job.ready(now) or (len(first) >= KINDS_WAITING and job.kind not in first):
                continue
            first.setdefault(job.kind, job)
            counts[job.kind] = counts.get(job.kind, 0) + job.waiting
        for kind, job in first.items():
            claims = job.spec.resources
            yield Waiting(
                kind=kind, count=max(1, counts[kind]), raised=float(job.footprint.raised_bytes),
                claim=Claim(claims.cpus, None if claims.memory_bytes is None else float(claims.memory_bytes)),
            )
