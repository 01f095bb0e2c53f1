"""One engine beyond this machine, and the tasks of ours that it has: hands them over in chunks, watches over them,
learns how they ended.

The pool's counterpart for tasks elsewhere. It writes down before it hands over (through the ledger), believes the
records in the shared folder over anything that the engine says, and asks the engine seldom. Which jobs give it tasks is
`beyond`'s; what a record or a silence means is `core.remote`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import structs

from gristmill.supervisor import errand
from gristmill.supervisor.core import remote
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Exit, Key
from gristmill.supervisor.core.remote import Glimpse, Missing, Place
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.task import NO_START, Task, note
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.executors import BusyError, Capacity, Chunk, Executor, RefusedError, SilentError
from gristmill.supervisor.ledger import CANCELING, Ledger

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_S = 1.0
"""Seconds between two looks into the shared folder, while tasks are there; longer where a look takes its time."""
LOOKS_MOST = 0.005
"""Looking takes this part of a core at most."""
CAPACITY_S = 60.0
AT_ONCE = 200
"""Records that are settled in one go, before others have their turn."""
KNOWN = 8
"""After so many ends it is known how long a task takes."""


@dataclass(slots=True, eq=False)
class Open:
    """A chunk that the engine has, and its tasks that have no record yet, by index. `engine_id` "" : nobody knows yet
    whether the engine took it."""

    name: str
    job: int
    slots: int
    pack: int
    tasks: dict[int, Key]
    missing: Missing
    ghosts: Missing
    """Slots that the engine takes to run, though all of their tasks have records."""
    engine_id: str = ""
    most: int | None = None
    looked_at: float = 0.0
    known: set[str] = field(default_factory=set)
    claimed: set[int] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    waits: tuple[str, int] = ("", -1)
    glimpse: Glimpse | None = None

    @property
    def slots_left(self) -> int:
        """How many of its slots are not over."""
        return len(self.tasks) if self.pack == 1 else len({index // self.pack for index in self.tasks})


class Outpost:
    """What we have at one engine."""

    def __init__(
        self, executor: Executor, ledger: Ledger, chunks: Chunks, conditions: Conditions,
        settings: Callable[[], Settings], environ: Mapping[str, str], tag: str,
    ) -> None:  # fmt: skip
        """`tag` names this daemon among others of the same user."""
        self.executor, self._ledger, self._chunks, self._conditions = executor, ledger, chunks, conditions
        self._settings, self._environ, self._tag = settings, environ, tag
        self._endings = Endings(ledger)
        self.open: dict[str, Open] = {}
        self.capacity: Capacity | None = None
        self.wake = asyncio.Event()
        self.wanted: Callable[[], list[tuple[Job, int]]] = list
        """The jobs whose tasks are for this engine, each with how many of them, in the order of their turns."""
        self.leaving: dict[str, tuple[str, float]] = {}
        """Chunks that are over for us, until the engine has let them go as well: its id of them, and since when."""
        self._left: dict[str, list[Task]] = {}
        self._ends: dict[str, set[int]] = {}
        self._failures, self.silence = 0, ""
        self._poll_at = self._look_at = self._capacity_at = self._busy_until = 0.0
        self.busy = ""
        self._thread = ThreadPoolExecutor(1, executor.name)

    # ── the rounds ────────────────────────────────────────────────────────────────────────────────────────────

    def resume(self, tasks: list[Task]) -> None:
        """Takes on what an earlier daemon had handed over."""
        for task in tasks:
            self._left.setdefault(Place.parse(task.place).chunk, []).append(task)

    async def run(self) -> None:
        """Looks after all of it, for as long as the daemon lives."""
        while True:
            self.wake.clear()
            await self._round()
            if not (self.open or self._left or self.leaving or self.wanted()):
                await self.wake.wait()
                continue
            due = min(self._look_at, self._poll_at) if self.open else self._poll_at
            pause = max(0.2, due - time.monotonic())
            try:
                await asyncio.wait_for(self.wake.wait(), pause)
            except TimeoutError:
                continue
            await asyncio.sleep(0.05)  # what comes together goes together

    async def _round(self) -> None:
        now = time.monotonic()
        try:
            await self._adopt()
            if self._ends:
                await self._end()
            if (self.open or self.leaving) and now >= self._poll_at:
                await self._poll()
            if self.open and now >= self._look_at:
                await self._look()
            await self._hand_out()
        except SilentError as error:
            self._failures += 1
            self.silence = str(error)
            self._poll_at = time.monotonic() + remote.pause(self._failures, self.executor.rest_s)
            self._conditions.set(Kind.ENGINE, self.silence, holds=False)
            if self.open and time.monotonic() >= self._look_at:
                await self._look()  # records are there without it
        except OSError as error:
            self._look_at = time.monotonic() + self.executor.rest_s
            self._conditions.set(Kind.ENGINE, f"{self.executor.name}: the shared folder can't be used now: {error}",
                                 holds=False, for_s=30.0)  # fmt: skip

    def _heard(self) -> None:
        """The engine has answered."""
        self._failures, self._poll_at = 0, time.monotonic() + self.executor.rest_s
        if self.silence:
            self.silence = ""
            self._conditions.clear(Kind.ENGINE)

    async def _in_thread(self, what: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what, *arguments)

    async def close(self) -> None:
        """Lets go; what runs elsewhere goes on, and the next daemon finds it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self.executor.close()

    # ── what an earlier daemon left ───────────────────────────────────────────────────────────────────────────

    async def _adopt(self) -> None:
        for name, tasks in list(self._left.items()):
            head = await self._in_thread(self._chunks.head, name)
            keys = {Place.parse(task.place).at: task.key for task in tasks}
            del self._left[name]
            if not head:  # killed before it was written, let alone handed over
                self._put_back(keys.values(), "")
                continue
            known = await self._in_thread(self._chunks.engine_id, name)
            job = self._ledger.jobs[tasks[0].job]
            made = Open(name, job.id, head["slots"], head["pack"], keys, self._missing(), self._missing(), known,
                        head.get("most"))  # fmt: skip
            self.open[name] = made
            log.info("adopted %d tasks of job %d in %s, chunk %s (%s)", len(keys), job.id, self.executor.name, name,
                     known or "not known to it as yet")  # fmt: skip
            self._ends.setdefault(name, set()).update(
                index for index, key in keys.items() if job.live[key.number].reason == CANCELING or not job.alive
            )
        self._ends = {name: some for name, some in self._ends.items() if some}
        unknown = [one for one in self.open.values() if not one.engine_id]
        if unknown and time.monotonic() >= self._poll_at:
            found = await self.executor.adopt([self._label(one.name) for one in unknown])
            self._heard()
            for one in unknown:
                one.engine_id = found.get(self._label(one.name), "")
                if one.engine_id:
                    await self._in_thread(self._chunks.note_engine, one.name, one.engine_id)
                else:
                    await self._give_up(one)

    async def _give_up(self, one: Open) -> None:
        """The engine never got this chunk: what no node has claimed is handed over anew, in another."""
        won = await self._in_thread(self._chunks.take_back, one.name, list(one.tasks))
        self._put_back([one.tasks.pop(index) for index in won], "")
        self._close_if_over(one)

    def _label(self, name: str) -> str:
        return f"grist-{self._tag}-{name}"

    @property
    def _grace_s(self) -> float:
        return max(self.executor.grace_s, self._settings().lost_after)

    def _missing(self) -> Missing:
        return Missing(self._grace_s)

    # ── handing over ──────────────────────────────────────────────────────────────────────────────────────────

    async def _hand_out(self) -> None:
        jobs = [] if self._conditions.held else self.wanted()
        now = time.monotonic()
        if not jobs or now < self._busy_until or (self.silence and now < self._poll_at):
            return
        if self.capacity is None or now >= self._capacity_at:
            self.capacity = await self.executor.capacity()
            self._capacity_at = time.monotonic() + CAPACITY_S
            self._heard()
        most = min(self._settings().beyond_queue, self.capacity.queue_most or self._settings().beyond_queue)
        room = most - sum(one.slots_left for one in self.open.values())
        waiting = [(job.id, job.spec.priority, tasks) for job, tasks in jobs]
        shares = remote.shares(waiting, room * max((self._pack(job) for job, _ in jobs), default=1))
        for job, tasks in jobs:
            if room <= 0:
                break
            pack = self._pack(job)
            own = not any(one.job == job.id for one in self.open.values())
            count = remote.chunk_size(tasks, min(shares.get(job.id, 0), room * pack),
                                      self.capacity.slots_most * pack, own)  # fmt: skip
            most_at_once = self._most(job)
            if count and most_at_once != 0 and job.ready_elsewhere(self._ledger.clock()):
                room -= -(-count // pack)
                if not await self._give(job, count, pack, most_at_once):
                    return

    def _pack(self, job: Job) -> int:
        seen = job.footprint
        if job.guided is not None or seen.ends < KNOWN:
            return 1
        return remote.packed(seen.wall_s, self.executor.start_s, job.spec.timeout_s)

    def _most(self, job: Job) -> int | None:
        """How many slots of a job's next chunk may run at once under its own limit, None for any number."""
        if job.spec.limits.workers is None:
            return None
        taken = sum(min(one.most or one.slots, one.slots_left) for one in self.open.values() if one.job == job.id)
        return max(0, job.spec.limits.workers - taken)

    async def _give(self, job: Job, count: int, pack: int, most: int | None) -> bool:
        """Hands so many tasks of a job over; False where the engine takes nothing more for now."""
        name = await self._in_thread(self._chunks.reserve, job.id)
        workers = (self.capacity.cpus if self.capacity else None) or count
        tasks: list[Task] = []
        while len(tasks) < count and job.ready_elsewhere(self._ledger.clock()):
            task = self._ledger.take(job, workers, abroad_s=self.executor.start_s)
            tasks.append(note(task, place=str(Place(self.executor.name, name, len(tasks)))))
        if not tasks:
            return True
        one = Open(name, job.id, -(-len(tasks) // pack), pack, {at: task.key for at, task in enumerate(tasks)},
                   self._missing(), self._missing(), most=most, looked_at=self._ledger.clock())  # fmt: skip
        self.open[name] = one
        written = self._ledger.handing_over(tasks)
        try:
            plan = errand.Plan(job.id, job.spec, tasks, name, one.slots, pack, most, self._settings(), self._environ)
            spec = await self._in_thread(errand.write, self._chunks, plan)
        except (OSError, GristError) as error:
            del self.open[name]
            self._put_back([task.key for task in tasks], f"{self.executor.name}: {error}", self.executor.rest_s)
            if isinstance(error, OSError):
                raise
            return True
        await written
        chunk = Chunk(name, self._label(name), self._chunks.path(name), one.slots, errand.need(job, pack), spec, pack,
                      most)  # fmt: skip
        return await self._submit(job, one, chunk)

    async def _submit(self, job: Job, one: Open, chunk: Chunk) -> bool:
        try:
            one.engine_id = await self.executor.submit(chunk)
        except BusyError as error:
            self.busy = str(error)
            self._busy_until = time.monotonic() + 2 * self.executor.rest_s
            await self._give_up(one)
            return False
        except RefusedError as error:
            now = self._ledger.clock()
            end = Exit(126, None, None, now, now, 0.0, 0, None, None, f"{NO_START}: {error}")
            for key in one.tasks.values():
                self._endings.exited(job, key.number, end)
            one.tasks.clear()
            self._close_if_over(one)
            return True
        self.busy = ""
        self._heard()
        log.info("%d tasks of job %d handed to %s as %s", len(one.tasks), job.id, self.executor.name, one.engine_id)
        await self._in_thread(self._chunks.note_engine, one.name, one.engine_id)
        return True

    # ── watching ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _poll(self) -> None:
        """Asks the engine for all chunks at once."""
        asked = {one.name: one.engine_id for one in self.open.values() if one.engine_id}
        going = {name: engine_id for name, (engine_id, _) in self.leaving.items()}
        if not asked and not going:
            return
        found = await self.executor.poll(asked | going)
        self._heard()
        for name, engine_id in going.items():
            if name not in found:
                del self.leaving[name]
            elif time.monotonic() - self.leaving[name][1] > self._grace_s:
                await self.executor.cancel(engine_id, None)  # all have records, whatever it thinks that it runs
        self._look_at = 0.0  # what it does not know any more has its record by now, or is missing
        for name in asked:
            self.open[name].glimpse = found.get(name, Glimpse())
            self._tell(self.open[name])

    def _tell(self, one: Open) -> None:
        """Shows what has changed of what the engine says."""
        assert one.glimpse is not None
        glimpse, queued = one.glimpse, (one.glimpse.reason, len(one.glimpse.queued))
        for index, key in one.tasks.items():
            slot = index // one.pack
            if slot in glimpse.running and index not in one.running and (one.pack == 1 or index in one.claimed):
                one.running.add(index)
                self._ledger.elsewhere(key, glimpse.running[slot], self.executor.called(one.engine_id, slot), "", True)
            elif one.waits != queued and slot in glimpse.queued:
                words = f"{self.executor.name}: {glimpse.reason}" if glimpse.reason else ""
                self._ledger.elsewhere(key, "", self.executor.called(one.engine_id, slot), words, False)
        one.waits = queued

    async def _look(self) -> None:
        """Looks into the shared folder, then for what is missing."""
        began, cpu = time.monotonic(), 0.0
        for one in list(self.open.values()):
            before, now, start = one.looked_at, self._ledger.clock(), time.monotonic()
            seen = await self._in_thread(self._chunks.look, one.name, one.known)
            cpu += time.monotonic() - start
            one.claimed |= seen.claimed
            one.looked_at = now
            begun = one.tasks.keys() & (seen.claimed - seen.ended - one.running)
            await self._greet(one, begun)
            ended = [index for index in seen.ended if index in one.tasks]
            for first in range(0, len(ended), AT_ONCE):
                some = ended[first : first + AT_ONCE]
                records = await self._in_thread(self._chunks.records, one.name, some)
                for index in some:
                    if index in records:
                        await self._settle(one, index, records[index], before)
                    else:
                        one.known.discard(f"{index}.json")  # not whole yet, or not there yet for us
            await self._search(one)
            self._close_if_over(one)
        self._look_at = began + max(LOOK_S, cpu / LOOKS_MOST)

    async def _greet(self, one: Open, begun: set[int]) -> None:
        """Shows that tasks have begun, by the claims of their nodes: sooner than the engine is asked."""
        for at, claim in (await self._in_thread(self._chunks.claims, one.name, begun)).items() if begun else ():
            if at in one.tasks and "daemon" not in claim:
                one.running.add(at)
                self._ledger.elsewhere(one.tasks[at], claim.get("host", ""), claim.get("id", ""), "", True)

    async def _settle(self, one: Open, index: int, record: Mapping[str, Any], before: float) -> None:
        """Takes a record in."""
        key = one.tasks.pop(index)
        job, now = self._ledger.jobs[key.job], self._ledger.clock()
        self._ledger.elsewhere(key, record.get("host", ""), record.get("id", ""), "", True)
        task = job.live[key.number]
        if record.get("why") == "term" and task.reason != CANCELING:
            await self._lose(one, index, key)
            return
        if record.get("refused"):
            self._ledger.put_back(job, key.number, f"{task.host}: {record['refused']}", self.executor.rest_s)
            return
        end = remote.exit_of({**record, "why": "cancel"} if record.get("why") == "term" else record, before, now)
        self._endings.exited(job, key.number, end)

    async def _search(self, one: Open) -> None:
        """What of a chunk is in neither the engine nor the records, or in the engine for good."""
        glimpse, now = one.glimpse, time.monotonic()
        if glimpse is None or self.silence or not one.tasks:
            return
        there = frozenset(index for index in one.tasks if glimpse.knows(index // one.pack)
                          and not (index // one.pack in glimpse.stuck and index in one.claimed))  # fmt: skip
        gone = one.missing.look(frozenset(one.tasks), there, now)
        running = frozenset(glimpse.running) - {index // one.pack for index in one.tasks}
        if ghosts := one.ghosts.look(running, frozenset(), now):
            await self.executor.cancel(one.engine_id, ghosts)
        stuck = [index for index in there if index // one.pack in glimpse.stuck]
        if not gone and not stuck:
            return
        unbegun = [index for index in (*gone, *stuck) if index not in one.claimed]
        won = await self._in_thread(self._chunks.take_back, one.name, unbegun) if unbegun else set()
        for index in sorted(won):
            self._put_back([one.tasks.pop(index)], f"{self.executor.name} let it go before it began: {glimpse.reason}"
                           if glimpse.reason else "")  # fmt: skip
        if slots := {index // one.pack for index in (*won, *gone)} & (glimpse.queued | glimpse.running.keys()):
            await self.executor.cancel(one.engine_id, slots)
        for index in gone:
            if index in one.tasks and index in one.claimed:
                await self._lose(one, index, one.tasks.pop(index))

    async def _lose(self, one: Open, index: int, key: Key) -> None:
        """A task that has begun left no record of how it ended, or one that says that the engine ended it."""
        job, slot = self._ledger.jobs[key.job], index // one.pack
        told = (await self.executor.explain(one.engine_id, [slot])).get(slot)
        tail = await self._in_thread(self._chunks.complaints, one.name, index)
        task = job.live[key.number]
        fate = remote.fate(self.executor.name, told, task.host, task.started_at, self._ledger.clock(), tail)
        path = self._chunks.log(one.name, key)
        written = await self._in_thread(lambda: str(path) if path.exists() else "")
        log.warning("task %d/%d: %s", job.id, key.number, fate.words)
        if fate.exit is not None:
            self._endings.exited(job, key.number, structs.replace(fate.exit, log=written or None))
        elif fate.again and task.reason != CANCELING:
            self._ledger.put_back(job, key.number, fate.words, self.executor.rest_s)
        else:
            self._endings.lost(job, key.number, written, fate.words)

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    def end(self, task: Task) -> None:
        """Asks for the end of a task that the engine has, which the ledger has marked."""
        place = Place.parse(task.place)
        self._ends.setdefault(place.chunk, set()).add(place.at)
        self.wake.set()

    async def _end(self) -> None:
        """What has not begun never will; of the rest the engine ends the slots, or the nodes find a mark."""
        for name, indexes in list(self._ends.items()):
            one = self.open.get(name)
            if one is not None:
                await self._end_some(one, sorted(indexes & one.tasks.keys()))
            del self._ends[name]

    async def _end_some(self, one: Open, indexes: list[int]) -> None:
        won = await self._in_thread(self._chunks.take_back, one.name, indexes)
        begun = [index for index in indexes if index not in won]
        await self._in_thread(self._chunks.mark_ends, one.name, begun)
        self._put_back([one.tasks.pop(index) for index in sorted(won)], "")
        slots = {index // one.pack for index in indexes}
        if one.pack > 1:  # others in the same slot go on
            slots -= {index // one.pack for index in one.tasks if index not in begun}
        if one.engine_id and slots:
            await self.executor.cancel(one.engine_id, None if not one.tasks.keys() - set(begun) else slots)
        self._close_if_over(one)

    def _put_back(self, keys: Any, reason: str, delay_s: float = 0.0) -> None:
        for key in keys:
            job = self._ledger.jobs.get(key.job)
            if job is not None and key.number in job.live and job.live[key.number].key == key:
                self._ledger.put_back(job, key.number, reason, delay_s)

    def _close_if_over(self, one: Open) -> None:
        """A chunk without tasks that have no record is cleared away, once all that it said is in the store."""
        if one.tasks or self.open.pop(one.name, None) is None:
            return
        if one.engine_id and one.glimpse is not None:
            self.leaving[one.name] = one.engine_id, time.monotonic()
        self.wake.set()
        self._ledger.flush().add_done_callback(lambda written: self._clear(one.name, written))

    def _clear(self, name: str, written: asyncio.Future[None]) -> None:
        if not (written.cancelled() or written.exception()):
            try:
                self._thread.submit(self._chunks.tidy, name)
            except RuntimeError:
                pass  # the daemon is on its way out: the next one does it
