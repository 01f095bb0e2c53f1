"""The end of a log that is being written."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_BYTES = 4096


def read(path: Path, most: int = TAIL_BYTES) -> bytes:
    """The last `most` bytes of a file at most; nothing where there is none yet."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""  # not written yet, or just renamed: the next look finds it
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, most, max(0, size - most))
    finally:
        os.close(fd)
