"""When memory comes worse than forecast: no starts, then stop what loses least, then end it and queue it again.

Rungs by available memory against the reserve, looking two seconds ahead. A stopped task keeps its memory but asks for
no more; an ended one gives it back and loses its work, so the youngest go first. One task always runs on: ending the
last would only begin it anew.
"""

from __future__ import annotations

import msgspec

from gristmill.supervisor.core.governor.memory import Forecast, reserve
from gristmill.supervisor.core.governor.reading import Reading, Running

STOP, KILL, ENOUGH = 0.6, 0.35, 0.9
"""Of the reserve: below the first tasks are stopped, below the second ended, until the third is there again."""
AHEAD_S = 2.0
GLANCE_AHEAD_S = 0.5
NEAR = 1.0
"""With more than so many reserves left a fall in memory is a start as expected rather than a danger."""
PRESSED = 0.10
"""Share of time lost to memory pressure from which nothing is started, where memory is scarce as well."""
SCARCE = 0.25
PLENTY = 0.6
"""With so much of what may be used free it is other tasks that run than those which were too many."""
STUCK_S = 5.0
"""With more than half of the tasks stopped for so long, one is ended each second: nobody would get through."""
GONE_S = 3.0
"""An ended task's memory is counted as free on its way for so long."""


class Brake(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered: where memory was, what is on its way out, and how many fitted when something was ended."""

    available: float | None = None
    ours: float = 0.0
    others_growth: float = 0.0
    killed: dict[str, tuple[float, float]] = {}
    """(when, bytes) of tasks that were ended lately."""
    tasks: tuple[Running, ...] = ()
    reserve: float = 0.0
    at: float = 0.0
    crowded: float = 0.0
    """For how many seconds more than half of the tasks have been stopped."""
    cap: float | None = None
    """No more tasks than this: what was left after some had to be ended; it rises again slowly."""

    def coming(self, at: float) -> float:
        """Bytes that are on their way out."""
        return sum(size for when, size in self.killed.values() if at - when < GONE_S)


class Grip(msgspec.Struct, frozen=True):
    """What is done now: whether starts are held and why, and the tasks to stop, resume and kill."""

    words: str = ""
    stop: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()


def apply(reading: Reading, forecast: Forecast, before: Brake, dt: float, wanted: int) -> tuple[Brake, Grip]:
    """One look a period; `wanted` workers may be active as far as all but memory is concerned."""
    kept, at = reserve(reading), reading.at
    ours = sum(task.memory for task in reading.running)
    available = reading.memory_available
    own_growth = others_growth = 0.0
    if before.available is not None:
        held = {task.task: task.memory for task in before.tasks}
        lasting = [task for task in reading.running if task.task in held and task.task not in forecast.brief]
        own_growth = sum(max(0.0, task.memory - held[task.task]) for task in lasting) / dt
        taken = max(0.0, (before.available - available) - (ours - before.ours)) / dt
        others_growth = before.others_growth + 0.5 * (taken - before.others_growth)
    there = {task.task for task in reading.running}  # of one that is seen no more the memory has come
    killed = {task: entry for task, entry in before.killed.items() if task in there and at - entry[0] < GONE_S}
    coming = sum(size for _, size in killed.values())
    ahead = available - min(AHEAD_S * own_growth, forecast.growth) - AHEAD_S * others_growth
    tasks = sorted((task for task in reading.running if task.task not in killed), key=lambda task: task.age)
    active = [task for task in tasks if not task.stopped]
    stopped = [task for task in tasks if task.stopped]

    words, stop, resume, kill = "", [], [], []
    pressed = reading.pressure_memory is not None and reading.pressure_memory > PRESSED
    if ahead < kept:
        words = "memory: the reserve would be touched"
    elif pressed and available < SCARCE * reading.memory_total:
        words = "memory: tasks wait for it (pressure)"
    if available + coming < KILL * kept:
        kill = _least_lost(tasks, ENOUGH * kept - available - coming)
    elif ahead + coming < STOP * kept and len(active) > 1:
        young = [task.task for task in active[: len(active) - 1] if task.task not in forecast.brief]
        stop = young[: max(1, len(active) // 4)]
    elif stopped and ahead >= kept:
        resume = _thawed(stopped, forecast, ahead - kept, wanted - len(active))
    crowded = before.crowded + dt if len(stopped) > len(active) else 0.0
    if crowded > STUCK_S and not kill and ahead < kept and len(tasks) > 1:
        kill = [tasks[0].task]
    if stopped and not active and not resume and not kill:
        resume = [stopped[-1].task]  # somebody must get through
    by_name = {task.task: task for task in tasks}
    killed |= {task: (at, by_name[task].memory) for task in kill}
    cap = before.cap
    if kill or any(when > before.at for when, _ in before.killed.values()):
        cap = float(max(1, len(tasks) - len(kill)))
    elif cap is not None:
        cap = cap + dt / 30 if reading.waiting else cap
        cap = None if cap > 2 * len(tasks) + 4 or ahead - kept > PLENTY * (reading.memory_total - kept) else cap
    left = tuple(task for task in tasks if task.task not in kill)
    after = Brake(available, ours, others_growth, killed, left, kept, at, crowded, cap)
    return after, Grip(words, tuple(stop), tuple(resume), tuple(kill))


def relieve(at: float, available: float, before: Brake) -> tuple[Brake, tuple[str, ...]]:
    """A look of its own, four times a second, at available memory alone: (state, tasks to end at once)."""
    if before.available is None or not before.tasks:
        return before, ()
    fall = max(0.0, before.available - available) / max(0.1, at - before.at)
    coming = before.coming(at)
    ahead = available + coming - GLANCE_AHEAD_S * fall
    if ahead >= KILL * before.reserve or available + coming > NEAR * before.reserve:
        return before, ()
    short = available + coming < KILL * before.reserve  # it is there already, not only on its way
    wanted = ENOUGH * before.reserve - available - coming if short else KILL * before.reserve - ahead
    kill = _least_lost(list(before.tasks), wanted)
    return note(before, dict.fromkeys(kill, at)), tuple(kill)


def note(before: Brake, relieved: dict[str, float]) -> Brake:
    """After these tasks were ended, each when; of those that it knows of already it takes no note again."""
    ended = {task.task: (relieved[task.task], task.memory) for task in before.tasks if task.task in relieved}
    if not ended:
        return before
    left = tuple(task for task in before.tasks if task.task not in ended)
    return msgspec.structs.replace(before, killed=before.killed | ended, tasks=left)


def _least_lost(tasks: list[Running], wanted: float) -> list[str]:
    """Tasks that give back so many bytes and lose the least time for each; the oldest is never among them."""
    found = []
    for task in sorted(tasks[:-1], key=lambda task: (task.age / max(1.0, task.memory), task.age)):
        if wanted <= 0:
            break
        found.append(task.task)
        wanted -= task.memory
    return found


def _thawed(stopped: list[Running], forecast: Forecast, room: float, most: int) -> list[str]:
    """The oldest of the stopped whose remaining growth fits; the first may take half of its size on trust."""
    found: list[str] = []
    for task in reversed(stopped[-max(0, most) :] if most > 0 else []):
        left = forecast.left.get(task.task, 0.0)
        if left > room + (0.5 * task.memory if not found else 0.0):
            break
        found.append(task.task)
        room -= left
    return found
