"""Every key that a job file may hold, with its meaning, unit and default: the single source of them all.

The walker checks files against these shapes, "did you mean" offers their names, and the JSON Schema that editors
read is made from them. Values are kept here as a file writes them ("2h", "4 GiB"); what they amount to is `units`'
and `jobfile`'s. `extra={"wants": …}` finishes the sentence "write …" when a value is of the wrong kind.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gristmill.supervisor.core.spec import PRIORITY_MOST


class Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A table of a job file: each field is a key."""


Scalar = str | int | float | bool
Text = Annotated[str, Meta(extra={"wants": "text in quotes"})]
Count = Annotated[int, Meta(ge=1, le=10**9, extra={"wants": "a whole number from 1 to 1,000,000,000, without quotes"})]
Toggle = Annotated[bool, Meta(extra={"wants": "true or false, without quotes"})]
Tries = Annotated[int, Meta(ge=1, le=1000, extra={"wants": "a whole number from 1 to 1000, without quotes"})]
Niceness = Annotated[int, Meta(ge=0, le=19, extra={"wants": "a whole number from 0 (as usual) to 19 (most polite)"})]
Where = Annotated[Literal["local", "slurm", "ray", "auto"], Meta(extra={"wants": '"local", "slurm", "ray" or "auto"'})]
Duration = Annotated[
    str | int | float,
    Meta(
        examples=["2h", "1h30m", "90s", 30],
        extra={"wants": 'a duration such as "2h", "1h30m" or "90s", or a number of seconds'},
    ),
]
Size = Annotated[
    str | int,
    Meta(examples=["2 GiB", "500 MB"], extra={"wants": 'a size such as "2 GiB" or "500 MB", in quotes'}),
]
Command = Annotated[
    str | list[Text],
    Meta(extra={"wants": 'a shell line in quotes, or a list of texts such as ["python3", "train.py", "{index}"]'}),
]
Variables = Annotated[
    dict[str, Annotated[str | int | float, Meta(extra={"wants": 'text in quotes, such as "1" or "true"'})]],
    Meta(extra={"wants": 'a table: env = { NAME = "value" }'}),
]
Point = Annotated[
    dict[str, Scalar], Meta(extra={"wants": "a table with one value for each parameter, such as {lr = 0.1, fold = 3}"})
]
Jobs = Annotated[
    str | int | list[Annotated[str | int, Meta(extra={"wants": "a job's name in quotes, or its number"})]],
    Meta(examples=["prepare", 12, ["prepare", "fetch"]],
         extra={"wants": 'a job\'s name in quotes, its number, or a list such as ["prepare", 12]'}),
]
Notifier = Annotated[
    bool | str | list[Text],
    Meta(examples=["mail -s gristmill ann@example.org", ["notify", "--me"], "apprise:ntfy://topic"],
         extra={"wants": 'a command such as "notify-me" or ["notify", "--me"], "apprise:URL", or true or false'}),
]
Points = Annotated[list[Point], Meta(extra={"wants": "a list of tables, such as [{lr = 0.1, fold = 3}]"})]


class GridTable(Table, frozen=True):
    """Parameters whose every combination is an item. Any other key is a parameter: a list of values, or a range.

    The last parameter runs fastest. `zip` pairs the values instead. `exclude` then drops every point that agrees
    with one of its tables (a table may name only some parameters). `include` adds whole points at the end, each
    naming every parameter; it never changes points that are there, and it may stand alone, as a list of points.
    """

    zip: Annotated[
        Toggle,
        Meta(description="Pair the i-th values of all parameters instead of combining all with all. Default: false."),
    ] = False
    include: Annotated[
        Points | UnsetType, Meta(description="Points added after the others, each naming every parameter.")
    ] = UNSET
    exclude: Annotated[
        Points | UnsetType, Meta(description="Points left out: all that agree with one of these tables.")
    ] = UNSET


