"""Which job hands out the next task: priority, then fair share in turns, then age; and whether a task of it fits now.

A task that fits passes one that needs more of something than is free: memory, cores, cards, a counter. A job of which
nothing runs is passed for so long only, `patience`: then what is freed is kept for it, from all who would use that too.
Pure: the room is measured by others and passed in. A job that is passed over is told why in `Job.waits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gristmill.supervisor.core.cards import Cards
from gristmill.supervisor.core.figures import spoken
from gristmill.supervisor.core.governor.decision import Fit, taken
from gristmill.supervisor.core.job import Job

PATIENCE_S = 60.0
PATIENCE_LENGTHS = 3.0
"""A job that lacks room, and of which nothing runs, is passed for so many seconds, or so many lengths of the tasks that
pass it: then the room is let run empty for it. Half of it stands empty for one length in four: an eighth at most."""


@dataclass(slots=True)
class Room:
    """What new tasks may take before the next reading.

    `fits` says it for each kind that waited when the machine was read. For any other `memory_bytes` are free, and one
    of a kind never seen and without a claim is taken to need `unknown_bytes`. `running` counts by kind the workers
    that are busy now. `cpus` is what claims have left over, `counters` what of each, of `totals` in all. `held` is why
    nothing is started at all beside what runs.
    """

    memory_bytes: float
    cpus: float
    unknown_bytes: float
    total_memory_bytes: float
    cores: float
    fits: Mapping[str, Fit] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    held: str = ""
    ours_bytes: float = math.inf
    """What our own tasks hold, and leave when they end."""
    cards: Cards = field(default_factory=Cards)
    counters: dict[str, float] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    patience_s: float = PATIENCE_S
    kept: list[Job] = field(default_factory=list)
    """Jobs for which what they lack is kept."""
    extra: float = 0.0
    """Bytes given since the reading to tasks of kinds that it did not know to wait."""

    @property
    def taken(self) -> float:
        """Bytes that tasks were given since the reading."""
        return self.extra + taken(self.fits, self.running)


def widths(jobs: Iterable[Job]) -> dict[str, int]:
    """How many workers the live tasks of `jobs` keep busy, by kind of task; tasks sent ahead share one."""
    found: dict[str, int] = {}
    for job in jobs:
        if job.hands:
            found[job.kind] = found.get(job.kind, 0) - (-job.hands // job.ahead)
    return found


def width(jobs: Iterable[Job]) -> int:
    """The same in all."""
    return sum(widths(jobs).values())


def patience(jobs: Iterable[Job]) -> float:
    """Seconds for which the tasks of `jobs`, those that have some running, may pass one that does not fit."""
    return max(PATIENCE_S, PATIENCE_LENGTHS * max((job.footprint.wall_s for job in jobs), default=0.0))


def fit(job: Job, room: Room) -> Fit:
    """Memory for tasks of `job`, as the governor found it, or a stand-in until it has seen that job."""
    found = room.fits.get(job.kind)
    if found is not None:
        return found
    need = job.memory_need
    return Fit(room.unknown_bytes, room.memory_bytes, 1) if need is None else Fit(need, room.memory_bytes)


def obstacle(job: Job, room: Room, busy: bool) -> str:
    """Why no task of `job` fits now, "" when one does. On an idle machine one task always gets its chance, whatever
    memory and cores it needs."""
    claim = job.spec.resources.memory_bytes
    if claim is not None and claim > room.total_memory_bytes:
        return f"memory: a task claims {spoken(claim)}, the machine has {spoken(room.total_memory_bytes)}"
    if not busy:
        missing = _lacks_things(job, room)
        return missing.words if missing else ""
    if room.held:
        return room.held
    memory = fit(job, room)
    if memory.most is not None and room.running.get(job.kind, 0) >= memory.most:
        return "canary: one task of a kind never seen runs first, to see what it needs"
    missing = lack(job, room)
    return missing.words if missing else ""


class Lack(NamedTuple):
    """What a task can't have now: `memory`, `cpu`, `gpu` or the name of a counter; and that in words."""

    of: str
    words: str


def lack(job: Job, room: Room) -> Lack | None:
    """What a task of `job` lacks beside what runs, None for nothing."""
    memory, wants = fit(job, room), job.spec.resources
    if memory.need > memory.room - room.taken:
        free = max(0.0, memory.room - room.taken)
        return Lack("memory", f"memory: a task needs {spoken(memory.need)}, {spoken(free)} are free for it")
    cpus = wants.cpus or 0.0
    if min(cpus, room.cores) > room.cpus:
        return Lack("cpu", f"cpu: a task claims {cpus:g} cores, {max(0.0, room.cpus):g} are unclaimed")
    return _lacks_things(job, room)


def _lacks_things(job: Job, room: Room) -> Lack | None:
    """What is either there or not: cards, and what is counted."""
    wants = job.spec.resources
    if wants.cards and (words := room.cards.lack(wants)):
        return Lack("gpu", words)
    for name, count in wants.counters.items():
        if count > room.counters.get(name, 0.0):
            if name not in room.totals:
                mend = f"add counters = {{ {name} = {count:g} }}"
                return Lack(name, f"{name}: the settings have no such counter – {mend}")
            free, total = max(0.0, room.counters[name]), room.totals[name]
            return Lack(name, f"{name}: a task takes {count:g}, {free:g} of {total:g} are free")
    return None


