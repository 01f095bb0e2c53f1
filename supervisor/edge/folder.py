"""The jobs folder as files: what lies there, claiming, placing, rejecting. It reads bytes and understands none.

    jobs/NAME ─rename─► .gristmill/spool/BATCH/NAME ─rename─► accepted/NAME ─► done/NAME or failed/NAME
                                    └─► rejected/NAME with NAME.error beside it

A claim is a rename on one file system, made durable before anything is done with the file: whoever is killed at any
point leaves it either unclaimed, or in the spool, where the next start finds it.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from gristmill.supervisor.core.errors import FolderError

SIZE_LIMIT = 1 << 20
SUFFIXES = (b".toml", b".sh", b".py", b".txt", b".cmds")
HOME = ".gristmill"
PLACES = ("accepted", "done", "failed", "rejected")
README = (b"readme.txt",)
"""Names that people put beside jobs and that are none."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a job. `settled` tells two looks at a growing file apart: size, time and inode."""

    name: bytes
    settled: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file in the spool. `claim` is its durable name there; `fault` says why it can't be a job, "" if it may be."""

    claim: str
    name: bytes
    data: bytes
    executable: bool
    fault: str = ""


def shown(name: bytes) -> str:
    """A file name as text for people and JSON: what is not UTF-8 appears as \\xNN."""
    return name.decode("utf-8", "backslashreplace")


