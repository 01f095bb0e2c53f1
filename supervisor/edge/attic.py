"""What a job has left in the state folder, its logs, results, calls and frozen script, and in the one that is shared
with nodes where it ran elsewhere; weighed, and removed.

Nothing outside of these two is touched, and no link is followed. Takes its time where a job has many files, so
it is for a thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDERS = ("logs", "results", "calls")
"""In each of them a job may have a folder, named by its id."""


class Attic:
    """The leavings of jobs in one state folder, and in one shared one."""

    def __init__(self, state: Path, shared: Path) -> None:
        """In `shared` each job that ran elsewhere has a folder of its id; nobody says that there are any."""
        self._state, self._shared = Path(os.path.realpath(state)), shared

    def _folders(self, job: int) -> list[Path]:
        return [*(self._state / name / str(job) for name in FOLDERS), self._shared / str(job)]

    def weigh(self, job: int) -> int:
        """Bytes that its files take of the disk."""
        return sum(_weight(folder) for folder in self._folders(job))

    def remove(self, job: int, script: str | None, results: Iterable[str]) -> None:
        """Removes them, with its frozen script and results that were left where they were written; what is gone already
        is no fault. Raises OSError where something can't be removed."""
        for path in map(Path, (*results, *((script,) if script else ()))):
            if self._is_ours(path):
                if path.is_dir() and not path.is_symlink():  # frozen code
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # others' are beside it
                    path.parent.rmdir()
        for folder in self._folders(job):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)

    def _is_ours(self, path: Path) -> bool:
        """Whether it lies two floors below the state folder, where scripts and results are."""
        real = Path(os.path.realpath(path.parent)) / path.name
        return real.parent.parent.parent == self._state and real.parent.parent.name in ("scripts", "runs", *FOLDERS)


def _weight(folder: Path) -> int:
    return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in _walk(folder))


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(Path(entry.path))
    except FileNotFoundError:
        return
