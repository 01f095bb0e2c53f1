"""One run: a scenario under its controllers, one a pool; what happened, second by second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.supervisor.core.governor.decision import Decision
from tests.simulator.controllers import Controller
from tests.simulator.look import Look
from tests.simulator.machine import STEP, Machine
from tests.simulator.rows import Floats
from tests.simulator.world import Scenario

A_SECOND = round(1 / STEP)


@dataclass(frozen=True, slots=True)
class Course:
    """Per second: `useful` work done (killed tasks' taken back), `cpu` used, `busy` and `limit` of each pool (seconds × pools);
    memory `available`; what others `wanted` of CPU and `lost`."""

    scenario: Scenario
    useful: Floats
    cpu: Floats
    busy: Floats
    limit: Floats
    available: Floats
    wanted: Floats
    lost: Floats
    waiting: Floats
    wasted: float
    ooms: int
    changes: int

    def rate(self, begin: float, end: float, pool: int | None = None) -> float:
        """Useful work a second."""
        first, last = round(begin), min(round(end), len(self.useful))
        useful = self.useful if pool is None else self.useful[:, pool : pool + 1]
        return float(useful[first:last].sum()) / max(1, last - first)

    def harm(self, begin: float = 0.0, end: float = 1e9) -> float:
        """Share of what others wanted that they did not get."""
        here = slice(round(begin), round(min(end, len(self.wanted))))
        return float(self.lost[here].sum() / max(self.wanted[here].sum(), 1e-9))


def dispatch(machine: Machine, pool: int, decision: Decision, taken: float) -> float:
    """Start what the decision lets start, kinds taking turns; gives the memory taken since the reading."""
    kinds = machine.scenario.kinds
    queues = machine.queues
    turn = [number for number, kind in enumerate(kinds) if kind.pool == pool and queues[number].waiting > 0]
    if machine.has_tiny and (machine.busy[pool] > decision.limit or len(turn) > 1 or not turn):
        machine.release_tiny(pool)
    free = decision.limit - machine.busy[pool]
    if free <= 0 or not turn:
        machine.early[pool].clear()
        return taken
    started = dict.fromkeys(turn, 0)
    at = machine.turns[pool]
    turn = [number for number in turn if number >= at] + [number for number in turn if number < at]
    while free > 0 and turn:
        for number in tuple(turn):
            if free <= 0:
                break
            queue, kind = queues[number], kinds[number]
            if started[number] >= queue.waiting or not decision.admits(
                kind.name, queue.running + started[number], taken
            ):
                turn.remove(number)
                continue
            fit = decision.fits.get(kind.name)
            taken += 0.0 if fit is None else fit.need
            started[number] += 1
            machine.turns[pool] = number + 1
            free -= 1
    for number, count in started.items():
        if count:
            machine.start(number, count)
    machine.early[pool].clear()
    return taken


def run(
    scenario: Scenario,
    controllers: Sequence[Controller],
    *,
    seed: int | None = None,
    give_up: bool = False,
    watch: Callable[[Machine, int, Decision], None] | None = None,
) -> Course:
    """Let the controllers govern; `give_up` ends at the first task that the kernel kills."""
    machine = Machine(scenario, seed)
    looks = [Look(machine, pool, scenario.seed) for pool in range(scenario.pools)]
    decisions: list[Decision | None] = [None] * scenario.pools
    taken = [0.0] * scenario.pools
    seconds = round(scenario.duration)
    kept = np.zeros((4, seconds, scenario.pools))
    lone = np.zeros((4, seconds))
    before_useful, before_cpu = machine.useful.copy(), machine.cpu.copy()
    before_wanted = before_lost = 0.0
    changes = 0
    done = seconds
    for step in range(seconds * A_SECOND):
        for pool, controller in enumerate(controllers):
            decision = decisions[pool]
            look = looks[pool]
            if controller.blind:
                decision = decisions[pool] = decision or controller.decide(None)  # type: ignore[arg-type]
            elif look.due():
                new = controller.decide(look.read())
                if decision is not None and new.limit != decision.limit:
                    changes += 1
                decision = decisions[pool] = new
                taken[pool] = 0.0
                if new.kill:
                    machine.kill(look.items(new.kill))
                if new.stop:
                    machine.stop(look.items(new.stop), True)
                if new.resume:
                    machine.stop(look.items(new.resume), False)
                if watch is not None:
                    watch(machine, pool, new)
            elif killed := controller.glance(machine.now, look.available()):
                machine.kill(look.items(killed))
            if decision is not None:
                taken[pool] = dispatch(machine, pool, decision, taken[pool])
        machine.advance()
        if machine.ooms and give_up:
            done = step // A_SECOND
            break
        if step % A_SECOND == A_SECOND - 1:
            second = step // A_SECOND
            kept[0, second] = machine.useful - before_useful
            kept[1, second] = machine.cpu - before_cpu
            kept[2, second] = machine.busy
            kept[3, second] = [one.limit if one else 0 for one in decisions]
            lone[:, second] = (
                machine.available, machine.wanted - before_wanted, machine.lost - before_lost,
                sum(queue.waiting for queue in machine.queues),
            )
            before_useful, before_cpu = machine.useful.copy(), machine.cpu.copy()
            before_wanted, before_lost = machine.wanted, machine.lost
    return Course(
        scenario, *(one[:done] for one in kept), *(one[:done] for one in lone), float(machine.wasted.sum()),
        machine.ooms, changes,
    )
