"""What can be written: each a statement with its values, made where the fact is known and committed by `writer`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.task import Task

ADD_JOB = """INSERT INTO jobs (id, claim, name, file, spec, source, place, submitted_at, state)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
SAVE_JOB = """UPDATE jobs SET state = ?, reason = ?, cursor = ?, tasks_ended = ?, items_done = ?, items_failed = ?,
    started_at = ?, ended_at = ?, footprint = ? WHERE id = ?"""
SAVE_SPEC = "UPDATE jobs SET spec = ? WHERE id = ?"
PLACE_JOB = "UPDATE jobs SET place = ? WHERE id = ?"
SAVE_TASK = f"REPLACE INTO tasks VALUES ({', '.join('?' * len(Task.__struct_fields__))})"
DROP_TASK = "DELETE FROM tasks WHERE job = ? AND number = ?"
PLACE_LOG = "UPDATE tasks SET log = ? WHERE job = ? AND number = ? AND attempts = ?"
SAVE_RESULT = "REPLACE INTO results VALUES (?, ?, ?, ?, ?)"
DROP_RESULTS = "DELETE FROM results WHERE job = ? AND start >= ? AND start < ?"
DROP_TASKS = """DELETE FROM tasks WHERE job = ?1
    AND number IN (SELECT number FROM tasks WHERE job = ?1 ORDER BY number LIMIT ?2)"""
DROP_SOME_RESULTS = """DELETE FROM results WHERE job = ?1
    AND start IN (SELECT start FROM results WHERE job = ?1 ORDER BY start LIMIT ?2)"""
DROP_JOB = "DELETE FROM jobs WHERE id = ?"
SHRINK = "PRAGMA incremental_vacuum({:d})"
CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
SAVE_META = "REPLACE INTO meta VALUES (?, ?)"


class Statement(NamedTuple):
    """One row to write."""

    sql: str
    values: tuple[Any, ...]


def add_job(job: Job, source: bytes, place: bytes) -> Statement:
    """A job as accepted, with the bytes of its file and where that is to lie below the jobs folder."""
    spec = msgspec.json.encode(job.spec)
    values = (job.id, job.claim, job.spec.name, job.file, spec, source, place, job.submitted_at, str(job.state))
    return Statement(ADD_JOB, values)


def save_job(job: Job) -> Statement:
    """What has changed about a job."""
    return Statement(
        SAVE_JOB,
        (
            str(job.state), job.reason, job.handout.recorded, job.tasks_ended, job.items_done, job.items_failed,
            job.started_at, job.ended_at, msgspec.json.encode(job.footprint), job.id,
        ),
    )


def save_spec(job: Job) -> Statement:
    """What an open job consists of by now."""
    return Statement(SAVE_SPEC, (msgspec.json.encode(job.spec), job.id))


def place_job(job: int, place: bytes) -> Statement:
    """Where the job's file lies now, below the jobs folder."""
    return Statement(PLACE_JOB, (place, job))


def save_task(task: Task) -> Statement:
    """A task as it is now."""
    return Statement(SAVE_TASK, msgspec.structs.astuple(task))


def drop_task(job: int, number: int) -> Statement:
    """A task has no record of its own any more: another one covers its items, or none does."""
    return Statement(DROP_TASK, (job, number))


def place_log(key: Key, path: str) -> Statement:
    """Where the log of an ended attempt lies now."""
    return Statement(PLACE_LOG, (path, key.job, key.number, key.attempt))


def save_result(task: Task, result: bytes) -> Statement:
    """What a task gave back, JSON; in the place of what one with the same first item gave before."""
    return Statement(SAVE_RESULT, (task.job, task.start, task.count, task.number, result))


def drop_results(job: int, start: int, count: int) -> Statement:
    """What was given back for these items is void: they are done once more."""
    return Statement(DROP_RESULTS, (job, start, start + count))


def save_meta(key: str, value: str) -> Statement:
    """A fact about the store itself."""
    return Statement(SAVE_META, (key, value))


def drop_records(job: int, most: int) -> tuple[Statement, ...]:
    """So many records of its tasks, and so many results, are not kept any longer."""
    return Statement(DROP_TASKS, (job, most)), Statement(DROP_SOME_RESULTS, (job, most))


def drop_job(job: int) -> Statement:
    """A job without records is forgotten."""
    return Statement(DROP_JOB, (job,))


def shrink(pages: int) -> Statement:
    """Gives so many free pages back to the file system."""
    return Statement(SHRINK.format(pages), ())


def checkpoint() -> Statement:
    """Brings the file itself up to date, and so to its length; waits for nobody."""
    return Statement(CHECKPOINT, ())
