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
    """Per second: `useful` work done (killed tasks' taken back), `cpu` used, `busy` and `limit` of each pool
    (seconds × pools); memory `available`; what others `wanted` of CPU and `lost`."""

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


def dispatch(machine: Machine, pool: int, decision: Decision) -> None:
    """Start what the decision lets start, as the daemon does: of the kind with the fewest running, then of the one
    served longest ago."""
    kinds, queues = machine.scenario.kinds, machine.queues
    mine = [number for number, kind in enumerate(kinds) if kind.pool == pool and queues[number].waiting > 0]
    streams: dict[int, int] = {}
    if machine.has_tiny and (machine.busy[pool] > decision.limit or len(mine) > 1 or not mine):
        streams = machine.streams(pool)  # their workers are between two tasks at any moment, and may take any next
    held = {number: queues[number].running - streams.get(number, 0) for number in range(len(kinds))}
    free = decision.limit - machine.busy[pool] + sum(streams.values())
    started = dict.fromkeys(mine, 0)
    running = {kind.name: held[number] for number, kind in enumerate(kinds) if kind.pool == pool}
    while free > 0 and mine:
        number = min(mine, key=lambda one: (held[one] + started[one], machine.served[one]))
        kind, queue, count = kinds[number], queues[number], started[number]
        if count >= queue.waiting or not decision.admits(kind.name, running):
            mine.remove(number)
            continue
        running[kind.name] += 1
        started[number] += 1
        machine.starts += 1
        machine.served[number] = machine.starts
        free -= 1
    for number, count in streams.items():
        machine.drop_streams(number, max(0, count - started.get(number, 0)))
    for number, count in started.items():
        if more := max(0, count - streams.get(number, 0)):
            machine.start(number, more)
    machine.succession.clear(pool)


class Governed:
    """One pool under its controller."""

    def __init__(self, machine: Machine, pool: int, controller: Controller) -> None:
        self._machine, self._pool, self._controller = machine, pool, controller
        self._look = Look(machine, pool, machine.scenario.seed)
        self.decision: Decision | None = controller.settled
        self.changes = 0

    def act(self) -> Decision | None:
        """What is started, looked at, decided and done between two steps; gives a fresh decision."""
        if self.decision is not None:
            dispatch(self._machine, self._pool, self.decision)
        if self._controller.settled is not None:
            return None
        if not self._look.due():
            if killed := self._controller.glance(self._machine.now, self._look.available()):
                self._machine.kill(self._look.items(killed))
            return None
        new = self._controller.decide(self._look.read())
        self.changes += self.decision is not None and new.limit != self.decision.limit
        self.decision = new
        if new.kill:
            self._machine.kill(self._look.items(new.kill))
        if new.stop:
            self._machine.stop(self._look.items(new.stop), True)
        if new.resume:
            self._machine.stop(self._look.items(new.resume), False)
        dispatch(self._machine, self._pool, new)
        return new


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
    pools = [Governed(machine, number, controller) for number, controller in enumerate(controllers)]
    seconds = round(scenario.duration)
    kept = np.zeros((seconds + 1, 4 * scenario.pools + 4))  # all of it cumulative, or as it is then
    done = seconds
    for step in range(seconds * A_SECOND):
        for number, governed in enumerate(pools):
            decision = governed.act()
            if watch is not None and decision is not None:
                watch(machine, number, decision)
        machine.advance()
        if machine.ooms and give_up:
            done = step // A_SECOND
            break
        if step % A_SECOND == A_SECOND - 1:
            kept[step // A_SECOND + 1] = (
                *machine.useful, *machine.cpu, *machine.busy_time,
                *(one.decision.limit if one.decision else 0 for one in pools),
                machine.available, machine.others.wanted, machine.others.lost,
                sum(queue.waiting for queue in machine.queues),
            )
    grown, now = np.diff(kept[: done + 1], axis=0), kept[1 : done + 1]
    useful, cpu, busy = np.split(grown[:, : 3 * scenario.pools], 3, axis=1)
    return Course(
        scenario=scenario, useful=useful, cpu=cpu, busy=busy, limit=now[:, 3 * scenario.pools : -4],
        available=now[:, -4], wanted=grown[:, -3], lost=grown[:, -2], waiting=now[:, -1],
        wasted=float(machine.wasted.sum()), ooms=machine.ooms, changes=sum(one.changes for one in pools),
    )
