"""A log on disk, read in small pieces by position, so that a huge one opens at once and takes no memory.

Owns one file descriptor. A place in the log is the byte at which a line starts. A line without an end is broken at
multiples of `WINDOW`, by a rule that gives the same breaks forwards and backwards. Refuses to know how a line looks.
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field

WINDOW = 1 << 13
"""Bytes of one line that are shown as one, and of one step through the file: no more of a line is ever decoded."""
BLOCK = 1 << 20
MATCHES = 1_000_000


class LogFile:
    """An open log. Reads are `pread`s of at most a few windows; `count` and `search` walk a block at a time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", path)
        self.identity = (status.st_dev, status.st_ino)

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return os.fstat(self._fd).st_size

    def read(self, start: int, length: int) -> bytes:
        """Bytes from a position on; fewer at the end, none once closed: a walk in a thread may come too late."""
        return os.pread(self._fd, length, start) if self._fd >= 0 else b""

    def line_end(self, start: int, size: int) -> int:
        """Where the line that starts here ends and the next one starts; `size` for the last one."""
        hard = (start // WINDOW + (2 if start % WINDOW else 1)) * WINDOW
        data = self.read(start, min(hard, size) - start)
        newline = data.find(b"\n")
        return start + newline + 1 if newline >= 0 else min(hard, size)

    def line_before(self, start: int) -> int:
        """Where the line before the one that starts here starts; 0 for the first."""
        if start <= 0:
            return 0
        low = max(0, start - 3 * WINDOW)
        data = self.read(low, start - low)
        newline = data.rfind(b"\n", 0, start - low - 1)
        found = low + newline + 1 if newline >= 0 else 0
        edge = (start - 1) // WINDOW * WINDOW
        known = newline >= 0 or low == 0
        return edge if edge >= found + WINDOW or not known else found

    def line_at(self, place: int) -> int:
        """Where the line starts that holds this byte."""
        place = min(place, max(0, self.size - 1))
        return self.line_before(place + 1) if place > 0 else 0

    def text(self, start: int, end: int) -> str:
        """One line without its end; bytes that are no UTF-8 are shown as such."""
        return self.read(start, end - start).rstrip(b"\n").decode("utf-8", "backslashreplace")

    def count(self, start: int, end: int) -> int:
        """How many lines end between two positions."""
        total = 0
        while start < end:
            data = self.read(start, min(BLOCK, end - start))
            if not data:
                break
            total += data.count(b"\n")
            start += len(data)
        return total

    def last_lines(self, number: int) -> list[str]:
        """The last lines, the newest one last."""
        place = self.size
        lines: list[str] = []
        while place > 0 and len(lines) < number:
            start = self.line_before(place)
            lines.append(self.text(start, place))
            place = start
        return lines[::-1]


@dataclass(slots=True)
class Matches:
    """The lines in which a text is found: their starts, ascending, as far as the file was read.

    A text in lower case matches either case.
    """

    text: str
    starts: array[int] = field(default_factory=lambda: array("q"))
    read_to: int = 0

    @property
    def full(self) -> bool:
        """So many that looking further helps nobody."""
        return len(self.starts) >= MATCHES

    def extend(self, log: LogFile, end: int, blocks: int = 16) -> bool:
        """Read on for at most so many blocks; whether `end` is reached. May run in a thread."""
        needle, either_case = self.text.encode(), self.text == self.text.lower()
        while self.read_to < end and not self.full and blocks > 0:
            data = log.read(self.read_to, min(BLOCK, end - self.read_to))
            whole = data.rfind(b"\n") + 1 or len(data)
            hay = data.lower() if either_case else data
            place = 0
            while (found := hay.find(needle, place, whole)) >= 0:
                self.starts.append(self.read_to + data.rfind(b"\n", 0, found) + 1)
                newline = data.find(b"\n", found)
                if newline < 0 or newline >= whole:
                    break
                place = newline + 1
            if not whole:
                break
            self.read_to += whole
            blocks -= 1
        return self.read_to >= end or self.full

    def nearest(self, place: int, forward: bool) -> int | None:
        """The index of the next match after, or before, a position; around the end where there is none."""
        if not self.starts:
            return None
        index = bisect_left(self.starts, place + 1 if forward else place)
        if forward:
            return index if index < len(self.starts) else 0
        return index - 1 if index else len(self.starts) - 1


def open_log(path: str | None) -> LogFile | None:
    """The log, or None where nothing was written yet."""
    if path is None:
        return None
    try:
        return LogFile(path)
    except FileNotFoundError:
        return None
