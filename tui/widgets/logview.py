"""The log view: a page of a log that follows its file as it grows, and what is looked for in all of it.

Owns following, counting, searching and sifting; what walks through the whole file runs in a thread. What is on the
screen is `logpage`'s, which file it is, the screen says.
"""

from __future__ import annotations

import asyncio
import time

from textual.events import Resize
from textual.message import Message

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.cuts import Watch
from gristmill.tui.errands import is_out, send
from gristmill.tui.logfile import BLOCK, LogFile, Matches, open_log
from gristmill.tui.sieve import Sieve
from gristmill.tui.widgets.logpage import LogPage

POLL_S = 0.25
AT_ONCE = 64 * BLOCK
"""Bytes of which new lines are counted at one look; the rest at the next ones."""
ARRIVALS = 20_000
"""Times of lines that are kept."""


class LogView(LogPage):
    """A log, by default at its end and staying there."""

    class Changed(Message):
        """Something that the title shows is different."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.path: str | None = None
        self.lines = 0
        self.counted_to = 0
        self.new_lines = 0
        self.match: int | None = None
        self._new_from = 0
        self._watch = Watch(self._read)
        self._turn, self._seeks = 0, False

    def clock(self) -> str:
        """The time of day, for marks and for lines that come."""
        return figures.full_clock(time.time())

    def on_mount(self) -> None:
        """Look at the file now and then: a growing file tells nobody."""
        super().on_mount()
        self.set_interval(POLL_S, self.poll)

    def on_unmount(self) -> None:
        """Give the file back."""
        if self.log_file is not None:
            self.log_file.close()

    def open(self, path: str | None, note: str) -> None:
        """Show this file; a file that only has a new name keeps its place. `note` is shown while there is none."""
        self.note = note
        if path != self.path or (self.log_file is None and path is not None):
            self.path = path
            self._reopen()
        self.poll()

    def _reopen(self) -> None:
        try:
            opened = open_log(self.path)
        except OSError as error:
            self.note, opened = f"can't read the log: {error.strerror}", None
        before, self.log_file = self.log_file, opened
        same = before is not None and opened is not None and before.identity == opened.identity
        if before is not None:
            before.close()
        if not same:
            self._restart()

    def _restart(self) -> None:
        self._forget()
        self.place = self.row = self.end = self.new_lines = 0
        self.following = True
        self._watch = Watch(self._read)

    def _read(self, start: int, length: int) -> bytes:
        return self.log_file.read(start, length) if self.log_file is not None else b""

    def _forget(self) -> None:
        """What was read stands elsewhere now, or nowhere."""
        self._turn += 1
        self._kept.clear()
        self._weight = self.lines = self.counted_to = 0
        self.rules, self._arrivals, self.lit = [], [], None
        if self.matches is not None:
            self.matches = Matches(self.matches.text)
            self.match = None
        if self.sieve is not None:
            self.sieve = Sieve(self.sieve.text)

    def _go_on_after_cut(self, end: int) -> None:
        """Stay with the same lines where the middle of the log was left out; begin anew where it was emptied."""
        assert self.log_file is not None
        shift = self._watch.shift(end)
        if shift is None:
            self._restart()
            return
        self._forget()
        self.end = end
        self.place, self.row = self.log_file.line_at(shift.to(self.place)), 0
        self._new_from = min(shift.to(self._new_from), end)

    def poll(self) -> None:
        """See what has been written since; draw when that is visible."""
        if self.log_file is None and self.path is not None:
            self._reopen()
        if self.log_file is None:
            self.renew()
            return
        end = self.log_file.size
        moved = self._watch.moved(end)
        behind = not self.following and self._new_from < self.end
        if not (end != self.end or moved or behind) or not self.look.may_paint():
            return
        if moved:
            self._go_on_after_cut(end)
        if self.end and end > self.end:
            self._arrivals.append((self.end, self.clock()))
            del self._arrivals[: max(0, len(self._arrivals) - ARRIVALS)]
        self.end = end
        self._watch.stand(end)
        if self.following:
            self._go_to_end()
        else:
            self._count_new()
        self.renew()
        self._index()
        self.post_message(self.Changed())

    def _count_new(self) -> None:
        if self.log_file is not None:
            end = min(self.end, self._new_from + AT_ONCE)
            self.new_lines += self.log_file.count(self._new_from, end)
            self._new_from = end

    def _index(self) -> None:
        if not is_out(self, "walk"):
            send(self, self._walk, "walk", "walk through the log")

    async def _walk(self) -> None:
        """Count the lines and find the matches, some blocks at a time in a thread, until the end is reached."""
        while (log := self.log_file) is not None:
            matches = self.matches
            start, end = self.counted_to, min(self.end, self.counted_to + 32 * BLOCK)
            if start < end:
                turn = self._turn
                lines = await asyncio.to_thread(log.count, start, end)
                if log is not self.log_file or turn != self._turn:
                    continue
                self.lines, self.counted_to = self.lines + lines, end
            if matches is not None:
                await asyncio.to_thread(matches.extend, log, self.end)
                if matches is self.matches and self._seeks and matches.starts:
                    self._seeks = False
                    self.step_match(forward=False, first=True)
            sifted = await self._sift(log)
            self.post_message(self.Changed())
            done = matches is None or matches.read_to >= self.end or matches.full
            if self.counted_to >= self.end and done and sifted and matches is self.matches:
                return

    async def _sift(self, log: LogFile) -> bool:
        """Find more of the lines that pass; whether all are found."""
        sieve = self.sieve
        if sieve is None:
            return True
        done = await asyncio.to_thread(sieve.extend, log, self.end, 4)
        if sieve is self.sieve and log is self.log_file:
            self._stay()
            self.renew()
        return done and sieve is self.sieve

    def move(self, rows: int) -> None:
        """Scroll by so many rows; upwards, following pauses."""
        if self.log_file is None or not self.end:
            return
        self._anchor = None
        if rows < 0:
            self.pause()
            self.place, self.row = self._back(self.place, self.row, -rows)
        elif not self.following:
            self.place, self.row = self._forth(self.place, self.row, rows)
        self._moved()

    def _moved(self) -> None:
        self.renew()
        self.post_message(self.Changed())

    def pause(self) -> None:
        """Stay here, and count what is written from now on."""
        self._anchor = None
        if self.following:
            self.following, self.new_lines, self._new_from = False, 0, self.end

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.following, self.new_lines = True, 0
        self._go_to_end()
        self._moved()

    def toggle_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.wrap, self.pan, self.row = not self.wrap, 0, 0
        if self.following:
            self._go_to_end()
        self._moved()

    def to_start(self) -> None:
        """To the beginning."""
        if self.log_file is not None:
            self.pause()
            self.place = self.row = 0
            self._moved()

    def pan_by(self, cells: int) -> None:
        """To the side; wrapped lines have nowhere to pan."""
        if not self.wrap:
            self.pan = max(0, self.pan + cells)
            self._moved()

    def sift(self, text: str) -> None:
        """Show only lines with this text, or with `!` those without it; an empty one shows all."""
        self.sieve = Sieve(text) if text.strip("!") else None
        self.row = 0
        self._anchor = None if self.following else self.place
        self._stay()
        self._moved()
        self._index()

    def set_mark(self) -> None:
        """A line across at the end of what is written by now."""
        if self.log_file is not None:
            self.rules.append((self.end, f"mark {self.clock()}"))
            if self.following:
                self._go_to_end()
            self._moved()

    def toggle_times(self) -> None:
        """Beside each line when it was seen to come, or not."""
        self.times = not self.times
        self._moved()

    def go_to_line(self, start: int) -> None:
        """To a line, which gets a sign."""
        if self.log_file is not None:
            self.pause()
            self.lit = start
            self.place, self.row = self._forth(*self._back(start, 0, self.size.height // 3), 0)
            self._moved()

    def search(self, text: str) -> None:
        """Look for a text from here backwards; an empty one ends the search."""
        self.matches, self.match = (Matches(text), None) if text else (None, None)
        self._seeks = bool(text)
        self._moved()
        if text:
            self._index()

    def step_match(self, *, forward: bool, first: bool = False) -> None:
        """Go to the next match, or the one before."""
        if self.matches is None or not self.matches.starts or self.log_file is None:
            return
        if self.match is None or first:
            bottom = self.end if self.following else self._forth(self.place, self.row, self.size.height)[0]
            self.match = self.matches.nearest(bottom, forward)
        else:
            self.match = (self.match + (1 if forward else -1)) % len(self.matches.starts)
        if self.match is None:
            return
        self.go_to_line(self.log_file.line_at(self.matches.starts[self.match]))

    def on_resize(self, event: Resize) -> None:
        """The end stays at the lower edge."""
        if self.following:
            self._go_to_end()
        super().on_resize(event)
