"""Which job hands out the next task: priority, then fair share in turns, then age; and whether a task of it fits now.

Pure: the room is measured by others and passed in. A job that is passed over is told why in `Job.waits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gristmill.supervisor.core.job import Job

GB = 1e9


@dataclass(slots=True)
class Room:
    """What new tasks may take before the next reading.

    `memory_bytes` is free beyond the reserve and what running tasks are still expected to grow by; a task of a class
    never seen and without a claim is taken to need `unknown_bytes`. `cpus` is what claims have left over.
    """

    memory_bytes: float
    cpus: float
    unknown_bytes: float
    total_memory_bytes: float
    cores: float


def width(jobs: Iterable[Job]) -> int:
    """How many workers the live tasks of `jobs` keep busy; tasks sent ahead share one."""
    return sum(math.ceil(len(job.live) / job.ahead) for job in jobs if job.live)


def memory_need(job: Job, room: Room) -> float:
    """Bytes that one more task of `job` is taken to need: as known, else the stand-in."""
    need = job.memory_need
    return room.unknown_bytes if need is None else need


def obstacle(job: Job, room: Room, busy: bool) -> str:
    """Why no task of `job` fits now, "" when one does. On an idle machine one task always gets its chance."""
    need = memory_need(job, room)
    claim = job.spec.resources.memory_bytes
    if claim is not None and claim > room.total_memory_bytes:
        return f"memory: a task claims {claim / GB:.1f} GB, the machine has {room.total_memory_bytes / GB:.1f} GB"
    if need > room.memory_bytes and busy:
        return f"memory: a task needs {need / GB:.2g} GB, {max(0.0, room.memory_bytes) / GB:.2g} GB are free for it"
    cpus = job.spec.resources.cpus or 0.0
    if min(cpus, room.cores) > room.cpus and busy:
        return f"cpu: a task claims {cpus:g} cores, {max(0.0, room.cpus):g} are unclaimed"
    return ""


def choose(jobs: Iterable[Job], room: Room, now: float, busy: int, limit: int) -> Job | None:
    """The job whose next task is started now, None when none may be; `busy` of `limit` workers have something to do.

    `jobs` come by falling priority, then rising age. Of one priority the job with the fewest running tasks comes next,
    of equal ones that which was served longest ago; one that never was wins outright, so that a long queue costs no
    long search.
    """
    best: Job | None = None
    best_rank = (math.inf, math.inf)
    for job in jobs:
        if best is not None and job.spec.priority < best.spec.priority:
            break
        if not job.ready(now):
            continue
        if busy >= limit and len(job.live) % job.ahead == 0:
            continue  # one more would need one more worker
        rank = (len(job.live) / job.ahead, job.served_at)
        if rank >= best_rank:
            continue
        job.waits = obstacle(job, room, busy > 0)
        if job.waits:
            continue
        best, best_rank = job, rank
        if rank == (0.0, 0.0):
            break
    return best


def charge(job: Job, room: Room) -> None:
    """Takes what one more task of `job` needs out of `room`."""
    room.memory_bytes -= memory_need(job, room) / job.ahead
    room.cpus -= (job.spec.resources.cpus or 0.0) / job.ahead
