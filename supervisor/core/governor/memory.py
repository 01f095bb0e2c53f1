"""Room in memory: what running tasks will still grow to, and how many more of each kind fit beside that.

Owns the forecast and admission. What is done when it comes worse than forecast is `brake`'s.
"""

from __future__ import annotations

import math

import msgspec

from gristmill.supervisor.core import progress
from gristmill.supervisor.core.governor.decision import Fit
from gristmill.supervisor.core.governor.kinds import BINS, LIFE, Kind
from gristmill.supervisor.core.governor.reading import Reading, Running

GB = 1e9
LONG_S = 8.0
"""Tasks that take so long are forecast by their age; of shorter ones the sum of peaks counts."""
CHECK_S = 5.0
"""Seconds between two points from which a task's growth is read."""
CANARY_S, STARVED_CANARY_S = 3.0, 15.0
"""A kind never seen runs one task alone until that has ended, or is so old."""
TRUSTED = 8
"""Below so many ends a new task is taken to need no less than the largest that runs."""
FIRST_SHARE = 0.08
"""Share of all memory that the very first task is taken to need."""
MARGIN = 1.25
SIGMAS = 0.5
NOTABLE = 1.25
"""So many times what is usual is another kind of task rather than noise."""
MOST_SCALE = 10.0
"""A task may hold so many times what is usual at its age, as with another network in a sweep."""


def reserve_of(total: float) -> float:
    """Memory that is left free whatever happens: 5 %, at least 0.25 GB."""
    return max(0.05 * total, 0.25 * GB)


def reserve(reading: Reading) -> float:
    """The same, unless the user has set another."""
    return reserve_of(reading.memory_total) if reading.reserve is None else reading.reserve


def theirs(reading: Reading) -> float:
    """Bytes that others hold."""
    return reading.memory_total - reading.memory_available - sum(task.memory for task in reading.running)


class Trail(msgspec.Struct, frozen=True, array_like=True):
    """Two earlier points of one task's memory, from which its growth is read: (age, bytes) older and newer."""

    age: float = 0.0
    memory: float = 0.0
    next_age: float = 0.0
    next_memory: float = 0.0

    def follow(self, age: float, memory: float) -> Trail:
        """With the task as it is now."""
        if age >= self.next_age + CHECK_S:
            return Trail(self.next_age, self.next_memory, age, memory)
        return self

    def slope(self, age: float, memory: float) -> float:
        """Bytes a second that it has grown by lately, 0 when it shrank."""
        return max(0.0, (memory - self.memory) / max(1.0, age - self.age))


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered from reading to reading: each task's trail."""

    trails: dict[str, Trail] = {}
    slope: dict[str, tuple[float, float]] = {}
    """By kind: (age, bytes a second by which it grew then) of the oldest task seen."""

    def follow(self, reading: Reading) -> Memory:
        """After one more reading."""
        trails = {
            task.task: self.trails.get(task.task, Trail()).follow(task.age, task.memory) for task in reading.running
        }
        oldest: dict[str, Running] = {}
        for task in reading.running:
            if task.kind not in oldest or oldest[task.kind].age < task.age:
                oldest[task.kind] = task
        slope = {
            kind: (task.age, trails[task.task].slope(task.age, task.memory)) for kind, task in oldest.items()
            if task.age >= self.slope.get(kind, (0.0, 0.0))[0]  # the younger go by what it held at their age
        }
        return Memory(trails, {kind: self.slope[kind] for kind in oldest if kind in self.slope} | slope)

    def final(self, task: Running, kind: Kind) -> float:
        """Bytes that a task of an unknown kind is taken to grow to: as its elder have from its age on, then as it (or
        they) grew lately, for as long as it has run, two to four minutes; or to the end that its progress promises."""
        horizon = min(240.0, max(100.0, task.age))
        if kind.ends:  # few have ended, but those tell about how long it takes
            horizon = min(horizon, max(CHECK_S, 1.5 * kind.wall - task.age))
        if task.progress is not None and (promised := progress.left(task.age, task.progress)) is not None:
            horizon = promised
        trail = self.trails.get(task.task, Trail())
        elder = kind.grown(task.age)
        if elder is not None:
            age, slope = self.slope.get(task.kind, (0.0, 0.0))
            grown = task.memory * elder + (slope * horizon if kind.oldest(age) else 0.0)
        else:
            grown = task.memory + trail.slope(task.age, task.memory) * horizon
        return max(task.memory, grown)


