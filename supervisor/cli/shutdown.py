"""`grist shutdown`: stops the daemon; running tasks go on and are taken over by the next one."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge import locks

PATIENCE_S = 30.0
"""A daemon that waits for no task is gone within a second; one that is not by then is stuck."""
LOOK_S = 1.0
SAY_S, REPEAT_S = 2.0, 60.0
"""What is waited for is said when it changes, at most as often as the first, and at least as often as the second."""
NAMED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--drain", action="store_true", help="start nothing new, stop when all running tasks have ended")
    how.add_argument("--kill", action="store_true", help="end all running tasks first")
    parser.add_argument("--no-wait", action="store_true", help="return at once")


def run(args: argparse.Namespace) -> int:
    """Asks, then waits until the daemon has let go of its lock."""
    place = place_of(args)
    with place.connect() as client:
        pid = locks.holder(place.state / "lock")
        print(client.ask("shutdown", drain=args.drain, kill=args.kill)["message"], flush=True)
    if args.no_wait:
        return 0
    try:
        wait(place, pid, for_tasks=args.drain or args.kill)
    except KeyboardInterrupt:
        print(f"\n{abandoned(args)}", flush=True)
        return 130
    return 0


def abandoned(args: argparse.Namespace) -> str:
    """What goes on when nobody waits for it any longer."""
    if args.drain:
        return (
            "the drain goes on: nothing new is started, the daemon stops when all running tasks have ended – "
            "stop it now and leave them running: grist shutdown"
        )
    if args.kill:
        return "the daemon goes on ending its tasks, then stops – see what is left: grist status"
    return "the daemon goes on stopping"


def wait(place: Place, pid: int | None, for_tasks: bool) -> None:
    """Until the daemon `pid` is gone, another one in its place counts as gone; says what it waits for."""
    lock, began = place.state / "lock", time.monotonic()
    teller, looked = Teller(began), began
    while pid is not None and locks.holder(lock) == pid:
        now = time.monotonic()
        if not for_tasks and now > began + PATIENCE_S:
            raise GristError(f"the daemon (pid {pid}) has not stopped within {PATIENCE_S:.0f} s – "
                             "look at its daemon.log")
        if for_tasks and now > looked + LOOK_S:
            looked = now
            if words := teller.tell(left(place), now):
                print(words, flush=True)
        time.sleep(0.05)


def left(place: Place) -> list[dict[str, Any]]:
    """The jobs that still have running tasks; none where the daemon is about to go."""
    try:
        with place.connect() as client:
            jobs: list[dict[str, Any]] = client.ask("status")["jobs"]
    except NoDaemonError:
        return []
    return [job for job in jobs if job.get("tasks_running")]


@dataclass(slots=True)
class Teller:
    """Says how the wait goes, seldom enough to be read."""

    began: float
    said: str = ""
    at: float = float("-inf")

    def tell(self, jobs: list[dict[str, Any]], now: float) -> str:
        """The line to print now, "" when there is none."""
        count = sum(job["tasks_running"] for job in jobs)
        names = [f"{safe(job['name'])} {job['tasks_running']}" for job in jobs[:NAMED]]
        more = f" and {len(jobs) - NAMED} more jobs" if len(jobs) > NAMED else ""
        words = f"{count} running task{'s' * (count != 1)} left: {', '.join(names)}{more}"
        if not count or now < self.at + (SAY_S if words != self.said else REPEAT_S):
            return ""
        self.said, self.at = words, now
        return f"{words} – {figures.clock_span(now - self.began)} so far, Ctrl-C leaves them to it"
