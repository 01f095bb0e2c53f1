"""When memory comes worse than forecast: no starts, then stop what loses least, then end it and queue it again.

Rungs by available memory against the reserve, looking two seconds ahead. A stopped task keeps its memory but asks for
no more; an ended one gives it back and loses its work, so the youngest go first. One task always runs on: ending the
last would only begin it anew. Where others have taken what it needs, it stands still until they give that back.
"""

from __future__ import annotations

import msgspec

from gristmill.supervisor.core.governor.cap import Cap
from gristmill.supervisor.core.governor.memory import Forecast, reserve, theirs
from gristmill.supervisor.core.governor.reading import Reading, Running

STOP, KILL, ENOUGH = 0.6, 0.35, 0.9
"""Of the reserve: below the first tasks are stopped, below the second ended, until the third is there again."""
LAST = 0.1
"""Below so much of it the last task stands still as well, if it is others who have taken the rest."""
FORGOTTEN_S = 3600.0
"""In so long what others hold may have doubled without anybody having taken anything."""
AHEAD_S = 2.0
GLANCE_AHEAD_S = 0.5
NEAR = 1.0
"""With more than so many reserves left a fall in memory is a start as expected rather than a danger."""
PRESSED = 0.10
"""Share of time lost to memory pressure from which nothing is started, where memory is scarce as well."""
SCARCE = 0.25
STUCK_S = 5.0
"""With more than half of the tasks stopped for so long, one is ended each second: nobody would get through."""
GONE_S = 3.0
"""An ended task's memory is counted as free on its way for so long."""


