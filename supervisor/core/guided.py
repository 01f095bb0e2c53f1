"""The handing out of items in ranges that are chosen on the way: how long, by `pace`; which, by what is left.

Nothing is stored of what is left: it is whatever no record covers, so that a crash between any two writes forgets no
item and hands none out twice. Ranges that ended well and have nothing to tell are put together with their neighbours,
in the same write that records their end, so that a job of ten million items is a few rows when it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from gristmill.supervisor.core.handout import Demand, Recorded
from gristmill.supervisor.core.spans import Spans
from gristmill.supervisor.core.spec import Items
from gristmill.supervisor.core.task import Task, TaskState


class Change(NamedTuple):
    """What becomes of the records of a job's tasks: one that is written, and numbers that have none any more."""

    put: Task
    gone: Sequence[int] = ()


class Guided:
    """Ranges by pace. `cursor` is the next number: tasks are numbered as they are made, and never twice. `todo` are
    items never handed out, `unrecorded` numbers that were and have no record in the store yet."""

    def __init__(self, rule: Items, cursor: int = 0) -> None:
        self.cursor = cursor
        self.todo = Spans([(0, rule.total)])
        self.unrecorded: set[int] = set()
        self.expected_s = 0.0
        self._total = rule.total
        self._from: dict[int, Task] = {}
        self._upto: dict[int, Task] = {}
        """Ranges that may be put together, by their first item and by their end."""

    @property
    def recorded(self) -> int:
        return self.cursor

    @property
    def numbers(self) -> int:
        return self.cursor

    @property
    def more(self) -> bool:
        return self.todo.total > 0

    def left(self, demand: Demand) -> int:
        each = demand.pace.size(self.todo.total, demand.workers, demand.timeout_s, demand.start_s) if self.more else 1
        return max(len(self.todo), -(-self.todo.total // each))

    def next(self, demand: Demand) -> Task:
        start, end = self.todo.take(demand.pace.size(self.todo.total, demand.workers, demand.timeout_s, demand.start_s))
        self.expected_s = demand.pace.expected_s(end - start)
        task = self._made(demand.job, start, end)
        self.unrecorded.add(task.number)
        return task

    def put(self, number: int) -> None:
        self.unrecorded.discard(number)

    def keep(self, task: Task) -> Change:
        """A range that ended well and has nothing to tell becomes one with its neighbours of the same kind."""
        if not whole(task):
            return Change(task)
        gone = [task.number]
        for other in (self._upto.get(task.start), self._from.get(task.start + task.count)):
            if other is not None:
                self._forget(other)
                gone.append(other.number)
                task = _together(task, other)
        self._remember(task)
        gone.remove(task.number)
        return Change(task, gone)

    def divide(self, task: Task) -> tuple[Task, Task]:
        """Two tasks, queued, for the halves of the items of one that failed."""
        middle = task.start + task.count // 2
        first = self._made(task.job, task.start, middle)
        return first, self._made(task.job, middle, task.start + task.count)

    def give_back(self, task: Task) -> None:
        """Has the items of a task handed out anew, in ranges as they come."""
        if self._from.get(task.start) == task:
            self._forget(task)
        self.todo.add(task.start, task.start + task.count)

    def number_finish(self) -> int:
        self.cursor += 1
        return self.cursor - 1

    def withdraw(self, job: int, number: int) -> Task | None:
        """None: no range has a number before it is handed out."""
        return None

    @property
    def promises(self) -> int:
        return len(self.todo)

    def promised(self, job: int, first: int, most: int) -> list[Task]:
        """What is left, each gap between records as one task."""
        return [
            Task(job=job, number=self.cursor + place, start=start, count=end - start)
            for place, (start, end) in islice(enumerate(self.todo), first, first + most)
        ]

    def resume(self, recorded: Recorded) -> None:
        self.todo = Spans([(0, self._total)])
        for start, end in recorded.covered:
            self.todo.remove(start, end)
        for task in recorded.whole:
            self._remember(task)

    def _made(self, job: int, start: int, end: int) -> Task:
        self.cursor += 1
        return Task(job=job, number=self.cursor - 1, start=start, count=end - start)

    def _remember(self, task: Task) -> None:
        self._from[task.start] = self._upto[task.start + task.count] = task

    def _forget(self, task: Task) -> None:
        del self._from[task.start], self._upto[task.start + task.count]


def whole(task: Task) -> bool:
    """Whether a task's record says no more than that its items ended well."""
    return task.state is TaskState.DONE and task.log is None and not task.reason and task.count > 0


def _together(one: Task, other: Task) -> Task:
    """One record for two neighbouring ranges, under the lower of their numbers."""
    low, high = (one, other) if one.start < other.start else (other, one)
    begins = [at for at in (one.started_at, other.started_at) if at is not None]
    return msgspec.structs.replace(
        low,
        number=min(one.number, other.number),
        count=low.count + high.count,
        stands_for=one.stands_for + other.stands_for,
        attempts=max(one.attempts, other.attempts),
        worker=None,
        started_at=min(begins, default=None),
        ended_at=max(one.ended_at or 0.0, other.ended_at or 0.0),
        cpu_s=(one.cpu_s or 0.0) + (other.cpu_s or 0.0),
        memory_peak_bytes=max(one.memory_peak_bytes or 0, other.memory_peak_bytes or 0),
    )
