"""The tables, and how an older file becomes one of today's: opened, checked, saved aside, then migrated.

A newer file is refused, unchanged. The number goes up when a table changes, and also when a job may hold what an
older program would pass over in silence.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from gristmill.supervisor.core.errors import FolderError, NoRoomError

SCHEMA = 8

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
    log TEXT, not_before REAL NOT NULL, stands_for INTEGER NOT NULL DEFAULT 1, gpus TEXT NOT NULL DEFAULT '',
    place TEXT NOT NULL DEFAULT '', host TEXT NOT NULL DEFAULT '', engine_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (job, number) WHERE state IN ('queued', 'starting', 'running');
CREATE TABLE results (
    job INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL, number INTEGER NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (job, start)
) WITHOUT ROWID;
"""

MIGRATIONS: dict[int, str] = {
    2: "",  # jobs may say what becomes of leftovers and how long a log may grow; no table is different
    3: "",  # jobs may be calls; no table is different
    # Ranges may be chosen by the daemon: a record may stand for several tasks, and a result says what items it is of.
    4: """
ALTER TABLE tasks ADD COLUMN stands_for INTEGER NOT NULL DEFAULT 1;
ALTER TABLE results RENAME TO results_2;
CREATE TABLE results (
    job INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL, number INTEGER NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (job, start)
) WITHOUT ROWID;
INSERT INTO results SELECT job, tasks.start, tasks.count, number, result FROM results_2 JOIN tasks USING (job, number);
DROP TABLE results_2;
""",
    5: "",  # jobs may be open; no table is different
    # Jobs may wait for others, for a time or for hours, and be limited; a task may have cards.
    6: "ALTER TABLE tasks ADD COLUMN gpus TEXT NOT NULL DEFAULT '';",
    7: "",  # a script may know Slurm, wait for all of its name, and code be frozen; no table is different
    # A task may run elsewhere or have a terminal, a job keep some variables alone, a [finally] step be a call.
    8: """
ALTER TABLE tasks ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN engine_id TEXT NOT NULL DEFAULT '';
""",
}
"""By schema number: the statements that make a file of the number before into one of this."""


JOURNAL_BYTES = 64 << 20
"""What the write-ahead log keeps of the disk after it was longer."""
REBUILT_BYTES = 256 << 20
"""A file of before pages were given back is rebuilt at a start so that they can be, up to this size."""

PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY)
"""What the world does to a sound file, and may stop doing."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits durably; raises FolderError where the file can't be used, NoRoomError if just now."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        if not path.stat().st_size:  # of a new file; to say it of another is a write, which a full disk refuses
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -4000")
    except sqlite3.DatabaseError as error:
        db.close()
        raise _unusable(path, error) from error
    return db


def prepare(db: sqlite3.Connection, path: Path) -> str:
    """Makes the tables, or brings them up to date; returns what was done, "" for nothing. Raises as `connect` does."""
    try:
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA:
            raise FolderError(
                f"{path}: written by a newer Gristmill (schema {found}, this one knows {SCHEMA})"
                " – install that version again; nothing was changed"
            )
        if found == SCHEMA:
            _make_shrinkable(db)
            return ""
        if found == 0:
            db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
            return ""
        saved = _save(db, path, found)
        steps = "".join(MIGRATIONS[number] for number in range(found + 1, SCHEMA + 1))
        db.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA}; COMMIT;")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    return f"the database was brought from schema {found} to {SCHEMA}; as it was before, it is kept as {saved}"


def _make_shrinkable(db: sqlite3.Connection) -> None:
    """Rebuilds a file that can't give pages back, once; one that is large, or finds no room, stays as it is."""
    pages, size = (db.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] == 0 and pages * size <= REBUILT_BYTES:
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("VACUUM")


def _save(db: sqlite3.Connection, path: Path, found: int) -> Path:
    """A durable copy of the whole database, taken before anything is changed; the name appears once it is whole."""
    target = path.with_name(f"{path.name}.schema-{found}")
    partial = target.with_name(target.name + ".part")
    try:
        partial.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(partial)) as copy:
            db.backup(copy)
        fd = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        partial.rename(target)
    except OSError as error:
        raise NoRoomError(f"{target}: {error.strerror} – free some space for a copy of {path.name}") from error
    return target


def _unusable(path: Path, error: sqlite3.DatabaseError) -> FolderError:
    if error.sqlite_errorcode & 0xFF in PASSING:
        return NoRoomError(f"{path}: {error} – free some disk space")
    return FolderError(f"{path}: {error} – move the file away to begin afresh, or bring back a copy of it")
