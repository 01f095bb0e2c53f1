"""One workshop: an interpreter in which calls are made, the jobs that need it, and the functions that it can call.

Owns that account. It starts and ends nothing: its life is `workshops`'.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.core.tools import Function, Tools, functions
from gristmill.supervisor.edge.spawner import Spawner


@dataclass(slots=True, eq=False)
class Workshop:
    """An interpreter that is to be ready, or is. `since` is when its import began, and later when the last job that
    needed it ended."""

    tools: Tools
    jobs: dict[int, Job] = field(default_factory=dict)
    queue: asyncio.Queue[Task] = field(default_factory=lambda: asyncio.Queue(maxsize=256))
    spawner: Spawner | None = None
    log: Path = Path()
    since: float = 0.0
    not_before: float = 0.0
    warm: bool = False
    files: list[tuple[str, int, int]] = field(default_factory=list)
    caution: str = ""
    """What its users had better know."""
    tries: int = 0
    asked: dict[int, Function] = field(default_factory=dict)
    """Functions that its spawner was asked for and has not answered, by number."""
    known: set[Function] = field(default_factory=set)
    """Those that can be called there."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def module(self) -> str:
        """The module that it imports first."""
        return self.tools.module

    def wanted(self) -> dict[int, Function]:
        """The functions that its jobs call and that nobody has asked for, by fresh numbers: they are to be now."""
        new = {one: None for job in self.jobs.values() for one in functions(job.spec)}
        asked = {*self.asked.values(), *self.known}
        found = {next(self._numbers): one for one in new if one not in asked}
        self.asked |= found
        return found

    def serves(self, job: Job) -> bool:
        """Whether all that a job calls can be called there now."""
        return self.warm and self.known.issuperset(functions(job.spec))

    def is_stale(self) -> bool:
        """Whether a file of what was imported is another one by now; new jobs want that."""
        for path, mtime_ns, size in self.files:
            try:
                stat = os.stat(path)
            except OSError:
                return True
            if (stat.st_mtime_ns, stat.st_size) != (mtime_ns, size):
                return True
        return False
