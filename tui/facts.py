"""What a question says of the jobs and tasks that it is about: by id, and as they are at the moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.supervisor.core import figures
from gristmill.tui.marks import SIGNS
from gristmill.tui.present import Mill, name_task

SHOWN = 5


def call_ids(ids: Sequence[str]) -> str:
    """`job 12`, `task 12/17`, `2 jobs (4, 5)`."""
    kind = "task" if "/" in ids[0] else "job"
    if len(ids) == 1:
        return f"{kind} {ids[0]}"
    return f"{len(ids)} {kind}s ({', '.join(ids[:3])}{' …' if len(ids) > 3 else ''})"


def jobs_of(ids: Sequence[str]) -> list[str]:
    """The jobs that these are, or are tasks of; each once."""
    return list(dict.fromkeys(one.partition("/")[0] for one in ids))


def facts(mill: Mill | None, ids: Sequence[str]) -> tuple[str, ...]:
    """What these ids are now, one line each; beyond a few, how many more."""
    lines = tuple(_fact(mill, one) for one in ids[:SHOWN])
    return (*lines, f"and {len(ids) - SHOWN} more") if len(ids) > SHOWN else lines


def _fact(mill: Mill | None, one: str) -> str:
    job_id, _, number = one.partition("/")
    job = mill.jobs.get(int(job_id)) if mill is not None else None
    if mill is None or job is None:
        return f"{one}: no longer listed"
    if number:
        worker = next((worker for worker in mill.workers if worker.task == one), None)
        where = f"on worker {worker.worker}" if worker else "not running at the moment"
        return f"{one}: {name_task(one, job.name)}, {where}"
    state = SIGNS[job.state].word if job.state in SIGNS else job.state
    return f"{one}: {job.name}, {state}, {figures.count(job.items_done)} of {figures.count(job.items)} items done"
