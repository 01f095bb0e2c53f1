"""How many workers may run now: readings and a state go in, a new state and a decision with its reason come out.

Pure and replayable: no clock, no psutil. The first form of the rules: slow start, a CPU ceiling from what a worker
was seen to use and what others want, and room in memory for what each class was seen to need.

Units: CPU in cores, memory in bytes, time in seconds; one call a period of about one second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

GB = 1e9
PERIODS_PER_STEP = 3
"""Slow start doubles the limit every so many periods."""
RAISE_EVERY = 4
"""Afterwards the limit rises at most every so many periods."""
FULL = 0.92
"""Above this share of the cores a worker's use understates what it could use."""
ENOUGH = 0.975
"""The ceiling is the fewest workers that are expected to keep this share of the free cores busy."""
MOST_WORKERS = 1024


class Load(msgspec.Struct, frozen=True):
    """Memory of one running task: what it holds, and what its class was seen (or claims) to need; None: unknown."""

    memory_bytes: float
    expected_bytes: float | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the machine.

    `cpu_ours` is all that is ours, the daemon too, `cpu_workers` the tasks alone; `busy` counts workers with a task.
    `waiting_bytes` is what the next waiting task needs, None when its class is unknown.
    """

    cores: float
    cpu_total: float
    cpu_ours: float
    cpu_workers: float
    memory_total: float
    memory_available: float
    busy: int
    waiting: bool
    waiting_bytes: float | None = None
    loads: tuple[Load, ...] = ()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered from period to period. `limit` 0: not yet begun."""

    limit: int = 0
    searching: bool = True
    periods: int = 0
    others: float = 0.0
    per_worker: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """How many workers may be busy, what binds that number, and what new tasks may take until the next reading."""

    limit: int
    binding: str
    reason: str
    memory_room: float
    unknown_bytes: float


class Facts(NamedTuple):
    """What one decision was drawn from; `ceiling` is the CPU's, `fits` the memory's, in workers."""

    ceiling: int | None
    others: float
    per_worker: float | None
    room: float
    unknown: float
    fits: int
    limit: int
    searching: bool


