"""The table of running tasks: one column a task, one row a quantity, so that a step is a few vector operations."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from tests.simulator.world import Kind

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
BLOCK = 4096
"""Tasks are drawn once; their sizes come round again after so many."""


class Row(IntEnum):
    """`CPU`: CPU time so far; `SEEN`: that at the last reading; `WAITED`: time that its threads waited for a core;
    `HELD`: time spent stopped.
    `ON`: whether it is in a running phase, or waits; `LEFT`: work until the phase ends. Phases end on steps only:
    `EXTRA_ON`, `EXTRA_OFF` are what was run or waited too long, taken off the next such phase. `WEIGHT`: its work's."""

    KIND = 0
    ITEM = auto()
    POOL = auto()
    POSITION = auto()
    WORK = auto()
    CPU = auto()
    SEEN = auto()
    WAITED = auto()
    MEMORY = auto()
    PEAK = auto()
    BEGAN = auto()
    BUSY_BEGAN = auto()
    STOPPED = auto()
    HELD = auto()
    SHARE = auto()
    THREADS = auto()
    CYCLE = auto()
    ON = auto()
    LEFT = auto()
    EXTRA_ON = auto()
    EXTRA_OFF = auto()
    WEIGHT = auto()
    DISK = auto()
    LOAD = auto()
    LOAD_SHARE = auto()
    BANDWIDTH = auto()
    BOUND = auto()
    FLOOR = auto()
    RAMP = auto()
    RISE = auto()
    CREEP = auto()
    SPIKE = auto()


def held(table: Floats) -> Floats:
    """The memory that each task holds at its place in life."""
    life = np.minimum(table[Row.POSITION] / table[Row.WORK], 1.0)
    share = (
        table[Row.FLOOR] + table[Row.RISE] * np.minimum(life / table[Row.RAMP], 1.0) + table[Row.CREEP] * life
        + table[Row.SPIKE] * ((life - 0.9) * 10).clip(0, 1)
    )
    memory: Floats = table[Row.PEAK] * share
    return memory


class Draws:
    """The sizes of one kind's tasks, item by item, the same for every controller."""

    def __init__(self, kind: Kind, number: int, weight: float, step: float, generator: np.random.Generator) -> None:
        self.kind = kind
        self.step = step
        self.work = kind.wall * np.exp(kind.sigma * generator.standard_normal(BLOCK))
        self.peak = kind.memory.peak * np.exp(kind.memory.spread * generator.standard_normal(BLOCK))
        self.chance = generator.random((3, BLOCK))
        shape = kind.memory
        self.fixed = np.zeros(len(Row))
        for row, value in (
            (Row.KIND, number), (Row.POOL, kind.pool), (Row.WEIGHT, weight), (Row.SHARE, kind.share),
            (Row.THREADS, kind.threads), (Row.CYCLE, kind.cycle),
            (Row.DISK, kind.disk), (Row.LOAD, kind.load), (Row.LOAD_SHARE, kind.load_share),
            (Row.BANDWIDTH, kind.bandwidth), (Row.BOUND, kind.bound), (Row.FLOOR, shape.floor), (Row.RAMP, shape.ramp),
            (Row.CREEP, shape.creep), (Row.SPIKE, shape.spike),
            (Row.RISE, 1 - shape.floor - shape.creep - shape.spike),
        ):
            self.fixed[row] = value
        if kind.tiny:  # no life to change over
            self.fixed[[Row.FLOOR, Row.RISE, Row.CREEP, Row.SPIKE]] = 1, 0, 0, 0

    def columns(self, items: Iterable[int], now: float, pace: float) -> Floats:
        """New columns for these items, at their beginning; `pace` is how fast running goes by now."""
        items = np.fromiter(items, np.int64)
        places = items % BLOCK
        columns = np.repeat(self.fixed[:, None], len(items), axis=1)
        columns[Row.ITEM] = items
        columns[Row.WORK] = np.inf if self.kind.tiny else self.work[places]
        columns[Row.PEAK] = self.peak[places]
        first = self.kind.load_share if self.kind.load else self.kind.share
        columns[Row.ON] = self.chance[0, places] >= first  # turned round at once
        columns[Row.EXTRA_ON] = self.chance[1, places] * self.step * pace
        columns[Row.EXTRA_OFF] = self.chance[2, places] * self.step
        columns[Row.BEGAN] = now
        if self.kind.combos:
            factors = np.array(self.kind.combos)[items % len(self.kind.combos)]
            columns[Row.WORK] *= factors[:, 0]
            columns[Row.PEAK] *= factors[:, 1]
        if self.kind.tail is not None:
            columns[Row.PEAK, items >= self.kind.tail[0]] *= self.kind.tail[1]
        columns[Row.MEMORY] = columns[Row.PEAK] * columns[Row.FLOOR]
        return columns
