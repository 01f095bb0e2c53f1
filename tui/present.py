"""What the screens know: updates folded into one frozen `Mill`, and what is chosen from it for show.

Owns the folding, the order and the filter of jobs and workers, and the figures that are sums. Pure: no clock, no
Textual, no colour. How a job becomes a row is `rows`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

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

HISTORY = 1200
"""Readings that are kept for the graphs: twenty minutes at one a second."""
DECISIONS = 200
OPEN = {"queued": 1, "waiting": 2, "held": 3, "running": 0}
"""States of jobs that have not ended, in the order in which people look for them."""
STALE_AFTER = 3.5
"""Seconds without an update after which the screen says that it is old."""


class GapError(Exception):
    """An update does not follow the one before it; what was known is void."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One point of the graphs; fractions are 0…1."""

    time: float
    cpu: float
    memory: float
    busy: int
    limit: int


@dataclass(frozen=True, slots=True)
class Mill:
    """Everything known of one daemon at one moment."""

    seq: int
    time: float
    daemon: DaemonView
    limit: LimitView
    machine: MachineView
    workers: tuple[WorkerView, ...]
    jobs: Mapping[int, JobView]
    decisions: tuple[DecisionView, ...] = ()
    history: tuple[Reading, ...] = ()
    jobs_more: int = 0
    """Jobs that wait in the daemon's record, and are not listed yet."""
    engines: tuple[EngineView, ...] = ()
    """Those beyond this machine that have tasks of ours, or are to have them."""

    @property
    def queued(self) -> int:
        """Items of open jobs that nobody works on yet."""
        waiting = sum(job.items - job.items_done - job.items_failed for job in self.jobs.values() if job.state in OPEN)
        return max(0, waiting - sum(worker.count for worker in self.workers if worker.task))

    @property
    def failed(self) -> int:
        """Items that ended badly, in all jobs that are listed."""
        return sum(job.items_failed for job in self.jobs.values())

    def task_of_job(self, job: int) -> str | None:
        """A task of this job that runs now, the one that started first."""
        mine = [worker for worker in self.workers if worker.job == job and worker.task]
        return min(mine, key=lambda worker: (worker.started_at or 0, worker.worker)).task if mine else None


def fold(mill: Mill | None, update: Update) -> Mill:
    """What is known after `update`; raises `GapError` when something was missed."""
    if update.event == "snapshot":
        jobs = {job.id: job for job in update.jobs}
        decisions = tuple(update.decisions)
        past = _remember(mill.history if mill else (), update.history)
    else:
        if mill is None or update.seq != mill.seq + 1:
            raise GapError(f"expected {mill.seq + 1 if mill else 'a snapshot'}, got {update.seq}")
        changed = {job.id: job for job in update.jobs}
        jobs = {**mill.jobs, **changed} if changed else dict(mill.jobs) if update.removed else mill.jobs  # type: ignore[assignment]
        for gone in update.removed:
            jobs.pop(gone, None)
        decisions = (*mill.decisions, *update.decisions)[-DECISIONS:]
        past = mill.history
    machine, limit = update.machine, update.limit
    total = max(1, machine.memory_total_bytes)
    reading = Reading(update.time, machine.cpu_percent / 100, 1 - machine.memory_available_bytes / total,
                      limit.busy, limit.workers)  # fmt: skip
    history = (*past, reading)[-HISTORY:]
    workers = tuple(sorted(update.workers, key=lambda worker: worker.worker))
    return Mill(update.seq, update.time, update.daemon, limit, machine, workers, jobs, decisions, history,
                update.jobs_more, tuple(update.engines))  # fmt: skip


def _remember(ours: tuple[Reading, ...], told: list[PastView]) -> tuple[Reading, ...]:
    """What the daemon remembers, behind what we saw before that: of another daemon, or longer ago than it keeps."""
    theirs = tuple(Reading(p.time, p.cpu_percent / 100, p.memory_percent / 100, p.busy, p.workers) for p in told)
    begin = theirs[0].time if theirs else float("inf")
    return (*(reading for reading in ours if reading.time < begin), *theirs)


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort: its name as shown, and the key."""

    name: str
    key: Callable[..., tuple[object, ...]]


def _activity(job: JobView) -> tuple[object, ...]:
    """Running first, then what waits, then what ended, the newest first."""
    return (OPEN.get(job.state, 9), -(job.ended_at or 0), job.id if job.state in OPEN else -job.id)


JOB_ORDERS = (
    Order("activity", _activity),
    Order("newest", lambda job: (-job.id,)),
    Order("name", lambda job: (job.name, job.id)),
    Order("failures", lambda job: (-job.items_failed, *_activity(job))),
)
WORKER_ORDERS = (
    Order("number", lambda worker: (worker.worker,)),
    Order("CPU", lambda worker: (-worker.cpu_percent, worker.worker)),
    Order("memory", lambda worker: (-worker.memory_bytes, worker.worker)),
    Order("time", lambda worker: (worker.started_at or float("inf"), worker.worker)),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Words that must all be found; `state:fail` looks at the state alone, `!word` must not be found."""

    text: str = ""
    words: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.text.casefold().split()))

    def admits(self, state: str, *texts: str) -> bool:
        """Whether something in `state` with these texts is shown."""
        hay = " ".join((state, *texts)).casefold()
        for word in self.words:
            bare = word.removeprefix("!")
            wanted = state.startswith(bare[6:]) if bare.startswith("state:") else bare in hay
            if wanted == word.startswith("!") and bare:
                return False
        return True


def pick_jobs(jobs: Iterable[JobView], order: Order, chosen: Filter) -> list[JobView]:
    """The jobs to show, in order."""
    shown = [job for job in jobs if not chosen.words or chosen.admits(job.state, str(job.id), job.name, job.reason)]
    return sorted(shown, key=order.key)


def pick_workers(workers: Iterable[WorkerView], order: Order, chosen: Filter) -> list[WorkerView]:
    """The workers to show, in order; those without a task come last."""
    shown = [worker for worker in workers if not chosen.words
             or chosen.admits(worker.state, str(worker.worker), task_name(worker), worker.last_line)]  # fmt: skip
    return sorted(shown, key=lambda worker: (worker.task is None, *order.key(worker)))


def task_name(worker: WorkerView) -> str:
    """A worker's task as people call it: `sweep/17`, not `12/17`."""
    if worker.task is None:
        return ""
    return name_task(worker.task, worker.job_name)


def name_task(task: str, job_name: str | None) -> str:
    """`12/17` of the job `sweep` as `sweep/17`."""
    return f"{job_name}/{task.rpartition('/')[2]}" if job_name else task


def next_limit(limit: LimitView, cores: float, wanted: int | None, step: int) -> int | None:
    """The cap to ask for after one step; `wanted` is one asked for but not seen yet. None: automatic again.

    A step up from a cap that already gives every core a worker returns to automatic.
    """
    base = limit.workers if wanted is None else wanted
    if step > 0 and (limit.mode == "fixed" or wanted is not None) and base >= max(1, round(cores)):
        return None
    return max(1, base + step)
