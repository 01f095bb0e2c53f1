"""The durable record: one SQLite file, one writer thread, many statements a commit. Holds the only SQL.

`write` returns a future that is done once the statements are on the disk (WAL, synchronous=FULL: measured to be the
weakest setting that keeps every committed job over a power cut). All that arrives while a commit is under way goes
into the next one, in order. When the disk is full or the file locked, the writer keeps what it has, says so in
`fault`, and tries again until it works; nothing is dropped and the futures stay open.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.job import Footprint, Job
from gristmill.supervisor.core.protocol import number_of
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import JobState, Task, TaskState

SCHEMA = 1
COMMIT_EVERY = 0.005
"""Seconds between two commits under load; an idle writer commits at once."""
RETRY_EVERY = 1.0

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, claim TEXT NOT NULL UNIQUE, name TEXT NOT NULL, file TEXT NOT NULL,
    spec BLOB NOT NULL, source BLOB NOT NULL, place BLOB, submitted_at REAL NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', cursor INTEGER NOT NULL DEFAULT 0,
    tasks_ended INTEGER NOT NULL DEFAULT 0, items_done INTEGER NOT NULL DEFAULT 0,
    items_failed INTEGER NOT NULL DEFAULT 0, started_at REAL, ended_at REAL, footprint BLOB NOT NULL DEFAULT '{}'
);
CREATE INDEX jobs_unfinished ON jobs (id) WHERE ended_at IS NULL;
CREATE INDEX jobs_name ON jobs (name, id);
CREATE TABLE tasks (
    job INTEGER NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, run INTEGER, worker INTEGER, pid INTEGER,
    exit_code INTEGER, signal INTEGER, started_at REAL, ended_at REAL, cpu_s REAL, memory_peak_bytes INTEGER,
    log TEXT, not_before REAL NOT NULL, PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (job, number) WHERE state IN ('queued', 'starting', 'running');
CREATE TABLE results (job INTEGER, number INTEGER, result BLOB NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID;
"""

ADD_JOB = """INSERT INTO jobs (id, claim, name, file, spec, source, place, submitted_at, state)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
SAVE_JOB = """UPDATE jobs SET state = ?, reason = ?, cursor = ?, tasks_ended = ?, items_done = ?, items_failed = ?,
    started_at = ?, ended_at = ?, footprint = ? WHERE id = ?"""
PLACE_JOB = "UPDATE jobs SET place = ? WHERE id = ?"
SAVE_TASK = f"REPLACE INTO tasks VALUES ({', '.join('?' * 18)})"
SAVE_RESULT = "REPLACE INTO results VALUES (?, ?, ?)"
SAVE_META = "REPLACE INTO meta VALUES (?, ?)"

_JOB = """SELECT id, claim, file, spec, submitted_at, state, reason, cursor, tasks_ended, items_done, items_failed,
    started_at, ended_at, footprint FROM jobs """
_TASK = "SELECT * FROM tasks "

# Made on import: msgspec learns a type at its first use, and two threads that do so at once crash the process.
_SPEC = msgspec.json.Decoder(Spec)
_FOOTPRINT = msgspec.json.Decoder(Footprint)


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
            str(job.state), job.reason, job.recorded, job.tasks_ended, job.items_done, job.items_failed,
            job.started_at, job.ended_at, msgspec.json.encode(job.footprint), job.id,
        ),
    )


def place_job(job: int, place: bytes) -> Statement:
    """Where the job's file lies now, below the jobs folder."""
    return Statement(PLACE_JOB, (place, job))


def save_task(task: Task) -> Statement:
    """A task as it is now."""
    return Statement(SAVE_TASK, msgspec.structs.astuple(task))


def save_result(job: int, number: int, result: bytes) -> Statement:
    """What a task gave back, JSON."""
    return Statement(SAVE_RESULT, (job, number, result))


