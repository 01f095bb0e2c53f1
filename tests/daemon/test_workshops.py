"""The lives of the interpreters that calls are made in: how many at a time, which first, for how long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gristmill.supervisor import workshops
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Call, Spec
from gristmill.supervisor.core.task import JobState
from gristmill.supervisor.core.tools import tools
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.workshops import Workshops
from tests.mill import DEADLINE
from tests.processes import alive

BLOCKED = "import os\nopen(os.environ['GATE']).close()\ndef f():\n    pass\n"


class Street:
    """Workshops with a ledger, and no daemon around them."""

    def __init__(self, base: Path, ledger: Ledger, output: int) -> None:
        self.base, self.ledger = base, ledger
        self.shops = Workshops(
            ledger, lambda job: tools(job.spec, sys.executable, dict(os.environ)), output, base
        )

    async def accept(
        self, module: str, text: str = "", function: str = "f", priority: int = 0, preload: str | None = None,
        **env: str,
    ) -> Job:
        """Takes in a job that calls a function of a module of this text; without one, of the module as it is."""
        if text:
            (self.base / f"{module}.py").write_text(text)
        call = Call(target=f"{module}:{function}", preload=preload)
        spec = Spec(name=module, kind="call", command=(), call=call, cwd=str(self.base), priority=priority, env=env)
        job = await self.ledger.accept(f"{module} {time.monotonic()}", module, spec, b"", b"")
        while self.ledger.fresh_calls:
            self.shops.take_on(self.ledger.fresh_calls.popleft())
        return job

    async def until(self, what: Callable[[], object], why: str) -> None:
        """Goes on, as the daemon does, until something is so."""
        deadline = time.monotonic() + DEADLINE
        while not what():
            assert time.monotonic() < deadline, why
            self.shops.tick()
            self.shops.begin()
            await asyncio.sleep(0.02)

    def reason(self, job: Job) -> str:
        """What is shown of it."""
        view = self.ledger.view(job.id)
        assert view is not None
        return view.reason

    def importing(self) -> list[str]:
        return sorted(shop.module for shop in self.shops if shop.spawner is not None and not shop.warm)

    def pids(self) -> list[int]:
        return [pid for shop in self.shops if shop.spawner is not None and (pid := shop.spawner.pid)]


@contextlib.asynccontextmanager
async def opened(base: Path) -> AsyncIterator[Street]:
    output = os.open(base / "output", os.O_WRONLY | os.O_CREAT, 0o600)
    with Store(base / "queue.db") as record:
        street = Street(base, Ledger(record, time.time, random.random), output)
        try:
            yield street
        finally:
            street.shops.close()
            os.close(output)


async def test_an_import_that_takes_too_long_is_ended_and_its_job_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshops, "IMPORT_S", 0.5)
    os.mkfifo(tmp_path / "gate")
    async with opened(tmp_path) as street:
        job = await street.accept("slow", BLOCKED, GATE=str(tmp_path / "gate"))
        await street.until(street.pids, "nothing was started")
        (pid,) = street.pids()
        await street.until(lambda: job.state is JobState.FAILED, "it is waited for without end")
        assert job.reason.startswith("importing slow took longer than ~0s and was ended – what it printed is in ")
        await street.until(lambda: not alive(pid), "the import goes on")


async def test_few_import_at_a_time_and_the_most_urgent_first(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with opened(tmp_path) as street:
        jobs = [await street.accept(f"m{n}", BLOCKED, priority=n % 3, GATE=str(gate)) for n in range(5)]
        await street.until(lambda: len(street.importing()) == workshops.IMPORTS, "nothing was started")
        for _ in range(5):
            street.shops.begin()
        assert street.importing() == ["m1", "m2"]  # of priorities 0 1 2 0 1
        assert street.reason(jobs[0]) == workshops.WAITS
        assert street.reason(jobs[2]).startswith("importing m2")
        fd = os.open(gate, os.O_RDWR)  # a writer that stays: from now on no import waits
        await street.until(lambda: not any(job.cold for job in jobs), "some were never imported")
        os.close(fd)
        assert len(street.pids()) == 5


async def test_jobs_that_need_the_same_share_one_until_nobody_has_needed_it_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshops, "IDLE_S", 0.5)
    async with opened(tmp_path) as street:
        first = await street.accept("shared", "def f():\n    pass\n")
        await street.until(lambda: not first.cold, "it was not imported")
        second = await street.accept("shared", "def f():\n    pass\n")  # written anew: of another time
        assert second.cold
        await street.until(lambda: not second.cold, "it was not imported")
        third = Job(id=99, spec=second.spec, file="shared", submitted_at=0.0)
        street.ledger.jobs[99] = third
        street.shops.take_on(third)
        assert not third.cold
        assert len(street.pids()) == 2
        pids = street.pids()
        for job in (first, second):
            del street.ledger.jobs[job.id]
        await street.until(lambda: len(street.pids()) == 1, "one that nobody needs stays")
        assert street.pids() == pids[1:]
        gone = time.monotonic()
        del street.ledger.jobs[99]
        await street.until(lambda: not street.pids(), "one that nobody needs stays")
        assert time.monotonic() - gone >= 0.5
        await street.until(lambda: not any(map(alive, pids)), "its process lives on")


async def test_jobs_that_call_functions_of_one_module_share_one_and_one_that_is_not_there_fails_its_own_job(
    tmp_path: Path,
) -> None:
    """Whether it was asked for before the import, during it, or afterwards."""
    os.mkfifo(tmp_path / "gate")
    async with opened(tmp_path) as street:
        text = f"open({str(tmp_path / 'gate')!r}).close()\ndef f():\n    pass\ng = h = f\n"
        jobs = [await street.accept("both", text), await street.accept("both", function="gone")]
        await street.until(street.pids, "nothing was started")
        jobs += [await street.accept("both", function="g"), await street.accept("both", function="absent")]
        (tmp_path / "gate").open("w").close()
        await street.until(lambda: not any(job.cold for job in (jobs[0], jobs[2])), "they can't be called")
        jobs += [await street.accept("both", function="h"), await street.accept("both", function="lacking")]
        await street.until(lambda: not jobs[4].cold, "it can't be called")
        await street.until(lambda: jobs[5].state is JobState.FAILED, "it does not fail")
        assert [job.state for job in jobs] == [JobState.QUEUED, JobState.FAILED] * 3
        assert [job.reason for job in jobs[1::2]] == [
            f"call: both has no {name} – it has f, g, h" for name in ("gone", "absent", "lacking")
        ]
        assert len(street.pids()) == 1


@pytest.mark.parametrize("later", [True, False])
async def test_one_that_ends_over_the_module_of_one_job_fails_that_one_alone(tmp_path: Path, later: bool) -> None:
    """Jobs share what was preloaded, and so an interpreter: whether that one comes later or with the others."""
    (tmp_path / "data.py").write_text("def load():\n    pass\n")
    async with opened(tmp_path) as street:
        good = await street.accept("good", "def f():\n    pass\n", preload="data:load")
        if later:
            await street.until(lambda: not good.cold, "it can't be called")
        ends = "import os\nprint('going down', flush=True)\nos._exit(3)\n"
        bad = await street.accept("bad", ends, preload="data:load")
        other = await street.accept("other", "def f():\n    pass\n", preload="data:load")
        await street.until(lambda: bad.state is JobState.FAILED, "it does not fail")
        words = "importing bad ended its interpreter (exit 3)"
        assert bad.reason.startswith(words + (" – what" if later else ": going down – what"))
        await street.until(lambda: not (good.cold or other.cold), "the others are over")
        assert (good.state, other.state) == (JobState.QUEUED, JobState.QUEUED)
        assert len(street.pids()) == 1


async def test_one_whose_jobs_were_canceled_while_it_imported_is_ended_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with opened(tmp_path) as street:
        job = await street.accept("slow", BLOCKED, GATE=str(tmp_path / "gate"))
        await street.until(street.pids, "nothing was started")
        (pid,) = street.pids()
        await street.ledger.cancel(job)
        await street.until(lambda: not street.pids() and not alive(pid), "an import that nobody needs goes on")