class Group(msgspec.Struct):
    """Running tasks of one kind and about one age."""

    kind: Kind
    age: float
    count: int = 0
    memory: float = 0.0


class Forecast:
    """All that runs, as it will be."""

    def __init__(
        self, reading: Reading, kinds: dict[str, Kind], memory: Memory, usual: dict[str, float]
    ) -> None:
        """`usual` is how many of each kind run on the mean: of short tasks one look may see none at all."""
        self.usual = usual
        self._groups: dict[tuple[str, int], Group] = {}
        self.fixed = 0.0
        """Bytes of tasks that are not forecast by age: what each will have grown to."""
        self.largest = 0.0
        self.left: dict[str, float] = {}
        """By task: bytes that it is still expected to grow by."""
        self.short = {name for name, kind in kinds.items() if kind.known and kind.wall < LONG_S}
        """Kinds of which many begin and end between two looks."""
        self.brief: set[str] = set()
        """Tasks that will have ended before they could be stopped with profit."""
        self._peaks = self._variance = 0.0
        short: dict[str, int] = {}
        for task in reading.running:
            kind = kinds[task.kind]
            self.largest = max(self.largest, task.memory)
            if kind.claim is not None:
                final = max(task.memory, kind.claim, kind.raised)
            elif not kind.known:
                final = memory.final(task, kind)
                self.largest = max(self.largest, min(final, 4 * task.memory))
            elif kind.wall < LONG_S:
                short[task.kind] = short.get(task.kind, 0) + 1
                self.brief.add(task.task)
                self.left[task.task] = max(0.0, kind.peak.mean - task.memory)
                continue
            else:
                self._group(task, kind)
                self.left[task.task] = max(0.0, kind.peak.mean - task.memory)
                continue
            self.fixed += final
            self.left[task.task] = final - task.memory
        self.growth = sum(self.left.values())
        """Bytes that all of them are still expected to grow by."""
        for name, count in usual.items():
            if name in kinds and kinds[name].known and kinds[name].wall < LONG_S and kinds[name].claim is None:
                running = max(count, short.get(name, 0))
                self._peaks += running * kinds[name].peak.mean
                self._variance += running * kinds[name].peak.variance
        self.fixed += self._peaks  # all at once: looks once a second would not see tasks that keep step
        self.in_step: dict[str, int] = {}
        """By kind: how many tasks at most are of one age, and may come to the peak of their memory at one moment."""
        for (name, _), group in self._groups.items():
            self.in_step[name] = max(self.in_step.get(name, 0), group.count)
        self.fixed += sum(count * kinds[name].surge for name, count in self.in_step.items())

    def _group(self, task: Running, kind: Kind) -> None:
        at = int(task.age / kind.wall / LIFE * BINS)
        group = self._groups.setdefault((task.kind, at), Group(kind, task.age))
        group.age += (task.age - group.age) / (group.count + 1)
        group.count += 1
        group.memory += task.memory

    @staticmethod
    def scale(running: list[Running], kind: Kind) -> float:
        """How much more than usual at their age the running tasks of a kind hold: those to come may well do so too."""
        grown = [task for task in running if task.age >= 2.0]
        usual = sum(kind.memory_at(task.age) for task in grown)
        held = sum(task.memory for task in grown)
        if not kind.life or usual <= 0 or held < NOTABLE * usual:
            return 1.0
        return min(MOST_SCALE, held / usual)

    def at(self, later: float) -> tuple[float, float]:
        """(bytes that all running tasks hold after so many seconds, standard deviation of that).

        A task that will have ended by then has been followed by another of its kind.
        """
        total, variance = self.fixed, self._variance
        for group in self._groups.values():
            kind, age = group.kind, group.age + later
            end = max(kind.wall, 1.15 * group.age)
            usual = kind.memory_at(group.age)
            scale = min(MOST_SCALE, max(0.7, group.memory / group.count / usual)) if usual > 0 else 1.0
            if age > end:
                age, scale = (age - end) % max(1.0, kind.wall), 1.0
            total += group.count * scale * kind.memory_at(age)
            variance += group.count * kind.deviation_at(age) ** 2
        return total, math.sqrt(variance)


