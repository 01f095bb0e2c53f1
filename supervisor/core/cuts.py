"""A log whose middle is left out while somebody reads it, and where that reader goes on.

Owns the line that says so, and the places before and after. A worker cuts a log that passes `limits.log` back to the
first half of that, and writes the line and the newest part behind it. Reads by a function that it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MARK = re.compile(rb"\n\[gristmill: (\d{1,18}) bytes left out here: limits\.log = (\d{1,18})\]\n")
_BEGIN, _MARK_BYTES = b"\n[gristmill: ", 128
_BLOCK = 1 << 20
_FARTHEST = 64 << 20
"""Bytes from the end in which the line is looked for: behind it stands only what is new."""
_BEFORE = 64

Read = Callable[[int, int], bytes]
"""Bytes from a place on, so many at most."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The line begins at `start` and ends at `end`; `gone` bytes are left out in its place, in all so far."""

    start: int = 0
    end: int = 0
    gone: int = 0

    def printed(self, place: int) -> int:
        """How much the task had printed before what stands at this place."""
        if place <= self.start:
            return place
        return max(place, self.end) - self.end + self.start + self.gone

    def place(self, printed: int) -> int:
        """Where that stands; what is left out stands where the line is."""
        if printed < self.start + self.gone:
            return min(printed, self.start)
        return printed - self.start - self.gone + self.end


def find(read: Read, size: int, since: int = 0) -> Cut | None:
    """The cut in a log of this size, None where there is none; the task's own words can't pass for one by chance."""
    high = size
    while high > max(0, since - _MARK_BYTES, size - _FARTHEST):
        low = max(0, high - _BLOCK)
        block = read(low, high - low + _MARK_BYTES)
        for found in MARK.finditer(block) if _BEGIN in block else ():
            start = low + found.start()
            if start == int(found[2]) // 2:
                return Cut(start, low + found.end(), int(found[1]))
        high = low
    return None


@dataclass(frozen=True, slots=True)
class Shift:
    """From one cut of a log to the next."""

    before: Cut
    after: Cut

    def to(self, place: int) -> int:
        """Where that stands now which stood at this place."""
        return self.after.place(self.before.printed(place))


class Watch:
    """Notices that a log was cut behind its reader's back."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._cut: Cut | None = None
        self._at, self._before = 0, b""

    def stand(self, place: int) -> None:
        """Remembers how far the log was read, what stood there last, and the cut that was read over."""
        self._cut = find(self._read, place, self._at) or self._cut
        self._at, self._before = place, self._read(max(0, place - _BEFORE), min(place, _BEFORE))

    def moved(self, size: int) -> bool:
        """Whether something else stands there now: a log is only ever written on."""
        length = len(self._before)
        return size < self._at or (length > 0 and self._read(self._at - length, length) != self._before)

    def shift(self, size: int) -> Shift | None:
        """Where everything has moved; None where the log was not cut by a worker, and has to be read anew."""
        after = find(self._read, size)
        if after is None:
            return None
        shift = Shift(self._cut or Cut(after.start, after.start), after)
        self._cut = after
        return shift


class Follower:
    """Reads a log on and on while it is written to and cut: each byte once, between whichever reads the cuts fall."""

    def __init__(self, read: Read, size: Callable[[], int], place: int = 0) -> None:
        self._read, self._size = read, size
        self._cut = find(read, place)
        self._place, self._before = place, read(max(0, place - _MARK_BYTES), min(place, _MARK_BYTES))

    def take(self, most: int) -> bytes | None:
        """What comes next, b"" for nothing yet; None while a cut is being made, or where somebody emptied the log."""
        data = self._read(self._place, most)
        while self._moved():  # looked at after the read: what was read then is what belongs here
            if not self._go_on():
                return None
            data = self._read(self._place, most)
        joined = self._before + data
        for found in MARK.finditer(joined):
            start = self._place - len(self._before) + found.start()
            if start == int(found[2]) // 2:
                self._cut = Cut(start, start + len(found[0]), int(found[1]))
        self._place, self._before = self._place + len(data), joined[-_MARK_BYTES:]
        return data

    def restart(self) -> None:
        """Reads from the beginning again."""
        self._cut, self._place, self._before = None, 0, b""

    def _moved(self) -> bool:
        """Whether something else stands before our place now: a log is only ever written on."""
        length = len(self._before)
        return self._size() < self._place or self._read(self._place - length, length) != self._before

    def _go_on(self) -> bool:
        """Finds the place where what comes next stands after a cut; False while that can't be seen."""
        size = self._size()
        after = find(self._read, size)
        if after is None:
            return False
        printed = self._place if self._cut is None else self._cut.printed(self._place)
        place = min(after.place(printed), size)
        before = self._read(max(0, place - _MARK_BYTES), min(place, _MARK_BYTES))
        if len(before) < min(place, _MARK_BYTES) or find(self._read, self._size()) != after:
            return False  # cut once more meanwhile
        self._cut, self._place, self._before = after, place, before
        return True
