"""What has happened lately, in order and numbered, for `grist events` and for whoever is to be told.

Owns a bounded past: so many tasks, and apart from them so many of all else, which tasks by the thousand can't push out.
Of a job or task an event is made when it is written down, and told when that is durable.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import resource
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from gristmill.supervisor import beat
from gristmill.supervisor.core import events
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.events import Event
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import ConditionView, DecisionView
from gristmill.supervisor.core.spec import Notify
from gristmill.supervisor.core.task import TASK_FINAL, JobState, Task, TaskState

TASKS, OTHERS = 2000, 2000
"""Events that are kept."""
PAGE = 1000
WAIT_MOST_S = 60.0


class Untold(NamedTuple):
    """Changes that are on their way to the disk."""

    time: float
    tasks: list[tuple[Task, str]]
    jobs: list[tuple[Event, Notify]]


@dataclass(slots=True)
class Counts:
    """What has ended since the daemon began, by state; ranges that were put together count each."""

    started: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def add(self, task: Task) -> None:
        """A task was sent, or is over."""
        if task.state is TaskState.STARTING:
            self.started += 1
        elif task.state in TASK_FINAL:
            self.tasks[task.state] = self.tasks.get(task.state, 0) + 1
            self.cpu_s += task.cpu_s or 0.0
            self.wall_s += max(0.0, (task.ended_at or 0.0) - (task.started_at or task.ended_at or 0.0))


class Chronicle:
    """The events of one daemon."""

    def __init__(self, clock: Callable[[], float], resident: Callable[[], int] = lambda: 0) -> None:
        """`resident` tells the bytes of memory that the daemon holds."""
        self._clock, self._resident = clock, resident
        self._seq = 0
        self._tasks: deque[tuple[int, float, Task, str]] = deque(maxlen=TASKS)
        self._others: deque[Event] = deque(maxlen=OTHERS)
        self._lost = (0, 0.0)
        """Number and time of the last event that is not kept any more."""
        self._states: dict[int, JobState] = {}
        """Of jobs that are not over: what was said of them last."""
        self._news = asyncio.Event()
        self.listeners: list[Callable[[Event, Notify], None]] = []
        """Told of every event but those of tasks, with what its job says of telling people."""
        self.counts = Counts()
        self.operations: Mapping[str, Any] = {"events": self._events, "counters": self._counters}

    def know(self, job: Job) -> None:
        """How this job is was said before, by an earlier daemon for one."""
        self._states[job.id] = job.state

    def forget(self, job: Job) -> None:
        """Of a job that only waits nothing need be remembered: it is made known when it comes to its turn."""
        self._states.pop(job.id, None)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────

    def see(self, tasks: Iterable[Task], jobs: Iterable[Job], names: Callable[[int], str]) -> Untold:
        """What these tasks and jobs are, now that it is being written down; to be told (`tell`) when it is durable."""
        now = self._clock()
        changed: list[tuple[Event, Notify]] = []
        for job in jobs:
            if self._states.get(job.id) is not job.state:
                self._states[job.id] = job.state
                changed.append((events.of_job(job, now), job.spec.notify))
            if job.ended_at is not None:
                self._states.pop(job.id, None)
        return Untold(now, [(task, names(task.job)) for task in tasks], changed)

    def tell(self, untold: Untold) -> None:
        """These are durable."""
        first = self._seq + 1
        self._seq += len(untold.tasks)
        for task, _ in untold.tasks:
            self.counts.add(task)
        over = len(self._tasks) + len(untold.tasks) - TASKS
        if over > len(self._tasks):
            self._lost = max(self._lost, (self._seq - TASKS, untold.time))
        elif over > 0:
            self._lost = max(self._lost, self._tasks[over - 1][:2])
        self._tasks.extend((seq, untold.time, *one) for seq, one in enumerate(untold.tasks, first))
        for event, notify in untold.jobs:
            if isinstance(event, events.JobEvent) and event.ended_at is not None:
                self.counts.jobs[event.state] = self.counts.jobs.get(event.state, 0) + 1
            self.add(event, notify)
        self._news.set()

    def add(self, event: Event, notify: Notify = True) -> None:
        """Something else has happened."""
        self._seq += 1
        if len(self._others) == OTHERS:
            self._lost = max(self._lost, (self._others[0].seq, self._others[0].time))
        event = msgspec.structs.replace(event, seq=self._seq)
        self._others.append(event)
        self._news.set()
        for listener in self.listeners:
            listener(event, notify)

    def limit(self, decision: DecisionView) -> None:
        """The limit was changed."""
        self.add(events.of_limit(decision))

    def condition(self, condition: ConditionView, began: bool) -> None:
        """A condition has begun, or is over."""
        self.add(events.of_condition(condition, began, self._clock()))

    def daemon(self, state: Literal["started", "stopping"], pid: int, version: str) -> None:
        """The daemon itself."""
        self.add(events.DaemonEvent(time=self._clock(), state=state, pid=pid, version=version))

    # ── who asks ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _events(self, _: object, request: dict[str, Any]) -> dict[str, Any]:
        """Events after number `after` and not before `since`; `next` is where to go on. Where there are none yet they
        are waited for, `timeout` seconds at most."""
        after, since, seconds = request.get("after", 0), request.get("since", 0.0), request.get("timeout", 0.0)
        for value in (after, since, seconds):
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
                raise RequestError("after, since and timeout are numbers from 0 on")
        if seconds:
            await self.wait(int(after), min(float(seconds), WAIT_MOST_S))
        found, last = self.past(int(after), float(since), PAGE)
        return {"events": found, "next": last}

    async def _counters(self, _: object, __: dict[str, Any]) -> dict[str, Any]:
        """What has ended since the daemon began, and what the daemon itself has used."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        counts = self.counts
        return {
            "started": counts.started, "tasks": counts.tasks, "jobs": counts.jobs, "task_cpu_s": round(counts.cpu_s, 3),
            "task_wall_s": round(counts.wall_s, 3), "cpu_s": round(used.ru_utime + used.ru_stime, 3),
            "resident_bytes": self._resident(),
        }

    async def wait(self, after: int, seconds: float) -> None:
        """Until something has happened after event `after`, or the time is over."""
        if self._seq > after:
            return
        self._news.clear()
        await beat.within(self._news, seconds)  # that nothing has happened is an answer too

    def past(self, after: int, since: float, most: int) -> tuple[list[Event], int]:
        """Up to `most` events after number `after` and not before `since`, and the number to go on from."""
        found: list[Event] = []
        lost, lost_at = self._lost
        if after < lost and since <= lost_at:
            found.append(events.GapEvent(seq=lost, time=lost_at))
        tasks = (
            events.of_task(task, name, number, when)
            for number, when, task, name in self._tasks if number > after and when >= since
        )
        others = (event for event in self._others if event.seq > after and event.time >= since)
        found += itertools.islice(heapq.merge(tasks, others, key=lambda event: event.seq), most)
        return found, found[-1].seq if len(found) >= most else self._seq
