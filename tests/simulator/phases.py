"""When a task runs and when it waits. Phases are lengths of work, so that contention makes them longer, not rarer."""

from __future__ import annotations

import numpy as np

from tests.simulator.rows import Floats, Row


def turn(columns: Floats, generator: np.random.Generator) -> None:
    """Begin the next phase of these tasks: running if they waited, else waiting.

    A phase ends on a step, so it lasts too long by a part of one; the next of its sort is shorter for it, or skipped.
    While a task loads, its phases end with the loading at the latest.
    """
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
