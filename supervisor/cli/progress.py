"""One live line about all jobs, for those who have no screen or want none."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.sanitise import safe

ENDED = ("done", "failed", "canceled")
LEAST_S, MOST_S = 0.9, 60.0
"""Seconds between two lines where there is no terminal: at least, for updates come about once a second; and at most."""


def line(update: dict[str, Any], jobs: dict[int, dict[str, Any]]) -> str:
    """`3 of 4 jobs, 812 of 1867 items, 2 of 2 workers, CPU 98 %, ~12s left: reason`."""
    limit, machine = update["limit"], update["machine"]
    open_jobs = [job for job in jobs.values() if job["state"] not in ENDED]
    items = sum(job["items"] for job in jobs.values())
    over = sum(job.get("items_done", 0) + job.get("items_failed", 0) for job in jobs.values())
    failed = sum(job.get("items_failed", 0) for job in jobs.values())
    parts = [
        f"{len(jobs) - len(open_jobs)} of {len(jobs)} jobs",
        f"{over} of {items} items" + (f" ({failed} failed)" if failed else ""),
        f"{limit['busy']} of {limit['workers']} workers",
        f"CPU {machine['cpu_percent']:.0f} %",
    ]
    left = max((job.get("eta_s") or 0.0 for job in open_jobs), default=0.0)
    if left:
        parts.append(f"{figures.about(left)} left")
    daemon = update["daemon"]
    held = "held: " if daemon["state"] == "held" else ""
    return ", ".join(parts) + f" – {held}{safe(daemon.get('reason') or limit['reason'])}"


def news(update: dict[str, Any], jobs: dict[int, dict[str, Any]]) -> tuple[object, ...]:
    """What of the line is worth a new one: not what changes every second while nothing happens."""
    limit, daemon = update["limit"], update["daemon"]
    reason = daemon.get("reason") or limit["reason"].partition(":")[0]  # what binds; its figures never stand still
    states = sorted((number, job["state"]) for number, job in jobs.items())
    counts = [(job["items"], job.get("items_done", 0), job.get("items_failed", 0)) for job in jobs.values()]
    return states, counts, limit["busy"], limit["workers"], daemon["state"], reason


class Progress:
    """Shows the line: rewritten in place on a terminal; elsewhere a new one when something has happened, no more than
    one a second, and one a minute so that a log shows that all this lives."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = sys.stdout.isatty()
        self._clock = clock
        self._last = -math.inf
        self._told: tuple[object, ...] = ()
        self.jobs: dict[int, dict[str, Any]] = {}

    def take(self, update: dict[str, Any], since: float = 0.0) -> bool:
        """Folds an update in and shows it when it is time; True when jobs were seen and all of them have ended."""
        for job in update["jobs"]:
            if job["submitted_at"] >= since:
                self.jobs[job["id"]] = job
        over = bool(self.jobs) and all(j["state"] in ENDED and j.get("ended_at") for j in self.jobs.values())
        now, found = self._clock(), news(update, self.jobs)
        due = found != self._told and (over or now - self._last >= LEAST_S)
        if self._terminal or due or now - self._last >= MOST_S:
            self._last, self._told = now, found
            self._write(line(update, self.jobs))
        return over

    def _write(self, text: str) -> None:
        if self._terminal:
            sys.stdout.write(f"\r\x1b[K{text[: _columns() - 1]}")
        else:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Leaves the line."""
        if self._terminal:
            print()


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
