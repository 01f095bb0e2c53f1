"""The jobs in memory and on disk, kept equal: every change of an account is made here, in order.

Owns the accounts (`core.job`) of all jobs on the `roll`; how changes of them become durable is the `daybook`'s. What it
does not do: decide when something starts (`dispatch`), run it (`pool`), judge how it ended (`endings`), move job files
(`intake`) or show anything (`feed`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from gristmill.supervisor.chronicle import Chronicle
from gristmill.supervisor.core import items, launch
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.footprint import Tally
from gristmill.supervisor.core.governor.kinds import KNOWN
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.pace import Pace
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import (
    EVICTED,
    JOB_FINAL,
    TASK_FINAL,
    JobState,
    Task,
    TaskState,
    advance,
    backoff,
    note,
)
from gristmill.supervisor.daybook import Daybook
from gristmill.supervisor.edge import store
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.roll import RECENT

log = logging.getLogger(__name__)

FORSAKEN = "its worker was killed: it goes on, how it ends will not be known"
CANCELING = "canceling"
"""The reason of a live task whose end was asked for: the durable mark that a later daemon acts on."""
HELD = "held by the user"
BATCH = 500
"""Jobs that come down from the loft at a time."""
JOB_FAILED = "its job has failed"
MARKS = frozenset({CANCELING, EVICTED})
"""Reasons of live tasks that are orders, and give way to no other but a user's."""


