"""What ended jobs left is removed: by age and size as the settings have it, or because their user says so.

A removal is written down first, so that a daemon that was killed on the way finishes it: files go before records, the
job's own row last. All of it in small steps, with a rest between them; whatever touches the disk does so in a thread.
The files of jobs in done/ and failed/ are their user's, and stay. A job that another waits for stays as well.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.supervisor import beat
from gristmill.supervisor.core import retention
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.edge import store
from gristmill.supervisor.edge.attic import Attic
from gristmill.supervisor.edge.server import Connection
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.finder import Finder, names
from gristmill.supervisor.ledger import Ledger

log = logging.getLogger(__name__)

LOOK_S = 600.0
"""Seconds between two looks for what the settings do not keep."""
MOST = 10_000
"""Jobs that are marked at a time; the others are found by the next look."""
GROUP = 50
"""Jobs whose files are removed in one step."""
RECORDS = 2000
"""Records that go in one write."""
PAGES = 512
"""Pages that are given back in one write."""
REST = 4.0
"""A step is followed by a rest so many times as long."""
LATER_S = 60.0
"""For so long it is remembered that a job was removed, for requests that had found it before."""
MARK = "removing"
NAMED = 20


class Choice(NamedTuple):
    """Jobs (id, name) that may go, and those that stay with the reason."""

    go: list[tuple[int, str]]
    stay: list[tuple[int, str, str]]


class Housekeeper:
    """Removes what ended jobs left."""

    def __init__(
        self, ledger: Ledger, record: Store, state: Path, shared: Path, settings: Callable[[], Settings],
        clock: Callable[[], float], usual: retention.Usual = retention.USUAL,
    ) -> None:
        self._ledger, self._store, self._settings, self._clock = ledger, record, settings, clock
        self._attic, self._finder = Attic(state, shared), Finder(ledger, record)
        self._usual, self._looked_at = usual, -math.inf
        self._marked = [int(number) for number in (record.queries.meta(MARK) or "").split()]
        self._wanted = asyncio.Event()
        self.operations: Mapping[str, Any] = {"clean": self._clean}

    async def run(self) -> None:
        """Keeps house for as long as the daemon lives; first what an earlier one had begun."""
        for number in self._marked:
            self._ledger.forget(number)
        while True:
            await self._remove()
            self._wanted.clear()
            if not await beat.within(self._wanted, LOOK_S):
                await self.look()

    async def look(self) -> None:
        """Marks what the settings do not keep, or, once a day, what is not usually kept where they say nothing."""
        usual = self._settings().keep_usual
        if usual and 0 <= self._clock() - self._looked_at < self._usual.every_s:
            return
        choice = await self._unkept()
        if usual:
            self._looked_at = self._clock()
        if choice.go:
            await self._mark(choice.go)

    # ── what is asked ─────────────────────────────────────────────────────────────────────────────────────────

    async def _clean(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """`ids` names jobs, `older` a number of seconds; without either the settings decide. With `strict` a job that
        can't go is a fault; with `dry` nothing is removed and all is weighed. Durable when it is answered."""
        if "ids" in request:
            choice = await self._named(request)
        elif (older := request.get("older")) is not None:
            if not isinstance(older, int | float) or isinstance(older, bool) or not older >= 0:
                raise RequestError("older is a number of seconds")
            choice = self._sift(await self._store.ask("ended", self._clock() - older, MOST))
        else:
            settings = self._settings()
            bounds = (settings.keep, settings.keep_size)
            if not settings.keep_usual and not any(isinstance(bound, int | float) for bound in bounds):
                raise RequestError("the settings keep all: name JOBs, say --older 30d, or set keep or keep_size")
            choice = await self._unkept()
        if request.get("strict") and choice.stay:
            raise RequestError("; ".join(f"job {number} ({name}): {why}" for number, name, why in choice.stay))
        size = await asyncio.to_thread(self._weigh, choice.go) if request.get("dry") else None
        if choice.go and not request.get("dry"):
            if self._store.fault:
                raise RequestError(f"nothing can be removed now: {self._store.fault} – free some space for that first")
            await self._mark(choice.go)
        return {
            "count": len(choice.go), "bytes": size, "jobs": [f"{number} {name}" for number, name in choice.go[:NAMED]],
            "kept": [f"{number} {name}: {why}" for number, name, why in choice.stay[:NAMED]],
        }

    async def _named(self, request: dict[str, Any]) -> Choice:
        found: dict[int, str] = {}
        early: list[tuple[int, str, str]] = []
        for which in names(request):
            job, number = await self._finder.either(which)
            if number is not None:
                raise RequestError(f"{which} is a task – only whole jobs are removed: {job.id}")
            if job.id in self._ledger.jobs:
                early.append((job.id, job.spec.name, f"has not ended – cancel it first: grist cancel {job.id}"))
            elif not await self._store.ask("is_filed", job.id):
                early.append((job.id, job.spec.name, "its file is still to be moved – try again in a moment"))
            else:
                found[job.id] = job.spec.name
        choice = self._sift(found.items())
        return Choice(choice.go, early + choice.stay)

    async def _unkept(self) -> Choice:
        settings = self._settings()
        found: dict[int, str] = {}
        if settings.keep_usual:
            found = dict(await self._store.ask("ended", self._clock() - self._usual.age_s, MOST))
            if found:
                beyond = await asyncio.to_thread(self._beyond, self._usual.most_bytes)
                found = {number: name for number, name in found.items() if number in beyond}
        if isinstance(settings.keep, int | float):
            found |= dict(await self._store.ask("ended", self._clock() - settings.keep, MOST))
        if isinstance(settings.keep_size, int):
            found |= await asyncio.to_thread(self._beyond, settings.keep_size)
        return self._sift(list(found.items())[:MOST])

    def _beyond(self, most: int) -> dict[int, str]:
        with self._store.reading() as queries:
            sizes = {number: (name, size) for number, name, size in queries.ended_last()}
        jobs = ((number, name) for number, (name, _) in sizes.items())
        return dict(retention.beyond(jobs, lambda job: sizes[job][1] + self._attic.weigh(job), most))

    def _weigh(self, jobs: list[tuple[int, str]]) -> int:
        with self._store.reading() as queries:
            records = {number: size for number, _, size in queries.ended_last()}
        return sum(records.get(number, 0) + self._attic.weigh(number) for number, _ in jobs)

    def _sift(self, found: Iterable[tuple[int, str]]) -> Choice:
        needs = retention.needed(self._ledger.gated.values())
        choice = Choice([], [])
        for number, name in found:
            if number in self._ledger.jobs or number in self._ledger.leaving:
                continue  # begun anew meanwhile, or on its way out already
            if why := retention.why_kept(number, name, needs, self._ledger.listeners):
                choice.stay.append((number, name, why))
            else:
                choice.go.append((number, name))
        return choice

    # ── removing ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _mark(self, jobs: list[tuple[int, str]]) -> None:
        """From here on nobody finds them; what they left goes in its time, whatever happens to this daemon."""
        for number, _ in jobs:
            self._ledger.forget(number)
            self._marked.append(number)
        await self._store.write(self._mark_as_of_now())
        log.info("%d ended jobs are removed", len(jobs))
        self._wanted.set()

    def _mark_as_of_now(self) -> store.Statement:
        return store.save_meta(MARK, " ".join(map(str, self._marked)))

    async def _remove(self) -> None:
        while self._marked:
            group = self._marked[:GROUP]
            began = time.monotonic()
            await asyncio.to_thread(self._remove_files, group)
            await asyncio.sleep(REST * (time.monotonic() - began))
            left = group
            while left := await self._store.ask("with_records", left):
                began = time.monotonic()
                now = left[: 1 + RECORDS // 200]
                await self._store.write(*(one for job in now for one in store.drop_records(job, RECORDS // len(now))))
                await asyncio.sleep(REST * (time.monotonic() - began))
            self._marked = self._marked[len(group) :]
            await self._store.write(*map(store.drop_job, group), self._mark_as_of_now())
            for job in group:
                asyncio.get_running_loop().call_later(LATER_S, self._ledger.leaving.discard, job)
        await self._give_back()

    def _remove_files(self, jobs: list[int]) -> None:
        with self._store.reading() as queries:
            for job in jobs:
                code = queries.frozen_code(job)
                self._attic.remove(job, queries.script(job), [*queries.result_files(job), *([code] if code else ())])

    async def _give_back(self) -> None:
        """Gives the pages that became free back to the file system."""
        found = free = await self._store.ask("free_pages")
        while free > PAGES // 8:  # a few are for what comes next
            began = time.monotonic()
            await self._store.write(store.shrink(PAGES))
            await asyncio.sleep(REST * (time.monotonic() - began))
            before, free = free, await self._store.ask("free_pages")
            if free >= before:
                break
        if free < found:
            await self._store.write(store.checkpoint())
