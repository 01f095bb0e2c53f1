"""What other people want of the machine, step by step, drawn before the run: nobody's governor changes it."""

from __future__ import annotations

import numpy as np

from tests.simulator.rows import Floats
from tests.simulator.world import Neighbour, Scenario


class Others:
    """Threads at nice 0, niced threads, and memory, for each step."""

    def __init__(self, scenario: Scenario, steps: int, dt: float, generator: np.random.Generator) -> None:
        times = np.arange(steps + 2) * dt
        cores = scenario.hardware.cores
        # What every machine does by the way: a few daemons, a cron job.
        murmur = 0.004 * cores * generator.lognormal(0.0, 0.5, len(times))
        self.murmur: Floats = murmur
        self.threads: Floats = np.zeros(len(times))
        self.niced: Floats = np.zeros(len(times))
        self.memory: Floats = np.full(len(times), scenario.hardware.system * scenario.hardware.memory)
        for one in scenario.neighbours:
            here = ((times >= one.begin) & (times < one.end)).astype(float)
            wanted = here * one.threads * (1 + 0.04 * generator.standard_normal(len(times))).clip(0)
            if one.on is not None:
                wanted *= _bursts(one, len(times), dt, generator)
            if one.niced:
                self.niced = self.niced + wanted
            else:
                self.threads = self.threads + wanted
            rising = ((times - one.begin) / one.ramp).clip(0, 1)
            falling = (1 - (times - one.end) / one.ramp).clip(0, 1)
            self.memory = self.memory + one.memory * np.minimum(rising, falling)
        self.stalled = np.zeros(len(times), bool)
        for begin, end in scenario.stalls:
            self.stalled |= (times >= begin) & (times < end)


def _bursts(one: Neighbour, steps: int, dt: float, generator: np.random.Generator) -> Floats:
    """1 while the neighbour has a burst, else 0; lengths are exponential."""
    shape = np.zeros(steps)
    at, active = 0.0, True
    while at < steps * dt:
        length = generator.exponential((one.on or 0.0) if active else one.off)
        if active:
            shape[round(at / dt) : round((at + length) / dt)] = 1.0
        at, active = at + max(length, dt), not active
    return shape
