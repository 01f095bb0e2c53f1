"""A worker that an earlier daemon left: its socket went with that one, and signals are the way to it.

Owns the watch over its process. What such a worker has in hand, and how that ended, its run folder says (`runs`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


class Adopted:
    """A worker left by an earlier daemon: watched by its pid alone, told what to do by signals that it understands.

    One of an earlier version understands but the first of them (`stops` is False) and passes over the others.
    """

    def __init__(self, pid: int, ended: Callable[[], None], stops: bool) -> None:
        self.pid, self._stops = pid, stops
        self._fd = os.pidfd_open(pid)
        self._ended = ended
        asyncio.get_running_loop().add_reader(self._fd, self._gone)

    def end_task(self) -> None:
        """Asks it to end the task in hand: TERM, grace, KILL."""
        self._signal(signal.SIGUSR1)

    def stop(self) -> bool:
        """Asks it to stop its task; to be repeated, for it keeps a task stopped for a few seconds only. False when it
        does not know how."""
        if self._stops:
            self._signal(signal.SIGURG)
        return self._stops

    def go(self) -> None:
        """Asks it to let its task go on."""
        if self._stops:
            self._signal(signal.SIGCONT)

    def evict(self) -> None:
        """Asks it to end its task at once, to be run again."""
        self._signal(signal.SIGWINCH if self._stops else signal.SIGUSR1)

    def close(self) -> None:
        """Stops watching."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _signal(self, number: int) -> None:
        if self._fd >= 0:
            try:
                signal.pidfd_send_signal(self._fd, number)
            except ProcessLookupError:
                pass  # it has just ended, which the descriptor tells

    def _gone(self) -> None:
        self.close()
        self._ended()
