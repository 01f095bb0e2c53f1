"""What tasks need that run elsewhere, written down for the nodes: a chunk's folder, from its job and the tasks in it.

Counterpart of `briefing`, which tells our own workers the same. What is started is worked out in `core.launch`; paths
of what is frozen are those of copies in the shared folder; the environment is only what the job adds to the node's own.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import structs

from gristmill.supervisor.core import freeze
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.launch import launch, shared
from gristmill.supervisor.core.remote import Need
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge import environment
from gristmill.supervisor.edge.chunks import Chunks

SLOT_BYTES, SLOT_LEAST = 32 << 20, 128 << 20
"""What the program that starts tasks takes of a slot's memory itself; and the least that is asked for, for what was
measured of small tasks is no bound."""
MARGIN_S = 120.0
"""A slot gets so much longer than its tasks may take: the engine's own limit is the last resort."""


class Plan(NamedTuple):
    """A chunk that is to be written down, in values that do not change while that is done in a thread."""

    job: int
    spec: Spec
    tasks: list[Task]
    name: str
    slots: int
    pack: int
    most: int | None
    settings: Settings
    environ: Mapping[str, str]


def need(job: Job, pack: int) -> Need:
    """What a slot needs: claimed, or learned from tasks that ran anywhere."""
    wants, timeout = job.spec.resources, job.spec.timeout_s
    time_s = job.spec.batch.time_s if timeout is None else pack * (timeout + job.spec.grace_s) + MARGIN_S
    memory = None if job.memory_need is None else max(SLOT_LEAST, int(job.memory_need) + SLOT_BYTES)
    return Need(max(1, math.ceil(wants.cpus or 1)), memory, wants.cards, time_s)


def write(chunks: Chunks, plan: Plan) -> Spec:
    """Writes the chunk, durably; its job as the nodes see it. Raises OSError, `GristError` where its environment is
    gone. For a thread."""
    spec, settings = plan.spec, plan.settings
    tree = spec.snapshot.tree if spec.snapshot is not None and spec.snapshot.tree else None
    _, script, code = chunks.home(plan.job, spec.script, tree)
    spec = structs.replace(spec, script=script)
    if spec.snapshot is not None and code is not None:
        spec = structs.replace(spec, snapshot=structs.replace(spec.snapshot, tree=code))
    entered = environment.entering(spec, plan.environ)
    context = {
        "cwd": freeze.folder(spec), "env": entered.env | shared(spec, plan.job), "ahead": entered.ahead,
        "unset": entered.unset, "timeout": spec.timeout_s, "grace": spec.grace_s,
        "nice": spec.nice or 0, "wait": spec.leftovers == "wait", "most": spec.limits.log_bytes,
        "err": spec.stderr == "own",
    }  # fmt: skip
    python = settings.node_python
    if spec.call is not None:
        context["call"] = _call(spec)
        if spec.call.python or spec.venv or spec.conda:
            python = environment.interpreter(spec, plan.environ)
    head = {"v": 1, "pack": plan.pack, "slots": plan.slots, "most": plan.most, "context": context}
    prologue = "\n".join(filter(None, (settings.slurm.prologue, spec.batch.prologue)))
    chunks.fill(plan.name, head, (_order(spec, plan.job, task) for task in plan.tasks),
                slot_script(str(chunks.path(plan.name)), python, prologue, own=spec.call is None))  # fmt: skip
    return spec


def _call(spec: Spec) -> dict[str, Any]:
    """What a node is told of the function that tasks call (see `node_call`)."""
    assert spec.call is not None
    kept = spec.call.recycle
    return {
        "target": spec.call.target, "preload": spec.call.preload, "path": [*freeze.ahead(spec), freeze.folder(spec)],
        "recycle": None if kept is None else [kept.tasks, kept.memory_bytes],
    }  # fmt: skip


def _order(spec: Spec, job: int, task: Task) -> dict[str, Any]:
    start = launch(spec, job=job, number=task.number, span=(task.start, task.count), attempt=task.attempts,
                   script=spec.script)  # fmt: skip
    order: dict[str, Any] = {"do": str(task.key), "env": start.env, "argv": start.argv}
    if spec.call is not None:
        order |= {"args": start.args, "kwargs": start.kwargs}
    if start.stdin is not None:
        order["stdin"] = start.stdin
    return order


def slot_script(folder: str, python: str, prologue: str, own: bool = True) -> str:
    """What an engine starts for a slot: `sh FOLDER/slot SLOT`. With a prologue in a login shell of bash's, where there
    is `module`; a prologue that fails is told on standard error, and starts nothing. `own`: the node's Python is for us
    alone; one that makes calls has all that its user's has."""
    here, home = shlex.quote(folder), shlex.quote(folder.rpartition("/")[0])
    program = python if python.isalnum() else shlex.quote(python)
    last = f'exec {program} {"-I -S " if own else ""}{home}/node.py {here} "$1"\n'
    if not prologue:
        return f"#!/bin/sh\n{last}"
    return (f'#!/bin/sh\nif [ -z "$GRIST_PROLOGUE" ]; then export GRIST_PROLOGUE=1; exec bash -l {here}/slot "$1"; fi\n'
            f"unset GRIST_PROLOGUE\n{prologue}\n{last}")  # fmt: skip
