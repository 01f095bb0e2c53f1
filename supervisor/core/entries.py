"""What single keys of a job file amount to: its name, paths, variables, times, sizes, retry and limits.

Each function takes what the walker let through and notes what is wrong with it; which keys go together, and what the
items are, is `jobfile`'s.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import partial

from msgspec import UNSET, UnsetType

from gristmill.supervisor.core import keys, notices, parameters, units
from gristmill.supervisor.core.filenames import AMBIGUOUS, job_named
from gristmill.supervisor.core.findings import Fault, Findings, Path, dotted, shown
from gristmill.supervisor.core.spec import Batch, Limits, Notify, Resources, Retry

_FATE = re.compile(
    r"oom|timeout|lost|failed"
    r"|exit:(?:[1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
    r"|signal:(?:[1-9]|[1-5][0-9]|6[0-4])"
)
_WORD = re.compile(r"[A-Za-z0-9_.,+@-]{1,200}", re.ASCII)
_OURS = frozenset(("--array", "--job-name", "--output", "--error", "--chdir", "--parsable", "--wrap", "--requeue",
                   "--no-requeue", "--open-mode", "--export", "--wait", "--dependency", "--test-only", "--input"))
_OURS_SHORT = frozenset(("-a", "-J", "-o", "-e", "-D", "-W", "-d", "-i"))
"""Options of sbatch that we give ourselves."""
_LEAST_MEMORY = 1 << 20
_LEAST_LOG = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """What a path in a file is read against: the default working folder, and the user's home."""

    cwd: str
    home: str


def name(given: str | UnsetType, file: str) -> str:
    """The job's name: as given, or the file's stem made fit to be one."""
    if given is UNSET:
        return job_named(posixpath.splitext(file)[0]) or "job"
    if not given.strip():
        raise Fault("an empty name", "write one, or leave the key out: the file's name is taken")
    if given != given.strip():
        raise Fault(f"{shown(given)} begins or ends with a blank", "remove the blank")
    if not given.isprintable() or "/" in given:
        raise Fault(f"{shown(given)} has a / or a control character", "use letters, digits, spaces, - and _")
    if len(given) > 100:
        raise Fault(f"{len(given)} characters are too many", "use 100 or fewer")
    if AMBIGUOUS.fullmatch(given):
        raise Fault(f"{shown(given)} would be read as a job's number or as a selection", "add a word to it")
    return given


def path(given: str | UnsetType, key: Path, where: Place, findings: Findings) -> str | None:
    return None if given is UNSET else findings.take(key, partial(absolute, given, where), None)


def conda(given: str | UnsetType, where: Place, findings: Findings) -> str | None:
    if isinstance(given, str) and given.strip() and "/" not in given and given != "~":
        return given
    return path(given, ("conda",), where, findings)


def absolute(path: str, where: Place) -> str:
    """A path of the file in full; raises `Fault`."""
    if not path.strip():
        raise Fault("an empty path", "write a folder or file, or leave the key out")
    if "\n" in path:
        raise Fault("a path of several lines", "write it on one line")
    if path.startswith("$"):
        raise Fault(f"{shown(path)}: variables are not filled in here", "write ~ for your home, or the full path")
    if path == "~" or path.startswith("~/"):
        full = posixpath.join(where.home, path[2:])
    elif path.startswith("~"):
        raise Fault(f"{shown(path)}: homes of others are not filled in", "write the full path")
    else:
        full = posixpath.join(where.cwd, path)
    # ".." stays: beyond a link it means another folder than the text suggests.
    return full if ".." in full.split("/") else posixpath.normpath(full)


def env(layout: keys.JobFile, text: str, findings: Findings) -> dict[str, str]:
    env: dict[str, str] = {}
    heading = text.split("\n")[findings.places["env",][0] - 1].lstrip().startswith("[") if layout.env else False
    for name, value in (layout.env or {}).items():
        path = ("env", name)
        if not name or "=" in name or not name.isprintable():
            findings.add(path, f"{shown(name)} can't be a variable's name", "use letters, digits and _")
        elif heading and name in keys.names(keys.JobFile):
            what = f"{name} stands below [env], so it would be a variable"
            findings.add(path, what, f"move {name} above the first [table], or write env = {{ … }} if it is one")
        elif name.endswith("PATH") and "$" in str(value):
            what = f"{dotted(path)}: variables such as $PATH are not filled in here"
            findings.add(path, what, f"set it in the command: {name}=… program, or write it in full")
        elif len(parameters.text(value).encode()) > parameters.LONGEST:
            findings.add(path, f"longer than {parameters.LONGEST:,} bytes", "put it into a file")
        env[name] = parameters.text(value)
    return env


