"""Every key that a settings file may hold, with its meaning, unit and default: what `keys` is for job files.

Values are kept here as a file writes them; what they amount to is `settings`'.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gristmill.supervisor.core import keys

Amount = Annotated[
    str | int,
    Meta(examples=["4 GiB", "10 %"], extra={"wants": 'a size such as "4 GiB", or a share such as "10 %", in quotes'}),
]


class SettingsFile(keys.Table, frozen=True):
    """Settings of a Gristmill daemon: how much of the machine it may use, and when."""

    limit: Annotated[
        Annotated[
            Annotated[int, Meta(ge=0, le=100_000)] | Literal["auto"],
            Meta(extra={"wants": 'a whole number, or "auto"'}),
        ]
        | UnsetType,
        Meta(description='Workers that may be busy at once, or "auto": what the machine is seen to bear. '
                         'Default: "auto".'),
    ] = UNSET
    polite: Annotated[
        Annotated[
            str | list[keys.Text],
            Meta(
                examples=["08:00-20:00", ["mon-fri 08:00-20:00", "sat 09:00-13:00"]],
                extra={"wants": 'hours such as "08:00-20:00" or "mon-fri 08:00-20:00", or a list of such'},
            ),
        ]
        | UnsetType,
        Meta(description="Hours, by the clock on the wall, in which only a part of the machine is used; [] for none. "
                         "Default: none."),
    ] = UNSET
    polite_share: Annotated[
        Annotated[float, Meta(ge=0, le=1, extra={"wants": "a number from 0 to 1, such as 0.5"})] | UnsetType,
        Meta(description="The part of cores and memory that may be used in polite hours; 0 starts nothing in them. "
                         "Default: 0.5."),
    ] = UNSET
    nice: Annotated[
        keys.Niceness | UnsetType,
        Meta(description="Niceness of tasks whose job does not say otherwise, 0…19. Default: 10."),
    ] = UNSET
    ionice: Annotated[
        keys.Toggle | UnsetType,
        Meta(description="Whether tasks let others go first at the disk. Default: true."),
    ] = UNSET
    memory_reserve: Annotated[
        Amount | UnsetType,
        Meta(description='Memory that is left free, a size or a share ("10 %"). Default: 5 %, at least 250 MB.'),
    ] = UNSET
    disk_reserve: Annotated[
        Amount | UnsetType,
        Meta(description="With less than this free where the state lies, nothing is started: a size or a share. "
                         "Default: 256 MiB, or 2 % of a small disk."),
    ] = UNSET
    keep: Annotated[
        keys.Duration | UnsetType,
        Meta(description='How long records, logs, results and frozen scripts of ended jobs are kept, such as "30d", or '
                         '"all": for ever. Without keep and keep_size: 90 days, and longer what fits into 10 GiB.'),
    ] = UNSET
    keep_size: Annotated[
        Annotated[
            str | int,
            Meta(examples=["5 GiB"], extra={"wants": 'a size such as "5 GiB", or "all", in quotes'}),
        ]
        | UnsetType,
        Meta(description='What those of all ended jobs may take together; past it the longest ended are removed. "all" '
                         'for no bound. Without keep and keep_size: see keep.'),
    ] = UNSET
    gpus: Annotated[
        Annotated[
            Literal["all", "none"] | list[int | str],
            Meta(extra={"wants": '"all", "none", or a list of numbers or names (UUIDs), such as [0, 1]'}),
        ]
        | UnsetType,
        Meta(description='GPUs that tasks may have: "all", "none", or some, by number or UUID. Default: "all".'),
    ] = UNSET
    gpus_shared: Annotated[
        keys.Toggle | UnsetType,
        Meta(description="Whether tasks are also started on GPUs on which other people's processes run. "
                         "Default: false."),
    ] = UNSET
    counters: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1e9, extra={"wants": "a number, without quotes"})]] | UnsetType,
        Meta(description="Things of which there are so many, such as { licenses = 4 }; jobs take of them by "
                         "[resources] counters. Default: none.",
             extra={"wants": "a table: counters = { licenses = 4 }"}),
    ] = UNSET
    notify: Annotated[
        keys.Notifier | UnsetType,
        Meta(description='What tells you that a job has ended or is held, the disk runs full or the daemon is in '
                         'trouble: a command that gets JSON on its input, or "apprise:URL"; false for none. '
                         'Default: false.'),
    ] = UNSET
    notify_on: Annotated[
        list[Literal["done", "failed", "held", "disk", "fault"]] | UnsetType,
        Meta(description="Of what it tells. Default: all of them."),
    ] = UNSET
    where: Annotated[
        keys.Where | UnsetType,
        Meta(description="Where tasks of jobs run that do not say it themselves. Default: \"local\"."),
    ] = UNSET
    beyond: Annotated[
        Annotated[Literal["slurm", "ray"], Meta(extra={"wants": '"slurm" or "ray"'})] | UnsetType,
        Meta(description='The engine that jobs with where = "auto" overflow to. Default: "slurm".'),
    ] = UNSET
    beyond_after: Annotated[
        keys.Duration | UnsetType,
        Meta(description="What of such a job would not be done on this machine in so long goes beyond. "
                         'Default: "30m".'),
    ] = UNSET
    beyond_queue: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000, extra={"wants": "a whole number of 1 or more"})] | UnsetType,
        Meta(description="So many slots of ours may be in an engine's queue at once. Default: 1000."),
    ] = UNSET
    shared: Annotated[
        keys.Text | UnsetType,
        Meta(description="Folder that this machine and all nodes of an engine see by the same name, for what they tell "
                         "each other. Default: .gristmill/beyond in the jobs folder."),
    ] = UNSET
    lost_after: Annotated[
        keys.Duration | UnsetType,
        Meta(description="For so long a task must be in neither the engine nor the shared folder before it is lost; "
                         'longer than the folder may lag. Default: "60s".'),
    ] = UNSET
    node_python: Annotated[
        keys.Text | UnsetType,
        Meta(description='Python on the nodes, 3.6 or newer, for the program that starts tasks. Default: "python3".'),
    ] = UNSET
    slurm: Annotated[
        keys.Batch | UnsetType,
        Meta(description="What is passed on to Slurm with tasks of all jobs."),
    ] = UNSET
    ray: Annotated[
        keys.Text | UnsetType,
        Meta(description="Address of a Ray cluster's dashboard, whose job server takes tasks. Default: "
                         "RAY_API_SERVER_ADDRESS, else \"http://127.0.0.1:8265\".",
             examples=["http://head.cluster:8265"]),
    ] = UNSET
    ray_python: Annotated[
        keys.Text | UnsetType,
        Meta(description='Python on the head of that cluster, the one that has Ray. Default: "python3".'),
    ] = UNSET
    public: Annotated[
        keys.Toggle | UnsetType,
        Meta(description="Whether all users of the machine may see in `grist who` how much of it this daemon uses: "
                         "figures alone, no names. Default: false."),
    ] = UNSET


SYNONYMS: dict[str, str] = {
    "workers": "limit", "max_workers": "limit", "jobs": "limit", "parallel": "limit", "concurrency": "limit",
    "limits": "limit", "cores": "limit", "cpus": "limit", "hours": "polite", "working_hours": "polite",
    "office_hours": "polite", "polite_hours": "polite", "politeness": "polite", "share": "polite_share",
    "niceness": "nice", "priority": "nice", "io_nice": "ionice", "memory": "memory_reserve", "mem": "memory_reserve",
    "ram": "memory_reserve", "reserve": "memory_reserve", "disk": "disk_reserve", "disk_free": "disk_reserve",
    "retention": "keep", "keep_days": "keep", "max_age": "keep", "max_size": "keep_size", "keep_bytes": "keep_size",
}  # fmt: skip
"""What people may call our keys."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a settings file, for editors; `settings.schema.json` beside this file is its copy."""
    made = msgspec.json.schema(SettingsFile)
    table = made["$defs"]["SettingsFile"]
    table["description"] = " ".join(table["description"].split())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gristmill settings", **made}
