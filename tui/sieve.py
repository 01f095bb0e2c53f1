"""Which lines of a log are shown: those that have a text, or those that have not; and where the next one is that tells
of an error.

Walks through the file a block at a time, may be in a thread. Keeps the places of the newest lines that pass, so that a
log of any length takes no more memory; asks nothing of how they look.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left

from gristmill.tui.logfile import BLOCK, LogFile

KEPT = 1_000_000
"""Places of lines that are kept: the newest."""
ERROR = re.compile(
    rb"(?i:\b(?:errors?|exception|traceback|fatal|critical|panic|failed|failure|out of memory|segmentation fault"
    rb"|core dumped|killed|aborted)\b)|\w(?:Error|Exception)\b"
)
"""What a line that tells of an error has in it."""


class Sieve:
    """The lines that pass, as far as the file was read: `text` must be in them, `!text` must not.

    A text in lower case matches either case.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.inverse = text.startswith("!")
        needle = text.removeprefix("!") if self.inverse else text
        self._either = needle == needle.lower()
        self._needle = needle.encode()
        self.starts = array("q")
        self.read_to = 0
        self.passed = 0
        """How many have passed in all, those included whose places are not kept."""

    @property
    def shown(self) -> str:
        """What stands in the title."""
        return f"&{self.text}"

    def admits(self, line: bytes) -> bool:
        """Whether a line passes."""
        return (self._needle in (line.lower() if self._either else line)) != self.inverse

    def extend(self, log: LogFile, end: int, blocks: int = 16) -> bool:
        """Read on for at most so many blocks; whether all whole lines before `end` were read."""
        while self.read_to < end and blocks > 0:
            data = log.read(self.read_to, min(BLOCK, end - self.read_to))
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) < BLOCK:
                return True  # a line that is still being written: it is looked at as it is shown
            whole = whole or len(data)
            self._take(data[:whole])
            self.read_to += whole
            blocks -= 1
        return self.read_to >= end

    def _take(self, data: bytes) -> None:
        place, found = self.read_to, array("q")
        hay = data.lower() if self._either else data
        if self.inverse:
            for line in _lines(hay):
                if self._needle not in line:
                    found.append(place)
                place += len(line)
        else:
            at = 0
            while (hit := hay.find(self._needle, at)) >= 0:
                found.append(place + data.rfind(b"\n", 0, hit) + 1)
                newline = data.find(b"\n", hit)
                if newline < 0:
                    break
                at = newline + 1
        self.passed += len(found)
        self.starts += found
        if len(self.starts) > KEPT:
            del self.starts[: KEPT // 2]

    def at(self, place: int, log: LogFile, end: int) -> int:
        """Where the first line that passes starts, from a place on; `end` where there is none."""
        index = bisect_left(self.starts, place)
        if index < len(self.starts):
            return self.starts[index]
        rest = max(place, self.read_to)
        if self.read_to < end and rest < end and end - rest < BLOCK:  # what is not walked through yet
            while rest < end:
                stop = log.line_end(rest, end)
                if self.admits(log.read(rest, stop - rest)):
                    return rest
                rest = stop
        return end

    def before(self, place: int) -> int | None:
        """Where the last line that passes and starts before a place starts."""
        index = bisect_left(self.starts, place)
        return self.starts[index - 1] if index else None


def _lines(data: bytes) -> list[bytes]:
    """Lines by newlines alone: a carriage return ends none."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def next_error(log: LogFile, start: int, end: int) -> int | None:
    """Where the next line that tells of an error starts, from a place on, and round the end; None where there is none.

    Walks through the whole file where it must; may run in a thread.
    """
    for first, last in ((start, end), (0, min(start, end))):
        place = first
        while place < last:
            data = log.read(place, min(BLOCK, last - place))
            if not data:
                break
            whole = data.rfind(b"\n") + 1 or len(data)
            if (hit := ERROR.search(data, 0, whole)) is not None:
                return place + data.rfind(b"\n", 0, hit.start()) + 1
            place += whole
    return None
