"""What other people's work wants of the cores, and what is left for us.

Master and equal are told apart: what runs at a usual niceness comes first, all of it; what is niced is batch work
like ours, and no more than its equal share is yielded to it. Two governors that know nothing of each other so meet in
the middle: each sees the other as niced, and neither is pressed below its half. Where our tasks are not niced, batch
work gives way to them by itself, and on a full machine everybody else gets less than he wants.
"""

from __future__ import annotations

import math

import msgspec

from gristmill.supervisor.core.governor.reading import Reading

NOISE = 0.04
"""Share of the cores below which somebody's use is taken for noise."""
SHARED = 0.05
"""Share of the cores from which on the machine counts as shared."""
FULL = 0.95
MARGIN = 1.03
DECAY_S, QUICK_DECAY_S = 8.0, 1.0
BRIEF_S = 0.5
"""Less time than this between two looks tells nothing of others: the kernel counts in hundredths of a second, of each
of our processes two are not seen yet, and what is not seen of ours would be theirs."""


class Series(msgspec.Struct, frozen=True, omit_defaults=True):
    """A noisy reading followed: the last three values, their smooth course, its mean deviation, and the demand."""

    last: tuple[float, ...] = ()
    smooth: float = 0.0
    deviation: float = 0.0
    demand: float = 0.0

    def follow(self, value: float, cores: float, overload: float, dt: float, idle: bool) -> Series:
        """After one more `value` in cores: up at once, down slowly, and the quicker while the machine is `idle`.

        On a full machine the use of an equal understates what he wants, by as much as our own does: `overload`.
        """
        last = (*self.last, value)[-3:]
        middle = sorted(last)[len(last) // 2]
        jump = abs(middle - self.smooth) > max(0.06 * cores, 3 * self.deviation)
        smooth = self.smooth + (0.8 if jump else 0.15) * (middle - self.smooth)
        deviation = self.deviation + 0.1 * (abs(middle - smooth) - self.deviation)
        seen = smooth if smooth >= max(NOISE * cores, 1.2 * deviation) else 0.0
        wanted = min(cores, seen * overload)
        if wanted > self.demand:
            demand = self.demand + 0.8 * (wanted - self.demand)
        else:
            keep = math.exp(-dt / (QUICK_DECAY_S if idle else DECAY_S))
            demand = wanted + keep * (self.demand - wanted)
        return Series(last, smooth, deviation, demand)


class Others(msgspec.Struct, frozen=True, omit_defaults=True):
    """Other people's work, by its standing towards ours."""

    usual: Series = Series()
    niced: Series = Series()
    users: int = 0
    """How many other users the niced work is taken to belong to."""

    @property
    def demand(self) -> float:
        """Cores that all others want."""
        return self.usual.demand + self.niced.demand


def observe(reading: Reading, before: Others, use: float | None, busy: float, dt: float) -> Others:
    """What is known of others after this reading; `use` is what one of our `busy` workers would like, in cores."""
    if dt < BRIEF_S:
        return before
    cores = reading.cores
    seen = max(0.0, reading.cpu_total - reading.cpu_ours)
    niced = min(seen, reading.cpu_nice)
    overload = 1.0
    if reading.cpu_total > FULL * cores:
        ours = busy * use / reading.cpu_ours if use and reading.cpu_ours > NOISE * cores else 1.0
        queue = reading.runnable / cores if reading.runnable is not None else 1.0
        overload = min(4.0, max(1.0, ours, queue))
    idle = reading.cpu_total < 0.9 * cores
    return Others(
        usual=before.usual.follow(seen - niced, cores, 1.0 if reading.niced else overload, dt, idle),
        niced=before.niced.follow(niced if reading.niced else 0.0, cores, overload, dt, idle),
        users=max(1, reading.batch_users) if niced > NOISE * cores else before.users,
    )


def budget(others: Others, cores: float) -> float:
    """Cores that are ours to use: what others leave, an equal share beside niced work, never less than a little."""
    left = cores - MARGIN * others.usual.demand
    share = left / (1 + max(1, others.users)) if others.niced.demand > 0 else 0.0
    margin = 0.01 * cores if others.demand > SHARED * cores else 0.0
    return max(min(1.0, cores / 2), left - MARGIN * others.niced.demand - margin, share)
