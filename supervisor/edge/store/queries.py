"""What can be asked of the record; each question opens no transaction of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gristmill.supervisor.core import harvest
from gristmill.supervisor.core.footprint import Footprint
from gristmill.supervisor.core.handout import Recorded
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import number_of
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import TASK_FINAL, JobState, Task, TaskState

_JOB = """SELECT id, claim, file, spec, submitted_at, state, reason, cursor, tasks_ended, items_done, items_failed,
    started_at, ended_at, footprint FROM jobs """
_TASK = "SELECT * FROM tasks "
_FILED = "ended_at IS NOT NULL AND (place IS NULL OR CAST(place AS TEXT) NOT LIKE 'accepted/%')"
TASK_BYTES = 150
"""What the record of a task takes, nearly."""
_PLAIN = "log IS NULL AND reason = '' AND count > 0"
_FINAL = ", ".join(f"'{state}'" for state in sorted(TASK_FINAL))

# Made on import: msgspec learns a type at its first use, and two threads that do so at once crash the process.
_SPEC = msgspec.json.Decoder(Spec)
_FOOTPRINT = msgspec.json.Decoder(Footprint)


def _read_job(row: Sequence[Any]) -> Job:
    (id_, claim, file, spec, submitted, state, reason, cursor, ended, done, failed, started_at, ended_at, seen) = row
    return Job(
        id=id_, claim=claim, file=file, spec=_SPEC.decode(spec), submitted_at=submitted,
        state=JobState(state), reason=reason, cursor=cursor, tasks_ended=ended, items_done=done, items_failed=failed,
        started_at=started_at, ended_at=ended_at, footprint=_FOOTPRINT.decode(seen),
    )


_TASK_FIELDS = Task.__struct_fields__


def _read_task(row: Sequence[Any]) -> Task:
    fields = dict(zip(_TASK_FIELDS, row, strict=True))
    fields["state"] = TaskState(fields["state"])
    return Task(**fields)


class Queries:
    """The questions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def close(self) -> None:
        self._db.close()

    def meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def last_job(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        return int(row[0]) if row else 0

    def unfinished(self) -> Iterator[Job]:
        """Jobs that have not ended, oldest first."""
        return map(_read_job, self._db.execute(_JOB + "WHERE ended_at IS NULL ORDER BY id"))

    def waiting(self, numbers: Sequence[int]) -> list[tuple[Job, Recorded]]:
        """Some of them, each with what is recorded of its tasks."""
        some = ", ".join("?" * len(numbers))
        rows = self._db.execute(f"{_JOB} WHERE id IN ({some}) AND ended_at IS NULL ORDER BY id", tuple(numbers))
        return [(job, self.recorded(job)) for job in list(map(_read_job, rows))]

    def finished(self, most: int) -> list[Job]:
        """The newest `most` jobs that have ended, oldest first."""
        rows = self._db.execute(_JOB + "WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT ?", (most,)).fetchall()
        return [_read_job(row) for row in reversed(rows)]

    def job(self, which: str) -> Job | None:
        """The job with this id, or the newest of this name."""
        if (number := number_of(which)) is not None:
            row = self._db.execute(_JOB + "WHERE id = ?", (number,)).fetchone()
            if row:
                return _read_job(row)
        row = self._db.execute(_JOB + "WHERE name = ? ORDER BY id DESC LIMIT 1", (which,)).fetchone()
        return _read_job(row) if row else None

    def claimed(self, claim: str) -> int | None:
        row = self._db.execute("SELECT id FROM jobs WHERE claim = ?", (claim,)).fetchone()
        return row[0] if row else None

    def place(self, job: int) -> bytes | None:
        row = self._db.execute("SELECT place FROM jobs WHERE id = ?", (job,)).fetchone()
        return row[0] if row else None

    def source(self, job: int) -> bytes:
        row = self._db.execute("SELECT source FROM jobs WHERE id = ?", (job,)).fetchone()
        return bytes(row[0])

    def misplaced(self) -> list[tuple[int, bytes, str]]:
        """(id, place, state) of ended jobs whose file does not lie where that state wants it."""
        return self._db.execute(
            "SELECT id, place, state FROM jobs WHERE ended_at IS NOT NULL AND CAST(place AS TEXT) LIKE 'accepted/%'"
        ).fetchall()

    def exporting(self, jobs: Sequence[int]) -> list[Job]:
        """Those of some jobs whose results are to lie beside their files."""
        some = ", ".join("?" * len(jobs))
        rows = self._db.execute(f"{_JOB} WHERE id IN ({some}) AND CAST(spec AS TEXT) LIKE '%\"export\":%'", tuple(jobs))
        return [job for job in map(_read_job, rows) if job.spec.export is not None]

    def open_tasks(self) -> list[Task]:
        """Tasks that are queued or live, with a record."""
        rows = self._db.execute(_TASK + "INDEXED BY tasks_open WHERE state IN ('queued', 'starting', 'running')")
        return [_read_task(row) for row in rows]

    def recorded(self, job: Job) -> Recorded:
        """Which tasks of a job have a record, as far as it must know to go on."""
        rows = self._db.execute(_TASK + "WHERE job = ? AND count = 0", (job.id,)) if job.spec.finish else ()
        finish = next(map(_read_task, rows), None)
        if job.guided is None:
            sql = "SELECT number FROM tasks WHERE job = ? AND number >= ? AND count > 0"
            numbers = frozenset(row[0] for row in self._db.execute(sql, (job.id, job.handout.recorded)))
            return Recorded(numbers, finish=finish)
        covered: list[tuple[int, int]] = []
        sql = "SELECT start, start + count FROM tasks WHERE job = ? AND count > 0 ORDER BY start"
        for start, end in self._db.execute(sql, (job.id,)):
            if covered and covered[-1][1] == start:
                covered[-1] = (covered[-1][0], end)
            else:
                covered.append((start, end))
        rows = self._db.execute(_TASK + f"WHERE job = ? AND state = 'done' AND {_PLAIN}", (job.id,))
        return Recorded(covered=covered, whole=[_read_task(row) for row in rows], finish=finish)

    def numbered(self, job: int, first: int, last: int) -> dict[int, Task]:
        """Tasks `first`…`last` - 1 that have a record, by number."""
        rows = self._db.execute(_TASK + "WHERE job = ? AND number >= ? AND number < ?", (job, first, last))
        return {task.number: task for task in map(_read_task, rows)}

    def tasks(self, job: int, states: Iterable[str], offset: int, most: int) -> list[Task]:
        """A page of a job's tasks with a record, by number; no states means all."""
        wanted = tuple(states)
        chosen = f"AND state IN ({', '.join('?' * len(wanted))})" if wanted else ""
        sql = f"{_TASK} WHERE job = ? {chosen} ORDER BY number LIMIT ? OFFSET ?"
        return [_read_task(row) for row in self._db.execute(sql, (job, *wanted, most, offset))]

    def count(self, job: int, state: str | None) -> int:
        """How many records of tasks are in this state, or in any."""
        where, values = ("AND state = ?", (job, state)) if state else ("", (job,))
        row = self._db.execute(f"SELECT count(*) FROM tasks WHERE job = ? {where}", values).fetchone()
        return int(row[0])

    def count_before(self, job: int, number: int) -> int:
        """How many records are of tasks with a lower number."""
        sql = "SELECT count(*) FROM tasks WHERE job = ? AND number < ?"
        return int(self._db.execute(sql, (job, number)).fetchone()[0])

    def results(self, job: int, after: int, most: int, most_bytes: int) -> list[tuple[int, int, int, bytes]]:
        """(first item, items, number of the task, result) past item `after`, by item; one at least, if there is one.
        What a [finally] step gave is not among them."""
        sql = """SELECT start, count, number, result FROM results
            WHERE job = ? AND start > ? AND count > 0 ORDER BY start LIMIT ?"""
        found: list[tuple[int, int, int, bytes]] = []
        size = 0
        for row in self._db.execute(sql, (job, after, most)):
            size += len(row[3])
            if found and size > most_bytes:
                break
            found.append(row)
        return found

    def finish_result(self, job: int) -> bytes | None:
        """What the job's [finally] step gave back."""
        row = self._db.execute("SELECT result FROM results WHERE job = ? AND count = 0", (job,)).fetchone()
        return row[0] if row else None

    def outcomes(self, job: int, after: int, most: int) -> list[tuple[int, int, str, float | None, int | None]]:
        """(number, item, state, wall seconds, peak bytes) of tasks of one item that have ended, past number `after`."""
        sql = f"""SELECT number, start, state, ended_at - started_at, memory_peak_bytes FROM tasks
            WHERE job = ? AND number > ? AND count = 1 AND state IN ({_FINAL}) ORDER BY number LIMIT ?"""
        return self._db.execute(sql, (job, after, most)).fetchall()

    def results_of(self, job: int, first: int, last: int) -> dict[int, bytes]:
        """What the items `first`…`last` gave back, where a task had one item alone; large ones left out."""
        sql = """SELECT start, result FROM results
            WHERE job = ? AND start BETWEEN ? AND ? AND count = 1 AND length(result) < 65536"""
        return dict(self._db.execute(sql, (job, first, last)).fetchall())

    def failures(
        self, job: int, states: Sequence[str], most: int
    ) -> tuple[list[tuple[int, str, str, str | None]], int]:
        """(number, state, reason, log) of the last `most` tasks in these states, and how many there are."""
        where = f"WHERE job = ? AND state IN ({', '.join('?' * len(states))})"
        rows = self._db.execute(f"SELECT number, state, reason, log FROM tasks {where} ORDER BY number DESC LIMIT ?",
                                (job, *states, most)).fetchall()  # fmt: skip
        return rows, self._db.execute(f"SELECT count(*) FROM tasks {where}", (job, *states)).fetchone()[0]

    def pace(self, job: int, began: float, step: float) -> list[tuple[int, str, int]]:
        """(step, state, items) of tasks that have ended, by steps of so many seconds since `began`."""
        sql = f"""SELECT CAST((ended_at - ?) / ? AS INTEGER) AS step, state, sum(count) FROM tasks
            WHERE job = ? AND ended_at IS NOT NULL AND count > 0 AND state IN ({_FINAL}) GROUP BY step, state"""
        return self._db.execute(sql, (began, step, job)).fetchall()

    def over(self, job: int, first: int, last: int) -> list[int]:
        """Which of the tasks `first`…`last` - 1 have ended for good."""
        sql = f"SELECT number FROM tasks WHERE job = ? AND number >= ? AND number < ? AND state IN ({_FINAL})"
        return [row[0] for row in self._db.execute(sql, (job, first, last))]

    def fates(self, job: int, numbers: Sequence[int]) -> list[tuple[int, str, str, str | None, bytes | None]]:
        """(number, state, reason, log, result) of those of these tasks that have ended for good."""
        sql = f"""SELECT number, state, reason, log,
            (SELECT result FROM results WHERE results.job = tasks.job AND results.start = tasks.start)
            FROM tasks WHERE job = ? AND number IN ({', '.join('?' * len(numbers))}) AND state IN ({_FINAL})"""
        return self._db.execute(sql, (job, *numbers)).fetchall()

    # ── what is kept of jobs that have ended ──────────────────────────────────────────────────────────────────

    def ended(self, before: float, most: int) -> list[tuple[int, str]]:
        """(id, name) of the jobs that ended before this time, the first ended first; none whose file is still to be
        moved."""
        sql = f"SELECT id, name FROM jobs WHERE {_FILED} AND ended_at <= ? ORDER BY ended_at, id LIMIT ?"
        return self._db.execute(sql, (before, most)).fetchall()

    def ended_last(self) -> Iterator[tuple[int, str, int]]:
        """(id, name, bytes of its records and of the code that it froze, nearly) of the same jobs, the last ended
        first."""
        tasks = dict(self._db.execute("SELECT job, count(*) FROM tasks GROUP BY job"))
        given = dict(self._db.execute("SELECT job, sum(length(result)) FROM results GROUP BY job"))
        code = """CASE WHEN instr(CAST(spec AS TEXT), '"snapshot":') > 0
            THEN coalesce(json_extract(CAST(spec AS TEXT), '$.snapshot.bytes'), 0) ELSE 0 END"""
        sql = f"""SELECT id, name, length(spec) + length(source) + {code} FROM jobs WHERE {_FILED}
            ORDER BY ended_at DESC, id DESC"""
        for number, name, size in self._db.execute(sql).fetchall():
            yield number, name, size + TASK_BYTES * tasks.get(number, 0) + given.get(number, 0)

    def unfinished_before(self, name: str, job: int) -> list[int]:
        """The jobs of a name that came before this one and have not ended."""
        sql = "SELECT id FROM jobs WHERE name = ? AND id < ? AND ended_at IS NULL ORDER BY id"
        return [number for (number,) in self._db.execute(sql, (name, job))]

    def is_filed(self, job: int) -> bool:
        """Whether a job has ended and its file was moved."""
        return self._db.execute(f"SELECT 1 FROM jobs WHERE id = ? AND {_FILED}", (job,)).fetchone() is not None

    def script(self, job: int) -> str | None:
        """The frozen script of a job."""
        sql = "SELECT json_extract(CAST(spec AS TEXT), '$.script') FROM jobs WHERE id = ?"
        row = self._db.execute(sql, (job,)).fetchone()
        return row[0] if row else None

    def frozen_code(self, job: int) -> str | None:
        """The folder with the code that a job froze."""
        sql = "SELECT json_extract(CAST(spec AS TEXT), '$.snapshot.folder') FROM jobs WHERE id = ?"
        row = self._db.execute(sql, (job,)).fetchone()
        return row[0] if row else None

    def result_files(self, job: int) -> list[str]:
        """Where results lie that were left files."""
        sql = """SELECT result FROM results
            WHERE job = ? AND length(result) < 8192 AND CAST(result AS TEXT) LIKE '{"file":%,"bytes":%}'"""
        found = (harvest.reference(row[0]) for row in self._db.execute(sql, (job,)))
        return [left.file for left in found if left is not None]

    def with_records(self, jobs: Sequence[int]) -> list[int]:
        """Those of some jobs that have records of tasks or results."""
        sql = "SELECT EXISTS (SELECT 1 FROM tasks WHERE job = ?1) OR EXISTS (SELECT 1 FROM results WHERE job = ?1)"
        return [job for job in jobs if self._db.execute(sql, (job,)).fetchone()[0]]

    def free_pages(self) -> int:
        """Pages of the file that hold nothing and can be given back."""
        if self._db.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            return 0
        return int(self._db.execute("PRAGMA freelist_count").fetchone()[0])
