"""Locks that the kernel lets go of when their process ends, however it ends; whoever asks learns the holder's pid."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from gristmill.supervisor.core.errors import FolderError

_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def holder(path: Path) -> int | None:
    """The pid that holds the POSIX lock on `path`, None when nobody does."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):  # no such file, and there can be none
            raise
        return None
    try:
        ask = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, ask))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else pid


class Lock:
    """A lock held for the life of a daemon."""

    def __init__(self, path: Path) -> None:
        """Takes the lock; raises FolderError naming the holder when somebody has it."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise FolderError(
                    f"a daemon runs already for this folder (pid {holder(path)}) – "
                    "see it with `grist status`, end it with `grist shutdown`"
                ) from error
            raise FolderError(f"{path}: {error.strerror} – name a local folder with --state") from error

    def release(self) -> None:
        """Lets go."""
        os.close(self._fd)
