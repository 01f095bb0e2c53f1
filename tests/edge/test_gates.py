"""Gates at chosen times, on a real ledger and store: no daemon, no waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gristmill.supervisor import gates, roll
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.jobfile import parse
from gristmill.supervisor.core.spec import Gate, Spec
from gristmill.supervisor.core.task import JobState, Task
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.gates import Gates
from gristmill.supervisor.ledger import Ledger

BEGIN = datetime(2026, 11, 16, 9, 30)


class House:
    """A ledger, its gates, and a clock that is set by hand."""

    def __init__(self, record: Store) -> None:
        self.now = BEGIN
        self.ended: list[Task] = []
        self.ledger = Ledger(record, self.clock, lambda: 0.5)
        self.gates = Gates(self.ledger, record, self.clock, lambda: self.now, self.ended.append)
        self.count = 0

    def clock(self) -> float:
        return self.now.timestamp()

    async def drop(self, name: str, *lines: str) -> Job:
        self.count += 1
        text = "\n".join(('command = "true"', f'name = "{name}"', *lines))
        spec = parse(text, "job.toml", cwd="/", home="/", read=lambda _: "")
        return await self.ledger.accept(f"claim {self.count}", "job.toml", spec, b"", b"accepted/job.toml")

    async def at(self, moment: datetime) -> None:
        self.now = moment
        await self.gates.look()

    async def end(self, job: Job) -> None:
        await self.ledger.cancel(job)
        await self.ledger.settled()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with Store(tmp_path / "queue.db") as record:
        yield House(record)


async def test_nothing_may_begin_before_it_was_looked_at(house: House) -> None:
    assert not (await house.drop("a", 'after = "b"')).ready(house.clock())
    assert (await house.drop("c")).ready(house.clock())


async def test_a_job_begins_at_its_time_and_not_before(house: House) -> None:
    job = await house.drop("late", 'start = "22:00"')
    for moment, ready in ((BEGIN, False), (BEGIN.replace(hour=21, minute=59, second=59), False),
                          (BEGIN.replace(hour=22, minute=0), True), (BEGIN + timedelta(days=1), True)):
        await house.at(moment)
        assert job.ready(house.clock()) is ready


async def test_tasks_begin_in_their_hours_again_and_again(house: House) -> None:
    job = await house.drop("night", 'only = "nights"', "items = { total = 100, per_task = 1 }")
    for days in range(3):
        for hour, ready in ((9, False), (19, False), (20, True), (23, True)):
            await house.at(BEGIN.replace(hour=hour) + timedelta(days=days))
            assert job.ready(house.clock()) is ready


async def test_one_that_has_not_begun_in_time_fails(house: House) -> None:
    job = await house.drop("stale", 'after = "never"', 'expires = "2d"')
    await house.at(BEGIN + timedelta(days=2))
    assert job.alive
    await house.at(BEGIN + timedelta(days=2, seconds=1))
    assert (job.state, job.reason) == (JobState.FAILED, "expired: not begun within 2d 00h")
    await house.ledger.settled()
    assert not house.ledger.gated


async def test_of_one_name_the_newest_other_counts(house: House) -> None:
    first = await house.drop("a")
    job = await house.drop("b", 'after_any = "a"')
    same = await house.drop("a", 'after_any = "a"')  # itself is not meant
    await house.at(BEGIN)
    assert f"waits for job {same.id}" in job.gate and f"waits for job {first.id}" in same.gate
    await house.end(first)
    await house.at(BEGIN)
    assert same.ready(house.clock()) and not job.ready(house.clock())


async def test_a_job_that_ended_long_ago_is_found_in_the_record(house: House) -> None:
    old = await house.drop("old")
    await house.end(old)
    house.ledger.recent.clear()
    jobs = [await house.drop("x", 'after_any = "old"'), await house.drop("y", f"after_failed = {old.id}")]
    gone = await house.drop("z", 'after = "old"')
    await house.at(BEGIN)
    assert all(job.ready(house.clock()) for job in jobs)
    assert (gone.state, gone.reason) == (
        JobState.FAILED, f"dependency: job {old.id} (old) was canceled, and this job was to run after it"
    )


async def test_of_jobs_that_memory_has_forgotten_the_newest_counts_as_well(house: House) -> None:
    waits = await house.drop("waits", 'after = "nobody"', 'after_any = "old"')  # something is looked after all the time
    await house.end(await house.drop("old"))
    house.ledger.recent.clear()
    await house.at(BEGIN)
    newer = await house.drop("old")
    await house.at(BEGIN)
    await house.end(newer)
    house.ledger.recent.clear()
    job = await house.drop("next", 'after = "old"')
    await house.at(BEGIN)
    assert job.reason.startswith(f"dependency: job {newer.id} (old) was canceled") and waits.alive


async def test_time_is_up_for_a_job_so_long_after_its_first_start(house: House) -> None:
    job = await house.drop("slow", 'limits = { time = "1h" }', "items = { total = 3, per_task = 1 }")
    await house.at(BEGIN + timedelta(hours=5))
    task = house.ledger.take(job, 1)
    await house.ledger.starting([task], 1, 1)
    await house.at(BEGIN + timedelta(hours=6))
    assert job.alive and not house.ended
    await house.at(BEGIN + timedelta(hours=6, seconds=1))
    assert (job.state, job.reason) == (JobState.FAILED, "timeout: took longer than 1:00:00")
    assert [one.number for one in house.ended] == [task.number]


async def test_a_short_time_is_told_as_it_was_set(house: House) -> None:
    job = await house.drop("late", 'start = "1h"', 'expires = "500ms"')
    await house.at(BEGIN + timedelta(seconds=1))
    assert job.reason == "expired: not begun within 0.5 s"


async def test_a_long_line_of_jobs_is_looked_at_in_one_go(house: House) -> None:
    jobs = [await house.drop("j0")] + [await house.drop(f"j{n}", f'after = "j{n - 1}"') for n in range(1, 300)]
    await house.at(BEGIN)
    assert [job.ready(house.clock()) for job in jobs] == [True] + [False] * 299
    assert all(job.alive for job in jobs)


async def test_beside_a_job_that_waits_for_ever_nothing_of_others_is_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "KNOWN_MOST", 10)
    monkeypatch.setattr(roll, "AWAITED", 10)
    await house.drop("for-ever", 'after = "nobody"')
    for number in range(40):
        job = await house.drop(f"job-{number}", f'after = "missing-{number}"')
        await house.gates.look()
        await house.end(job)
    await house.gates.look()
    assert len(house.gates._past) <= 12
    assert len(house.ledger._awaited) <= 20
    assert {"nobody", "for-ever"} <= house.ledger._awaited


async def test_a_singleton_waits_for_those_of_its_name_that_memory_does_not_know(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "WAITING", 2)
    first = [await house.drop("other"), await house.drop("other"), await house.drop("one")]
    assert first[-1].id in house.ledger.loft
    spec = parse("#!/bin/sh\n#SBATCH -J one -d singleton --priority=9\ntrue\n", "one.sh", cwd="/", home="/", read=str)
    job = await house.ledger.accept("claim one", "one.sh", spec, b"", b"accepted/one.sh")
    await house.at(BEGIN)
    assert job.gate == f"singleton: waits for job {first[-1].id} (one), queued"
    await house.end(house.ledger.jobs[first[-1].id])
    await house.at(BEGIN)
    assert job.ready(house.clock())


async def test_a_clock_that_is_set_forward_ends_no_job_for_having_waited_or_taken_too_long(house: House) -> None:
    waits = await house.drop("waits", 'expires = "2h"', 'after = "other"')
    runs = await house.drop("runs", 'limits = { time = "2h" }')
    task = house.ledger.take(runs, 1)
    await house.ledger.starting([task], 1, 1)
    house.ledger.shift(86400.0)
    await house.at(BEGIN + timedelta(days=1, hours=1))
    assert (waits.state, runs.state) == (JobState.QUEUED, JobState.RUNNING)
    await house.at(BEGIN + timedelta(days=1, hours=3))
    assert (waits.state, runs.state) == (JobState.FAILED, JobState.FAILED)
    assert house.ended[0].key == task.key


@pytest.mark.parametrize(("name", "gate", "question"), [
    ("d", Gate(after=("c",)), "job"), ("c", Gate(singleton=True), "unfinished_before"),
])
async def test_who_could_not_be_looked_up_is_looked_up_with_the_next_look(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str, gate: Gate, question: str
) -> None:
    monkeypatch.setattr(roll, "WAITING", 1)
    others = [await house.drop(other) for other in ("a", "b", "c", "c")]
    spec = Spec(name=name, kind="command", command=("x",), cwd="/", gate=gate)
    waits = await house.ledger.accept("claim", "c.toml", spec, b"", b"accepted/c.toml")
    ask = house.gates._store.ask
    failed: list[str] = []

    async def once(what: str, *given: object) -> object:
        if what == question and not failed:
            failed.append(what)
            raise OSError("the disk is gone for a moment")
        return await ask(what, *given)

    monkeypatch.setattr(house.gates._store, "ask", once)
    with pytest.raises(OSError, match="for a moment"):
        await house.at(BEGIN)
    await house.at(BEGIN)
    assert failed and others[3].id in house.ledger.jobs and not waits.ready(house.clock())
