"""How many workers may run now: readings and a state go in, a new state and a decision with its reason come out.

Pure and replayable: no clock, no psutil, no chance of its own. Each rule has a room of its own: `others` what other
people want, `ceiling` what the cores can feed, `search` and `rates` what was measured to get most done, `kinds` and
`memory` what tasks need and what fits, `brake` what happens when memory comes worse than forecast. Here they are only
put together: the least of all binds, and is told with its numbers.
"""

from __future__ import annotations

import math

import msgspec

from gristmill.supervisor.core.figures import spoken
from gristmill.supervisor.core.governor import brake, ceiling, deference, throughput
from gristmill.supervisor.core.governor import kinds as learning
from gristmill.supervisor.core.governor import memory as room
from gristmill.supervisor.core.governor import offer as offering
from gristmill.supervisor.core.governor import others as people
from gristmill.supervisor.core.governor import search as seeking
from gristmill.supervisor.core.governor.brake import Grip
from gristmill.supervisor.core.governor.decision import Allow as Allow
from gristmill.supervisor.core.governor.decision import Binding as Binding
from gristmill.supervisor.core.governor.decision import Decision as Decision
from gristmill.supervisor.core.governor.decision import Fit as Fit
from gristmill.supervisor.core.governor.kinds import Kind as Kind
from gristmill.supervisor.core.governor.reading import Claim as Claim
from gristmill.supervisor.core.governor.reading import Ended as Ended
from gristmill.supervisor.core.governor.reading import Reading as Reading
from gristmill.supervisor.core.governor.reading import Running as Running
from gristmill.supervisor.core.governor.reading import Waiting as Waiting
from gristmill.supervisor.core.governor.search import Scene, Search
from gristmill.supervisor.core.governor.state import State as State
from gristmill.supervisor.core.governor.state import lasting as lasting
from gristmill.supervisor.core.governor.words import Facts, explain

PERIOD_S = 1.0
STEADY_S = 10.0
"""Fewer workers than memory allowed so long ago are a limit rather than the moment between two tasks."""
QUIET_S = 4.0
"""Beside others the limit rises at most so often."""
OVERFULL_S = 20.0
"""For so long clearly more runs than the cores can feed before that which is too much is stopped."""
PRESSING = 0.85
"""With so much of the wanted number busy, and work waiting, it is that number which binds."""