def seconds(given: str | int | float | UnsetType, key: Path, findings: Findings, *, zero: bool = False) -> float | None:
    return None if given is UNSET else findings.take(key, partial(units.seconds, given, zero=zero), None)


def size(given: str | int | UnsetType, key: Path, findings: Findings, least: int) -> int | None:
    return None if given is UNSET else findings.take(key, partial(units.size, given, least=least), None)


def retry(layout: keys.JobFile, findings: Findings) -> Retry:
    table = layout.retry if layout.retry is not UNSET else keys.RetryTable()
    fates = tuple(dict.fromkeys(table.on)) if table.on is not UNSET else ()
    for number, fate in enumerate(fates):
        if not _FATE.fullmatch(fate):
            findings.add(("retry", "on", number), f"retry.on: {shown(fate)} is no fate of a task", _mend_fate(fate))
    if table.on is not UNSET and not fates and not findings.touched("retry", "on"):
        findings.add(("retry", "on"), "retry.on is empty: nothing is tried again", "leave the key out for any failure")
    backoff = seconds(table.backoff, ("retry", "backoff"), findings, zero=True)
    if layout.retry is not UNSET and table.attempts == 1 and not findings.touched("retry"):
        findings.add(("retry",), "retry without attempts changes nothing", "add attempts = 3, or remove retry")
    return Retry(attempts=table.attempts, backoff_s=backoff or 0.0, on=fates)


def _mend_fate(fate: str) -> str:
    plain = fate.strip().lower()
    if plain.removeprefix("exit").lstrip(":= ").isdigit():
        return "write exit:N with N from 1 to 255, such as exit:75"
    if plain.startswith("sig"):
        return "write signal:N with the signal's number, such as signal:9 for SIGKILL"
    if plain in ("memory", "out of memory", "out-of-memory", "oom-kill", "oomkill"):
        return 'write "oom"'
    if plain in ("all", "any", "*", "failure", "error"):
        return 'write "failed", or leave retry.on out for any failure'
    return "use oom, timeout, lost, failed, exit:N or signal:N"


def limits(layout: keys.JobFile, findings: Findings) -> Limits:
    table = layout.limits if layout.limits is not UNSET else keys.LimitsTable()
    return Limits(
        workers=None if table.workers is UNSET else table.workers,
        time_s=seconds(table.time, ("limits", "time"), findings),
        failures=None if table.failures is UNSET else table.failures,
        log_bytes=size(table.log, ("limits", "log"), findings, _LEAST_LOG),
    )


def resources(layout: keys.JobFile, findings: Findings) -> Resources:
    table = layout.resources if layout.resources is not UNSET else keys.ResourcesTable()
    if table.strict and table.memory is UNSET and not findings.touched("resources"):
        findings.add(("resources", "strict"), "strict without memory refuses nothing", 'add memory = "2 GiB"')
    return Resources(
        strict=table.strict,
        cpus=None if table.cpus is UNSET else table.cpus,
        memory_bytes=size(table.memory, ("resources", "memory"), findings, _LEAST_MEMORY),
        gpus=None if table.gpus is UNSET else table.gpus,
        gpu_memory_bytes=size(table.gpu_memory, ("resources", "gpu_memory"), findings, _LEAST_MEMORY),
        counters={} if table.counters is UNSET else {name: float(count) for name, count in table.counters.items()},
    )


def batch(table: keys.SlurmTable | UnsetType, path: Path, findings: Findings) -> Batch:
    """What is passed on to Slurm."""
    if table is UNSET:
        return Batch()
    extra = () if table.extra is UNSET else tuple(table.extra)
    for number, option in enumerate(extra):
        name = option.partition("=")[0]
        if not option.startswith("-"):
            findings.add((*path, "extra", number), f"{shown(option)} is no option of sbatch",
                         "write each with its value as one text, such as --constraint=haswell")
        elif name in _OURS or option[:2] in _OURS_SHORT:
            findings.add((*path, "extra", number), f"{shown(name)} is set by Gristmill itself", "remove it")
    told = {key: value for key in ("partition", "account", "qos") if (value := getattr(table, key)) is not UNSET}
    for key, value in told.items():
        if not _WORD.fullmatch(value):
            findings.add((*path, key), f"{shown(value)} can't be the name of one", "write it as sbatch takes it")
    return Batch(
        **told, extra=extra, prologue="" if table.prologue is UNSET else table.prologue,
        time_s=seconds(table.time, (*path, "time"), findings),
    )


def notify(given: bool | str | list[str], findings: Findings) -> Notify:
    """Whom a job tells."""
    none: Notify = True
    return given if isinstance(given, bool) else findings.take(("notify",), partial(notices.command, given), none)
