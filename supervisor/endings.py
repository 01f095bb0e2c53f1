"""How attempts end: what an exit, a loss or a restart of the machine makes of a task and of what its job is taken to
need.

Owns that judgement, by the rules of `core.task`, and the fetching of results; each end is put down in the ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Exit
from gristmill.supervisor.core.spec import Retry
from gristmill.supervisor.core.task import (
    EVICTED,
    TASK_FINAL,
    JobState,
    Outcome,
    Task,
    TaskState,
    advance,
    close,
    divisible,
    judge,
    note,
    settle,
    settle_loss,
    settle_reboot,
)
from gristmill.supervisor.edge import results
from gristmill.supervisor.ledger import CANCELING, JOB_FAILED, Ledger

_CANCELED = Outcome(TaskState.CANCELED, "canceled by the user")
_JOB_FAILED = Outcome(TaskState.CANCELED, JOB_FAILED)


class Endings:
    """The ends of all attempts, our own workers' and those of workers left behind."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def exited(self, job: Job, number: int, end: Exit) -> None:
        """Settles an attempt that ended with an exit record."""
        task = job.live[number]
        if task.reason == EVICTED and end.why == "cancel":
            end = msgspec.structs.replace(end, why="evict", result=None)  # by a worker that has no word for it
        if self._divided(job, task, end):
            return
        outcome = settle(end, _retry(job), task.attempts, job.timeout_of(task), self._ledger.chance())
        closed = close(task, end, _final(job, task, outcome), self._ledger.clock())
        if end.oom or end.why == "evict":
            self._raise_need(job, closed)
        if end.result is not None:
            closed = self._collect(closed, Path(end.result))
        elif end.value is not None:
            self._ledger.add_result(closed, results.inline(end.value))
        self._ledger.end(job, closed, end.stopped_s)

    def _divided(self, job: Job, task: Task, end: Exit) -> bool:
        """Whether this was a chosen range that failed: the items of it that are to blame are found by halving. How
        often a single one is tried is the job's to say."""
        if job.guided is None or not job.alive or task.reason == CANCELING or not divisible(task, end):
            return False
        if end.oom:
            self._raise_need(job, task)
        reason = judge(end, job.spec.timeout_s)[2]
        self._ledger.divide(job, task, reason, None if end.result is None else Path(end.result))
        return True

    def lost(self, job: Job, number: int, log: str, reason: str = "") -> None:
        """Settles an attempt whose worker vanished without an exit record; `log` is what it wrote, "" for nothing,
        `reason` what is known of that."""
        task = job.live[number]
        if task.reason == EVICTED:  # that is how it ended, as far as anybody can know
            self._raise_need(job, task)
            self._gone(job, number, Outcome(TaskState.QUEUED, EVICTED), log, attempts=task.attempts - 1)
            return
        told = (reason,) if reason else ()
        self._gone(job, number, settle_loss(_retry(job), task.attempts, self._ledger.chance(), *told), log)

    def interrupted(self, job: Job, number: int, log: str) -> None:
        """Settles an attempt that a restart of the machine cut off."""
        self._gone(job, number, settle_reboot(job.spec.on_reboot), log)

    def _gone(self, job: Job, number: int, outcome: Outcome, log: str, **facts: Any) -> None:
        task = job.live[number]
        if (final := _final(job, task, outcome)) is not outcome:
            outcome, facts = final, {}
        now = self._ledger.clock()
        delay = {"not_before": now + outcome.delay_s}
        facts = {"reason": outcome.reason, "run": None, "pid": None, "log": log or None, **delay, **facts}
        if outcome.state in TASK_FINAL:
            facts["ended_at"] = now
        self._ledger.end(job, advance(task, outcome.state, **facts))

    def _raise_need(self, job: Job, task: Task) -> None:
        """Takes the next tasks of a job to need more memory than this one was given. Of those that were started before
        the last raise each counts by what it took itself: several in one emergency raise it once, not to the sky."""
        if task.is_finish:
            return  # what the last step needs says nothing of the others
        given = job.memory_need if (task.started_at or 0.0) >= job.raised_at else None
        before = job.footprint.raised_bytes
        job.footprint.ran_out(max(task.memory_peak_bytes or 0, given or 0))
        if job.footprint.raised_bytes > before:
            job.raised_at = self._ledger.clock()

    def _collect(self, task: Task, path: Path) -> Task:
        """Fetches a task's result; returns the task, with what was wrong about it."""
        try:
            result = results.collect(path)
        except FileNotFoundError as error:
            return note(task, reason=f"its result is gone: {error}")
        except OSError as error:
            result = results.leave(path, f"its result can't be read now ({error}); kept as {path}")
        self._ledger.add_result(task, result)
        return note(task, reason=result.fault) if result.fault else task


def _retry(job: Job) -> Retry:
    """How often tasks of a job are tried; of one that has failed nothing is tried again."""
    return Retry() if job.state is JobState.FAILED else job.spec.retry


def _final(job: Job, task: Task, outcome: Outcome) -> Outcome:
    """The outcome of an attempt where nobody wants another one: what was canceled, or is of a job that is over, is not
    queued again. In a job that is over nobody would find it."""
    queued = outcome.state is TaskState.QUEUED
    if queued and (task.reason == CANCELING or job.state is JobState.CANCELED):
        outcome = _CANCELED
    if job.state is JobState.FAILED and (queued or outcome.state is TaskState.CANCELED):
        return _JOB_FAILED
    return outcome
