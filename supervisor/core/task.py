"""The states of a task and of a job, and the moves between them.

The rules of this room: a move that is not in the table raises; a final state is left only by a user's `retry`; how
an attempt ended is decided here and nowhere else. Signal 9 is not exit code 137.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from gristmill.supervisor.core.journal import Exit, Key
from gristmill.supervisor.core.spec import Retry


class TaskState(StrEnum):
    """Where a task is in its life."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    CANCELED = "canceled"
    LOST = "lost"
    INTERRUPTED = "interrupted"
    HELD = "held"


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    HELD = "held"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


T, J = TaskState, JobState

TASK_FINAL = frozenset({T.DONE, T.FAILED, T.TIMEOUT, T.OOM, T.CANCELED, T.LOST, T.INTERRUPTED})
TASK_LIVE = frozenset({T.STARTING, T.RUNNING, T.PAUSED})
JOB_FINAL = frozenset({J.DONE, J.FAILED, J.CANCELED})
EVICTED = "ended to make room in memory; it is queued again"
"""The reason of a task that was evicted, and of a live one that is being."""

NO_START = "cannot start"
"""How the text of an exit begins where nothing could be started for the task."""

_ENDS = TASK_FINAL | {T.QUEUED}  # an attempt's end: for good, or back into the queue
TASK_MOVES: dict[TaskState, frozenset[TaskState]] = {
    T.QUEUED: frozenset({T.STARTING, T.CANCELED}),
    T.STARTING: frozenset({T.RUNNING}) | _ENDS,
    T.RUNNING: frozenset({T.PAUSED}) | _ENDS,
    T.PAUSED: frozenset({T.RUNNING}) | _ENDS,
    T.HELD: frozenset({T.QUEUED, T.CANCELED}),
    **dict.fromkeys(TASK_FINAL, frozenset({T.QUEUED})),
    T.INTERRUPTED: frozenset({T.QUEUED, T.HELD}),
}
JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    J.QUEUED: frozenset({J.RUNNING, J.HELD, J.CANCELED, J.DONE, J.FAILED}),
    J.HELD: frozenset({J.QUEUED}) | JOB_FINAL,  # what runs goes on, and may be the last of it
    J.RUNNING: frozenset({J.QUEUED, J.HELD}) | JOB_FINAL,
    **dict.fromkeys(JOB_FINAL, frozenset({J.QUEUED})),
}


def move(state: TaskState, to: TaskState) -> TaskState:
    """`to`, when the table allows it; raises ValueError otherwise."""
    if to not in TASK_MOVES[state]:
        raise ValueError(f"a task can't go from {state} to {to}")
    return to


