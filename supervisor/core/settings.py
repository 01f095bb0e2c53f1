"""The settings of a daemon: every key of a settings file with its meaning, what files say, and what that amounts to.

A file is checked as job files are: all that is wrong with it at once, each with its line and its mend. What several
say is settled key by key, the last one first. Opens nothing and reads no clock; whose file wins is the caller's order.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gristmill.supervisor.core import document, entries, figures, hours, keys, notices, premises, units, walker
from gristmill.supervisor.core.errors import ProblemsError
from gristmill.supervisor.core.findings import Fault, Findings, dotted, shown
from gristmill.supervisor.core.spec import Batch

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%", re.ASCII)
_MOST_PERCENT = 90
_LEAST_BYTES = 1 << 20
ALL = "all"
"""What `keep` and `keep_size` say for no bound."""

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


class Reserve(msgspec.Struct, frozen=True):
    """What is left free of a whole: so many bytes, or this share of it, whichever is more."""

    size: int = 0
    share: float = 0.0

    def of(self, total: float) -> int:
        """In bytes."""
        return max(self.size, round(self.share * total))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force. `limit` is None where nobody has said anything, which `grist limit` may have done."""

    limit: int | Literal["auto"] | None = None
    polite: tuple[hours.Window, ...] = ()
    polite_share: float = 0.5
    nice: int = 10
    ionice: bool = True
    memory_reserve: Reserve = Reserve(250_000_000, 0.05)
    disk_reserve: Reserve | None = None
    keep: float | UnsetType | None = UNSET
    """Seconds for which what ended jobs left is kept, None for ever."""
    keep_size: int | UnsetType | None = UNSET
    """Bytes that they may take together, None for any number."""
    gpus: tuple[int | str, ...] | None = None
    """The cards that are ours to use, None for all."""
    gpus_shared: bool = False
    counters: dict[str, float] = {}
    notify: str | tuple[str, ...] | None = None
    notify_on: tuple[notices.Topic, ...] = notices.TOPICS
    where: str = "local"
    beyond: str = "slurm"
    """The engine of `where = "auto"`."""
    beyond_after: float = 1800.0
    """Seconds that what is left for this machine of such a job takes at most."""
    beyond_queue: int = 1000
    """Slots of ours in an engine's queue at most."""
    shared: str = ""
    """The folder that nodes see as well, "" for the one in the jobs folder."""
    lost_after: float = 60.0
    node_python: str = "python3"
    slurm: Batch = Batch()
    ray: str = ""
    """The address of Ray's dashboard, "" for where Ray's own tools look."""
    ray_python: str = "python3"
    public: bool = False

    @property
    def keep_usual(self) -> bool:
        """Whether nobody has said what is kept: then it is what `retention.USUAL` says."""
        return self.keep is UNSET and self.keep_size is UNSET

    def disk_kept(self, total: int) -> int:
        """Bytes of a disk of this size that are kept free."""
        return premises.reserve(total) if self.disk_reserve is None else self.disk_reserve.of(total)


class SettingsError(ProblemsError):
    """A settings file that can't be understood."""


def share(settings: Settings, local: datetime) -> float:
    """The part of the machine that may be used at this time on the wall's clock."""
    return settings.polite_share if hours.left(settings.polite, local) else 1.0


def words(settings: Settings, local: datetime) -> str:
    """Why that is not the whole: `polite hours until 20:00: half of the machine`; "" where it is."""
    minutes = hours.left(settings.polite, local)
    if not minutes:
        return ""
    until = "at all times" if minutes >= hours.WEEK else f"until {hours.clock(local, minutes)}"
    if settings.polite_share == 0:
        return f"polite hours {until}: nothing is started"
    part = "half" if settings.polite_share == 0.5 else f"{100 * settings.polite_share:.4g} %"
    return f"polite hours {until}: {part} of the machine"


def parse(text: str, file: str) -> dict[str, Any]:
    """What a file says, by key and in the types of `Settings`; raises `SettingsError` with all its problems."""
    findings = Findings()
    found = document.read(text.removeprefix("\ufeff"))
    findings.places = found.places
    if found.problem:
        findings.add_at(found.problem.line, found.problem.column, found.problem.what, found.problem.mend)
    known = keys.names(SettingsFile)
    for key in found.values:
        if key not in known:
            _unknown(key, known, findings)
    layout = walker.walk({key: found.values[key] for key in found.values if key in known}, SettingsFile, (), findings)
    said = _understood(found.values, layout, findings)
    problems = findings.problems()
    if problems:
        raise SettingsError(file, problems)
    return said


def settle(*said: Mapping[str, Any]) -> Settings:
    """What is in force when all of these have their say: the last that names a key decides it."""
    together: dict[str, Any] = {}
    for each in said:
        together |= each
    return Settings(**together)


def amount(value: str | int) -> Reserve:
    """What `"4 GiB"` or `"10 %"` leaves free; raises `Fault`."""
    percent = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if percent is None:
        return Reserve(size=units.size(value, least=_LEAST_BYTES))
    if not 0 < float(percent.group(1)) <= _MOST_PERCENT:
        raise Fault(f"{shown(str(value))} leaves nothing to keep or nothing to use",
                    f"write a share above 0 and up to {_MOST_PERCENT} %")
    return Reserve(share=float(percent.group(1)) / 100)


