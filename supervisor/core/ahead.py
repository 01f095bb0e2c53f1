"""How many tasks of a job a worker is sent at a time, and whether one more may stand behind the one in hand.

Both spare a worker the wait for what must be written down before a task may start. What is sent ahead waits for one
worker though another may be free, so that only tasks which are soon over are, and of the last ones only so many that
nobody has nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.supervisor.core.job import Job

KNOWN = 8
"""Ends of tasks after which their class is known."""
TINY_S = 0.05
"""Mean wall time in seconds below which tasks are sent ahead of the commit that they would otherwise wait for."""
AHEAD_S = 0.1
"""Work in seconds that is sent ahead, at most."""
MOST = 24
MOST_CALLS = 256
"""The same for calls in a process that is used again: a commit lasts as long as a hundred of them."""
LINES_UP_S = (0.3, 3.0)
"""A range that will take between so many seconds is sent to a worker while that has the last one in hand."""


def most(job: Job) -> int:
    """How many of its tasks a worker may be sent at a time: more than one only for a class known to be tiny, and of few
    that are left only so many that one worker more would have something to do."""
    seen = job.footprint
    wall_s = max(seen.wall_s, job.handout.expected_s)
    if seen.ends < KNOWN or wall_s >= TINY_S or job.spec.resources.cards:
        return 1
    found = MOST if job.spec.call is None or job.spec.call.recycle is None else MOST_CALLS
    found = found if found * wall_s <= AHEAD_S else int(AHEAD_S / wall_s)
    if job.guided is not None:
        return found  # its ranges become shorter themselves
    unfinished = len(job.again) + job.handout.promises + job.hands
    return min(found, -(-unfinished // (job.workers + 1)) or 1)


def lines_up(job: Job) -> bool:
    """Whether its next task may be sent to a worker that has one in hand, so that between the two nothing has to be
    written down: where tasks last about a second, and each takes no more than what the last one leaves. Of tasks that
    are cut beforehand enough have to be left for all workers, for none is to stand behind another while somebody has
    nothing to do."""
    wants = job.spec.resources
    if not (job.open and job.handout.more) or job.cold or job.again:
        return False
    if job.spec.limits.workers is not None or wants.cards or wants.counters:
        return False
    least_s, most_s = LINES_UP_S
    if job.guided is None:
        seen = job.footprint
        return seen.ends >= KNOWN and TINY_S <= seen.wall_s <= most_s and job.handout.promises >= job.workers
    pace = job.footprint.pace
    return least_s <= pace.expected_s(pace.size(job.guided.todo.total, job.workers, job.spec.timeout_s)) <= most_s
