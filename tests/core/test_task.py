"""States and moves, and what an exit means."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.journal import Exit
from gristmill.supervisor.core.spec import Retry
from gristmill.supervisor.core.task import (
    TASK_FINAL,
    TASK_LIVE,
    TASK_MOVES,
    JobState,
    Outcome,
    Task,
    TaskState,
    advance,
    backoff,
    close,
    move,
    move_job,
    settle,
    settle_loss,
    settle_reboot,
)


def exit_(code: int | None = None, signal: int | None = None, why: str | None = None) -> Exit:
    return Exit(code, signal, why, 100.0, 101.0, 0.5, 1000, None, None, "")


def test_every_state_has_its_moves_in_the_table() -> None:
    assert set(TASK_MOVES) == set(TaskState)


def test_a_move_that_is_not_in_the_table_raises() -> None:
    with pytest.raises(ValueError, match="can't go from done to running"):
        move(TaskState.DONE, TaskState.RUNNING)
    with pytest.raises(ValueError, match="can't go from done to running"):
        move_job(JobState.DONE, JobState.RUNNING)


def test_a_final_state_is_left_only_into_the_queue() -> None:
    for state in TASK_FINAL:
        assert TASK_MOVES[state] <= {TaskState.QUEUED, TaskState.HELD}


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [
        (exit_(0), TaskState.DONE, ""),
        (exit_(3), TaskState.FAILED, "exit 3"),
        (exit_(137), TaskState.FAILED, "exit 137"),
        (exit_(signal=9), TaskState.FAILED, "SIGKILL"),
        (exit_(signal=15, why="timeout"), TaskState.TIMEOUT, "ran longer than 5 s"),
        (exit_(signal=15, why="cancel"), TaskState.CANCELED, "canceled by the user"),
        (exit_(0, why="timeout"), TaskState.TIMEOUT, "ran longer than 5 s"),
        (exit_(signal=15, why="evict"), TaskState.QUEUED, "ended to make room in memory; it is queued again"),
        (exit_(0, why="evict"), TaskState.QUEUED, "ended to make room in memory; it is queued again"),
    ],
)
def test_how_an_attempt_ended_is_what_it_is_called(end: Exit, state: TaskState, reason: str) -> None:
    outcome = settle(end, Retry(), 1, 5.0, 0.5)
    assert (outcome.state, outcome.reason) == (state, reason)


def test_a_failure_is_tried_again_until_the_attempts_are_used_up() -> None:
    retry = Retry(attempts=3, backoff_s=10.0)
    first = settle(exit_(1), retry, 1, None, 0.5)
    assert (first.state, first.delay_s) == (TaskState.QUEUED, 10.0)
    assert settle(exit_(1), retry, 2, None, 0.5).delay_s == 20.0
    assert settle(exit_(1), retry, 3, None, 0.5).state is TaskState.FAILED


@pytest.mark.parametrize(
    ("on", "end", "again"),
    [
        (("exit:75",), exit_(75), True),
        (("exit:75",), exit_(1), False),
        (("signal:9",), exit_(signal=9), True),
        (("exit:137",), exit_(signal=9), False),
        (("timeout",), exit_(signal=15, why="timeout"), True),
        (("failed",), exit_(4), True),
        (("lost",), exit_(4), False),
        ((), exit_(0), False),
        ((), exit_(signal=15, why="cancel"), False),
    ],
)
def test_only_named_causes_are_tried_again(on: tuple[str, ...], end: Exit, again: bool) -> None:
    outcome = settle(end, Retry(attempts=2, on=on), 1, None, 0.5)
    assert (outcome.state is TaskState.QUEUED) == again


def test_a_loss_is_tried_again_only_where_the_job_names_it() -> None:
    assert settle_loss(Retry(attempts=2), 1, 0.5).state is TaskState.LOST
    assert settle_loss(Retry(attempts=2, on=("lost",)), 1, 0.5).state is TaskState.QUEUED


def test_a_restart_of_the_machine_reruns_or_holds_as_the_job_says() -> None:
    assert settle_reboot("rerun").state is TaskState.QUEUED
    assert settle_reboot("hold").state is TaskState.INTERRUPTED


def test_backoff_doubles_with_jitter_and_has_a_ceiling() -> None:
    retry = Retry(attempts=9, backoff_s=10.0)
    assert [backoff(retry, n, 0.5) for n in (1, 2, 3)] == [10, 20, 40]
    assert backoff(retry, 1, 0.0) == 7.5
    assert backoff(retry, 1, 1.0) == 12.5
    assert backoff(retry, 50, 0.5) == 3600


@pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.PAUSED])
def test_an_eviction_is_no_attempt_and_waits_for_nothing(state: TaskState) -> None:
    retry = Retry(attempts=2, backoff_s=10.0, on=("exit:75",))
    task = advance(Task(job=1, number=2, start=2, count=1), TaskState.STARTING, attempts=2, run=7)
    running = advance(task, TaskState.RUNNING)
    if state is TaskState.PAUSED:
        running = advance(running, state)
    end = exit_(signal=9, why="evict")
    closed = close(running, end, settle(end, retry, 2, None, 0.5), 200.0)
    assert (closed.state, closed.attempts, closed.not_before, closed.run) == (TaskState.QUEUED, 1, 200.0, None)
    canceled = close(running, end, Outcome(TaskState.CANCELED, "canceled by the user"), 200.0)
    assert (canceled.state, canceled.attempts) == (TaskState.CANCELED, 2)


def test_only_what_runs_is_paused_and_it_runs_or_ends_afterwards() -> None:
    into = {state for state in TaskState if TaskState.PAUSED in TASK_MOVES[state]}
    assert into == {TaskState.RUNNING}
    assert TASK_MOVES[TaskState.PAUSED] == {TaskState.RUNNING, TaskState.QUEUED} | TASK_FINAL
    assert TaskState.PAUSED in TASK_LIVE


def test_a_closed_task_keeps_the_higher_of_both_memory_peaks() -> None:
    task = Task(job=1, number=2, start=2, count=1, memory_peak_bytes=5000)
    running = advance(advance(task, TaskState.STARTING, attempts=1, run=7), TaskState.RUNNING)
    closed = close(running, exit_(0), settle(exit_(0), Retry(), 1, None, 0.5), 200.0)
    assert closed.state is TaskState.DONE
    assert closed.memory_peak_bytes == 5000
    assert closed.run is None
    assert (closed.started_at, closed.ended_at, closed.cpu_s) == (100.0, 101.0, 0.5)
