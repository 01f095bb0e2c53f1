"""Fills the table of rates: what the workers use each second, what tasks cost when they end or tell their progress."""

from __future__ import annotations

import math

from gristmill.supervisor.core.governor.kinds import FULL, LOOKED_S, OTHERS, WAITING, Kind, wanted
from gristmill.supervisor.core.governor.rates import Rates
from gristmill.supervisor.core.governor.reading import Reading
from gristmill.supervisor.core.governor.state import TABLES, Mark, State
from gristmill.supervisor.core.progress import TELLING

MIX_S = 20.0
"""Time in which a kind's share of the work is followed."""
SLIGHT = 0.01
"""A share that is not followed, unless all are small: of hundreds of jobs of one task each may be a kind of its own."""
PREVAILS = 0.6
TELLING_S = 10.0
ALONE_S = 5.0
"""Where we fill the machine alone it is seen this often how tasks wait for a core."""
MOSTLY = 0.6
GROWN_S = 3.0
"""From this age on a task shows how it goes on."""
MOVED = 0.06
"""Share of the cores by which others must move before progress seen earlier is doubted."""
OVERDUE = math.log(2)
"""A running task is overdue when it has cost so many times the usual, as a logarithm."""
MOST_ENDS = 10.0
"""Ends of one period weigh no more than this many."""


def mixed(state: State, reading: Reading, dt: float) -> tuple[dict[str, float], str]:
    """(each kind's recent share of the busy workers, the kind that prevails)."""
    counts: dict[str, float] = {}
    for task in reading.running:
        counts[task.kind] = counts.get(task.kind, 0.0) + 1
    for end in reading.ended:
        counts[end.kind] = counts.get(end.kind, 0.0) + end.count * end.seconds / dt
    whole = sum(counts.values())
    if whole == 0:
        return state.mix, state.prevailing
    keep = math.exp(-dt / MIX_S) if state.mix else 0.0
    names = {*state.mix, *counts}
    mix = {name: keep * state.mix.get(name, 0.0) + (1 - keep) * counts.get(name, 0.0) / whole for name in names}
    first = max(mix, key=lambda name: mix[name])
    least = min(SLIGHT, mix[first] / 2)
    mix = {name: share for name, share in mix.items() if share > least}
    prevailing = first if not state.prevailing or mix[first] > PREVAILS else state.prevailing
    return mix, prevailing


def measure(
    state: State, reading: Reading, kinds: dict[str, Kind], active: float, use: float | None, dt: float
) -> tuple[Rates, dict[str, Mark]]:
    """(the prevailing kind's table, where each task's progress stands) after one more reading; updates `kinds`."""
    rates = state.rates.get(state.prevailing, Rates())
    before, now = (known.get(state.prevailing, Kind()) for known in (state.kinds, kinds))
    if before.waits != now.waits and before.ends:
        rates = Rates()  # all that it holds was seen by another measure
    rates = rates.fade(dt, kinds[state.prevailing].wall if state.prevailing in kinds else 0.0)
    if abs(state.others.demand - state.demand) > MOVED * reading.cores:
        rates = rates.doubt()
    settled = reading.at - state.search.since > 0.9
    if active >= 0.5 and settled:
        waits = now.waits if now.ends else use is not None and use < WAITING
        used = _used(reading, kinds, active, waits)
        if used > 0:
            rates = rates.progress(active, used, dt)
        strain = _strain(reading, kinds, state.prevailing, dt)
        if strain is not None:
            rates = rates.watch(active, *strain)
    for end in reading.ended:
        kind = kinds[end.kind]
        if kind.costed >= 3 and end.telling:
            residual = kind.cost_of(end.wall, end.cpu) - kind.cost
            rates = rates.charge(end.busy, residual, min(float(end.count), MOST_ENDS))
    rates = _overdue(rates, reading, kinds, active, dt)
    return _told(rates, state, reading, kinds, active, dt)


