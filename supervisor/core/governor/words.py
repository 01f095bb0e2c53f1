"""The governor's reasons: what each constraint allows, which one binds, and a line with its numbers."""

from __future__ import annotations

from typing import NamedTuple

from gristmill.supervisor.core.figures import several, spoken
from gristmill.supervisor.core.governor.decision import Allow, Binding, Fit
from gristmill.supervisor.core.governor.memory import reserve
from gristmill.supervisor.core.governor.others import SHARED, Others
from gristmill.supervisor.core.governor.rates import Rates
from gristmill.supervisor.core.governor.reading import Reading
from gristmill.supervisor.core.governor.search import Search


class Facts(NamedTuple):
    """What a decision was drawn from. `ceiling` is the CPU's with what others leave, `alone` what it would be without
    them; `fits` is how many workers memory allows, `offered` are bytes left to other users' batch work, `canary`
    whether a kind is being tried by one task."""

    reading: Reading
    search: Search
    others: Others
    rates: Rates
    held: str
    budget: float
    use: float | None
    ceiling: int | None
    alone: int | None
    fits: int | None
    fit: Fit | None
    offered: float
    canary: bool
    wanted: int
    active: int


def explain(facts: Facts) -> tuple[Binding, str, tuple[Allow, ...]]:
    """(what binds, one line with the numbers, what each constraint allows)."""
    allows = {allow.binding: allow for allow in _allows(facts)}
    binding = _binding(facts)
    words = allows[binding].words if binding in allows else "no task waits for a worker"
    return binding, words if words.startswith(f"{binding}:") else f"{binding}: {words}", tuple(allows.values())


def _binding(facts: Facts) -> Binding:
    reading, search = facts.reading, facts.search
    if reading.share <= 0:
        return Binding.POLITE
    held = facts.fits is not None and facts.fits < facts.wanted and bool(reading.waiting) and not facts.held
    if facts.held.startswith("memory") and reading.waiting:
        return Binding.MEMORY
    if held and not (facts.canary and reading.fixed is not None):
        return Binding.CANARY if facts.canary else Binding.MEMORY
    if reading.fixed is not None:
        return Binding.USER
    yielding = facts.wanted < search.number  # others' ceiling has risen since, and the limit follows
    if facts.ceiling is not None and (facts.ceiling <= facts.wanted or yielding):
        if reading.share < 1 and facts.others.demand <= SHARED * reading.cores:
            return Binding.POLITE
        if facts.others.demand > SHARED * reading.cores:
            return Binding.OTHERS
    if not reading.waiting and facts.active <= facts.wanted:
        return Binding.WORK
    if search.probe is not None:
        return Binding.PROBE
    if facts.alone is not None and facts.wanted >= 0.97 * facts.alone - 0.5 and facts.wanted <= 1.1 * facts.alone + 1:
        return Binding.CPU
    return Binding.RAMP if search.ramping else Binding.MEASURED


def _allows(facts: Facts) -> list[Allow]:
    reading, search, others = facts.reading, facts.search, facts.others
    cores = several(reading.cores, "core")
    used = "what a worker uses is not yet known" if facts.use is None else f"a worker uses {facts.use:.2f} cores"
    found = []
    if reading.fixed is not None:
        found.append(Allow(Binding.USER, reading.fixed, f"fixed at {reading.fixed} by the user"))
    enough = "" if facts.alone is None else f", {several(facts.alone, 'keeps', 'keep')} {cores} busy"
    found.append(Allow(Binding.CPU, facts.alone, used + enough))
    if others.demand > SHARED * reading.cores:
        whose = "niced work of other users wants" if others.niced.demand > others.usual.demand else "their work wants"
        words = f"{whose} {others.demand:.1f} of {cores}, {facts.budget:.1f} are ours; {used}"
        found.append(Allow(Binding.OTHERS, facts.ceiling, words))
    if reading.share < 1:
        most = facts.ceiling if reading.share > 0 else 0
        found.append(Allow(Binding.POLITE, most, reading.polite or f"{reading.share:.0%} of the machine"))
    found.append(_memory(facts))
    if facts.canary:
        words = "a kind of task never seen: one runs first, to see what it needs"
        found.append(Allow(Binding.CANARY, facts.fits, words))
    if reading.fixed is not None:
        return found
    if search.ramping:
        words = f"step by step upward, {facts.active} busy now; {used} of {reading.cores:g} so far"
        found.append(Allow(Binding.RAMP, max(1, search.number), words))
    elif search.probe is not None:
        words = f"trying {search.probe.to} instead of {several(search.probe.base, 'worker')}"
        found.append(Allow(Binding.PROBE, search.number, words))
    else:
        found.append(Allow(Binding.MEASURED, search.number, _measured(facts)))
    return found


def _memory(facts: Facts) -> Allow:
    reading, fit = facts.reading, facts.fit
    kept = spoken(reserve(reading))
    free = f"{spoken(reading.memory_available)} are available, {kept} of it in reserve"
    if facts.held.startswith("memory"):
        return Allow(Binding.MEMORY, facts.fits, f"{facts.held}; {free}")
    if fit is None:
        return Allow(Binding.MEMORY, None, free)
    left = f", {spoken(facts.offered)} for another user's batch work" if facts.offered else ""
    words = f"{spoken(max(0.0, fit.room))} free beyond reserve ({kept}){left} and growth"
    return Allow(Binding.MEMORY, facts.fits, f"{words}, the next task needs {spoken(fit.need)}")


def _measured(facts: Facts) -> str:
    """How the present number compares with its neighbours in the table."""
    rates, number = facts.rates, facts.search.number
    here = rates.rate(number)
    if here is None:
        return several(number, "worker was found best", "workers were found best")
    others = [(workers, rate) for workers in rates.seen() if (rate := rates.rate(workers)) and round(workers) != number]
    near = sorted(others, key=lambda pair: abs(pair[0] - number))[:2]
    told = [f"{100 * (2.718281828**(rate.value - here.value) - 1):+.0f} % with {workers:.0f}" for workers, rate in near]
    return f"most gets done with {several(number, 'worker')}" + (f" ({', '.join(told)})" if told else "")
