"""What a job is, once its file has been understood: frozen values that the store keeps as JSON.

Owns the types and nothing else. How a file becomes a `Spec` is `jobfile`'s, which item is which is `items`', and
what is started for a task is `launch`'s.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from gristmill.supervisor.core.hours import Window

Value: TypeAlias = str | int | float | bool
"""A parameter of an item, as TOML writes scalars."""
Ref: TypeAlias = int | str
"""Another job, by its id or its name; of several with one name the newest."""
PRIORITY_MOST = 1_000_000
"""Priorities go from so much below 0 to so much above."""

Notify: TypeAlias = bool | str | tuple[str, ...]
"""Who is told of a job: nobody, whom the settings name, or a command of its own (a shell line, an argv, or
`apprise:URL`)."""


class Frozen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that is compared by its fields and never changed."""


class Axis(Frozen, frozen=True, kw_only=True):
    """One parameter of a grid, with the values that it takes in turn: written out, or as Python's `range`.

    Read them by `items.values`, so that a million seeds stay three numbers.
    """

    name: str
    values: tuple[Value, ...] = ()
    range: tuple[int, int, int] | None = None


class Items(Frozen, frozen=True, kw_only=True):
    """The items of a job as a count and a rule: a million items are as small as one.

    `total` counts items after exclusion. With `axes`, an item is a point of their product, the last axis running
    fastest, or with `paired` the i-th value of each. `excluded` lists product indexes that are left out, ascending.
    With `cases`, item i is the i-th case; with both, the cases come after the points. With neither, an item is only
    its index 0…total-1. `per_task` is None where the daemon chooses how many items each task gets. While they are
    `open` more may come: `total` counts those there are by now; it says what becomes of those that wait when the
    program that sends them goes away.
    """

    total: int = 1
    per_task: int | None = 1
    axes: tuple[Axis, ...] = ()
    paired: bool = False
    excluded: tuple[int, ...] = ()
    cases: tuple[dict[str, Value], ...] = ()
    open: Literal["", "cancel", "keep"] = ""


class Retry(Frozen, frozen=True, kw_only=True):
    """How often a failed task is tried again. `on` empty: after any failure, timeout or loss of memory."""

    attempts: int = 1
    backoff_s: float = 10.0
    on: tuple[str, ...] = ()


class Gate(Frozen, frozen=True, kw_only=True):
    """When it may begin: after other jobs (that ended well, in any way, badly), at a time, in some hours.

    `start` is as `gate.first` reads it, counted from when the job was submitted. One that has not begun `expires_s`
    after that never does. Only `only` binds a job that has begun.
    """

    after: tuple[Ref, ...] = ()
    after_any: tuple[Ref, ...] = ()
    after_failed: tuple[Ref, ...] = ()
    singleton: bool = False
    """Whether it waits for all earlier jobs of its name."""
    start: str = ""
    only: tuple[Window, ...] = ()
    expires_s: float | None = None


class Limits(Frozen, frozen=True, kw_only=True):
    """Bounds of this job alone. A log that grows past `log_bytes` loses its middle."""

    workers: int | None = None
    log_bytes: int | None = None
    failures: int | None = None
    """When so many tasks have failed alike the job fails."""
    time_s: float | None = None
    """From its first start: then it fails, and what runs of it is ended."""


class Resources(Frozen, frozen=True, kw_only=True):
    """What a task claims; what is left out is learned."""

    cpus: float | None = None
    memory_bytes: int | None = None
    strict: bool = False
    """Whether the kernel refuses a task more address space than `memory_bytes`."""
    gpus: int | None = None
    gpu_memory_bytes: int | None = None
    """Of the memory of each card; then others may be on it as well."""
    counters: dict[str, float] = {}
    """What it takes of things that the settings count, by name."""

    @property
    def cards(self) -> int:
        """How many GPUs it uses."""
        return self.gpus or (self.gpu_memory_bytes is not None)


class Recycle(Frozen, frozen=True, kw_only=True):
    """When a process that makes one call after another is replaced by a fresh one; None: not for that."""

    tasks: int | None = None
    memory_bytes: int | None = None
    """Growth past what it held after its first call."""


class Remark(Frozen, frozen=True, kw_only=True):
    """What became of a line of a script that was written for Slurm: `honoured`, `not honoured`, `overridden` or
    `not read`, and what is to be said of that."""

    line: int
    option: str
    fate: str
    words: str = ""


