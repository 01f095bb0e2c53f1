"""What a worker is told: once what all tasks of a job share, then of each task what is its own.

Owns these messages, which `edge/worker.py` reads. What is started is worked out in `core.launch`, and what the machine
has for it in `edge.environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.launch import launch, shared
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge import environment


def context(job: Job, settings: Settings, environ: Mapping[str, str], state: Path) -> dict[str, Any]:
    """What all tasks of a job share; raises `GristError` where its environment is gone."""
    spec = job.spec
    return {
        "cwd": spec.cwd,
        "env": environment.base(spec, environ) | shared(spec, job.id),
        "timeout": spec.timeout_s,
        "grace": spec.grace_s,
        "nice": settings.nice if spec.nice is None else spec.nice,
        "ionice": settings.ionice,
        "wait": spec.leftovers == "wait",
        "most": spec.limits.log_bytes,
        "err": spec.stderr == "own",
        "logs": str(state / "logs" / str(job.id)),
        "results": str(state / "results" / str(job.id)),
    }


def order(job: Job, task: Task) -> dict[str, Any]:
    """The message that starts a task."""
    start = launch(job.spec, job=job.id, number=task.number, attempt=task.attempts, script=job.spec.script)
    message: dict[str, Any] = {"do": str(task.key), "argv": start.argv, "env": start.env}
    if start.stdin is not None:
        message["stdin"] = start.stdin
    return message
