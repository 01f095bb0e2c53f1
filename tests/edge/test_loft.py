"""Many jobs that wait: of those that can't begin yet memory has only the next, and nobody can tell but by its size."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from gristmill.supervisor import ledger as books
from gristmill.supervisor import roll
from gristmill.supervisor.core.spec import Gate, Items, Spec
from gristmill.supervisor.core.task import JobState, TaskState, advance
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.finder import Finder
from gristmill.supervisor.ledger import Ledger
from tests.waiting import DEADLINE

MOST = 6


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll, "WAITING", MOST)
    monkeypatch.setattr(books, "BATCH", MOST // 2)


def spec(name: str, priority: int = 0) -> Spec:
    return Spec(name=name, kind="command", command=("true",), cwd="/", items=Items(total=1), priority=priority)


class House:
    """A ledger on a record."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def open(self) -> Iterator[Ledger]:
        with Store(self.path) as record:
            self.ledger = Ledger(record, lambda: 100.0, lambda: 0.5)
            self.finder = Finder(self.ledger, record)
            self.ledger.load()
            yield self.ledger

    async def add(self, *specs: Spec) -> None:
        for one in specs:
            await self.ledger.accept(f"claim-{one.name}-{self.ledger._last}", f"{one.name}.toml", one, b"", b"")


@contextlib.asynccontextmanager
async def descending(ledger: Ledger) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(ledger.descend(), name="loft")
        yield
        loop.cancel()


async def run_all(ledger: Ledger) -> list[str]:
    """Runs the jobs to their ends, in the order in which they come; their names."""
    ran: list[str] = []
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        job = next((one for one in ledger.in_order() if one.ready(100.0)), None)
        if job is None:
            if not len(ledger.loft):
                return ran
            await asyncio.sleep(0.001)
            continue
        assert len(ledger.jobs) <= 2 * MOST
        task = ledger.take(job, 1)
        await ledger.starting([task], run=1, worker=1)
        ran.append(job.spec.name)
        ledger.end(job, advance(advance(job.live[task.number], TaskState.RUNNING), TaskState.DONE, ended_at=100.0))
        await ledger.flush()
    raise AssertionError(f"{len(ledger.loft)} never came down; ran: {ran}")


@pytest.mark.parametrize("restart", [False, True])
async def test_all_run_once_by_priority_then_age_however_many_wait(tmp_path: Path, restart: bool) -> None:
    house = House(tmp_path / "queue.db")
    names = [f"job-{number}" for number in range(30)]
    urgent = [f"urgent-{number}" for number in range(10)]
    with house.open() as ledger:
        await house.add(*map(spec, names), *(spec(name, priority=5) for name in urgent))
        if not restart:
            assert len(ledger.jobs) == 2 * MOST
            assert len(ledger.loft) == 40 - 2 * MOST
            async with descending(ledger):
                assert await run_all(ledger) == [*urgent, *names]
    if restart:
        with house.open() as ledger:
            assert len(ledger.jobs) == 2 * MOST
            async with descending(ledger):
                assert await run_all(ledger) == [*urgent, *names]
    with house.open() as ledger:
        assert not ledger.jobs
        assert not len(ledger.loft)


async def test_one_that_is_named_comes_down_and_can_be_held_and_canceled(tmp_path: Path) -> None:
    house = House(tmp_path / "queue.db")
    with house.open() as ledger:
        await house.add(*(spec(f"job-{number}") for number in range(20)), spec("job-0"))
        assert (await house.finder.job("last")).id == 21
        newest = await house.finder.job("job-0")
        assert newest.id == 21
        assert newest is ledger.jobs[21]
        ledger.hold(house.finder.active(await house.finder.job("19")))
        assert ledger.jobs[19].state is JobState.HELD
        await ledger.cancel(house.finder.active(await house.finder.job("18")))
        assert (await house.finder.job("18")).state is JobState.CANCELED
        async with descending(ledger):
            ran = await run_all(ledger)
        assert ran == [f"job-{number}" for number in range(17)] + ["job-19", "job-0"]


async def test_one_that_another_waits_for_stays_where_that_sees_it(tmp_path: Path) -> None:
    house = House(tmp_path / "queue.db")
    with house.open() as ledger:
        waits = msgspec.structs.replace(spec("waits"), gate=Gate(after=("prepare",)))
        await house.add(waits, *(spec(f"job-{number}") for number in range(20)), spec("prepare"), spec("other"))
        assert ledger.named("prepare") == 22
        assert ledger.named("waits") == 1
        assert ledger.named("other") is None


async def test_a_job_of_which_a_task_was_canceled_before_it_began_comes_down_without_it(tmp_path: Path) -> None:
    house = House(tmp_path / "queue.db")
    with house.open() as ledger:
        three = msgspec.structs.replace(spec("three"), items=Items(total=3, per_task=1))
        await house.add(*(spec(f"job-{number}") for number in range(MOST)), three)
        await ledger.cancel_task(await house.finder.job("three"), 1)
    with house.open() as ledger:
        assert MOST + 1 in ledger.loft
        await ledger.bring([MOST + 1])
        assert [ledger.take(ledger.jobs[MOST + 1], 1).number for _ in range(2)] == [0, 2]


async def test_what_could_not_be_read_comes_down_with_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path / "queue.db")
    with house.open() as ledger:
        await house.add(*(spec(f"job-{number}") for number in range(12)))
        assert len(ledger.loft) == 12 - MOST
        for _ in range(MOST):
            job = next(one for one in ledger.in_order() if one.ready(100.0))
            ledger.take(job, 1)
        ask = ledger._store.ask
        failed: list[str] = []

        async def once(question: str, *given: object) -> object:
            if not failed:
                failed.append(question)
                raise OSError("the disk is gone for a moment")
            return await ask(question, *given)

        monkeypatch.setattr(ledger._store, "ask", once)
        with pytest.raises(OSError, match="for a moment"):
            await ledger.descend()
        async with descending(ledger):
            assert await run_all(ledger) == [f"job-{number}" for number in range(MOST, 12)]
        assert failed == ["waiting"]