def windows(text: str) -> tuple[hours.Window, ...]:
    """The hours that one text names; raises `Fault`."""
    return (hours.read(text),)


def worded(key: str, value: object) -> str:
    """A setting in a few words: `limit 4`, `polite mon-fri 08:00-20:00`, `memory_reserve 10 %`."""
    if isinstance(value, bool):
        return f"{key} {'true' if value else 'false'}"
    if key == "notify":
        return f"{key} {'false' if value is None else 'is set'}"  # it may hold a secret
    if key == "notify_on":
        return f"{key} {', '.join(map(str, value)) or 'nothing'}" if isinstance(value, tuple) else key
    if key in ("keep", "keep_size"):
        assert value is None or isinstance(value, int | float)
        shows = figures.clock_span if key == "keep" else figures.size
        return f"{key} {ALL if value is None else shows(value)}"
    if isinstance(value, Batch):
        said = [name for name in value.__struct_fields__ if getattr(value, name)]
        return f"{key} {', '.join(said) or 'as Slurm has it'}"
    if key in ("beyond_after", "lost_after"):
        return f"{key} {figures.clock_span(float(str(value)))}"
    if isinstance(value, Reserve):
        return f"{key} {figures.size(value.size) if value.size else f'{100 * value.share:.4g} %'}"
    if key == "gpus":
        return f"{key} {', '.join(map(str, value)) or 'none' if isinstance(value, tuple) else 'all'}"
    if isinstance(value, dict):
        return f"{key} {', '.join(f'{name} {count:g}' for name, count in value.items()) or 'none'}"
    if isinstance(value, tuple):
        return f"{key} {', '.join(window.text for window in value) or 'never'}"
    return f"{key} {value}"


def schema() -> dict[str, Any]:
    """The JSON Schema of a settings file, for editors; `settings.schema.json` beside this file is its copy."""
    made = msgspec.json.schema(SettingsFile)
    table = made["$defs"]["SettingsFile"]
    table["description"] = " ".join(table["description"].split())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gristmill settings", **made}


def _understood(values: Mapping[str, Any], layout: SettingsFile, findings: Findings) -> dict[str, Any]:
    """What the walker let through, in the types of `Settings`."""
    said = {key: value for key in keys.names(SettingsFile) if (value := getattr(layout, key)) is not UNSET}
    if "polite" in values:
        written = values["polite"]
        listed = isinstance(written, list)
        none: tuple[hours.Window, ...] = ()
        said["polite"] = sum((  # of a list every text is read, whatever stands beside it
            findings.take(("polite", number) if listed else ("polite",), partial(windows, text), none)
            for number, text in enumerate(written if listed else [written])
            if isinstance(text, str) and not findings.full
        ), none)
    for key in ("memory_reserve", "disk_reserve"):
        if key in said:
            said[key] = findings.take((key,), partial(amount, said[key]), Reserve())
    if "notify" in said:
        said["notify"] = findings.take(("notify",), partial(_notifier, said["notify"]), None)
    if "notify_on" in said:
        said["notify_on"] = tuple(said["notify_on"])
    said |= _of_engines(said, findings)
    age, most = partial(units.seconds, zero=True), partial(units.size, least=_LEAST_BYTES)
    for key, read in (("keep", age), ("keep_size", most)):
        if said.get(key) == ALL:
            said[key] = None
        elif key in said:
            said[key] = findings.take((key,), partial(read, said[key]), None)
    if "gpus" in said:
        said["gpus"] = None if said["gpus"] == "all" else () if said["gpus"] == "none" else tuple(said["gpus"])
    if "counters" in said:
        said["counters"] = {name: float(count) for name, count in said["counters"].items()}
    if "polite_share" in said:
        said["polite_share"] = float(said["polite_share"])
    return said


def _of_engines(said: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """What is said of engines beyond this machine, likewise."""
    found = {key: findings.take((key,), partial(units.seconds, said[key], zero=True), 0.0)
             for key in ("beyond_after", "lost_after") if key in said}  # fmt: skip
    return found | ({"slurm": entries.batch(said["slurm"], ("slurm",), findings)} if "slurm" in said else {})


def _notifier(given: bool | str | list[str]) -> str | tuple[str, ...] | None:
    if given is True:
        raise Fault("true names no command", 'write one, such as notify = "mail -s gristmill ann@example.org"')
    return None if given is False else notices.command(given)


def _unknown(key: str, known: tuple[str, ...], findings: Findings) -> None:
    name = key[:40].lower().replace("-", "_")
    near = [SYNONYMS[name]] if name in SYNONYMS else difflib.get_close_matches(name, known, n=1)
    mend = f"did you mean {near[0]}?" if near else f"remove it; the keys here are {', '.join(known)}"
    findings.add((key,), f"unknown key {dotted((key,))}", mend)
