"""The lines of a log that are on the screen, and no others.

Owns the place in the file, following, wrapping, panning and what a search found. Reads small pieces while drawing;
what walks through the whole file runs in a thread. Which file it is, the screen says.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import OrderedDict

from rich.segment import Segment
from textual.events import Resize
from textual.message import Message
from textual.strip import Strip

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.cuts import Watch
from gristmill.supervisor.core.sanitise import colour_runs
from gristmill.tui.errands import is_out, send
from gristmill.tui.logfile import BLOCK, LogFile, Matches, open_log
from gristmill.tui.sieve import Sieve
from gristmill.tui.widgets.highlight import highlight
from gristmill.tui.widgets.logkeys import LogKeys

POLL_S = 0.25
GUTTER = 9
"""Cells of the times beside the lines."""
ARRIVALS = 20_000
"""Times of lines that are kept."""
KEPT = 400_000
"""Characters of lines whose strips are kept, a piece in a colour of its own counted as `PIECE`."""
PIECE = 60


class LogView(LogKeys):
    """A log, by default at its end and staying there."""

    class Changed(Message):
        """Something that the title shows is different."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.log_file: LogFile | None = None
        self.path: str | None = None
        self.note = "asking for the log …"
        self.following = True
        self.wrap = False
        self.pan = 0
        self.place, self.row = 0, 0
        self.end = 0
        self.lines = 0
        self.counted_to = 0
        self.new_lines = 0
        self._new_from = 0
        self.matches: Matches | None = None
        self.match: int | None = None
        self.sieve: Sieve | None = None
        self.rules: list[tuple[int, str]] = []
        """Marks that the user has set: the place above which each stands, and its words."""
        self.lit: int | None = None
        """Where a line starts that was gone to; it has a sign in the margin."""
        self._anchor: int | None = None
        """Where the screen stood when the lines that pass were chosen anew, as long as nobody moves."""
        self.times = False
        self._arrivals: list[tuple[int, str]] = []
        self._kept: OrderedDict[tuple[int, int, str], tuple[Strip, int]] = OrderedDict()
        self._weight = 0
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
        if (end == self.end and not moved) or not self.look.may_paint():
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
        if self.log_file is not None and self.end - self._new_from < 64 * BLOCK:
            self.new_lines += self.log_file.count(self._new_from, self.end)
            self._new_from = self.end

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

    def _strip_at(self, start: int, end: int) -> Strip:
        """One line in full, neither cut nor wrapped."""
        theme = self.look.palette.name
        key = (start, end, theme)
        if (kept := self._kept.get(key)) is None:
            assert self.log_file is not None
            palette = self.look.palette
            runs = colour_runs(self.log_file.text(start, end))
            strip = Strip([Segment(text, palette.sgr(look)) for text, look in runs])
            weight = sum(len(text) + PIECE for text, _ in runs)
            self._kept[key] = strip, weight
            self._weight += weight
            while self._weight > KEPT and len(self._kept) > 1:
                self._weight -= self._kept.popitem(last=False)[1][1]
        else:
            strip = kept[0]
            self._kept.move_to_end(key)
        return highlight(strip, self.matches.text, self.tone("found")) if self.matches is not None else strip

    @property
    def _gutter(self) -> int:
        return GUTTER if self.times else 0

    @property
    def _cells(self) -> int:
        return max(1, self.size.width - 2 - self._gutter)

    def _pieces(self, start: int, end: int) -> list[Strip]:
        """The rows that a line takes, with the marks above it."""
        strip = self._strip_at(start, end)
        if not self.wrap:
            rows = [strip.crop(self.pan, self.pan + self._cells)]
        elif strip.cell_length <= self._cells:
            rows = [strip]
        else:
            rows = list(strip.divide([*range(self._cells, strip.cell_length, self._cells), strip.cell_length]))
        if self.times:
            blank = Segment(" " * GUTTER, self.tone("muted"))
            first = Segment(f"{self._arrived(start):<{GUTTER}}", self.tone("muted"))
            rows = [Strip([first if row is rows[0] else blank, *row]) for row in rows]
        return [*(self._rule(words) for words in self._rules_above(start)), *rows] if self.rules else rows

    def _height(self, start: int, end: int) -> int:
        return len(self._pieces(start, end)) if self.wrap or self.rules else 1

    def _rules_above(self, start: int) -> list[str]:
        """The marks that stand between a line that is shown and the one that is shown before it."""
        before = self._before(start)
        low = -1 if before is None else before
        return [words for place, words in self.rules if low < place <= start]

    def _rule(self, words: str) -> Strip:
        line = self.look.marks.rule
        text = f"{line * 2} {words} ".ljust(self._cells + self._gutter, line)
        return self.strip(((text, "accent"),))

    def _arrived(self, start: int) -> str:
        """When a line was seen to come, "" where it was there before."""
        index = bisect_right(self._arrivals, (start, "~")) - 1
        return self._arrivals[index][1] if index >= 0 else ""

    def _at(self, place: int) -> int:
        """Where the first line that is shown starts, from a place on."""
        if self.sieve is None or self.log_file is None:
            return place
        return self.sieve.at(place, self.log_file, self.end)

    def _before(self, place: int) -> int | None:
        """Where the line starts that is shown before the one at this place."""
        if self.sieve is not None:
            return self.sieve.before(place)
        return self.log_file.line_before(place) if place > 0 and self.log_file is not None else None

    def draw(self, width: int, height: int) -> list[Strip]:
        """The lines from the place on."""
        if self.log_file is None or not self.end:
            return [self.strip(()), self.strip(((f"  {self.note if self.log_file is None else 'nothing written yet'}",
                                                 "muted"),))]  # fmt: skip
        ground = self.tone("text")
        drawn: list[Strip] = []
        signs: dict[int, str] = {}
        place, skip = self._at(self.place), self.row
        while len(drawn) < height and place < self.end:
            end = self.log_file.line_end(place, self.end)
            if place == self.lit:
                signs[len(drawn) + len(self._rules_above(place))] = self.look.marks.cursor
            drawn += self._pieces(place, end)[skip:]
            place, skip = self._at(end), 0
        if place >= self.end:
            drawn += [self._rule(words) for words in self._rules_above(self.end)] if self.rules else []
            if not drawn and self.sieve is not None:
                far = self.sieve.read_to / max(1, self.end)
                looking = f", looked through {far:.0%}" if far < 1 else ""
                drawn = [Strip([]), self.strip(((f"  no line passes {self.sieve.shown}{looking}", "muted"),))]
        length = max(1, height * (place - self.place) // max(1, self.end))
        first = min(height - length, height * self.place // max(1, self.end)) if place < self.end else height - length
        thumb = range(first, first + length) if length < height else range(0)
        marks = self.look.marks
        margin = Segment(" ", ground)
        bar = Segment(marks.thumb, self.tone("faint"))
        drawn = (drawn + [Strip.blank(0)] * height)[:height]
        return [Strip([Segment(signs[y], self.tone("fail")) if y in signs else margin,
                       *strip.adjust_cell_length(width - 2, ground), bar if y in thumb else margin])
                for y, strip in enumerate(drawn)]  # fmt: skip

    def _back(self, place: int, row: int, rows: int) -> tuple[int, int]:
        """The place so many rows further up."""
        assert self.log_file is not None
        rows -= row
        while rows > 0 and (before := self._before(place)) is not None:
            rows -= self._height(before, self.log_file.line_end(before, self.end))
            place = before
        return place, max(0, -rows)

    def _forth(self, place: int, row: int, rows: int) -> tuple[int, int]:
        """The place so many rows further down, at most the last page."""
        assert self.log_file is not None
        last = self._last_page()
        while rows > 0 and (place, row) < last:
            end = self.log_file.line_end(place, self.end)
            length = self._height(place, end)
            step = min(rows, length - row)
            rows -= step
            place, row = (self._at(end), 0) if row + step >= length else (place, row + step)
        return min((place, row), max(last, (0, 0)))

    def _last_page(self) -> tuple[int, int]:
        below = len(self._rules_above(self.end)) if self.rules else 0
        if self.sieve is not None and self.log_file is not None and self.sieve.read_to < self.end:
            below += self._at(self.sieve.read_to) < self.end  # a line that is still being written
        return self._back(self.end, 0, self.size.height - below)

    def _stay(self) -> None:
        """Where it was as far as the lines that are known to pass allow it, while more of them are found."""
        if self.following:
            self._go_to_end()
        elif self._anchor is not None:
            self.place, self.row = min((self._anchor, 0), self._last_page())

    def _go_to_end(self) -> None:
        if self.log_file is not None:
            self.place, self.row = self._last_page()

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
            bottom = self._forth(self.place, self.row, self.size.height)[0] if not self.following else self.end
            self.match = self.matches.nearest(self.end if self.following else bottom, forward)
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