class RangeTable(Table, frozen=True):
    """Numbers in equal steps, as Python's range: the end is left out."""

    range: Annotated[
        list[int | float], Meta(min_length=2, max_length=3, description="[first, end] or [first, end, step].")
    ]


class ItemsTable(Table, frozen=True):
    """What the items of the job are, where they are not a grid: a number, a list, or the rows of a file."""

    total: Annotated[Count | UnsetType, Meta(description="Number of items, counted 0…total-1 by {index}.")] = UNSET
    per_task: Annotated[
        Annotated[
            Annotated[int, Meta(ge=1, le=10**9)] | Literal["auto"],
            Meta(extra={"wants": 'a whole number of 1 or more, or "auto"'}),
        ]
        | UnsetType,
        Meta(
            description='Items that one task works on, given to it as {start} and {count}. "auto": chosen on the way, '
            "for about a second of work, fewer towards the end; a range that fails is halved until the item that is to "
            'blame is found. Default: "auto" where {count} is used, else 1.'
        ),
    ] = UNSET
    file: Annotated[
        Text | UnsetType,
        Meta(description="A csv, tsv or jsonl file whose columns are placeholders, or a txt file: one {item} a line."),
    ] = UNSET
    listed: Annotated[
        Annotated[list[Any], Meta(extra={"wants": 'a list such as ["a.nii", "b.nii"] or [{lr = 0.1}, {lr = 0.2}]'})]
        | UnsetType,
        Meta(description="The items one by one: values, for {item}, or tables of parameters."),
    ] = msgspec.field(default=UNSET, name="list")
    open: Annotated[
        Annotated[Literal["cancel", "keep"], Meta(extra={"wants": '"cancel" or "keep"'})] | UnsetType,
        Meta(
            description="For programs, which send the items over the socket while the job runs. When the program goes "
            'away, those that wait are canceled ("cancel") or run ("keep").'
        ),
    ] = UNSET


class ResourcesTable(Table, frozen=True):
    """What one task needs; what is left out is learned by watching."""

    cpus: Annotated[
        Annotated[float, Meta(gt=0, le=10_000, extra={"wants": "a number of cores above 0, such as 1 or 0.5"})]
        | UnsetType,
        Meta(description="CPU cores that a task keeps busy; also its number of threads. Default: learned, 1 thread."),
    ] = UNSET
    memory: Annotated[
        Size | UnsetType, Meta(description='Memory that a task needs at its peak, such as "2 GiB". Default: learned.')
    ] = UNSET
    strict: Annotated[
        Toggle,
        Meta(
            description="Whether the kernel refuses a task's processes more address space than memory each, so that "
            "they fail by themselves (RLIMIT_AS). Not for programs that map much more than they use, as CUDA's do. "
            "Default: false."
        ),
    ] = False
    gpus: Annotated[
        Annotated[int, Meta(ge=1, le=1000, extra={"wants": "a whole number of 1 or more, without quotes"})] | UnsetType,
        Meta(
            description="GPUs that a task uses, each for itself alone, or with gpu_memory beside others; it sees no "
            "others (CUDA_VISIBLE_DEVICES). Default: none."
        ),
    ] = UNSET
    gpu_memory: Annotated[
        Size | UnsetType,
        Meta(
            description='Memory that a task needs on its GPU, such as "8 GiB": as many tasks share one as it holds. '
            "Default: a GPU has one task."
        ),
    ] = UNSET
    counters: Annotated[
        dict[str, Annotated[float, Meta(gt=0, le=1e9, extra={"wants": "a number above 0, without quotes"})]]
        | UnsetType,
        Meta(
            description="What a task takes of things that the settings count, such as { licenses = 1 }: a task begins "
            "when so many are left. Default: nothing.",
            extra={"wants": "a table: counters = { licenses = 1 }"},
        ),
    ] = UNSET


