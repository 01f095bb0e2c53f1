"""Ends a job of which too many tasks fail alike: what broke the first will break the rest of the night.

Which failures are alike is `core.causes`'s. It looks at the record, once a second and only where something has failed
since, so that a restart of the daemon forgets nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from gristmill.supervisor import beat
from gristmill.supervisor.core import causes, progress
from gristmill.supervisor.core.answers import CausesView
from gristmill.supervisor.core.causes import Failure
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import TASK_FINAL, TaskState
from gristmill.supervisor.edge import tail
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger

LOOK_S = 1.0
BAD = sorted(state.value for state in TASK_FINAL - {TaskState.DONE, TaskState.CANCELED})
FAILURES_MOST = 1_000
"""Failed tasks whose logs are looked into."""
WORDS_MOST = 120


def grouped(record: Store, job: int) -> CausesView:
    """The failures of a job by their causes; it reads, and may take a while."""
    with record.reading() as queries:
        rows, of = queries.failures(job, BAD, FAILURES_MOST)

    def failures() -> Iterator[Failure]:
        for number, state, reason, log in rows:
            words = progress.last_words(tail.read(Path(log)))[0] if log else ""
            yield Failure(number, state, reason, words)

    return CausesView(causes=causes.group(failures()), seen=len(rows), of=of)


class Fuses:
    """Watches the jobs that have a limit of failures."""

    def __init__(self, ledger: Ledger, record: Store) -> None:
        self._ledger, self._record = ledger, record
        self._seen: dict[int, tuple[int, int]] = {}

    async def run(self) -> None:
        """Looks for as long as the daemon lives."""
        while True:
            if not self._ledger.gated:  # nothing is watched: nobody is woken
                await self._ledger.news.wait()
            await asyncio.sleep(beat.pause(LOOK_S))
            await self.look()

    async def look(self) -> None:
        """One look at each job of which something has failed since the last."""
        there = [job for job in self._ledger.gated.values() if job.spec.limits.failures is not None and job.alive]
        self._seen = {job.id: self._seen.get(job.id, (0, 0)) for job in there}
        for job in there:
            if self._seen[job.id] != (now := (job.items_failed, job.rounds)):
                await self._judge(job, job.spec.limits.failures or 0)
                self._seen[job.id] = now

    async def _judge(self, job: Job, most: int) -> None:
        await self._ledger.settled()
        found = await asyncio.to_thread(grouped, self._record, job.id)
        worst = found.causes[0] if found.causes else None
        if worst is not None and worst.count >= most and job.alive:
            words = worst.words if len(worst.words) <= WORDS_MOST else f"{worst.words[:WORDS_MOST]}…"
            tasks = "1 task has failed" if worst.count == 1 else f"{worst.count} tasks have failed alike"
            self._ledger.fail(job, f"failures: {tasks}: {words}")