class Ledger(Daybook):
    """The accounts of all jobs."""

    def __init__(
        self, record: Store, clock: Callable[[], float], chance: Callable[[], float], chronicle: Chronicle | None = None
    ) -> None:
        """`chronicle` is told of all that changes."""
        super().__init__(record, clock, chronicle or Chronicle(clock))
        self.chance = chance
        self.tallies: dict[str, Tally] = {}
        """By kind: what ended by itself since the governor's last reading."""
        self.tallied = asyncio.Event()
        """Set when one of the first of a kind was added there."""
        self._last = 0

    # ── memory ────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> list[Task]:
        """Reads what is not finished from the store; returns the tasks that were live when it was written."""
        queries = self._store.queries
        self._last = queries.last_job()
        for job in queries.finished(RECENT):
            self.recent[job.id] = portray(job)
        tasks = queries.open_tasks()
        handed_out = {task.job for task in tasks}
        for job in queries.unfinished():
            if job.id not in handed_out and self.crowded(job):
                self.loft.add(job.spec.priority, job.id)
                continue
            self._admit(job)
            self._chronicle.know(job)
            job.resume(queries.recorded(job))
        live = []
        for task in tasks:
            if task.job not in self.jobs:
                continue
            if task.state is TaskState.QUEUED:
                job = self.jobs[task.job]
                latest = self.clock() + backoff(job.spec.retry, max(1, task.attempts), 1.0)
                job.queue(note(task, not_before=min(task.not_before, latest)))  # it may date from another clock
            else:
                self.jobs[task.job].live[task.number] = task
                self.live[task.job] = self.jobs[task.job]
                if task.place:
                    self.jobs[task.job].elsewhere.add(task.number)
                live.append(task)
        for job in list(self.jobs.values()):
            self._touch(job)  # one whose last task ended with the old daemon ends now
        return live

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def accept(self, claim: str, file: str, spec: Spec, source: bytes, place: bytes) -> Job:
        """Takes a job in under its claim; returns once it is durable. `place` is where its file is to lie."""
        self._last += 1
        job = Job(id=self._last, spec=spec, file=file, submitted_at=self.clock(), claim=claim)
        if job.guided is not None:
            job.footprint.pace = await self._known_pace(spec)
        await self._store.write(store.add_job(job, source, place))
        self._chronicle.tell(self._chronicle.see((), (job,), str))
        if self.crowded(job):
            self.loft.add(spec.priority, job.id)
            self._chronicle.forget(job)
        else:
            self._admit(job)
            self.changed.add(job.id)
        return job

    async def descend(self) -> None:
        """Has jobs come down from the loft as those in memory begin, for as long as the daemon lives."""
        while True:
            await self.short.wait()
            while numbers := self.wanted(BATCH):
                await self.bring(numbers)
            self.short.clear()  # not before: what could not be read is read again

    async def bring(self, numbers: list[int]) -> None:
        """Takes jobs of the loft into memory."""
        for job, recorded in await self._store.ask("waiting", numbers):
            if self.loft.discard(job.id):
                job.resume(recorded)
                self._admit(job)
                self._chronicle.know(job)
                self.changed.add(job.id)

    async def _known_pace(self, spec: Spec) -> Pace:
        """What is known of ranges of the same command, from the newest job of that name."""
        last: Job | None = await self._store.ask("job", spec.name)
        return last.footprint.pace if last is not None and last.kind == launch.kind(spec) else Pace()

    def extend(self, job: Job, total: int) -> asyncio.Future[None]:
        """An open job has `total` items now; durable when the future is done. The starts of the first of them go into
        the same write."""
        self._become(job, items.grown(job.spec.items, total))
        self._touch(job)
        return self._changes.wait()

    def seal(self, job: Job, cancel: str = "") -> asyncio.Future[None]:
        """No more items come to an open job; with `cancel`, a reason, none that waits is started either."""
        self._become(job, items.sealed(job.spec.items))
        if cancel and job.alive and (job.handout.more or job.again):
            job.enter(JobState.CANCELED, cancel)
        self._touch(job)
        return self.flush()

    async def cancel(self, job: Job) -> list[Task]:
        """Cancels all that is not over; returns the live tasks, whose ends the pool has to ask for."""
        if job.state in JOB_FINAL:
            raise RequestError(f"job {job.id} ({job.spec.name}) has ended already: {job.state}")
        job.enter(JobState.CANCELED, "canceled by the user")
        for number, task in list(job.live.items()):
            self._keep(job, number, task)
        self._touch(job)
        await self.flush()
        return list(job.live.values())

    def fail(self, job: Job, reason: str, *, end: bool = False) -> list[Task]:
        """Ends a job as failed, though not all of its tasks have run. What runs of it goes on to its end, or, with
        `end`, is returned: the pool has to ask for its end."""
        job.enter(JobState.FAILED, reason)
        now = self.clock()
        for live in list(job.live.values()) if end else ():
            self._keep(job, live.number, live)
        for _, number, _ in list(job.again):
            if (task := job.withdraw(number)) is not None:  # one that a retry of the job finds again
                self.end(job, advance(task, TaskState.CANCELED, reason=JOB_FAILED, ended_at=now))
        self._touch(job)
        return list(job.live.values()) if end else []

    def hold(self, job: Job) -> None:
        """Has a job start nothing more until it is released; what no worker has got yet comes back."""
        job.enter(JobState.HELD, HELD)
        self._begun(job.id)
        self._touch(job)

    def release(self, job: Job) -> None:
        """A held job may go on."""
        job.enter(JobState.QUEUED)
        if job.started_at is not None:
            job.enter(JobState.RUNNING)
        self._touch(job)

    def prefer(self, job: Job, priority: int) -> None:
        """Gives a job another place in the order."""
        self._reorder(job, priority)
        self._changes.specs[job.id] = job
        self._touch(job)

    async def cancel_task(self, job: Job, number: int) -> Task | None:
        """Cancels one task; returns it when it is live, so that the pool can ask for its end."""
        if number in job.live:
            self._keep(job, number, job.live[number])
            await self.flush()
            return job.live.get(number)
        task = job.withdraw(number) if job.alive else None
        if task is None:
            raise RequestError(f"task {job.id}/{number} is neither waiting nor running: nothing to cancel")
        self.end(job, advance(task, TaskState.CANCELED, reason="canceled by the user", ended_at=self.clock()))
        await self.flush()
        return None

    async def cancel_live(self) -> list[Task]:
        """Marks every live task of every job as asked to end, in one write; returns those that were not yet."""
        marked: list[Task] = []
        for job in self.live.values():
            for number, task in list(job.live.items()):
                if task.reason != CANCELING:
                    self._keep(job, number, task)
                    marked.append(job.live[number])
        if marked:
            await self.flush()
        return marked

    def _keep(self, job: Job, number: int, task: Task, mark: str = CANCELING) -> None:
        """Marks a live task as asked to end; a stopped one runs for that."""
        marked = note(task, reason=mark)
        if marked.state is TaskState.PAUSED:
            marked = advance(marked, TaskState.RUNNING)
        job.live[number] = marked
        self._put(job, marked)

    async def retry(self, job: Job, ended: list[Task]) -> int:
        """Queues ended tasks of a job once more; returns how many tasks that gives it to do."""
        if job.id in self.leaving:
            raise RequestError(f"job {job.id} ({job.spec.name}) is being removed")
        if job.id not in self.jobs:
            self.recent.pop(job.id, None)
            self._admit(job)
        if job.state in JOB_FINAL:
            job.enter(JobState.QUEUED)
            job.ended_at = None
        if (finish := job.finish) is not None:
            self._changes.drop(job.id, finish.number)
            self._changes.void(job.id, finish.start, 1)
        fresh = job.reopen(ended)
        kept = {task.number for task in fresh}
        for task in ended:
            if task.number not in kept and not task.is_finish:  # its items come again in other ranges
                self._changes.drop(job.id, task.number)
                self._changes.void(job.id, task.start, task.count)
        for task in fresh:
            self._put(job, task)
        self._touch(job)
        to_do = job.waiting  # before the first of them begins
        await self.flush()
        return to_do

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, job: Job, workers: int, gpus: str = "", abroad_s: float | None = None) -> Task:
        """Hands out the next task of a job, on these cards, of which `workers` may share what is left; nothing is
        written before it has a worker. With `abroad_s` it is for an engine, where a start costs so many seconds."""
        if abroad_s is None and not any(one.hands for one in self.live.values()):
            self.begun.set()
        self.live[job.id] = job
        self._begun(job.id)
        return job.take(self.clock(), workers, gpus, abroad_s)

    def starting(self, tasks: list[Task], run: int, worker: int) -> asyncio.Future[None]:
        """Writes down to which worker tasks are about to be sent; durable when the future is done."""
        for task in tasks:
            self._sent(self.jobs[task.job], note(task, run=run, worker=worker))
        return self.flush()

    def handing_over(self, tasks: list[Task]) -> asyncio.Future[None]:
        """Writes down to which places elsewhere tasks are about to be given; durable when the future is done."""
        for task in tasks:
            self._sent(self.jobs[task.job], task)
        return self.flush()

    def _sent(self, job: Job, task: Task) -> None:
        job.live[task.number] = task
        self._put(job, task)
        if job.state is JobState.QUEUED:
            job.enter(JobState.RUNNING)
            job.started_at = job.started_at or self.clock()
        self._changes.accounts[job.id] = job

    def running(self, job: int, number: int, pid: int | None, started_at: float) -> None:
        """Notes that a task runs; the worker's journal is the record of that."""
        account = self.jobs.get(job)
        task = account.live.get(number) if account else None
        if account is None or task is None or task.state not in (TaskState.STARTING, TaskState.PAUSED):
            return
        reason = "" if task.state is TaskState.PAUSED else task.reason
        account.live[number] = advance(task, TaskState.RUNNING, pid=pid, started_at=started_at, reason=reason)
        self.changed.add(job)
        if job in self.listeners:
            self.listeners[job].started(number)

    def elsewhere(self, key: Key, host: str, engine_id: str, reason: str, runs: bool) -> None:
        """Notes what an engine says of a task that it has: where it is, why it waits, whether it runs. In memory only:
        the engine says it again, and the record in the shared folder has the last word."""
        account = self.jobs.get(key.job)
        task = account.live.get(key.number) if account else None
        if account is None or task is None or task.key != key:
            return
        seen = note(task, host=host or task.host, engine_id=engine_id or task.engine_id,
                    reason=task.reason if task.reason in MARKS else reason)  # fmt: skip
        if runs and task.state is TaskState.STARTING:
            seen = advance(seen, TaskState.RUNNING, started_at=self.clock())
            if key.job in self.listeners:
                self.listeners[key.job].started(key.number)
        if seen != task:
            account.live[key.number] = seen
            self.changed.add(key.job)

    def paused(self, key: Key, reason: str) -> None:
        """Notes that a task is stopped. In memory only: should the daemon die, it goes on."""
        task = self.in_hand(key)
        if task is not None and task.state is TaskState.RUNNING and task.reason not in MARKS:
            self.jobs[key.job].live[key.number] = advance(task, TaskState.PAUSED, reason=reason)
            self.changed.add(key.job)

    def resumed(self, key: Key, reason: str = "") -> None:
        """Notes that a stopped task goes on."""
        task = self.in_hand(key)
        if task is not None and task.state is TaskState.PAUSED:
            self.jobs[key.job].live[key.number] = advance(task, TaskState.RUNNING, reason=reason)
            self.changed.add(key.job)

    def evicting(self, key: Key) -> bool:
        """Marks a task in hand as one that is being ended to make room; False when its end was asked for already."""
        task = self.in_hand(key)
        if task is None or task.reason in MARKS:
            return False
        job = self.jobs[key.job]
        self._keep(job, key.number, task, EVICTED)
        self._touch(job)
        return True

    def forsaken(self, job: Job, number: int) -> None:
        """Notes that a running task has lost its worker; one whose end was asked for keeps that mark."""
        task = job.live[number]
        if task.reason not in MARKS:
            job.live[number] = note(task, reason=FORSAKEN)
            self.changed.add(job.id)

    def seen(self, job: Job, number: int, memory_bytes: int) -> None:
        """Notes the memory that a task was seen to use; its peak goes into the record when it ends."""
        task = job.live.get(number)
        if task is not None and memory_bytes > (task.memory_peak_bytes or 0):
            job.live[number] = note(task, memory_peak_bytes=memory_bytes)

    def gathered(self, job: Job, rounds: int) -> None:
        """Notes that the results of a job lie ready for its [finally] step, unless it was begun anew meanwhile."""
        if job.rounds == rounds and job.finishing:
            job.gathered = True
            self.changed.add(job.id)
            self.work.set()

    def put_back(self, job: Job, number: int, reason: str = "", delay_s: float = 0.0) -> None:
        """An attempt that no worker claimed is queued again, or canceled where nobody wants another one."""
        task = job.live[number]
        if task.reason == CANCELING or not job.alive:
            why = JOB_FAILED if job.state is JobState.FAILED else "canceled by the user"
            self.end(job, advance(task, TaskState.CANCELED, reason=why, ended_at=self.clock()))
            return
        self._put(job, job.put_back(task, reason, self.clock() + delay_s if delay_s else 0.0))
        self._touch(job)

    def end(self, job: Job, task: Task, stopped_s: float = 0.0) -> None:
        """Puts down how an attempt ended; of its time it was stopped for `stopped_s`."""
        if (used := job.settle(task, stopped_s)) is not None:
            tally = self.tallies.setdefault(job.kind, Tally())
            tally.add(used)
            if tally.count <= KNOWN:  # more of them tell the governor nothing that can't wait for its next reading
                self.tallied.set()
        if job.id in self.listeners and task.state in TASK_FINAL:
            self._changes.told.setdefault(job.id, []).append(task.number)
        if job.guided is not None:
            task, gone = job.guided.keep(task)
            for number in gone:
                self._changes.drop(job.id, number)
        self._put(job, task)
        self._touch(job)

    def divide(self, job: Job, task: Task, reason: str, leavings: Path | None) -> None:
        """Puts two halves in the place of a range that failed, in one write. Its result file is not needed any more."""
        self._changes.drop(job.id, task.number)
        first, second = job.divide(task)
        log.info("task %d/%d (%d items from %d) failed (%s): tried again in halves, %d/%d and %d/%d",
                 job.id, task.number, task.count, task.start, reason, job.id, first.number, job.id, second.number)
        self._put(job, first)
        self._put(job, second)
        if leavings is not None:
            self._changes.collected.append(leavings)
        self._touch(job)
