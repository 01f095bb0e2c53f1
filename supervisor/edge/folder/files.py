"""Single files of the jobs folder: what tells two looks apart, who still writes, and what can be no job."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from dataclasses import dataclass

from gristmill.supervisor.core.arrival import Settled

SIZE_LIMIT = 1 << 20
NOT_THE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)
"""Errors of the moment, which say nothing about the file that they met."""
LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file is opened that may be anything: without waiting, and never through a link."""


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


def settled(status: os.stat_result) -> Settled:
    """Size, time of the last change, inode and device: what a file that is whole keeps."""
    size = status.st_size if stat.S_ISREG(status.st_mode) else -1  # a pipe is not an empty file
    return (size, status.st_mtime_ns, status.st_ino, status.st_dev)


def closed(path: bytes) -> bool | None:
    """Whether nobody holds it open for writing, by a read lease; None where the kernel can't tell."""
    try:
        fd = os.open(path, LOOK)
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


def as_seen(path: bytes, seen: Settled) -> bool:
    """Whether a file is still the one that was looked at, and nobody has opened it for writing since."""
    try:
        return settled(os.lstat(path)) == seen and closed(path) is not False
    except FileNotFoundError:
        return True  # there is nothing to give back; reading it says so


def kind_fault(status: os.stat_result) -> str:
    """Why that is no file to take a job from, with the mend; "" where it is one."""
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
    return size_fault(status.st_size)


def size_fault(size: int) -> str:
    """The same of its size."""
    if size > SIZE_LIMIT:
        return f"is {size} bytes long, more than {SIZE_LIMIT} – keep data outside the job file"
    if size == 0:
        return "is empty – write the job first, then move it here (mv)"
    return ""
