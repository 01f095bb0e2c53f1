"""Jain's index, and what two simple controllers do to each other: the measure must show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.simulator import fairness
from tests.simulator.controllers import Constant


def test_one_for_equals_and_a_half_where_one_of_two_has_all() -> None:
    assert fairness.jain(np.array([3.0, 3.0])) == pytest.approx(1)
    assert fairness.jain(np.array([5.0, 0.0])) == pytest.approx(0.5)


def test_twice_the_workers_are_twice_the_cpu() -> None:
    pair = fairness.PAIRS[0]
    fair = fairness.share(pair, (Constant(16), Constant(16)))
    unfair = fairness.share(pair, (Constant(16), Constant(48)))
    assert fair.jain > 0.99 and fair.used > 0.95
    assert unfair.jain == pytest.approx(0.8, abs=0.03)  # (1 + 3)² / (2 × (1 + 9))


def test_two_who_each_fill_the_memory_run_out_of_it() -> None:
    pair = next(one for one in fairness.PAIRS if one.name == "two users, growing memory")
    assert fairness.share(pair, (Constant(9), Constant(9))).ooms > 0
    alone = replace(pair, kinds=(pair.kinds[0], replace(pair.kinds[1], arrivals=((1e9, 1),))))
    assert fairness.share(alone, (Constant(9), Constant(9))).ooms == 0
