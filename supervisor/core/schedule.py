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
    long search. When every worker is busy, tiny tasks may still be sent ahead to those that have some; but not past a
    job that waits for a worker and has a smaller share: theirs run dry, and the next free one is its.
    """
    best: Job | None = None
    best_rank = (math.inf, math.inf)
    waiting = math.inf  # the smallest share among jobs that would need one more worker
    level = -math.inf  # the priority of the first that could do something, now or with a worker
    for job in jobs:
        if job.spec.priority < level:
            break
        if not job.ready(now):
            continue
        rank = (len(job.live) / job.ahead, job.served_at)
        wants_worker = busy >= limit and len(job.live) % job.ahead == 0
        if rank >= best_rank or (wants_worker and rank[0] >= waiting):
            continue
        job.waits = obstacle(job, room, busy > 0)
        if job.waits:
            continue
        level = job.spec.priority
        if wants_worker:
            waiting = rank[0]
            if not job.live:
                return None  # nobody's share is smaller, and whoever comes later has no more priority
            continue
        best, best_rank = job, rank
        if rank == (0.0, 0.0):
            break
    return best if best_rank[0] <= waiting else None


def charge(job: Job, room: Room) -> None:
    """Takes what one more task of `job` needs out of `room`."""
    room.memory_bytes -= memory_need(job, room) / job.ahead
    room.cpus -= (job.spec.resources.cpus or 0.0) / job.ahead
