"""Text files that a user named: read whole, never waited for."""

from __future__ import annotations

import errno
import os
import stat

MOST_BYTES = 64 << 20


def read(path: str) -> str:
    """The UTF-8 text of a plain file of at most 64 MiB; raises OSError, also where a pipe or device would block."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a plain file", path)
        if status.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "larger than 64 MiB", path)
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read()
    finally:
        os.close(fd)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "not UTF-8 text", path) from error
