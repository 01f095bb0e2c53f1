"""Changes of the accounts on their way to the store: gathered, written together, and told once that is durable.

Changes made in one turn of the event loop, and the next, share one write; `changed` names the jobs for the feed, which
shows them only once that write is durable. What is changed, and why, is the `ledger`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gristmill.supervisor.changes import Changes
from gristmill.supervisor.chronicle import Chronicle, Untold
from gristmill.supervisor.core import items
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.spec import Items
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge import results, store
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.roll import Roll


class Listener(Protocol):
    """Whoever waits for what becomes of the tasks of one job."""

    def started(self, number: int) -> None:
        """A task has run for a moment."""

    def ended(self, numbers: list[int]) -> None:
        """Tasks are over for good, and their records durable."""

    def over(self) -> None:
        """The job is over, and its record durable."""


class Daybook(Roll):
    """The roll of jobs, each change of which is written down."""

    def __init__(self, record: Store, clock: Callable[[], float], chronicle: Chronicle) -> None:
        """`chronicle` is told of all that changes."""
        super().__init__()
        self._store, self.clock, self._chronicle = record, clock, chronicle
        self.changed: set[int] = set()
        self.ended: asyncio.Queue[Job] = asyncio.Queue()
        """Jobs that are over, and durably so."""
        self.to_gather: asyncio.Queue[Job] = asyncio.Queue()
        """Jobs of which only the [finally] step is left, which needs all results in a file."""
        self.finished = asyncio.Event()
        """Set, and replaced by a fresh one, whenever a job has ended."""
        self.listeners: dict[int, Listener] = {}
        """By job: who is told of its tasks."""
        self._changes = Changes()
        self._asked: dict[int, int] = {}
        """The round of each job in which its results were last asked to be gathered."""
        self._flushing: asyncio.Handle | None = None

    # ── what goes into the next write ─────────────────────────────────────────────────────────────────────────

    def _put(self, job: Job, task: Task) -> None:
        """Takes a task's record into the next write."""
        self._changes.put(task)
        job.handout.put(task.number)

    def _touch(self, job: Job) -> None:
        """Takes a job's account into the next write, which is on its way from here on; the job ends if it is over."""
        if not job.live:
            self.live.pop(job.id, None)
        verdict = job.verdict()
        if verdict is not None and job.ended_at is None:
            if verdict is not job.state:
                job.enter(verdict, job.words())
            job.ended_at = self.clock()
            self._changes.closing.append(job)
            self._asked.pop(job.id, None)
            if job.spec.items.open:
                self._become(job, items.sealed(job.spec.items))
        elif job.finishing and not job.gathered and self._asked.get(job.id) != job.rounds:
            self._asked[job.id] = job.rounds
            self.to_gather.put_nowait(job)
        self._changes.accounts[job.id] = job
        self.work.set()
        if job.where != "local":
            self.errands.set()
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self._flush_next)

    def _become(self, job: Job, made: Items) -> None:
        job.become(made)
        self._changes.specs[job.id] = job

    def add_result(self, task: Task, result: results.Result) -> None:
        """Takes a task's result into the next write; after that its file is not needed any more."""
        self._changes.add_result(task, result)

    # ── the way to the store ──────────────────────────────────────────────────────────────────────────────────

    def _flush_next(self) -> None:
        """In the next turn of the loop: the worker that is free by what ended has had its turn then, and the start of
        its next task went into the same write."""
        self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    async def settled(self) -> None:
        """Waits until all that memory says now is durable; not while the store is at fault, which is said."""
        if self._changes:
            self.flush()
        await self._store.settled()

    def flush(self) -> asyncio.Future[None]:
        """Writes what has changed since the last flush, together; done when it is durable."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        changes, self._changes = self._changes, Changes()
        untold = None
        if changes.rows or changes.accounts:
            untold = self._chronicle.see(changes.rows.values(), changes.accounts.values(), self._name)
        self.changed.update(changes.accounts)
        written = self._store.write(*changes.statements())
        for job in changes.closing:
            self._release(job)
        if untold is not None:
            written.add_done_callback(lambda future: self._tell(future, untold))
        if changes.awaited is not None:
            written.add_done_callback(changes.heard)
        if changes.closing or changes.collected or changes.told:
            written.add_done_callback(lambda future: self._after(future, changes))
        return written

    def _name(self, job: int) -> str:
        return self.jobs[job].spec.name if job in self.jobs else ""

    def _tell(self, written: asyncio.Future[None], untold: Untold) -> None:
        if not (written.cancelled() or written.exception()):
            self._chronicle.tell(untold)

    def _after(self, written: asyncio.Future[None], changes: Changes) -> None:
        """What must wait for the commit: a result's file may go, an ended job's file may move, listeners hear."""
        if written.cancelled() or written.exception():
            return
        for number, ended in changes.told.items():
            if number in self.listeners:
                self.listeners[number].ended(ended)
        for path in changes.collected:
            path.unlink(missing_ok=True)
        for job in changes.closing:
            self.ended.put_nowait(job)
            if job.id in self.listeners:
                self.listeners[job.id].over()
        if changes.closing:
            if self.gated:
                self.news.set()
            self.finished.set()
            self.finished = asyncio.Event()

    def relocate(self, logs: list[tuple[Key, str]]) -> asyncio.Future[None]:
        """Notes where the logs of ended attempts lie now; durable when the future is done."""
        return self._store.write(*(store.place_log(key, path) for key, path in logs))
