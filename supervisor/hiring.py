"""Getting worker processes from the machine: the life of the spawner, and what to do when nothing is given.

A refusal is a condition, shown until a process is given again, and a pause, so that nobody asks without end. Which
worker does what is the pool's.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.spawner import Spawner
from gristmill.supervisor.workshop import Workshop
from gristmill.supervisor.workshops import Workshops

log = logging.getLogger(__name__)

PAUSE_S = 1.0
"""Seconds between attempts to get processes from a machine that has refused one."""
LASTS_S = 10.0
"""Seconds for which a refusal is shown after the last one, unless a process was given before."""
LIVES_S = 5.0
"""A spawner that ends sooner is not replaced at once."""
ANSWERS_S = 5.0
"""A worker that was asked for is late after so long."""
IDLE_S = 60.0
"""A spawner that has had no worker for so long leaves: another is there within 30 ms."""
KINDS = {
    errno.EMFILE: Kind.FILES, errno.ENFILE: Kind.FILES, errno.ENOSPC: Kind.RUNS, errno.EDQUOT: Kind.RUNS,
    errno.EROFS: Kind.RUNS,
}
"""What a refusal is called that is not about processes."""


class Hiring:
    """Asks for workers, and keeps the spawner that makes them while there is use for one."""

    def __init__(
        self, runs: Runs, conditions: Conditions, spawner_log: int, shops: Workshops, lost: Callable[[], None]
    ) -> None:
        """`lost` hears when the spawner has ended, and another has to be asked for."""
        self._runs, self._conditions, self._lost = runs, conditions, lost
        self.leaf: Callable[[int], str] = lambda _: ""
        """Makes the control group of a worker by its run; its path, or "" where it has none of its own."""
        self.shops = shops
        shops.heard = self._told
        self._spawner = Spawner(spawner_log, self._told, self._gone)
        self._refused_until = self._employed = 0.0
        self._guards = self._closing = False

    def hire(self, number: int, shop: Workshop | None = None) -> tuple[int, socket.socket] | None:
        """A new worker's run folder and socket; None while the machine refuses one, or has just done so, or the
        workshop is not ready."""
        spawner = self._spawner if shop is None else shop.spawner
        if time.monotonic() < self._refused_until or spawner is None or (shop is not None and not shop.warm):
            return None
        try:
            if spawner.pid is None:
                spawner.start()
            run = self._runs.create()
            try:
                return run, spawner.fork(self._runs.path(run), number, self.leaf(run))
            except OSError:
                self._runs.remove(run)
                raise
        except OSError as error:
            self.refuse("no worker can be started", error.errno, str(error))
            return None

    def refuse(self, what: str, number: int | None, text: str) -> None:
        """The machine gives no process now: a state, shown, and left as soon as it gives one."""
        kind = KINDS.get(number or 0, Kind.PROCESSES)
        self._conditions.set(kind, f"{kind}: {what}" + (f": {text}" if text else ""), for_s=LASTS_S, again_s=PAUSE_S)
        self._refused_until = time.monotonic() + PAUSE_S

    def given(self) -> None:
        """The machine has given a process: whatever it refused before, that is over."""
        for kind in {Kind.PROCESSES, *KINDS.values()}:
            self._conditions.clear(kind)

    def tick(self, waited_s: list[float], workers: int) -> None:
        """Once a second: says when workers are late, and lets a spawner go that nobody needs. `waited_s` are the
        seconds that each one who has not reported is waited for, `workers` how many there are for commands."""
        now = time.monotonic()
        if workers or self._guards:
            self._employed = now
        elif self._spawner.pid is not None and now - max(self._employed, self._spawner.since) > IDLE_S:
            self._spawner.end()
        late = sum(1 for seconds in waited_s if seconds > ANSWERS_S)
        words = f"spawner: workers asked for and not there after {ANSWERS_S:.0f} s: {late}"
        words += f" – is it stopped? kill -CONT {self._spawner.pid}"
        self._conditions.put(Kind.SPAWNER, words if late else "", holds=False)

    def guard(self, processes: list[tuple[int, int]]) -> bool:
        """Has the spawner let these processes (pid and start) go on, should we die; False when it can't."""
        try:
            if processes and self._spawner.pid is None:
                self._spawner.start()
            if processes or self._guards:
                self._spawner.guard(processes)
        except OSError:
            return False
        self._guards = bool(processes)
        return True

    def close(self) -> None:
        """Lets the spawner go; its workers stay until they have finished."""
        self._closing = True
        self._spawner.close()
        self.shops.close()

    def _gone(self, how: str) -> None:
        """Another is started with the next worker: at once, or after a pause where spawners don't live."""
        if self._closing:
            return
        log.warning("the spawner ended (%s); another is started when it is needed", how)
        if time.monotonic() - self._spawner.since < LIVES_S:
            self.refuse(f"the spawner ended at once ({how}); daemon.log has its words", None, "")
        self._lost()

    def _told(self, message: dict[str, Any]) -> None:
        if "failed" in message:
            self.refuse("no worker can be forked", message["errno"], message["text"])
