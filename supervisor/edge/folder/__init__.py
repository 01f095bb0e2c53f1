"""The jobs folder as files: what lies there, and claims. It reads bytes, understands none.

    jobs/NAME ─rename─► .gristmill/spool/BATCH/NAME ─► accepted/NAME ─► done/NAME or failed/NAME  (`edge.shelves`)

A claim is a rename on one file system, made durable before anything is done with the file: whoever is killed at any
point leaves it either unclaimed, or in the spool, where the next start finds it. What changed between the look and
the claim is given back.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from gristmill.supervisor.core import filenames
from gristmill.supervisor.core.arrival import Settled
from gristmill.supervisor.core.filenames import SUFFIXES, job_like
from gristmill.supervisor.edge.durable import sync_folder, write_new
from gristmill.supervisor.edge.folder.files import (
    LOOK,
    NOT_THE_FILES,
    SIZE_LIMIT,
    Claimed,
    Found,
    as_seen,
    closed,
    kind_fault,
    settled,
    size_fault,
)
from gristmill.supervisor.edge.folder.ground import Ground, writable_by_others

__all__ = [
    "NOT_THE_FILES", "SIZE_LIMIT", "Claimed", "Found", "JobsFolder", "writable_by_others",
]


class JobsFolder(Ground):
    """One jobs folder, and the job files in it."""

    # ── what lies there ───────────────────────────────────────────────────────────────────────────────────────

    def look(self, most: int | None = None) -> list[Found]:
        """The files that may be jobs, all or `most`, oldest first: a night's drops run in the order they came."""
        if most is None:
            return sorted(self._candidates(), key=_age)
        return heapq.nsmallest(most, self._candidates(), key=_age)

    def empty(self) -> bool:
        """Whether nothing lies there that may be a job."""
        return next(self._candidates(), None) is None

    def _candidates(self) -> Iterator[Found]:
        with os.scandir(os.fsencode(self.path)) as entries:
            for entry in entries:
                if not job_like(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    continue
                if entry.name.endswith(SUFFIXES) or self._script_without_suffix(entry.name, status):
                    yield Found(entry.name, settled(status), stat.S_ISREG(status.st_mode))

    def _script_without_suffix(self, name: bytes, status: os.stat_result) -> bool:
        if not (stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IXUSR) or b"." in name:
            return False
        try:
            fd = os.open(os.path.join(os.fsencode(self.path), name), LOOK)
        except OSError as error:
            if error.errno in NOT_THE_FILES:
                raise
            return False
        try:
            return os.read(fd, 2) == b"#!"
        finally:
            os.close(fd)

    def closed(self, name: bytes) -> bool | None:
        """Whether nobody holds the file open for writing, by a read lease; None where the kernel can't tell."""
        return closed(os.path.join(os.fsencode(self.path), name))

    # ── claiming ──────────────────────────────────────────────────────────────────────────────────────────────

    def claim(self, names: list[bytes], batch: str, seen: Mapping[bytes, Settled] | None = None) -> list[Claimed]:
        """Takes files out of the folder, durably, in one batch; one that has vanished meanwhile is left out.

        What is not any more as it was `seen`, or is being written again, is given back.
        """
        folder = self.spool / batch
        folder.mkdir(mode=0o700)
        taken = []
        for name in names:
            path = os.path.join(os.fsencode(folder), name)
            try:
                os.rename(os.path.join(os.fsencode(self.path), name), path)
            except FileNotFoundError:
                continue
            if seen is not None and not as_seen(path, seen[name]):
                self._give_back(path, name)
            else:
                taken.append(name)
        if not taken:
            folder.rmdir()
            return []
        with ThreadPoolExecutor(2) as side_by_side:  # the disk is flushed once for both
            list(side_by_side.map(sync_folder, (folder, self.spool)))
        sync_folder(self.path)  # afterwards: nobody may find the file gone here and not there
        return [item for name in taken if (item := self.read(batch, name)) is not None]

    def _give_back(self, path: bytes, name: bytes) -> None:
        """Puts a claimed file back beside the others, under another name where its own is taken by now."""
        base = os.fsencode(self.path)
        os.rename(path, os.path.join(base, filenames.free(name, lambda n: os.path.lexists(os.path.join(base, n)))))

    def read(self, batch: str, name: bytes) -> Claimed | None:
        """A claimed file's bytes, or what keeps it from being a job; None when it was taken out of our hands."""
        claim = filenames.claim(batch, name)
        path = os.path.join(os.fsencode(self.spool / batch), name)
        try:
            fault = kind_fault(os.lstat(path))
            if fault:
                return Claimed(claim, name, b"", False, fault)
            fd = os.open(path, LOOK)
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                fault = kind_fault(status)
                data = b"" if fault else file.read(SIZE_LIMIT + 1)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            return Claimed(claim, name, b"", False, f"can't be read: {error.strerror} – chmod u+r it")
        except OSError as error:
            if error.errno in NOT_THE_FILES:
                raise
            return Claimed(claim, name, b"", False, f"can't be read: {error.strerror} – look at its disk")
        fault = fault or size_fault(len(data))
        return Claimed(claim, name, data, bool(status.st_mode & stat.S_IXUSR), fault)

    def left(self) -> list[tuple[str, bytes]]:
        """(batch, name) of files that were claimed and not placed, oldest batch first; durably so from now on.

        A daemon that was killed may have renamed them and not come to make that last.
        """
        batches = sorted((os.stat(path).st_mtime_ns, path.name) for path in self.spool.iterdir() if path.is_dir())
        if batches:
            for place in (*(self.spool / batch for _, batch in batches), self.spool, self.path):
                sync_folder(place)
        found = []
        for _, batch in batches:
            found += [(batch, name) for name in sorted(os.listdir(os.fsencode(self.spool / batch)))]
        return found

    def put(self, name: bytes, data: bytes, batch: str) -> Claimed:
        """A job that came over the socket, as a claim of its own."""
        folder = self.spool / batch
        folder.mkdir(mode=0o700)
        write_new(os.path.join(os.fsencode(folder), name), data, 0o600)
        sync_folder(folder)
        sync_folder(self.spool)
        return Claimed(filenames.claim(batch, name), name, data, False)


def _age(item: Found) -> tuple[int, bytes]:
    return item.settled[1], item.name
