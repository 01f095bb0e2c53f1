"""The durable record: one SQLite file, one writer thread, many statements a commit.

`write` returns a future that is done once the statements are on the disk (WAL, synchronous=FULL: measured to be the
weakest setting that keeps every committed job over a power cut). All that arrives while a commit is under way goes
into the next one, in order. When the disk is full or the file locked, the writer keeps what it has, says so in
`fault`, and tries again until it works; nothing is dropped and the futures stay open.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge.store.queries import Queries
from gristmill.supervisor.edge.store.schema import connect, prepare
from gristmill.supervisor.edge.store.statements import Statement

COMMIT_EVERY = 0.005
"""Seconds that the writer rests between two commits under load, so that much goes into each."""
AT_ONCE = 4
"""So many commits need no rest before them after an idle while: a job is accepted, started and ended in fewer."""
RETRY_EVERY = 1.0


class Store:
    """The open store; a context manager, used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fault = ""
        self._waiting: list[tuple[Statement, ...]] = []
        self._futures: list[asyncio.Future[None]] = []
        self._ready = threading.Condition()
        self._closing = False
        self._under_way = 0
        self._writer = threading.Thread(target=self._commit_all, name="store", daemon=True)
        self._reader = ThreadPoolExecutor(1, "store-reader")

    def __enter__(self) -> Store:
        self._loop = asyncio.get_running_loop()
        self._db = connect(self._path)
        try:
            self.migrated = prepare(self._db, self._path)
            """What was done to an older file, "" for nothing."""
            self.queries = Queries(connect(self._path))
            """Answers at once; for the time before the loop is busy. Later: `ask`."""
        except GristError:
            self._db.close()
            raise
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

    def write(self, *statements: Statement) -> asyncio.Future[None]:
        """Hands over rows that belong together; the future is done when they are durable."""
        future = self._loop.create_future()
        self._under_way += 1
        future.add_done_callback(self._written)
        with self._ready:
            self._waiting.append(statements)
            self._futures.append(future)
            self._ready.notify()
        return future

    def _written(self, _: asyncio.Future[None]) -> None:
        self._under_way -= 1

    async def settled(self) -> None:
        """Waits until all that was written so far is durable, or the store is at fault and says so."""
        if self._under_way and not self.fault:
            future = self.write()
            while not future.done() and not self.fault:
                await asyncio.wait([future], timeout=0.2)

    async def ask(self, question: str, *arguments: Any) -> Any:
        """Answers one of `Queries` in a thread, on a connection of its own; raises OSError where it can't be read."""
        try:
            return await self._loop.run_in_executor(self._reader, getattr(self.queries, question), *arguments)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # a defect of ours
        except sqlite3.DatabaseError as error:
            raise self._unread(error) from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[Queries]:
        """Questions on a connection of its own, for a thread that has many and must hold nobody up; raises OSError
        where the file can't be read."""
        try:
            with contextlib.closing(Queries(connect(self._path))) as queries:
                yield queries
        except sqlite3.Error as error:
            raise self._unread(error) from error

    def _unread(self, error: sqlite3.Error) -> OSError:
        return OSError(errno.EIO, f"{self._path}: {error}")

    # ── the writer thread ─────────────────────────────────────────────────────────────────────────────────────

    def _commit_all(self) -> None:
        rested = last = 0.0
        while True:
            with self._ready:
                while not self._waiting:
                    if self._closing:
                        return
                    self._ready.wait()
            rested = min(AT_ONCE * COMMIT_EVERY, rested + time.monotonic() - last) - COMMIT_EVERY
            if rested < 0:
                time.sleep(-rested)
                rested = 0.0
            with self._ready:
                batches, self._waiting = self._waiting, []
                futures, self._futures = self._futures, []
            faults = self._commit_batches(batches)
            if faults is None:
                return
            last = time.monotonic()
            self._loop.call_soon_threadsafe(_resolve, futures, faults)

    def _commit_batches(self, batches: list[tuple[Statement, ...]]) -> list[Exception | None] | None:
        """Commits all in one; what is wrong with each (a defect of ours), or None when the store was closed before.

        One that can't be committed costs the others nothing: then each is committed by itself.
        """
        try:
            done = self._commit_until_done([statement for batch in batches for statement in batch])
            return [None] * len(batches) if done else None
        except Exception as error:  # noqa: BLE001 - whatever it is, other writes go on, and nobody waits for ever
            self._db.rollback()
            if len(batches) == 1:
                return [error]
        faults: list[Exception | None] = []
        for batch in batches:
            alone = self._commit_batches([batch])
            if alone is None:
                return None
            faults += alone
        return faults

    def _commit_until_done(self, statements: list[Statement]) -> bool:
        """Commits; on a full disk or a lock again and again. False when the store was closed meanwhile."""
        while statements:
            try:
                self._commit(statements)
                break
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
                raise
            except sqlite3.DatabaseError as error:  # full, locked, damaged: whatever it is, nothing is dropped
                self._db.rollback()
                self.fault = str(error)
                with self._ready:
                    if self._closing or self._ready.wait_for(lambda: self._closing, RETRY_EVERY):
                        return False
        self.fault = ""
        return True

    def _commit(self, statements: list[Statement]) -> None:
        db = self._db
        chores = [statement.sql for statement in statements if statement.sql.startswith("PRAGMA")]
        if chores:
            statements = [statement for statement in statements if not statement.sql.startswith("PRAGMA")]
        db.execute("BEGIN IMMEDIATE")
        at = 0
        while at < len(statements):
            sql, end = statements[at].sql, at + 1
            while end < len(statements) and statements[end].sql is sql:
                end += 1
            db.executemany(sql, [statement.values for statement in statements[at:end]])
            at = end
        db.execute("COMMIT")
        for chore in chores:  # after it, and none that must succeed
            with contextlib.suppress(sqlite3.OperationalError):
                db.executescript(chore)  # which takes all of its steps; `execute` takes the first


def _resolve(futures: list[asyncio.Future[None]], faults: list[Exception | None]) -> None:
    for future, fault in zip(futures, faults, strict=True):
        if future.done():
            continue
        if fault is None:
            future.set_result(None)
        else:
            future.set_exception(fault)
