"""What has happened, as programs read it: one JSON object each, told apart by `event`. Fields may be added, never
changed; docs/operations.md is the reference.

Owns the shapes. Which events there are to tell is `chronicle`'s, which of them people are called for is `notices`'.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import ConditionView, DecisionView
from gristmill.supervisor.core.task import Task


class Event(msgspec.Struct, kw_only=True, frozen=True, tag_field="event"):
    """Something that has happened. `seq` grows by one or more from event to event of one daemon; `time` is in seconds
    since the epoch."""

    seq: int = 0
    time: float


class JobEvent(Event, kw_only=True, frozen=True, tag="job"):
    """A job is in another state now: queued, held, running, done, failed, canceled."""

    id: int
    name: str
    file: str
    state: str
    reason: str = ""
    items: int
    items_done: int = 0
    items_failed: int = 0
    submitted_at: float
    started_at: float | None = None
    ended_at: float | None = None


class TaskEvent(Event, kw_only=True, frozen=True, tag="task"):
    """A task was sent to a worker (`starting`), waits for another try (`queued`), or is over."""

    id: str
    job: int
    name: str
    start: int
    count: int
    state: str
    reason: str = ""
    attempt: int = 0
    worker: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    cpu_s: float | None = None
    memory_peak_bytes: int | None = None


class LimitEvent(Event, kw_only=True, frozen=True, tag="limit"):
    """Another number of workers may be busy."""

    before: int
    after: int
    reason: str


class ConditionEvent(Event, kw_only=True, frozen=True, tag="condition"):
    """Something is wrong with the world (`began`), or is no longer (`over`)."""

    kind: str
    state: Literal["began", "over"]
    reason: str
    since: float
    holds: bool


class DaemonEvent(Event, kw_only=True, frozen=True, tag="daemon"):
    """The daemon has `started`, or is `stopping`; its tasks go on. After a start, sequence numbers begin anew."""

    state: Literal["started", "stopping"]
    pid: int
    version: str


class GapEvent(Event, kw_only=True, frozen=True, tag="gap"):
    """Before this, events are not known any more: ask `grist status` how things are."""


def of_job(job: Job, now: float) -> JobEvent:
    """How a job is now."""
    return JobEvent(
        time=now, id=job.id, name=job.spec.name, file=job.file, state=job.state.value, reason=job.reason,
        items=job.spec.items.total, items_done=job.items_done, items_failed=job.items_failed,
        submitted_at=job.submitted_at, started_at=job.started_at, ended_at=job.ended_at,
    )


def of_task(task: Task, name: str, seq: int, now: float) -> TaskEvent:
    """How a task of a job of this name is now."""
    return TaskEvent(
        seq=seq, time=now, id=f"{task.job}/{task.number}", job=task.job, name=name, start=task.start, count=task.count,
        state=task.state.value, reason=task.reason, attempt=task.attempts, worker=task.worker,
        exit_code=task.exit_code, signal=task.signal, started_at=task.started_at, ended_at=task.ended_at,
        cpu_s=task.cpu_s, memory_peak_bytes=task.memory_peak_bytes,
    )


def of_limit(decision: DecisionView) -> LimitEvent:
    """A change of the limit."""
    return LimitEvent(time=decision.time, before=decision.before, after=decision.after, reason=decision.reason)


def of_condition(condition: ConditionView, began: bool, now: float) -> ConditionEvent:
    """The begin or the end of a condition."""
    return ConditionEvent(
        time=now, kind=condition.kind, state="began" if began else "over", reason=condition.reason,
        since=condition.since, holds=condition.holds,
    )