def move_job(state: JobState, to: JobState) -> JobState:
    """`to`, when the table allows it; raises ValueError otherwise."""
    if to not in JOB_MOVES[state]:
        raise ValueError(f"a job can't go from {state} to {to}")
    return to


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an ended attempt means: `state` is final, or QUEUED when it is tried again after `delay_s` seconds."""

    state: TaskState
    reason: str
    delay_s: float = 0.0


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; real-time signals by number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def judge(end: Exit, timeout_s: float | None) -> tuple[TaskState, str, str]:
    """The state, the cause as `retry.on` names it, and the reason shown, of one ended attempt."""
    if end.why == "timeout":
        return T.TIMEOUT, "timeout", end.raised or (f"ran longer than {timeout_s:g} s" if timeout_s else "ran too long")
    if end.why == "cancel":
        return T.CANCELED, "", end.raised or "canceled by the user"
    if end.oom:
        held = f" at {end.memory_bytes / 1e9:.2g} GB" if end.memory_bytes else ""
        words = f"killed for lack of memory{held}"
        return T.OOM, "oom", f"{words}; {end.text}" if end.text else words
    if end.raised:
        return T.FAILED, f"exit:{end.exit_code}", f"{end.raised}; {end.text}" if end.text else end.raised
    if end.signal is not None:
        name = signal_name(end.signal)
        return T.FAILED, f"signal:{end.signal}", f"{name}; {end.text}" if end.text else name
    if end.exit_code:
        word = f"exit {end.exit_code}"
        if end.text.startswith(NO_START):
            return T.FAILED, f"exit:{end.exit_code}", end.text
        return T.FAILED, f"exit:{end.exit_code}", f"{word}; {end.text}" if end.text else word
    return T.DONE, "", end.text


def backoff(retry: Retry, attempt: int, jitter: float) -> float:
    """Seconds before the try after `attempt` (from 1): doubling, capped at an hour, times 1 ± 0.25 by `jitter` 0…1."""
    return min(3600.0, retry.backoff_s * 2.0 ** min(attempt - 1, 30)) * (0.75 + 0.5 * jitter)


def retried(retry: Retry, attempt: int, state: TaskState, cause: str) -> bool:
    """Whether an attempt that ended so is tried again; a loss only where the job names it."""
    if attempt >= retry.attempts or state in (T.DONE, T.CANCELED):
        return False
    if retry.on:
        return cause in retry.on or ("failed" in retry.on and state is T.FAILED)
    return state is not T.LOST


def settle(end: Exit, retry: Retry, attempt: int, timeout_s: float | None, jitter: float) -> Outcome:
    """The outcome of attempt number `attempt` (from 1). One that was evicted is none: it did nothing wrong."""
    if end.why == "evict":
        return Outcome(T.QUEUED, EVICTED)
    state, cause, reason = judge(end, timeout_s)
    if retried(retry, attempt, state, cause):
        return Outcome(T.QUEUED, f"attempt {attempt} of {retry.attempts}: {reason}", backoff(retry, attempt, jitter))
    return Outcome(state, reason)


def divisible(task: Task, end: Exit) -> bool:
    """Whether a range of items ended so that its halves may tell which item is to blame: not one that never began."""
    if task.count < 2 or end.why in ("cancel", "evict") or end.text.startswith(NO_START):
        return False
    return judge(end, None)[0] is not T.DONE


def settle_loss(
    retry: Retry, attempt: int, jitter: float, reason: str = "its worker was killed; how it ended is not known"
) -> Outcome:
    """The outcome of an attempt whose worker vanished without an exit record."""
    if retried(retry, attempt, T.LOST, "lost"):
        return Outcome(T.QUEUED, f"attempt {attempt} of {retry.attempts}: {reason}", backoff(retry, attempt, jitter))
    return Outcome(T.LOST, reason)


def settle_reboot(on_reboot: str) -> Outcome:
    """The outcome of an attempt that the machine's restart cut off; it doesn't count as an attempt."""
    if on_reboot == "rerun":
        return Outcome(T.QUEUED, "interrupted by a restart of the machine")
    return Outcome(T.INTERRUPTED, "interrupted by a restart of the machine; `grist retry` runs it again")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as the store keeps it; one that was never handed out has no record, its job's cursor implies it.

    `attempts` counts the tries so far, this one included. `run` is the run folder in which the fate of a live
    attempt is written, `worker` the number of its slot. While QUEUED, it is not tried before `not_before`. It
    `stands_for` more than one where ranges that ended well were put together (see `guided`).
    """

    job: int
    number: int
    start: int
    count: int
    state: TaskState = TaskState.QUEUED
    reason: str = ""
    attempts: int = 0
    run: int | None = None
    worker: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    log: str | None = None
    not_before: float = 0.0
    stands_for: int = 1
    gpus: str = ""
    """The cards that its attempt has, or had, with commas between them."""
    place: str = ""
    """Where its attempt runs, or ran, if that is not this machine (see `remote.Place`)."""
    host: str = ""
    """The host there, once that is known."""
    engine_id: str = ""
    """What the engine there calls it, such as `4711_3`."""

    @property
    def is_finish(self) -> bool:
        """Whether it is its job's [finally] step, which has no items."""
        return self.count == 0

    @property
    def key(self) -> Key:
        """What the worker calls the current attempt."""
        return Key(self.job, self.number, self.attempts)


def note(task: Task, **facts: Any) -> Task:
    """`task` with `facts` about it, its state unchanged."""
    return msgspec.structs.replace(task, **facts)


def advance(task: Task, to: TaskState, **facts: Any) -> Task:
    """`task` in state `to`, with `facts` about it; raises ValueError for a move that is not allowed."""
    return msgspec.structs.replace(task, state=move(task.state, to), **facts)


def close(task: Task, end: Exit, outcome: Outcome, now: float) -> Task:
    """`task` after its attempt ended so: final, or queued again until its delay is over; an eviction is not counted."""
    uncounted = end.why == "evict" and outcome.state is T.QUEUED
    return advance(
        task,
        outcome.state,
        reason=outcome.reason,
        attempts=task.attempts - uncounted,
        exit_code=end.exit_code,
        signal=end.signal,
        started_at=end.started_at,
        ended_at=end.ended_at,
        cpu_s=end.cpu_s,
        memory_peak_bytes=max(end.memory_bytes, task.memory_peak_bytes or 0),
        log=end.log,
        run=None,
        pid=None,
        not_before=now + outcome.delay_s,
    )
