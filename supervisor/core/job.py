"""The daemon's running account of one job: which tasks were handed out, which live, what came of the rest.

Owns the counters and the order of a job's tasks. It never touches the store; whoever changes an account writes the
change down (see `ledger`).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from gristmill.supervisor.core import items, launch
from gristmill.supervisor.core.protocol import JobView
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import JOB_FINAL, JobState, Task, TaskState, advance, move_job, note

TINY_S = 0.05
"""Mean wall time in seconds below which tasks are sent ahead of the commit that they would otherwise wait for."""
AHEAD_S = 0.1
OOM_RAISE = 1.5
AHEAD_MOST = 24


class Footprint(msgspec.Struct):
    """What the tasks of a class were seen to need: means over the last ~20 ends, and the largest memory peak."""

    ends: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    raised_bytes: int = 0
    """What a task is taken to need at least since one was killed for lack of memory."""

    def ran_out(self, memory_bytes: float) -> None:
        """Counts one task that was killed at, or for claiming, so many bytes: the next gets half as much again."""
        self.raised_bytes = max(self.raised_bytes, int(OOM_RAISE * memory_bytes))

    def learn(self, wall_s: float, cpu_s: float, memory_bytes: int) -> None:
        """Counts one task that ended by itself."""
        self.ends += 1
        gain = max(1.0 / self.ends, 0.05)
        self.wall_s += gain * (wall_s - self.wall_s)
        self.cpu_s += gain * (cpu_s - self.cpu_s)
        self.memory_bytes = max(memory_bytes, self.memory_bytes)


class Seen(NamedTuple):
    """What one task that ended by itself used."""

    wall_s: float
    cpu_s: float
    memory_bytes: int


@dataclass(slots=True)
class Tally:
    """Such tasks since somebody looked: how many, sums of seconds and of peaks in bytes, the largest peak."""

    count: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    largest_bytes: int = 0

    def add(self, seen: Seen) -> None:
        """One more."""
        self.count += 1
        self.wall_s += seen.wall_s
        self.cpu_s += seen.cpu_s
        self.memory_bytes += seen.memory_bytes
        self.largest_bytes = max(self.largest_bytes, seen.memory_bytes)


@dataclass(slots=True)
class Job:
    """One job that is in the daemon's memory.

    `cursor` is the number of the next task never handed out. `unrecorded` are numbers, ascending, that were handed
    out and have no record in the store yet; `again` is a heap of queued tasks that have one. `skipped` are numbers
    past the cursor that have one already: canceled beforehand, or recorded before a lower one was.
    """

    id: int
    spec: Spec
    file: str
    submitted_at: float
    claim: str = ""
    state: JobState = JobState.QUEUED
    reason: str = ""
    cursor: int = 0
    tasks_ended: int = 0
    items_done: int = 0
    items_failed: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    footprint: Footprint = field(default_factory=Footprint)
    live: dict[int, Task] = field(default_factory=dict)
    again: list[tuple[float, int, Task]] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)
    unrecorded: dict[int, None] = field(default_factory=dict)
    served_at: float = 0.0
    """When it last handed out a task; of jobs with equal shares the one served longest ago has its turn."""
    raised_at: float = 0.0
    """When the memory that its tasks are taken to need was last raised."""
    kind: str = ""
    """What tasks of this name and command are called, in this job and any other."""
    waits: str = ""
    """Why nothing of it is started now; shown, never stored."""
    cold: bool = False
    """Whether the interpreter that its calls are made in is not there yet."""
    warmth: str = ""
    """What is to be said of that interpreter; shown, never stored."""

    def __post_init__(self) -> None:
        self.kind = self.kind or launch.kind(self.spec)

    @property
    def tasks(self) -> int:
        """How many tasks it has in all."""
        return items.tasks(self.spec.items)

    @property
    def memory_need(self) -> float | None:
        """Bytes that a task is taken to need: the claim, else what was seen and a tenth; more after a lack of it."""
        claim = self.spec.resources.memory_bytes
        if claim is None and not self.footprint.ends:
            return self.footprint.raised_bytes or None
        return max(claim or 1.1 * self.footprint.memory_bytes, self.footprint.raised_bytes)

    @property
    def recorded(self) -> int:
        """The cursor as it may be stored: no lower number is without a record, so that a crash forgets none."""
        return next(iter(self.unrecorded), self.cursor)

    @property
    def open(self) -> bool:
        """Whether it may hand out tasks."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def ahead(self) -> int:
        """How many of its tasks a worker may be sent at a time: more than one only for a class known to be tiny."""
        seen = self.footprint
        if seen.ends < 8 or seen.wall_s >= TINY_S:
            return 1
        return AHEAD_MOST if AHEAD_MOST * seen.wall_s <= AHEAD_S else int(AHEAD_S / seen.wall_s)

    def ready(self, now: float) -> bool:
        """Whether a task could be handed out now, as far as the job itself is concerned."""
        if not self.open or self.cold or (self.spec.limits.workers is not None and len(self.live) >= self._most()):
            return False
        return self.cursor < self.tasks or (bool(self.again) and self.again[0][0] <= now)

    def _most(self) -> int:
        """How many of its tasks may be handed out at once under its own limit."""
        workers = self.spec.limits.workers or 1
        return workers * self.ahead

    def take(self, now: float) -> Task:
        """The next task, as an attempt about to start; only when `ready`."""
        if self.again and self.again[0][0] <= now:
            task = heapq.heappop(self.again)[2]
        else:
            start, count = items.span(self.spec.items, self.cursor)
            task = Task(job=self.id, number=self.cursor, start=start, count=count)
            self.unrecorded[self.cursor] = None
            self.cursor += 1
            self._pass_skipped()
        task = advance(task, TaskState.STARTING, attempts=task.attempts + 1, reason="", exit_code=None, signal=None)
        self.live[task.number] = task
        self.served_at = now
        return task

    def put_back(self, task: Task, reason: str = "", not_before: float = 0.0) -> Task:
        """An attempt that was not started goes back into the queue; it does not count as one."""
        del self.live[task.number]
        task = advance(
            task, TaskState.QUEUED, attempts=task.attempts - 1, run=None, worker=None, pid=None, reason=reason,
            not_before=not_before,
        )
        self.queue(task)
        return task

    def queue(self, task: Task) -> None:
        """Puts a queued task that has a record back in line."""
        heapq.heappush(self.again, (task.not_before, task.number, task))

    def shift(self, seconds: float) -> None:
        """Moves all times that something is waited for or counted from, after the clock was set by so much."""
        self.again = [(due + seconds, number, note(task, not_before=due + seconds)) for due, number, task in self.again]
        heapq.heapify(self.again)
        for number, task in self.live.items():
            if task.started_at is not None:
                self.live[number] = note(task, started_at=task.started_at + seconds)
        self.served_at += seconds

    def settle(self, task: Task, stopped_s: float = 0.0) -> Seen | None:
        """Counts `task`, whose attempt is over, for good or until its next try; what it used if it ended by itself.

        The seconds that it stood still are no part of that.
        """
        self.live.pop(task.number, None)
        if task.state is TaskState.QUEUED:
            self.queue(task)
            return None
        self.tasks_ended += 1
        if task.state is TaskState.DONE:
            self.items_done += task.count
        else:
            self.items_failed += task.count
        if task.state in (TaskState.DONE, TaskState.FAILED) and task.started_at and task.ended_at:
            wall_s = max(0.0, task.ended_at - task.started_at - stopped_s)
            seen = Seen(wall_s, task.cpu_s or 0.0, task.memory_peak_bytes or 0)
            self.footprint.learn(*seen)
            return seen
        return None

    def withdraw(self, number: int) -> Task | None:
        """Takes a task that is not live out of the line, for good; None when it is not waiting."""
        for index, (_, waiting, task) in enumerate(self.again):
            if waiting == number:
                del self.again[index]
                heapq.heapify(self.again)
                return task
        if self.cursor <= number < self.tasks and number not in self.skipped:
            start, count = items.span(self.spec.items, number)
            self.skipped.add(number)
            self._pass_skipped()
            return Task(job=self.id, number=number, start=start, count=count)
        return None

    def resume(self, recorded: set[int]) -> None:
        """Goes on from a stored cursor: `recorded` are the numbers from it on that have a record already."""
        self.skipped = recorded
        self._pass_skipped()

    def _pass_skipped(self) -> None:
        while self.cursor in self.skipped:
            self.skipped.discard(self.cursor)
            self.cursor += 1

    def reopen(self, tasks: list[Task]) -> list[Task]:
        """Queues ended `tasks` once more, with a fresh count of attempts; returns them as they are now."""
        fresh = []
        for task in tasks:
            self.tasks_ended -= 1
            if task.state is TaskState.DONE:
                self.items_done -= task.count
            else:
                self.items_failed -= task.count
            queued = advance(task, TaskState.QUEUED, attempts=0, reason="retried by the user", not_before=0.0)
            self.queue(queued)
            fresh.append(queued)
        return fresh

    def verdict(self) -> JobState | None:
        """The state in which the job ends, None while something of it is to be done."""
        if self.state in (JobState.CANCELED, JobState.FAILED):
            return self.state if not self.live else None
        if self.tasks_ended < self.tasks:
            return None
        return JobState.FAILED if self.items_failed else JobState.DONE

    def enter(self, state: JobState, reason: str = "") -> None:
        """Moves the job; raises ValueError for a move that is not allowed."""
        self.state = move_job(self.state, state)
        self.reason = reason

    def remaining_s(self) -> float | None:
        """Seconds until it ends at the present width, None while no task of it has ended."""
        if self.state in JOB_FINAL or not self.footprint.ends:
            return None
        left = self.tasks - self.tasks_ended
        return left * self.footprint.wall_s / max(1, min(len(self.live), left))

    def view(self) -> JobView:
        """What the screens show."""
        seen = self.footprint if self.footprint.ends else None
        return JobView(
            id=self.id,
            name=self.spec.name,
            file=self.file,
            state=self.state.value,
            reason=self.reason or (self.warmth if self.cold else self.waits or self.warmth),
            items=self.spec.items.total,
            items_done=self.items_done,
            items_failed=self.items_failed,
            tasks=self.tasks,
            tasks_running=len(self.live),
            submitted_at=self.submitted_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            eta_s=self.remaining_s(),
            priority=self.spec.priority,
            command=launch.summary(self.spec),
            cpu_s_mean=seen.cpu_s if seen else None,
            wall_s_mean=seen.wall_s if seen else None,
            memory_peak_bytes=seen.memory_bytes if seen else None,
            memory_need_bytes=None if self.memory_need is None else int(self.memory_need),
        )
