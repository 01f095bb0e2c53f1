"""What other people want of the machine, step by step, drawn before the run, and what they get of it."""

from __future__ import annotations

import numpy as np

from tests.simulator.contention import grants, met
from tests.simulator.rows import Floats
from tests.simulator.world import NICED, Neighbour, Scenario


class Others:
    """Threads at nice 0, niced threads, and memory, for each step.

    Since the beginning: CPU seconds `wanted` by those who are owed them, and `lost`; `cpu` and `niced_cpu` used. At the
    last step: cores in `use`, and all `runnable` threads, ours too.
    """

    def __init__(self, scenario: Scenario, steps: int, dt: float, generator: np.random.Generator) -> None:
        times = np.arange(steps + 2) * dt
        self._cores, self._weight, self._dt = scenario.hardware.cores, scenario.weight, dt
        self.wanted = self.lost = self.cpu = self.niced_cpu = 0.0
        self.use = self.runnable = 0.0
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

    def share(self, step: int, ours: float) -> float:
        """What each of our threads gets of a core when so many want to run; files what the others got."""
        guests, niced = float(self.threads[step]), float(self.niced[step])
        others = guests + float(self.murmur[step])
        cores, weight, dt = self._cores, self._weight, self._dt
        theirs, batch, granted = grants(cores, ((1.0, others), (NICED, niced), (weight, ours)))
        self.runnable = others + niced + ours
        if ours > 0:
            theirs = min(theirs, 1 - met(cores, self.runnable, weight))
        # To niced work of ours that of somebody else is an equal: a half of what is left is its due.
        due = min(niced, max(0.0, cores - others * theirs) / 2) if weight <= NICED else 0.0
        self.wanted += (guests + due) * dt
        self.lost += (guests * (1 - theirs) + max(0.0, due - niced * batch)) * dt
        self.use = others * theirs + niced * batch
        self.cpu += others * theirs * dt
        self.niced_cpu += niced * batch * dt
        return granted


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
