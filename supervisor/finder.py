"""Finds the job or task that a request names: by id, by `JOB/NUMBER` or `JOB/finally`, by name (the newest of it) or as
`last`."""

from __future__ import annotations

from typing import Any

from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import number_of
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger

NAMES_MOST = 1000
"""Jobs and tasks that one request may name."""


class Finder:
    """Looks in memory first, then in the store; raises RequestError where there is none."""

    def __init__(self, ledger: Ledger, record: Store) -> None:
        self._ledger, self._store = ledger, record

    async def of(self, request: dict[str, Any]) -> Job:
        """The job that `job` of a request names."""
        return await self.job(str(request.get("job")))

    async def job(self, which: str) -> Job:
        """The job of this id or name."""
        if which == "last" and (known := self._newest()):
            which = str(known)
        number = number_of(which)
        if number is None:
            number = self._ledger.named(which)
        if number_of(which) is None and len(self._ledger.loft):  # there may be a newer one of that name
            newest: Job | None = await self._store.ask("job", which)
            number = newest.id if newest is not None else number
        if number is not None and number in self._ledger.loft:
            await self._ledger.bring([number])
        if number in self._ledger.jobs:
            return self._ledger.jobs[number]
        await self._ledger.settled()
        job: Job | None = await self._store.ask("job", which if number is None else str(number))
        if job is None or job.id in self._ledger.leaving:
            raise RequestError(f"no job {which!r} – `grist status` lists them")
        job.resume(await self._store.ask("recorded", job))
        return job

    def _newest(self) -> int | None:
        known = [*self._ledger.jobs, *self._ledger.recent]
        return max(known if self._ledger.loft.newest is None else [*known, self._ledger.loft.newest], default=None)

    async def task(self, which: str) -> tuple[Job, int]:
        """A task, or the only one of a job."""
        job, number = await self.either(which)
        if number is None:
            if job.tasks != 1:
                raise RequestError(f"job {job.id} has {job.tasks} tasks – name one, such as {job.id}/{job.tasks - 1}")
            number = 0
        return job, number

    async def either(self, which: str) -> tuple[Job, int | None]:
        """`JOB`, `JOB/NUMBER`, or `JOB/finally` once that step has begun."""
        name, slash, tail = which.rpartition("/")
        if not slash:
            return await self.job(which), None
        job = await self.job(name)
        number = job.finish.number if tail == "finally" and job.finish is not None else number_of(tail)
        if number is None or number >= job.numbers:
            last = job.numbers - 1
            raise RequestError(f"no task {which!r} – job {job.id} has tasks {job.id}/0 … {job.id}/{last}")
        return job, number

    def active(self, job: Job) -> Job:
        """A job that has not ended."""
        if job.id not in self._ledger.jobs:
            raise RequestError(f"job {job.id} ({job.spec.name}) has ended already: {job.state}")
        return job

    async def active_jobs(self, request: dict[str, Any], verb: str) -> list[Job]:
        """The jobs that a request names, all of which must be active: `verb` is done to whole jobs."""
        found = []
        for which in names(request):
            job, number = await self.either(which)
            if number is not None:
                raise RequestError(f"{which} is a task – {verb} its job: {job.id}")
            found.append(self.active(job))
        return found


def names(request: dict[str, Any]) -> list[str]:
    """What `ids` of a request names, each once."""
    ids = request.get("ids")
    if not isinstance(ids, list) or not ids:
        raise RequestError("ids: name at least one job or task")
    found = list(dict.fromkeys(str(which) for which in ids))
    if len(found) > NAMES_MOST:
        raise RequestError(f"ids: {NAMES_MOST} at most in one request, these are {len(found)}")
    return found
