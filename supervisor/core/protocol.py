"""The shapes that travel over the daemon's socket, one JSON object a line, and their meaning.

A request is `{"id": 7, "op": "tasks", …}`; its answer `{"id": 7, "ok": true, "data": …}` or
`{"id": 7, "ok": false, "error": "one line", "code": 2}`. After `subscribe` come `Update`s without an id: first a
whole one (`event = "snapshot"`), then one a second (`event = "delta"`) with the sequence number one higher each
time; a gap, or another `snapshot`, means that what was known before is void. Fields may be added, never changed.
What single questions are answered with stands in `answers`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = 1
LINE_LIMIT = 1 << 20
"""Bytes of a request at most. An answer is as long as it must be: a snapshot grows with the number of jobs."""


def number_of(text: str) -> int | None:
    """The id or task number that `text` spells, None when it is a name: digits alone, and no more than an id has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


class View(msgspec.Struct):
    """A part of what the daemon shows; times are seconds since the epoch, UTC."""


class ConditionView(View, kw_only=True):
    """A fault as a state: its kind, why, since when, and whether it holds back new tasks."""

    kind: str
    reason: str
    since: float
    holds: bool = True


class DaemonView(View, kw_only=True):
    """The daemon. `state` is `held` while one of `conditions` holds back new tasks; `reason` is that one's."""

    pid: int
    version: str
    uptime_s: float
    state: Literal["ok", "held"]
    reason: str = ""
    jobs_dir: str = ""
    state_dir: str = ""
    conditions: list[ConditionView] = []


class LimitView(View, kw_only=True):
    """How many workers may be busy now, and why. `mode` is `fixed` after `grist limit N`."""

    workers: int
    busy: int
    reason: str
    mode: Literal["auto", "fixed"] = "auto"


class MachineView(View, kw_only=True):
    """CPU figures are percent of all usable cores (0…100); `ours` are our tasks and the daemon."""

    cores: float
    cpu_percent: float
    cpu_ours_percent: float = 0.0
    memory_total_bytes: int
    memory_available_bytes: int
    memory_ours_bytes: int = 0
    load_1m: float = 0.0
    disk_free_bytes: int = 0


class WorkerView(View, kw_only=True):
    """A slot of the pool. `cpu_percent` counts 100 for each core used. `adopted`: left by an earlier daemon."""

    worker: int
    state: Literal["idle", "starting", "running", "stopping", "paused"]
    task: str | None = None
    job: int | None = None
    job_name: str | None = None
    start: int = 0
    count: int = 0
    attempt: int = 0
    pid: int | None = None
    cpu_percent: float = 0.0
    memory_bytes: int = 0
    started_at: float | None = None
    progress: float | None = None
    last_line: str = ""
    adopted: bool = False


class EngineView(View, kw_only=True):
    """An engine beyond this machine, such as Slurm, and what it has of ours: tasks that run there, and that wait in its
    queue. `silent` while it does not answer, `busy` while it takes no more. Of nodes and cores null where it does not
    tell."""

    name: str
    state: Literal["ok", "silent", "busy"] = "ok"
    reason: str = ""
    words: str = ""
    nodes: int | None = None
    cpus: int | None = None
    cpus_idle: int | None = None
    running: int = 0
    queued: int = 0
    notes: list[str] = []


class SnapshotView(View, kw_only=True):
    """The code that a job froze when it was accepted: so many `files` and bytes, copied to `folder`. Of a git
    repository: the commit, the files that differed from it (the first 200), and the file that holds the differences."""

    folder: str
    files: int
    bytes: int
    commit: str = ""
    changed: list[str] = []
    diff: str = ""
    untracked: int = 0


class JobView(View, kw_only=True):
    """A job as `status` shows it. `state`: queued, waiting, held, running, done, failed, canceled.

    `items_done` counts items whose task ended well, `items_failed` those whose task ended otherwise for good.
    """

    id: int
    name: str
    file: str
    state: str
    reason: str = ""
    items: int
    items_done: int = 0
    items_failed: int = 0
    tasks: int = 0
    tasks_running: int = 0
    submitted_at: float
    started_at: float | None = None
    ended_at: float | None = None
    eta_s: float | None = None
    priority: int = 0
    attempts: int = 1
    """Tries that a task has at most."""
    command: str = ""
    cpu_s_mean: float | None = None
    wall_s_mean: float | None = None
    memory_peak_bytes: int | None = None
    memory_need_bytes: int | None = None
    """What one more task is taken to need: claimed, learned, or raised after a lack of memory."""
    needs: dict[str, list[int | str]] = {}
    """The jobs that it waits for, by id or name: those that must have ended well (`after`), in any way (`after_any`) or
    badly (`after_failed`)."""
    notes: list[str] = []
    """What its file says and is not honoured, each with the reason."""
    snapshot: SnapshotView | None = None
    where: str = "local"
    """Where its tasks run: `local`, an engine such as `slurm`, or `auto`."""


class TaskView(View, kw_only=True):
    """A task as `status JOB` shows it. `id` is `JOB/NUMBER`; `log` is a path, or null while nothing was written. It
    `stands_for` more than one task where ranges that ended well are shown as one.

    While it runs: `progress` is 0…1 as it tells it itself, `ran_s` for how long it has run without the time that it
    was stopped, `left_s` what it will still take if it goes on as it told so far.
    """

    id: str
    number: int
    start: int
    count: int
    state: str
    reason: str = ""
    attempts: int = 0
    worker: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    log: str | None = None
    params: dict[str, Any] = {}
    gpus: list[str] = []
    """The cards that it has, or had."""
    where: str = "local"
    """Where it runs, or ran: `local`, or an engine such as `slurm`. What waits in an engine's queue is `queued`, with
    the engine's own REASON."""
    host: str = ""
    """The host there, and what the engine calls the task, such as `4711_3`."""
    engine_id: str = ""
    stands_for: int = 1
    progress: float | None = None
    ran_s: float | None = None
    left_s: float | None = None


class PastView(View, kw_only=True, array_like=True):
    """One second of the past, for graphs: `[time, CPU percent, memory percent, busy, limit]`."""

    time: float
    cpu_percent: float
    memory_percent: float
    busy: int
    workers: int


class DecisionView(View, kw_only=True):
    """A change of the limit, with the binding constraint and its numbers."""

    time: float
    before: int
    after: int
    reason: str


class Update(View, kw_only=True):
    """What a subscriber gets. In a delta `jobs` holds only those that changed; the rest is always whole.

    `decisions` holds the newest 50 in a snapshot, in a delta only new ones; `removed` names jobs that are gone;
    `history` holds the last ten minutes in a snapshot, nothing in a delta.
    """

    event: Literal["snapshot", "delta"]
    seq: int
    time: float
    daemon: DaemonView
    limit: LimitView
    machine: MachineView
    workers: list[WorkerView]
    engines: list[EngineView] = []
    jobs: list[JobView]
    jobs_more: int = 0
    """So many more jobs wait in the record; they come, as those before them begin."""
    removed: list[int] = []
    decisions: list[DecisionView] = []
    history: list[PastView] = []