def uses(job: Job, of: str) -> bool:
    """Whether tasks of `job` take of this as well."""
    wants = job.spec.resources
    return {"memory": True, "cpu": bool(wants.cpus), "gpu": bool(wants.cards)}.get(of, of in wants.counters)


def rank(job: Job, room: Room, now: float) -> tuple[float, float]:
    """Of two jobs of one priority the one with the smaller comes first: by its share, then by its last turn. Those that
    were passed for long enough come before all that have been dropped since, the longest passed first."""
    if job.passed_at is not None and overdue(job, room, now):
        return -1.0, job.passed_at
    return job.hands / job.ahead, job.served_at


def overdue(job: Job, room: Room, now: float) -> bool:
    """Whether others have passed `job` for long enough."""
    return job.passed_at is not None and now >= job.passed_at + room.patience_s


def keep_room(jobs: Iterable[Job], room: Room, now: float) -> None:
    """Notes in `room` for which of the jobs what they lack is kept, since it is our own tasks that have it."""
    late = [job for job in jobs if job.passed_at is not None and overdue(job, room, now)]
    room.kept = [job for job in late if job.ready(now) and _within_reach(job, room)]


def _within_reach(job: Job, room: Room) -> bool:
    """Whether a task of `job` would have what it needs if all of ours ended."""
    memory, wants = fit(job, room), job.spec.resources
    return (
        memory.need <= memory.room - room.taken + room.ours_bytes
        and (not wants.cards or room.cards.could(wants))
        and all(count <= room.totals.get(name, 0.0) for name, count in wants.counters.items())
    )


def _first_before(job: Job, room: Room, now: float) -> Job | None:
    """The job for which something is kept that `job` would take."""
    for other in room.kept:  # by falling priority
        if other is not job and other.spec.priority >= job.spec.priority and overdue(other, room, now):
            missing = lack(other, room)
            if missing and uses(job, missing.of):
                return other
    return None


def note_passed(passed: Iterable[Job], room: Room, now: float) -> None:
    """Counts from now on for how long these are passed, where they lack something, and nothing of them runs."""
    for job in passed:
        if job.passed_at is None and not job.live and lack(job, room):
            job.passed_at = now


def choose(jobs: Iterable[Job], room: Room, now: float, busy: int, limit: int) -> Job | None:
    """The job whose next task is started now, None when none may be; `busy` of `limit` workers have something to do.

    `jobs` come by falling priority, then rising age. Of one priority the job with the fewest running tasks comes next,
    of equal ones that which was served longest ago; one that never was wins outright, so that a long queue costs no
    long search. When every worker is busy, tiny tasks may still be sent ahead to those that have some; but not past a
    job that waits for a worker and has a smaller share: theirs run dry, and the next free one is its. Nor when more are
    busy than may be, since the limit fell.
    """
    best: Job | None = None
    best_rank = (math.inf, math.inf)
    waiting = math.inf  # the smallest share among jobs that would need one more worker
    level = -math.inf  # the priority of the first that could do something, now or with a worker
    passed: list[Job] = []
    for job in jobs:
        if job.spec.priority < level:
            break
        if not job.ready(now):
            continue
        mine = rank(job, room, now)
        wants_worker = busy > limit or (busy == limit and job.hands % job.ahead == 0)
        if mine >= best_rank or (wants_worker and mine[0] >= waiting):
            continue
        job.waits = obstacle(job, room, busy > 0)
        job.behind = None if job.waits or not room.kept else _first_before(job, room, now)
        if job.waits or job.behind:
            passed.append(job)
            continue
        level = job.spec.priority
        if wants_worker:
            waiting = mine[0]
            if not job.live:
                return None  # nobody's share is smaller, and whoever comes later has no more priority
            continue
        best, best_rank = job, mine
        if mine == (0.0, 0.0):
            break
    if best is None or best_rank[0] > waiting:
        return None
    note_passed(passed, room, now)
    return best


def charge(job: Job, room: Room) -> int:
    """Takes what one more task of `job` needs out of `room`; how many workers more that keeps busy: 1, or 0 where it
    is sent ahead to one that is."""
    ahead = job.ahead
    if job.kind not in room.fits:
        room.extra += fit(job, room).need / ahead
    room.cpus -= (job.spec.resources.cpus or 0.0) / ahead
    for name, count in job.spec.resources.counters.items():
        room.counters[name] = room.counters.get(name, 0.0) - count
    if job.hands % ahead:
        return 0
    room.running[job.kind] = room.running.get(job.kind, 0) + 1
    return 1


def charge_behind(job: Job, room: Room, count: int) -> None:
    """Takes what so many tasks more need, all sent ahead to a worker that is busy with such already."""
    if job.kind not in room.fits:
        room.extra += count * fit(job, room).need / job.ahead
    room.cpus -= count * (job.spec.resources.cpus or 0.0) / job.ahead
