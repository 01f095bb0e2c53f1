"""The search for the number of workers that gets most done: slow start, then small probes, one at a time.

Owns the number N that throughput alone would choose. It knows nothing of memory, and while others use the machine it
sleeps and remembers N, so that recovery is at once.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from gristmill.supervisor.core.governor.ceiling import MOST
from gristmill.supervisor.core.governor.rates import Rates, bin_of

STEP_PERIODS = 3.0
"""Slow start doubles N every so many seconds; every second while the cores are hardly used."""
LIGHT = 0.5
WORTH = 0.25
"""A doubling is worth it when ln W grows by this share of ln N."""
UP, FAR_UP, DOWN, TRIM = 0.25, 0.6, 0.2, 0.12
DOWN_FROM = 3
"""Fewer workers are not made less to see what contention costs: one of two would have to do the work of both."""
FIRST_PROBE_S = 30.0
UP_MOST_S, TRIM_MOST_S, DOWN_EVERY_S = 180.0, 360.0, 600.0
LONG_S = 120.0
"""Tasks that take longer are too rare to show what they cost when they end."""
SURE = 1.6
"""Standard errors by which a difference must stand out."""
STRAINED, CLEAR = 2.0, 2.5
"""The same for how tasks run and wait; and where that is looked at each second, and the first clear look counts."""
EASE = 0.05
"""A difference in how tasks run and wait must be as large as this, as a logarithm."""
STEADY_S = 5.0
FULL_S = 20.0
"""After so long on full cores a little more than the ceiling is taken back as well."""

Way = Literal["up", "down", "trim"]


class Probe(msgspec.Struct, frozen=True):
    """A number of workers that is being tried, from when, until when, and instead of which.

    `base` is what it is compared with; where memory lets fewer run than the search would have, that many, and `back`
    is the number that the search returns to.
    """

    way: Way
    base: int
    to: int
    since: float
    until: float
    latest: float
    back: int = 0


class Search(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered. `number` 0: not yet begun; `before` the number before the last step of slow start."""

    number: int = 0
    ramping: bool = True
    since: float = 0.0
    before: int = 0
    failures: int = 0
    probe: Probe | None = None
    due: dict[Way, float] = {}
    every: dict[Way, float] = {}
    over: float = 0.0
    """For how many seconds the workers have wanted clearly more than the budget."""


class Scene(NamedTuple):
    """What the search looks at: `ceiling` as by `ceiling.alone`, `use` cores a worker, `wall` seconds a task, `busy`
    workers on the mean, `pressing` whether more work waits than the limit lets through, `held` whether it waits for
    memory, `met` whether of each kind that waits one has ended, `familiar` whether all of them are known, `told`
    whether tasks of over two minutes report their progress."""

    at: float
    dt: float
    cores: float
    budget: float
    ceiling: int | None
    use: float | None
    wall: float
    busy: float
    pressing: bool
    held: bool
    idle: float
    met: bool
    familiar: bool
    told: bool
    shared: bool
    rates: Rates


def step(before: Search, scene: Scene) -> Search:
    """The search after one more period."""
    if before.number == 0:
        return _begin(scene)
    if before.ramping:
        return _ramp(before, scene)
    if scene.shared:
        number = before.probe.back if before.probe else before.number
        return msgspec.structs.replace(before, probe=None, number=number, since=scene.at)
    if before.probe is not None:
        return _judge(before, before.probe, scene)
    return _refine(before, scene)


