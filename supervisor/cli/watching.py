"""`grist status --watch`: what changes, in plain lines one below the other; for screen readers, logs and pipes.

No control sequence, no glyph: a state is a word. A job has a line when its state or its reason is another, and at most
one in a while when it only goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from gristmill.supervisor.cli.place import Place
from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import NoDaemonError
from gristmill.supervisor.core.sanitise import safe

AGAIN_S = 2.0
"""Seconds between two tries to find a daemon."""
GOES_ON_S = 10.0
"""Seconds between two lines of a job that only goes on."""


class Watch:
    """What was said of each job, and when; `wanted` is an id or a name, None for all."""

    def __init__(self, wanted: str | None = None, every_s: float = GOES_ON_S) -> None:
        self._wanted, self._every = wanted, every_s
        self._said: dict[int, tuple[tuple[Any, ...], tuple[Any, ...], float]] = {}
        self._mill: tuple[Any, ...] = ()

    def lines(self, update: dict[str, Any]) -> Iterator[str]:
        """The lines that an update is worth, safe for a terminal."""
        now = update["time"]
        clock = figures.full_clock(now)
        daemon, limit = update["daemon"], update["limit"]
        mill = (daemon["state"], daemon.get("reason", ""), limit["workers"])
        if mill != self._mill:
            self._mill = mill
            held = f"held: {daemon.get('reason')}" if daemon["state"] == "held" else "ok"
            yield safe(f"{clock} daemon {held}; {figures.several(limit['workers'], 'worker')}: {limit['reason']}")
        for job in update["jobs"]:
            if self._wanted is not None and self._wanted not in (str(job["id"]), job["name"]):
                continue
            stands = (job["state"], job.get("reason", "").partition(":")[0])
            counts = (job.get("items_done", 0), job.get("items_failed", 0), job["items"])
            before = self._said.get(job["id"])
            goes_on = before is not None and before[0] == stands
            if before is not None and goes_on and (before[1] == counts or now - before[2] < self._every):
                continue
            if before is None and update["event"] == "snapshot" and job.get("ended_at"):
                self._said[job["id"]] = (stands, counts, now)
                continue  # it was over before anybody watched
            self._said[job["id"]] = (stands, counts, now)
            yield safe(f"{clock} {sentence(job)}")


def sentence(job: dict[str, Any]) -> str:
    """`job 4 sweep: running, 15 of 40 items done, 2 failed, ~48m left. Why: …`."""
    parts = [job["state"], f"{job.get('items_done', 0)} of {job['items']} items done"]
    if job.get("items_failed"):
        parts.append(f"{job['items_failed']} failed")
    if job.get("eta_s") and not job.get("ended_at"):
        parts.append(f"about {figures.about(job['eta_s']).removeprefix('~')} left")
    reason = f". Why: {job['reason']}" if job.get("reason") else ""
    return f"job {job['id']} {job['name']}: {', '.join(parts)}{reason}"


def follow(place: Place, wanted: str | None) -> int:
    """Prints until it is interrupted; a daemon that goes is waited for."""
    watch, gone = Watch(wanted), False
    while True:
        try:
            with place.connect() as client:
                if wanted is not None:
                    client.ask("job", job=wanted, limit=0)  # one that is not there is said at once
                gone = False
                for update in client.updates():
                    for line in watch.lines(update):
                        print(line, flush=True)
            words = "the daemon hung up"
        except NoDaemonError as error:
            words = str(error)
        if not gone:
            print(safe(f"{figures.full_clock(time.time())} {words}; trying again"), flush=True)
        gone = True
        time.sleep(AGAIN_S)
