"""How fast frames may follow each other on a slow line: the next one waits until the terminal has answered to the last.

After a frame the terminal is asked where its cursor is (`CSI 6n`); the answer comes in band, behind all that was
written before. So nothing piles up between here and there, a key press waits behind one frame at most, and the time
that it takes is the line's own. Pure: time is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

QUESTION = "\x1b[6n"
PATIENCE_S = 4.0
"""Seconds after which no answer is waited for any longer."""
SILENT = 2
"""Answers missed in a row after which this terminal is taken to give none."""
TOLD_S = 0.02
"""A round trip below this is not worth a word."""


@dataclass(slots=True)
class Pace:
    """One line. While it is not `able`, every frame may go at once."""

    able: bool = False
    due: bool = False
    """Whether a frame was made after which the terminal is to be asked."""
    asked_at: float | None = None
    trip_s: float | None = None
    _missed: int = 0

    def free(self, now: float) -> bool:
        """Whether another frame may be made."""
        if self.asked_at is None:
            return True
        if now - self.asked_at < PATIENCE_S:
            return False
        self.asked_at = None
        self._missed += 1
        self.able = self.able and self._missed < SILENT
        return True

    def made(self) -> None:
        """A frame is made, and will be on the line in a moment."""
        self.due = self.able

    def ask(self, now: float) -> bool:
        """Whether to ask now, behind what was written just so."""
        if not self.due or self.asked_at is not None:
            return False
        self.due, self.asked_at = False, now
        return True

    def answered(self, now: float) -> None:
        """The terminal has answered."""
        if self.asked_at is not None:
            self.trip_s, self.asked_at, self._missed = now - self.asked_at, None, 0

    @property
    def words(self) -> str:
        """`rtt 310ms`, "" where it is short or not known; no finer than it stands still."""
        if self.trip_s is None or self.trip_s < TOLD_S:
            return ""
        if self.trip_s < 0.995:
            step = 10 if self.trip_s < 0.1 else 50
            return f"rtt {max(step, round(1000 * self.trip_s / step) * step)}ms"
        return f"rtt {self.trip_s:.1f}s"
