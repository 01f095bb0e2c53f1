"""Chosen ranges in the real record: whatever order tasks end, fail and are cut off in, and wherever the daemon dies,
every item is accounted for once, and nothing that was recorded as done is done again."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Exit
from gristmill.supervisor.core.spec import Items, Retry, Spec
from gristmill.supervisor.core.task import Task, TaskState
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.ledger import Ledger

EVENTS = ("take", "take", "end", "end", "end", "log", "back", "write", "crash", "cut off", "cancel")


def spec(total: int) -> Spec:
    return Spec(name="j", kind="command", command="x {start} {count}", cwd="/",
                items=Items(total=total, per_task=None), retry=Retry(attempts=2, backoff_s=0.0))  # fmt: skip


class Play:
    """A daemon's ledger on a real store, with workers that do as they are told."""

    def __init__(self, path: Path, bad: set[int]) -> None:
        self.path, self.bad = path, bad
        self.now = 1000.0
        self.safe: set[int] = set()
        """Items whose success was recorded durably."""
        self.canceled: set[int] = set()
        self.pending: list[Task] = []

    def open(self) -> list[Task]:
        self.store = Store(self.path).__enter__()
        self.ledger = Ledger(self.store, lambda: self.now, lambda: 0.5)
        self.endings = Endings(self.ledger)
        return self.ledger.load()

    def close(self, *, lost: bool) -> None:
        """Ends this daemon; what it had not handed to the store is `lost`."""
        if lost and self.ledger._flushing is not None:
            self.ledger._flushing.cancel()
            self.ledger._flushing = None
        self.store.__exit__()

    @property
    def job(self) -> Job | None:
        return self.ledger.jobs.get(1)

    async def written(self) -> None:
        await self.ledger.flush()
        self.safe |= {item for task in self.pending for item in range(task.start, task.start + task.count)}
        self.pending.clear()

    async def do(self, event: str, pick: int) -> None:
        self.now += 1.0
        job = self.job
        if job is None:
            return
        live = sorted(job.live.items())
        number, task = live[pick % len(live)] if live else (0, None)
        if event == "take" and job.ready(self.now) and len(live) < 4:
            await self.take(job)
        elif event in ("end", "log") and task is not None:
            self.finish(job, task, "a.log" if event == "log" else None)
        elif event == "back" and task is not None:
            self.ledger.put_back(job, number)
        elif event == "cancel" and pick == 7 and task is not None and job.items_done:
            await self.ledger.cancel_task(job, number)
            self.canceled |= set(range(task.start, task.start + task.count))
            self.exited(job, job.live[number], why="cancel")
            await self.written()
        elif event == "write":
            await self.written()
        elif event in ("crash", "cut off"):
            self.pending.clear()
            self.close(lost=event == "cut off")
            for task in self.open():
                self.take_over(task, pick)

    async def take(self, job: Job) -> None:
        task = self.ledger.take(job, 2)
        again = self.safe & set(range(task.start, task.start + task.count))
        assert not again, f"done and recorded, and yet handed out again: {sorted(again)}"
        await self.ledger.starting([task], 1, 1)
        self.ledger.running(1, task.number, 7, self.now)

    def take_over(self, task: Task, pick: int) -> None:
        """What became of a task that an earlier daemon left: it ended meanwhile, or its worker never claimed it."""
        job = self.job
        assert job is not None
        if pick % 2:
            self.ledger.put_back(job, task.number)
        else:
            self.finish(job, task, None)

    def finish(self, job: Job, task: Task, log: str | None) -> None:
        """A task ends as its items have it."""
        if not self.bad & set(range(task.start, task.start + task.count)):
            self.pending += [] if log else [task]
            self.exited(job, task, log=log)
        else:
            self.exited(job, task, code=1)

    def exited(
        self, job: Job, task: Task, code: int = 0, log: str | None = None, why: str | None = None
    ) -> None:
        seconds = 0.05 * task.count
        self.endings.exited(
            job, task.number, Exit(code, None, why, self.now - seconds, self.now, seconds, 1000, log, None, "")
        )

    async def to_the_end(self) -> None:
        for _ in range(10_000):
            if (job := self.job) is None:
                return
            await self.do("take", 0)
            await self.do("end", 0)
            if not job.live:
                await asyncio.sleep(0)
        raise AssertionError("the job does not end")


async def play(path: Path, total: int, bad: set[int], events: list[tuple[str, int]]) -> None:
    played = Play(path, bad)
    played.open()
    await played.ledger.accept("claim", "j.toml", spec(total), b"", b"accepted/j.toml")
    for event, pick in events:
        await played.do(event, pick)
    await played.to_the_end()
    await played.written()
    played.close(lost=False)
    check(played, total)


def check(played: Play, total: int) -> None:
    with closing(sqlite3.connect(played.path)) as db:
        (done, failed), = db.execute("SELECT items_done, items_failed FROM jobs")
        rows = db.execute("SELECT start, count, state, log, stands_for FROM tasks ORDER BY start").fetchall()
    covered = [item for start, count, *_ in rows for item in range(start, start + count)]
    assert covered == list(range(total)), "each item in one record, none lost, none twice"
    assert done == sum(count for _, count, state, *_ in rows if state == "done")
    assert (done + failed, failed) == (total, total - done)
    blamed = {item for start, count, state, *_ in rows for item in range(start, start + count) if state != "done"}
    assert played.bad - played.canceled <= blamed <= played.bad | played.canceled
    assert all(count == 1 for _, count, state, *_ in rows if state == "failed")
    for (start, count, state, log, _), following in pairwise(rows):
        plain = state == "done" and log is None
        assert not (plain and following[2] == "done" and following[3] is None), f"{start}+{count} is not put together"


@settings(max_examples=60)
@given(
    st.integers(1, 60), st.sets(st.integers(0, 59), max_size=3),
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 7)), max_size=50),
)  # fmt: skip
def test_every_item_is_accounted_for_once_wherever_the_daemon_dies(
    total: int, bad: set[int], events: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "queue.db", total, {item for item in bad if item < total}, events))


async def test_ten_thousand_ranges_that_end_well_are_one_row(tmp_path: Path) -> None:
    played = Play(tmp_path / "queue.db", set())
    played.open()
    job = await played.ledger.accept("claim", "j.toml", spec(10_000_000), b"", b"accepted/j.toml")
    job.footprint.pace.learn(1000, 1.0)
    most = 0
    while job.ready(0.0):
        tasks = [played.ledger.take(job, 4) for _ in range(4) if job.ready(0.0)]
        await played.ledger.starting(tasks, 1, 1)
        most = max(most, await played.store.ask("count", 1, None))
        for task in reversed(tasks):
            seconds = 0.001 * task.count
            ended = Exit(0, None, None, 10.0, 10.0 + seconds, seconds, 1000, None, None, "")
            played.endings.exited(job, task.number, ended)
    await played.written()
    (row,) = await played.store.ask("tasks", 1, [], 0, 10)
    assert (row.start, row.count, row.state, most) == (0, 10_000_000, TaskState.DONE, 5)
    assert row.stands_for == job.tasks_ended > 5_000
    played.close(lost=False)
