"""The bounded pool: takes tasks from the queue, hands them to worker processes, learns how they ended.

One slot is one worker process and one coroutine that feeds it. The pool never chooses a task and never sets its own
size; it writes down before it sends (through the ledger), and believes the journal in a run folder over anything
that it heard or did not hear over a socket. What is stopped or ended goes through `orders`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from gristmill.supervisor import hiring
from gristmill.supervisor.core import journal
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Exit, Key
from gristmill.supervisor.core.stops import Stops
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.spawner import Line
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.hiring import Hiring
from gristmill.supervisor.ledger import CANCELING, Ledger
from gristmill.supervisor.legacy import Legacy
from gristmill.supervisor.orders import Orders
from gristmill.supervisor.slot import Slot
from gristmill.supervisor.workshop import Workshop

log = logging.getLogger(__name__)

STUCK_S = 0.5
"""A task in hand for longer than this gives the tasks sent ahead behind it to other workers."""
IDLE_S = 60.0
"""An idle worker is let go after so long."""
TOLD = 64
"""Jobs whose context a worker has, before it is to forget those that are over."""


class Pool:
    """Slots 1…n and the workers adopted from an earlier daemon."""

    def __init__(
        self,
        ledger: Ledger,
        runs: Runs,
        context: Callable[[Job, Task], dict[str, Any]],
        order: Callable[[Job, Task], dict[str, Any]],
        hiring: Hiring,
        conditions: Conditions,
    ) -> None:
        self._ledger, self._runs = ledger, runs
        self._endings = Endings(ledger)
        self._context, self._order = context, order
        self._hiring, self.shops = hiring, hiring.shops
        self.shops.lost = self._put_back_waiting
        self._group: asyncio.TaskGroup | None = None
        self.queue: asyncio.Queue[Task] = asyncio.Queue(maxsize=256)
        self.slots: dict[int, Slot] = {}
        stops = Stops()
        self.legacy = Legacy(ledger, self._endings, runs, conditions, stops, self._hiring.guard)
        self.orders = Orders(ledger, stops, self.slots, self.legacy)
        self.draining = False

    # ── starting and stopping ─────────────────────────────────────────────────────────────────────────────────

    async def start(self, group: asyncio.TaskGroup, live: list[Task], rebooted: bool) -> None:
        """Settles what an earlier daemon left: adopts, records or requeues each live task."""
        self._group = group
        by_run: dict[int, dict[Key, Task]] = {run: {} for run in self._runs.existing()}
        for task in live:
            by_run.setdefault(task.run or 0, {})[task.key] = task
        for run, tasks in by_run.items():
            self.legacy.settle(run, tasks, rebooted)

    async def stop(self) -> None:
        """Hangs up on all workers: they finish what they have in hand and write it down for the next daemon."""
        self.draining = True
        feeders = [slot.feeder for slot in self.slots.values() if slot.feeder]
        for feeder in feeders:
            feeder.cancel()
        await asyncio.gather(*feeders, return_exceptions=True)
        self.withdraw()
        for slot in self.slots.values():
            if slot.line is not None:
                slot.line.close()
        self.legacy.close()
        self._hiring.close()

    def withdraw(self) -> None:
        """Takes back what no worker has got yet."""
        for shop in (None, *self.shops):
            self._put_back_waiting(shop)

    def _put_back_waiting(self, shop: Workshop | None) -> None:
        queue = self.queue if shop is None else shop.queue
        while not queue.empty():
            task = queue.get_nowait()
            self._ledger.put_back(self._ledger.jobs[task.job], task.number)

    def hand_in(self, job: Job, task: Task) -> None:
        """Takes a task of a job, for the next worker that can do it. Never waits: whoever waits here could not replace
        dead workers."""
        shop = self.shops.of(job)
        (self.queue if shop is None else shop.queue).put_nowait(task)

    def room(self, job: Job) -> int:
        """How many tasks more of a job may wait for workers."""
        shop = self.shops.of(job)
        queue = self.queue if shop is None else shop.queue
        return queue.maxsize - queue.qsize()

    @property
    def full(self) -> bool:
        """Whether too much waits for workers already."""
        return self.queue.full() or any(shop.queue.full() for shop in self.shops)

    # ── size ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def busy(self) -> int:
        """How many workers have a task in hand."""
        return sum(1 for slot in self.slots.values() if slot.flight) + len(self.legacy.workers)

    def crew(self, shop: Workshop | None) -> int:
        """How many workers there are for commands, or of a workshop; those that are leaving are none."""
        return sum(1 for slot in self.slots.values() if slot.shop is shop and not slot.retiring)

    def make_room(self, wanted: Mapping[Workshop | None, int]) -> bool:
        """Lets an idle worker go of whose kind there are more than are wanted; False where there is none."""
        for slot in self.slots.values():
            if slot.idle and self.crew(slot.shop) > wanted.get(slot.shop, 0):
                slot.retire()
                return True
        return False

    def open_slot(self, shop: Workshop | None = None) -> bool:
        """Adds a worker; False while the machine refuses one."""
        taken = set(self.slots) | {task.worker for _, task in self.legacy.workers.values()}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        hired = self._hiring.hire(number, shop)
        if hired is None:
            return False
        run, sock = hired
        slot = Slot(number, run, shop, since=time.monotonic())
        self.slots[number] = slot
        assert self._group is not None
        slot.feeder = self._group.create_task(self._feed(slot, sock), name=f"slot-{number}")
        return True

    def tick(self, limit: int) -> None:
        """Once a second: lets go of workers that are not needed, takes tasks back from behind a slow one, keeps
        stopped what is to be stopped. A stopped task takes no place under the limit."""
        now = time.monotonic()
        self.orders.renew()
        self.shops.tick()
        self._hiring.tick(
            [now - slot.since for slot in self.slots.values() if slot.pid is None],
            sum(slot.shop is None for slot in self.slots.values()),
        )
        spare = len(self.slots) + len(self.legacy.workers) - self.orders.paused - limit
        for slot in sorted(self.slots.values(), key=lambda slot: -slot.number):
            if slot.idle and (spare > 0 or now - slot.since > IDLE_S):
                slot.retire()
                spare -= 1
            elif now - slot.since > STUCK_S + slot.patience_s:
                slot.call_back()

    # ── feeding one worker ────────────────────────────────────────────────────────────────────────────────────

    async def _feed(self, slot: Slot, sock: Any) -> None:
        """The coroutine of one slot: a task (or, of a tiny class, a few) at a time, written down, then sent."""
        loop = asyncio.get_running_loop()
        _, slot.line = await loop.create_unix_connection(
            lambda: Line(lambda messages: self._hear(slot, messages), lambda: self._hung_up(slot)), sock=sock
        )
        queue = self.queue if slot.shop is None else slot.shop.queue
        while True:
            task = await queue.get()
            if slot.held is not None:  # its task was stopped while it waited for one to send ahead
                self._ledger.put_back(self._ledger.jobs[task.job], task.number)
                await slot.left()
                continue
            batch = self._gather(slot, task, queue)
            if not batch:
                continue
            await asyncio.shield(self._ledger.starting(batch, slot.run, slot.number))
            slot.patience_s = 0.0
            self._send(slot, batch)
            jobs = {task.job: task for task in batch}
            ahead = max(map(self._ahead, jobs.values()))
            await slot.left(ahead // 2)

    def _ahead(self, task: Task) -> int:
        job = self._ledger.jobs.get(task.job)
        return job.ahead if job else 1

    def _gather(self, slot: Slot, first: Task, queue: asyncio.Queue[Task]) -> list[Task]:
        """`first` and what else may be sent with it; tasks whose job was canceled meanwhile fall out here."""
        batch: list[Task] = []
        ahead: dict[int, int] = {}
        task: Task | None = first
        while task is not None:
            job = self._ledger.jobs.get(task.job)
            if job is None or not job.open or job.live[task.number].reason == CANCELING:
                if job is not None:
                    self._ledger.put_back(job, task.number)
            else:
                batch.append(task)
                slot.flight[task.key] = task
            if task.job not in ahead:
                ahead[task.job] = self._ahead(task)
            room = ahead[task.job] > max(1, len(slot.flight))
            task = queue.get_nowait() if room and not queue.empty() else None
        return batch

    def _send(self, slot: Slot, batch: list[Task]) -> None:
        messages: list[dict[str, Any]] = []
        if len(slot.told) > TOLD:
            over = slot.told - self._ledger.jobs.keys()
            slot.told -= over
            messages.append({"forget": sorted(over)})
        for task in batch:
            job = self._ledger.jobs.get(task.job)
            if job is None:
                continue
            try:
                if job.id not in slot.told or task.is_finish:
                    messages.append({"context": self._context(job, task), "job": job.id})
                    slot.told.add(job.id)
                if task.is_finish:
                    slot.told.discard(job.id)  # should tasks of it be retried, they go by what is theirs again
                messages.append(self._order(job, job.live[task.number]))
            except GristError as error:  # what was there at acceptance is gone: a conda environment, say
                del slot.flight[task.key]
                now = time.time()
                self._endings.exited(job, task.number, Exit(126, None, None, now, now, 0.0, 0, None, None, str(error)))
        slot.since = time.monotonic()
        slot.send(*messages)
        for task in list(slot.flight.values()):
            job = self._ledger.jobs.get(task.job)
            if job and job.live[task.number].reason == CANCELING:
                self.orders.end(job.live[task.number])  # canceled while its start was being written down

    # ── hearing from one worker ───────────────────────────────────────────────────────────────────────────────

    def _hear(self, slot: Slot, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if "s" in message:
                key = Key.parse(message["s"])
                self._ledger.running(key.job, key.number, message["pid"], message["t"])
                job = self._ledger.jobs.get(key.job)
                if len(slot.flight) == 1 and job is not None and job.lines_up:
                    self._ledger.work.set()  # the next may stand behind it
            elif "e" in message:
                key = self._answered(slot, message["e"])
                self._endings.exited(self._ledger.jobs[key.job], key.number, journal.read_exit(message))
            elif "n" in message:
                key = self._answered(slot, message["n"])
                self._hiring.refuse("no task can be started", message["errno"], message["text"])
                self._ledger.put_back(self._ledger.jobs[key.job], key.number, delay_s=hiring.PAUSE_S)
            elif "paused" in message:
                self.orders.stopped(Key.parse(message["paused"]))
            elif "resumed" in message:
                self.orders.resumed(Key.parse(message["resumed"]))
            elif "ready" in message:
                slot.pid = message["ready"]
                self._hiring.given()
            for text in message.get("dropped", ()):
                key = self._answered(slot, text)
                self._ledger.put_back(self._ledger.jobs[key.job], key.number)
            if "retiring" in message:
                slot.retire()

    # ── behind the one in hand ────────────────────────────────────────────────────────────────────────────────

    def with_one_in_hand(self, job: Job) -> list[Slot]:
        """Workers that have one task of a job in hand, and nothing behind it."""
        return [
            slot for slot in self.slots.values()
            if len(slot.flight) == 1 and slot.head is not None and slot.head.job == job.id
            and slot.held is None and not slot.retiring and slot.pid is not None
        ]

    def line_up(self, slot: Slot, job: Job, task: Task) -> None:
        """Sends a task to a worker that begins it when it has ended the one in hand, without a word in between."""
        job.lined_up.add(task.number)
        slot.flight[task.key] = task
        slot.unsent.add(task.key)
        slot.patience_s = 2 * job.expected_s
        written = self._ledger.starting([task], slot.run, slot.number)
        written.add_done_callback(lambda done: self._send_behind(done, slot, task))

    def _send_behind(self, written: asyncio.Future[None], slot: Slot, task: Task) -> None:
        if self.draining or written.cancelled() or written.exception() or self.slots.get(slot.number) is not slot:
            return
        if slot.held is not None:  # the one in hand is to be stopped
            self._keep_unsent(slot)
        elif task.key in slot.unsent:
            slot.unsent.discard(task.key)
            self._send(slot, [task])

    def _keep_unsent(self, slot: Slot) -> None:
        """Takes those back that were not sent yet."""
        for key in slot.take_back():
            self._ledger.put_back(self._ledger.jobs[key.job], key.number)

    def call_back(self, job: Job) -> None:
        """Takes those tasks of a job back that stand behind another."""
        for slot in self.slots.values():
            if slot.head is not None and slot.head.job == job.id:
                self._keep_unsent(slot)
                slot.call_back()

    def _answered(self, slot: Slot, text: str) -> Key:
        key = Key.parse(text)
        slot.answered(key)
        if (head := slot.head) is not None and (job := self._ledger.jobs.get(head.job)) is not None:
            job.lined_up.discard(head.number)  # now it is the one in hand
        self.orders.ended(key)
        return key

    def _hung_up(self, slot: Slot) -> None:
        """A worker's socket closed: it left, was killed, or never came to be. Its journal says what is what."""
        if self.draining:
            return
        if slot.feeder is not None:
            slot.feeder.cancel()
        self.slots.pop(slot.number, None)
        for key in slot.flight:
            if key.job in self._ledger.jobs:
                self._ledger.jobs[key.job].lined_up.discard(key.number)
        if slot.flight and not slot.retiring and slot.pid is not None:
            log.warning("worker %d (pid %s) ended with %d tasks unanswered", slot.number, slot.pid, len(slot.flight))
        self.legacy.settle(slot.run, slot.flight, rebooted=False)
        self._ledger.work.set()
