"""Opens and closes the gates of jobs that wait for others, for a time or for hours, and ends those that take too long.

It looks once a second while there are such jobs, and at once when a job has ended or come: the look is the truth, so
that a clock that was set or a machine that slept changes nothing. The rules are `core.gate`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from gristmill.supervisor import beat
from gristmill.supervisor.core import figures, gate
from gristmill.supervisor.core.gate import Fate
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Ref
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger

LOOK_S = 1.0
IDLE_SHARE = 9.0
"""A look that takes long is followed by a pause so many times as long, or by LOOK_S if that is longer."""
KNOWN_MOST = 2000
"""Jobs that were asked of the record, before those are forgotten that nobody names any more."""
BREATH = 200
"""So many jobs are looked at before others have a turn of the event loop."""


class Gates:
    """All jobs that may not simply begin."""

    def __init__(
        self, ledger: Ledger, store: Store, clock: Callable[[], float], local: Callable[[], datetime],
        end: Callable[[Task], object],
    ) -> None:
        """`clock` and `local` are the time, as a number and as the wall's clock has it; `end` ends a task."""
        self._ledger, self._store, self._clock, self._local, self._end = ledger, store, clock, local, end
        self._brought: set[Ref] = set()
        self._alone: set[int] = set()
        self._past: dict[Ref, Fate | None] = {}
        """What the record knows of jobs that memory does not: of such nothing changes before memory has them again."""

    async def run(self) -> None:
        """Looks for as long as the daemon lives."""
        while True:
            self._ledger.news.clear()
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(IDLE_SHARE * (time.monotonic() - began))
            await beat.within(self._ledger.news, LOOK_S if self._ledger.gated else None)

    async def look(self) -> None:
        """One look at each."""
        gated = list(self._ledger.gated.values())
        if not gated:
            self._past.clear()
            self._brought.clear()
            self._alone.clear()
            return
        self._tidy(gated)
        await self._bring_down(gated)
        names = self._ledger.by_name()
        await self._look_up(gated, names)
        now, local = self._clock(), self._local()
        for number, job in enumerate(gated, start=1):
            if job.id in self._ledger.jobs and job.alive:
                self._judge(job, now, local, names)
            if number % BREATH == 0:
                await asyncio.sleep(0)
        self._break_circles(gated, names)

    def _judge(self, job: Job, now: float, local: datetime, names: dict[str, list[int]]) -> None:
        limit = job.spec.limits.time_s
        if limit is not None and job.started_at is not None and now > job.started_at + limit:
            for task in self._ledger.fail(job, f"timeout: took longer than {figures.length(limit)}", end=True):
                self._end(task)
            return
        wait_s = self._start(job) - now if job.spec.gate.start else 0.0
        begun = job.started_at is not None
        fate = partial(self._fate, names, job)
        verdict = gate.judge(job.spec.gate, begun, now - job.submitted_at, wait_s, local, fate)
        if verdict.state == "open" and not begun and (earlier := self._earlier(names, job)) is not None:
            verdict = gate.alone(earlier)
        if verdict.state == "never":
            self._ledger.fail(job, verdict.words)
        elif verdict.words != job.gate:
            job.gate = verdict.words
            self._ledger.changed.add(job.id)
            self._ledger.work.set()

    @staticmethod
    def _start(job: Job) -> float:
        """When it is to begin at the earliest."""
        if job.start_at is None:
            job.start_at = gate.first(job.spec.gate.start, datetime.fromtimestamp(job.submitted_at)).timestamp()
        return job.start_at

    def _tidy(self, gated: Iterable[Job]) -> None:
        """Forgets what nobody waits for any more, where there is much of it: some job may always wait for something."""
        if len(self._past) + len(self._brought) + len(self._alone) > KNOWN_MOST:
            refs = {ref for job in gated for ref in gate.named(job.spec.gate)}
            self._past = {ref: fate for ref, fate in self._past.items() if ref in refs}
            self._brought &= refs
            self._alone &= {job.id for job in gated}

    # ── the other jobs ────────────────────────────────────────────────────────────────────────────────────────

    async def _bring_down(self, gated: Iterable[Job]) -> None:
        """Has those come down from the loft that others wait for; whoever comes later stays in memory for that."""
        if not len(self._ledger.loft):
            return
        refs = {ref for job in gated if job.started_at is None for ref in gate.named(job.spec.gate)}
        for ref in refs - self._brought:
            found: Job | None = await self._store.ask("job", str(ref))
            if found is not None and found.id in self._ledger.loft:
                await self._ledger.bring([found.id])
            self._brought.add(ref)
        for job in gated:  # those before it are all there by now: whoever comes later has a higher number
            if job.spec.gate.singleton and job.id not in self._alone:
                before: list[int] = await self._store.ask("unfinished_before", job.spec.name, job.id)
                await self._ledger.bring([number for number in before if number in self._ledger.loft])
                self._alone.add(job.id)

    async def _look_up(self, gated: Iterable[Job], names: dict[str, list[int]]) -> None:
        """Asks the record for jobs that are named and that memory does not know."""
        for job in gated:
            for ref in gate.named(job.spec.gate) if job.started_at is None else ():
                if self._id(ref, names, job) is not None:
                    self._past.pop(ref, None)
                elif ref not in self._past:
                    found: Job | None = await self._store.ask("job", str(ref))
                    known = found is not None and found.id != job.id
                    self._past[ref] = Fate(found.id, found.spec.name, found.state) if found and known else None

    def _id(self, ref: Ref, names: dict[str, list[int]], job: Job) -> int | None:
        """The id of the job that is meant, where memory knows it: of a name the newest other than `job` itself."""
        if isinstance(ref, int):
            return ref if self._ledger.view(ref) is not None and ref != job.id else None
        return next((one for one in reversed(names.get(ref, [])) if one != job.id), None)

    def _fate(self, names: dict[str, list[int]], job: Job, ref: Ref) -> Fate | None:
        number = self._id(ref, names, job)
        view = None if number is None else self._ledger.view(number)
        return self._past.get(ref) if view is None else Fate(view.id, view.name, view.state)

    def _earlier(self, names: dict[str, list[int]], job: Job) -> Fate | None:
        """The first job of this one's name that came before it and is not over, where it waits for such."""
        for one in names.get(job.spec.name, ()) if job.spec.gate.singleton else ():
            view = self._ledger.view(one) if one < job.id else None
            if view is not None and view.ended_at is None:
                return Fate(view.id, view.name, view.state)
        return None

    def _break_circles(self, gated: Iterable[Job], names: dict[str, list[int]]) -> None:
        """Jobs that wait for each other would do so for ever: they are told so, and fail."""
        waits = {
            job.id: {number for ref in gate.named(job.spec.gate) if (number := self._id(ref, names, job)) is not None}
            | {earlier.id for earlier in [self._earlier(names, job)] if earlier is not None}
            for job in gated if job.started_at is None and job.alive
        }
        while path := gate.circle(waits):
            called = " → ".join(f"{one} ({self._ledger.jobs[one].spec.name})" for one in (*path, path[0]))
            for one in path:
                self._ledger.fail(self._ledger.jobs[one], f"dependency: jobs wait for each other: {called}")
                del waits[one]