class RetryTable(Table, frozen=True):
    """Whether a task that failed is tried again."""

    attempts: Annotated[Tries, Meta(description="Tries of a task in all, the first included. Default: 1.")] = 1
    backoff: Annotated[
        Duration, Meta(description='Pause before the second try; doubles each time, with jitter. Default: "10s".')
    ] = "10s"
    on: Annotated[
        Annotated[list[Text], Meta(extra={"wants": 'a list such as ["oom", "timeout", "exit:75"]'})] | UnsetType,
        Meta(
            description="Fates that are tried again: oom, timeout, lost, failed, exit:N, signal:N. "
            "Default: any failure, timeout or lack of memory."
        ),
    ] = UNSET


class RecycleTable(Table, frozen=True):
    """When a process that makes one call after another is replaced by a fresh one."""

    tasks: Annotated[Count | UnsetType, Meta(description="After so many calls. Default: no bound.")] = UNSET
    memory: Annotated[
        Size | UnsetType,
        Meta(description='When it holds so much more than after its first call. Default: "256 MiB".'),
    ] = UNSET


class LimitsTable(Table, frozen=True):
    """Bounds of this job alone."""

    workers: Annotated[
        Count | UnsetType, Meta(description="Tasks of this job that run at once, at most. Default: no bound.")
    ] = UNSET
    time: Annotated[
        Duration | UnsetType,
        Meta(
            description='Longest that the job may take from its first start, such as "8h"; then it fails, and what '
            "runs of it is ended. Default: no limit."
        ),
    ] = UNSET
    failures: Annotated[
        Tries | UnsetType,
        Meta(
            description="When so many tasks have failed with the same last words (in which numbers, paths and quoted "
            "names do not count), the job fails: nothing more of it is started, what runs goes on. Default: no limit."
        ),
    ] = UNSET
    log: Annotated[
        Size | UnsetType,
        Meta(description='Size past which a task\'s log loses its middle, such as "64 MiB". Default: kept whole.'),
    ] = UNSET


class FinallyTable(Table, frozen=True):
    """A step that runs once when all tasks have ended, as a task of the job: it gathers what they gave back."""

    command: Annotated[
        Command | UnsetType,
        Meta(
            description="What it runs, as command does for tasks; {results} is a file with the job's results, one JSON "
            "object a line. GRIST_ITEMS_DONE and GRIST_ITEMS_FAILED say what came of the items. Required, unless there "
            "is a call."
        ),
    ] = UNSET
    call: Annotated[
        Text | UnsetType,
        Meta(
            description="In place of command, in a job of calls: a function that is called with the path of the file "
            'of results, "module:function". It finds what preload has loaded; what it returns is its result.',
            examples=["cubes:merge"],
        ),
    ] = UNSET
    on: Annotated[
        Annotated[Literal["ended", "done"], Meta(extra={"wants": '"ended" or "done"'})],
        Meta(
            description='Whether it runs when all items have "ended", whatever came of them, or only where all are '
            '"done". Default: "ended".'
        ),
    ] = "ended"
    timeout: Annotated[
        Duration | UnsetType, Meta(description='Longest that it may run, such as "2h". Default: no limit.')
    ] = UNSET


class ResultsTable(Table, frozen=True):
    """What becomes of the results; `grist results JOB` has them in any case."""

    export: Annotated[
        Annotated[Literal["csv", "json", "parquet"], Meta(extra={"wants": '"csv", "json" or "parquet"'})] | UnsetType,
        Meta(
            description="Form in which they are put beside the job's file when it has ended, as NAME.results.csv. "
            "Default: they are not."
        ),
    ] = UNSET


class SnapshotTable(Table, frozen=True):
    """Code that is frozen when the job is accepted, and where tasks run."""

    files: Annotated[
        Annotated[Literal["git"] | list[Text], Meta(extra={"wants": 'a list of patterns, or "git"'})] | UnsetType,
        Meta(description='Files below cwd by patterns, or "git": all that git tracks, as it is then. Required.'),
    ] = UNSET
    cwd: Annotated[
        Toggle,
        Meta(
            description="Whether tasks run in the copy; else it is {snapshot}, and Python imports from it first. "
            "Default: false."
        ),
    ] = False