def decide(reading: Reading, state: State) -> tuple[State, Decision]:
    """The decision for this period."""
    dt = PERIOD_S if state.at is None else min(10.0, max(0.05, reading.at - state.at))
    kinds = learning.learn(state.kinds, reading, state.limit, dt, state.ages)
    mix, prevailing = throughput.mixed(state, reading, dt)
    state = msgspec.structs.replace(state, mix=mix, prevailing=prevailing)
    running = [task for task in reading.running if not task.stopped]
    active = float(len(running)) if len(running) < len(reading.running) else max(reading.busy, float(len(running)))
    use, wall = _mean(reading, kinds, mix, "use"), _mean(reading, learning.so_far(kinds, reading), mix, "wall") or 0.0

    seen = 0.0 if state.at is None else dt  # the first look is as brief as the daemon's start
    others = people.observe(reading, state.others, use, active, seen)
    state = msgspec.structs.replace(state, others=others)
    rates, marks = throughput.measure(state, reading, kinds, active, use, dt)
    moved = abs(others.demand - state.demand) > throughput.MOVED * reading.cores
    budget = min(people.budget(others, reading.cores), max(min(1.0, reading.cores / 2), reading.share * reading.cores))
    crowded = others.demand > people.SHARED * reading.cores
    alone = ceiling.alone(reading.cores, use)
    bound = ceiling.alone(budget, use)
    if crowded:
        yielding = reading.niced and others.niced.demand < people.NOISE * reading.cores
        bound = ceiling.shared(budget, use, others.demand, reading.cores, yielding)

    memory = state.memory.follow(reading)
    forecast = room.Forecast(reading, kinds, memory, {kind: share * active for kind, share in mix.items()})
    offer = offering.follow(state.offer, reading, others, forecast.growth)
    fits = room.fits(reading, kinds, memory, forecast, offer.size)
    busy_now = max(len(running), round(active))
    told = sum(task.progress is not None for task in running) > 0.5 * len(running)
    scene = Scene(
        at=reading.at, dt=dt, cores=reading.cores, budget=budget, ceiling=bound, use=use, wall=wall, busy=active,
        pressing=bool(reading.waiting) and active >= PRESSING * state.search.number,
        held=bool(reading.waiting) and state.limit < state.search.number,
        idle=reading.cores - reading.cpu_total,
        met=bool(reading.waiting) and all(kinds[line.kind].ends for line in reading.waiting),
        familiar=bool(reading.waiting) and all(kinds[line.kind].known for line in reading.waiting),
        told=told, shared=crowded, rates=rates,
    )
    search = state.search if reading.fixed is not None else _sought(state, scene, reading)
    wanted, raised = _limit(state, search, bound, crowded or reading.share < 1, reading)
    free = reading.fixed is None
    places = max(wanted, len(running) + deference.places(reading, kinds, budget)) if free else wanted
    after, grip = brake.apply(reading, forecast, brake.note(state.brake, reading.relieved), dt, places)
    cap = None if after.cap is None else math.floor(after.cap.number)
    overfull = state.overfull + dt if deference.is_overfull(reading, kinds, budget) else 0.0
    over = deference.Over(free and told and wall > seeking.LONG_S, free and overfull > OVERFULL_S)
    grip = deference.apply(grip, reading, wanted, over, others, kinds, budget)
    held = _held(reading, grip, cap, wanted)
    fits = _given_a_chance(fits, reading)

    first = reading.waiting[0].kind if reading.waiting else ""
    allowed = busy_now if held else _allowed(fits.get(first), busy_now, reading)
    fitting = None if grip.kill else _steadied(state.fitting, allowed, reading, after.doubt)
    if fitting is not None:
        allowed = fitting[0]
    facts = Facts(
        reading, search, others, rates, held, budget, use, bound, alone, allowed, fits.get(first), offer.size,
        bool(reading.waiting) and fits[first].most == 1 and not kinds[first].ends, wanted, busy_now,
    )
    binding, reason, allows = explain(facts)
    limit = wanted if allowed is None or reading.fixed is not None else min(wanted, max(1, allowed))
    if reading.share <= 0:  # in such hours all is left to others: what runs ends, nothing follows it
        limit, held = 0, reading.polite or "polite hours: nothing is started"
    after_all = msgspec.structs.replace(
        state, at=reading.at, kinds=kinds, demand=others.demand if moved else state.demand,
        rates=throughput.kept(state.rates, prevailing, rates) if prevailing else state.rates, search=search,
        memory=memory, offer=offer, brake=after, marks=marks, worked=state.worked + active * dt, limit=limit,
        raised=raised, fitting=fitting, overfull=overfull, ages=learning.ages(reading) if reading.waiting else None,
    )
    return after_all, Decision(
        limit=limit, binding=binding, reason=reason, allows=allows, fits=fits, stop=grip.stop, resume=grip.resume,
        kill=grip.kill, held=held,
    )


def relieve(at: float, available: float, state: State) -> tuple[State, tuple[str, ...]]:
    """A quick look at available memory between two readings: the tasks to end at once, most often none."""
    after, kill = brake.relieve(at, available, state.brake)
    return msgspec.structs.replace(state, brake=after), kill


def first_need(reading: Reading) -> float:
    """Bytes that a task is taken to need of whose kind nothing at all is known."""
    largest = max((task.memory for task in reading.running), default=0.0)
    return room.MARGIN * largest if largest else room.FIRST_SHARE * reading.memory_total


