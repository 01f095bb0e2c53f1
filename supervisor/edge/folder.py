"""The jobs folder as files: whether it may be used, what lies there, and claims. It reads bytes, understands none.

    jobs/NAME ─rename─► .gristmill/spool/BATCH/NAME ─► accepted/NAME ─► done/NAME or failed/NAME  (`edge.shelves`)

A claim is a rename on one file system, made durable before anything is done with the file: whoever is killed at any
point leaves it either unclaimed, or in the spool, where the next start finds it. What changed between the look and
the claim is given back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import heapq
import os
import pwd
import signal
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gristmill.supervisor.core import filenames
from gristmill.supervisor.core.arrival import Settled
from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.filenames import SUFFIXES, job_like
from gristmill.supervisor.edge.locks import Lock

SIZE_LIMIT = 1 << 20
HOME = ".gristmill"
PLACES = ("accepted", "done", "failed", "rejected")
NOT_THE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)
"""Errors of the moment, which say nothing about the file that they met."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a job. `settled` tells two looks at a growing file apart: size, times and inode."""

    name: bytes
    settled: Settled
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file in the spool. `claim` is its durable name there; `fault` says why it can't be a job, "" if it may be."""

    claim: str
    name: bytes
    data: bytes
    executable: bool
    fault: str = ""


def writable_by_others(status: os.stat_result) -> bool:
    """Whether somebody else than the owner may write: by mode, a user's own private group aside."""
    mode = status.st_mode
    if mode & stat.S_IWOTH:
        return True
    if not mode & stat.S_IWGRP:
        return False
    try:
        group, owner = grp.getgrgid(status.st_gid), pwd.getpwuid(status.st_uid)
    except KeyError:
        return True
    return not (group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name})


