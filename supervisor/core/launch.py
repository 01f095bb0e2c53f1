"""What is started for a task: argv, folder, variables and input, worked out from the frozen spec alone.

Opens nothing and knows no machine: what all tasks of a job find there of the machine is `edge.environment`'s, and the
worker adds what only it knows (GRIST_WORKER, GRIST_RESULT, GRIST_PROGRESS). Variables that are the same for every
task of a job are told apart (`shared`): each worker hears of those once.
"""

from __future__ import annotations

import math
import shlex
import zlib
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from gristmill.supervisor.core import freeze, items, parameters, shell, shorthand, slurmenv, template
from gristmill.supervisor.core.secrets import masked
from gristmill.supervisor.core.spec import Spec, Value

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a task. `env` holds only what the task adds to the environment of its job, or has otherwise.

    Of a call `argv` is empty; it gets `args` by place and `kwargs` by name.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    stdin: str | None
    args: tuple[int | str, ...] = ()
    kwargs: dict[str, Value] = field(default_factory=dict)


def launch(
    spec: Spec, *, job: int, number: int, span: tuple[int, int], attempt: int, script: str | None,
    worker: int = 1,
) -> Launch:
    """The start of task `number` (from 0), whose first item and number of items are `span`, in this worker (from 1).
    `script` is the path of the frozen script of a `script` job."""
    start, count = span
    bare = not (spec.items.axes or spec.items.cases)  # an item is only its index
    given = items.params(spec.items, start) if count == 1 and not bare else {}
    values = shorthand.Values({name: parameters.text(value) for name, value in given.items()})
    env = {
        "GRIST_TASK": str(number),
        "GRIST_START": str(start),
        "GRIST_COUNT": str(count),
        "GRIST_ATTEMPT": str(attempt),
        **slurmenv.own(spec, job, number, given, attempt),
    }
    if bare and count == 1 and not spec.env and spec.stdin is None and (argv := _constant(spec.command)):
        env["GRIST_PARAMS"] = "{}"
        return Launch(argv, freeze.folder(spec), env, None)
    if count == 1:
        env["GRIST_PARAMS"] = "{}" if bare else msgspec.json.encode(given).decode()
        env.update({parameters.variable(name): value for name, value in values.items()})
    values |= {"start": str(start), "count": str(count), "task": str(number), "job": str(job)}
    if count == 1:
        values["index"] = str(start)
    values.setdefault(shorthand.SLOT, str(worker))
    if script is not None:
        values["script"] = script
    if spec.snapshot is not None:
        values["snapshot"] = spec.snapshot.tree or "{snapshot}"
    env.update({name: template.render(value, values) for name, value in spec.env.items()})
    if "PYTHONPATH" in env:
        env["PYTHONPATH"] = ":".join((*freeze.ahead(spec), env["PYTHONPATH"]))
    stdin = None if spec.stdin is None else template.render(spec.stdin, values)
    if spec.call is not None:
        args = {"nothing": (), "parameters": (), "index": (start,), "range": (start, count)}[spec.call.takes]
        return Launch((), freeze.folder(spec), env, stdin, args, given if spec.call.takes == "parameters" else {})
    return Launch(_argv(spec.command, values), freeze.folder(spec), env, stdin)


def finish(spec: Spec, *, job: int, number: int, attempt: int, results: str, done: int, failed: int) -> Launch:
    """The start of the [finally] step: `results` is the file that holds those of all tasks, of which so many items are
    done and have failed."""
    assert spec.finish is not None
    values = {"results": results, "job": str(job)}
    if spec.snapshot is not None:
        values["snapshot"] = spec.snapshot.tree
    env = {
        "GRIST_TASK": str(number),
        "GRIST_ATTEMPT": str(attempt),
        "GRIST_RESULTS": results,
        "GRIST_ITEMS_DONE": str(done),
        "GRIST_ITEMS_FAILED": str(failed),
    }
    where, env = freeze.folder(spec), settled(spec) | env
    if spec.finish.call is not None:
        return Launch((), where, env, None, (results,))
    return Launch(_argv(spec.finish.command, values), where, env, None)


@lru_cache(maxsize=256)
def _constant(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """The argv of a command without placeholders, () for one that has some: tasks by the thousand share it."""
    return () if any(map(template.holes, (command,) if isinstance(command, str) else command)) else _argv(command, {})


def _argv(command: str | tuple[str, ...], values: dict[str, str]) -> tuple[str, ...]:
    if isinstance(command, str):
        return (*shell.ARGV, template.render(command, values, shlex.quote))
    return tuple(template.render(part, values) for part in command)


def shared(spec: Spec, job: int) -> dict[str, str]:
    """The variables that are the same for all tasks of a job; those of `launch` have the last word."""
    return {"GRIST_JOB": str(job), "GRIST_JOB_NAME": spec.name, **width(spec), **slurmenv.shared(spec, job),
            **({"GRIST_SNAPSHOT": spec.snapshot.tree} if spec.snapshot is not None else {})}  # fmt: skip


def width(spec: Spec) -> dict[str, str]:
    """Of these variables those that a program may read once, when it begins; they are no job's own."""
    ntasks = spec.slurm.ntasks if spec.slurm is not None else 0  # of Slurm's, which share the claim
    cores = str(max(1, math.ceil((spec.resources.cpus or 1) / max(1, ntasks))))
    return {"SLURM_CPUS_PER_TASK": cores, "PYTHONUNBUFFERED": "1", **dict.fromkeys(_THREADS, cores)}


def cards(uuids: str) -> dict[str, str]:
    """The variables that show a task its cards, and no others."""
    return {"CUDA_VISIBLE_DEVICES": uuids, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "GRIST_GPUS": uuids} if uuids else {}


def settled(spec: Spec) -> dict[str, str]:
    """The job's own variables that are the same for all its tasks: what a module may read when it is imported."""
    return {name: template.render(value, {}) for name, value in spec.env.items() if not template.holes(value)}


def kind(spec: Spec) -> str:
    """What tasks of this name and command share a footprint under, today and next week: `NAME#CHECKSUM`."""
    command = spec.command if spec.kind != "list" else str(spec.items.cases[0]["line"]).split(None, 1)[:1]
    if spec.call is not None:
        command = ("call", spec.call.target)
    return f"{spec.name}#{zlib.crc32(msgspec.json.encode((command, spec.cwd))):08x}"


def summary(spec: Spec, width: int = 80) -> str:
    """What the job runs, on one short line."""
    if spec.kind == "list":
        first = str(spec.items.cases[0]["line"])
        text = first if spec.items.total == 1 else f"{spec.items.total:,} commands: {first}"
    elif spec.call is not None:
        text = f"call {spec.call.target}"
    elif isinstance(spec.command, str):
        text = spec.command
    else:
        text = " ".join(spec.name if part == "{script}" else part for part in spec.command)
    text = masked(text[: 10 * width]) + text[10 * width :]
    line = " ".join(text[: 10 * width].split())
    if len(line) <= width < len(text):
        line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line[: width + 1])
    return line if len(line) <= width else line[: width - 1] + "…"
