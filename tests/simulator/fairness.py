"""Two governors of two users on one machine: how CPU is shared, and whether their memory ever kills."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tests.simulator.controllers import Controller, make
from tests.simulator.run import run
from tests.simulator.world import ENDLESS, GB, NICED, Hardware, Kind, Memory, Scenario

SECOND = 120.0
"""When the second user's work comes."""
FAIR, WITHIN = 0.9, 60.0
"""Jain's index of CPU, over a minute that begins so long after."""

_CPU = Kind("mine", 12, Memory(0.3 * GB), share=0.95)
_GROW = Kind("mine", 45, Memory(3 * GB, floor=0.1, ramp=0.2, creep=0.5), share=0.9)


def _pair(name: str, hardware: Hardware, kind: Kind, other: Kind | None = None) -> Scenario:
    second = replace(other or kind, name="theirs", pool=1, arrivals=((SECOND, ENDLESS),))
    return Scenario(name, hardware, (kind, second), 600, weight=NICED)


PAIRS = (
    _pair("two users, CPU", Hardware(16, 64 * GB), _CPU),
    _pair("two users, CPU, 4 cores", Hardware(4, 16 * GB), _CPU),
    _pair("two users, short against long tasks", Hardware(16, 64 * GB), replace(_CPU, wall=90.0),
          replace(_CPU, wall=2.0)),
    _pair("two users, tasks that wait", Hardware(16, 64 * GB), replace(_CPU, share=0.4)),
    _pair("two users, growing memory", Hardware(16, 32 * GB), _GROW),
    _pair("two users, growing memory, 8 cores", Hardware(8, 16 * GB), _GROW, replace(_GROW, wall=20.0)),
)


@dataclass(frozen=True, slots=True)
class Shared:
    """`jain` of CPU over the minute that begins a minute after the second came; `later`: over all after that;
    `used`: CPU of both then, of the cores."""

    name: str
    jain: float
    later: float
    used: float
    ooms: int
    wasted: float


def jain(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """1 where all have the same, 1/n where one has all."""
    return float(shares.sum() ** 2 / (len(shares) * (shares**2).sum() + 1e-12))


def share(scenario: Scenario, controllers: tuple[Controller, Controller]) -> Shared:
    course = run(scenario, controllers)
    first = round(SECOND + WITHIN)
    minute, later = course.cpu[first : first + 60].sum(axis=0), course.cpu[first:].sum(axis=0)
    return Shared(
        scenario.name, jain(minute), jain(later),
        float(course.cpu[first:].sum() / max(1, len(course.cpu) - first) / scenario.hardware.cores),
        course.ooms, course.wasted / max(course.wasted + float(course.useful.sum()), 1e-9),
    )


def report(controller: str) -> None:
    """A Markdown table."""
    print("| pair | Jain, second minute | later | CPU used | OOM | wasted |\n|---|---|---|---|---|---|")
    for scenario in PAIRS:
        cores = scenario.hardware.cores
        one = share(scenario, (make(controller, cores), make(controller, cores)))
        print(f"| {one.name} | {one.jain:.2f} | {one.later:.2f} | {100 * one.used:.0f} % | {one.ooms} "
              f"| {100 * one.wasted:.1f} % |")
