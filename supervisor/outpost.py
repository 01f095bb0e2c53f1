"""One engine beyond this machine, and the tasks of ours that it has: when it is asked, what it says of them, what is
asked of it.

The pool's counterpart for tasks elsewhere. It writes down before it hands over (`handover`, through the ledger),
believes the records in the shared folder over anything that the engine says (`homecoming`), and asks the engine seldom.
Which jobs give it tasks is `beyond`'s; what a record or a silence means is `core.remote`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.remote import Glimpse, Place
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.executors import Executor, SilentError
from gristmill.supervisor.handover import Handover
from gristmill.supervisor.holding import Holding, Open
from gristmill.supervisor.homecoming import Homecoming
from gristmill.supervisor.ledger import CANCELING, Ledger

log = logging.getLogger(__name__)


class Outpost:
    """What we have at one engine."""

    def __init__(
        self, executor: Executor, ledger: Ledger, chunks: Chunks, conditions: Conditions,
        settings: Callable[[], Settings], environ: Mapping[str, str], tag: str,
    ) -> None:  # fmt: skip
        """`tag` names this daemon among others of the same user."""
        self._held = Holding(executor, ledger, chunks, conditions, settings, tag)
        self.over, self._home = Handover(self._held, environ), Homecoming(self._held)
        self.wanted: Callable[[], list[tuple[Job, int]]] = list
        """The jobs whose tasks are for this engine, each with how many of them, in the order of their turns."""
        self.close, self.wake, self.open = self._held.close, self._held.wake, self._held.open
        self._left: dict[str, list[Task]] = {}
        self._ends: dict[str, set[int]] = {}

    @property
    def silence(self) -> str:
        """Why nothing is heard of the engine, "" while it answers."""
        return self._held.silence

    # ── the rounds ────────────────────────────────────────────────────────────────────────────────────────────

    def resume(self, tasks: list[Task]) -> None:
        """Takes on what an earlier daemon had handed over."""
        for task in tasks:
            self._left.setdefault(Place.parse(task.place).chunk, []).append(task)

    async def run(self) -> None:
        """Looks after all of it, for as long as the daemon lives."""
        while True:
            self._held.wake.clear()
            await self._round()
            if not (self._held.open or self._left or self._held.leaving or self.wanted()):
                await self._held.wake.wait()
                continue
            due = min(self._home.look_at, self._held.poll_at) if self._held.open else self._held.poll_at
            pause = max(0.2, due - time.monotonic())
            try:
                await asyncio.wait_for(self._held.wake.wait(), pause)
            except TimeoutError:
                continue
            await asyncio.sleep(0.05)  # what comes together goes together

    async def look_now(self) -> None:
        """One round in which all is looked at, whenever that was done last; for those who measure it."""
        self._held.poll_at = self._home.look_at = 0.0
        await self._round()

    async def _round(self) -> None:
        now = time.monotonic()
        try:
            await self._adopt()
            self._withdraw()
            if self._ends:
                await self._end()
            if (self._held.open or self._held.leaving) and self._held.ready:
                await self._poll()
            if self._held.open and now >= self._home.look_at:
                await self._home.look()
            await self.over.hand_out([] if self._held.conditions.held else self.wanted())
        except SilentError as error:
            self._held.unheard(str(error))
            if self._held.open and time.monotonic() >= self._home.look_at:
                await self._home.look()  # records are there without it
        except OSError as error:
            self._home.look_at = time.monotonic() + self._held.executor.rest_s
            words = f"{self._held.executor.name}: the shared folder can't be used now: {error}"
            self._held.conditions.set(self._held.condition, words, holds=False, for_s=30.0)

    # ── what an earlier daemon left ───────────────────────────────────────────────────────────────────────────

    async def _adopt(self) -> None:
        for name, tasks in list(self._left.items()):
            head = await self._held.in_thread(self._held.chunks.head, name)
            known = await self._held.in_thread(self._held.chunks.engine_id, name) if head else ""
            keys = {Place.parse(task.place).at: task.key for task in tasks}
            del self._left[name]
            if not head:  # killed before it was written, let alone handed over
                self._held.put_back(keys.values(), "")
                continue
            job = self._held.ledger.jobs[tasks[0].job]
            self._held.open[name] = Open(
                name, job.id, head["slots"], head["pack"], keys, self._held.missing(), self._held.missing(), known,
                head.get("most"),
            )  # fmt: skip
            log.info("adopted %d tasks of job %d in %s, chunk %s (%s)", len(keys), job.id, self._held.executor.name,
                     name, known or "not known to it as yet")  # fmt: skip
            self._ends.setdefault(name, set()).update(
                index for index, key in keys.items() if job.live[key.number].reason == CANCELING or not job.alive
            )
        self._ends = {name: some for name, some in self._ends.items() if some}
        unknown = [one for one in self._held.open.values() if not one.engine_id]
        if unknown and self._held.ready:
            found = await self._held.executor.adopt([self._held.label(one.name) for one in unknown])
            self._held.heard()
            for one in unknown:
                one.engine_id = found.get(self._held.label(one.name), "")
                if one.engine_id:
                    await self._held.in_thread(self._held.chunks.note_engine, one.name, one.engine_id)
                else:
                    await self._held.give_up(one)

    # ── watching ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _poll(self) -> None:
        """Asks the engine for all chunks at once."""
        asked = {one.name: one.engine_id for one in self._held.open.values() if one.engine_id}
        going = {name: engine_id for name, (engine_id, _) in self._held.leaving.items()}
        if not asked and not going:
            return
        found = await self._held.executor.poll(asked | going)
        self._held.heard()
        for name, engine_id in going.items():
            if name not in found:
                del self._held.leaving[name]
            elif time.monotonic() - self._held.leaving[name][1] > self._held.grace_s:
                await self._held.executor.cancel(engine_id, None)  # all have records, whatever it thinks that it runs
        self._home.look_at = 0.0  # what it does not know any more has its record by now, or is missing
        for name in asked:
            self._held.open[name].glimpse = found.get(name, Glimpse())
            self._tell(self._held.open[name])

    def _tell(self, one: Open) -> None:
        """Shows what has changed of what the engine says."""
        assert one.glimpse is not None
        glimpse, queued = one.glimpse, (one.glimpse.reason, len(one.glimpse.queued))
        called = self._held.executor.called
        for index, key in one.tasks.items():
            slot = index // one.pack
            if slot in glimpse.running and index not in one.running and (one.pack == 1 or index in one.claimed):
                one.running.add(index)
                self._held.ledger.elsewhere(key, glimpse.running[slot], called(one.engine_id, slot), "", True)
            elif one.waits != queued and slot in glimpse.queued:
                words = f"{self._held.executor.name}: {glimpse.reason}" if glimpse.reason else ""
                self._held.ledger.elsewhere(key, "", called(one.engine_id, slot), words, False)
        one.waits = queued

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    def end(self, task: Task) -> None:
        """Asks for the end of a task that the engine has, which the ledger has marked."""
        place = Place.parse(task.place)
        self._ends.setdefault(place.chunk, set()).add(place.at)
        self._held.wake.set()

    def _withdraw(self) -> None:
        """Of a job that has failed what runs goes on, and what no node has begun never will."""
        for one in self._held.open.values():
            if not one.withdrawn and not self._held.ledger.jobs[one.job].alive:
                one.withdrawn = True
                self._ends.setdefault(one.name, set()).update(one.tasks.keys() - one.claimed)

    async def _end(self) -> None:
        """What has not begun never will; of the rest the engine ends the slots, or the nodes find a mark."""
        for name in list(self._ends):
            indexes = self._ends.pop(name)  # out before the first await: what is asked for meanwhile is another set
            one = self._held.open.get(name)
            try:
                if one is not None:
                    await self._end_some(one, sorted(indexes & one.tasks.keys()))
            except (SilentError, OSError):
                self._ends.setdefault(name, set()).update(indexes)
                raise

    async def _end_some(self, one: Open, indexes: list[int]) -> None:
        won = await self._held.in_thread(self._held.chunks.take_back, one.name, indexes)
        begun = [index for index in indexes if index not in won]
        await self._held.in_thread(self._held.chunks.mark_ends, one.name, begun)
        self._held.put_back([one.tasks.pop(index) for index in sorted(won)], "")
        slots = {index // one.pack for index in indexes}
        if one.pack > 1:  # others in the same slot go on
            slots -= {index // one.pack for index in one.tasks if index not in begun}
        if one.engine_id and slots:
            await self._held.executor.cancel(one.engine_id, None if not one.tasks.keys() - set(begun) else slots)
        self._held.close_if_over(one)
