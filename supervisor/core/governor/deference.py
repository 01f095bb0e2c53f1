"""Which tasks are stopped because others want the cores, or because fewer get more done, and which may go on.

A limit that falls lets tasks end by themselves; where that would take too long they are stopped. Owns that choice;
stops for lack of memory are `brake`'s.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from gristmill.supervisor.core.governor.brake import Grip
from gristmill.supervisor.core.governor.kinds import Kind
from gristmill.supervisor.core.governor.others import Others
from gristmill.supervisor.core.governor.reading import Reading, Running

CROWDED = 0.97
YIELD_S = 8.0
"""Tasks that take longer are stopped rather than waited for when others want the cores."""
SURPLUS = 1.15
"""So many times what is wanted is clearly too much."""
OVERFULL = 1.3
"""So many times the budget makes tasks stand in each other's way."""
CLOSE = 1.07
"""So many times the budget is near enough to go on."""
IDLE = 0.6
"""With less than this share of the cores in use some of what was stopped for them goes on."""
NOTABLE = 0.1
"""Share of the cores from which on others are yielded to by stopping tasks."""


class Over(NamedTuple):
    """Why more run than should, beside other people: `told`, by their progress fewer get more done; `full`, they have
    wanted far more than the cores for a while."""

    told: bool
    full: bool


def apply(
    grip: Grip, reading: Reading, wanted: int, over: Over, others: Others, kinds: dict[str, Kind], budget: float
) -> Grip:
    """The brake's grip, with tasks stopped beyond `wanted` workers or `budget` cores, as far as ends are not near."""
    running = [task for task in reading.running if not task.stopped and task.task not in grip.stop]
    young = sorted(running, key=lambda task: task.age)
    beside = others.demand > NOTABLE * reading.cores
    full = beside and reading.cpu_total > CROWDED * reading.cores
    surplus = len(running) - wanted
    slow = sum(_lasts(task, kinds) for task in running) > 0.5 * len(running)
    used = sum(_use(task, kinds) for task in running)
    spare = min((_use(task, kinds) for task in running), default=0.0)  # one too many of few keeps the cores busy
    more: list[str] = []
    if surplus > 0 and slow and (over.told or (full and len(running) > SURPLUS * wanted)):
        more = [task.task for task in young[: min(surplus, len(young) - 1)]]
    elif (full and used > SURPLUS * budget and used - budget > spare) or (over.full and surplus > 0):
        more = _beyond(young, kinds, used - CLOSE * budget)
    elif beside:
        return _fitting(grip, reading, kinds, CLOSE * budget - used)
    return msgspec.structs.replace(grip, stop=(*grip.stop, *more), resume=()) if more else grip


def is_overfull(reading: Reading, kinds: dict[str, Kind], budget: float) -> bool:
    """Whether the tasks that run want far more than the cores that are ours, and the machine is full."""
    uses = [_use(task, kinds) for task in reading.running if not task.stopped]
    spare = max(uses, default=0.0)  # of few workers one more than the cores can feed keeps them busy
    return sum(uses) - spare > OVERFULL * budget and reading.cpu_total > CROWDED * reading.cores


def _use(task: Running, kinds: dict[str, Kind]) -> float:
    use = kinds[task.kind].use
    return task.cpu if use is None else use


def places(reading: Reading, kinds: dict[str, Kind], budget: float) -> int:
    """How many stopped tasks may go on though as many run as are wanted: where those hardly use the cores."""
    active = [task for task in reading.running if not task.stopped]
    used = sum(_use(task, kinds) for task in active)
    if used > IDLE * budget or reading.cpu_total > IDLE * reading.cores:
        return 0
    found, free = 0, budget - used
    for task in sorted(reading.running, key=lambda task: -task.age):
        if task.stopped and _use(task, kinds) <= free:
            found, free = found + 1, free - _use(task, kinds)
    return found


def _lasts(task: Running, kinds: dict[str, Kind]) -> bool:
    """Whether its end is too far to be waited for."""
    return max(kinds[task.kind].wall, task.age) > YIELD_S


def _beyond(young: list[Running], kinds: dict[str, Kind], excess: float) -> list[str]:
    """The youngest that use so many cores, of those that will not end soon by themselves; never all."""
    found: list[str] = []
    least = 0.25 * sum(_use(task, kinds) for task in young) / max(1, len(young))  # sleepers are in nobody's way
    for task in young[:-1]:
        if excess <= 0:
            break
        if _lasts(task, kinds) and _use(task, kinds) > least:
            found.append(task.task)
            excess -= _use(task, kinds)
    return found


def _fitting(grip: Grip, reading: Reading, kinds: dict[str, Kind], free: float) -> Grip:
    """The grip with only those going on again whose cores are free; the first in any case where none runs."""
    by_name = {task.task: task for task in reading.running}
    alone = all(task.stopped for task in reading.running)
    found: list[str] = []
    for name in grip.resume:
        use = _use(by_name[name], kinds)
        if use > free and not (alone and not found):
            break
        found.append(name)
        free -= use
    return grip if len(found) == len(grip.resume) else msgspec.structs.replace(grip, resume=tuple(found))
