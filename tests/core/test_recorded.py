"""A recorded run of a real daemon, decided once more: what somebody who watched it would have seen.

Two cores, tasks of about a second that compute. After a while another process takes a core for fifteen seconds; at the
end the job is canceled and a small one comes. Nothing here is about single numbers of a decision, so that the rules may
become better: the readings stay what they were.
"""

from __future__ import annotations

import gzip
from functools import cache
from statistics import mean
from typing import NamedTuple

from gristmill.supervisor.core import governor, trace
from gristmill.supervisor.core.governor import Binding, Decision, Reading
from tests.core.traces.neighbour import BEGINS_S, CORES, ENDS_S, OVER_S, SMALL, TRACE

SETTLED_S = 15.0


class Moment(NamedTuple):
    """One period of it, decided anew."""

    at: float
    reading: Reading
    state: governor.State
    decision: Decision


@cache
def moments() -> list[Moment]:
    """All periods."""
    found: list[Moment] = []
    with gzip.open(TRACE) as lines:
        for line in trace.read(lines):
            if isinstance(line, trace.Header):
                state = trace.state(line, governor.State)
            elif isinstance(line, trace.Step):
                state, decision = governor.decide(line.reading, state)
                first = found[0].reading.at if found else line.reading.at
                found.append(Moment(line.reading.at - first, line.reading, state, decision))
    return found


def limits(begin: float, end: float) -> list[int]:
    """The limits between two moments."""
    return [moment.decision.limit for moment in moments() if begin <= moment.at < end]


def test_it_settles_at_the_cores() -> None:
    found = limits(SETTLED_S, BEGINS_S)
    assert set(found) <= {CORES - 1, CORES, CORES + 1}
    assert round(mean(found)) == CORES


def test_it_yields_to_another_process_within_five_seconds_and_returns_within_fifteen() -> None:
    beside = limits(BEGINS_S + 5, ENDS_S)
    assert len(beside) > 5
    assert round(mean(beside)) == CORES - 1
    afterwards = limits(ENDS_S + 15, OVER_S)
    assert len(afterwards) > 3
    assert round(mean(afterwards)) == CORES


def test_others_are_the_reason_while_they_are_there_and_not_without_them() -> None:
    beside = [moment.decision.binding for moment in moments() if BEGINS_S + 5 <= moment.at < ENDS_S]
    assert beside.count(Binding.OTHERS) > 0.8 * len(beside)
    alone = [moment.decision.binding for moment in moments() if SETTLED_S <= moment.at < BEGINS_S]
    assert alone.count(Binding.OTHERS) < 0.2 * len(alone)


def test_every_decision_has_its_reason_and_nobody_is_stopped_or_ended() -> None:
    for moment in moments():
        decision = moment.decision
        assert decision.reason.startswith(f"{decision.binding}: ")
        assert len(decision.reason) > len(f"{decision.binding}: ")
        assert (decision.stop, decision.kill, decision.held) == ((), (), "")
        assert decision.limit >= 1


def test_what_tasks_need_is_learned_from_it_and_kept() -> None:
    last = moments()[-1]
    (burn,) = (kind for name, kind in governor.lasting(last.state).kinds.items() if name.startswith("burn#"))
    ended = [end for moment in moments() for end in moment.reading.ended if end.kind.startswith("burn#")]
    assert burn.ends == sum(end.count for end in ended) > 50
    assert min(end.wall for end in ended) <= burn.wall <= max(end.wall for end in ended)
    assert 0.5 < (burn.use or 0.0) <= 1.1
    assert min(end.peak for end in ended) <= burn.peak.mean <= max(end.peak for end in ended)


def test_of_the_small_job_after_it_one_task_goes_first_and_then_all() -> None:
    readings = (moment.reading for moment in moments())
    first = next(one for one in readings if any(task.kind.startswith("tidy#") for task in one.running))
    several = sum(task.kind.startswith("tidy#") for task in first.running) > 1
    assert not several or any(end.kind.startswith("tidy#") for end in first.ended), "several before the first has ended"
    ended = [end for moment in moments() for end in moment.reading.ended if end.kind.startswith("tidy#")]
    assert sum(end.count for end in ended) == SMALL
    assert moments()[-1].decision.binding is Binding.WORK


def test_it_tells_nothing_of_the_machine_that_it_was_recorded_on() -> None:
    with gzip.open(TRACE) as lines:
        assert b"/" not in lines.read()
