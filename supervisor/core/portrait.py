"""What the screens show of a job: its account as one view, with what it will still take and why it waits."""

from __future__ import annotations

from gristmill.supervisor.core import gate, launch
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import JobView, SnapshotView
from gristmill.supervisor.core.spec import Snapshot


def portray(job: Job) -> JobView:
    """The job as it is now."""
    seen = job.footprint if job.footprint.ends else None
    return JobView(
        id=job.id,
        name=job.spec.name,
        file=job.file,
        state=job.state.value,
        reason=job.reason or _why(job),
        items=job.spec.items.total,
        items_done=job.items_done,
        items_failed=job.items_failed,
        tasks=job.tasks,
        tasks_running=job.running,
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        eta_s=remaining_s(job),
        priority=job.spec.priority,
        where=job.where,
        attempts=job.spec.retry.attempts,
        command=launch.summary(job.spec),
        cpu_s_mean=seen.cpu_s if seen else None,
        wall_s_mean=seen.wall_s if seen else None,
        memory_peak_bytes=seen.memory_bytes if seen else None,
        needs={words: list(refs) for words, refs in gate.needs(job.spec.gate) if refs},
        notes=_notes(job),
        snapshot=_frozen(job.spec.snapshot),
        memory_need_bytes=None if job.memory_need is None else int(job.memory_need),
    )


def _frozen(code: Snapshot | None) -> SnapshotView | None:
    if code is None:
        return None
    diff = f"{code.folder}/diff.patch" if code.commit else ""
    return SnapshotView(folder=code.tree, files=code.count, bytes=code.bytes, commit=code.commit,
                        changed=list(code.changed), diff=diff, untracked=code.untracked)  # fmt: skip


def _notes(job: Job) -> list[str]:
    said = job.spec.slurm.remarks if job.spec.slurm is not None else ()
    return [f"{one.option}: {one.words}" for one in said if one.fate in ("not honoured", "not read")]


def remaining_s(job: Job) -> float | None:
    """Seconds until it ends at the present width, None while no task of it has ended and while it is held."""
    if not job.open or not job.footprint.ends:
        return None
    width = job.running
    if job.guided is not None and (item_s := job.footprint.pace.item_s):
        return (job.spec.items.total - job.items_done - job.items_failed) * item_s / max(1, width)
    left = job.waiting + width
    return left * job.footprint.wall_s / max(1, min(width, left))


def _why(job: Job) -> str:
    """What is to be said of it now, where nothing of it is at fault."""
    if not job.finishing:
        return job.warmth if job.cold else _waits(job) or job.warmth
    if job.finish is not None and job.finish.number in job.live:
        return "all items have ended; its [finally] step runs"
    return _waits(job) or "all items have ended; its [finally] step comes next"


def _waits(job: Job) -> str:
    if job.gate and job.open:
        return job.gate
    first = job.behind
    if first is not None and first.passed_at is not None and first.open:
        return f"turn: room is kept for job {first.id} ({first.spec.name}), which others have passed for long"
    return job.waits
