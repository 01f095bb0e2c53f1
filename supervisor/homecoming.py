"""How tasks come home from an engine: by the records in the shared folder, and by being nowhere for too long.

Owns looking there, and the judgement of what is missing by the rules of `core.remote`; each end goes the way of all
(`endings`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from gristmill.supervisor.core import remote
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.holding import Holding, Open
from gristmill.supervisor.ledger import CANCELING

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds between two looks into the shared folder, while tasks are there; longer where a look takes its time."""
LOOKS_MOST = 0.005
"""Looking takes this part of a core at most."""
AT_ONCE = 200
"""Records that are settled in one go, before others have their turn."""


class Homecoming:
    """From the shared folder to the ledger."""

    def __init__(self, held: Holding) -> None:
        self._held = held
        self.look_at = 0.0

    async def look(self) -> None:
        """Looks into the shared folder, then for what is missing."""
        began, cpu = time.monotonic(), 0.0
        for one in list(self._held.open.values()):
            try:
                cpu += await self._look_into(one)
            except OSError:
                one.known.clear()  # what was listed and could not be read is no loss: the next look sees it anew
                raise
        self.look_at = began + max(LOOK_S, cpu / LOOKS_MOST)

    async def _look_into(self, one: Open) -> float:
        """The same of one chunk; seconds that it took to list its files."""
        before, now, start = one.looked_at, self._held.ledger.clock(), time.monotonic()
        seen = await self._held.in_thread(self._held.chunks.look, one.name, one.known)
        took = time.monotonic() - start
        one.claimed |= seen.claimed
        one.looked_at = now
        begun = one.tasks.keys() & (seen.claimed - seen.ended - one.running)
        await self._greet(one, begun)
        ended = [index for index in seen.ended if index in one.tasks]
        for first in range(0, len(ended), AT_ONCE):
            some = ended[first : first + AT_ONCE]
            records = await self._held.in_thread(self._held.chunks.records, one.name, some)
            for index in some:
                if index in records:
                    await self._settle(one, index, records[index], before)
                else:
                    one.known.discard(f"{index}.json")  # not whole yet, or not there yet for us
        await self._search(one)
        self._held.close_if_over(one)
        return took

    async def _greet(self, one: Open, begun: set[int]) -> None:
        """Shows that tasks have begun, by the claims of their nodes: sooner than the engine is asked."""
        found = await self._held.in_thread(self._held.chunks.claims, one.name, begun) if begun else {}
        for at, claim in found.items():
            if at in one.tasks and "daemon" not in claim:
                one.running.add(at)
                self._held.ledger.elsewhere(one.tasks[at], claim.get("host", ""), claim.get("id", ""), "", True)

    async def _settle(self, one: Open, index: int, record: Mapping[str, Any], before: float) -> None:
        """Takes a record in."""
        key = one.tasks[index]
        job, now = self._held.ledger.jobs[key.job], self._held.ledger.clock()
        self._held.ledger.elsewhere(key, record.get("host", ""), record.get("id", ""), "", True)
        task = job.live[key.number]
        if task.reason == CANCELING:
            record = remote.asked_for(record)
        elif record.get("why") == "term":
            await self._lose(one, index)
            return
        del one.tasks[index]
        if record.get("unfit"):
            self._refuse(job, key, record)
            return
        if record.get("refused"):
            self._held.ledger.put_back(job, key.number, f"{task.host}: {record['refused']}", self._held.executor.rest_s)
            return
        end = remote.exit_of(record, before, now)
        self._held.endings.exited(job, key.number, end)

    def _refuse(self, job: Job, key: Key, record: Mapping[str, Any]) -> None:
        """Nothing of a job can be called on a node: it fails, once, as it would here; the attempt was none."""
        where = f"; its traceback is in {record['trace']}" if record.get("trace") else ""
        words = safe(f"{record['unfit']} – on {record.get('host', 'a node')}{where}")
        if job.alive:
            log.warning("job %d: %s", job.id, words)
            self._held.ledger.fail(job, words)
        self._held.ledger.put_back(job, key.number)

    async def _search(self, one: Open) -> None:
        """What of a chunk is in neither the engine nor the records, or in the engine for good."""
        glimpse, now = one.glimpse, time.monotonic()
        if glimpse is None or self._held.silence or not one.tasks:
            return
        there = frozenset(index for index in one.tasks if glimpse.knows(index // one.pack)
                          and not (index // one.pack in glimpse.stuck and index in one.claimed))  # fmt: skip
        gone = one.missing.look(frozenset(one.tasks), there, now)
        running = frozenset(glimpse.running) - {index // one.pack for index in one.tasks}
        if ghosts := one.ghosts.look(running, frozenset(), now):
            await self._held.executor.cancel(one.engine_id, ghosts)
        stuck = [index for index in there if index // one.pack in glimpse.stuck]
        if not gone and not stuck:
            return
        unbegun = [index for index in (*gone, *stuck) if index not in one.claimed]
        won = await self._held.in_thread(self._held.chunks.take_back, one.name, unbegun) if unbegun else set()
        words = f"{self._held.executor.name} let it go before it began: {glimpse.reason}" if glimpse.reason else ""
        self._held.put_back([one.tasks.pop(index) for index in sorted(won)], words)
        if slots := {index // one.pack for index in (*won, *gone)} & (glimpse.queued | glimpse.running.keys()):
            await self._held.executor.cancel(one.engine_id, slots)
        for index in gone:
            if index in one.tasks and index in one.claimed:
                await self._lose(one, index)

    async def _lose(self, one: Open, index: int) -> None:
        """A task that has begun left no record of how it ended, or one that says that the engine ended it."""
        key, slot = one.tasks[index], index // one.pack
        job = self._held.ledger.jobs[key.job]
        told = (await self._held.executor.explain(one.engine_id, [slot])).get(slot)
        tail = await self._held.in_thread(self._held.chunks.complaints, one.name, index)
        task = job.live[key.number]
        fate = remote.fate(self._held.executor.name, told, task.host, task.started_at, self._held.ledger.clock(), tail)
        path = self._held.chunks.log(one.name, key)
        written = await self._held.in_thread(lambda: str(path) if path.exists() else "")
        del one.tasks[index]  # only now that it is known what became of it
        log.warning("task %d/%d: %s", job.id, key.number, fate.words)
        if fate.exit is not None:
            self._held.endings.exited(job, key.number, structs.replace(fate.exit, log=written or None))
        elif fate.again and task.reason != CANCELING:
            self._held.ledger.put_back(job, key.number, fate.words, self._held.executor.rest_s)
        else:
            self._held.endings.lost(job, key.number, written, fate.words)
