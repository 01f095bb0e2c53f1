"""How attempts end whose job, or whose user, wants no other one: on a real record, with workers that do as told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Exit
from gristmill.supervisor.core.spec import Items, Retry, Spec
from gristmill.supervisor.core.task import JobState, Task, TaskState
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.finder import Finder
from gristmill.supervisor.ledger import JOB_FAILED, Ledger

AGAIN = Retry(attempts=3, backoff_s=0.0)


class House:
    """A ledger on a record, and one job at a time."""

    def __init__(self, record: Store) -> None:
        self.record = record
        self.ledger = Ledger(record, lambda: 100.0, lambda: 0.5)
        self.endings = Endings(self.ledger)

    async def drop(self, items: Items, retry: Retry = AGAIN) -> Job:
        spec = Spec(name="j", kind="command", command=("x",), cwd="/", items=items, retry=retry)
        return await self.ledger.accept("claim", "j.toml", spec, b"", b"accepted/j.toml")

    async def begin(self, job: Job, count: int) -> list[Task]:
        """So many tasks run."""
        tasks = [self.ledger.take(job, count) for _ in range(count)]
        await self.ledger.starting(tasks, 1, 1)
        for task in tasks:
            self.ledger.running(job.id, task.number, 7, 99.0)
        return tasks

    def exited(self, job: Job, number: int, code: int) -> None:
        self.endings.exited(job, number, Exit(code, None, None, 99.0, 100.0, 0.1, 1000, None, None, ""))

    async def recorded(self, job: Job) -> dict[int, tuple[str, str]]:
        """State and reason of each task with a record, as the next daemon would find them."""
        await self.ledger.settled()
        return {task.number: (task.state, task.reason) for task in await self.record.ask("tasks", job.id, [], 0, 100)}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with Store(tmp_path / "queue.db") as record:
        yield House(record)


async def test_of_a_job_that_has_failed_nothing_is_queued_again_and_a_retry_does_all_of_it(house: House) -> None:
    job = await house.drop(Items(total=4))
    await house.begin(job, 3)
    house.ledger.fail(job, "failures: enough")
    house.exited(job, 0, 1)  # it would have been tried again
    house.endings.lost(job, 1, "")
    house.ledger.put_back(job, 2)  # sent, and never claimed
    assert await house.recorded(job) == {
        0: ("failed", "exit 1"), 1: ("lost", "its worker was killed; how it ended is not known"),
        2: ("canceled", JOB_FAILED),
    }
    assert job.ended_at is not None

    again = await Finder(house.ledger, house.record).job("j")
    await house.ledger.retry(again, await house.record.ask("tasks", job.id, ["failed", "lost", "canceled"], 0, 100))
    for task in await house.begin(again, 4):
        house.exited(again, task.number, 0)
    assert (again.state, again.items_done, again.items_failed) == (JobState.DONE, 4, 0)


@pytest.mark.parametrize("end", ["lost", "interrupted"])
async def test_a_task_that_was_canceled_is_not_run_again_however_it_ends(house: House, end: str) -> None:
    job = await house.drop(Items(total=2), Retry(attempts=3, backoff_s=0.0, on=("lost",)))
    await house.begin(job, 2)
    await house.ledger.cancel_task(job, 1)
    for number in (0, 1):
        getattr(house.endings, end)(job, number, "")
    assert job.state is JobState.RUNNING
    recorded = await house.recorded(job)
    assert (recorded[0][0], recorded[1]) == (TaskState.QUEUED, ("canceled", "canceled by the user"))


async def test_the_program_of_an_open_job_may_go_away_after_that_was_canceled(house: House) -> None:
    job = await house.drop(Items(total=2, open="cancel"))
    (task,) = await house.begin(job, 1)
    await house.ledger.cancel(job)
    await house.ledger.seal(job, "the program that sent its items ended")
    assert (job.reason, job.spec.items.open) == ("canceled by the user", "")
    house.exited(job, task.number, 0)
    assert job.ended_at is not None
