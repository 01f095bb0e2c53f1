"""The measured curve: throughput against workers, with its standard errors and the working point, as lines of text.

Braille dots, or one plain character a cell. Pure; a tone is a name. What is what never depends on a tone: the errors
are upright, the curve is not, and the working point stands over a sign on the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gristmill.supervisor.core import reasons
from gristmill.supervisor.core.answers import PointView
from gristmill.supervisor.core.figures import several
from gristmill.tui.marks import Marks, Run, Runs

GUIDE, ERROR, CURVE, POINT, WORKING = range(1, 6)
"""What a dot belongs to; where several meet in a cell, the highest gives the tone, or the plain character."""
_TONES = {GUIDE: "accent", ERROR: "muted", CURVE: "g0", POINT: "run", WORKING: "accent"}
_PLAIN = {GUIDE: ":", ERROR: "|", CURVE: ".", POINT: "o", WORKING: "@"}
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
SCALE = 5
"""Cells for the figures at the left."""
LEAST = 4
"""Lines below which there is no room for a curve: two of it, the axis, and a title."""


class _Canvas:
    """Dots on cells, with what they belong to; (0, 0) is the lowest at the left."""

    def __init__(self, width: int, height: int, plain: bool) -> None:
        self.width, self.height, self.plain = width, height, plain
        self.across, self.up = (1, 1) if plain else (2, 4)
        self.columns, self.rows = width * self.across, height * self.up
        self._dots: dict[tuple[int, int], int] = {}

    def put(self, x: int, y: int, kind: int) -> None:
        """One dot, if it is on the canvas."""
        if 0 <= x < self.columns and 0 <= y < self.rows:
            self._dots[x, y] = max(kind, self._dots.get((x, y), 0))

    def lines(self) -> list[Runs]:
        """The cells, the top line first."""
        return [tuple(self._cell(x, y) for x in range(self.width)) for y in range(self.height - 1, -1, -1)]

    def _cell(self, x: int, y: int) -> Run:
        bits = highest = 0
        for below in range(self.up):
            for beside in range(self.across):
                kind = self._dots.get((x * self.across + beside, y * self.up + below), 0)
                if kind:
                    bits |= _BITS[self.up - 1 - below][beside] if not self.plain else 0
                    highest = max(highest, kind)
        if not highest:
            return (" ", "text")
        return (_PLAIN[highest] if self.plain else chr(0x2800 | bits), _TONES[highest])


def draw(points: Sequence[PointView], workers: int, width: int, height: int, marks: Marks) -> list[Runs]:
    """The curve with figures and axis in `height` lines, `workers` being the working point; all but the title."""
    known = sorted((one for one in points if one.workers > 0), key=lambda one: one.workers)
    room, rows = width - SCALE - 1, height - 1
    if not known:
        return [(("  Nothing measured yet: that takes tasks that end.", "muted"),)]
    if room < 12 or rows < 1:
        return []
    canvas = _Canvas(room, rows, marks.ascii)
    most = max(known[-1].workers, workers, 2)
    top = max(1.0, *(min(one.rate + one.error, 1.25) for one in known))

    def across(number: float) -> int:
        return round(number / most * (canvas.columns - 1))

    def up(share: float) -> int:
        return round(max(0.0, min(share, top)) / top * (canvas.rows - 1))

    if workers > 0:
        for y in range(0, canvas.rows, 1 if marks.ascii else 2):
            canvas.put(across(workers), y, GUIDE)
    places = [(across(one.workers), up(one.rate)) for one in known]
    for before, after in pairwise(places):
        _connect(canvas, before, after)
    for one, (x, y) in zip(known, places, strict=True):
        for error in range(up(one.rate - one.error), up(one.rate + one.error) + 1):
            canvas.put(x, error, ERROR)
        for beside in (x,) if marks.ascii or canvas.columns / most < 4 else (x - 1, x, x + 1):
            canvas.put(beside, y, WORKING if round(one.workers) == workers else POINT)
    figures = {rows - 1 - up(share) // canvas.up: f"{share:.0%}" for share in (0.0, 0.5, 1.0)}
    lines = [((f"{figures.get(row, ''):>{SCALE}}", "muted"), (" ", "text"), *line)
             for row, line in enumerate(canvas.lines())]  # fmt: skip
    return [*lines, _axis(most, workers, across(workers) // canvas.across, room, marks)]


def _connect(canvas: _Canvas, start: tuple[int, int], end: tuple[int, int]) -> None:
    (x0, y0), (x1, y1) = start, end
    last = y0
    for x in range(x0, x1 + 1):
        y = y1 if x1 == x0 else round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        for between in range(min(last, y), max(last, y) + 1):
            canvas.put(x, between, CURVE)
        last = y


def _axis(most: float, workers: int, at: int, width: int, marks: Marks) -> Runs:
    """The line below the curve: `0────────▲ 6 now──── 8 workers`, with the sign at the working point."""
    before, end = " " * SCALE + "0", f" {several(most, 'worker')}"
    if workers <= 0:
        return ((before, "muted"), *_ruled(width, end, marks))
    sign, now = "^" if marks.ascii else "▲", f" {workers} now "
    after = width - at - 1
    if len(now) + len(end) <= after:
        right: Runs = ((now, "accent"), *_ruled(after - len(now), end, marks))
        return ((before, "muted"), (marks.rule * at, "faint"), (sign, "accent"), *right)
    if workers >= most:
        now, end = f" {several(workers, 'worker')} now ", ""
    left = _ruled(at - len(now), end if len(end) > after else "", marks)
    right = _ruled(after, end if len(end) <= after else "", marks)
    return ((before, "muted"), *left, (now, "accent"), (sign, "accent"), *right)


def _ruled(width: int, end: str, marks: Marks) -> Runs:
    """A rule that ends in these words."""
    if len(end) > width:
        return ((marks.rule * max(0, width), "faint"),)
    return ((marks.rule * (width - len(end)), "faint"), (end, "muted"))


def best(points: Sequence[PointView], marks: Marks) -> str:
    """`best 7 (100 % ±2)`, "" where nothing was measured."""
    if not points:
        return ""
    one = max(points, key=lambda point: point.rate)
    text = f"best {one.workers:g} ({reasons.rate(one.rate, one.error)})"
    return text.replace("±", "+-") if marks.ascii else text
