"""How tasks are handed over to an engine: how many of which job, in chunks and packs of what size, written down first.

Owns what is known of the engine's room, and why it takes no more. The sizes are decided in `core.remote`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from gristmill.supervisor import errand
from gristmill.supervisor.core import remote
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Exit
from gristmill.supervisor.core.remote import Place
from gristmill.supervisor.core.task import NO_START, Task, note
from gristmill.supervisor.executors import BusyError, Capacity, Chunk, RefusedError
from gristmill.supervisor.holding import Holding, Open

log = logging.getLogger(__name__)

CAPACITY_S = 60.0
FIRST, FIRST_S = 128, 30.0
"""So many tasks of a kind never seen go first, or four for each core; the others wait for so many seconds at most."""
KNOWN = 8
"""After so many ends it is known how long a task takes."""


class Handover:
    """From the ledger's jobs to the engine."""

    def __init__(self, held: Holding, environ: Mapping[str, str]) -> None:
        self._held, self._environ = held, environ
        self.capacity: Capacity | None = None
        self.busy = ""
        """Why the engine took no more."""
        self._capacity_at = self._busy_until = 0.0
        self._slots_most: int | None = None
        """What it took of a chunk when it took no longer one."""
        self._first: dict[int, float] = {}
        """When a job first came to its turn."""

    async def hand_out(self, jobs: list[tuple[Job, int]]) -> None:
        """Hands tasks of these jobs over, so many of each at most, as far as the engine has room for them."""
        now = time.monotonic()
        if not jobs or now < self._busy_until or (self._held.silence and not self._held.ready):
            return
        if self.capacity is None or now >= self._capacity_at:
            self.capacity = await self._held.executor.capacity()
            self._capacity_at = time.monotonic() + CAPACITY_S
            self._held.heard()
        most = min(self._held.settings().beyond_queue, self.capacity.queue_most or self._held.settings().beyond_queue)
        room = most - sum(one.slots_left for one in self._held.open.values())
        jobs = [(job, self._few(job, tasks)) for job, tasks in jobs]
        waiting = [(job.id, job.spec.priority, tasks) for job, tasks in jobs]
        shares = remote.shares(waiting, room * max((self._pack(job, tasks) for job, tasks in jobs), default=1))
        for job, tasks in jobs:
            if room <= 0:
                break
            pack = self._pack(job, tasks)
            own = not any(one.job == job.id for one in self._held.open.values())
            slots = min(self.capacity.slots_most, self._slots_most or self.capacity.slots_most)
            count = remote.chunk_size(tasks, min(shares.get(job.id, 0), room * pack), slots * pack, own)
            most_at_once = self._most(job)
            if count and most_at_once != 0 and job.ready_elsewhere(self._held.ledger.clock()):
                room -= -(-count // pack)
                if not await self._give(job, count, pack, most_at_once):
                    return

    def _few(self, job: Job, tasks: int) -> int:
        """How many of these go now: of a kind never seen a few go first, so that tiny ones can be packed; for that no
        job waits longer than a moment."""
        if job.guided is not None or job.footprint.ends >= KNOWN:
            return tasks
        now = time.monotonic()
        since = self._first.setdefault(job.id, now)
        if since != now:
            return min(tasks, len(job.again)) if now - since < FIRST_S else tasks
        self._first = {number: at for number, at in self._first.items() if number in self._held.ledger.jobs}
        cpus = self.capacity.cpus if self.capacity is not None else None
        return min(tasks, max(FIRST, 4 * (cpus or 0)))

    def _pack(self, job: Job, tasks: int) -> int:
        """How many of so many tasks share a slot: never so many that cores would have none."""
        seen, cpus = job.footprint, self.capacity.cpus if self.capacity is not None else None
        if job.guided is not None or seen.ends < KNOWN:
            return 1
        most = max(1, tasks // (2 * (cpus or FIRST)))
        return min(most, remote.packed(seen.wall_s, self._held.executor.start_s, job.spec.timeout_s))

    def _most(self, job: Job) -> int | None:
        """How many slots of a job's next chunk may run at once under its own limit, None for any number."""
        if job.spec.limits.workers is None:
            return None
        taken = sum(min(one.most or one.slots, one.slots_left) for one in self._held.open.values() if one.job == job.id)
        return max(0, job.spec.limits.workers - taken)

    async def _give(self, job: Job, count: int, pack: int, most: int | None) -> bool:
        """Hands so many tasks of a job over; False where the engine takes nothing more for now."""
        name = await self._held.in_thread(self._held.chunks.reserve, job.id)
        workers = (self.capacity.cpus if self.capacity else None) or count
        tasks: list[Task] = []
        while len(tasks) < count and job.ready_elsewhere(self._held.ledger.clock()):
            task = self._held.ledger.take(job, workers, abroad_s=self._held.executor.start_s)
            tasks.append(note(task, place=str(Place(self._held.executor.name, name, len(tasks)))))
        if not tasks:
            return True
        keys = {at: task.key for at, task in enumerate(tasks)}
        one = Open(name, job.id, -(-len(tasks) // pack), pack, keys, self._held.missing(), self._held.missing(),
                   most=most, looked_at=self._held.ledger.clock())  # fmt: skip
        self._held.open[name] = one
        written = self._held.ledger.handing_over(tasks)
        try:
            settings = self._held.settings()
            plan = errand.Plan(job.id, job.spec, tasks, name, one.slots, pack, most, settings, self._environ)
            spec = await self._held.in_thread(errand.write, self._held.chunks, plan)
        except (OSError, GristError) as error:
            del self._held.open[name]
            engine = self._held.executor
            self._held.put_back(keys.values(), f"{engine.name}: {error}", engine.rest_s)
            if isinstance(error, OSError):
                raise
            return True
        await written
        label, folder = self._held.label(name), self._held.chunks.path(name)
        chunk = Chunk(name, label, folder, one.slots, errand.need(job, pack), spec, pack, most)
        return await self._submit(job, one, chunk)

    async def _submit(self, job: Job, one: Open, chunk: Chunk) -> bool:
        try:
            one.engine_id = await self._held.executor.submit(chunk)
        except BusyError as error:
            self.busy, self._slots_most = str(error), max(1, one.slots // 2)  # a shorter one may fit
            self._first.pop(job.id, None)
            self._busy_until = time.monotonic() + 2 * self._held.executor.rest_s
            await self._held.give_up(one)
            return False
        except RefusedError as error:
            now = self._held.ledger.clock()
            end = Exit(126, None, None, now, now, 0.0, 0, None, None, f"{NO_START}: {error}")
            for key in one.tasks.values():
                self._held.endings.exited(job, key.number, end)
            one.tasks.clear()
            self._held.close_if_over(one)
            return True
        self.busy, self._slots_most = "", self._slots_most and 2 * self._slots_most
        self._held.heard()
        log.info("%d tasks of job %d handed to %s as %s", len(one.tasks), job.id, self._held.executor.name,
                 one.engine_id)  # fmt: skip
        await self._held.in_thread(self._held.chunks.note_engine, one.name, one.engine_id)
        return True