def _begin(scene: Scene) -> Search:
    """A quarter of the cores, or at once what is known to be right for tasks that were seen before."""
    first = int(min(4, max(1, scene.cores // 4)))
    if scene.ceiling is not None:
        first = scene.ceiling if scene.familiar else max(first, _first_step(first, scene))
    return Search(number=first, before=first, since=scene.at)


def _to(search: Search, scene: Scene, number: int, **more: object) -> Search:
    number = max(1, min(MOST, number))
    since = scene.at if number != search.number else search.since
    return msgspec.structs.replace(search, number=number, since=since, **more)


# ── slow start ────────────────────────────────────────────────────────────────────────────────────────────────────


def _ramp(before: Search, scene: Scene) -> Search:
    number = before.number
    if scene.ceiling is not None and number >= scene.ceiling:
        return before if scene.shared else _settle(before, scene, scene.ceiling)  # others may leave: it goes on then
    light = scene.use is not None and 2 * number * scene.use <= LIGHT * scene.budget
    sure = _sure(scene)
    if scene.familiar and scene.pressing and number < sure:
        return _to(before, scene, sure, before=number)  # beyond the cores it still has to be seen what is gained
    if scene.pressing and number == before.before and (first := _first_step(number, scene)) > number:
        return _to(before, scene, first, before=number)
    if not scene.pressing or scene.at - before.since < (1.0 if light else STEP_PERIODS) - 0.1:
        return before
    failures = before.failures
    if number >= scene.cores and number > before.before:
        gain, error = _gain(before, scene)
        failures = 0 if gain + error > WORTH * math.log(number / before.before) else failures + 1
        if failures >= 3 or gain < -SURE * error:
            return _settle(before, scene, before.before)
    if number >= MOST:
        return _settle(before, scene, MOST)
    target = min(2 * number, scene.ceiling or MOST)
    return _to(before, scene, target, before=number, failures=failures)


def _first_step(number: int, scene: Scene) -> int:
    """The number after the first doubling, 0 where that is to wait: one that has ended has shown what it needs."""
    return min(2 * number, _sure(scene)) if scene.met else 0


def _sure(scene: Scene) -> int:
    """So many workers all get a core: nothing of that has to be tried."""
    return min(scene.ceiling or 0, math.floor(scene.cores))


def _gain(before: Search, scene: Scene) -> tuple[float, float]:
    """(how much more the last doubling got done, as a logarithm; its standard error, without end when not known)."""
    now, then = scene.rates.rate(before.number), scene.rates.rate(before.before)
    if now is None or then is None:
        return 0.0, math.inf
    return now.value - then.value, math.hypot(now.error, then.error)


def _settle(before: Search, scene: Scene, number: int) -> Search:
    due: dict[Way, float] = {"up": scene.at + 10, "trim": scene.at + FIRST_PROBE_S, "down": scene.at + FIRST_PROBE_S}
    return _to(before, scene, number, ramping=False, failures=0, due=due)


# ── small probes ──────────────────────────────────────────────────────────────────────────────────────────────────


def _refine(before: Search, scene: Scene) -> Search:
    number = before.number
    wanted = scene.busy * (scene.use or 0.0)
    full = scene.idle < 0.05 * scene.cores
    over = before.over + scene.dt if full and wanted > 1.15 * scene.budget else 0.0
    before = msgspec.structs.replace(before, over=over)
    if scene.ceiling is not None and over > STEADY_S and number > (1.3 if over < FULL_S else 1.1) * scene.ceiling + 1:
        return _to(before, scene, scene.ceiling, over=0.0, due=_afresh(before, scene))  # for other tasks N was found
    if not scene.pressing or scene.at - before.since < STEADY_S:
        return before
    less = scene.ceiling is not None and scene.ceiling > 2.5 * number and scene.use is not None
    if less and number <= scene.cores and not _stands_alone(scene.rates, number):
        return _to(before, scene, number, ramping=True, before=number)  # likewise, and they need less
    best = _best(scene, max(number, scene.ceiling) if full and scene.ceiling is not None else None)
    if best is not None and best != number and not _strained(scene.rates, best, number):
        now, then = scene.rates.rate(best), scene.rates.rate(number)
        if now is not None and then is not None:
            gain = now.value - then.value
            if gain > 0.02 and gain > SURE * math.hypot(now.error, then.error):
                on: Way = "down" if best < number else "up"  # it may get better still that way
                return _to(before, scene, best, due={**_afresh(before, scene), on: scene.at + STEADY_S})
    due = before.due
    if (scene.ceiling is None or number < scene.ceiling) and scene.at >= due.get("up", 0.0):
        far = scene.ceiling is None or scene.ceiling > 2 * number
        return _try(before, scene, "up", FAR_UP if far else UP)
    shown = scene.wall < LONG_S or scene.told or scene.rates.is_watched(scene.busy)
    if scene.at >= due.get("down", 0.0) and number >= DOWN_FROM and shown:
        return _try(before, scene, "down", DOWN)
    slack = scene.idle > 0.1 * scene.cores or wanted > 1.15 * scene.budget
    if slack and scene.at >= due.get("trim", 0.0) and number > 1:
        return _try(before, scene, "trim", TRIM)
    return before


def _afresh(search: Search, scene: Scene) -> dict[Way, float]:
    """When probes are due at another number: what was found of fewer was found of the number before."""
    return {**search.due, "down": min(search.due.get("down", 0.0), scene.at + FIRST_PROBE_S)}


def _stands_alone(rates: Rates, number: int) -> bool:
    """Whether so many use little only since they are few: more ran for longer between two waits."""
    return any(_strained(rates, more, number) for more in rates.seen() if more > number)


def _best(scene: Scene, most: int | None) -> int | None:
    """The visited number of workers with the best rate, its error counted against it; on full cores none above `most`,
    for what more of them seem to get done is chance."""
    ranked = [
        (rate.value - rate.error, workers) for workers in scene.rates.seen()
        if (most is None or workers <= most) and (rate := scene.rates.rate(workers))
    ]
    return round(max(ranked)[1]) if ranked else None


def _try(before: Search, scene: Scene, way: Way, step: float) -> Search:
    base = before.number
    if way != "up" and scene.busy < 0.95 * base - 1:
        base = round(scene.busy)
    to = math.ceil(base * (1 + step)) if way == "up" else math.floor(base * (1 - step))
    if way == "up":
        to = min(to, scene.ceiling or MOST, MOST)
    if bin_of(to) == bin_of(base):
        to = base + (1 if way == "up" else -1)
    if way == "up" and _worse(scene.rates, to, base):  # of fewer the costs are known too little
        to = round((base + to) / 2)
        if bin_of(to) == bin_of(base) or _worse(scene.rates, to, base):
            return msgspec.structs.replace(before, due={**before.due, way: scene.at + FIRST_PROBE_S})
    if to < 1 or to > MOST:
        return before
    length = max(8.0, min(2 * scene.wall, 90.0)) if way == "down" else max(6.0, min(scene.wall, 30.0))
    probe = Probe(way, base, to, scene.at, scene.at + length, scene.at + 4 * length, before.number)
    return msgspec.structs.replace(before, probe=probe, number=to, since=scene.at)


def _worse(rates: Rates, to: int, base: int) -> bool:
    """Whether it is known that so many workers get clearly less done."""
    there, here = rates.rate(to), rates.rate(base)
    if there is None or here is None:
        return _strained(rates, to, base)
    lost = here.value - there.value
    return lost > max(0.02, SURE * math.hypot(there.error, here.error)) or _strained(rates, to, base)


def _strained(rates: Rates, to: float, base: float, sure: float = STRAINED) -> bool:
    """Whether `to` workers, by how they run and wait, clearly get less done than `base`."""
    eased = rates.eased(to, base)
    return eased is not None and eased.value < -max(EASE, sure * eased.error)


def _judge(before: Search, probe: Probe, scene: Scene) -> Search:
    """Ends a probe that has been seen for long enough, and keeps its number if that got more done."""
    if not scene.pressing and probe.way == "up":
        if not scene.held:
            return _give_up(before, probe, scene)
        return msgspec.structs.replace(before, probe=None)  # memory lets fewer run: nothing speaks against that number
    there = abs(scene.busy - probe.to) <= max(1.0, 0.05 * probe.to)
    length = (probe.latest - probe.since) / 4
    until = probe.until if there else max(probe.until, scene.at + 0.7 * length)  # it is seen from when it is reached
    clear = probe.way == "down" and there and _strained(scene.rates, probe.base, probe.to, CLEAR)
    if scene.at < min(until, probe.latest) and not clear:
        if until != probe.until:
            probe = msgspec.structs.replace(probe, until=until)
            return msgspec.structs.replace(before, probe=probe)
        return before
    if not _better(probe, scene.rates):
        return _give_up(before, probe, scene)
    every: dict[Way, float] = {**before.every, probe.way: DOWN_EVERY_S if probe.way == "down" else FIRST_PROBE_S}
    due = _afresh(before, scene) if probe.way == "trim" else dict(before.due)
    if _strained(scene.rates, probe.base, probe.to):
        due["down"] = scene.at + STEADY_S
    due[probe.way] = scene.at + STEADY_S  # the next step the same way, soon
    return msgspec.structs.replace(before, probe=None, number=probe.to, since=scene.at, every=every, due=due)


def _give_up(before: Search, probe: Probe, scene: Scene) -> Search:
    most = {"up": UP_MOST_S, "trim": TRIM_MOST_S, "down": DOWN_EVERY_S}[probe.way]
    usual = DOWN_EVERY_S if probe.way == "down" else FIRST_PROBE_S
    every: dict[Way, float] = {**before.every, probe.way: min(most, 2 * before.every.get(probe.way, usual))}
    pause = every[probe.way]
    eased = scene.rates.eased(probe.to, probe.base)
    if probe.way == "down" and eased is not None and eased.value > max(EASE, eased.error):
        pause = FIRST_PROBE_S  # it may well be better, and was only not clear
    due: dict[Way, float] = {**before.due, probe.way: scene.at + pause}
    return msgspec.structs.replace(before, probe=None, number=probe.back, since=scene.at, every=every, due=due)


def _better(probe: Probe, rates: Rates) -> bool:
    base = probe.base
    if probe.way != "up" and rates.used(base) is None:  # so many never ran: there were more, on their way down
        base = min((round(more) for more in rates.seen() if more > base), default=base)
    used, base_used = rates.used(probe.to), rates.used(base)
    rate, base_rate = rates.rate(probe.to), rates.rate(base)
    if used is None or base_used is None or rate is None or base_rate is None:
        return False
    gained, sure_used = used.value - base_used.value, math.hypot(used.error, base_used.error)
    won, sure = rate.value - base_rate.value, math.hypot(rate.error, base_rate.error)
    match probe.way:
        case "up":
            more = gained > max(0.2 * math.log(probe.to / probe.base), 0.5 * sure_used) and won > 0
            return more and not _strained(rates, probe.to, probe.base)
        case "down":
            return won > max(0.02, SURE * sure) or _strained(rates, probe.base, probe.to)
        case "trim":
            return (gained > -0.015 and sure_used < 0.02) or _strained(rates, probe.base, probe.to)