def _overdue(rates: Rates, reading: Reading, kinds: dict[str, Kind], active: float, dt: float) -> Rates:
    """Counts tasks that have cost far more than usual and still run: among too many workers hardly any task ends, and
    those that do are the cheap ones. Each counts by how much dearer it has become in this period, as a logarithm."""
    weight = residuals = 0.0
    for task in reading.running:
        kind = kinds[task.kind]
        if task.stopped or kind.costed < 3:
            continue
        over = kind.cost_of(task.age, task.spent) - kind.cost
        if over > OVERDUE:
            growth = min(1.0, dt / task.age if kind.waits else task.cpu * dt / task.spent)
            weight += growth
            residuals += growth * over
    return rates.charge(active, residuals / weight, min(weight, MOST_ENDS)) if weight > 0 else rates


def _used(reading: Reading, kinds: dict[str, Kind], active: float, waits: bool) -> float:
    """Cores that the workers use in getting on, start-up left out; or the workers themselves where they wait."""
    if waits:
        return active
    grown = [
        task.cpu for task in reading.running if not task.stopped and task.age >= min(3.0, 0.3 * kinds[task.kind].wall)
    ]
    if len(grown) >= 0.5 * active:
        return active * sum(grown) / len(grown)
    return reading.cpu_ours


def _strain(
    reading: Reading, kinds: dict[str, Kind], name: str, dt: float
) -> tuple[float, float] | None:
    """(how long tasks of a kind run for each second that they wait for other than a core, as a logarithm; for how many
    seconds that was seen); None where it is not known, or they hardly wait or hardly run."""
    kind = kinds.get(name, Kind())
    tasks = [task for task in reading.running if task.kind == name and not task.stopped and task.age >= GROWN_S]
    if not tasks or not kind.use or kind.wall < 2 * GROWN_S:
        return None
    threads = math.ceil(kind.use - 0.15) or 1
    if reading.cpu_total >= FULL * reading.cores:
        if sum(task.age >= LOOKED_S for task in tasks) < MOSTLY * len(tasks):
            return None  # of those that have been looked at for so long there are more that had to wait
        used = wanted(kind, tasks, reading)
        dt = dt if reading.cpu_total - reading.cpu_ours > OTHERS * reading.cores else ALONE_S
    else:
        used = sum(task.cpu for task in tasks) / len(tasks)
    share = 0.0 if used is None else used / threads
    return (math.log(share / (1 - share)), dt) if WAITING < share < 1 - WAITING else None


def _told(
    rates: Rates, state: State, reading: Reading, kinds: dict[str, Kind], active: float, dt: float
) -> tuple[Rates, dict[str, Mark]]:
    """Counts progress that tasks report as parts of tasks that ended; updates `kinds` by it."""
    worked = state.worked + active * dt
    marks = {}
    for task in reading.running:
        if task.progress is None:
            continue
        mark = state.marks.get(task.task)
        if mark is None or task.progress < mark.progress:
            marks[task.task] = Mark(task.age, task.spent, task.progress, worked)
            continue
        marks[task.task] = mark
        part, age = task.progress - mark.progress, task.age - mark.age
        if part < TELLING or age < TELLING_S:
            continue
        marks[task.task] = Mark(task.age, task.spent, task.progress, worked)
        if mark.progress > 0:
            wall, cpu, weight = age / part, (task.spent - mark.spent) / part, min(1.0, age / TELLING_S / 2)
            kind = kinds[task.kind] = kinds[task.kind].promised(wall, cpu, weight)
            rates = rates.charge((worked - mark.busy) / age, kind.cost_of(wall, cpu) - kind.cost, weight)
    return rates, marks


def kept(tables: dict[str, Rates], name: str, rates: Rates) -> dict[str, Rates]:
    """All tables with this one, the newest last, no more than are kept."""
    others = {other: table for other, table in tables.items() if other != name}
    for old in list(others)[: max(0, len(others) + 1 - TABLES)]:
        del others[old]
    return {**others, name: rates}
