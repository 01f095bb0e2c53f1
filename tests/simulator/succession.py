"""What a task takes over that follows on another's end inside a step: the rest of that step, and what was done in it.

A short task that waits part of its time goes on in the phase of the one before it, as a stream of tiny ones does. If
it drew a phase of its own it would be given work that the one before had waited through, and on a full machine those
who wait come further: a task of half a second got up to a third of its CPU for nothing.
"""

from __future__ import annotations

import numpy as np

from tests.simulator.rows import Floats, Row
from tests.simulator.world import Kind, Scenario

BRIEF_S = 3.0
"""For tasks that take longer the rest of a step is too little to matter: under 2 % of their CPU."""
PHASE = [Row.ON, Row.LEFT, Row.EXTRA_ON, Row.EXTRA_OFF]


class Succession:
    """The ends of one step, by who may follow: of brief kinds only the same kind, else whoever is of the pool."""

    def __init__(self, scenario: Scenario) -> None:
        self._kinds = scenario.kinds
        self._ends: dict[tuple[int, int], list[Floats]] = {}

    def _who(self, number: int) -> tuple[int, int]:
        kind = self._kinds[number]
        return kind.pool, number if brief(kind) else -1

    def file(self, number: int, ended: Floats, rest: Floats, excess: Floats, cpu: Floats) -> None:
        """Tasks of a kind that ended so long before the step did, with the work and the CPU of that time."""
        rows = np.vstack((rest, excess, cpu, ended[PHASE]))
        self._ends.setdefault(self._who(number), []).extend(rows.T)

    def take(self, number: int, columns: Floats, busy: float) -> int:
        """Let the first of these columns of a kind follow on the last ends; gives how many, of brief kinds those that
        go on in a phase. `busy` is how many of the pool are, with these."""
        ends = self._ends.get(self._who(number), [])
        some = min(len(ends), int(columns.shape[1]))
        if not some:
            return 0
        rest, excess, cpu, *phase = np.array(ends[-some:]).T
        del ends[-some:]
        columns[Row.BEGAN, :some] -= rest
        columns[Row.BUSY_BEGAN, :some] -= rest * busy
        columns[Row.POSITION, :some] = excess
        columns[Row.CPU, :some] = cpu
        if brief(self._kinds[number]):
            columns[PHASE, :some] = phase
        return some

    def clear(self, pool: int) -> None:
        """Nobody followed in time."""
        for who in self._ends:
            if who[0] == pool:
                self._ends[who] = []


def brief(kind: Kind) -> bool:
    """Whether tasks of it are too short, beside a step, to draw the phase anew that they begin in."""
    return not kind.tiny and kind.wall < BRIEF_S and kind.share < 1 and not kind.load
