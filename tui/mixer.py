"""Several logs in one file, each line with the name of its log before it, in the order in which they come.

Owns that file, which nobody else can read and which goes with it; may be asked from a thread. What was written before
it began is taken from the ends of the logs, one log after the other: nobody knows in which order that was.
"""

from __future__ import annotations

import os
import tempfile

from gristmill.tui.logfile import LogFile, open_log

BEFORE = 1 << 16
"""Bytes of each log that are taken from before."""
LINE_MOST = 1 << 16
"""A line without an end is broken after so many bytes."""
PORTION = 1 << 18
"""Bytes that are taken from one log at a time."""
SPOOL_MOST = 1 << 26
"""Bytes of the file, after which it begins anew."""
_COLOURS = (36, 33, 35, 32, 34, 31)


class _Source:
    """One log: how far it was read, and the beginning of a line that has no end yet."""

    def __init__(self, name: str, number: int) -> None:
        self.prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{name}\x1b[0m ".encode()
        self.path: str | None = None
        self.log: LogFile | None = None
        self.place = 0
        self.rest = b""

    def point(self, path: str | None) -> None:
        """The log is this file now; one that only has a new name is the same."""
        if path == self.path and self.log is not None:
            return
        try:
            opened = open_log(path)
        except OSError:
            opened = None
        self.path = path
        if opened is None:
            return
        if self.log is None or self.log.identity != opened.identity:
            self.place = max(0, opened.size - BEFORE)
            self.rest = b""
            if self.place:
                self.place = opened.line_end(self.place, opened.size)
        if self.log is not None:
            self.log.close()
        self.log = opened

    def take(self) -> bytes:
        """What has been written since, as whole lines with their prefix."""
        if self.log is None:
            return b""
        if self.log.size < self.place:
            self.place, self.rest = 0, b""
        data = self.rest + self.log.read(self.place, PORTION)
        self.place += len(data) - len(self.rest)
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) > LINE_MOST:
            data, whole = data + b"\n", len(data) + 1
        self.rest = data[whole:]
        return b"".join(self.prefix + line + b"\n" for line in data[:whole].split(b"\n")[:-1])


class Mixer:
    """The file that they come together in: `path`."""

    def __init__(self, names: list[str]) -> None:
        width = max(map(len, names), default=0)
        self._sources = [_Source(f"{name:<{width}}", number) for number, name in enumerate(names)]
        self._fd, self.path = tempfile.mkstemp(prefix="grist-mixed-", suffix=".log")
        self._size = 0

    def point(self, number: int, path: str | None) -> None:
        """Where a log is now; None while nothing was written."""
        self._sources[number].point(path)

    def pump(self) -> int:
        """Take what has been written since, from all of them by turns; how many bytes that was."""
        if self._fd < 0:
            return 0
        total = 0
        while taken := b"".join(source.take() for source in self._sources):
            if self._size + len(taken) > SPOOL_MOST:
                os.ftruncate(self._fd, 0)
                self._size = 0
            os.pwrite(self._fd, taken, self._size)
            self._size += len(taken)
            total += len(taken)
        return total

    def close(self) -> None:
        """Take the file away."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            os.unlink(self.path)
        for source in self._sources:
            if source.log is not None:
                source.log.close()
                source.log = None