def decide(reading: Reading, state: State) -> tuple[State, Decision]:
    """The decision for this period."""
    others = others_demand(reading, state)
    per_worker = worker_use(reading, state)
    budget = max(min(1.0, reading.cores / 2), reading.cores - 1.03 * others)
    shared = others > 0.05 * reading.cores
    ceiling = cpu_ceiling(budget, per_worker, shared)
    room, unknown = memory_room(reading)

    searching, periods, limit = state.searching, state.periods + 1, state.limit
    if limit == 0:
        limit, periods = int(min(4, max(1, reading.cores // 4))), 0
    pressing = reading.waiting and reading.busy >= min(limit, state.limit or limit)
    if searching and pressing and periods >= PERIODS_PER_STEP:
        searching = ceiling is None or 2 * limit < ceiling
        limit, periods = min(2 * limit, ceiling or MOST_WORKERS), 0
    if ceiling is not None and limit > ceiling + max(0.6, 0.03 * limit):
        limit, searching, periods = ceiling, False, 0
    elif not searching and pressing and periods >= RAISE_EVERY:
        if ceiling is None:
            limit, periods = min(2 * limit, MOST_WORKERS), 0
        elif ceiling > limit + max(0.8, 0.06 * limit):
            limit, periods = ceiling, 0

    facts = Facts(ceiling, others, per_worker, room, unknown, memory_fits(reading, room, unknown), limit, searching)
    binding, reason = explain(reading, facts)
    after = State(limit=limit, searching=searching, periods=periods, others=others, per_worker=per_worker)
    return after, Decision(
        limit=min(limit, facts.fits), binding=binding, reason=reason, memory_room=room, unknown_bytes=unknown
    )


def others_demand(reading: Reading, state: State) -> float:
    """Cores that other people's work wants: quick to rise on a jump, slow to forget, noise counted as nothing."""
    seen = max(0.0, reading.cpu_total - reading.cpu_ours)
    jump = abs(seen - state.others) > 0.06 * reading.cores + 0.1
    smooth = state.others + (0.8 if jump and seen > state.others else 0.15) * (seen - state.others)
    return smooth if smooth > 0.04 * reading.cores else 0.0 if seen < 0.04 * reading.cores else smooth


def worker_use(reading: Reading, state: State) -> float | None:
    """Cores that a busy worker uses on average, None while nobody knows; on a full machine it may only rise."""
    if reading.busy == 0:
        return state.per_worker
    now = reading.cpu_workers / reading.busy
    if state.per_worker is None:
        return now
    if reading.cpu_total >= FULL * reading.cores and now < state.per_worker:
        return state.per_worker
    return state.per_worker + 0.2 * (now - state.per_worker)


def cpu_ceiling(budget: float, per_worker: float | None, shared: bool) -> int | None:
    """The most workers that `budget` cores can feed, None when workers hardly use any.

    Alone on the machine: the fewest workers N with E[min(R, B)] ≥ 0.975 B, where the runnable threads R of N workers,
    each using a share q of t threads, are taken as Normal(N u, N t² q (1 - q)); the expectation of the smaller of a
    normal variable and a constant is μ - (μ - B) Φ(z) - σ φ(z) with z = (μ - B) / σ (Clark 1961). With others on the
    machine: the whole number nearest B / u, so that they are not pushed aside; tasks are niced besides.
    """
    if per_worker is None or per_worker < 0.02:
        return None
    if shared:
        return max(1, math.floor(budget / per_worker + 0.5))
    threads = math.ceil(per_worker - 0.15) or 1  # a reading of 1.1 is one thread and noise
    share = min(1.0, per_worker / threads)
    workers = max(1, math.ceil(budget / per_worker - 0.05))
    while workers < MOST_WORKERS:
        mean, variance = workers * per_worker, workers * threads**2 * share * (1 - share)
        if expected_smaller(mean, math.sqrt(variance), budget) >= ENOUGH * budget:
            break
        workers += 1
    return workers


def expected_smaller(mean: float, deviation: float, bound: float) -> float:
    """E[min(R, bound)] for a normal R."""
    if deviation < 1e-9:
        return min(mean, bound)
    z = (mean - bound) / deviation
    below = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return mean - (mean - bound) * below - deviation * density


def reserve_bytes(total: float) -> float:
    """Memory that is left free whatever happens."""
    return max(0.05 * total, 0.25 * GB)


def memory_alarm(total: float, available: float) -> tuple[str, bool]:
    """(what is wrong with memory, whether nothing new may be started); "" while the reserve is whole.

    Below the reserve the room for new tasks is gone already, and only an idle pool starts one; below half of it even
    that one would be paid for by somebody else.
    """
    reserve = reserve_bytes(total)
    if available >= reserve:
        return "", False
    words = f"{available / GB:.1f} GB of {total / GB:.1f} GB are available, {reserve / GB:.1f} GB are kept in reserve"
    return f"memory: {words}", available < reserve / 2


def memory_room(reading: Reading) -> tuple[float, float]:
    """(bytes free for new tasks, bytes that a task of an unknown class is taken to need).

    What running tasks are still expected to grow by is not free; one of unknown class may grow by a quarter.
    """
    growth = sum(
        max(0.0, load.expected_bytes - load.memory_bytes) if load.expected_bytes is not None
        else 0.25 * load.memory_bytes
        for load in reading.loads
    )
    room = reading.memory_available - reserve_bytes(reading.memory_total) - growth
    largest = max((load.memory_bytes for load in reading.loads), default=0.0)
    return room, 1.25 * largest if largest > 0 else 0.08 * reading.memory_total


def memory_fits(reading: Reading, room: float, unknown: float) -> int:
    """How many workers memory allows: those that run and as many of the next task as the room holds."""
    need = reading.waiting_bytes if reading.waiting_bytes is not None else unknown
    if need <= 0:
        return MOST_WORKERS
    return max(1, reading.busy + math.floor(max(0.0, room) / need))


def explain(reading: Reading, facts: Facts) -> tuple[str, str]:
    """(what binds, one line with the numbers)."""
    per_worker, others = facts.per_worker, facts.others
    allowed = min(facts.limit, facts.fits)
    if facts.fits < facts.limit:
        need = reading.waiting_bytes if reading.waiting_bytes is not None else facts.unknown
        return "memory", (
            f"memory: {max(0.0, facts.room) / GB:.1f} GB free beyond the reserve of "
            f"{reserve_bytes(reading.memory_total) / GB:.1f} GB, the next task needs {need / GB:.1f} GB"
        )
    used = "not yet known" if per_worker is None else f"{per_worker:.2f} cores"
    if facts.ceiling is not None and allowed >= facts.ceiling:
        if others > 0.05 * reading.cores:
            return "others", (
                f"others: {others:.1f} of {reading.cores:g} cores are used by others, a worker of ours uses {used}"
            )
        return "cpu", f"cpu: a worker uses {used}, {allowed} keep {reading.cores:g} cores busy"
    if facts.searching:
        return "ramp", f"slow start: {reading.busy} busy, a worker uses {used} of {reading.cores:g} cores so far"
    if not reading.waiting:
        return "work", "no task waits for a worker"
    return "cpu", f"cpu: a worker uses {used} of {reading.cores:g} cores"
