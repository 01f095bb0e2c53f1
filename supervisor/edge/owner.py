"""A program for which something is kept: watched by its pid until it ends, whatever becomes of its connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable


class Owner:
    """One process; `ended` hears of its end, once."""

    def __init__(self, pid: int, ended: Callable[[], None]) -> None:
        """Begins to watch; raises ProcessLookupError where it has ended already or can't be seen from here."""
        self.pid, self._ended = pid, ended
        if pid <= 0:
            raise ProcessLookupError("a process of another pid namespace")
        self._fd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._fd, self._gone)

    def close(self) -> None:
        """Stops watching."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _gone(self) -> None:
        self.close()
        self._ended()
