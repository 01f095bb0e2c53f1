"""What a worker is told: once what all tasks of a job share, then of each task what is its own.

Owns these messages, which `worker/` reads. What is started is worked out in `core.launch`, and what the machine
has for it in `edge.environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from gristmill.supervisor.core import freeze, shell, slurmenv, subtree
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.launch import cards, finish, launch, shared
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Call, Spec
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.core.tools import Tools, tools
from gristmill.supervisor.edge import environment

LASTS_S = 1.0
"""Seconds for which what a job's tasks share is not worked out again: a thousand workers are told it in a few."""
_FUNCTION = "BASH_FUNC_"
"""What bash puts before the name of a function that it exports, with `%%` behind it."""


class Briefs:
    """What all tasks of a job share, as it was last worked out."""

    def __init__(self, environ: Mapping[str, str], state: Path) -> None:
        self._environ, self._state = environ, state
        self._functions = _functions(environ)
        self._key: tuple[int, bool] = (0, False)
        self._made: tuple[float, Settings, dict[str, Any]] | None = None

    def of(self, job: Job, task: Task, settings: Settings, now: float) -> dict[str, Any]:
        """As `context`; `now` is of a clock that only grows."""
        key, made = (job.id, task.is_finish), self._made
        if made is None or key != self._key or made[1] is not settings or now >= made[0] + LASTS_S:
            made = self._made = now, settings, context(job, task, settings, self._environ, self._state)
            self._key = key
        return made[2]

    def order(self, job: Job, task: Task) -> dict[str, Any]:
        """The message that starts a task."""
        message = _order(job, task, self._state)
        argv = message.get("argv", ())
        if argv[:-1] == shell.ARGV:
            message["argv"] = (*shell.ARGV, shell.in_place(argv[-1], self._functions | _functions(job.spec.env)))
        return message


def context(job: Job, task: Task, settings: Settings, environ: Mapping[str, str], state: Path) -> dict[str, Any]:
    """What all tasks of a job share, or what its [finally] step has instead; raises `GristError` where its environment
    is gone."""
    spec = job.spec
    call = _last(spec) if task.is_finish else spec.call
    base = {} if call is not None else environment.base(spec, environ)  # a call's interpreter has it already
    nice = settings.nice if spec.nice is None else spec.nice
    screen = {"TERM": "xterm-256color"} if spec.pty and base.get("TERM", "dumb") == "dumb" else {}
    return {
        "cwd": freeze.folder(spec),
        "env": base | screen | shared(spec, job.id),
        "timeout": job.timeout_of(task),
        "grace": spec.grace_s,
        "nice": nice,
        "ionice": settings.ionice,
        "wait": spec.leftovers == "wait",
        "most": spec.limits.log_bytes,
        "space": spec.resources.memory_bytes if spec.resources.strict and not task.is_finish else None,
        "bounds": subtree.bounds(spec, nice, finish=task.is_finish),
        "err": spec.stderr == "own",
        "pty": spec.pty,
        "logs": str(state / "logs" / str(job.id)),
        "results": str(state / "results" / str(job.id)),
        **({} if call is None else _manner(call)),
    }


def _functions(environ: Mapping[str, str]) -> frozenset[str]:
    """The names of bash's functions in an environment (`export -f`)."""
    return frozenset(name[len(_FUNCTION) : -2] for name in environ if name.startswith(_FUNCTION))


def _last(spec: Spec) -> Call | None:
    """The call that a [finally] step is; None where that is a command."""
    if spec.call is None or spec.finish is None or spec.finish.call is None:
        return None
    return structs.replace(spec.call, target=spec.finish.call, recycle=None)


def _manner(call: Call) -> dict[str, Any]:
    """How calls are made: each in a process of its own (`once`), or when such a process is replaced."""
    recycle = call.recycle
    most = None if recycle is None else [recycle.tasks, recycle.memory_bytes]
    return {"call": call.target, "once": recycle is None, "recycle": most}


def tools_of(job: Job, environ: Mapping[str, str]) -> Tools:
    """What the interpreter of a job of calls needs; raises `GristError` where its environment is gone."""
    return tools(job.spec, environment.interpreter(job.spec, environ), environment.base(job.spec, environ))


def gathered(state: Path, job: int) -> Path:
    """Where a job's results lie for its [finally] step, JSON lines."""
    return state / "results" / str(job) / "all.jsonl"


def _order(job: Job, task: Task, state: Path) -> dict[str, Any]:
    if task.is_finish:
        last = finish(
            job.spec, job=job.id, number=task.number, attempt=task.attempts, results=str(gathered(state, job.id)),
            done=job.items_done, failed=job.items_failed,
        )
        what = {"argv": last.argv} if last.argv else {"args": last.args, "kwargs": {}}
        return {"do": str(task.key), "env": last.env, **what}
    start = launch(
        job.spec, job=job.id, number=task.number, span=(task.start, task.count), attempt=task.attempts,
        script=job.spec.script, worker=task.worker or 1,
    )
    message: dict[str, Any] = {"do": str(task.key), "env": start.env | cards(task.gpus)}
    if job.spec.call is None:
        message["argv"] = start.argv
    else:
        message["args"], message["kwargs"] = start.args, start.kwargs
    if start.stdin is not None:
        message["stdin"] = start.stdin
    claim = job.spec.resources.memory_bytes
    if claim is not None and job.footprint.raised_bytes > claim:
        message["bounds"] = subtree.memory(job.footprint.raised_bytes)
    if job.spec.slurm is not None and (job.spec.slurm.output or job.spec.slurm.error):
        files = slurmenv.files(job.spec, job.id, task.number, environment.signs())
        message["copy"] = [file and str(Path(job.spec.cwd, file)) for file in files]
        message["append"] = job.spec.slurm.append
    return message
