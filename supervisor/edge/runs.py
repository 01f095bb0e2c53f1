"""Run folders: the files in which the fate of a worker's tasks is written, and which outlive the daemon.

Owns making, fencing, surveying and removing them, and where a task's log lies meanwhile and afterwards. A run folder
holds `lock`, `journal`, `log`, `result` and `progress`; the worker and its task write them (see `worker`), the daemon
only adds the fence. Who holds the lock is asked of the kernel, never of a file that names a pid.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from gristmill.supervisor.core import journal
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.edge.locks import holder

KINDS = ("log", "err")
"""What tasks write to: standard output with standard error, or each to a file of its own."""


class Runs:
    """The folder `runs/` of a state folder, run folders in it named by a number that only grows; and `logs/`."""

    def __init__(self, state: Path) -> None:
        self._folder, self._logs = state / "runs", state / "logs"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._next = max(self.existing(), default=0) + 1
        self.cleared: Callable[[int], None] = lambda _: None
        """Hears of each run of which nothing is left to do."""

    def existing(self) -> list[int]:
        """The numbers of all run folders, oldest first."""
        return sorted(int(name) for name in os.listdir(self._folder) if name.isdigit())

    def path(self, run: int) -> Path:
        """Where run folder `run` is."""
        return self._folder / str(run)

    def mark(self, run: int) -> str:
        """What every task of run folder `run` has in its environment, and no other process."""
        return f"GRIST_RESULT={self.path(run) / 'result'}"

    def create(self) -> int:
        """Makes a fresh run folder with an empty journal and returns its number.

        The daemon makes it before anything is sent, so that a missing folder proves that nothing was claimed.
        """
        run = self._next
        self._next += 1
        path = os.fspath(self.path(run))
        os.mkdir(path, 0o700)
        try:
            os.close(os.open(f"{path}/journal", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError:
            os.rmdir(path)
            raise
        return run

    def fence(self, run: int) -> None:
        """Shuts the worker of `run` out for good: whatever it claims from now on, it will not start.

        No fsync: the fence is for a worker that lives, and after a power cut none does.
        """
        fd = os.open(self.path(run) / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, journal.seal({"fence": os.getpid()}))
        finally:
            os.close(fd)

    def survey(self, run: int, keys: Collection[Key] | None = None) -> tuple[journal.Fates, int | None]:
        """What the journal of `run` says of `keys` (None: of all), and the pid of its worker if that lives.

        The lock is asked before the journal is read: a worker that ends in between has written its exit already.
        """
        path = self.path(run)
        pid = holder(path / "lock")
        try:
            data = (path / "journal").read_bytes()
        except FileNotFoundError:
            data = b""
        return journal.read(data, keys), pid

    def remove(self, run: int) -> None:
        """Removes the folder, only once all that it says has been committed; results that are kept there stay."""
        path = self.path(run)
        kept = [name for name in os.listdir(path) if _attempt(name, ("result",))]
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name in kept:
                    continue
                if entry.is_dir(follow_symlinks=False):  # of a task's own making, as any name may be
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
        if not kept:
            path.rmdir()
        self.cleared(run)

    # ── logs ──────────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, key: Key, run: int | None, kind: str = "log") -> Path:
        """What an attempt wrote, of a kind: its final name once it has lived a moment, its worker's before. Of the kind
        `progress` there is no final name."""
        final = self._final(key, kind)
        return final if run is None or final.exists() else self.path(run) / kind

    def save_log(self, run: int, key: Key) -> str:
        """Gives what a killed worker's task wrote its final names; the log's path, or "" when that is empty."""
        for kind in KINDS:
            left, final = self.path(run) / kind, self._final(key, kind)
            if not final.exists() and left.exists() and left.stat().st_size:
                final.parent.mkdir(mode=0o700, exist_ok=True)
                left.rename(final)
        log = self._final(key)
        return str(log) if log.exists() else ""

    def save_strays(self, run: int) -> list[tuple[Key, str]]:
        """Gives logs that could not be moved when their tasks ended their final names; raises OSError if they still
        can't be."""
        moved = []
        for name in os.listdir(self.path(run)):
            if found := _attempt(name, KINDS):
                kind, key = found
                final = self._final(key, kind)
                final.parent.mkdir(mode=0o700, exist_ok=True)
                (self.path(run) / name).rename(final)
                if kind == "log":
                    moved.append((key, str(final)))
        return moved

    def _final(self, key: Key, kind: str = "log") -> Path:
        return self._logs / str(key.job) / f"{key.number}.{key.attempt}.{kind}"


def _attempt(name: str, kinds: Collection[str]) -> tuple[str, Key] | None:
    """Which attempt's file of one of these kinds that is, `KIND.KEY`; None for any other: a task may have made it."""
    kind, _, text = name.partition(".")
    try:
        return (kind, Key.parse(text)) if kind in kinds else None
    except ValueError:
        return None