def job_like(name: bytes) -> bool:
    """Whether a file of this name, left alone otherwise, may be a job: hidden and unfinished names never are."""
    if name.startswith((b".", b"#")) or name.endswith((b"~", b".part", b".tmp", b".swp", b".error")):
        return False
    return name.lower() not in README


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

    def check(self) -> None:
        """Raises FolderError unless the folder is there, is ours, and nobody else may write to it."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise FolderError(f"{self.path}: {error.strerror} – make it: mkdir {self.path}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise FolderError(f"{self.path}: not a folder – name a folder with --jobs")
        if status.st_uid != os.geteuid():
            raise FolderError(f"{self.path}: belongs to another user – use a folder of your own")
        if writable_by_others(status):
            raise FolderError(
                f"{self.path}: others may write to it, and so run commands as you – chmod go-w {self.path}"
            )
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise FolderError(f"{self.path}: can't be read and written – chmod u+rwx {self.path}")
        if os.geteuid() == 0:
            self._check_parents()

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
        """Makes the folders beside the jobs, private ones for ourselves alone."""
        for name in PLACES:
            (self.path / name).mkdir(exist_ok=True)
        (self.path / HOME).mkdir(mode=0o700, exist_ok=True)
        self.spool.mkdir(mode=0o700, exist_ok=True)

    # ── what lies there ───────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> list[Found]:
        """Every file that may be a job, oldest first, so that a night's drops run in the order they came."""
        found = []
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
                    settled = (status.st_size, status.st_mtime_ns, status.st_ino)
                    found.append(Found(entry.name, settled))
        found.sort(key=lambda item: (item.settled[1], item.name))
        return found

    def _script_without_suffix(self, name: bytes, status: os.stat_result) -> bool:
        if not (stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IXUSR) or b"." in name:
            return False
        try:
            fd = os.open(os.path.join(os.fsencode(self.path), name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return os.read(fd, 2) == b"#!"
        finally:
            os.close(fd)

    def written(self, name: bytes) -> bool:
        """Whether nobody holds the file open for writing, as far as the kernel can tell (a read lease)."""
        try:
            fd = os.open(os.path.join(os.fsencode(self.path), name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return True  # not readable or no plain file: to be rejected by its name, not waited for
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return True
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EACCES)  # no leases here (NFS): the two looks decide
        finally:
            os.close(fd)
        return True

    # ── claiming ──────────────────────────────────────────────────────────────────────────────────────────────

    def claim(self, names: list[bytes], batch: str) -> list[Claimed]:
        """Takes files out of the folder, durably, in one batch; one that has vanished meanwhile is left out."""
        folder = self.spool / batch
        folder.mkdir(mode=0o700)
        taken = []
        for name in names:
            try:
                os.rename(os.path.join(os.fsencode(self.path), name), os.path.join(os.fsencode(folder), name))
            except FileNotFoundError:
                continue
            taken.append(name)
        for place in (folder, self.spool, self.path):
            sync_folder(place)
        return [self.read(batch, name) for name in taken]

    def read(self, batch: str, name: bytes) -> Claimed:
        """A claimed file's bytes, or what keeps it from being a job."""
        claim = f"{batch}/{shown(name)}"
        path = os.path.join(os.fsencode(self.spool / batch), name)
        before = os.lstat(path)
        fault = _kind_fault(before)
        if fault:
            return Claimed(claim, name, b"", False, fault)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return Claimed(claim, name, b"", False, f"can't be read: {error.strerror} – chmod u+r it")
        with os.fdopen(fd, "rb") as file:
            fault = _kind_fault(os.fstat(fd))
            data = b"" if fault else file.read(SIZE_LIMIT + 1)
        return Claimed(claim, name, data, bool(before.st_mode & stat.S_IXUSR), fault)

    def left(self) -> list[tuple[str, bytes]]:
        """(batch, name) of files that an earlier daemon claimed and did not place."""
        found = []
        for batch in sorted(os.listdir(self.spool)):
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
        return Claimed(f"{batch}/{shown(name)}", name, data, False)

    # ── placing ───────────────────────────────────────────────────────────────────────────────────────────────

    def free_place(self, place: str, name: bytes, taken: set[bytes]) -> bytes:
        """`place/NAME`, or with a number before the suffix where that is taken (by a file, or in `taken`)."""
        stem, suffix = os.path.splitext(name)
        number = 1
        while True:
            tail = suffix if number == 1 else b"~%d%s" % (number, suffix)
            target = os.path.join(place.encode(), stem[: 255 - len(tail)] + tail)
            if target not in taken and not os.path.lexists(os.path.join(os.fsencode(self.path), target)):
                return target
            number += 1

    def place(self, claim: str, name: bytes, target: bytes) -> None:
        """Moves a claimed file to `target`, below the jobs folder; one that is there already stays."""
        batch = self.spool / claim.partition("/")[0]
        try:
            os.rename(os.path.join(os.fsencode(batch), name), os.path.join(os.fsencode(self.path), target))
        except FileNotFoundError:
            pass  # placed before a crash: that is what this call wanted
        self._tidy(batch)

    def move(self, origin: bytes, place: str) -> bytes | None:
        """Moves a placed file to another place; returns where it lies now, None when its user took it away."""
        target = self.free_place(place, os.path.basename(origin), set())
        (self.path / place).mkdir(exist_ok=True)
        try:
            os.rename(os.path.join(os.fsencode(self.path), origin), os.path.join(os.fsencode(self.path), target))
        except FileNotFoundError:
            return None
        return target

    def reject(self, claim: str, name: bytes, why: str) -> bytes:
        """Moves a claimed file to `rejected/` and writes why into `NAME.error` beside it."""
        (self.path / "rejected").mkdir(exist_ok=True)
        target = self.free_place("rejected", name, set())
        base = os.path.join(os.fsencode(self.path), target)
        folder, file = os.path.split(base)
        error = os.path.join(folder, file[:249] + b".error")
        with open(error, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(why.rstrip("\n") + "\n")
        self.place(claim, name, target)
        return target

    def _tidy(self, batch: Path) -> None:
        try:
            batch.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise


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
    if status.st_size > SIZE_LIMIT:
        return f"is {status.st_size} bytes long, more than {SIZE_LIMIT} – keep data outside the job file"
    if status.st_size == 0:
        return "is empty – write the job first, then move it here (mv)"
    return ""


def sync_folder(path: Path) -> None:
    """Makes renames in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
