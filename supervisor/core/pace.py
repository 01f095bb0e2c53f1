"""How many items the next range gets: learned from what ranges took, a second of work each, fewer towards the end.

Guided self-scheduling (Polychronopoulos and Kuck, "Guided Self-Scheduling: A Practical Scheduling Scheme for Parallel
Supercomputers", IEEE Transactions on Computers C-36, 1987): whoever is free takes its share of what is left, so that
ranges shrink as the end comes near and nobody is left with a long one. Two things are added. No range aims at more
than a second, for nothing is shown or kept of a range before its end; and as in factoring (Hummel, Schonberg and Flynn,
1992) a share is half of an even one, for items differ.
"""

from __future__ import annotations

import math

import msgspec

AIM_S = 1.0
"""Work in a range, unless starting a task costs so much that more is due."""
STARTS = 9.0
"""A range works so many times longer than its start takes: a tenth is lost to starts at most."""
LEAST_S = 0.05
"""Towards the end no range becomes shorter than this, or than what its start takes."""
GROWTH = 4
"""A range has so many times the items of the largest that ended well, at most."""
KEPT = 0.85
"""Weight of what was learned before against one more end."""
TRIED_S = 20.0
"""A first item that takes longer is taken for a long item rather than for a costly start."""
TRIED = 2, 4
"""Items of a range that is made to see whether it is the start that takes so long: at least, and at most."""
SURE, ENOUGH = 3.0, 6
"""Standard errors by which what a start costs must stand out from what items differ by, and a busy machine; and the
ranges from which on errors are told."""
OF_TIMEOUT = 0.25
"""A range aims at no more than this part of its job's timeout."""
SETTLED = 5
"""After so many ends of ranges the pace is known well enough to compare what tasks cost."""


class Line(msgspec.Struct):
    """Seconds of ranges against their items, by least squares: means, and sums of squares and products about them
    (Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products", Technometrics 4, 1962)."""

    ends: int = 0
    items: float = 0.0
    wall_s: float = 0.0
    items_squared: float = 0.0
    product: float = 0.0
    wall_squared: float = 0.0

    def learn(self, count: int, wall_s: float) -> None:
        """Counts one range more."""
        self.ends += 1
        more, longer = count - self.items, wall_s - self.wall_s
        self.items += more / self.ends
        self.wall_s += longer / self.ends
        self.items_squared += more * (count - self.items)
        self.product += more * (wall_s - self.wall_s)
        self.wall_squared += longer * (wall_s - self.wall_s)

    @property
    def at_none(self) -> float:
        """Seconds of a range of no items at least: where the line meets the axis, less its standard errors; 0 while
        too few were seen, or of one size alone."""
        if self.ends < ENOUGH or self.items_squared <= 0:
            return 0.0
        slope = max(0.0, self.product / self.items_squared)
        residual = max(0.0, self.wall_squared - slope * self.product) / (self.ends - 2)
        error = math.sqrt(residual * (1 / self.ends + self.items**2 / self.items_squared))
        return max(0.0, self.wall_s - slope * self.items - SURE * error)


class Pace(msgspec.Struct):
    """What ranges of one kind of task took: means of their items and seconds, late ones weighing more; and all of them
    together, which tell what a start costs, once they differ in size."""

    ends: int = 0
    items: float = 0.0
    wall_s: float = 0.0
    least_s: float = 0.0
    largest: int = 0
    line: Line = msgspec.field(default_factory=Line)
    unit: int = 0
    """So many items are a task of the usual size where costs are compared; 0 until the pace has settled."""

    def learn(self, count: int, wall_s: float) -> None:
        """Counts one range that ended well."""
        self.ends += 1
        gain = max(1.0 / self.ends, 1.0 - KEPT)
        self.items += gain * (count - self.items)
        self.wall_s += gain * (wall_s - self.wall_s)
        self.least_s = wall_s if self.ends == 1 else min(self.least_s, wall_s)
        self.largest = max(self.largest, count)
        self.line.learn(count, wall_s)
        if not self.unit and self.ends >= SETTLED and self.items * GROWTH >= self._full():
            self.unit = max(1, round(self.items))

    @property
    def start_s(self) -> float:
        """Seconds that a range takes whatever its items, 0 while that is not known."""
        return min(self.line.at_none, self.least_s)

    @property
    def item_s(self) -> float:
        """Seconds of one item more, as of late."""
        return max(0.0, self.wall_s - self.start_s) / self.items if self.items else 0.0

    def expected_s(self, count: int) -> float:
        """Seconds that a range of so many items will take, 0 while nothing is known."""
        return self.start_s + self.item_s * count

    def as_usual_s(self, count: int, wall_s: float) -> float:
        """What a range of the usual size would have taken, had its items taken what these did."""
        start = min(self.start_s, wall_s)
        return start + (wall_s - start) * self.unit / count

    def size(self, left: int, workers: int, timeout_s: float | None, start_s: float = 0.0) -> int:
        """Items of the next range: of `left` items, where `workers` share them, and a start costs `start_s` beside what
        was seen of that. One while nothing is known."""
        if not self.ends:
            return 1
        full = self._full(timeout_s, start_s)
        if self.least_s < TRIED_S and self.ends & (self.ends - 1) == 0:  # now and then, ever more rarely
            full = max(full, self._tried(timeout_s))
        full = min(full, GROWTH * self.largest)
        least = max(LEAST_S, self.start_s, start_s) / self.item_s if self.item_s > 0 else full
        share = left / (2 * max(1, workers))
        return max(1, min(left, math.ceil(min(full, max(share, least)))))

    def _tried(self, timeout_s: float | None) -> float:
        """Items of a range that shows whether it is the start that takes so long."""
        fewest, most = TRIED
        pace = self.items / max(self.wall_s, 1e-9)  # items a second, starts included
        tried = min(most, max(fewest, TRIED_S * pace))
        return tried if timeout_s is None or tried <= timeout_s / 2 * pace else 1.0

    def _full(self, timeout_s: float | None = None, start_s: float = 0.0) -> float:
        """Items that make a range as long as it should be."""
        aim = max(AIM_S, STARTS * max(self.start_s, start_s))
        if timeout_s is not None:
            aim = min(aim, OF_TIMEOUT * timeout_s)
        return aim / self.item_s if self.item_s > 0 else math.inf