class SlurmTable(Table, frozen=True):
    """What is passed on to Slurm with tasks that run there, as sbatch calls it; a job's goes before the settings'."""

    partition: Annotated[Text | UnsetType, Meta(description="Partition, or several with commas. Default: Slurm's.")] = (
        UNSET
    )
    account: Annotated[Text | UnsetType, Meta(description="Account that is charged. Default: Slurm's.")] = UNSET
    qos: Annotated[Text | UnsetType, Meta(description="Quality of service. Default: Slurm's.")] = UNSET
    time: Annotated[
        Duration | UnsetType,
        Meta(description="Longest that a task may take there, where the job has no timeout to tell it. Default: that "
                         "of the partition."),
    ] = UNSET
    extra: Annotated[
        Annotated[list[Text], Meta(extra={"wants": 'a list such as ["--constraint=haswell"]'})] | UnsetType,
        Meta(description="Further options of sbatch, passed on as they are.", examples=[["--constraint=haswell"]]),
    ] = UNSET
    prologue: Annotated[
        Text | UnsetType,
        Meta(description="Lines of bash that a node runs before tasks, in a login shell, so that module is known. "
                         "Default: none.", examples=["module load python/3.11"]),
    ] = UNSET


Batch = Annotated[SlurmTable, Meta(extra={"wants": 'a table: [slurm] and below it partition = "long"'})]


