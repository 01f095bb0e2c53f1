"""What a task sees of Slurm: its variables, and the names of the files that sbatch would have written its output to.

Every task knows its place in an array and the cores it claims. Only scripts with `#SBATCH` lines have a number of
Slurm's job as well: MPI libraries and others take that for an allocation, and would look for srun.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gristmill.supervisor.core import items, slurmvalues
from gristmill.supervisor.core.slurm import ARRAY
from gristmill.supervisor.core.spec import Spec, Value

_BEYOND = 10**9
"""More than a job may have tasks: no two tasks share a number."""


def shared(spec: Spec, job: int) -> dict[str, str]:
    """The variables that are the same for all tasks of a job."""
    found: dict[str, str] = {}
    ids = _ids(spec)
    if len(ids) > 1 or (spec.slurm is not None and spec.slurm.array):
        found = {
            "SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_COUNT": str(len(ids)),
            "SLURM_ARRAY_TASK_MIN": str(ids[0]), "SLURM_ARRAY_TASK_MAX": str(ids[-1]),
            "SLURM_ARRAY_TASK_STEP": str(ids.step if isinstance(ids, range) else 1),
        }  # fmt: skip
    if spec.slurm is None:
        return found
    found |= {"SLURM_JOB_NAME": spec.name, "SLURM_SUBMIT_DIR": spec.slurm.submit, "SLURM_JOB_NUM_NODES": "1",
              "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
              "SLURM_CPUS_ON_NODE": str(math.ceil(spec.resources.cpus or 1))}  # fmt: skip
    if spec.slurm.partition:
        found["SLURM_JOB_PARTITION"] = spec.slurm.partition
    if spec.resources.memory_bytes:
        found["SLURM_MEM_PER_NODE"] = str(spec.resources.memory_bytes >> 20)
    if spec.slurm.ntasks:
        found["SLURM_NTASKS"] = str(spec.slurm.ntasks)
        if spec.slurm.old_names:
            found["SLURM_NPROCS"] = str(spec.slurm.ntasks)
    return found


def own(spec: Spec, job: int, number: int, given: Mapping[str, Value], attempt: int) -> dict[str, str]:
    """The variables of one task, whose item has the parameters `given`."""
    if spec.slurm is None:
        return {"SLURM_ARRAY_TASK_ID": str(number)}
    place = _place(spec, number, given)
    found = {} if place is None else {"SLURM_ARRAY_TASK_ID": place}
    found["SLURM_JOB_ID"] = str(job if place is None else job * _BEYOND + number)
    if spec.slurm.old_names:
        found["SLURM_JOBID"] = found["SLURM_JOB_ID"]
    if attempt > 1:
        found["SLURM_RESTART_COUNT"] = str(attempt - 1)
    return found


def files(spec: Spec, job: int, number: int, machine: Mapping[str, str]) -> tuple[str, str]:
    """The files that standard output and standard error of a task are copied to, "" for nowhere. `machine` says what
    the signs %N and %u stand for."""
    if spec.slurm is None:
        return "", ""
    given = items.params(spec.items, number) if spec.slurm.array else {}
    place = _place(spec, number, given)
    signs = {
        "A": str(job), "a": place or "4294967294", "b": str(int(place or 0) % 10), "J": str(job),
        "j": own(spec, job, number, given, 1)["SLURM_JOB_ID"], "n": "0", "s": "batch", "t": "0", "x": spec.name,
        **machine,
    }  # fmt: skip
    output, error = (slurmvalues.filled(text, signs) for text in (spec.slurm.output, spec.slurm.error))
    return output, error


def _ids(spec: Spec) -> range | list[Value]:
    """The ids of the tasks, empty where the daemon chooses how many there are."""
    if spec.slurm is not None and spec.slurm.array:
        found = items.values(spec.items.axes[0])
        return found if isinstance(found, range) else sorted(found, key=int)
    return range(items.tasks(spec.items)) if spec.items.per_task is not None else range(0)


def _place(spec: Spec, number: int, given: Mapping[str, Value]) -> str | None:
    """A task's id in the array, None where there is none."""
    if spec.slurm is not None and spec.slurm.array and ARRAY in given:
        return str(given[ARRAY])
    return str(number) if spec.items.per_task is None or items.tasks(spec.items) > 1 else None
