"""The end of a log, or of what a task says of its progress, while that is being written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

TAIL_BYTES = 4096


def read(path: Path, most: int = TAIL_BYTES) -> bytes:
    """The last `most` bytes of a file at most; nothing where there is none yet, or something else than a file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""  # not written yet, or just renamed: the next look finds it
    try:
        status = os.fstat(fd)
        return os.pread(fd, most, max(0, status.st_size - most)) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(fd)
