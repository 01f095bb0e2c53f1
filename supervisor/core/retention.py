"""What is kept of jobs that have ended: which ones may go, and why another one stays.

Reads no clock and removes nothing; see `housekeeping`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gristmill.supervisor.core import gate
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Ref


@dataclass(frozen=True, slots=True)
class Usual:
    """What is kept where the settings do not say: all that ended in the last `age_s` seconds, and of what ended before
    so much as fits into `most_bytes` together with all that is newer. Looked after every `every_s` seconds."""

    age_s: float = 90 * 86400.0
    most_bytes: int = 10 << 30
    every_s: float = 86400.0


USUAL = Usual()


def needed(waiting: Iterable[Job]) -> dict[Ref, int]:
    """By id or name: the ended jobs that others still go by, with one that does. Of a name all are meant, as the newest
    may change."""
    return {
        ref: job.id
        for job in waiting
        if job.started_at is None and job.ended_at is None
        for ref in gate.named(job.spec.gate)
    }


def why_kept(job: int, name: str, needs: Mapping[Ref, int], in_hand: Iterable[int]) -> str:
    """Why an ended job must stay for now, "" where it need not; `in_hand` are jobs that a program still listens to."""
    if (other := needs.get(job, needs.get(name))) is not None:
        return f"job {other} waits for it"
    return "its program has yet to hear of it" if job in in_hand else ""


def beyond(
    newest_first: Iterable[tuple[int, str]], weigh: Callable[[int], int], most_bytes: int
) -> Iterator[tuple[int, str]]:
    """Those (id, name) that do not fit into so many bytes together with all newer ones. Weighed is none past the first
    of them."""
    total = 0
    for number, name in newest_first:
        total += weigh(number) if total <= most_bytes else 0
        if total > most_bytes:
            yield number, name
