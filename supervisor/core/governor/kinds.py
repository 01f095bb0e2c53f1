"""What is learned about each kind of task: time, CPU, memory over its life; kept by name across jobs and restarts.

Owns the learning alone. What a kind's footprint means for the next start is `memory`'s and `ceiling`'s.
"""

from __future__ import annotations

import math

import msgspec

from gristmill.supervisor.core.governor.reading import Ended, Reading, Running

BINS = 17
"""Points of a task's life at which its memory is remembered."""
LIFE = 1.05
"""The last of them, in mean lives."""
KNOWN = 3
"""From so many ends on a kind is known."""
FROZEN = 40.0
"""After so many ends the cost that others are compared with stays as it is: a drifting one destroys the table."""
FULL = 0.92
"""From this share of the cores in use on the machine is full: a worker's use understates what it could use."""
RECENT = 0.3
"""Gain of the mean over the last few ends."""
WAITING = 0.05
"""Tasks that compute for less than this share of their time hardly compute at all."""
SHORT_S = 2.0
"""Tasks that take less are seen when they end rather than while they run."""
BESIDE = 0.1
"""Cores that a worker of such tasks uses beside them, as far as it is believed: of tasks of a millisecond it is most of
its time, and more workers fill the pauses between them."""
RISE, RISE_BRIEF = 0.3, 0.8
"""Gains at which a use rises on a full machine; what is seen of all brief tasks of a second together is no guess."""
STARVED = 9.3
"""Beside unniced work on a full machine a niced thread gets so many times less (the kernel's weights), where the
kernel does not tell how long it waited."""
LOOKED_S = 10.0
"""For so long it is looked back upon how tasks waited for a core; who gets little comes to run only now and then."""
OTHERS = 0.1
"""Share of the cores from which on others have a part in their being full, and change it at any moment."""
AGES, STRIDE = 32, 1.25
"""Ages at which memory is remembered while nobody knows how long tasks take: each so many times the last."""
SURGING = 1.1
"""A peak so many times what is usual at any point of a life is not seen in the mean of lives: its moment differs."""
KEPT = 200
"""Kinds that are remembered at most."""


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """Memory at one point of a task's life: weight seen, mean and variance in bytes."""

    weight: float = 0.0
    mean: float = 0.0
    variance: float = 0.0

    def learn(self, value: float, weight: float) -> Moment:
        """With one more value; the old is forgotten slowly."""
        total = min(self.weight + weight, 40.0)
        gain = weight / total
        off = value - self.mean
        return Moment(total, self.mean + gain * off, (1 - gain) * (self.variance + gain * off * off))


