"""What a user directs beside starting and ending: hold and release jobs, change their priority, pause and start all.

Each is durable before it is answered, and holds across a restart. What runs already goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import PRIORITY_MOST
from gristmill.supervisor.core.task import JobState
from gristmill.supervisor.edge import store
from gristmill.supervisor.edge.server import Connection
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.finder import Finder
from gristmill.supervisor.ledger import Ledger

PAUSED = "paused by the user: nothing new is started until `grist start`"
GO_ON = ("running task goes on", "running tasks go on")


class Directions:
    """Carries these requests out."""

    def __init__(self, ledger: Ledger, record: Store, conditions: Conditions) -> None:
        self._ledger, self._store, self._conditions = ledger, record, conditions
        self._finder = Finder(ledger, record)
        self.operations: Mapping[str, Any] = {
            "hold": self._hold, "release": self._release, "priority": self._priority, "pause": self._pause,
            "start": self._start,
        }
        if record.queries.meta("paused"):
            conditions.set(Kind.PAUSE, PAUSED)

    async def _hold(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        said = []
        for job in await self._finder.active_jobs(request, "hold"):
            if job.state is JobState.CANCELED:
                raise RequestError(f"job {job.id} ({job.spec.name}) is being canceled – there is nothing to hold")
            if job.state is JobState.HELD:
                said.append(f"{_called(job)} is held already")
                continue
            self._ledger.hold(job)
            said.append(f"{_called(job)} held; {several(len(job.live), *GO_ON)}")
        await self._ledger.flush()
        return {"message": "; ".join(said)}

    async def _release(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        jobs = await self._finder.active_jobs(request, "release")
        for job in jobs:
            if job.state is not JobState.HELD:
                raise RequestError(f"{_called(job)} is not held: {job.state}")
        for job in jobs:
            self._ledger.release(job)
        await self._ledger.flush()
        return {"message": "; ".join(f"{_called(job)} released" for job in jobs)}

    async def _priority(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        """`to` a number, or `by` so much."""
        relative = "by" in request
        number = request.get("by" if relative else "to")
        if not isinstance(number, int) or isinstance(number, bool):
            raise RequestError("priority: a whole number `to` go to, or `by` which to raise it")
        said = []
        for job in await self._finder.active_jobs(request, "set the priority of"):
            wanted = job.spec.priority + number if relative else number
            if abs(wanted) > PRIORITY_MOST:
                raise RequestError(f"a priority is a whole number from -{PRIORITY_MOST} to {PRIORITY_MOST}")
            before = job.spec.priority
            self._ledger.prefer(job, wanted)
            said.append(f"{_called(job)}: priority {before} → {wanted}")
        await self._ledger.flush()
        return {"message": "; ".join(said)}

    async def _pause(self, _: Connection, __: dict[str, Any]) -> dict[str, str]:
        await self._store.write(store.save_meta("paused", "yes"))
        self._conditions.set(Kind.PAUSE, PAUSED)
        running = sum(len(job.live) for job in self._ledger.live.values())
        return {"message": f"paused: nothing new is started; {several(running, *GO_ON)}"}

    async def _start(self, _: Connection, __: dict[str, Any]) -> dict[str, str]:
        await self._store.write(store.save_meta("paused", ""))
        was = bool(self._conditions.reason_of(Kind.PAUSE))
        self._conditions.clear(Kind.PAUSE)
        self._ledger.work.set()
        return {"message": "tasks are started again" if was else "nothing was paused"}


def _called(job: Job) -> str:
    return f"job {job.id} ({job.spec.name})"
