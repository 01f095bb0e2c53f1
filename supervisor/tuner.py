"""Once a second, while there is a job: read the machine, ask the governor, carry out what it says, tell the feed.

Puts in order and keeps the governor's state; it decides nothing itself. Four times a second it looks at available
memory alone, while tasks run, and ends at once what the governor names.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping

import msgspec

from gristmill.supervisor import beat
from gristmill.supervisor.core import figures, governor, schedule
from gristmill.supervisor.core.cards import Cards
from gristmill.supervisor.core.conditions import Conditions, Kind, cause
from gristmill.supervisor.core.governor import Binding, Decision, Reading
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.life import Lives
from gristmill.supervisor.core.protocol import DecisionView, LimitView, MachineView
from gristmill.supervisor.core.timekeeping import Timekeeper
from gristmill.supervisor.dispatch import Dispatcher
from gristmill.supervisor.edge.adopted import Adopted
from gristmill.supervisor.edge.sampler import Sample, Sampler
from gristmill.supervisor.edge.survivors import Survivors
from gristmill.supervisor.feed import Feed
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.observation import House, Observer
from gristmill.supervisor.pool import Pool

log = logging.getLogger(__name__)

PERIOD = 1.0
IDLE_PERIOD = 2.0
"""Seconds between two looks while there is no job, and nobody who watches."""
GLANCES = 4
"""Looks at available memory a period, while tasks run."""
APART_S = 0.1
"""Less time than this between two looks tells no rate, for the kernel counts in hundredths of a second: the last one
holds. Whoever sets a limit wants it at once, though it be between two looks."""
EARLY_MOST = 2
"""So many decisions in a row may come before their period is over: brief looks tell nothing of other people's work."""
NOTED_S = 60.0
"""Seconds for which something that has passed is shown."""

Record = Callable[[governor.State, Reading, Decision], None]


