"""How a job hands out its items: which task comes next and which items it has, what is left, what a record covers.

Two ways: `Fixed`, where the job's rule cuts all items into tasks beforehand, so that a number says
which items a task has, and `guided.Guided`, where ranges are chosen as they are handed out. Owns no task that was
handed out: the job does (`job`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gristmill.supervisor.core import items
from gristmill.supervisor.core.pace import Pace
from gristmill.supervisor.core.spec import Items
from gristmill.supervisor.core.task import Task


class Demand(NamedTuple):
    """Who asks for a task: the job, what is known of its pace, how many workers share what is left, its timeout."""

    job: int
    pace: Pace
    workers: int = 1
    timeout_s: float | None = None
    start_s: float = 0.0
    """What starting a task costs where that is known beforehand."""


class Recorded(NamedTuple):
    """What the store holds of a job's tasks: numbers from the cursor on that have a record, or, where ranges are
    chosen, the items that records cover, as (start, end), and those records that others may be put together with."""

    numbers: frozenset[int] = frozenset()
    covered: Sequence[tuple[int, int]] = ()
    whole: Sequence[Task] = ()
    finish: Task | None = None
    """The job's [finally] step, where that was begun."""


class Handout(Protocol):
    """One way to hand out items."""

    expected_s: float
    """Seconds that the task handed out last was expected to take, 0 where nothing is expected."""

    @property
    def recorded(self) -> int:
        """The cursor as it may be stored: what is not recorded of lower numbers is found again after a crash."""

    @property
    def numbers(self) -> int:
        """One more than the highest number that a task may have now."""

    @property
    def more(self) -> bool:
        """Whether something was never handed out."""

    def left(self, demand: Demand) -> int:
        """How many tasks that is; of ranges still to be chosen, about."""

    def next(self, demand: Demand) -> Task:
        """The next task, queued; only while there is `more`."""

    def put(self, number: int) -> None:
        """Notes that a task that was handed out has a record from now on."""

    def number_finish(self) -> int:
        """The number of the step behind all items, once these are over."""

    def withdraw(self, job: int, number: int) -> Task | None:
        """Takes a task that was never handed out from the line; None where there is no such."""

    @property
    def promises(self) -> int:
        """How many tasks `promised` can name."""

    def promised(self, job: int, first: int, most: int) -> list[Task]:
        """Of the tasks that were never handed out, as far as they can be named, `most` from the `first` (from 0) on."""

    def resume(self, recorded: Recorded) -> None:
        """Goes on from a record."""


class Fixed:
    """So many items a task, by the rule.

    `cursor` is the number of the next task never handed out. `unrecorded` are numbers, ascending, that were handed
    out and have no record in the store yet. `skipped` are numbers past the cursor that have one already: canceled
    beforehand, or recorded before a lower one was.
    """

    expected_s = 0.0

    def __init__(self, rule: Items, cursor: int = 0) -> None:
        self._rule, self.cursor = rule, cursor
        self.numbers = items.tasks(rule)
        self.unrecorded: dict[int, None] = {}
        self.skipped: set[int] = set()

    @property
    def recorded(self) -> int:
        return next(iter(self.unrecorded), self.cursor)

    @property
    def more(self) -> bool:
        return self.cursor < self.numbers

    def left(self, demand: Demand) -> int:
        return self.promises

    def next(self, demand: Demand) -> Task:
        task = self._task(demand.job, self.cursor)
        self.unrecorded[self.cursor] = None
        self.cursor += 1
        self._pass_skipped()
        return task

    def put(self, number: int) -> None:
        self.unrecorded.pop(number, None)

    def number_finish(self) -> int:
        return self.numbers

    def withdraw(self, job: int, number: int) -> Task | None:
        if not self.cursor <= number < self.numbers or number in self.skipped:
            return None
        self.skipped.add(number)
        self._pass_skipped()
        return self._task(job, number)

    @property
    def promises(self) -> int:
        return self.numbers - self.cursor - len(self.skipped)

    def promised(self, job: int, first: int, most: int) -> list[Task]:
        skipped = sorted(self.skipped)  # of the k-th of these, number - k tasks come before it that are not
        places = range(first, min(first + most, self.promises))
        before = (bisect_right(range(len(skipped)), self.cursor + at, key=lambda k: skipped[k] - k) for at in places)
        return [self._task(job, self.cursor + at + passed) for at, passed in zip(places, before, strict=True)]

    def resume(self, recorded: Recorded) -> None:
        self.skipped = set(recorded.numbers)
        self._pass_skipped()

    def become(self, rule: Items) -> None:
        """Goes by another rule, of more items and otherwise the same."""
        self._rule = rule
        self.numbers = items.tasks(rule)

    def _task(self, job: int, number: int) -> Task:
        start, count = items.span(self._rule, number)
        return Task(job=job, number=number, start=start, count=count)

    def _pass_skipped(self) -> None:
        while self.cursor in self.skipped:
            self.skipped.discard(self.cursor)
            self.cursor += 1
