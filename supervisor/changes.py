"""What has changed in memory since the last write: gathered here until one transaction takes it, with what must wait
for that transaction to be durable."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import Task, TaskState, advance
from gristmill.supervisor.edge import results, store
from gristmill.supervisor.edge.store import Statement


@dataclass(slots=True)
class Changes:
    """One write to be."""

    rows: dict[tuple[int, int], Task] = field(default_factory=dict)
    """Tasks by job and number, as they are now."""
    accounts: dict[int, Job] = field(default_factory=dict)
    """Jobs by id whose counters or state have changed."""
    specs: dict[int, Job] = field(default_factory=dict)
    """Jobs by id that consist of something else by now."""
    closing: list[Job] = field(default_factory=list)
    """Jobs that are over with this write."""
    told: dict[int, list[int]] = field(default_factory=dict)
    """Tasks that are over for good, by job, where somebody waits for them."""
    collected: list[Path] = field(default_factory=list)
    """Files that nobody needs once their contents are in the store."""
    awaited: asyncio.Future[None] | None = None
    """Done when this write is durable, where somebody waits for that without asking for it at once."""
    _gone: list[Statement] = field(default_factory=list)
    _results: list[Statement] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.rows or self.accounts or self.specs or self._gone or self._results)

    def put(self, task: Task) -> None:
        """Takes a task's record in. There a stopped task runs: a stop ends with the daemon."""
        if task.state is TaskState.PAUSED:
            task = advance(task, TaskState.RUNNING)
        self.rows[task.job, task.number] = task

    def drop(self, job: int, number: int) -> None:
        """Takes a task's record away; what it said is in another that is written with it."""
        self.rows.pop((job, number), None)
        self._gone.append(store.drop_task(job, number))

    def void(self, job: int, start: int, count: int) -> None:
        """Takes away what was given back for these items: they are done once more."""
        self._gone.append(store.drop_results(job, start, count))

    def add_result(self, task: Task, result: results.Result) -> None:
        """Takes a task's result in; after the write its file is not needed any more."""
        self._results.append(store.save_result(task, result.row))
        if result.file is not None:
            self.collected.append(result.file)

    def wait(self) -> asyncio.Future[None]:
        """What is done when this write is durable."""
        if self.awaited is None:
            self.awaited = asyncio.get_running_loop().create_future()
        return self.awaited

    def heard(self, written: asyncio.Future[None]) -> None:
        """Tells who waits what has become of this write."""
        if self.awaited is None or self.awaited.done():
            return
        if written.cancelled():
            self.awaited.cancel()
        elif (error := written.exception()) is not None:
            self.awaited.set_exception(error)
        else:
            self.awaited.set_result(None)

    def statements(self) -> list[Statement]:
        """All of it, in the order in which it is written."""
        return [
            *self._gone,
            *map(store.save_task, self.rows.values()),
            *self._results,
            *map(store.save_job, self.accounts.values()),
            *map(store.save_spec, self.specs.values()),
        ]