class Glance(msgspec.Struct, frozen=True, array_like=True):
    """The last look at available memory: when, bytes, bytes a second by which it fell, and how much of what was ended
    has arrived since the last reading."""

    at: float = 0.0
    available: float = 0.0
    fall: float = 0.0
    arrived: float = 0.0

    def follow(self, at: float, available: float, coming: float) -> Glance:
        """After one more look, with so many bytes on their way out."""
        span = max(0.1, at - self.at)
        change = available - self.available
        if change <= 0 or not coming:
            return Glance(at, available, max(0.0, -change) / span, self.arrived)
        return Glance(at, available, self.fall, self.arrived + change + self.fall * span)


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
    glance: Glance = Glance()
    holds: bool = False
    """Whether nothing is started now: a fall in memory is then no start of ours."""
    crowded: float = 0.0
    """For how many seconds more than half of the tasks have been stopped."""
    cap: Cap | None = None
    least: float = 0.0
    """The fewest bytes that others have held in the last hours."""
    doubt: float = 0.0
    """Bytes that may be ours or others', for all that is known of this moment."""

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
    doubt = _doubt(reading, forecast, before)
    own_growth, others_growth, rush = _growth(reading, forecast, before, ours - before.ours, doubt, dt)
    there = {task.task for task in reading.running}  # of one that is seen no more the memory has come
    killed = {task: entry for task, entry in before.killed.items() if task in there and at - entry[0] < GONE_S}
    coming = sum(size for _, size in killed.values())
    ahead = available - min(AHEAD_S * own_growth, forecast.growth) - AHEAD_S * rush
    tasks = sorted((task for task in reading.running if task.task not in killed), key=lambda task: task.age)
    active = [task for task in tasks if not task.stopped]
    stopped = [task for task in tasks if task.stopped]

    words, stop, resume, kill = "", [], [], []
    pressed = reading.pressure_memory is not None and reading.pressure_memory > PRESSED
    if ahead < kept:
        words = "memory: the reserve would be touched"
    elif pressed and available < SCARCE * reading.memory_total:
        words = "memory: tasks wait for it (pressure)"
    near = available + coming - GLANCE_AHEAD_S * rush
    if available + coming < KILL * kept:
        kill = _least_lost(tasks, ENOUGH * kept - available - coming)
    elif near < KILL * kept:  # what is ended takes that long to be gone
        kill = _least_lost(tasks, KILL * kept - near)
    elif ahead + coming < STOP * kept and len(active) > 1:
        young = [task.task for task in active[: len(active) - 1] if task.task not in forecast.brief]
        stop = young[: max(1, len(active) // 4)]
    elif stopped and ahead >= kept:
        resume = _thawed(stopped, forecast, ahead - kept, wanted - len(active))
    crowded = before.crowded + dt if len(stopped) > len(active) else 0.0
    least = min(theirs(reading), before.least * 2 ** (dt / FORGOTTEN_S)) if before.least else theirs(reading)
    if crowded > STUCK_S and not kill and ahead < kept and len(tasks) > 1:
        kill = [tasks[0].task]
    if len(tasks) == 1 and _is_squeezed(tasks[0], reading, forecast, theirs(reading) - least):
        stop = [task.task for task in active]
    elif stopped and not active and not resume and not kill:
        resume = [stopped[-1].task]  # somebody must get through
    by_name = {task.task: task for task in tasks}
    killed |= {task: (at, by_name[task].memory) for task in kill}
    cap = before.cap
    if kill or any(when > before.at for when, _ in before.killed.values()):
        cap = Cap(float(max(1, len(tasks) - len(kill))))
    elif cap is not None:
        cap = cap.follow(reading, len(tasks), bool(killed), doubt, ahead - kept, dt)
    left = tuple(task for task in tasks if task.task not in kill)
    fall = 0.0 if before.available is None else max(0.0, before.available - available) / dt
    after = Brake(
        available, ours, others_growth, killed, left, kept, at, Glance(at, available, fall), bool(words), crowded, cap,
        least, doubt,
    )
    return after, Grip(words, tuple(stop), tuple(resume), tuple(kill))


def _doubt(reading: Reading, forecast: Forecast, before: Brake) -> float:
    """Bytes of ours that may be counted in one place only, what is available or what our tasks hold: of tasks that
    begin and end between two looks."""
    held = {task.task for task in before.tasks}
    fresh = sum(task.memory for task in reading.running if task.task not in held or task.kind in forecast.short)
    return fresh + sum(task.memory for task in before.tasks if task.kind in forecast.short)


def _growth(
    reading: Reading, forecast: Forecast, before: Brake, more: float, doubt: float, dt: float
) -> tuple[float, float, float]:
    """Bytes a second by which (our tasks, others smoothly, others at most) grow; ours hold so much `more`."""
    if before.available is None:
        return 0.0, 0.0, 0.0
    held = {task.task: task.memory for task in before.tasks}
    lasting = [task for task in reading.running if task.task in held and task.task not in forecast.brief]
    own = sum(max(0.0, task.memory - held[task.task]) for task in lasting) / dt
    taken = max(0.0, before.available - reading.memory_available - more) / dt
    others = before.others_growth + 0.5 * (taken - before.others_growth)
    sure = taken - doubt / dt
    return own, others, max(others, sure if sure > before.reserve else 0.0)  # that much in a second is no noise


def _is_squeezed(last: Running, reading: Reading, forecast: Forecast, taken: float) -> bool:
    """Whether the last task is to stand still: others have `taken` what it needs, and the kernel would end it. They
    may give it back; where it has never been there, it is left to its fate."""
    kept, left = reserve(reading), forecast.left.get(last.task, 0.0)
    if taken < max(kept, left):
        return False
    if last.stopped:
        return reading.memory_available < STOP * kept
    return reading.memory_available < min(KILL * kept, max(left, LAST * kept))


def relieve(at: float, available: float, before: Brake) -> tuple[Brake, tuple[str, ...]]:
    """A look of its own, four times a second, at available memory alone: (state, tasks to end at once)."""
    if before.available is None or not before.tasks:
        return before, ()
    coming = before.coming(at)
    glance = before.glance.follow(at, available, coming)
    coming = max(0.0, coming - glance.arrived)
    fall = max(0.0, before.available + glance.arrived - available) / max(0.1, at - before.at)
    if glance.fall > before.reserve and before.holds:  # that much in a second is no noise
        fall = max(fall, glance.fall)
    ahead = available + coming - GLANCE_AHEAD_S * fall
    before = msgspec.structs.replace(before, glance=glance)
    if ahead >= KILL * before.reserve or (available + coming > NEAR * before.reserve and not before.holds):
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
