"""Run folders: the files in which the fate of a worker's tasks is written, and which outlive the daemon.

Owns making, fencing, surveying and removing them. A run folder holds `lock`, `journal`, `log` and `result`; the
worker writes them (see `worker`), the daemon only adds the fence. Who holds the lock is asked of the kernel, never
of a file that names a pid.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gristmill.supervisor.core import journal
from gristmill.supervisor.edge.locks import holder


class Runs:
    """The folder `runs/` of a state folder; run folders are named by a number that only grows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._next = max(self.existing(), default=0) + 1

    def existing(self) -> list[int]:
        """The numbers of all run folders, oldest first."""
        return sorted(int(name) for name in os.listdir(self._folder) if name.isdigit())

    def path(self, run: int) -> Path:
        """Where run folder `run` is."""
        return self._folder / str(run)

    def create(self) -> int:
        """Makes a fresh run folder with an empty journal and returns its number.

        The daemon makes it before anything is sent, so that a missing folder proves that nothing was claimed.
        """
        run = self._next
        self._next += 1
        path = self.path(run)
        path.mkdir(mode=0o700)
        os.close(os.open(path / "journal", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return run

    def fence(self, run: int) -> None:
        """Shuts the worker of `run` out for good: whatever it claims from now on, it will not start."""
        fd = os.open(self.path(run) / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, journal.seal({"fence": os.getpid()}))
            os.fsync(fd)
        finally:
            os.close(fd)

    def survey(self, run: int) -> tuple[journal.Fates, int | None]:
        """What the journal of `run` says, and the pid of its worker if that lives.

        The lock is asked before the journal is read: a worker that ends in between has written its exit already.
        """
        path = self.path(run)
        pid = holder(path / "lock")
        try:
            data = (path / "journal").read_bytes()
        except FileNotFoundError:
            data = b""
        return journal.read(data), pid

    def remove(self, run: int) -> None:
        """Removes the folder; only once all that it says has been committed."""
        shutil.rmtree(self.path(run), ignore_errors=False)