def fits(
    reading: Reading, kinds: dict[str, Kind], memory: Memory, forecast: Forecast, left: float = 0.0
) -> dict[str, Fit]:
    """For each kind that waits: what one more needs, and the room for it when so much is `left` to others."""
    ours = sum(task.memory for task in reading.running)
    free = min(reading.memory_available, reading.share * reading.memory_total - ours)
    usable = free + ours - reserve(reading) - left
    running: dict[str, list[Running]] = {}
    for task in reading.running:
        running.setdefault(task.kind, []).append(task)
    found = {}
    for line in reading.waiting:
        kind = kinds[line.kind]
        fit = _fit(kind, running.get(line.kind, []), reading, memory, forecast, usable)
        brief = kind.known and kind.wall < LONG_S and kind.claim is None
        count = float(len(running.get(line.kind, [])))
        found[line.kind] = msgspec.structs.replace(
            fit, counted=max(count, forecast.usual.get(line.kind, 0.0)) if brief else count, brief=brief
        )
    return found


def _shown(task: Running, reading: Reading) -> bool:
    """Whether a canary has run for long enough to show something; on a full machine its start alone takes longer."""
    starved = reading.cpu_total > 0.9 * reading.cores and task.spent < 1.0 and task.cpu < 0.5
    return task.age >= (STARVED_CANARY_S if starved else CANARY_S)


def _fit(
    kind: Kind, running: list[Running], reading: Reading, memory: Memory, forecast: Forecast, usable: float
) -> Fit:
    now, deviation = forecast.at(0.0)
    room = usable - now - SIGMAS * deviation
    if kind.claim is not None:
        return Fit(max(kind.claim, kind.raised), room)
    if not kind.known:
        first = FIRST_SHARE * reading.memory_total
        largest = kind.largest or forecast.largest
        need = MARGIN * largest if largest else first
        if running:  # these will grow, and so will the next
            grown = sum(min(memory.final(task, kind), 2 * task.memory) for task in running) / len(running)
            need = max(need, grown)
        most = 1 if not kind.ends and not any(_shown(task, reading) for task in running) else None
        return Fit(max(need, kind.raised), room, most)
    usual = kind.peak.mean if kind.recent < NOTABLE * kind.peak.mean else kind.recent
    # what was raised after a lack of memory holds until it is known better what tasks need at most
    raised = kind.raised if kind.ends < TRUSTED else min(kind.raised, kind.largest)
    need = max(usual, raised) * forecast.scale(running, kind)
    if kind.ends < TRUSTED:
        need = max(need, kind.largest)
    if kind.wall < LONG_S:
        return Fit(need, room - SIGMAS * math.sqrt(kind.peak.variance))
    best, in_step = math.inf, forecast.in_step.get(running[0].kind, 0) if running else 0
    for step in range(BINS):
        age = (step + 0.5) / BINS * LIFE * kind.wall
        held, deviation = forecast.at(age)
        each = max(kind.memory_at(age) * need / max(1.0, kind.peak.mean), need / 4)
        left = usable - held - SIGMAS * deviation
        count = left / max(1.0, each)
        if count > in_step:  # more would begin together, and be in step, than do now
            count = (left + in_step * kind.surge) / max(1.0, each + kind.surge)
        best = min(best, count)
    return Fit(need, best * need if best > 0 else min(0.0, best * need))