class Tuner:
    """The loop around the governor."""

    def __init__(
        self, ledger: Ledger, pool: Pool, dispatcher: Dispatcher, feed: Feed, sampler: Sampler,
        observer: Observer, conditions: Conditions,
    ) -> None:
        self._ledger, self._pool, self._dispatcher, self._feed = ledger, pool, dispatcher, feed
        self._sampler, self._observer, self._conditions = sampler, observer, conditions
        self._time = Timekeeper(time.monotonic(), time.time())
        self._at = time.monotonic()
        self._sample: Sample | None = None
        self._looked = self._at
        self._period = PERIOD
        self._shown = 0
        self.state = governor.State()
        self.reading: Reading | None = None
        self.decision = Decision(limit=0, binding=Binding.WORK, reason="starting")
        self._relieved: dict[str, float] = {}
        self._failed = False
        self.house: Callable[[Sample], House] = lambda _: House()
        """What the user has set, asked for once a period."""
        self.examine: Callable[[Sample], None] = lambda _: None
        """Told of every look at the machine."""
        self.record: Record | None = None
        """Told of every reading and what was decided."""
        self.lives = Lives()
        """What tasks used over their lives."""
        self.deal: Callable[[], Cards] = Cards
        """The cards that tasks may have now."""
        self.fixed: int | None = None
        """What the user has set the limit to, None for the governor's."""
        self._look()  # a rate needs a look before: what was used until now, by our own start above all, is nobody's

    async def run(self) -> None:
        """Tunes for as long as the daemon lives."""
        early = 0
        while True:
            self.step()
            await self._feed.publish()
            if not any(job.hands for job in self._ledger.live.values()):
                await self._rest()
                continue
            for _ in range(GLANCES):
                pause = PERIOD / GLANCES
                if early == EARLY_MOST:
                    await asyncio.sleep(pause)
                elif await self._overtaken(pause):
                    early += 1
                    break
                self._glance()
            else:
                early = 0

    async def _rest(self) -> None:
        """Until the next beat, or until there is work: how many may work is decided then, for most of what comes is of
        a kind that is known. One that is set by the user needs no look for that."""
        self._ledger.begun.clear()
        self._period = PERIOD if self._ledger.jobs or self._feed.watched else IDLE_PERIOD
        try:
            await asyncio.wait_for(self._ledger.begun.wait(), beat.pause(self._period))
        except TimeoutError:
            return
        soon = self._at + PERIOD / GLANCES - time.monotonic()  # over less, nobody's rates can be told
        await asyncio.sleep(soon if self.fixed is None else beat.pause(PERIOD))

    def usual_s(self, kind: str) -> float | None:
        """How long a task of this kind took the last times, None where that is not known."""
        known = self.state.kinds.get(kind)
        return known.wall if known is not None and known.ends else None

    def step(self) -> None:
        """One period."""
        now = time.monotonic()
        dt, self._at = max(1e-3, now - self._at), now
        self._watch_time()
        sample = self._look()
        self.examine(sample)
        house = self.house(sample)
        words, holds = governor.memory_alarm(sample.memory_total, sample.memory_available, house.reserve)
        self._conditions.put(Kind.MEMORY, words, holds)
        if self._feed.watched or any(job.hands for job in self._ledger.live.values()):
            self._observer.listen()
        before = self.state
        relieved, self._relieved = self._relieved, {}
        self.reading = self._observer.read(sample, house._replace(fixed=self.fixed), dt, relieved)
        self.lives.see(time.time(), ((one.task, one.cpu, one.memory) for one in self.reading.running))
        self.state, self.decision = self._decide(self.reading, before)
        if self.record is not None:
            self.record(before, self.reading, self.decision)
        self._carry_out(sample, house, self.reading, self.decision)
        self._show(sample, self.decision)

    def _decide(self, reading: Reading, before: governor.State) -> tuple[governor.State, Decision]:
        """What the governor says. Where it fails, which is a fault of ours, its last word holds and it begins anew:
        with what it has learned, and without when that makes it fail again. A number that is a little wrong is better
        than a daemon that ends in the night."""
        try:
            decided = governor.decide(reading, before)
        except Exception as error:
            words = f"governor: it failed ({cause(error)}) and begins anew – please report this"
            if self._conditions.set(Kind.GOVERNOR, words, holds=False, for_s=NOTED_S):
                log.exception("the governor failed")
            again, self._failed = self._failed, True
            anew = governor.State() if again else governor.lasting(before)
            return anew, msgspec.structs.replace(self.decision, stop=(), resume=(), kill=())
        self._failed = False
        return decided

    def _carry_out(self, sample: Sample, house: House, reading: Reading, decision: Decision) -> None:
        self._dispatcher.limit = decision.limit
        self._dispatcher.room = schedule.Room(
            memory_bytes=min((fit.room for fit in decision.fits.values()), default=sample.memory_available),
            cpus=sample.cores - self._claimed_cpus(),
            unknown_bytes=governor.first_need(reading),
            total_memory_bytes=sample.memory_total,
            cores=sample.cores,
            fits=decision.fits,
            held=decision.held,
            ours_bytes=sum(task.memory for task in reading.running),
            patience_s=schedule.patience(self._ledger.live.values()),
            cards=self.deal(),
            counters=self._left(house.counters),
            totals=house.counters,
        )
        schedule.keep_room(self._ledger.in_order(), self._dispatcher.room, time.time())
        for name in decision.resume:
            self._pool.orders.resume(Key.parse(name))
        why = decision.held if decision.held.startswith("memory") else decision.reason
        for name in decision.stop:
            log.info("task %s is stopped for a while: %s", name, why)
            self._pool.orders.stop(Key.parse(name), f"stopped for a while: {why}")
        self._evict(decision.kill)
        self._pool.tick(decision.limit)
        self._ledger.work.set()

    def _evict(self, names: tuple[str, ...]) -> None:
        for name in names:
            key = Key.parse(name)
            log.warning("task %d/%d is ended and queued again: memory runs short", key.job, key.number)
            self._pool.orders.evict(key)

    def _glance(self) -> None:
        now = time.monotonic()
        self.state, kill = governor.relieve(now, self._sampler.available(), self.state)
        self._relieved |= dict.fromkeys(kill, now)
        self._evict(kill)

    async def _overtaken(self, seconds: float) -> bool:
        """Waits for so long, and less where the first task of a kind ends, or enough of them that it counts as known:
        whether there is something to decide before the second is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._ledger.tallied.clear()
            if any(
                self.state.kinds.get(kind, governor.Kind()).outgrown(tally.count)
                for kind, tally in self._ledger.tallies.items()
            ):
                await asyncio.sleep(self._looked + APART_S - time.monotonic())  # sooner, a look tells nothing
                return True
            await beat.within(self._ledger.tallied, left)
        return False

    def _watch_time(self) -> None:
        passage = self._time.look(time.monotonic(), time.time(), self._period)
        self._period = PERIOD
        if passage.jump:
            self._ledger.shift(passage.jump)
            way = f"{figures.about(abs(passage.jump))} {'forward' if passage.jump > 0 else 'back'}"
            words = f"clock: it was moved {way} (or the machine slept); timeouts and pauses go by a steady clock"
            self._conditions.set(Kind.CLOCK, words, holds=False, for_s=NOTED_S)
        if passage.stall:
            words = f"stall: the daemon stood still for {passage.stall:.1f} s; tasks went on meanwhile"
            self._conditions.set(Kind.STALL, words, holds=False, for_s=NOTED_S)

    def _look(self) -> Sample:
        now = time.monotonic()
        if self._sample is None or now - self._looked >= APART_S:
            self._sample, self._looked = self._take(), now
        return self._sample

    def _take(self) -> Sample:
        pids = [slot.pid for slot in self._pool.slots.values() if slot.pid]
        adopted = [worker.pid for worker, _ in self._pool.legacy.workers.values() if isinstance(worker, Adopted)]
        alone = [worker.pid for worker, _ in self._pool.legacy.workers.values() if isinstance(worker, Survivors)]
        sample = self._sampler.look([os.getpid(), *adopted, *alone], [*pids, *adopted], alone, self._callers())
        self._feed.trees = sample.trees
        return sample

    def _callers(self) -> list[int]:
        """The workers that make calls: our own, and those that an earlier daemon left."""
        legacy = ((worker.pid, self._ledger.jobs.get(task.job)) for worker, task in self._pool.legacy.workers.values())
        adopted = [pid for pid, job in legacy if job is not None and job.spec.call is not None]
        return adopted + [slot.pid for slot in self._pool.slots.values() if slot.pid and slot.shop is not None]

    def _claimed_cpus(self) -> float:
        return sum((job.spec.resources.cpus or 0.0) * job.hands / job.ahead for job in self._ledger.live.values())

    def _left(self, totals: Mapping[str, float]) -> dict[str, float]:
        """What is left of each thing that the settings count."""
        left = dict(totals)
        for job in self._ledger.live.values():
            for name, count in job.spec.resources.counters.items():
                left[name] = left.get(name, 0.0) - count * (len(job.live) - len(job.elsewhere)) / job.ahead
        return left

    def _show(self, sample: Sample, decision: Decision) -> None:
        limit, busy = decision.limit, self._pool.busy
        if limit != self._shown and self._shown:
            log.info("workers %d → %d: %s", self._shown, limit, decision.reason)
            self._feed.decided(
                DecisionView(time=time.time(), before=self._shown, after=limit, reason=decision.reason)
            )
        self._shown = limit
        shown = LimitView(
            workers=limit, busy=busy, reason=decision.reason, mode="auto" if self.fixed is None else "fixed"
        )
        ours = min(sample.cpu_ours, sample.cpu_total)
        machine = MachineView(
            cores=sample.cores,
            cpu_percent=round(100 * sample.cpu_total / sample.cores, 1),
            cpu_ours_percent=round(100 * ours / sample.cores, 1),
            memory_total_bytes=sample.memory_total,
            memory_available_bytes=sample.memory_available,
            memory_ours_bytes=sample.memory_ours,
            load_1m=round(sample.load_1m, 2),
            disk_free_bytes=sample.disk_free,
        )
        self._feed.read(machine, shown)


# ── what outlives the daemon ──────────────────────────────────────────────────────────────────────────────────────

_STATE = msgspec.json.Decoder(governor.State)  # made on import: two threads must not be the first to use a type


def keep(state: governor.State) -> str:
    """What was learned, as text for the store."""
    return msgspec.json.encode(governor.lasting(state)).decode()


def remember(text: str | None) -> governor.State:
    """What was learned before; nothing where that can't be read any more: it is learned again."""
    if not text:
        return governor.State()
    try:
        return _STATE.decode(text)
    except msgspec.DecodeError as error:
        log.info("what was learned about tasks is written in another way (%s): it is learned again", error)
        return governor.State()
