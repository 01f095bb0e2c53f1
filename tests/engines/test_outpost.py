"""What an outpost concludes from records, an engine's words and its silence; that is in memory, all else is real."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.beyond import Beyond
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.remote import Glimpse
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Items, Limits, Resources, Spec
from gristmill.supervisor.core.task import TaskState
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.executors import SilentError
from gristmill.supervisor.ledger import Ledger
from tests.engines.twin import Twin
from tests.waiting import DEADLINE


class Moody(Twin):
    """One that may be silent, or hear no order to end anything."""

    silent = deaf = False

    async def poll(self, chunks: Mapping[str, str]) -> dict[str, Glimpse]:
        if self.silent:
            raise SilentError(f"{self.name}: squeue does not answer: it restarts")
        return await super().poll(chunks)

    async def cancel(self, engine_id: str, slots: Collection[int] | None) -> bool:
        if self.deaf:
            raise SilentError(f"{self.name}: scancel does not answer: it restarts")
        return await super().cancel(engine_id, slots)


class House:
    """A ledger on a real store, two outposts, each with an engine in memory."""

    def __init__(self, base: Path, store: Store, lost_after: float = 3600.0) -> None:
        self.twin, self.base, self.store = Moody(2, 4), base, store
        self.other = Moody(1, 4)
        self.other.name = "ray"
        self.twin.grace_s = 0.0
        self.settings = Settings(lost_after=lost_after)
        self.open()

    def open(self) -> None:
        """A daemon begins, with what an earlier one left."""
        self.ledger = Ledger(self.store, time.time, lambda: 0.5)
        self.conditions = Conditions(time.monotonic, time.time, lambda view, began: None)
        self.beyond = Beyond([self.twin, self.other], self.ledger, self.conditions, lambda: self.settings, os.environ,
                             self.base / "shared", "t")  # fmt: skip
        self.beyond.resume(self.ledger.load())
        self.outpost = self.beyond.outposts["slurm"]

    async def job(self, total: int, **more: Any) -> Job:
        fixed: Any = {"name": "far", "kind": "command", "command": "true", "cwd": "/", "where": "slurm"}
        spec = Spec(**{**fixed, **more}, items=Items(total=total))
        job = await self.ledger.accept(spec.where, "far.toml", spec, b"", b"")
        await self.outpost.look_now()
        return job

    async def cancel(self, job: Job) -> None:
        for task in await self.ledger.cancel(job):
            self.beyond.end(task)

    def states(self, job: Job) -> list[str]:
        return sorted({task.state.value for task in job.live.values()})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    with Store(tmp_path / "queue.db") as made:
        yield made


async def test_what_the_engine_forgets_before_its_record_is_seen_is_not_lost(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    job = await house.job(3)
    house.twin.begin()
    await house.outpost.look_now()
    assert house.states(job) == ["running"] and job.running == 3
    arrays, house.twin.arrays = house.twin.arrays, {}  # the folder lags: Slurm is done with them, no record is here yet
    for _ in range(3):
        await house.outpost.look_now()
    assert house.states(job) == ["running"]
    house.twin.arrays = arrays
    house.twin.finish()
    await house.outpost.look_now()
    await house.ledger.flush()
    assert job.items_done == 3 and not job.live
    await house.beyond.close()


async def test_what_is_nowhere_for_too_long_is_lost_what_never_began_goes_again(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store, lost_after=0.0)
    job = await house.job(10)
    house.twin.begin()
    await house.outpost.look_now()
    assert (job.running, len(job.live)) == (8, 10)
    house.twin.arrays = {}
    await house.outpost.look_now()
    await house.ledger.flush()
    ended = await store.ask("tasks", job.id, [], 0, 100)
    assert [task.state for task in ended if task.number < 8] == [TaskState.LOST] * 8
    assert "left no record on n0" in ended[0].reason
    assert job.items_failed == 8 and len(job.live) == 2, "what had not begun is handed over anew"
    house.twin.begin()
    house.twin.finish()
    await house.outpost.look_now()
    assert job.items_done == 2
    await house.beyond.close()


async def test_silence_changes_nothing(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store, lost_after=0.0)
    job = await house.job(2)
    house.twin.begin()
    await house.outpost.look_now()
    house.twin.silent, house.twin.arrays = True, {}
    for _ in range(3):
        await house.outpost.look_now()
    assert house.states(job) == ["running"]
    assert house.conditions.reason_of("engine slurm").startswith("slurm: squeue does not")
    assert house.beyond.views()[0].state == "silent"
    await house.beyond.close()


async def test_of_two_engines_each_is_silent_for_itself(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    await house.job(2)
    await house.job(2, where="ray")
    for engine, outpost in ((house.twin, house.outpost), (house.other, house.beyond.outposts["ray"])):
        await outpost.look_now()
        engine.silent = True
        await outpost.look_now()
    house.other.silent = False
    await house.beyond.outposts["ray"].look_now()
    assert [(view.kind, view.reason[:5]) for view in house.conditions.views()] == [("engine slurm", "slurm")]
    await house.beyond.close()


@pytest.mark.parametrize("what", ["records", "claims"])
async def test_a_shared_folder_that_fails_for_a_moment_loses_no_record_and_forgets_no_task(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    house = House(tmp_path, store, lost_after=0.0)
    job = await house.job(3)
    house.twin.begin()
    await house.outpost.look_now()
    real, calls = getattr(house.beyond.chunks, what), []

    def stale(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(*given)

    if what == "records":  # they end, and that can't be read at first
        house.twin.finish()
    house.twin.arrays = {}
    monkeypatch.setattr(house.beyond.chunks, what, stale)
    for _ in range(3):
        await house.outpost.look_now()
    await house.ledger.flush()
    assert calls and not job.live
    assert (job.items_done, job.items_failed) == ((3, 0) if what == "records" else (0, 3))
    await house.beyond.close()


async def test_a_later_daemon_adopts_from_a_shared_folder_that_fails_at_first(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, store)
    job = await house.job(2)
    house.twin.begin()
    await house.outpost.look_now()
    await house.ledger.flush()
    await house.beyond.close()
    house.open()
    real, calls = house.beyond.chunks.engine_id, []

    def stale(name: str) -> str:
        calls.append(name)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(name)

    monkeypatch.setattr(house.beyond.chunks, "engine_id", stale)
    house.twin.finish()
    for _ in range(3):
        await house.outpost.look_now()
    await house.ledger.flush()
    view = house.ledger.view(job.id)
    assert calls and view is not None and (view.state, view.items_done) == ("done", 2)
    await house.beyond.close()


async def test_a_later_daemon_adopts_and_cancels_what_waits_at_once(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    job = await house.job(12)
    house.twin.begin()
    await house.outpost.look_now()
    await house.ledger.flush()
    await house.beyond.close()
    house.open()
    job = house.ledger.jobs[job.id]
    assert (len(job.live), len(job.elsewhere), job.hands) == (12, 12, 0)
    await house.outpost.look_now()
    await house.cancel(job)
    await house.outpost.look_now()
    assert len(job.live) == 8, "four had not begun, and never will"
    assert all(not one.queued for one in house.twin.arrays.values())
    await house.beyond.close()


async def test_of_a_job_that_failed_what_runs_goes_on_and_what_waits_never_begins(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    job = await house.job(12)
    house.twin.begin()
    await house.outpost.look_now()
    house.ledger.fail(job, "failures: they fail alike")
    await house.outpost.look_now()
    (array,) = house.twin.arrays.values()
    assert (len(job.live), len(array.running), array.queued) == (8, 8, set())
    house.twin.finish()
    await house.outpost.look_now()
    await house.ledger.flush()
    assert job.items_done == 8 and not job.live
    await house.beyond.close()


async def test_a_cancel_that_comes_while_another_is_carried_out_is_heard(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, store)
    job = await house.job(12)
    house.twin.begin()
    await house.outpost.look_now()
    real, asked, gate = house.beyond.chunks.take_back, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(*given: Any) -> Any:
        loop.call_soon_threadsafe(asked.set)
        assert gate.wait(DEADLINE)
        return real(*given)

    monkeypatch.setattr(house.beyond.chunks, "take_back", slow)
    marked = await house.ledger.cancel(job)  # the job ends first, and what waits of it is taken back
    round_ = asyncio.create_task(house.outpost.look_now())
    await asyncio.wait_for(asked.wait(), DEADLINE)
    for task in marked:
        house.beyond.end(task)
    gate.set()
    await round_
    await house.outpost.look_now()
    assert len(job.live) == 8 and not any(one.running or one.queued for one in house.twin.arrays.values())
    assert len(list(house.beyond.chunks.base.rglob("*.end"))) == 8, "each of the eight that run is told"
    await house.beyond.close()


async def test_an_end_that_the_engine_did_not_hear_is_asked_for_again(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    job = await house.job(4)
    house.twin.begin()
    await house.outpost.look_now()
    house.twin.deaf = True
    await house.cancel(job)
    await house.outpost.look_now()
    (array,) = house.twin.arrays.values()
    assert len(array.running) == 4 and "does not answer" in house.conditions.reason_of("engine slurm")
    house.twin.deaf = False
    await house.outpost.look_now()
    assert not array.running
    await house.beyond.close()


async def test_no_more_than_the_job_s_own_limit_over_all_of_its_chunks(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    job = await house.job(5, limits=Limits(workers=3), resources=Resources(cpus=2.5, memory_bytes=100 << 20))
    (array,) = house.twin.arrays.values()
    assert array.chunk.most == 3 and array.chunk.need.cpus == 3 and array.chunk.need.memory_bytes == 132 << 20
    assert len(job.live) == 5
    await house.beyond.close()


async def test_tiny_tasks_are_packed_once_it_is_known_that_they_are_tiny(tmp_path: Path, store: Store) -> None:
    house = House(tmp_path, store)
    job = await house.job(1000)
    assert len(job.live) == 128, "a few first"
    job.footprint.ends, job.footprint.wall_s = 8, 0.1
    await house.outpost.look_now()
    second = list(house.twin.arrays.values())[1].chunk
    assert second.pack == (1000 - 128) // 16 and second.slots == 17, "two for each core at least"
    await house.beyond.close()