def memory_alarm(total: float, available: float, reserve: float | None = None) -> tuple[str, bool]:
    """(what is wrong with memory, whether nothing new may be started); "" while the reserve is whole.

    Below the reserve the room for new tasks is gone already, and only an idle pool starts one; below half of it even
    that one would be paid for by somebody else.
    """
    kept = room.reserve_of(total) if reserve is None else reserve
    if available >= kept:
        return "", False
    words = f"{spoken(available)} of {spoken(total)} are available, {spoken(kept)} are kept in reserve"
    return f"memory: {words}", available < kept / 2


def _mean(reading: Reading, kinds: dict[str, Kind], mix: dict[str, float], what: str) -> float | None:
    """The mean over the recent mix of what is known of each kind; of those that wait while none runs."""
    names = mix if reading.running or reading.ended else {line.kind: 1.0 for line in reading.waiting[:1]} or mix
    found = [(share, getattr(kinds[name], what)) for name, share in names.items() if name in kinds]
    known = [(share, value) for share, value in found if value is not None]
    whole = sum(share for share, _ in known)
    return sum(share * value for share, value in known) / whole if whole else None


def _sought(state: State, scene: Scene, reading: Reading) -> Search:
    if not reading.running and not reading.ended and not reading.waiting:
        return Search()  # begun anew with the next work
    return seeking.step(state.search, scene)


def _limit(
    state: State, search: Search, bound: int | None, yielding: bool, reading: Reading
) -> tuple[int, float]:
    """(workers that all but memory allows, when that was last raised beside others)."""
    if reading.fixed is not None:
        return reading.fixed, state.raised
    number = max(1, search.number)
    if not yielding or bound is None:
        return number, state.raised
    target, before = min(number, bound), state.limit or 1
    if target < before - max(0.6, 0.03 * before):
        return target, state.raised
    if target > before + max(0.8, 0.06 * before) and reading.at - state.raised >= QUIET_S:
        return target, reading.at
    return min(before, number), state.raised


def _held(reading: Reading, grip: Grip, cap: int | None, wanted: int) -> str:
    """What holds starts back: a brake, stopped tasks that go first, tasks that had to be ended."""
    if not reading.running:
        return ""  # on an idle machine one task always gets its chance
    if grip.words:
        return grip.words
    stopped = sum(task.stopped for task in reading.running)
    if grip.stop or stopped:
        going = len(reading.running) - stopped + len(grip.resume)
        waits = "memory: " if going < wanted else ""  # else fewer are wanted
        return f"{waits}stopped tasks go on first"
    if cap is not None and len(reading.running) >= cap:
        return f"memory: tasks had to be ended when more than {cap} ran"
    return ""


def _given_a_chance(fits: dict[str, Fit], reading: Reading) -> dict[str, Fit]:
    """On an idle machine the first that waits may start, whatever it is taken to need."""
    first = reading.waiting[0].kind if reading.waiting and not reading.running else ""
    if first not in fits or fits[first].need <= fits[first].room:
        return fits
    return fits | {first: Fit(fits[first].need, fits[first].need, 1)}  # nothing is counted, for nothing runs


def _steadied(
    before: tuple[int, float, float] | None, allowed: int | None, reading: Reading, doubt: float
) -> tuple[int, float, float] | None:
    """(workers that memory allows as it is told, when that was seen, what others held then): what lasts only seconds
    changes no limit, unless it is others who took the memory beyond `doubt`.

    What may be started is said by the fits, each second anew.
    """
    if allowed is None:
        return None
    at, theirs = reading.at, room.theirs(reading)
    if before is not None and before[0] > allowed and theirs - before[2] - doubt < room.reserve(reading):
        if allowed < 0.95 * before[0] and at - before[1] < STEADY_S:
            return before
        if allowed >= 0.95 * before[0]:
            return before[0], at, theirs
    return allowed, at, theirs


def _allowed(fit: Fit | None, busy: int, reading: Reading) -> int | None:
    """How many workers memory allows, None for any number."""
    if fit is None:
        return None
    if fit.most is not None:
        running = sum(task.kind == reading.waiting[0].kind for task in reading.running)
        return busy + max(0, fit.most - running)
    if fit.need < 1:  # not a byte
        return None
    return busy + max(0, math.floor(fit.room / fit.need))