class JobsFolder:
    """One jobs folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / HOME / "spool"
        self._real = ""
        self._checked: tuple[int, int] | None = None
        self._locks: list[Lock] = []
        self._locked: tuple[int, int] | None = None

    # ── whether it may be used ────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Raises FolderError unless the folder is there, is ours, and nobody else may write to it."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise FolderError(f"{self.path}: {error.strerror} – make it: mkdir {self.path}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise FolderError(f"{self.path}: not a folder – name a folder with --jobs")
        real = os.path.realpath(self.path)
        if self._real and real != self._real:
            raise FolderError(
                f"{self.path}: leads to {real} now, and to {self._real} when the daemon was started – "
                "put that back, or start a daemon for the other one"
            )
        if status.st_uid != os.geteuid():
            raise FolderError(f"{self.path}: belongs to another user – use a folder of your own")
        if writable_by_others(status):
            raise FolderError(
                f"{self.path}: others may write to it, and so run commands as you – chmod go-w {self.path}"
            )
        if os.statvfs(self.path).f_flag & os.ST_RDONLY:
            raise FolderError(f"{self.path}: its file system is read-only – remount it, or name another folder")
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise FolderError(f"{self.path}: can't be read and written – chmod u+rwx {self.path}")
        if os.geteuid() == 0:
            self._check_parents()
        self._real, self._checked = real, (status.st_dev, status.st_ino)

    def _check_parents(self) -> None:
        """Root runs only what root alone could have put there; a sticky folder such as /tmp protects its entries."""
        for parent in self.path.resolve().parents:
            status = os.stat(parent)
            if status.st_uid != 0 or (writable_by_others(status) and not status.st_mode & stat.S_ISVTX):
                raise FolderError(
                    f"{parent}: others may write to it, and the daemon runs as root – "
                    "use a folder that root alone can change, or run as an ordinary user"
                )

    def prepare(self) -> None:
        """Makes the folders beside the jobs, private ones for ourselves alone; raises FolderError where it can't.

        In the very folder that was checked: what has taken its name since may be anybody's, and stays as it is.
        """
        fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if self._checked not in (None, (status.st_dev, status.st_ino)):
                raise FolderError(f"{self.path}: another folder has taken its name this moment – it is looked at again")
            for place in (*(self.path / name for name in PLACES), self.path / HOME, self.spool):
                self._prepare(place, fd, status.st_dev)
        finally:
            os.close(fd)

    def _prepare(self, place: Path, base: int, device: int) -> None:
        name, private = place.relative_to(self.path), place.name not in PLACES
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700 if private else 0o777, dir_fd=base)
            status = os.stat(name, dir_fd=base, follow_symlinks=not private)
        except OSError as error:
            error.filename = str(place)  # rather than its name below the folder
            raise
        if not stat.S_ISDIR(status.st_mode) or status.st_dev != device:
            raise FolderError(f"{place}: no folder of this file system – move it away")
        if private and (status.st_uid != os.geteuid() or writable_by_others(status)):
            raise FolderError(f"{place}: others may write to it, and so run commands as you – chmod go-w {place}")

    def hold(self) -> None:
        """Takes the folder's lock, anew where the folder was remade; raises FolderError while another daemon has it."""
        path = self.path / HOME / "lock"
        before = _identity(path)
        if before is not None and before == self._locked:
            return
        # Never let go of an earlier one: to close any descriptor of a file is to lose all locks on it.
        self._locks.append(Lock(path))
        now = _identity(path)
        self._locked = now if before in (None, now) else None  # replaced in between: once more at the next look

    def sync(self, *names: str) -> None:
        """Makes renames in folders below this one durable; "" is this one itself."""
        for name in names:
            sync_folder(self.path / name)

    # ── what lies there ───────────────────────────────────────────────────────────────────────────────────────

    def look(self, most: int | None = None) -> list[Found]:
        """The files that may be jobs, all or `most`, oldest first: a night's drops run in the order they came."""
        if most is None:
            return sorted(self._candidates(), key=_age)
        return heapq.nsmallest(most, self._candidates(), key=_age)

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
                    yield Found(entry.name, _settled(status), stat.S_ISREG(status.st_mode))

    def _script_without_suffix(self, name: bytes, status: os.stat_result) -> bool:
        if not (stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IXUSR) or b"." in name:
            return False
        try:
            fd = os.open(os.path.join(os.fsencode(self.path), name), _LOOK)
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
        return _closed(os.path.join(os.fsencode(self.path), name))

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
            if seen is not None and not _as_seen(path, seen[name]):
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
            fault = _kind_fault(os.lstat(path))
            if fault:
                return Claimed(claim, name, b"", False, fault)
            fd = os.open(path, _LOOK)
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                fault = _kind_fault(status)
                data = b"" if fault else file.read(SIZE_LIMIT + 1)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            return Claimed(claim, name, b"", False, f"can't be read: {error.strerror} – chmod u+r it")
        except OSError as error:
            if error.errno in NOT_THE_FILES:
                raise
            return Claimed(claim, name, b"", False, f"can't be read: {error.strerror} – look at its disk")
        fault = fault or _size_fault(len(data))
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
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(os.path.join(os.fsencode(folder), name), flags, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        sync_folder(folder)
        sync_folder(self.spool)
        return Claimed(filenames.claim(batch, name), name, data, False)


_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _age(item: Found) -> tuple[int, bytes]:
    return item.settled[1], item.name


def _settled(status: os.stat_result) -> Settled:
    size = status.st_size if stat.S_ISREG(status.st_mode) else -1  # a pipe is not an empty file
    return (size, status.st_mtime_ns, status.st_ino, status.st_dev)


def _closed(path: bytes) -> bool | None:
    try:
        fd = os.open(path, _LOOK)
    except OSError:
        return True  # not readable or no plain file: to be rejected by its name, not waited for
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return True
        # A writer that comes while we hold the lease has the kernel tell us; by SIGIO, which would end the process,
        # unless another signal is named: this one is ignored by all who have no use for it.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return False
        return True if error.errno == errno.EACCES else None  # EACCES: another's file, to be rejected for that
    finally:
        os.close(fd)
    return True


def _as_seen(path: bytes, seen: Settled) -> bool:
    """Whether a file is still the one that was looked at, and nobody has opened it for writing since."""
    try:
        return _settled(os.lstat(path)) == seen and _closed(path) is not False
    except FileNotFoundError:
        return True  # there is nothing to give back; reading it says so


def _kind_fault(status: os.stat_result) -> str:
    kinds = (
        (stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a device"), (stat.S_ISCHR, "a device"), (stat.S_ISDIR, "a folder"),
    )
    for test, kind in kinds:
        if test(status.st_mode):
            return f"{kind}, not a file – copy the file itself here"
    if status.st_nlink != 1:
        return f"has {status.st_nlink} hard links, so it could change after it was read – copy it (cp) instead"
    if status.st_uid != os.geteuid():
        return "belongs to another user – copy it, so that it is yours"
    return _size_fault(status.st_size)


def _size_fault(size: int) -> str:
    if size > SIZE_LIMIT:
        return f"is {size} bytes long, more than {SIZE_LIMIT} – keep data outside the job file"
    if size == 0:
        return "is empty – write the job first, then move it here (mv)"
    return ""


def sync_folder(path: Path) -> None:
    """Makes renames in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
