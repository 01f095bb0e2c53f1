"""The results of a whole job, gathered: as rows, page by page from the store, and in a file for its [finally] step.

That file is there, whole and durable, before the step may start; whatever is retried afterwards has it written anew.
Reading and writing go on in a thread, on a connection of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from gristmill.supervisor import briefing
from gristmill.supervisor.core import harvest
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.harvest import Row
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.edge import export, results
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger

log = logging.getLogger(__name__)

PAGE, PAGE_BYTES = 200, 1 << 19
AGAIN_S = 2.0
"""Seconds until results are gathered again that could not be written."""


def rows(job: Job, found: Sequence[tuple[int, int, int, bytes]]) -> list[Row]:
    """The rows of a page of the store; some of it is in files."""
    return [
        row for start, count, number, data in found
        for row in harvest.rows(job.spec.items, f"{job.id}/{number}", start, count, results.decoded(data, count))
    ]


def write(record: Store, job: Job, form: str, path: Path) -> None:
    """Writes all results of a job that are in the record into a file, which appears once whole; takes its time."""
    with record.reading() as queries:

        def read() -> Iterator[Row]:
            after = -1
            while found := queries.results(job.id, after, PAGE, PAGE_BYTES):
                after = found[-1][0]
                yield from rows(job, found)

        export.write_file(read(), form, path)


class Gatherer:
    """Writes down the results of jobs of which nothing but the [finally] step is left."""

    def __init__(self, ledger: Ledger, record: Store, state: Path, conditions: Conditions) -> None:
        self._ledger, self._store, self._state, self._conditions = ledger, record, state, conditions

    async def run(self) -> None:
        """Gathers, one job after the other, for as long as the daemon lives."""
        while True:
            job = await self._ledger.to_gather.get()
            rounds = job.rounds
            if not job.finishing:
                continue
            await self._ledger.settled()
            path = briefing.gathered(self._state, job.id)
            try:
                await asyncio.to_thread(self._write, job, path)
            except OSError as error:
                words = f"the results of job {job.id} can't be gathered for its [finally] step: {error}"
                if self._conditions.set(Kind.RESULTS, words, holds=False, for_s=3 * AGAIN_S):
                    log.warning("%s", words)
                asyncio.get_running_loop().call_later(AGAIN_S, self._ledger.to_gather.put_nowait, job)
                continue
            self._ledger.gathered(job, rounds)

    def _write(self, job: Job, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self._store, job, "json", path)