class Slurm(Frozen, frozen=True, kw_only=True):
    """What a script with `#SBATCH` lines sees of Slurm beside the keys that they came to.

    With `array` the one parameter of an item is its id in Slurm's array. `ntasks` 0: not said. `submit` is the folder
    that it was submitted from. `output` and `error` are names of files as sbatch has them, into which the logs are
    copied when a task has ended, "" for none; `append` to what is there.
    """

    array: bool = False
    ntasks: int = 0
    keeps: tuple[str, ...] | None = None
    """Of the daemon's environment tasks have these variables alone, beside those that a login sets; None: all."""
    partition: str = ""
    submit: str = ""
    output: str = ""
    error: str = ""
    append: bool = False
    old_names: bool = False
    """Whether it asks for variables by names that Slurm has given up. Programs take these for an allocation."""
    stand_ins: bool = False
    """Whether it calls srun or another of Slurm's commands for which something stands in where there is none."""
    remarks: tuple[Remark, ...] = ()


class Batch(Frozen, frozen=True, kw_only=True):
    """What is passed on to a batch system, each as that calls it; `extra` are options of sbatch in its own words.

    `prologue` are lines of bash that come before the tasks on a node, such as `module load python`. `time_s` is the
    longest that a slot may take, where the job has no timeout to tell it.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    extra: tuple[str, ...] = ()
    prologue: str = ""
    time_s: float | None = None


class Call(Frozen, frozen=True, kw_only=True):
    """A function that is called for each task, in an interpreter that has imported its module.

    `python` is that interpreter (a path, or a name on PATH), None for that of the job's environment, else our own.
    `takes` says what it is given: nothing; the parameters of an item, by name; the index of an item; or the first item
    and the number of items. `recycle` None: each call has a process of its own.
    """

    target: str
    preload: str | None = None
    python: str | None = None
    takes: Literal["nothing", "parameters", "index", "range"] = "nothing"
    recycle: Recycle | None = None


class Snapshot(Frozen, frozen=True, kw_only=True):
    """Code that is frozen when the job is accepted: files by patterns below the working folder, or what git tracks.

    What follows `cwd` is known from then on: `tree` is the copy of the working folder, somewhere in `folder`; of what
    git tracks, `commit` is the commit, `changed` the files that differ from it (the first 200; all differences are in
    `diff.patch` in `folder`), and `untracked` the number of files that git knows nothing of, which are not frozen.
    """

    files: tuple[str, ...] = ()
    git: bool = False
    cwd: bool = False
    """Whether tasks run in the copy."""
    folder: str = ""
    tree: str = ""
    count: int = 0
    bytes: int = 0
    commit: str = ""
    changed: tuple[str, ...] = ()
    untracked: int = 0


class Finish(Frozen, frozen=True, kw_only=True):
    """The step that runs once when all tasks have ended: whatever came of them, or only where all are `done`.

    With `call` the command is empty: that function is called, where the job's own is, with the file of the results.
    """

    command: str | tuple[str, ...] = ()
    call: str | None = None
    on: Literal["ended", "done"] = "ended"
    timeout_s: float | None = None


class Spec(Frozen, frozen=True, kw_only=True):
    """A job in full, every default filled in, every path absolute.

    `command` is a template: a string is run by `sh -c`, a tuple is an argv. `kind` says where it came from: for a
    `script` the placeholder `{script}` is `script`, the path of the frozen copy, which is set at acceptance; for a
    `list` each item's `line` is a shell command, taken as written; for a `call` the command is empty.
    """

    name: str
    kind: Literal["command", "script", "list", "call"]
    command: str | tuple[str, ...]
    script: str | None = None
    slurm: Slurm | None = None
    snapshot: Snapshot | None = None
    call: Call | None = None
    where: str = ""
    """Where its tasks run: `local`, an engine, or `auto`; "" as the settings had it, which is local."""
    batch: Batch = Batch()
    cwd: str
    items: Items = Items()
    stdin: str | None = None
    env: dict[str, str] = {}
    venv: str | None = None
    conda: str | None = None
    gate: Gate = Gate()
    priority: int = 0
    nice: int | None = None
    timeout_s: float | None = None
    grace_s: float = 10.0
    retry: Retry = Retry()
    limits: Limits = Limits()
    resources: Resources = Resources()
    on_reboot: Literal["rerun", "hold"] = "rerun"
    stderr: Literal["log", "own"] = "log"
    pty: bool = False
    """Whether what tasks write to is a terminal to them."""
    finish: Finish | None = None
    export: Literal["csv", "json", "parquet"] | None = None
    """The form in which its results are put beside its file when it has ended."""
    notify: Notify = True
    leftovers: Literal["kill", "wait"] = "kill"
    """What becomes of processes that a task leaves running: ended with it, or waited for and still charged to it."""
