"""The jobs folder as a place: whether it may be used, the folders beside the jobs, and who holds it."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from pathlib import Path

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.sanitise import encodable
from gristmill.supervisor.edge.durable import sync_folder
from gristmill.supervisor.edge.locks import Lock

HOME = ".gristmill"
PLACES = ("accepted", "done", "failed", "rejected")


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


class Ground:
    """One jobs folder, whatever lies in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / HOME / "spool"
        self._real = ""
        self._checked: tuple[int, int] | None = None
        self._locks: list[Lock] = []
        self._locked: tuple[int, int] | None = None

    def check(self) -> None:
        """Raises FolderError unless the folder is there, is ours, and nobody else may write to it."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise FolderError(f"{self.path}: {error.strerror} – make it: mkdir {self.path}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise FolderError(f"{self.path}: not a folder – name a folder with --jobs")
        if encodable(str(self.path)) != str(self.path):  # tasks run above it, and the record says where
            raise FolderError(f"{self.path}: its path is not UTF-8 – rename it, or name another with --jobs")
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


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
