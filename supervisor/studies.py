"""What can be asked about one job, one task or the machine in depth: a sweep by its parameters, failures by their
causes, how a job went over time, what a task used over its life, the machine core by core.

Reads alone. What walks through many records does so in a thread, on a connection of its own, and only when something
has changed since it was asked before.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gristmill.supervisor import fuses
from gristmill.supervisor.core import batchfile, sweep
from gristmill.supervisor.core.answers import (
    CausesView,
    LifeView,
    SweepView,
    TimelineView,
    VitalsView,
)
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.governor import Reading
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.life import Lives
from gristmill.supervisor.core.protocol import MachineView
from gristmill.supervisor.core.sweep import Ended
from gristmill.supervisor.core.task import TaskState
from gristmill.supervisor.edge.server import Connection
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.edge.vitals import Vitals
from gristmill.supervisor.finder import Finder
from gristmill.supervisor.ledger import Ledger

ITEMS_MOST = 50_000
"""Items of a sweep that are looked at: a second or so."""
PAGE = 5_000
STEPS_MOST = 240
KEPT = 16


class Studies:
    """Answers them. `vitals` reads the machine."""

    def __init__(self, ledger: Ledger, record: Store, lives: Lives, vitals: Callable[[], VitalsView]) -> None:
        self._ledger, self._store, self._lives, self._vitals = ledger, record, lives, vitals
        self._finder = Finder(ledger, record)
        self._known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._busy = asyncio.Lock()
        self.operations: Mapping[str, Any] = {
            "sweep": self._sweep, "causes": self._causes, "timeline": self._timeline, "life": self._life,
            "vitals": self._machine, "sbatch": self._sbatch,
        }

    async def _sbatch(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        """A job as a script for Slurm."""
        job = await self._finder.of(request)
        path = job.spec.script
        source = "" if path is None else await asyncio.to_thread(lambda: Path(path).read_text(errors="replace"))
        return {"text": batchfile.script(job.spec, job.id, job.footprint, job.memory_need, source)}

    async def _sweep(self, _: Connection, request: dict[str, Any]) -> SweepView:
        job, wanted = await self._finder.of(request), str(request.get("result") or "")
        answer: SweepView = await self._study("sweep", job, wanted, lambda: self._swept(job, wanted))
        return answer

    def _swept(self, job: Job, wanted: str) -> SweepView:
        account = sweep.Sweep(job.spec.items, wanted)
        with self._store.reading() as queries:
            after, seen = -1, 0
            while seen < ITEMS_MOST and (rows := queries.outcomes(job.id, after, PAGE)):
                after, seen = rows[-1][0], seen + len(rows)
                starts = [row[1] for row in rows]
                given = queries.results_of(job.id, min(starts), max(starts))
                account.add(
                    Ended(item, state == TaskState.DONE, wall, memory,
                          sweep.decode(given[item]) if item in given else None)
                    for _, item, state, wall, memory in rows if item < job.spec.items.total
                )  # fmt: skip
        return account.view(job.items_done + job.items_failed)

    async def _causes(self, _: Connection, request: dict[str, Any]) -> CausesView:
        job = await self._finder.of(request)
        answer: CausesView = await self._study("causes", job, "", lambda: fuses.grouped(self._store, job.id))
        return answer

    async def _timeline(self, _: Connection, request: dict[str, Any]) -> TimelineView:
        job = await self._finder.of(request)
        began = job.started_at or job.submitted_at
        lasted = max(1.0, (job.ended_at or self._ledger.clock()) - began)
        step = max(1.0, float(-(-lasted // STEPS_MOST)))
        work = partial(self._timed, job.id, began, step, lasted)
        answer: TimelineView = await self._study("timeline", job, step, work)
        return answer

    def _timed(self, job: int, began: float, step: float, lasted: float) -> TimelineView:
        with self._store.reading() as queries:
            rows = queries.pace(job, began, step)
        steps = int(lasted // step) + 1
        done, failed = [0] * steps, [0] * steps
        for at, state, count in rows:
            into = done if state == TaskState.DONE else failed
            into[max(0, min(at, steps - 1))] += count
        return TimelineView(began_at=began, step_s=step, done=done, failed=failed)

    async def _study(self, what: str, job: Job, how: Any, work: Callable[[], Any]) -> Any:
        """The answer of `work`, made in a thread; that of before where nothing of the job has ended since."""
        state = (job.tasks_ended, job.items_done, job.items_failed, job.rounds, len(job.again))
        key = (what, job.id, how, state)
        if key not in self._known:
            await self._ledger.settled()
            async with self._busy:  # one at a time: they are for people to look at, and must leave the daemon its time
                if key not in self._known:
                    self._known[key] = await asyncio.to_thread(work)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key]

    async def _life(self, _: Connection, request: dict[str, Any]) -> LifeView:
        job, number = await self._finder.task(str(request.get("task")))
        attempt = request.get("attempt")
        task = job.live.get(number)
        if not isinstance(attempt, int):
            attempt = task.attempts if task is not None else 1
        found = self._lives.of(f"{job.id}.{number}.{attempt}")
        if found is None:
            raise RequestError(f"task {job.id}/{number}: what it used was not seen, or was too long ago")
        return found

    async def _machine(self, _: Connection, __: dict[str, Any]) -> VitalsView:
        return await asyncio.to_thread(self._vitals)


def vitals(read: Vitals, machine: MachineView, reading: Reading | None, gpus: list[str]) -> VitalsView:
    """The machine in detail, from a look at it now and what was read of it in the last second."""
    memory = read.memory()
    return VitalsView(
        cores=read.cores(), load=[round(load, 2) for load in os.getloadavg()],
        cpu_ours_percent=machine.cpu_ours_percent,
        cpu_others_percent=round(max(0.0, machine.cpu_percent - machine.cpu_ours_percent), 1),
        memory_total_bytes=machine.memory_total_bytes, memory_available_bytes=machine.memory_available_bytes,
        memory_ours_bytes=machine.memory_ours_bytes, memory_cached_bytes=memory.get("Cached", 0),
        swap_total_bytes=memory.get("SwapTotal", 0), swap_free_bytes=memory.get("SwapFree", 0),
        pressure_cpu=reading.pressure_cpu if reading else None,
        pressure_memory=reading.pressure_memory if reading else None,
        pressure_io=reading.pressure_io if reading else None, disks=read.disks(), gpus=gpus,
    )
