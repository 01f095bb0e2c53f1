"""The task in hand: what its worker knows of it, and how all its processes are stopped and go on."""

from __future__ import annotations

import os
import signal
import time

from .output import Output
from .processes import descendants, send_signal

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    from typing import Any

SWEEPS = 5  # looks over a task's processes in one go until all of them are stopped
SWEEP_AGAIN = (0.02, 10)  # pause before the next such go, doubled each time, and how many there are at most
SWEEP_EVERY = 0.1  # seconds between two looks for what has not heard that it may go on


class Task:
    """The task in hand."""

    copies: tuple[str, ...] = ()  # where its outputs are copied to when it has ended, "" for nowhere
    copies_append = False
    announced = False
    yield_at: float | None = None  # when its session is made to go last
    yields = 0  # how often that was tried
    why: str | None = None  # "timeout", "cancel" or "evict" once its end was asked for
    stopped_at: float | None = None  # since when it is stopped
    stopped = 0.0  # seconds that it was stopped before
    lease = 0.0  # when it goes on by itself
    frozen: frozenset[tuple[int, int]] = frozenset()  # processes that we stopped: what the task stops itself stays so
    sweep_at: float | None = None  # when some are looked for that were not reached yet
    sweeps = 0
    kill_at: float | None = None
    status: int | None = None
    said: dict[str, Any] | None = None  # what goes into the record of its exit beside the usual
    cpu = 0.0
    rss = 0

    def __init__(self, key: str, pid: int, context: dict[str, Any], outputs: list[Output], ago: float = 0.0) -> None:
        """It began to be started so many seconds ago: one that sleeps for three seconds takes no less than that."""
        self.key = key
        self.pid = pid
        self.grace = context["grace"]
        self.nice = context["nice"]
        self.wait = context.get("wait", False)  # for what the task leaves running, rather than end it
        self.started = time.time() - ago
        self.born = time.monotonic() - ago
        self.deadline = None if context["timeout"] is None else self.born + context["timeout"]
        name = key.split(".", 1)[1]
        self.result_path = f"{context['results']}/{name}.json"
        self.outputs = outputs
        for output in outputs:
            output.begin(context["logs"], name, key, context.get("most") or 0, self.born)

    def count_stop(self) -> None:
        """The task runs again, or ends: the time that it was stopped is over."""
        if self.stopped_at is not None:
            span = time.monotonic() - self.stopped_at
            self.stopped_at = None
            self.stopped += span
            if self.deadline is not None:
                self.deadline += span

    def freeze(self) -> None:
        """Stops every process of the task, also those that are made while others are being stopped.

        A process that is seen stopped makes no more children, and those that it made are in the next look: two looks
        in a row in which nothing moves have seen all there is. One that waits for a disk, or for a child of vfork,
        stops only afterwards: it is looked for later, a few times.
        """
        still = 0
        try:
            for _ in range(SWEEPS):
                moving = [one for one in descendants(os.getpid()) if one[2] not in b"TtZX"]
                still = 0 if moving else still + 1
                if still == 2:
                    self.sweep_at = None
                    return
                for pid, start, _ in moving:
                    if send_signal(pid, start, signal.SIGSTOP):
                        self.frozen |= {(pid, start)}
        except OSError:
            pass  # no descriptor left to look with
        first, most = SWEEP_AGAIN
        self.sweep_at = time.monotonic() + first * 2**self.sweeps if self.sweeps < most else None
        self.sweeps += 1

    def thaw(self) -> None:
        """Lets go on what we have stopped; whom no descriptor is left for is tried again until all have heard."""
        self.frozen = frozenset(one for one in self.frozen if not send_signal(*one, signal.SIGCONT))
        self.sweep_at = time.monotonic() + SWEEP_EVERY if self.frozen else None

    def sweep(self) -> None:
        if self.stopped_at is None:
            self.thaw()
        else:
            self.freeze()
