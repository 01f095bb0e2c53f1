"""When a task runs and when it waits. Phases are lengths of work, so that contention makes them longer, not rarer."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from tests.simulator.rows import Floats, Row

FEW = 12
"""So few tasks are turned faster one by one than by vectors."""


def turn(table: Floats, where: NDArray[np.int64], generator: np.random.Generator) -> None:
    """Begin the next phase of these tasks: running if they waited, else waiting.

    A phase ends on a step, so it lasts too long by a part of one; the next of its sort is shorter for it, or skipped.
    While a task loads, its phases end with the loading at the latest.
    """
    if len(where) <= FEW:
        chance = generator.standard_exponential((2, len(where))).tolist()
        for task, *lengths in zip(where.tolist(), *chance, strict=True):
            _turn_one(table[:, task], *lengths)
        return
    columns = table[:, where]
    _turn_many(columns, generator)
    table[:, where] = columns


def _turn_one(task: Floats, run: float, wait: float) -> None:
    """`_turn_many` of a single column, with its two random lengths."""
    position, load = float(task[Row.POSITION]), float(task[Row.LOAD])
    rest = load - position if position < load else inf
    share = float(task[Row.LOAD_SHARE] if rest < inf else task[Row.SHARE])
    cycle, was_on = float(task[Row.CYCLE]), task[Row.ON] > 0
    over = -min(float(task[Row.LEFT]), 0.0)
    extra_on = float(task[Row.EXTRA_ON]) + over * was_on
    extra_off = float(task[Row.EXTRA_OFF]) + over * (not was_on)
    running = inf if share >= 1 else share * cycle * run
    waiting = inf if share <= 0 else (1 - share) * cycle * wait
    same, other = (running - extra_on, waiting - extra_off) if was_on else (waiting - extra_off, running - extra_on)
    turned = other > 0
    stays = not turned and same > 0
    task[Row.ON] = not was_on if turned else was_on
    task[Row.LEFT] = min(other if turned else same if stays else 0.0, rest)
    other_extra = 0.0 if turned else -other
    same_extra = (extra_on if was_on else extra_off) if turned else 0.0 if stays else -same
    task[Row.EXTRA_ON] = same_extra if was_on else other_extra
    task[Row.EXTRA_OFF] = other_extra if was_on else same_extra


def _turn_many(columns: Floats, generator: np.random.Generator) -> None:
    rest = np.where(columns[Row.POSITION] < columns[Row.LOAD], columns[Row.LOAD] - columns[Row.POSITION], np.inf)
    share = np.where(np.isfinite(rest), columns[Row.LOAD_SHARE], columns[Row.SHARE])
    was_on = columns[Row.ON] > 0
    over = -np.minimum(columns[Row.LEFT], 0.0)
    columns[Row.EXTRA_ON] += over * was_on
    columns[Row.EXTRA_OFF] += over * ~was_on
    chance = generator.standard_exponential((2, columns.shape[1]))
    with np.errstate(invalid="ignore"):
        running = np.where(share >= 1, np.inf, share * columns[Row.CYCLE] * chance[0])
        waiting = np.where(share <= 0, np.inf, (1 - share) * columns[Row.CYCLE] * chance[1])
    lengths = np.where(was_on, (running, waiting), (waiting, running))  # of the same phase, of the other
    extras = np.where(was_on, (columns[Row.EXTRA_ON], columns[Row.EXTRA_OFF]),
                      (columns[Row.EXTRA_OFF], columns[Row.EXTRA_ON]))
    same, other = lengths - extras
    turned = other > 0
    stays = ~turned & (same > 0)
    columns[Row.ON] = np.where(turned, ~was_on, was_on)
    columns[Row.LEFT] = np.minimum(np.where(turned, other, np.where(stays, same, 0.0)), rest)
    # What a phase was shortened by is paid; one that was skipped has paid its length.
    other_extra = np.where(turned, 0.0, -other)
    same_extra = np.where(turned, extras[0], np.where(stays, 0.0, -same))
    columns[Row.EXTRA_ON] = np.where(was_on, same_extra, other_extra)
    columns[Row.EXTRA_OFF] = np.where(was_on, other_extra, same_extra)
