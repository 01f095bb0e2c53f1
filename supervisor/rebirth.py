"""A daemon that fails by a fault of its own begins again, in the same process: a killed one loses nothing and stops no
task, so that this is the cure for one that no longer knows what it does.

Not for ever: where that happens again and again, its cause lies in what is on the disk, and somebody has to look.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import NoReturn

import msgspec

from gristmill.supervisor.core.conditions import cause

VARIABLE = "GRIST_FAULTS"
"""In which a daemon that begins again is told of its faults; no task sees it."""
MOST, WITHIN_S = 3, 600.0
"""So many times it begins again within so many seconds."""


class Fault(msgspec.Struct, frozen=True):
    """When a daemon failed, and of what."""

    time: float
    words: str


class Rebirth:
    """The faults of the daemons that were in this process, and how the next one comes to be."""

    def __init__(self, environ: MutableMapping[str, str], wall: Callable[[], float] = time.time) -> None:
        """Made before anything else has changed what tasks inherit."""
        self._wall, self._environ = wall, environ
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            self.faults = msgspec.json.decode(environ.pop(VARIABLE, "[]"), type=list[Fault])
        except msgspec.DecodeError:
            self.faults = []  # a variable of the user's that happens to be called so

    @property
    def last(self) -> Fault | None:
        """Why this daemon began again, None where it did not."""
        return self.faults[-1] if self.faults else None

    def allows(self) -> bool:
        """Whether a daemon that fails now is to begin again."""
        now = self._wall()
        return sum(now - WITHIN_S < fault.time <= now for fault in self.faults) < MOST

    def begin_again(self, error: BaseException) -> NoReturn:
        """Puts a new daemon, with the same options, in the place of this one. Raises OSError where the kernel won't."""
        faults = [*self.faults[-MOST:], Fault(self._wall(), cause(error))]
        environ = {**self._environ, VARIABLE: msgspec.json.encode(faults).decode()}
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