class JobFile(Table, frozen=True):
    """A job for Gristmill: one command or function, run once or for each of many items."""

    name: Annotated[Text | UnsetType, Meta(description="Name of the job. Default: the file's name.")] = UNSET
    command: Annotated[
        Command | UnsetType,
        Meta(
            description="What a task runs. Text is run by sh -c, with each {placeholder} quoted for the shell, which "
            "makes way for the program where a line is no more than one; a list is an argv without a shell. {{ and }} "
            "are literal braces. Required, unless there is a call."
        ),
    ] = UNSET
    call: Annotated[
        Text | UnsetType,
        Meta(
            description='A Python function, "module:function", called for each task in an interpreter that has '
            "imported the module already. It gets an item's parameters by name, or its index; (start, count) where "
            "per_task is not 1. What it returns is the task's result.",
            examples=["cubes:make"],
        ),
    ] = UNSET
    preload: Annotated[
        Text | UnsetType,
        Meta(
            description='A Python function, "module:function", called once before all calls; what it loads is shared '
            "by all of them. Default: none."
        ),
    ] = UNSET
    python: Annotated[
        Text | UnsetType,
        Meta(description="Interpreter for call, 3.8 or newer. Default: that of venv or conda, else Gristmill's own."),
    ] = UNSET
    isolation: Annotated[
        Annotated[Literal["fork", "reuse"], Meta(extra={"wants": '"fork" or "reuse"'})] | UnsetType,
        Meta(
            description='Whether each call has a process of its own ("fork"), or one process makes call after call '
            '("reuse"). Default: "fork".'
        ),
    ] = UNSET
    recycle: Annotated[
        Annotated[
            Annotated[int, Meta(ge=1, le=10**9)] | RecycleTable,
            Meta(extra={"wants": 'a number of calls, or a table: recycle = { tasks = 1000, memory = "200 MiB" }'}),
        ]
        | UnsetType,
        Meta(description='When a process that is used again is replaced: after so many calls. Default: see the table.'),
    ] = UNSET
    cwd: Annotated[
        Text | UnsetType, Meta(description="Folder that tasks run in. Default: the folder that holds jobs/.")
    ] = UNSET
    venv: Annotated[Text | UnsetType, Meta(description="Python virtual environment, a folder. Default: none.")] = UNSET
    conda: Annotated[Text | UnsetType, Meta(description="Conda environment, by name or folder. Default: none.")] = UNSET
    snapshot: Annotated[
        Annotated[
            Literal["git"] | list[Text] | SnapshotTable,
            Meta(extra={"wants": 'a list of patterns such as ["*.py", "conf/**"], or "git"'}),
        ]
        | UnsetType,
        Meta(
            description='Code that is copied when the job is accepted, and runs from that copy: patterns such as '
            '["*.py", "conf/**"], or "git" for all that git tracks, with commit and diff recorded. The copy is '
            "{snapshot} in commands, GRIST_SNAPSHOT for scripts. Default: none.",
            examples=[["*.py", "conf/**"], "git"],
        ),
    ] = UNSET
    env: Annotated[
        Variables | UnsetType, Meta(description="Environment variables; placeholders are filled in. Default: none.")
    ] = UNSET
    stdin: Annotated[
        Text | UnsetType, Meta(description="Text given to a task as its input, placeholders filled in. Default: none.")
    ] = UNSET
    priority: Annotated[
        Annotated[
            int,
            Meta(ge=-PRIORITY_MOST, le=PRIORITY_MOST, extra={"wants": "a whole number such as 10, without quotes"}),
        ],
        Meta(description="Higher goes first. Default: 0."),
    ] = 0
    where: Annotated[
        Where | UnsetType,
        Meta(
            description='Where its tasks run: on this machine ("local"), in an engine ("slurm", "ray"), or "auto": '
            "here, and beyond what is not done here in a set time. Default: as the settings have it, else \"local\"."
        ),
    ] = UNSET
    slurm: Annotated[
        Batch | UnsetType,
        Meta(description="What is passed on to Slurm with its tasks. Default: as the settings have it."),
    ] = UNSET
    after: Annotated[
        Jobs | UnsetType,
        Meta(
            description="Jobs that must have ended well before this one begins, by name (the newest of it; one that is "
            "dropped later counts) or number. If one fails or is canceled, so does this. Default: none."
        ),
    ] = UNSET
    after_any: Annotated[
        Jobs | UnsetType, Meta(description="Jobs that must have ended before it, in any way. Default: none.")
    ] = UNSET
    after_failed: Annotated[
        Jobs | UnsetType,
        Meta(description="Jobs that must have failed or been canceled before it; else it fails. Default: none."),
    ] = UNSET
    start: Annotated[
        Text | UnsetType,
        Meta(
            description='When it begins at the earliest: "22:00" (the next), "2026-12-24 08:00", "2h" (from when it '
            'was dropped), or the five fields of cron, "0 22 * * fri". Default: at once.',
            examples=["22:00", "2h"],
        ),
    ] = UNSET
    only: Annotated[
        Annotated[
            str | list[Text],
            Meta(extra={"wants": 'hours such as "22:00-06:00", "nights" or "weekends", or a list of such'}),
        ]
        | UnsetType,
        Meta(
            description='Hours in which tasks of it begin: "22:00-06:00", "mon-fri 20:00-08:00", "nights" (as '
            '20:00-08:00), "weekends". What runs when they end goes on. Default: at all times.',
            examples=["nights", "mon-fri 20:00-08:00"],
        ),
    ] = UNSET
    expires: Annotated[
        Duration | UnsetType,
        Meta(description='If it has not begun so long after it was dropped, it fails, such as "2d". Default: never.'),
    ] = UNSET
    nice: Annotated[
        Niceness | UnsetType,
        Meta(description="Niceness of the processes, 0…19. Default: the daemon's setting."),
    ] = UNSET
    timeout: Annotated[
        Duration | UnsetType, Meta(description='Longest that a task may run, such as "2h". Default: no limit.')
    ] = UNSET
    grace: Annotated[
        Duration, Meta(description='From the polite signal (TERM) to the hard one (KILL). Default: "10s".')
    ] = "10s"
    on_reboot: Annotated[
        Annotated[Literal["rerun", "hold"], Meta(extra={"wants": '"rerun" or "hold"'})],
        Meta(description='Tasks that a reboot interrupted: "rerun" them, or "hold" them for you. Default: "rerun".'),
    ] = "rerun"
    stderr: Annotated[
        Annotated[Literal["log", "own"], Meta(extra={"wants": '"log" or "own"'})],
        Meta(description='Where standard error goes: into the "log", or a file of its "own". Default: "log".'),
    ] = "log"
    pty: Annotated[
        Toggle,
        Meta(
            description="Whether a task finds a terminal (24 rows, 80 columns) where it writes to, for programs that "
            "show progress or colours on one alone. Nothing is typed there; on this machine only. Default: false."
        ),
    ] = False
    leftovers: Annotated[
        Annotated[Literal["kill", "wait"], Meta(extra={"wants": '"kill" or "wait"'})],
        Meta(
            description='Processes that a task leaves running: "kill" them with it, or "wait" for them, so that the '
            'task goes on until they have ended. Default: "kill".'
        ),
    ] = "kill"
    notify: Annotated[
        Notifier,
        Meta(description='Whom to tell that it has ended or is held: nobody (false), whom the settings name (true), a '
                         'command that gets JSON on its input, or "apprise:URL". Default: true.'),
    ] = True
    grid: Annotated[
        Annotated[GridTable, Meta(extra={"wants": "a table: [grid] and below it lr = [0.1, 0.2]"})] | UnsetType,
        Meta(description="Parameters whose every combination is an item."),
    ] = UNSET
    items: Annotated[
        Annotated[ItemsTable, Meta(extra={"wants": "a table: [items] and below it total = 100"})] | UnsetType,
        Meta(description="The items, where they are not a grid. Default: one item."),
    ] = UNSET
    resources: Annotated[
        Annotated[ResourcesTable, Meta(extra={"wants": 'a table: [resources] and below it memory = "2 GiB"'})]
        | UnsetType,
        Meta(description="What one task needs. Default: learned."),
    ] = UNSET
    retry: Annotated[
        Annotated[RetryTable, Meta(extra={"wants": "a table: retry = {attempts = 3}"})] | UnsetType,
        Meta(description="Whether a failed task is tried again. Default: it is not."),
    ] = UNSET
    limits: Annotated[
        Annotated[LimitsTable, Meta(extra={"wants": "a table: limits = {workers = 4}"})] | UnsetType,
        Meta(description="Bounds of this job alone. Default: none."),
    ] = UNSET
    last: Annotated[
        Annotated[
            FinallyTable, Meta(extra={"wants": 'a table: [finally] and below it command = "python merge.py {results}"'})
        ]
        | UnsetType,
        Meta(description="A step that runs once when all tasks have ended. Default: none."),
    ] = msgspec.field(default=UNSET, name="finally")
    results: Annotated[
        Annotated[ResultsTable, Meta(extra={"wants": 'a table: [results] and below it export = "csv"'})] | UnsetType,
        Meta(description="What becomes of the results. Default: they are kept for `grist results`."),
    ] = UNSET


@cache
def names(layout: type[Table]) -> tuple[str, ...]:
    """The keys of one table, in order."""
    return tuple(field.encode_name for field in msgspec.structs.fields(layout))


def schema() -> dict[str, Any]:
    """The JSON Schema of a `.toml` job file, for editors; `job.schema.json` beside this file is its copy."""
    made = msgspec.json.schema(JobFile)
    parameter: dict[str, Any] = {
        "anyOf": [
            {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}},
            msgspec.json.schema(RangeTable)["$defs"]["RangeTable"],
        ],
        "description": "A parameter: the list of its values, or {range = [first, end, step]}, the end left out.",
    }
    made["$defs"]["GridTable"]["additionalProperties"] = parameter
    made["$defs"]["JobFile"]["oneOf"] = [{"required": ["command"]}, {"required": ["call"]}]
    for table in made["$defs"].values():  # docstrings, whose line breaks differ between versions of Python
        table["description"] = " ".join(table["description"].split())
    parameter["anyOf"][1]["description"] = " ".join(parameter["anyOf"][1]["description"].split())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gristmill job file", **made}