def save_meta(key: str, value: str) -> Statement:
    """A fact about the store itself."""
    return Statement(SAVE_META, (key, value))


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
    """The questions that can be asked; each opens no transaction of its own."""

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

    def unfinished(self) -> list[Job]:
        return [_read_job(row) for row in self._db.execute(_JOB + "WHERE ended_at IS NULL ORDER BY id")]

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

    def open_tasks(self) -> list[Task]:
        """Tasks that are queued or live, with a record."""
        rows = self._db.execute(_TASK + "INDEXED BY tasks_open WHERE state IN ('queued', 'starting', 'running')")
        return [_read_task(row) for row in rows]

    def numbers_from(self, job: int, cursor: int) -> set[int]:
        rows = self._db.execute("SELECT number FROM tasks WHERE job = ? AND number >= ?", (job, cursor))
        return {row[0] for row in rows}

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

    def count(self, job: int, state: str) -> int:
        """How many tasks with a record are in this state."""
        row = self._db.execute("SELECT count(*) FROM tasks WHERE job = ? AND state = ?", (job, state)).fetchone()
        return int(row[0])

    def results(self, job: int, after: int, most: int) -> list[tuple[int, bytes]]:
        """(number, result) of the tasks past number `after`, by number."""
        sql = "SELECT number, result FROM results WHERE job = ? AND number > ? ORDER BY number LIMIT ?"
        return self._db.execute(sql, (job, after, most)).fetchall()


class Store:
    """The open store; a context manager, used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fault = ""
        self._waiting: list[tuple[Statement, ...]] = []
        self._futures: list[asyncio.Future[None]] = []
        self._ready = threading.Condition()
        self._closing = False
        self._writer = threading.Thread(target=self._commit_all, name="store", daemon=True)
        self._reader = ThreadPoolExecutor(1, "store-reader")

    def __enter__(self) -> Store:
        self._loop = asyncio.get_running_loop()
        self._db = self._open()
        self.queries = Queries(self._open())
        """Answers at once; for the time before the loop is busy. Later: `ask`."""
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._writer.join()
        self._reader.shutdown()
        self.queries.close()
        self._db.close()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -4000")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
            elif version > SCHEMA:
                raise FolderError(
                    f"{self._path}: written by a newer Gristmill (schema {version}, this one knows {SCHEMA})"
                    " – install that version again; nothing was changed"
                )
        except FolderError:
            db.close()
            raise
        except sqlite3.DatabaseError as error:
            db.close()
            mend = "free disk space, or move the file away to begin afresh"
            raise FolderError(f"{self._path}: {error} – {mend}") from error
        return db

    def write(self, *statements: Statement) -> asyncio.Future[None]:
        """Hands over rows that belong together; the future is done when they are durable."""
        future = self._loop.create_future()
        with self._ready:
            self._waiting.append(statements)
            self._futures.append(future)
            self._ready.notify()
        return future

    async def settled(self) -> None:
        """Waits until all that was written so far is durable, or the store is at fault and says so."""
        if not self.fault:
            future = self.write()
            while not future.done() and not self.fault:
                await asyncio.wait([future], timeout=0.2)

    async def ask(self, question: str, *arguments: Any) -> Any:
        """Answers one of `Queries` in a thread, on a connection of its own."""
        return await self._loop.run_in_executor(self._reader, getattr(self.queries, question), *arguments)

    # ── the writer thread ─────────────────────────────────────────────────────────────────────────────────────

    def _commit_all(self) -> None:
        last = 0.0
        while True:
            with self._ready:
                while not self._waiting:
                    if self._closing:
                        return
                    self._ready.wait()
            pause = last + COMMIT_EVERY - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            with self._ready:
                batches, self._waiting = self._waiting, []
                futures, self._futures = self._futures, []
            fault: Exception | None = None
            try:
                if not self._commit_until_done([statement for batch in batches for statement in batch]):
                    return
            except sqlite3.Error as error:  # a defect of ours, told to those who wrote
                self._db.rollback()
                fault = error
            last = time.monotonic()
            self._loop.call_soon_threadsafe(_resolve, futures, fault)

    def _commit_until_done(self, statements: list[Statement]) -> bool:
        """Commits; on a full disk or a lock again and again. False when the store was closed meanwhile."""
        while statements:
            try:
                self._commit(statements)
                break
            except sqlite3.OperationalError as error:
                self._db.rollback()
                self.fault = str(error)
                with self._ready:
                    if self._closing or self._ready.wait_for(lambda: self._closing, RETRY_EVERY):
                        return False
        self.fault = ""
        return True

    def _commit(self, statements: list[Statement]) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        at = 0
        while at < len(statements):
            sql, end = statements[at].sql, at + 1
            while end < len(statements) and statements[end].sql is sql:
                end += 1
            db.executemany(sql, [statement.values for statement in statements[at:end]])
            at = end
        db.execute("COMMIT")


def _resolve(futures: list[asyncio.Future[None]], fault: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if fault is None:
            future.set_result(None)
        else:
            future.set_exception(fault)