class Kind(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The footprint of one kind: means of time in seconds, use in cores, memory in bytes.

    `cost` is the mean logarithm of what one task costs (CPU seconds, or wall seconds where it hardly computes), over
    `costed` of them. `recent` is the mean peak of the last three or so, `largest` forgets slowly. `life` is the memory
    against age / wall, `youth` that against age alone, by which the younger of an unknown kind are forecast as their
    elder have grown. `claim` is what the user says a task needs, which nothing learned overrides; `raised` what it is
    taken to need at least after a lack of memory. `at` is when it was last seen, `timed` whether its cost is time.
    """

    ends: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    use: float | None = None
    cost: float = 0.0
    costed: float = 0.0
    peak: Moment = Moment()
    recent: float = 0.0
    largest: float = 0.0
    life: tuple[Moment, ...] = ()
    youth: tuple[Moment, ...] = ()
    claim: float | None = None
    raised: float = 0.0
    at: float = 0.0
    timed: bool | None = None

    @property
    def known(self) -> bool:
        """Whether enough of it have ended to go by what was learned."""
        return self.ends >= KNOWN

    def outgrown(self, more: int) -> bool:
        """Whether it is clearly better known once so many more have ended."""
        return more > 0 and (not self.ends or self.ends < KNOWN <= self.ends + more)

    @property
    def waits(self) -> bool:
        """Whether a task of it hardly computes, so that its cost is time rather than CPU."""
        return self.cpu < WAITING * self.wall if self.timed is None else self.timed

    def promised(self, wall: float, cpu: float, weight: float) -> Kind:
        """After one told its progress, by which it would take so long and compute so much in all."""
        kind = self
        if not kind.ends:
            gain = weight / (kind.costed + weight)
            kind = msgspec.structs.replace(
                kind, wall=kind.wall + gain * (wall - kind.wall), cpu=kind.cpu + gain * (cpu - kind.cpu)
            )
        if kind.costed < FROZEN:
            costed = kind.costed + weight
            gain = weight / costed
            kind = msgspec.structs.replace(
                kind, costed=costed, cost=kind.cost + gain * (kind.cost_of(wall, cpu) - kind.cost)
            )
        return kind

    def memory_at(self, age: float) -> float:
        """What a task of it holds at this age: as seen at that point of other lives, else the mean peak."""
        if not self.life or self.wall <= 0:
            return self.peak.mean
        moment = self.life[min(BINS - 1, int(age / self.wall / LIFE * BINS))]
        return moment.mean if moment.weight >= 1.0 else self.peak.mean

    @property
    def surge(self) -> float:
        """Bytes by which the mean peak is above what is usual at any point of a life: that comes for a moment, and when
        is not known."""
        usual = max((moment.mean for moment in self.life if moment.weight >= 1.0), default=self.peak.mean)
        return self.peak.mean - usual if self.peak.mean > SURGING * usual else 0.0

    def deviation_at(self, age: float) -> float:
        """How far tasks of it are from that, in bytes; of the peak where the point was not seen."""
        if not self.life or self.wall <= 0:
            return math.sqrt(self.peak.variance)
        moment = self.life[min(BINS - 1, int(age / self.wall / LIFE * BINS))]
        return math.sqrt(moment.variance if moment.weight >= 2.0 else self.peak.variance)

    def grown(self, age: float) -> float | None:
        """Times that the oldest seen has grown since it was of this age, None where none is older."""
        here, there = _age_bin(age), len(self.youth) - 1
        if there <= here or self.youth[here].mean <= 0:
            return None
        return max(1.0, self.youth[there].mean / self.youth[here].mean)

    def oldest(self, age: float) -> bool:
        """Whether none was seen that was clearly older."""
        return _age_bin(age) >= len(self.youth) - 1

    def cost_of(self, wall: float, cpu: float) -> float:
        """The logarithm of what a task cost that took so long and computed so much."""
        return math.log(max(1e-5, wall if self.waits else cpu))


def learn(
    kinds: dict[str, Kind], reading: Reading, limit: int, dt: float, before: float | None
) -> dict[str, Kind]:
    """With what a reading tells of `dt` seconds under this limit; those not seen for longest fall out. `before` is what
    `ages` were at the last one, None where no work waited then: workers were idle for want of it."""
    filled = 1.0
    if limit and reading.waiting and before is not None:
        worked = sum(end.count * end.seconds for end in reading.ended) + ages(reading) - before
        filled = min(1.0, max(0.2, worked / dt / limit))
    after = dict(kinds)
    for line in reading.waiting:
        kind = after.get(line.kind, Kind(at=reading.at))
        after[line.kind] = msgspec.structs.replace(kind, claim=line.claim.memory, raised=line.raised)
    beside = _beside(reading, filled)
    for end in reading.ended:
        after[end.kind] = _ended(after.get(end.kind, Kind()), end, reading, filled, beside)
    by_kind: dict[str, list[Running]] = {}
    for task in reading.running:
        by_kind.setdefault(task.kind, []).append(task)
    for name, tasks in by_kind.items():
        active = [task for task in tasks if not task.stopped]
        after[name] = _running(after.get(name, Kind()), active, reading) if active else after.get(name, Kind())
    if len(after) > KEPT:
        told = {*by_kind, *(line.kind for line in reading.waiting), *(end.kind for end in reading.ended)}
        old = sorted((name for name in after if name not in told), key=lambda name: after[name].at)
        for name in old[: len(after) - KEPT]:
            del after[name]
    return after


def ages(reading: Reading) -> float:
    """Seconds for which the tasks that run have run, in all: with those of what has ended, how long workers had any."""
    return sum(task.age for task in reading.running)


def so_far(kinds: dict[str, Kind], reading: Reading) -> dict[str, Kind]:
    """The same kinds; where none has ended yet, tasks are taken to take as long as the oldest has run, at least."""
    after = dict(kinds)
    for task in reading.running:
        kind = after[task.kind]
        if not kind.ends and task.age > kind.wall:
            after[task.kind] = msgspec.structs.replace(kind, wall=task.age)
    return after


def _age_bin(age: float) -> int:
    return min(AGES - 1, int(math.log(max(1.0, age)) / math.log(STRIDE)))


def _youth(kind: Kind, tasks: list[Running]) -> tuple[Moment, ...]:
    moments = list(kind.youth)
    for task in tasks:
        at = _age_bin(task.age)
        while len(moments) <= at:
            moments.append(Moment(0.0, task.memory))  # an age between two looks
        moments[at] = moments[at].learn(task.memory, 1.0)
    return tuple(moments)


def _as_life(kind: Kind) -> list[Moment]:
    """What was seen by age, by point of life, now that it is known how long a life is."""
    if not kind.youth:
        return [Moment()] * BINS
    moments = []
    for point in range(BINS):
        place = math.log(max(1.0, (point + 0.5) / BINS * LIFE * kind.wall)) / math.log(STRIDE) - 0.5
        low = min(max(0, int(place)), len(kind.youth) - 1)
        high = min(low + 1, len(kind.youth) - 1)
        part = min(1.0, max(0.0, place - low))
        before, after = kind.youth[low], kind.youth[high]
        mean = before.mean + part * (after.mean - before.mean)
        moments.append(Moment(min(1.0, after.weight), mean, max(before.variance, after.variance)))
    return moments


def _beside(reading: Reading, filled: float) -> float:
    """Cores that a worker of brief tasks uses beside what those are told to have used: to start them, to see to their
    ends, and its part of the daemon. All that is ours is counted, a task by task only what it did itself."""
    brief = [end for end in reading.ended if 0 < end.seconds < SHORT_S and end.wall > 0]
    longer = [task for task in reading.running if task.age >= SHORT_S]
    workers = reading.busy - len(longer)
    if not brief or workers < 0.5:
        return 0.0
    told = filled * sum(end.count * end.cpu for end in brief) / sum(end.count * end.wall for end in brief)
    used = (reading.cpu_ours - sum(task.cpu for task in longer)) / workers
    return min(BESIDE, max(0.0, used - told))


def _ended(kind: Kind, end: Ended, reading: Reading, filled: float, beside: float) -> Kind:
    """After some have ended; workers were `filled` with tasks for this share of the time, the rest went between two.
    They used so many cores `beside` them."""
    ends = kind.ends + end.count
    gain = max(end.count / ends, 1 - 0.95**end.count)
    wall = max(1e-4, kind.wall + gain * (end.wall - kind.wall))
    cpu = kind.cpu + gain * (end.cpu - kind.cpu)
    seen = msgspec.structs.replace(kind, ends=ends, wall=wall, cpu=cpu, at=reading.at, timed=_timed(kind, wall, cpu))
    cost, costed = kind.cost, kind.costed
    if seen.waits != kind.waits and kind.ends:
        costed = 0.0  # what was compared with so far was the other measure
    if costed < FROZEN and end.telling:
        costed += end.count
        cost += end.count / costed * (seen.cost_of(end.wall, end.cpu) - cost)
    use = kind.use
    if end.wall > 0 and end.seconds < SHORT_S:
        use = _use(use, min(filled * end.cpu / end.wall + beside, reading.cores), reading, rise=RISE_BRIEF)
    return msgspec.structs.replace(
        seen, cost=cost, costed=costed, use=use, peak=kind.peak.learn(end.peak, min(end.count, 20)),
        recent=kind.recent + max(1 / ends, RECENT) * (end.peak - kind.recent),
        largest=max(end.peak, end.largest, kind.largest - 0.02 * (kind.largest - kind.peak.mean)),
    )


def _timed(kind: Kind, wall: float, cpu: float) -> bool:
    """Whether the cost of such tasks is time. A kind near the boundary stays what it is: contention moves it to and
    fro, and of two measures the one is no yardstick for the other."""
    if kind.timed is None:
        return cpu < WAITING * wall
    return cpu < (2 * WAITING if kind.timed else WAITING / 2) * wall


def _running(kind: Kind, tasks: list[Running], reading: Reading) -> Kind:
    grown = [task for task in tasks if task.age >= min(1.0, 0.3 * kind.wall)]
    use = kind.use
    if grown and not (kind.known and kind.wall < SHORT_S):
        use = _use(use, sum(task.cpu for task in grown) / len(grown), reading, wanted(kind, grown, reading))
    life = kind.life
    if kind.known and kind.wall > 0:
        moments = list(life or _as_life(kind))
        for task in tasks:
            at = min(BINS - 1, int(task.age / kind.wall / LIFE * BINS))
            moments[at] = moments[at].learn(task.memory, min(1.0, BINS / max(1.0, kind.wall)))
        life = tuple(moments)
    largest = max(kind.largest, *(task.memory for task in tasks))
    youth = () if kind.known else _youth(kind, tasks)
    return msgspec.structs.replace(kind, use=use, life=life, youth=youth, largest=largest, at=reading.at)


def wanted(kind: Kind, tasks: list[Running], reading: Reading) -> float | None:
    """Cores that a worker would use, as far as the kernel tells; weighed by what is known of each: who waited all the
    time had no occasion to sleep. Of tasks that don't outlast a look, those are seen that wait for longest: where that
    is only for each other, nothing is taken from it."""
    if reading.cpu_total - reading.cpu_ours < OTHERS * reading.cores:
        if kind.known and kind.wall < 2 * LOOKED_S:
            return None
        tasks = [task for task in tasks if task.age >= LOOKED_S]
    known = sum(task.awake for task in tasks if task.wanted is not None)
    return sum(task.awake * task.wanted for task in tasks if task.wanted is not None) / known if known else None


def _use(
    before: float | None, now: float, reading: Reading, told: float | None = None, rise: float = RISE
) -> float:
    """Cores that a worker would use: what the kernel `told`; where that is not known, on a full machine
    it may only rise, since there a worker gets less than it wants."""
    if told is not None:
        return told if before is None else before + 0.3 * (told - before)
    if before is None:
        starved = reading.cpu_total >= FULL * reading.cores and reading.cpu_total - reading.cpu_ours > reading.cores / 4
        return max(now, min(1.0, STARVED * now)) if starved else now
    if reading.cpu_total >= FULL * reading.cores:
        return max(before, before + rise * (now - before))
    return before + 0.2 * (now - before)
