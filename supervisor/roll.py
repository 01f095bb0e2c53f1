"""The jobs that memory knows: those that are not over, in the order in which they come to their turn, and views of the
last that ended. Of jobs that simply wait to begin only the next thousands: the others are in the loft, by number.

Owns who is on it and answers who is; it changes no job and writes nothing down (see `ledger`).
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable

from gristmill.supervisor.core import gate
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.loft import Loft
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.protocol import JobView
from gristmill.supervisor.core.spec import Gate, Ref
from gristmill.supervisor.core.task import JobState, Task, TaskState

RECENT = 500
"""Ended jobs of which a view is kept in memory for the screens; all else about them is asked of the store."""

AWAITED = 2000
"""Names and numbers of jobs that were waited for, before those are forgotten that nobody waits for any more."""

WAITING = 2000
"""So many jobs that wait to begin are in memory, of one priority and the higher ones; the next is for the loft."""


class Roll:
    """All jobs that matter now, by id."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.live: dict[int, Job] = {}
        """Those of `jobs` that have tasks handed out."""
        self.gated: dict[int, Job] = {}
        """Those of `jobs` that are looked after: they wait for others, for a time or for hours, or have a limit of
        time or failures."""
        self.recent: OrderedDict[int, JobView] = OrderedDict()
        self.order: list[tuple[int, int]] = []
        self.forgotten: list[int] = []
        """Ended jobs that left memory since the feed last looked."""
        self.leaving: set[int] = set()
        """Ended jobs that are being removed: nobody finds or retries them any more."""
        self.fresh_calls: deque[Job] = deque()
        """Jobs of calls for which nobody has seen to an interpreter yet."""
        self.loft = Loft()
        """Jobs that wait in the record alone. None of them is before those in memory."""
        self.short = asyncio.Event()
        """Set when so few wait in memory that more may come down from the loft."""
        self._fresh: dict[int, int] = {}  # the priority of those in memory that simply wait to begin
        self._fresh_at: Counter[int] = Counter()  # how many these are, by priority
        self._awaited: set[Ref] = set()  # what others wait for, by id or name
        self.work = asyncio.Event()
        """Set when something may be startable that was not before."""
        self.begun = asyncio.Event()
        """Set when a task was handed out here while none was."""
        self.errands = asyncio.Event()
        """Set when there may be something to do for tasks that run elsewhere."""
        self.cards = asyncio.Event()
        """Set when a job has come that claims cards, or a screen is to show them."""
        self.opened = asyncio.Event()
        """Set when a job has come to which items are added while it runs."""
        self.news = asyncio.Event()
        """Set when a job has come, or has ended and its record is durable."""

    def in_order(self) -> Iterable[Job]:
        """Jobs in memory by falling priority, then age."""
        return (self.jobs[number] for _, number in self.order)

    def view(self, number: int) -> JobView | None:
        """What is shown of a job, if anything of it is in memory."""
        job = self.jobs.get(number)
        return portray(job) if job else self.recent.get(number)

    def named(self, name: str) -> int | None:
        """The id of the newest job of this name that memory knows."""
        active = (number for number, job in self.jobs.items() if job.spec.name == name)
        ended = (number for number, view in self.recent.items() if view.name == name)
        return max(itertools.chain(active, ended), default=None)

    def by_name(self) -> dict[str, list[int]]:
        """The ids of the jobs that memory knows, ascending, by name."""
        found: dict[str, list[int]] = {}
        for number in sorted({*self.jobs, *self.recent}):
            job = self.jobs.get(number)
            found.setdefault(job.spec.name if job else self.recent[number].name, []).append(number)
        return found

    def in_hand(self, key: Key) -> Task | None:
        """The running or stopped task of which `key` is the present attempt."""
        job = self.jobs.get(key.job)
        task = job.live.get(key.number) if job else None
        if task is None or task.key != key or task.state is TaskState.STARTING:
            return None
        return task

    def forget(self, number: int) -> None:
        """An ended job is shown no longer."""
        self.leaving.add(number)
        if self.recent.pop(number, None) is not None:
            self.forgotten.append(number)

    def shift(self, seconds: float) -> None:
        """The clock was set: whatever waits, or counts, by it goes with it."""
        for job in self.jobs.values():
            job.shift(seconds)

    def _admit(self, job: Job) -> None:
        self.jobs[job.id] = job
        if job.spec.call is not None:
            job.cold = True
            self.fresh_calls.append(job)
        limits = job.spec.limits
        if job.spec.gate != Gate() or limits.time_s is not None or limits.failures is not None:
            self.gated[job.id] = job
            self._awaited.update(_named(job))
        if self.gated:
            self.news.set()
        if self._simple(job):
            self._fresh[job.id] = job.spec.priority
            self._fresh_at[job.spec.priority] += 1
        bisect.insort(self.order, (-job.spec.priority, job.id))
        if job.spec.resources.cards:
            self.cards.set()
        if job.spec.items.open:
            self.opened.set()
        self.work.set()
        if job.where != "local":
            self.errands.set()

    def crowded(self, job: Job) -> bool:
        """Whether a job that has just come is for the loft: before it are enough others, and nobody asks for it."""
        if not self._simple(job) or job.id in self._awaited or job.spec.name in self._awaited:
            return False
        highest = self.loft.highest
        behind = highest is not None and highest >= job.spec.priority
        return behind or self._before(job.spec.priority) >= WAITING

    def wanted(self, most: int) -> list[int]:
        """Which come down from the loft now."""
        highest = self.loft.highest
        return self.loft.first(most) if highest is not None and self._before(highest) <= WAITING // 2 else []

    def _before(self, priority: int) -> int:
        return sum(count for one, count in self._fresh_at.items() if one >= priority)

    def _simple(self, job: Job) -> bool:
        """Whether a job has not begun, and there is nothing about it but its place in the order."""
        limits = job.spec.limits
        apart = job.spec.call is not None or job.spec.items.open or job.spec.gate != Gate()
        apart = apart or job.where != "local" or limits.time_s is not None or limits.failures is not None
        return not apart and job.state is JobState.QUEUED and job.started_at is None

    def _begun(self, number: int) -> None:
        """A job does not simply wait any more."""
        priority = self._fresh.pop(number, None)
        if priority is not None:
            self._fresh_at[priority] -= 1
            if self.loft.highest is not None:
                self.short.set()

    def _reorder(self, job: Job, priority: int) -> None:
        self._begun(job.id)
        del self.order[bisect.bisect_left(self.order, (-job.spec.priority, job.id))]
        job.prefer(priority)
        bisect.insort(self.order, (-job.spec.priority, job.id))

    def _release(self, job: Job) -> None:
        del self.jobs[job.id]
        self._begun(job.id)
        self.gated.pop(job.id, None)
        if not self.gated or len(self._awaited) > AWAITED + 8 * len(self.gated):
            self._awaited = {ref for one in self.gated.values() for ref in _named(one)}
        del self.order[bisect.bisect_left(self.order, (-job.spec.priority, job.id))]
        self.recent[job.id] = portray(job)
        while len(self.recent) > RECENT:
            self.forgotten.append(self.recent.popitem(last=False)[0])


def _named(job: Job) -> Iterable[Ref]:
    """What a job may wait for: those that it names, and of its own name another."""
    return (job.spec.name, *gate.named(job.spec.gate))
