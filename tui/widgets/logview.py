"""The lines of a log that are on the screen, and no others.

Owns the place in the file, following, wrapping, panning and what a search found. Reads small pieces while drawing;
what walks through the whole file runs in a thread. Which file it is, the screen says.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.message import Message
from textual.strip import Strip

from gristmill.supervisor.core.cuts import Watch
from gristmill.supervisor.core.sanitise import colour_runs
from gristmill.tui.commands import bindings
from gristmill.tui.errands import is_out, send
from gristmill.tui.logfile import BLOCK, LogFile, Matches, open_log
from gristmill.tui.widgets.highlight import highlight
from gristmill.tui.widgets.lines import Lines

POLL_S = 0.25
KEPT = 400_000
"""Characters of lines whose strips are kept, a piece in a colour of its own counted as `PIECE`."""
PIECE = 60
PAN = 8


class LogView(Lines):
    """A log, by default at its end and staying there."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("moving", "pager")
    can_focus = True

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
        self._kept: OrderedDict[tuple[int, int, str], tuple[Strip, int]] = OrderedDict()
        self._weight = 0
        self._watch = Watch(self._read)
        self._turn, self._seeks = 0, False

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
        if self.matches is not None:
            self.matches = Matches(self.matches.text)
            self.match = None

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
        if end == self.end and not moved:
            return
        if moved:
            self._go_on_after_cut(end)
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
            self.post_message(self.Changed())
            done = matches is None or matches.read_to >= self.end or matches.full
            if self.counted_to >= self.end and done and matches is self.matches:
                return

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
    def _cells(self) -> int:
        return max(1, self.size.width - 2)

    def _pieces(self, start: int, end: int) -> list[Strip]:
        strip = self._strip_at(start, end)
        if not self.wrap:
            return [strip.crop(self.pan, self.pan + self._cells)]
        if strip.cell_length <= self._cells:
            return [strip]
        cuts = [*range(self._cells, strip.cell_length, self._cells), strip.cell_length]
        return list(strip.divide(cuts))

    def draw(self, width: int, height: int) -> list[Strip]:
        """The lines from the place on."""
        if self.log_file is None or not self.end:
            return [self.strip(()), self.strip(((f"  {self.note if self.log_file is None else 'nothing written yet'}",
                                                 "muted"),))]  # fmt: skip
        ground = self.tone("text")
        drawn: list[Strip] = []
        place, skip = self.place, self.row
        while len(drawn) < height and place < self.end:
            end = self.log_file.line_end(place, self.end)
            drawn += self._pieces(place, end)[skip:]
            place, skip = end, 0
        length = max(1, height * (place - self.place) // max(1, self.end))
        first = min(height - length, height * self.place // max(1, self.end)) if place < self.end else height - length
        thumb = range(first, first + length) if length < height else range(0)
        marks = self.look.marks
        margin = Segment(" ", ground)
        bar = Segment(marks.thumb, self.tone("faint"))
        drawn = (drawn + [Strip.blank(0)] * height)[:height]
        return [Strip([margin, *strip.adjust_cell_length(width - 2, ground), bar if y in thumb else margin])
                for y, strip in enumerate(drawn)]  # fmt: skip

    def _back(self, place: int, row: int, rows: int) -> tuple[int, int]:
        """The place so many rows further up."""
        assert self.log_file is not None
        rows -= row
        while rows > 0 and place > 0:
            before = self.log_file.line_before(place)
            rows -= len(self._pieces(before, place)) if self.wrap else 1
            place = before
        return place, max(0, -rows)

    def _forth(self, place: int, row: int, rows: int) -> tuple[int, int]:
        """The place so many rows further down, at most the last page."""
        assert self.log_file is not None
        last = self._back(self.end, 0, self.size.height)
        while rows > 0 and (place, row) < last:
            end = self.log_file.line_end(place, self.end)
            length = len(self._pieces(place, end)) if self.wrap else 1
            step = min(rows, length - row)
            rows -= step
            place, row = (end, 0) if row + step >= length else (place, row + step)
        return min((place, row), max(last, (0, 0)))

    def _go_to_end(self) -> None:
        if self.log_file is not None:
            self.place, self.row = self._back(self.end, 0, self.size.height)

    def move(self, rows: int) -> None:
        """Scroll by so many rows; upwards, following pauses."""
        if self.log_file is None or not self.end:
            return
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
        self.pause()
        start = self.log_file.line_at(self.matches.starts[self.match])
        self.place, self.row = self._forth(*self._back(start, 0, self.size.height // 3), 0)
        self._moved()

    def on_resize(self, event: Resize) -> None:
        """The end stays at the lower edge."""
        if self.following:
            self._go_to_end()
        super().on_resize(event)

    def action_down(self) -> None:
        """A row down."""
        self.move(1)

    def action_up(self) -> None:
        """A row up."""
        self.move(-1)

    def action_page_down(self) -> None:
        """A screen down."""
        self.move(max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        """A screen up."""
        self.move(-max(1, self.size.height - 1))

    def action_first(self) -> None:
        """To the beginning."""
        if self.log_file is not None:
            self.pause()
            self.place = self.row = 0
            self._moved()

    def action_last(self) -> None:
        """To the end, and follow it."""
        self.follow()

    def action_pan_left(self) -> None:
        """Pan to the left."""
        self.pan = max(0, self.pan - PAN)
        self._moved()

    def action_pan_right(self) -> None:
        """Pan to the right; wrapped lines have nowhere to pan."""
        if not self.wrap:
            self.pan += PAN
            self._moved()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Three rows down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Three rows up."""
        event.stop()
        self.move(-3)
