"""What the screens see: one picture of everything, then what changed in it, in order, numbered.

Owns the pictures and their subscribers. Store before feed: a change goes out only when it is durable, so that no
screen shows what a crash would forget. A reader that can't keep up is skipped and gets a whole picture later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from gristmill.supervisor.core import progress
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.protocol import (
    DaemonView,
    DecisionView,
    EngineView,
    JobView,
    LimitView,
    MachineView,
    PastView,
    Update,
    WorkerView,
)
from gristmill.supervisor.core.task import Task, TaskState
from gristmill.supervisor.edge import tail
from gristmill.supervisor.edge.sampler import Tree
from gristmill.supervisor.ledger import MARKS, Ledger
from gristmill.supervisor.pool import Pool

DECISIONS_KEPT = 50
SECONDS_KEPT = 600


class Subscriber(Protocol):
    """Whoever gets updates; `push` says whether the line was taken."""

    stale: bool

    @property
    def has_room(self) -> bool:
        """Whether a line would be taken now."""

    def push(self, line: bytes) -> bool:
        """Sends one line, or refuses when too much is waiting already."""


class LogPath(Protocol):
    """Where what an attempt writes lies: its `log`, its `err` where standard error has a file of its own, its
    `progress`."""

    def __call__(self, task: Task, kind: str = "log") -> Path:
        """The path now; the file may not be there yet."""


class Feed:
    """Turns the state of the daemon into updates."""

    def __init__(
        self, ledger: Ledger, pool: Pool, daemon: Callable[[], DaemonView], log_path: LogPath,
        tell: Callable[[DecisionView], None],
    ) -> None:
        """`tell` hears of every change of the limit."""
        self._ledger, self._pool = ledger, pool
        self.log_path, self.daemon = log_path, daemon
        self._tell = tell
        self._subscribers: set[Subscriber] = set()
        self._seq = 0
        self._fresh: list[DecisionView] = []
        self.decisions: deque[DecisionView] = deque(maxlen=DECISIONS_KEPT)
        self._history: deque[PastView] = deque(maxlen=SECONDS_KEPT)
        self.machine = MachineView(cores=0, cpu_percent=0, memory_total_bytes=0, memory_available_bytes=0)
        self.limit = LimitView(workers=0, busy=0, reason="starting")
        self.trees: dict[int, Tree] = {}
        self.engines: Callable[[], list[EngineView]] = list
        """What runs beyond this machine."""

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._subscribers)

    def decided(self, decision: DecisionView) -> None:
        """Adds a change of the limit to the history."""
        self.decisions.append(decision)
        self._fresh.append(decision)
        self._tell(decision)

    def read(self, machine: MachineView, limit: LimitView) -> None:
        """Takes in a look at the machine."""
        self.machine, self.limit = machine, limit
        used = 1 - machine.memory_available_bytes / max(1, machine.memory_total_bytes)
        self._history.append(
            PastView(time=round(time.time(), 1), cpu_percent=machine.cpu_percent, memory_percent=round(100 * used, 1),
                     busy=limit.busy, workers=limit.workers)
        )

    def limit_now(self) -> LimitView:
        """The limit, with how many workers are busy at this moment rather than at the last look."""
        self.limit.busy = self._pool.busy
        return self.limit

    async def subscribe(self, subscriber: Subscriber) -> None:
        """Sends the whole picture, then every delta until `unsubscribe`."""
        whole = self._snapshot()
        await self._ledger.settled()
        while whole.seq != self._seq:  # deltas went out meanwhile that this picture does not have
            whole = self._snapshot()
            await self._ledger.settled()
        self._subscribers.add(subscriber)
        subscriber.stale = not subscriber.push(self._encode(whole))

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forgets a reader that left."""
        self._subscribers.discard(subscriber)

    async def publish(self) -> None:
        """Sends what has changed since the last time, once it is durable."""
        changed, self._ledger.changed = self._ledger.changed, set()
        forgotten, self._ledger.forgotten = self._ledger.forgotten, []
        fresh, self._fresh = self._fresh, []
        if not self._subscribers:
            return
        jobs = [view for number in sorted(changed) if (view := self._ledger.view(number))]
        update = self._update("delta", jobs, fresh)
        update.removed = forgotten
        behind = any(subscriber.stale and subscriber.has_room for subscriber in self._subscribers)
        whole = self._snapshot() if behind else None  # made once, and only for somebody who can take it
        await self._ledger.settled()
        self._seq += 1
        update.seq = self._seq
        line = self._encode(update)
        for subscriber in [one for one in self._subscribers if not one.stale]:
            subscriber.stale = not subscriber.push(line)
        if whole is not None:
            whole.seq = self._seq
            line = self._encode(whole)
            for subscriber in [one for one in self._subscribers if one.stale and one.has_room]:
                subscriber.stale = not subscriber.push(line)

    def jobs(self) -> list[JobView]:
        """All jobs in memory, oldest first."""
        known = {**self._ledger.recent, **{number: portray(job) for number, job in self._ledger.jobs.items()}}
        return [known[number] for number in sorted(known)]

    def _snapshot(self) -> Update:
        whole = self._update("snapshot", self.jobs(), list(self.decisions))
        whole.history = list(self._history)
        return whole

    def _update(
        self, event: Literal["snapshot", "delta"], jobs: list[JobView], decisions: list[DecisionView]
    ) -> Update:
        return Update(
            event=event, seq=self._seq, time=time.time(),
            daemon=self.daemon(), limit=self.limit, machine=self.machine, workers=self.workers(),
            engines=self.engines(), jobs=jobs, jobs_more=len(self._ledger.loft),
            decisions=decisions,
        )

    @staticmethod
    def _encode(update: Update) -> bytes:
        return msgspec.json.encode(update) + b"\n"

    # ── workers ───────────────────────────────────────────────────────────────────────────────────────────────

    def workers(self) -> list[WorkerView]:
        """Every worker, by number."""
        views = [
            self._worker(slot.number, next(iter(slot.flight.values()), None), slot.pid, adopted=False)
            for slot in self._pool.slots.values()
        ]
        views += [
            self._worker(task.worker or 0, task, adopted.pid, adopted=True)
            for adopted, task in self._pool.legacy.workers.values()
        ]
        return sorted(views, key=lambda view: (view.worker, view.adopted))

    def _worker(self, number: int, sent: Task | None, pid: int | None, adopted: bool) -> WorkerView:
        job = self._ledger.jobs.get(sent.job) if sent else None
        task = job.live.get(sent.number) if job and sent else None
        if job is None or task is None:
            return WorkerView(worker=number, state="idle", pid=pid, adopted=adopted)
        tree = self.trees.get(pid or 0)
        words, told = "", None
        if self.watched and task.started_at is not None:
            words, told = progress.last_words(tail.read(self.log_path(task)))
            stated = progress.stated(tail.read(self.log_path(task, "progress")))
            told = told if stated is None else stated
        stopping, paused = task.reason in MARKS, task.state is TaskState.PAUSED
        return WorkerView(
            worker=number,
            state="stopping" if stopping else "paused" if paused else "running" if task.started_at else "starting",
            task=f"{task.job}/{task.number}",
            job=task.job,
            job_name=job.spec.name,
            start=task.start,
            count=task.count,
            attempt=task.attempts,
            pid=task.pid,
            cpu_percent=round(100 * tree.cpu, 1) if tree else 0.0,
            memory_bytes=tree.memory_bytes if tree else 0,
            started_at=task.started_at,
            progress=told,
            last_line=words[:200],
            adopted=adopted,
        )
