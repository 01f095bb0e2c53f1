"""A small file of the kernel's that is read over and over: kept open, since opening costs more than reading."""

from __future__ import annotations

import os
from pathlib import Path


class Gauge:
    """One such file."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def read(self, most: int = 4096) -> bytes:
        """Its content now, b"" where there is none: a feature that this kernel has not or that is off, a group that
        has gone."""
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._fd, most, 0)
        except OSError:
            self.close()
            return b""

    def word(self) -> str:
        """Its content as one word or line."""
        return self.read().decode("ascii").strip()

    def close(self) -> None:
        """Closes it; the next reading opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def number(text: bytes, name: bytes) -> int | None:
    """The number after `name` at the begin of a line of `text`."""
    at = text.find(b"\n" + name)
    if at < 0 and not text.startswith(name):
        return None
    return int(text[at + 1 + len(name) :].split(None, 1)[0])
