"""How well a controller did, beside the best constant number of workers of each segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.simulator.controllers import SIMPLE, make
from tests.simulator.run import Course, run
from tests.simulator.world import Scenario
from tests.simulator.yardstick import best

STEADY, CLIFF, WHOLE, REACHED = 0.93, 0.85, 0.88, 75.0
"""Bars for each named scenario: steady state (where there is a cliff), whole run with its ramp, seconds to 90 %."""
SETTLE, RESETTLE = 150.0, 60.0
"""The steady state begins so long after the start, and after a change; at most 40 % of a segment is left out."""


@dataclass(frozen=True, slots=True)
class Score:
    """`steady`, `whole`: share of the best; `reached`: seconds until 90 % of it; `wasted`: share of the work done;
    `changes` a minute; `harm`: share of others' demand."""

    name: str
    controller: str
    workers: tuple[int, ...]
    steady: float
    whole: float
    reached: float
    ooms: int
    wasted: float
    changes: float
    harm: float


def judge(course: Course, controller: str) -> Score:
    """The scores of one course of one pool."""
    scenario = course.scenario
    useful = course.useful.sum(axis=1)
    seconds = np.arange(len(useful))
    works = course.waiting > 0
    marks = [best(scenario, segment) for segment in scenario.segments]
    ideal = np.zeros(len(useful))
    steady = np.zeros(len(useful), bool)
    for (begin, end), mark in zip(scenario.segments, marks, strict=True):
        here = (seconds >= begin) & (seconds < end)
        ideal[here] = mark.rate
        settle = min(SETTLE if begin == 0 else RESETTLE, 0.4 * (end - begin))
        steady |= here & (seconds >= begin + settle)
    recent = np.convolve(useful, np.ones(10) / 10)[: len(useful)] if len(useful) else useful
    there = np.flatnonzero(recent >= 0.9 * ideal)
    return Score(
        name=scenario.name, controller=controller, workers=tuple(mark.workers for mark in marks),
        steady=float(useful[steady & works].sum() / max(ideal[steady & works].sum(), 1e-9)),
        whole=float(useful[works].sum() / max(ideal[works].sum(), 1e-9)),
        reached=max(1.0, float(there[0] - 4)) if len(there) else np.inf,  # the middle of those ten seconds
        ooms=course.ooms,
        wasted=course.wasted / max(course.wasted + float(useful.sum()), 1e-9),
        changes=course.changes / (scenario.duration / 60),
        harm=course.harm(),
    )


def score(scenario: Scenario, controller: str) -> Score:
    """Run and judge; after a task killed by the kernel a simple controller's run is over."""
    one = make(controller, scenario.hardware.cores)
    return judge(run(scenario, [one], give_up=controller in SIMPLE), controller)
