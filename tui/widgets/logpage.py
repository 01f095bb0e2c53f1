"""A page of a log: which lines are on the screen, which rows they take, and how they are drawn.

Owns the place in the file and everything that depends on it: wrapping, panning, marks, lines that do not pass. Reads
small pieces while drawing. How the file grows and what is found in it is the log view's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict

from rich.segment import Segment
from textual.strip import Strip

from gristmill.supervisor.core.sanitise import colour_runs
from gristmill.tui.logfile import LogFile, Matches
from gristmill.tui.sieve import Sieve
from gristmill.tui.widgets.highlight import highlight
from gristmill.tui.widgets.logkeys import LogKeys

GUTTER = 9
"""Cells of the times beside the lines."""
KEPT = 400_000
"""Characters of lines whose strips are kept, a piece in a colour of its own counted as `PIECE`."""
PIECE = 60


class LogPage(LogKeys):
    """What is seen of a log."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.log_file: LogFile | None = None
        self.note = "asking for the log …"
        self.following = True
        self.wrap = False
        self.pan = 0
        self.place, self.row = 0, 0
        self.end = 0
        self.matches: Matches | None = None
        self.sieve: Sieve | None = None
        self.rules: list[tuple[int, str]] = []
        """Marks that the user has set: the place above which each stands, and its words."""
        self.lit: int | None = None
        """Where a line starts that was gone to; it has a sign in the margin."""
        self.times = False
        self._anchor: int | None = None
        """Where the screen stood when the lines that pass were chosen anew, as long as nobody moves."""
        self._arrivals: list[tuple[int, str]] = []
        self._kept: OrderedDict[tuple[int, int, str], tuple[Strip, int]] = OrderedDict()
        self._weight = 0

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
